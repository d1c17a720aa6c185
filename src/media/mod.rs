//! Bytes to time: which container a file is, an index of it, and from a time to the bytes that show it.
//! Knows no HTTP, no async, no logging, and never touches a mapping: it reads through [`Source`].

pub mod index;
pub mod time;

use std::io;

/// A value of this type is a file as the readers see it: positioned reads and nothing else.
///
/// A mapping is never read here: a file that shrinks under one kills the process that looks.
pub trait Source: Send + Sync {
    /// The file's length in bytes, as it was when the index was begun.
    fn length(&self) -> u64;
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
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
    /// The file could not be read.
    Io(io::Error),
}
