//! Files of sound alone whose frames can be found without decoding: WAV by arithmetic, MP3 and ADTS AAC by a walk
//! from frame header to frame header, Ogg by one from page to page. Every frame is a sync sample.

pub mod adts;
pub mod mp3;
mod ogg;
mod wav;

use super::{
    Container, Error, Kind, Layout, Presentation, Source, Time, Track,
    frames::{Builder, Entry, Frames},
    listed::Listed,
    read_up_to,
};
use std::ops::Range;

/// Heap bytes that a table may take while it is made.
const ROOM: usize = 48 << 20;
/// Frames that must follow each other for bytes to be taken for a stream of them.
const IN_A_ROW: usize = 3;
/// The same for bytes behind others that are none of theirs: other containers, too, hold a few frames in a row.
const MANY_IN_A_ROW: usize = 32;
/// How far apart two frames may be for the bytes between them to be passed over as damage.
const MOST_DAMAGE: u64 = 64 << 10;

/// Whether these are the first bytes of such a file.
pub fn recognises(head: &[u8]) -> bool {
    // Where a first frame with its table of positions was blanked out, zeros are left, and sound follows soon.
    let reach = if head.starts_with(&[0; 16]) { 1024 } else { 1 };
    let mut starts = (0..reach).filter_map(|skip| head.get(skip..));
    wav::recognises(head)
        || ogg::recognises(head)
        || head.starts_with(b"ID3")
        || starts.any(|frame| adts::header(frame).is_some() || mp3::header(frame).is_some())
}

/// Whether a file that begins with those bytes, which are no others that are known, holds a stream that begins in the
/// middle of a frame.
pub fn begins_late(source: &dyn Source, head: &[u8]) -> Result<bool, Error> {
    if head.starts_with(b"RIFF") || head.starts_with(b"FORM") {
        return Ok(false);
    }
    for parse in [adts::header, mp3::header] {
        for (skip, at) in (0..head.len()).zip(0..) {
            let is_header = head.get(skip..).and_then(parse).is_some();
            if is_header && is_row(source, at, parse, MANY_IN_A_ROW, IN_A_ROW)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The index of a file of sound.
pub fn open(source: &dyn Source) -> Result<Listed, Error> {
    let mut head = [0; 16];
    let filled = read_up_to(source, &mut head, 0)?;
    let head = head.get(..filled).unwrap_or_default();
    if wav::recognises(head) {
        return wav::open(source);
    }
    if ogg::recognises(head) {
        return ogg::open(source);
    }
    let start = after_id3(source, 0)?;
    if let Some(first) = stream(source, start, adts::header)? {
        return adts::open(source, first);
    }
    match stream(source, start, mp3::header)? {
        Some(first) => mp3::open(source, first),
        None => Err(Error::Unknown),
    }
}

/// A value of this type is the header of a frame, as much as a walk needs: frames with the same `kind` are of one
/// stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    kind: u32,
    /// Header and all, in bytes.
    pub size: u32,
    pub samples: u32,
    pub rate: u32,
    pub channels: u16,
}

/// Bytes that any of the headers needs.
const HEADER: usize = 8;

fn header_at(
    source: &dyn Source,
    at: u64,
    parse: fn(&[u8]) -> Option<Header>,
) -> Result<Option<Header>, Error> {
    let mut bytes = [0; HEADER];
    let filled = read_up_to(source, &mut bytes, at)?;
    Ok(bytes.get(..filled).and_then(parse))
}

/// Where the content begins after ID3v2 tags at `at`: their sizes are numbers of seven bits a byte (ID3v2.4 §3.1).
fn after_id3(source: &dyn Source, mut at: u64) -> Result<u64, Error> {
    loop {
        let mut tag = [0; 10];
        let filled = read_up_to(source, &mut tag, at)?;
        let &[b'I', b'D', b'3', _, _, flags, a, b, c, d] = &tag else { return Ok(at) };
        if filled < tag.len() || (a | b | c | d) & 0x80 != 0 {
            return Ok(at);
        }
        let size = [a, b, c, d].iter().fold(0, |size, &byte| size << 7 | u64::from(byte));
        let footer = if flags & 0x10 != 0 { 10 } else { 0 };
        at = at.saturating_add(10 + size + footer);
    }
}

/// Where a stream of frames begins, at or soon after `start`.
fn stream(
    source: &dyn Source,
    start: u64,
    parse: fn(&[u8]) -> Option<Header>,
) -> Result<Option<u64>, Error> {
    let mut page = Page::new(source);
    for at in start..start.saturating_add(MOST_DAMAGE).min(source.length()) {
        if page.header(at, parse)?.is_some() && is_row(source, at, parse, IN_A_ROW, 1)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Whether that many frames of one kind follow each other at `at`, or at least `fewest` that end with the file.
fn is_row(
    source: &dyn Source,
    mut at: u64,
    parse: fn(&[u8]) -> Option<Header>,
    many: usize,
    fewest: usize,
) -> Result<bool, Error> {
    let mut kind = None;
    for number in 0..many {
        match header_at(source, at, parse)? {
            Some(header) if kind.is_none_or(|kind| kind == header.kind) => {
                kind = Some(header.kind);
                at = at.saturating_add(header.size.into());
            }
            _ => return Ok(number >= fewest && at == source.length()),
        }
    }
    Ok(true)
}

/// A value of this type reads a page at a time, for headers that are near to each other.
struct Page<'a> {
    source: &'a dyn Source,
    bytes: Vec<u8>,
    from: u64,
    filled: usize,
}

impl<'a> Page<'a> {
    fn new(source: &'a dyn Source) -> Self {
        Page { source, bytes: vec![0; 4096], from: 0, filled: 0 }
    }

    fn header(
        &mut self,
        at: u64,
        parse: fn(&[u8]) -> Option<Header>,
    ) -> Result<Option<Header>, Error> {
        let inside = at.checked_sub(self.from).and_then(|skip| usize::try_from(skip).ok());
        let skip = match inside.filter(|skip| skip.saturating_add(HEADER) <= self.filled) {
            Some(skip) => skip,
            None => {
                self.filled = read_up_to(self.source, &mut self.bytes, at)?;
                self.from = at;
                0
            }
        };
        Ok(self.bytes.get(skip..self.filled).and_then(parse))
    }
}

fn push(builder: &mut Builder, ticks: i64, span: Range<u64>) -> Result<(), Error> {
    let size = u32::try_from(span.end - span.start).unwrap_or(u32::MAX);
    let entry = Entry { ticks, offset: span.start, size, sync: true, part: 0 };
    builder.push(entry).map_err(|_| too_large(span.start))
}

fn too_large(offset: u64) -> Error {
    Error::broken(offset, "more frames than an index can hold")
}

/// The index of sound in `frames`, by whose clock its length is counted.
fn listed(
    container: Container,
    codec: &str,
    (rate, channels): (u32, u16),
    frames: Frames,
    length: i64,
) -> Result<Listed, Error> {
    if frames.is_empty() {
        return Err(Error::NoTrack);
    }
    let duration = Some(Time::new(length, frames.scale()));
    let track = Track {
        id: 1,
        codec: codec.to_owned(),
        kind: Kind::Audio,
        duration,
        sample_rate: Some(rate),
        channels: Some(channels),
        ..Track::default()
    };
    let count = Some(frames.len() as u64);
    let layout = Layout {
        container,
        brand: None,
        fragmented: false,
        tables: None,
        frames: count,
        sync_samples: count,
    };
    let presentation = Presentation { tracks: vec![track], main: 0, start: None, layout, duration };
    Ok(Listed { presentation, frames })
}

#[cfg(test)]
mod tests;
