//! AAC in ADTS: frames of 1024 samples a block, each with its own header (ISO/IEC 14496-3 annex 1.A.3).

use super::{Header, listed, walk};
use crate::media::{Container, Error, Source, listed::Listed};

const RATES: [u32; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/// The header that these bytes begin with.
///
/// ```text
/// sync: 12 | version: 1 | layer: 2 = 0 | no CRC: 1 | profile: 2 | rate: 4 | private: 1 | channels: 3 | ...: 4
/// | size: 13 | fullness: 11 | blocks: 2
/// ```
pub fn header(bytes: &[u8]) -> Option<Header> {
    let &[0xFF, second, third, fourth, fifth, sixth, seventh, ..] = bytes else { return None };
    if second & 0xF6 != 0xF0 {
        return None;
    }
    let rate = *RATES.get(usize::from(third >> 2 & 15))?;
    let channels = u16::from((third & 1) << 2 | fourth >> 6);
    let size = u32::from(fourth & 3) << 11 | u32::from(fifth) << 3 | u32::from(sixth >> 5);
    let least = if second & 1 == 0 { 9 } else { 7 };
    // Profile, rate and channels stay the same in a stream.
    let kind = u32::from(third & 0xFD) << 8 | u32::from(fourth >> 6);
    (size > least).then_some(Header {
        kind,
        size,
        samples: 1024 * (u32::from(seventh & 3) + 1),
        rate,
        channels,
    })
}

pub fn open(source: &dyn Source, first: u64) -> Result<Listed, Error> {
    let (header, frames, samples) = walk(source, first, super::adts::header)?;
    let codec = format!("mp4a.40.{}", (header.kind >> 14 & 3) + 1);
    listed(Container::Adts, &codec, header.channels, frames, samples)
}
