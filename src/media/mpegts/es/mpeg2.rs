//! MPEG-1, MPEG-2 and MPEG-4 part 2 video, and VC-1: start codes, and the type of a picture.

use super::{Part, Picture};
use crate::media::Rate;

/// A value of this type knows what a stream's sequence headers have said so far (ISO/IEC 13818-2 §6.2).
#[derive(Clone, Debug, Default)]
pub struct Mpeg2 {
    pub dimensions: Option<(u32, u32)>,
    pub rate: Option<Rate>,
    /// A sequence extension was met: this is MPEG-2, not MPEG-1.
    pub extended: bool,
    /// A picture was met that is a field.
    pub fields: bool,
    /// A sequence or a group of pictures began in this PES packet.
    heads: bool,
    /// The picture header: its temporal reference, and whether it is an I picture.
    picture: Option<(u16, bool)>,
    /// A field, not a frame.
    field: bool,
    /// The temporal reference of the field that waits for its other one.
    waiting: Option<u16>,
}

impl Mpeg2 {
    pub fn begin(&mut self) {
        (self.heads, self.picture, self.field) = (false, None, false);
    }

    /// What follows is not what comes next.
    pub fn part(&mut self) {
        self.waiting = None;
    }

    /// A picture has begun, though no slice of it was met.
    pub fn begun(&self) -> bool {
        self.heads || self.picture.is_some()
    }

    pub fn decides(first: u8) -> bool {
        matches!(first, 0x01..=0xaf)
    }

    pub fn take(&mut self, unit: &[u8]) -> Option<Picture> {
        match *unit.first()? {
            0x00 => {
                let &[_, high, low] = unit.first_chunk()?;
                let reference = u16::from_be_bytes([high, low]) >> 6;
                self.picture = Some((reference, low >> 3 & 7 == 1));
            }
            0xb3 => {
                self.heads = true;
                let &[_, a, b, c, d] = unit.first_chunk()?;
                let width = u32::from(a) << 4 | u32::from(b >> 4);
                let height = u32::from(b & 15) << 8 | u32::from(c);
                self.dimensions = Some((width, height));
                self.rate = match d & 15 {
                    1 => Rate::new(24000, 1001),
                    2 => Rate::new(24, 1),
                    3 => Rate::new(25, 1),
                    4 => Rate::new(30000, 1001),
                    5 => Rate::new(30, 1),
                    6 => Rate::new(50, 1),
                    7 => Rate::new(60000, 1001),
                    8 => Rate::new(60, 1),
                    _ => None,
                };
            }
            0xb8 => self.heads = true,
            0xb5 => match unit.get(1)? >> 4 {
                1 => self.extended = true,
                // Picture coding extension: 1 and 2 are top and bottom fields, 3 is a frame.
                8 => {
                    self.field = unit.get(3)? & 3 != 3;
                    self.fields |= self.field;
                }
                _ => {}
            },
            0x01..=0xaf => return self.slice(),
            _ => {}
        }
        None
    }

    fn slice(&mut self) -> Option<Picture> {
        let (reference, sync) = self.picture?;
        let waiting = self.waiting.take();
        // The second field has no place of its own: players, and ffmpeg, take a frame at a time.
        let second = self.field && !self.heads && waiting == Some(reference);
        if self.field && !second {
            self.waiting = Some(reference);
        }
        let part = if second { Part::Rest } else { Part::Whole };
        Some(Picture { sync, part })
    }
}

/// MPEG-4 part 2: a video object plane of type 0 is intra (ISO/IEC 14496-2 §6.2.5).
pub fn mpeg4(unit: &[u8]) -> Option<Picture> {
    let &[0xb6, byte] = unit.first_chunk()? else { return None };
    Some(Picture { sync: byte >> 6 == 0, part: Part::Whole })
}

/// A value of this type has met a sequence header or an entry point before a VC-1 frame (SMPTE 421M
/// annex E): one can start there.
#[derive(Clone, Debug, Default)]
pub struct Vc1 {
    entry: bool,
}

impl Vc1 {
    pub fn begin(&mut self) {
        self.entry = false;
    }

    pub fn take(&mut self, unit: &[u8]) -> Option<Picture> {
        match unit.first()? {
            0x0e | 0x0f => self.entry = true,
            0x0d => return Some(Picture { sync: self.entry, part: Part::Whole }),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(reference: u16, kind: u8) -> [u8; 4] {
        let [high, low] = (reference << 6 | u16::from(kind) << 3).to_be_bytes();
        [0, high, low, 0]
    }

    const TOP: [u8; 5] = [0xb5, 0x8f, 0xff, 0xf1, 0];
    const BOTTOM: [u8; 5] = [0xb5, 0x8f, 0xff, 0xf2, 0];
    const SLICE: [u8; 2] = [1, 0];

    fn take(mpeg2: &mut Mpeg2, units: &[&[u8]]) -> Option<Picture> {
        mpeg2.begin();
        units.iter().find_map(|unit| mpeg2.take(unit))
    }

    #[test]
    fn an_intra_picture_is_a_place_to_start() {
        let mut mpeg2 = Mpeg2::default();
        for (kind, sync) in [(1, true), (2, false), (3, false)] {
            let found = take(&mut mpeg2, &[&SLICE, &picture(5, kind), &SLICE]);
            assert_eq!(found, Some(Picture { sync, part: Part::Whole }));
        }
        assert_eq!(take(&mut mpeg2, &[&SLICE, &SLICE]), None);
        assert!(!mpeg4(&[0xb6, 0x40]).unwrap().sync);
        assert!(mpeg4(&[0xb6, 0x00]).unwrap().sync);
    }

    #[test]
    fn the_second_field_belongs_to_the_first() {
        let mut mpeg2 = Mpeg2::default();
        let mut parts = Vec::new();
        for (reference, kind, field) in [(0, 1, TOP), (0, 2, BOTTOM), (2, 2, TOP), (2, 2, BOTTOM)] {
            let units: [&[u8]; 3] = [&picture(reference, kind), &field, &SLICE];
            parts.push(take(&mut mpeg2, &units).unwrap().part);
        }
        assert_eq!(parts, [Part::Whole, Part::Rest, Part::Whole, Part::Rest]);
        // Both fields in each PES packet, every picture the first of its group.
        for _ in 0..3 {
            let units: [&[u8]; 4] = [&[0xb8, 0], &picture(0, 1), &TOP, &SLICE];
            assert_eq!(take(&mut mpeg2, &units).unwrap().part, Part::Whole);
        }
    }

    #[test]
    fn a_sequence_tells_size_and_rate() {
        let mut mpeg2 = Mpeg2::default();
        take(&mut mpeg2, &[&[0xb3, 0x2d, 0x02, 0x40, 0x34]]);
        assert_eq!((mpeg2.dimensions, mpeg2.rate), (Some((720, 576)), Rate::new(30000, 1001)));
    }
}
