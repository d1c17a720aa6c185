//! Bits of a parameter set or a slice header, the emulation bytes taken out. Past the end there is
//! nothing: every read is an `Option`.

/// The bytes of a NAL unit as they were before emulation prevention (H.264 §7.4.1), at most `most` of them.
pub fn unescaped(nal: &[u8], most: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(nal.len().min(most));
    let mut zeros = 0;
    for &byte in nal {
        if bytes.len() == most {
            break;
        }
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        bytes.push(byte);
    }
    bytes
}

/// A value of this type is a place among bits, most significant first.
#[derive(Clone, Copy)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Bits { bytes, at: 0 }
    }

    pub fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// Up to 32 bits.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(value)
    }

    pub fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    /// Exp-Golomb, unsigned (H.264 §9.1).
    pub fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.bits(zeros)?;
        Some(((1u64 << zeros) - 1) as u32 + rest)
    }

    /// Exp-Golomb, signed.
    pub fn se(&mut self) -> Option<i32> {
        let code = self.ue()?;
        let half = (code / 2 + code % 2) as i32;
        Some(if code % 2 == 1 { half } else { -half })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golomb_codes() {
        // 1 010 011 00100 00101
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = Bits::new(&bytes);
        let codes: Vec<_> = (0..5).map(|_| bits.ue().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&bytes);
        let codes: Vec<_> = (0..5).map(|_| bits.se().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn past_the_end_there_is_nothing() {
        assert_eq!(Bits::new(&[0; 8]).ue(), None);
        assert_eq!(Bits::new(&[0x00]).ue(), None);
        assert_eq!(Bits::new(&[0xff]).bits(9), None);
        let mut bits = Bits::new(&[0xff]);
        bits.skip(usize::MAX);
        assert_eq!(bits.bit(), None);
        // The longest code: 31 zeros, and ones.
        let mut long = vec![0, 0, 0, 1];
        long.extend([0xff; 4]);
        assert_eq!(Bits::new(&long).ue(), Some(u32::MAX - 1));
    }

    #[test]
    fn emulation_bytes_go() {
        assert_eq!(unescaped(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3], 99), [0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(unescaped(&[1, 2, 3], 2), [1, 2]);
    }
}
