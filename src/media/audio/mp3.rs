//! MPEG audio, layers I to III (ISO/IEC 11172-3 §2.4.1.3, 13818-3): frames with headers of four bytes. The tables of
//! Xing and VBRI are exact to a hundredth of the file at best, so the headers are walked.

use super::{Header, header_at, listed, walk};
use crate::media::{Container, Error, Source, listed::Listed, read_up_to};

/// Kilobits a second by version 1 or 2, layer, and the header's four bits.
const BITRATES: [[[u32; 14]; 3]; 2] = [
    [
        [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
        [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    ],
    [
        [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ],
];

/// The header that these bytes begin with.
///
/// ```text
/// sync: 11 | version: 2 | layer: 2 | no CRC: 1 | bit rate: 4 | rate: 2 | padding: 1 | private: 1 | mode: 2 | ...
/// ```
pub fn header(bytes: &[u8]) -> Option<Header> {
    let &[0xFF, second, third, fourth, ..] = bytes else { return None };
    let (version, layer) = (second >> 3 & 3, 4 - usize::from(second >> 1 & 3));
    if second & 0xE0 != 0xE0 || version == 1 || layer == 4 {
        return None;
    }
    let halved = [2, 0, 1, 0].get(usize::from(version)).copied().unwrap_or_default();
    let rate = [44100, 48000, 32000].get(usize::from(third >> 2 & 3))? >> halved;
    let table = BITRATES.get(usize::from(version != 3))?.get(layer - 1)?;
    let bits = 1000 * *table.get(usize::from(third >> 4).checked_sub(1)?)?;
    let padding = u32::from(third >> 1 & 1);
    let (samples, size) = match layer {
        1 => (384, (12 * bits / rate + padding) * 4),
        3 if version != 3 => (576, 72 * bits / rate + padding),
        _ => (1152, 144 * bits / rate + padding),
    };
    let channels = if fourth >> 6 == 3 { 1 } else { 2 };
    // Version, layer and rate stay the same in a stream.
    let kind = u32::from(second & 0x1E) << 8 | u32::from(third & 0x0C);
    Some(Header { kind, size, samples, rate, channels })
}

pub fn open(source: &dyn Source, first: u64) -> Result<Listed, Error> {
    let Some(lead) = header_at(source, first, header)? else { return Err(Error::NoTrack) };
    let first = if is_tag(source, first, &lead)? { first + u64::from(lead.size) } else { first };
    let (lead, frames, samples) = walk(source, first, header)?;
    let codec = match lead.kind >> 9 & 3 {
        1 => "mp3",
        2 => "mp2",
        _ => "mp1",
    };
    listed(Container::Mp3, codec, lead.channels, frames, samples)
}

/// Whether the first frame holds no sound but a Xing, Info or VBRI table.
fn is_tag(source: &dyn Source, first: u64, lead: &Header) -> Result<bool, Error> {
    let mut bytes = [0; 4 + 32 + 4];
    let filled = read_up_to(source, &mut bytes, first)?;
    let frame = bytes.get(..filled).unwrap_or_default();
    // Behind the side information, whose length is by version and channels; VBRI stands at 32 always.
    let side = match (lead.samples == 1152, lead.channels) {
        (true, 2) => 32,
        (true, _) | (false, 2) => 17,
        (false, _) => 9,
    };
    let word = |at: usize| frame.get(4 + at..8 + at);
    Ok(matches!(word(side), Some(b"Xing" | b"Info")) || word(32) == Some(b"VBRI"))
}
