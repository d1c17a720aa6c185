//! AAC in ADTS: frames of 1024 samples a block, each with its own header (ISO/IEC 14496-3 annex 1.A.3).

use super::{Header, IN_A_ROW, Page, ROOM, header_at, is_row, listed, push, stream, too_large};
use crate::media::{Container, Error, Source, frames::Builder, listed::Listed};

/// Samples a second, by a frequency index (ISO/IEC 14496-3 table 1.18).
pub const RATES: [u32; 13] =
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
    // Of configurations only the seventh isn't the number of channels (table 1.19); none where the frame itself tells.
    let channels = match u16::from((third & 1) << 2 | fourth >> 6) {
        7 => 8,
        count => count,
    };
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

/// RFC 6381's name of what has such a header.
pub fn codec(header: &Header) -> String {
    format!("mp4a.40.{}", (header.kind >> 14 & 3) + 1)
}

pub fn open(source: &dyn Source, first: u64) -> Result<Listed, Error> {
    let Some(lead) = header_at(source, first, header)? else { return Err(Error::NoTrack) };
    let mut builder = Builder::new(lead.rate, ROOM, 1);
    let (mut at, mut ticks, mut kind) = (first, 0_i64, lead.kind);
    let mut page = Page::new(source);
    while let Some(next) = page.header(at, header)? {
        // Another file was joined to this one. Its samples are counted at the first one's rate, as ffmpeg does.
        if next.kind != kind && !is_row(source, at, header, IN_A_ROW, 1)? {
            break;
        }
        kind = next.kind;
        // The last one may be cut off.
        let end = at.saturating_add(next.size.into()).min(source.length());
        push(&mut builder, ticks, at..end)?;
        ticks = ticks.saturating_add(next.samples.into());
        at = end;
    }
    // Tags may follow; more sound behind what is none has no time that can be known.
    if stream(source, at, header)?.is_some() {
        return Err(Error::broken(at, "bytes between the frames that belong to none"));
    }
    let frames = builder.finish(Vec::new()).map_err(|_| too_large(at))?;
    listed(Container::Adts, &codec(&lead), (lead.rate, lead.channels), frames, ticks)
}
