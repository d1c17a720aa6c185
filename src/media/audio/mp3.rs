//! MPEG audio, layers I to III (ISO/IEC 11172-3 §2.4.1.3, 13818-3): frames with headers of four bytes. The tables of
//! Xing and VBRI are exact to a hundredth of the file at best, so the headers are walked.

use super::{Header, Page, ROOM, after_id3, header_at, listed, push, stream, too_large};
use crate::media::frames::{Builder, Frames};
use crate::media::{Container, Error, Source, listed::Listed, read_up_to};
use std::ops::Range;

/// Ticks a second of a clock that has a whole number of them for a sample of any rate.
const EVERY_RATE: u32 = 28_224_000;

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
    let lead = header_at(source, first, header)?.unwrap_or(lead);
    listen(source, Container::Mp3, &lead, first..source.length())
}

/// What a WAV holds in those bytes.
pub fn open_within(source: &dyn Source, sound: Range<u64>) -> Result<Listed, Error> {
    let first = stream(source, sound.start, header)?.filter(|&first| first < sound.end);
    let lead = first.map(|first| header_at(source, first, header)).transpose()?.flatten();
    listen(source, Container::Wav, &lead.ok_or(Error::NoTrack)?, sound)
}

fn listen(
    source: &dyn Source,
    container: Container,
    lead: &Header,
    sound: Range<u64>,
) -> Result<Listed, Error> {
    let walked = match walk(source, sound.clone(), lead, lead.rate)? {
        Some(walked) => Some(walked),
        None => walk(source, sound, lead, EVERY_RATE)?,
    };
    let (frames, length) = walked.ok_or(Error::NoTrack)?;
    listed(container, codec(lead), (lead.rate, lead.channels), frames, length)
}

/// What has such a header, by its layer.
pub fn codec(header: &Header) -> &'static str {
    match layer(header) {
        3 => "mp3",
        2 => "mp2",
        _ => "mp1",
    }
}

fn layer(header: &Header) -> u32 {
    4 - (header.kind >> 9 & 3)
}

/// The frames one after the other, and when the last one ends, on a clock of `scale`; none where one is of a rate that
/// this clock can't count.
///
/// What stands between two frames belongs to the later one, and another rate is believed when its fourth frame comes,
/// or the third after such bytes: so ffmpeg's parser has it, and with it what most players show.
fn walk(
    source: &dyn Source,
    sound: Range<u64>,
    lead: &Header,
    scale: u32,
) -> Result<Option<(Frames, i64)>, Error> {
    let mut builder = Builder::new(scale, ROOM, 1);
    let (mut at, mut ticks) = (sound.start, 0_i64);
    let (mut kind, mut row, mut pace) = (lead.kind, 0_i64, *lead);
    // Up to there it is known that frames follow.
    let mut known = lead_in(source, sound.start)?;
    let mut page = Page::new(source);
    while at < sound.end {
        let next = page.header(at, header)?.filter(|next| next.kind == kind);
        let (start, next) = match next {
            Some(next) => (at, next),
            None => {
                if at > known {
                    known = lead_in(source, at)?;
                }
                // Tags may follow the last one.
                let mut places = at..known.min(sound.end - 1).saturating_add(1);
                let found = places.find_map(|place| match page.header(place, header) {
                    Ok(found) => found.map(|found| Ok((place, found))),
                    Err(error) => Some(Err(error)),
                });
                let Some(found) = found.transpose()? else { break };
                found
            }
        };
        if start > at {
            row = -2;
        }
        if next.kind != kind {
            row = -3;
        }
        (kind, row) = (next.kind, row.saturating_add(1));
        if row > i64::from(layer(&next) != layer(lead)) {
            pace = next;
        }
        if !scale.is_multiple_of(pace.rate) {
            return Ok(None);
        }
        // The last one may be cut off.
        let end = start.saturating_add(next.size.into()).min(sound.end);
        push(&mut builder, ticks, at..end)?;
        let length = i64::from(pace.samples) * i64::from(scale / pace.rate);
        (at, ticks) = (end, ticks.saturating_add(length));
    }
    let frames = builder.finish(Vec::new()).map_err(|_| too_large(at))?;
    Ok(Some((frames, ticks)))
}

/// Where frames follow each other next, at `at` or behind a tag and damage there; zero where they don't.
fn lead_in(source: &dyn Source, at: u64) -> Result<u64, Error> {
    Ok(stream(source, after_id3(source, at)?, header)?.unwrap_or(0))
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
