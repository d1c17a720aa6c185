//! Bringing a span into memory before it is sent, so that no runtime thread waits for a disk.

use super::Asset;
use rustix::{
    fs::Advice,
    io::{Errno, ReadWriteFlags},
};
use std::{
    io,
    num::NonZeroU64,
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Linux reads ahead 128 KiB by default, so that pages come and go in runs of that size.
const RUN: u64 = 128 * 1024;

/// The least that is read at once: the kernel's smallest readahead.
const LEAST: u64 = 16 * 1024;

/// How long a run that was seen in memory is taken to be there still, at most.
const MOMENT: Duration = Duration::from_secs(1);

/// The largest file whose runs are remembered, a bit each.
const LARGEST: u64 = 64 << 30;

/// A value of this type remembers which runs of a file were seen in memory in the current moment. A
/// file that many read is asked about once a second, not once an answer; what leaves memory sooner
/// after it was sent from is read by the thread that sends.
#[derive(Debug, Default)]
pub(super) struct Runs {
    seen: OnceLock<Box<[AtomicU64]>>,
    moment: AtomicU64,
}

impl Runs {
    /// The runs that are noted, a bit each, of a file of `length` bytes that has been open for `age`; those
    /// of an earlier moment are forgotten. `None` of a file that is too large.
    fn current(&self, length: u64, age: Duration) -> Option<&[AtomicU64]> {
        if length > LARGEST {
            return None;
        }
        let words = length.div_ceil(RUN * 64);
        let seen = self.seen.get_or_init(|| (0..words).map(|_| AtomicU64::new(0)).collect());
        let moment = age.as_secs() / MOMENT.as_secs();
        if self.moment.swap(moment, Relaxed) != moment {
            seen.iter().for_each(|word| word.store(0, Relaxed));
        }
        Some(seen)
    }
}

/// Whether the pages of `span` are in memory, as far as probes of single bytes tell: of the ends of
/// each run, or else of the span. Never waits. `false` where the file system can't say
/// (`preadv2(RWF_NOWAIT)` is refused), and in runs that the file doesn't reach.
///
/// `mincore(2)` and `cachestat(2)` would need one call, but answer "resident" and EPERM for files
/// that the process may not write.
pub fn resident(asset: &Asset, span: Range<u64>) -> bool {
    let Some(last) = span.end.checked_sub(1).filter(|last| *last >= span.start) else {
        return true;
    };
    // Where the last run of a file that grows ends is not known.
    let seen = match asset.grows() {
        true => None,
        false => asset.runs.current(asset.length(), asset.age()),
    };
    (span.start / RUN..=last / RUN).all(|run| {
        let word = seen.and_then(|seen| seen.get(usize::try_from(run / 64).ok()?));
        let bit = 1 << (run % 64);
        if word.is_some_and(|word| word.load(Relaxed) & bit != 0) {
            return true;
        }
        let (start, after) = (run * RUN, (run + 1).saturating_mul(RUN));
        if let Some(word) = word
            && probe(asset, start)
            && probe(asset, after.min(asset.length()).saturating_sub(1))
        {
            word.fetch_or(bit, Relaxed);
            return true;
        }
        // A short span lies in one piece that was read, or in two that came together.
        let (start, last) = (start.max(span.start), last.min(after - 1));
        probe(asset, last) && (last - start < LEAST || probe(asset, start))
    })
}

fn probe(asset: &Asset, at: u64) -> bool {
    let mut byte = [0];
    let mut slices = [io::IoSliceMut::new(&mut byte)];
    rustix::io::preadv2(asset.file(), &mut slices, at, ReadWriteFlags::NOWAIT) == Ok(1)
}

/// Brings `span` into memory, waiting for the disk, and asks for `next` to be read ahead.
/// For a thread that may wait.
///
/// Fails where the file can't be read, or no longer reaches to the end of `span`.
pub fn fetch(asset: &Asset, span: Range<u64>, next: Range<u64>) -> io::Result<()> {
    if let Some(length) = NonZeroU64::new(next.end.saturating_sub(next.start)) {
        // Advice alone: where it is refused, the next fetch simply takes longer.
        let _ = rustix::fs::fadvise(asset.file(), next.start, Some(length), Advice::WillNeed);
    }
    match asset.mapping().populate(span.clone()) {
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
            read(asset, span)
        }
        outcome => outcome,
    }
}

/// The same for a kernel or file system that can't populate a mapping.
fn read(asset: &Asset, span: Range<u64>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    let mut at = span.start;
    while at < span.end {
        let wanted = usize::try_from(span.end - at).map_or(buffer.len(), |n| n.min(buffer.len()));
        match rustix::io::pread(asset.file(), &mut buffer[..wanted], at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => at += read as u64,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::unix::fs::FileExt, sync::Arc};

    #[test]
    fn a_run_that_was_seen_counts_for_a_moment() {
        let runs = Runs::default();
        let seen = |millis| {
            let words = runs.current(RUN * 65, Duration::from_millis(millis)).unwrap();
            words.iter().map(|word| word.load(Relaxed)).collect::<Vec<_>>()
        };
        assert_eq!(seen(100), [0, 0]);
        runs.current(RUN * 65, Duration::from_millis(200)).unwrap()[1].fetch_or(1, Relaxed);
        assert_eq!(seen(900), [0, 1]);
        assert_eq!(seen(1000), [0, 0]);
        assert!(Runs::default().current(LARGEST + 1, Duration::ZERO).is_none());
    }

    #[test]
    fn what_was_just_written_is_in_memory_and_noted_by_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film");
        std::fs::write(&path, vec![7; 3 * RUN as usize + 5]).unwrap();
        let asset = Asset::new(File::open(&path).unwrap(), &Arc::default()).unwrap();
        assert!(resident(&asset, RUN + 10..2 * RUN + 10));
        let noted = asset.runs.current(asset.length(), asset.age()).unwrap()[0].load(Relaxed);
        assert!(noted == 0b110 || noted == 0, "{noted:b}");
        assert!(resident(&asset, 3 * RUN..asset.length()));
        assert!(resident(&asset, 0..0));
        assert!(!resident(&asset, 4 * RUN..4 * RUN + 10), "past the end");
    }
    #[test]
    fn of_a_file_that_grows_no_run_is_noted() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 10], 0).unwrap();
        let asset = Asset::growing(file.try_clone().unwrap(), 4 * RUN, &Arc::default()).unwrap();
        file.write_all_at(&[7; 2 * RUN as usize], 10).unwrap();
        assert!(resident(&asset, RUN..RUN + 10));
        assert!(asset.runs.seen.get().is_none());
    }
}
