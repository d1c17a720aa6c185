//! How long a packet of sound lasts, by its first bytes.

use crate::media::Error;

/// Bytes of a packet that tell its length.
pub const HEAD: usize = 32;

/// A value of this type is what a stream's first packet says of it.
pub struct Sound {
    pub codec: &'static str,
    pub rate: u32,
    pub channels: u16,
    /// Samples before time zero: decoded, and not heard.
    pub skip: i64,
}

/// What a stream's first packet says, if it is of sound that is read here. Pictures are not: then the file is of no kind
/// that is known.
pub fn sound(packet: &[u8]) -> Result<Option<(Sound, Codec)>, Error> {
    let byte = |at: usize| packet.get(at).copied();
    let word = |at: usize| packet.get(at..)?.first_chunk().map(|&four| u32::from_le_bytes(four));
    let of = |name, rate, channels: u8, skip, codec| {
        (Sound { codec: name, rate, channels: channels.into(), skip }, codec)
    };
    if packet.starts_with(b"OpusHead") {
        // Ticks of 48,000 a second, whatever the rate was before (RFC 7845 §4).
        let skip = byte(10).zip(byte(11)).map(|(low, high)| i64::from(high) << 8 | i64::from(low));
        let head = byte(9).zip(skip);
        return Ok(head.map(|(channels, skip)| of("opus", 48_000, channels, skip, Codec::Opus)));
    }
    if packet.starts_with(b"\x01vorbis") {
        // Vorbis I §4.2.2.
        let (Some(channels), Some(rate), Some(sizes)) = (byte(11), word(12), byte(28)) else {
            return Ok(None);
        };
        let blocks = [1 << (sizes & 15), 1 << (sizes >> 4)];
        let codec = Codec::Vorbis { blocks, modes: None, previous: None };
        return Ok((rate > 0).then(|| of("vorbis", rate, channels, 0, codec)));
    }
    if packet.starts_with(b"\x7FFLAC") {
        // The stream's description stands behind the mapping's nine bytes, `fLaC` and a block's header of four.
        let (Some(first), Some(second), Some(third)) = (byte(27), byte(28), byte(29)) else {
            return Ok(None);
        };
        let rate = u32::from(first) << 12 | u32::from(second) << 4 | u32::from(third >> 4);
        let channels = (third >> 1 & 7) + 1;
        return Ok((rate > 0).then(|| of("flac", rate, channels, 0, Codec::Flac)));
    }
    let pictures: [&[u8]; 4] = [b"\x80theora", b"OVP80", b"BBCD", b"\x01video"];
    let shown = pictures.iter().any(|mark| packet.starts_with(mark));
    if shown { Err(Error::Unknown) } else { Ok(None) }
}

/// A value of this type tells lengths, in samples.
pub enum Codec {
    Opus,
    Vorbis { blocks: [i64; 2], modes: Option<Modes>, previous: Option<i64> },
    Flac,
}

/// Which of Vorbis's two block sizes each mode has: whether it is the long one.
pub struct Modes {
    long: Vec<bool>,
    /// Bits that name a mode.
    bits: u32,
}

impl Codec {
    /// Whether all headers have come that lengths depend on.
    pub fn is_told(&self) -> bool {
        !matches!(self, Codec::Vorbis { modes: None, .. })
    }

    /// Whether the lengths are counted back from a page's end, as ffmpeg does.
    pub fn counts_back(&self) -> bool {
        !matches!(self, Codec::Flac)
    }

    pub fn is_header(&self, packet: &[u8]) -> bool {
        match self {
            Codec::Opus => packet.starts_with(b"OpusHead") || packet.starts_with(b"OpusTags"),
            Codec::Vorbis { .. } => packet.first().is_some_and(|first| first & 1 == 1),
            // Sound begins with the bits of a frame's own mark.
            Codec::Flac => packet.first() != Some(&0xFF),
        }
    }

    /// Takes a header; none where it says nothing that can be.
    pub fn read_header(&mut self, packet: &[u8]) -> Option<()> {
        if let (Codec::Vorbis { modes, .. }, Some(5)) = (self, packet.first()) {
            *modes = Some(Modes::read(packet)?);
        }
        Some(())
    }

    /// How many samples the packet with these first bytes lasts; none where they are of none.
    pub fn length(&mut self, packet: &[u8]) -> Option<i64> {
        match self {
            Codec::Opus => opus(packet),
            Codec::Vorbis { blocks, modes, previous } => {
                let first = u32::from(*packet.first()?);
                let modes = modes.as_ref()?;
                let mode = (first >> 1) & ((1 << modes.bits) - 1);
                let is_long = *modes.long.get(mode as usize)?;
                let [short, long] = *blocks;
                let size = if is_long { long } else { short };
                let before = match is_long {
                    true if first >> (1 + modes.bits) & 1 == 1 => long,
                    true => short,
                    false => previous.unwrap_or(if modes.long.first() == Some(&true) {
                        long
                    } else {
                        short
                    }),
                };
                *previous = Some(size);
                Some((before + size) / 4)
            }
            Codec::Flac => flac(packet),
        }
    }
}

/// Frames of a size that the first byte names, one to 63 of them (RFC 6716 §3.1).
fn opus(packet: &[u8]) -> Option<i64> {
    let first = *packet.first()?;
    let size = match first >> 3 {
        config @ 0..12 => [480, 960, 1920, 2880].get(usize::from(config & 3)).copied()?,
        config @ 12..16 => 480 << (config & 1),
        config => 120 << (config & 3),
    };
    let frames = match first & 3 {
        0 => 1,
        3 => packet.get(1)? & 63,
        _ => 2,
    };
    Some(size * i64::from(frames))
}

/// A frame's size by its header (RFC 9639 §9.1).
fn flac(packet: &[u8]) -> Option<i64> {
    let &[0xFF, second, sizes, _, number, ..] = packet else { return None };
    if second & 0xFC != 0xF8 {
        return None;
    }
    // The frame's number is coded in one byte to seven, of which the first one tells how many.
    let coded = (number.leading_ones() as usize).max(1);
    let byte = |at: usize| packet.get(4 + coded + at).copied().map(i64::from);
    match sizes >> 4 {
        1 => Some(192),
        code @ 2..=5 => Some(576 << (code - 2)),
        6 => Some(byte(0)? + 1),
        7 => Some((byte(0)? << 8 | byte(1)?) + 1),
        code @ 8..=15 => Some(256 << (code - 8)),
        _ => None,
    }
}

impl Modes {
    /// The modes are the last of the header (Vorbis I §4.2.4), and what stands before them is long to read. So they are
    /// read from the end: as many as look like modes, and have their number before them.
    ///
    /// ```text
    /// number - 1: 6 | (long: 1 | window: 16 = 0 | transform: 16 = 0 | mapping: 8) ... | 1
    /// ```
    fn read(packet: &[u8]) -> Option<Modes> {
        const MODE: usize = 41;
        let bit = |at: usize| packet.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
        let number = |at: usize, bits: usize| {
            (0..bits).rev().fold(0_u32, |sum, place| sum << 1 | u32::from(bit(at + place)))
        };
        let end = (0..packet.len() * 8).rev().find(|&at| bit(at))?;
        let mut found = None;
        for count in 1..=64_usize {
            let Some(first) = end.checked_sub(count * MODE).filter(|first| *first >= 6) else {
                break;
            };
            if number(first + 1, 16) != 0
                || number(first + 17, 16) != 0
                || number(first + 33, 8) > 63
            {
                break;
            }
            if number(first - 6, 6) as usize + 1 == count {
                found = Some((first, count));
            }
        }
        let (first, count) = found?;
        let long = (0..count).map(|mode| bit(first + mode * MODE)).collect();
        Some(Modes { long, bits: (count - 1).checked_ilog2().map_or(0, |bits| bits + 1) })
    }
}
