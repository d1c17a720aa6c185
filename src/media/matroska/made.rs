//! Elements made by hand, for the tests.

use crate::media::Source;
use std::io;

/// A value of this type is a file in memory that may claim another length than it has.
pub struct Bytes {
    pub bytes: Vec<u8>,
    pub length: u64,
}

impl Bytes {
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), length: bytes.len() as u64 }
    }
}

impl Source for Bytes {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.bytes.read_at(buffer, offset)
    }
}
