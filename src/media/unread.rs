//! A file that may not be read: what an index answers all the same it knows by heart.

use super::Source;
use std::{
    io,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// A value of this type is a file of which every read fails, at once.
pub struct Unread {
    length: u64,
    missed: AtomicBool,
}

impl Unread {
    /// A file of so many bytes.
    pub fn new(length: u64) -> Unread {
        Unread { length, missed: AtomicBool::new(false) }
    }

    /// What was made with it, if that took no read.
    pub fn settle<T>(&self, made: T) -> Option<T> {
        (!self.missed.load(Relaxed)).then_some(made)
    }
}

impl Source for Unread {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        self.missed.store(true, Relaxed);
        Err(io::Error::other("the file would have to be read"))
    }
}
