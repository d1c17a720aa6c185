//! Bytes to time: which container a file is, an index of it, and from a time to the bytes that show it.
//! Knows no HTTP, no async, no logging, and never touches a mapping: it reads through [`Source`].

pub mod audio;
pub mod budget;
mod codec;
pub mod column;
pub mod frames;
pub mod growing;
#[cfg(test)]
mod growing_tests;
pub mod index;
pub mod listed;
pub mod matroska;
pub mod mp4;
pub mod mpegts;
mod once;
pub mod time;
pub mod timecode;
pub mod unread;

pub use budget::{Budget, Costly};
pub use growing::{Growing, SoFar};
pub use index::{
    Container, Found, Index, Kind, Layout, Presentation, Sample, StartTimecode, Track,
};
pub use time::{Rate, Rounding, Time};
pub use timecode::{Counting, Label, Place, Reel, Refused, Timecode};
pub use unread::Unread;

use std::{fmt, io};

/// A value of this type is a file as the readers see it: positioned reads and nothing else.
///
/// A mapping is never read here: a file that shrinks under one kills the process that looks.
pub trait Source: Send + Sync {
    /// The file's length in bytes, as it was when the index was begun.
    fn length(&self) -> u64;
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Where the next bytes are stored, from `offset` on: before that there is a hole, which reads as zeros.
    fn stored_from(&self, offset: u64) -> u64 {
        offset
    }
    /// An error where whoever reads shall end; asked by loops that go on for long without a read.
    fn check(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes in memory are a file too: what tests are made of.
impl Source for Vec<u8> {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let from =
            usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or(&[]);
        let count = from.len().min(buffer.len());
        buffer[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }
}

/// Reads as much of `buffer` as the file has at `offset`: fewer bytes only at its end. One that ends before its length is
/// shorter by now, and can't be read: that tells nothing of what it was.
pub fn read_up_to(source: &dyn Source, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(filled as u64);
        match source.read_at(rest, at) {
            Ok(0) if at < source.length() => {
                let what = "the file became shorter while it was read";
                return Err(Error::Io(io::Error::new(io::ErrorKind::UnexpectedEof, what)));
            }
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Io(error)),
        }
    }
    Ok(filled)
}

/// Fills `buffer` from `offset`; a file that ends before is broken there.
pub fn read_exact(source: &dyn Source, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
    let filled = read_up_to(source, buffer, offset)?;
    if filled < buffer.len() {
        let end = offset.saturating_add(filled as u64);
        return Err(Error::broken(end, "the file ends before the bytes it announces"));
    }
    Ok(())
}

/// Bytes that tell which container a file is, if it is one at all.
const HEAD: usize = 4096;

/// The index of a file, by the container that its first bytes name.
pub fn open(source: &dyn Source) -> Result<Box<dyn Index>, Error> {
    let mut head = [0; HEAD];
    let filled = read_up_to(source, &mut head, 0)?;
    let head = head.get(..filled).unwrap_or_default();
    let family = match recognised(head) {
        None if audio::begins_late(source, head)? => Some(Family::Audio),
        family => family,
    };
    match family.ok_or(Error::Unknown)? {
        Family::Mp4 => Ok(Box::new(mp4::open(source)?)),
        Family::Matroska => matroska::open(source),
        Family::Audio => Ok(Box::new(audio::open(source)?)),
        Family::MpegTs => Ok(Box::new(mpegts::open(source)?)),
    }
}

/// One reader each.
enum Family {
    Mp4,
    Matroska,
    Audio,
    MpegTs,
}

/// The family of files that begin so.
fn recognised(head: &[u8]) -> Option<Family> {
    if mp4::recognises(head) {
        Some(Family::Mp4)
    } else if matroska::recognises(head) {
        Some(Family::Matroska)
    } else if audio::recognises(head) {
        Some(Family::Audio)
    } else if mpegts::recognises(head) {
        Some(Family::MpegTs)
    } else {
        None
    }
}

/// A value of this type is why a file gives no index, or no answer.
#[derive(Debug)]
pub enum Error {
    /// No container that is known here.
    Unknown,
    /// A known container without anything that is shown or heard over time.
    NoTrack,
    /// A known container that is broken at `offset`: `what` is a sentence for its owner.
    Broken { offset: u64, what: String },
    /// The file is still being written, and too little of it is there: a clause says what is missing.
    NotYet(&'static str),
    /// The work was given up: it took too long, or too many reads.
    Costly(Costly),
    /// The file could not be read.
    Io(io::Error),
}

impl Error {
    pub fn broken(offset: u64, what: impl Into<String>) -> Self {
        Error::Broken { offset, what: what.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unknown => f.write_str(
                "the file is empty, or no container that is known here: MP4, MOV, Matroska, WebM, MPEG-TS, WAV, MP3, \
                 AAC (ADTS), and Opus, Vorbis and FLAC in Ogg are",
            ),
            Error::NoTrack => f.write_str("the file has no track that is shown or heard over time"),
            Error::Broken { offset, what } => write!(f, "broken at byte {offset}: {what}"),
            Error::NotYet(what) => write!(f, "too little of it is there yet: {what}"),
            Error::Costly(costly) => costly.fmt(f),
            Error::Io(error) => write!(f, "the file could not be read: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A film that had more bytes when it was opened.
    struct Shrunk(Vec<u8>, u64);

    impl Source for Shrunk {
        fn length(&self) -> u64 {
            self.1
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            self.0.read_at(buffer, offset)
        }
    }

    #[test]
    fn a_film_that_shrinks_while_it_is_read_is_not_called_broken() {
        for name in ["moov-last.mp4", "fragmented.mp4", "film.mkv", "no-cues.mkv", "stream.ts"] {
            let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
            let film = std::fs::read(path).unwrap();
            let (left, length) = (film[..film.len() / 2].to_vec(), film.len() as u64);
            let shrunk = open(&Shrunk(left, length)).err();
            assert!(matches!(shrunk, Some(Error::Io(_))), "{name}: {shrunk:?}");
        }
    }
}
