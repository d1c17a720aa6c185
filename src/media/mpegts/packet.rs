//! Transport packets: 188 bytes each, plain, behind a four-byte arrival time (192) or before a
//! checksum (204). Says what one packet's header says; never what its payload means.
//!
//! ```text
//! 47 | TEI PUSI prio PID(13) | scrambled(2) AF payload counter(4) | [len flags PCR..] | payload
//! ```

pub const SIZE: usize = 188;
pub const SYNC: u8 = 0x47;
/// PIDs are 13 bits, and the last one's packets bear nothing.
pub const PIDS: usize = 1 << 13;
pub const NULL: u16 = 0x1fff;

/// A value of this type is how packets follow each other in a file.
///
/// A packet's *position* is where its 188 or 192 bytes begin, arrival time included: what ffprobe
/// calls `pos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Bytes from one packet to the next.
    pub stride: u64,
    /// Bytes before a packet's sync byte that belong to it.
    pub lead: u64,
}

impl Framing {
    const ALL: [Framing; 3] = [
        Framing { stride: 188, lead: 0 },
        Framing { stride: 192, lead: 4 },
        Framing { stride: 204, lead: 0 },
    ];
    /// Sync bytes that must stand at their places before bytes are called packets.
    const PROOF: usize = 5;

    /// The framing of bytes that hold packets, and the first packet's position among them.
    pub fn of(head: &[u8]) -> Option<(Framing, u64)> {
        let proof = |at: usize, framing: &Framing| {
            let stride = framing.stride as usize;
            let places = (0..Self::PROOF).map(|k| at + framing.lead as usize + k * stride);
            let whole = places.filter(|place| place + SIZE <= head.len());
            let mut seen = 0;
            whole.inspect(|_| seen += 1).all(|place| head.get(place) == Some(&SYNC)) && seen >= 2
        };
        (0..head.len()).find_map(|at| {
            let framing = Self::ALL.iter().find(|framing| proof(at, framing))?;
            Some((*framing, at as u64))
        })
    }

    /// Bytes from the first packet on that suffice to know the framing for good.
    pub fn proof(&self) -> u64 {
        Self::PROOF as u64 * self.stride
    }
}

/// A value of this type is one packet, borrowed (ISO/IEC 13818-1 §2.4.3.2).
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8; SIZE],
}

impl<'a> Packet<'a> {
    pub fn new(bytes: &'a [u8; SIZE]) -> Option<Self> {
        (bytes[0] == SYNC).then_some(Packet { bytes })
    }

    pub fn pid(self) -> u16 {
        u16::from_be_bytes([self.bytes[1] & 0x1f, self.bytes[2]])
    }

    /// A PES packet or a section begins in this payload.
    pub fn begins(self) -> bool {
        self.bytes[1] & 0x40 != 0
    }

    pub fn scrambled(self) -> bool {
        self.bytes[3] & 0xc0 != 0
    }

    pub fn counter(self) -> u8 {
        self.bytes[3] & 0x0f
    }

    fn adaptation(self) -> &'a [u8] {
        if self.bytes[3] & 0x20 == 0 {
            return &[];
        }
        let length = usize::from(self.bytes[4]);
        self.bytes.get(5..5 + length).unwrap_or(&[])
    }

    /// The encoder says that a decoder may start here. A hint: some never say it, some always.
    pub fn random_access(self) -> bool {
        self.adaptation().first().is_some_and(|flags| flags & 0x40 != 0)
    }

    /// It is the other one sent again: the same bytes but for the clock reference, which may be of its own moment (§2.4.3.3).
    pub fn repeats(self, other: Packet<'_>) -> bool {
        let field = self.adaptation();
        let has_clock = field.len() > 6 && field.first().is_some_and(|flags| flags & 0x10 != 0);
        let rest = if has_clock { 12 } else { 6 };
        self.bytes[..6] == other.bytes[..6] && self.bytes[rest..] == other.bytes[rest..]
    }

    /// The payload; empty where there is none.
    pub fn payload(self) -> &'a [u8] {
        if self.bytes[3] & 0x10 == 0 {
            return &[];
        }
        let from = match self.bytes[3] & 0x20 {
            0 => 4,
            _ => 5 + usize::from(self.bytes[4]),
        };
        self.bytes.get(from..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(head: &[u8]) -> [u8; SIZE] {
        let mut bytes = [0xff; SIZE];
        bytes[..head.len()].copy_from_slice(head);
        bytes
    }

    #[test]
    fn a_header_says() {
        let bytes = packet(&[0x47, 0x41, 0x23, 0x1a]);
        let packet = Packet::new(&bytes).unwrap();
        assert_eq!((packet.pid(), packet.begins(), packet.counter()), (0x123, true, 10));
        assert_eq!(
            (packet.scrambled(), packet.random_access(), packet.payload().len()),
            (false, false, 184)
        );
    }

    #[test]
    fn the_hint_is_read() {
        let bytes = packet(&[0x47, 0, 1, 0x30, 7, 0x50]);
        let packet = Packet::new(&bytes).unwrap();
        assert!(packet.random_access());
        assert_eq!(packet.payload().len(), 188 - 12);
    }

    #[test]
    fn a_field_that_does_not_fit_is_no_field() {
        for length in [184, 255] {
            let bytes = packet(&[0x47, 0, 1, 0x30, length, 0x40]);
            let packet = Packet::new(&bytes).unwrap();
            assert_eq!((packet.random_access(), packet.payload().len()), (false, 0), "{length}");
        }
    }

    #[test]
    fn a_packet_is_sent_again() {
        let first = packet(&[0x47, 0x41, 0, 0x35, 7, 0x10, 1, 2, 3, 4, 5, 6, 9]);
        let repeats = |at: usize, byte: u8| {
            let mut again = first;
            again[at] = byte;
            Packet::new(&again).unwrap().repeats(Packet::new(&first).unwrap())
        };
        assert!(repeats(0, 0x47));
        // Its clock may go on; not its counter, its flags, or what it bears.
        for (at, is) in [(6, true), (11, true), (3, false), (5, false), (12, false), (187, false)] {
            assert_eq!(repeats(at, 0x36), is, "{at}");
        }
        let plain = packet(&[0x47, 0x41, 0, 0x15]);
        let mut other = plain;
        other[8] = 0;
        assert!(!Packet::new(&other).unwrap().repeats(Packet::new(&plain).unwrap()));
    }

    #[test]
    fn framing_is_found_behind_junk() {
        for (stride, lead) in [(188, 0), (192, 4), (204, 0)] {
            for junk in [0, 1, 47, 1000] {
                let mut file = vec![0; junk];
                for _ in 0..8 {
                    file.extend(vec![1; lead]);
                    file.extend(packet(&[0x47]));
                    file.extend(vec![2; stride - lead - SIZE]);
                }
                let found = Framing::of(&file).unwrap();
                let framing = Framing { stride: stride as u64, lead: lead as u64 };
                assert_eq!(found, (framing, junk as u64));
            }
        }
        assert_eq!(Framing::of(&[0x47; 187]), None);
        assert_eq!(Framing::of(&packet(&[0x47])), None);
        assert_eq!(Framing::of(&[]), None);
    }
}
