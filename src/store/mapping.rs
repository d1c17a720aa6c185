//! The mapping of a file, and all that is `unsafe` in the program.
//!
//! Nothing here or above reads a byte of a mapping: its slices are handed to the kernel, which
//! answers EFAULT for a page that a shrinking file has lost, where a load would be SIGBUS.

use super::unhurried::Unhurried;
use bytes::Bytes;
use memmap2::Mmap;
use std::{
    fs::File,
    io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// A value of this type counts the mappings that are alive, whoever holds their slices.
#[derive(Debug, Default)]
pub struct Census {
    mappings: AtomicU64,
    bytes: AtomicU64,
}

impl Census {
    /// How many files are mapped.
    pub fn mappings(&self) -> u64 {
        self.mappings.load(Relaxed)
    }

    /// How many bytes of address space they take.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

/// A value of this type is a file mapped for reading, shared by every slice that was lent of it;
/// it is unmapped when the last of them is gone.
#[derive(Debug)]
pub struct Mapping {
    /// The whole mapping. Empty, and backed by nothing, for an empty file.
    whole: Bytes,
    map: Option<Arc<Counted>>,
}

#[derive(Debug)]
struct Counted {
    map: Unhurried<Mmap>,
    census: Arc<Census>,
}

/// A value of this type keeps a mapping alive inside a `Bytes`.
struct Owner(Arc<Counted>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0.map
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.mappings.fetch_sub(1, Relaxed);
        self.census.bytes.fetch_sub(self.map.len() as u64, Relaxed);
    }
}

impl Mapping {
    /// Maps the first `length` bytes of `file`, which need not be there yet. Fails where the file system can't map, or the
    /// address space is used up.
    pub fn new(file: &File, length: u64, census: &Arc<Census>) -> io::Result<Mapping> {
        if length == 0 {
            return Ok(Mapping { whole: Bytes::new(), map: None });
        }
        let length = usize::try_from(length).map_err(|_| {
            io::Error::new(io::ErrorKind::FileTooLarge, "larger than memory can map")
        })?;
        // SAFETY: `Mmap::map` asks that the bytes not change while a `&[u8]` to them is read. No
        // code in this program reads through one: slices of a mapping go to `writev`, `sendfile`
        // and `madvise` alone, by address and length, and the kernel copes with a file that
        // shrinks or changes. The mapping is shared and read-only, and lives inside the `Bytes`
        // whose slices point into it.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::MmapOptions::new().len(length).map(file)? };
        census.mappings.fetch_add(1, Relaxed);
        census.bytes.fetch_add(length as u64, Relaxed);
        let map = Unhurried::new(map, length as u64, false);
        let map = Arc::new(Counted { map, census: census.clone() });
        Ok(Mapping { whole: Bytes::from_owner(Owner(map.clone())), map: Some(map) })
    }

    /// Makes the pages of `span` resident and mapped, waiting for the disk. Fails with EFAULT
    /// where the file no longer reaches, with EINVAL before Linux 5.14.
    pub(crate) fn populate(&self, span: Range<u64>) -> io::Result<()> {
        let (Some(counted), Ok(start), Ok(end)) =
            (&self.map, usize::try_from(span.start), usize::try_from(span.end))
        else {
            return Ok(());
        };
        if start >= end || end > counted.map.len() {
            return Ok(());
        }
        counted.map.advise_range(memmap2::Advice::PopulateRead, start, end - start)
    }

    /// Its length in bytes.
    pub(crate) fn room(&self) -> u64 {
        self.whole.len() as u64
    }

    /// Lets go of the process's view of the pages around `span`, which the kernel made when it read
    /// them here; they stay in the page cache. What is left mapped counts as memory of the process.
    pub(crate) fn forget(&self, span: Range<u64>) {
        /// A fault maps as much as the kernel keeps in one piece, up to this many bytes around.
        const BLOCK: usize = 2 * 1024 * 1024;
        let (Some(counted), Ok(start), Ok(end)) =
            (&self.map, usize::try_from(span.start), usize::try_from(span.end))
        else {
            return;
        };
        let start = start / BLOCK * BLOCK;
        let end = end.next_multiple_of(BLOCK).min(counted.map.len());
        if start >= end {
            return;
        }
        // SAFETY: MADV_DONTNEED asks that no one relies on bytes that it throws away. A shared mapping
        // of a file has none: the next access maps the same pages of the page cache again.
        #[allow(unsafe_code)]
        let forgotten = unsafe {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            counted.map.unchecked_advise_range(advice, start, end - start)
        };
        // Advice alone: where it is refused, the pages go when memory is short.
        let _ = forgotten;
    }

    /// If no slice of it is lent, waits for its end when it is dropped.
    pub(crate) fn hurry(&mut self) {
        self.whole = Bytes::new();
        if let Some(counted) = self.map.as_mut().and_then(Arc::get_mut) {
            counted.map.hurry();
        }
    }

    /// The bytes of `span`, borrowed: no byte is copied or read. `None` outside the mapping.
    pub fn slice(&self, span: Range<u64>) -> Option<Bytes> {
        let start = usize::try_from(span.start).ok()?;
        let end = usize::try_from(span.end).ok()?;
        (start <= end && end <= self.whole.len()).then(|| self.whole.slice(start..end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn mapped(content: &[u8]) -> (Mapping, Arc<Census>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let census = Arc::new(Census::default());
        (Mapping::new(&file, content.len() as u64, &census).unwrap(), census)
    }

    #[test]
    fn slices_stay_inside() {
        let (mapping, _) = mapped(b"0123456789");
        assert_eq!(mapping.slice(2..5).unwrap(), &b"234"[..]);
        assert_eq!(mapping.slice(10..10).unwrap(), &b""[..]);
        assert!(mapping.slice(5..11).is_none());
        assert!(mapping.slice(0..u64::MAX).is_none());
        let (start, end) = (6, 4);
        assert!(mapping.slice(start..end).is_none());
    }

    #[test]
    fn a_slice_outlives_its_mapping_and_is_counted_until_it_is_gone() {
        let (mapping, census) = mapped(b"film");
        let slice = mapping.slice(0..4).unwrap();
        drop(mapping);
        assert_eq!((census.mappings(), census.bytes()), (1, 4));
        assert_eq!(slice, &b"film"[..]);
        drop(slice);
        assert_eq!((census.mappings(), census.bytes()), (0, 0));
    }

    #[test]
    fn an_empty_file_needs_no_mapping() {
        let (mapping, census) = mapped(b"");
        assert_eq!(mapping.slice(0..0).unwrap(), &b""[..]);
        assert_eq!(census.mappings(), 0);
    }
}
