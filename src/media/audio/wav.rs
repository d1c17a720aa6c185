//! WAV and RF64: blocks of equal size, so that a time is a place by arithmetic (EBU Tech 3306). A frame is as many
//! whole blocks as 4096 bytes hold, the packet that ffmpeg makes of them.

use super::{ROOM, listed, mp3, push};
use crate::media::frames::Builder;
use crate::media::{Container, Error, Source, listed::Listed, read_up_to};
use std::ops::Range;

/// Bytes a frame at the most, where a block is not longer.
const FRAME: u64 = 4096;
/// GSM 06.10, of which each block is a frame.
const GSM: &str = "gsm";
/// Chunks before the data.
const MOST_CHUNKS: usize = 4096;
/// Frames between two looks whether to go on: none of them is read.
const BETWEEN_CHECKS: u64 = 1 << 16;

pub fn recognises(head: &[u8]) -> bool {
    (head.starts_with(b"RIFF") || head.starts_with(b"RF64")) && head.get(8..12) == Some(b"WAVE")
}

#[derive(Default)]
struct Format {
    codec: &'static str,
    channels: u16,
    rate: u32,
    /// Bytes a block, and how many samples of each channel it holds.
    block: u64,
    samples: u64,
    /// What it holds are frames with headers, of MPEG audio.
    framed: bool,
}

pub fn open(source: &dyn Source) -> Result<Listed, Error> {
    let length = source.length();
    let (mut at, mut format, mut long) = (12_u64, None, None);
    for _ in 0..MOST_CHUNKS {
        let mut head = [0; 8];
        if read_up_to(source, &mut head, at)? < head.len() {
            break;
        }
        let [a, b, c, d, size @ ..] = head;
        let (body, size) = (at.saturating_add(8), u64::from(u32::from_le_bytes(size)));
        match &[a, b, c, d] {
            b"ds64" => {
                let mut sizes = [0; 16];
                read_up_to(source, &mut sizes, body)?;
                long = sizes.last_chunk().map(|&bytes| u64::from_le_bytes(bytes));
            }
            b"fmt " => format = read_format(source, body, size)?,
            b"data" => {
                let Some(format) = format else {
                    return Err(Error::broken(at, "the data stands before its format"));
                };
                // All ones is "see ds64", or a writer that could not go back; zero likewise.
                let size = match (size, long) {
                    (0xFFFF_FFFF, Some(long)) => long,
                    (0 | 0xFFFF_FFFF, _) => length,
                    (size, _) => size,
                };
                let end = body.saturating_add(size).min(length);
                return match format.framed {
                    true => mp3::open_within(source, body..end),
                    false => frames(source, &format, body..end),
                };
            }
            _ => {}
        }
        at = body.saturating_add(size).saturating_add(size & 1);
    }
    Err(Error::broken(at, "no data chunk"))
}

/// The format, unless its blocks hold nobody knows how many samples.
fn read_format(source: &dyn Source, at: u64, size: u64) -> Result<Option<Format>, Error> {
    let mut bytes = [0; 26];
    let filled = read_up_to(source, &mut bytes, at)?.min(usize::try_from(size).unwrap_or(26));
    let word = |at: usize| {
        bytes.get(..filled)?.get(at..)?.first_chunk().map(|&two| u16::from_le_bytes(two))
    };
    let (Some(tag), Some(channels), Some(block)) = (word(0), word(2), word(12)) else {
        return Err(Error::broken(at, "the format is cut off"));
    };
    // WAVE_FORMAT_EXTENSIBLE: the tag is the first word of the sub-format.
    let tag = if tag == 0xFFFE { word(24).unwrap_or(tag) } else { tag };
    let (codec, samples) = match tag {
        1 => ("pcm", 1),
        3 => ("pcm-float", 1),
        6 => ("pcm-alaw", 1),
        7 => ("pcm-ulaw", 1),
        2 => ("adpcm-ms", word(18).unwrap_or(0)),
        0x11 => ("adpcm-ima", word(18).unwrap_or(0)),
        0x31 => (GSM, word(18).unwrap_or(0)),
        0x50 | 0x55 => return Ok(Some(Format { framed: true, ..Format::default() })),
        _ => return Err(Error::NoTrack),
    };
    let rate = word(4).zip(word(6)).map_or(0, |(low, high)| u32::from(high) << 16 | u32::from(low));
    if rate == 0 || block == 0 || samples == 0 {
        return Err(Error::broken(at, "a format without a rate or a block"));
    }
    Ok(Some(Format {
        codec,
        channels,
        rate,
        block: block.into(),
        samples: samples.into(),
        framed: false,
    }))
}

fn frames(source: &dyn Source, format: &Format, data: Range<u64>) -> Result<Listed, Error> {
    let whole = if format.codec == GSM { 1 } else { (FRAME / format.block).max(1) };
    let mut builder = Builder::new(format.rate, ROOM, 1);
    let (mut at, mut ticks) = (data.start, 0_i64);
    for number in 0_u64.. {
        if number.is_multiple_of(BETWEEN_CHECKS) {
            source.check()?;
        }
        if data.end.saturating_sub(at) < format.block {
            break;
        }
        let blocks = whole.min((data.end - at) / format.block);
        let next = at + blocks * format.block;
        push(&mut builder, ticks, at..next)?;
        let samples = i64::try_from(blocks * format.samples).unwrap_or(i64::MAX);
        (at, ticks) = (next, ticks.saturating_add(samples));
    }
    let frames = builder.finish(Vec::new()).map_err(|_| super::too_large(at))?;
    listed(Container::Wav, format.codec, (format.rate, format.channels), frames, ticks)
}
