//! What was read of a file while its index is made, so that nothing is read twice: head and end are looked at by
//! several readers in turn.

use crate::media::Source;
use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};

const PAGE: usize = 4096;
/// Pages kept at most; what is read beyond that is read again.
const MOST: usize = 1024;

/// A value of this type is a file of which each page is read once, up to [`MOST`] of them.
pub struct Seen<'s> {
    source: &'s dyn Source,
    pages: Mutex<HashMap<u64, Box<[u8]>>>,
}

impl<'s> Seen<'s> {
    pub fn new(source: &'s dyn Source) -> Self {
        Seen { source, pages: Mutex::default() }
    }
}

impl Source for Seen<'_> {
    fn length(&self) -> u64 {
        self.source.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let page = offset / PAGE as u64;
        let inside = (offset % PAGE as u64) as usize;
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if !pages.contains_key(&page) {
            let wanted = (inside + buffer.len()).div_ceil(PAGE) as u64;
            let missing = (0..wanted).take_while(|ahead| !pages.contains_key(&(page + ahead)));
            let count = missing.count();
            if pages.len() + count > MOST {
                return self.source.read_at(buffer, offset);
            }
            let mut bytes = vec![0; count * PAGE];
            let filled = self.source.read_at(&mut bytes, page * PAGE as u64)?;
            bytes.truncate(filled);
            for (ahead, bytes) in bytes.chunks(PAGE).enumerate() {
                let at = page + ahead as u64;
                // Fewer bytes than were asked for are no page, unless the file ends there.
                if bytes.len() == PAGE || at * PAGE as u64 + bytes.len() as u64 >= self.length() {
                    pages.insert(at, bytes.into());
                }
            }
            if !pages.contains_key(&page) {
                return self.source.read_at(buffer, offset);
            }
        }
        let mut filled = 0;
        for (at, inside) in (page..).zip([inside].into_iter().chain(std::iter::repeat(0))) {
            let rest = buffer.get_mut(filled..).unwrap_or_default();
            let there = pages.get(&at).and_then(|bytes| bytes.get(inside..)).unwrap_or_default();
            let count = there.len().min(rest.len());
            if count == 0 {
                break;
            }
            rest[..count].copy_from_slice(&there[..count]);
            filled += count;
        }
        Ok(filled)
    }

    fn stored_from(&self, offset: u64) -> u64 {
        self.source.stored_from(offset)
    }

    fn check(&self) -> io::Result<()> {
        self.source.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// A file that gives a few bytes at a time, and counts them.
    struct Slow(Vec<u8>, usize, AtomicUsize);

    impl Source for Slow {
        fn length(&self) -> u64 {
            self.0.length()
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let most = buffer.len().min(self.1);
            let count = self.0.read_at(&mut buffer[..most], offset)?;
            self.2.fetch_add(count, Relaxed);
            Ok(count)
        }
    }

    #[test]
    fn nothing_is_read_twice_and_all_is_read_right() {
        for most in [usize::MAX, 5000, 100] {
            let bytes: Vec<u8> = (0..30_001_u32).map(|k| (k * 7 / 8) as u8).collect();
            let file = Slow(bytes.clone(), most, AtomicUsize::new(0));
            let seen = Seen::new(&file);
            for (at, count) in [(0, 9000), (4000, 200), (29_000, 5000), (100, 29_950), (30_001, 1)]
            {
                let mut buffer = vec![0; count];
                let filled = crate::media::read_up_to(&seen, &mut buffer, at as u64).unwrap();
                assert_eq!(buffer[..filled], bytes[at..(at + count).min(bytes.len())]);
            }
            assert!(most < 4096 || file.2.load(Relaxed) <= bytes.len() + 3 * 4096);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let file = vec![7; (MOST + 10) * PAGE];
        let seen = Seen::new(&file);
        let mut buffer = vec![0; PAGE];
        for page in 0..MOST + 10 {
            assert_eq!(seen.read_at(&mut buffer, (page * PAGE) as u64).unwrap(), PAGE);
        }
        assert_eq!(seen.pages.lock().unwrap().len(), MOST);
    }
}
