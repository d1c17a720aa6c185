//! H.264: is this picture one to start from, and is it a frame or a field? Reads the sets and the first
//! bytes of the first slice; decodes nothing.

use super::bits::{Bits, unescaped};
use super::{Part, Picture};
use crate::media::Rate;

/// What is kept of a sequence parameter set (ITU-T H.264 §7.3.2.1.1).
#[derive(Clone, Copy, Debug)]
pub struct Sequence {
    pub profile: [u8; 3],
    pub dimensions: (u32, u32),
    pub rate: Option<Rate>,
    frame_number_bits: u32,
    references: u32,
    separate_planes: bool,
    frames_only: bool,
}

/// What is kept of a picture parameter set.
#[derive(Clone, Copy, Debug)]
struct PictureSet {
    sequence: u8,
    references: u8,
}

/// A value of this type knows what a stream's sets have said so far.
#[derive(Clone, Debug)]
pub struct H264 {
    sequences: [Option<Sequence>; 32],
    pictures: Vec<Option<PictureSet>>,
    pub latest: Option<Sequence>,
    /// A recovery point was announced for the picture that follows.
    recovery: bool,
    /// The access unit has begun in this PES packet: slices before belong to the one before.
    begun: bool,
    /// The field that waits for its other one: frame number and parity.
    field: Option<(u32, bool)>,
}

impl Default for H264 {
    fn default() -> Self {
        H264 {
            sequences: [None; 32],
            pictures: vec![None; 256],
            latest: None,
            recovery: false,
            begun: false,
            field: None,
        }
    }
}

impl H264 {
    pub fn begin(&mut self) {
        (self.recovery, self.begun) = (false, false);
    }

    /// What follows is not what comes next.
    pub fn part(&mut self) {
        self.field = None;
    }

    /// A picture has begun, though no slice of it was met.
    pub fn begun(&self) -> bool {
        self.begun
    }

    pub fn decides(first: u8) -> bool {
        matches!(first & 31, 1 | 2 | 5)
    }

    pub fn take(&mut self, nal: &[u8]) -> Option<Picture> {
        let kind = nal.first()? & 31;
        match kind {
            1 | 2 | 5 => return self.slice(kind, nal.get(1..)?),
            6 => self.recovery |= announces_recovery(nal.get(1..)?),
            7 => {
                if let Some((id, sequence)) = sequence(&unescaped(nal.get(1..)?, 4096)) {
                    self.latest = Some(sequence);
                    if let Some(place) = self.sequences.get_mut(id) {
                        *place = Some(sequence);
                    }
                }
            }
            8 => {
                if let Some((id, set)) = picture_set(&unescaped(nal.get(1..)?, 64)) {
                    self.pictures[id] = Some(set);
                }
            }
            9 => {}
            _ => return None,
        }
        self.begun = true;
        None
    }

    fn slice(&mut self, kind: u8, nal: &[u8]) -> Option<Picture> {
        let bytes = unescaped(nal, 32);
        let mut bits = Bits::new(&bytes);
        let first = bits.ue();
        if first != Some(0) && !self.begun {
            return None;
        }
        let mut sync = kind == 5 || self.recovery;
        let part = self.header(&mut bits, &mut sync).unwrap_or(Part::Whole);
        Some(Picture { sync, part })
    }

    /// The slice header from its type on; `None` where the sets are not known.
    fn header(&mut self, bits: &mut Bits<'_>, sync: &mut bool) -> Option<Part> {
        let slice = bits.ue()? % 5;
        let picture = (*self.pictures.get(bits.ue()? as usize)?)?;
        let sequence = (*self.sequences.get(usize::from(picture.sequence))?)?;
        // Streams of intra pictures alone often mark none of them: with one reference frame an I picture
        // is taken for a place to start, as ffmpeg does.
        *sync |= slice == 2 && sequence.references <= 1 && picture.references <= 1;
        if sequence.separate_planes {
            bits.bits(2)?;
        }
        let number = bits.bits(sequence.frame_number_bits)?;
        let waiting = self.field.take();
        if sequence.frames_only || !bits.bit()? {
            return Some(Part::Whole);
        }
        let bottom = bits.bit()?;
        if waiting == Some((number, !bottom)) {
            return Some(Part::SecondField);
        }
        self.field = Some((number, bottom));
        Some(Part::Whole)
    }
}

/// Whether one of an SEI's messages is a recovery point (§D.1.8).
fn announces_recovery(nal: &[u8]) -> bool {
    let bytes = unescaped(nal, 1 << 16);
    let mut rest = &bytes[..];
    let number = |rest: &mut &[u8]| {
        let mut number = 0usize;
        loop {
            let (&byte, after) = rest.split_first()?;
            *rest = after;
            number += usize::from(byte);
            if byte != 0xff {
                return Some(number);
            }
        }
    };
    while rest.len() > 1 {
        let (Some(kind), Some(size)) = (number(&mut rest), number(&mut rest)) else { return false };
        if kind == 6 {
            return true;
        }
        rest = rest.get(size..).unwrap_or(&[]);
    }
    false
}

fn picture_set(bytes: &[u8]) -> Option<(usize, PictureSet)> {
    let mut bits = Bits::new(bytes);
    let id = bits.ue().filter(|&id| id < 256)? as usize;
    let sequence = bits.ue().filter(|&id| id < 32)? as u8;
    bits.bits(2)?;
    // Slice groups (baseline only) are not read through: their references stay unknown.
    let references = match bits.ue()? {
        0 => (bits.ue()?.min(254) + 1) as u8,
        _ => u8::MAX,
    };
    Some((id, PictureSet { sequence, references }))
}

fn sequence(bytes: &[u8]) -> Option<(usize, Sequence)> {
    let &profile = bytes.first_chunk()?;
    let mut bits = Bits::new(bytes.get(3..)?);
    let id = bits.ue()? as usize;
    let (mut chroma, mut separate_planes) = (1, false);
    if matches!(
        profile[0],
        44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244
    ) {
        chroma = bits.ue()?;
        separate_planes = chroma == 3 && bits.bit()?;
        for _ in 0..2 {
            bits.ue()?;
        }
        bits.bit()?;
        if bits.bit()? {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if bits.bit()? {
                    scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    let frame_number_bits = bits.ue().filter(|&bits| bits <= 12)? + 4;
    match bits.ue()? {
        0 => drop(bits.ue()?),
        1 => {
            bits.bit()?;
            bits.se()?;
            bits.se()?;
            for _ in 0..bits.ue().filter(|&count| count < 256)? {
                bits.se()?;
            }
        }
        _ => {}
    }
    let references = bits.ue()?;
    bits.bit()?;
    let (across, down) = (bits.ue()?, bits.ue()?);
    let frames_only = bits.bit()?;
    if !frames_only {
        bits.bit()?;
    }
    bits.bit()?;
    let mut crop = [0; 4];
    if bits.bit()? {
        for side in &mut crop {
            *side = bits.ue()?;
        }
    }
    let fields = if frames_only { 1 } else { 2 };
    let (unit_x, unit_y) = match chroma {
        1 => (2, 2 * fields),
        2 => (2, fields),
        _ => (1, fields),
    };
    let side = |blocks: u32, unit: u32, low: u32, high: u32| {
        let whole = blocks.checked_add(1)?.checked_mul(16)?;
        whole.checked_sub(low.checked_add(high)?.checked_mul(unit)?)
    };
    let width = side(across, unit_x, crop[0], crop[1])?;
    let height = side(down.checked_add(1)?.checked_mul(fields)? - 1, unit_y, crop[2], crop[3])?;
    let rate = timing(&mut bits);
    let dimensions = (width, height);
    let sequence = Sequence {
        profile,
        dimensions,
        rate,
        frame_number_bits,
        references,
        separate_planes,
        frames_only,
    };
    Some((id, sequence))
}

fn scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            next = last.wrapping_add(bits.se()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// Frames a second, where the usability information tells them (§E.1.1).
fn timing(bits: &mut Bits<'_>) -> Option<Rate> {
    if !bits.bit()? {
        return None;
    }
    if bits.bit()? && bits.bits(8)? == 255 {
        bits.bits(32)?;
    }
    if bits.bit()? {
        bits.bit()?;
    }
    if bits.bit()? {
        bits.bits(4)?;
        if bits.bit()? {
            bits.bits(24)?;
        }
    }
    if bits.bit()? {
        bits.ue()?;
        bits.ue()?;
    }
    if !bits.bit()? {
        return None;
    }
    let (units, scale) = (bits.bits(32)?, bits.bits(32)?);
    Rate::new(scale, units.checked_mul(2)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_point_is_found_among_messages() {
        assert!(announces_recovery(&[6, 1, 0x84, 0x80]));
        assert!(announces_recovery(&[1, 2, 9, 9, 6, 1, 0x84, 0x80]));
        assert!(!announces_recovery(&[1, 2, 6, 6, 0x80]));
        assert!(!announces_recovery(&[0xff; 100]));
        assert!(!announces_recovery(&[1, 200, 6, 1]));
        // A message of type 255 + 6 is not of type 6.
        assert!(!announces_recovery(&[0xff, 6, 1, 6, 0x80]));
    }

    #[test]
    fn sets_of_real_encoders() {
        // x264, 320x180, 25 fps.
        let sps = [
            0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0x9f, 0x9f, 0x01, 0x6c, 0x80, 0x00, 0x00,
            0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8a, 0x14, 0xcb,
        ];
        let (id, set) = sequence(&unescaped(&sps, 4096)).unwrap();
        assert_eq!((id, set.profile, set.dimensions), (0, [0x64, 0, 0x0d], (320, 180)));
        assert_eq!(set.rate, Rate::new(25, 1));
        assert!(set.frames_only);
        for cut in 0..sps.len() {
            let _ = sequence(&unescaped(&sps[..cut], 4096));
        }
    }

    #[test]
    fn an_idr_slice_and_a_recovery_point_are_places_to_start() {
        let slice = |kind: u8| [kind, 0x88, 0x84, 0x00];
        let mut h264 = H264::default();
        assert!(h264.take(&slice(0x65)).unwrap().sync);
        h264.begin();
        assert!(!h264.take(&slice(0x41)).unwrap().sync);
        h264.begin();
        assert_eq!(h264.take(&[6, 6, 1, 0x84, 0x80]), None);
        assert!(h264.take(&slice(0x41)).unwrap().sync);
        // The announcement is for one picture.
        h264.begin();
        assert!(!h264.take(&slice(0x41)).unwrap().sync);
    }

    /// Bytes of these bits, filled up with zeros.
    fn packed(kind: u8, bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
        let pack = |eight: &[u8]| (0..8).fold(0, |byte, k| byte << 1 | eight.get(k).unwrap_or(&0));
        [kind].into_iter().chain(bits.chunks(8).map(pack)).collect()
    }

    #[test]
    fn the_second_field_of_a_frame_is_told() {
        let mut h264 = H264::default();
        // Main profile; set 0, four bits of frame number, one reference, 32 by 32, fields allowed.
        let sps = "01001101 00000000 00011110 1 1 011 010 0 010 1 0 0 1 0 0 1";
        h264.take(&packed(0x67, sps));
        h264.take(&packed(0x68, "1 1 0 0 1 1 1"));
        assert_eq!(h264.latest.unwrap().dimensions, (32, 32));
        let mut part = |number: &str, field: &str| {
            h264.begin();
            h264.take(&packed(0x41, &format!("1 1 1 {number} {field} 111111111111"))).unwrap().part
        };
        let (top, bottom, frame) = ("10", "11", "0");
        assert_eq!(part("0001", top), Part::Whole);
        assert_eq!(part("0001", bottom), Part::SecondField);
        // A field of another frame, another field of the same parity, a third field: all are new.
        assert_eq!(part("0010", top), Part::Whole);
        assert_eq!(part("0011", bottom), Part::Whole);
        assert_eq!(part("0011", bottom), Part::Whole);
        assert_eq!(part("0011", top), Part::SecondField);
        assert_eq!(part("0011", bottom), Part::Whole);
        // A frame between them.
        assert_eq!(part("0100", frame), Part::Whole);
        assert_eq!(part("0011", top), Part::Whole);
    }

    #[test]
    fn pictures_of_one_reference_are_places_to_start() {
        let mut h264 = H264::default();
        let sps = "01001101 00000000 00011110 1 1 011 010 0 010 1 1 1 0 0 1";
        let (i, p) = ("1 011 1 0000 1111111", "1 1 1 0000 1111111");
        h264.take(&packed(0x67, sps));
        h264.take(&packed(0x68, "1 1 0 0 1 1 1"));
        h264.begin();
        assert!(h264.take(&packed(0x41, i)).unwrap().sync);
        assert!(!h264.take(&packed(0x41, p)).unwrap().sync);
        // Two references by default.
        h264.take(&packed(0x68, "1 1 0 0 1 010 1"));
        assert!(!h264.take(&packed(0x41, i)).unwrap().sync);
    }

    #[test]
    fn the_rest_of_the_picture_before_is_passed_over() {
        let mut h264 = H264::default();
        // first_mb_in_slice is 1: not the beginning of a picture.
        assert_eq!(h264.take(&[0x65, 0x48, 0x84, 0x00]), None);
        assert_eq!(h264.take(&[9, 0xf0]), None);
        assert!(!h264.take(&[0x41, 0x88, 0x84, 0]).unwrap().sync);
    }
}
