//! HEVC and VVC: the type of the first slice's NAL unit says whether to start there.

use super::bits::{Bits, unescaped};
use super::{Part, Picture};
use crate::media::codec;

/// A value of this type knows what a stream's sets have said so far.
#[derive(Clone, Debug, Default)]
pub struct Hevc {
    pub codec: Option<String>,
    pub dimensions: Option<(u32, u32)>,
    begun: bool,
}

impl Hevc {
    pub fn begin(&mut self) {
        self.begun = false;
    }

    /// A picture has begun, though no slice of it was met.
    pub fn begun(&self) -> bool {
        self.begun
    }

    pub fn decides(first: u8) -> bool {
        first >> 1 & 63 < 32
    }

    pub fn take(&mut self, nal: &[u8]) -> Option<Picture> {
        let &[first, second] = nal.first_chunk()?;
        let kind = first >> 1 & 63;
        let layer = (first & 1) << 5 | second >> 3;
        if layer > 0 {
            return None;
        }
        match kind {
            0..=31 => {
                let opens = nal.get(2).is_some_and(|byte| byte & 0x80 != 0);
                // IRAP pictures are 16 to 23 (ITU-T H.265 table 7-1).
                let picture = Picture { sync: (16..24).contains(&kind), part: Part::Whole };
                return (opens || self.begun).then_some(picture);
            }
            33 => self.sequence(&unescaped(nal.get(2..)?, 4096)).unwrap_or(()),
            32 | 34 | 35 | 39 => {}
            _ => return None,
        }
        self.begun = true;
        None
    }

    /// Profile, level and size of a sequence parameter set (§7.3.2.2).
    fn sequence(&mut self, bytes: &[u8]) -> Option<()> {
        let layers = u32::from(bytes.first()? >> 1 & 7);
        self.codec = Some(codec::hevc("hvc1", *bytes.get(1..)?.first_chunk()?));
        let mut bits = Bits::new(bytes.get(13..)?);
        let mut flags = Vec::new();
        for _ in 0..layers {
            flags.push((bits.bit()?, bits.bit()?));
        }
        if layers > 0 {
            bits.skip(2 * (8 - layers as usize));
        }
        for (profile, level) in flags {
            bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 });
        }
        bits.ue()?;
        let chroma = bits.ue()?;
        if chroma == 3 {
            bits.bit()?;
        }
        let (width, height) = (bits.ue()?, bits.ue()?);
        let mut crop = [0u32; 4];
        if bits.bit()? {
            for side in &mut crop {
                *side = bits.ue()?;
            }
        }
        let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
        let unit_y = if chroma == 1 { 2 } else { 1 };
        let side = |whole: u32, unit: u32, low: u32, high: u32| {
            whole.checked_sub(low.checked_add(high)?.checked_mul(unit)?)
        };
        self.dimensions =
            Some((side(width, unit_x, crop[0], crop[1])?, side(height, unit_y, crop[2], crop[3])?));
        Some(())
    }
}

/// VVC: slices are types 0 to 11, of which 7 to 11 are places to start (ITU-T H.266 table 5).
pub fn vvc(nal: &[u8]) -> Option<Picture> {
    let kind = nal.get(1)? >> 3;
    (kind < 12).then_some(Picture { sync: (7..12).contains(&kind), part: Part::Whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_the_first_slice_decides() {
        for (kind, sync) in [(0, false), (1, false), (9, false), (16, true), (19, true), (21, true)]
        {
            let mut hevc = Hevc::default();
            let picture = hevc.take(&[kind << 1, 1, 0x80]).unwrap();
            assert_eq!(picture.sync, sync, "{kind}");
        }
    }

    #[test]
    fn the_rest_of_the_picture_before_is_passed_over() {
        let mut hevc = Hevc::default();
        assert_eq!(hevc.take(&[19 << 1, 1, 0]), None);
        assert_eq!(hevc.take(&[35 << 1, 1, 0x50]), None);
        assert!(hevc.take(&[21 << 1, 1, 0]).unwrap().sync);
        hevc.begin();
        assert_eq!(hevc.take(&[19 << 1, 1, 0]), None);
        assert_eq!(hevc.take(&[19 << 1 | 1, 1, 0x80]), None, "another layer");
    }

    #[test]
    fn a_sequence_names_its_codec() {
        // x265, Main, level 2, 128x96.
        let sps = [
            0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1e, 0xa0,
            0x10, 0x20, 0x30, 0x59,
        ];
        let mut hevc = Hevc::default();
        for cut in 0..=sps.len() {
            hevc.sequence(&sps[..cut]);
        }
        assert_eq!(hevc.codec.as_deref(), Some("hvc1.1.6.L30.90"));
    }
}
