//! What of an upload would outlast a loss of power: its bytes are synced behind its writers' backs, and
//! noted in the record only then.

use super::Upload;
use std::{
    io,
    sync::{MutexGuard, PoisonError, TryLockError},
};

/// A value of this type is what is known of that; locked by who syncs.
#[derive(Debug, Default)]
pub(super) struct Durable {
    /// The names under which the upload lies would.
    named: bool,
    /// The disk refused bytes once. It says so a single time, and takes them for written after that.
    failed: Option<i32>,
}

impl Upload {
    /// Makes what was written until now outlast a loss of power. Waits for the disk, but not for another
    /// thread that does the same.
    ///
    /// Fails where the disk does; then nothing more of the upload is noted, and it will not be finished.
    pub fn sync(&self) -> io::Result<()> {
        let durable = match self.durable.try_lock() {
            Ok(durable) => durable,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        let progress = self.progress();
        let unsynced = progress.claims.iter().filter(|claim| claim.written > claim.synced);
        let parts: Vec<_> = unsynced.map(|claim| (claim.slot, claim.written)).collect();
        drop(progress);
        // Who failed has said so.
        if parts.is_empty() || durable.failed.is_some() {
            return Ok(());
        }
        self.sync_with(durable, &parts)?;
        for claim in &mut self.progress().claims {
            let synced = parts.iter().find(|(slot, _)| *slot == claim.slot);
            claim.synced = synced.map_or(claim.synced, |(_, end)| *end);
        }
        Ok(())
    }

    /// The same of these parts, each of them a slot and where what was written of it ends.
    pub(super) fn sync_parts(&self, parts: &[(u64, u64)]) -> io::Result<()> {
        self.sync_with(self.durable(), parts)
    }

    /// Makes all of the file outlast a loss of power, but for its name.
    pub(super) fn sync_whole(&self) -> io::Result<()> {
        self.durable().keep(|| self.channel.file().sync_all())?;
        self.check()
    }

    fn sync_with(
        &self,
        mut durable: MutexGuard<'_, Durable>,
        parts: &[(u64, u64)],
    ) -> io::Result<()> {
        durable.keep(|| self.channel.file().sync_data())?;
        self.check()?;
        self.record.synced(parts.iter().copied())?;
        if !durable.named {
            self.plot.sync()?;
            durable.named = true;
        }
        Ok(())
    }

    fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Durable {
    /// Syncs a file, unless that failed before.
    fn keep(&mut self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if let Some(errno) = self.failed {
            return Err(io::Error::from_raw_os_error(errno));
        }
        sync().inspect_err(|error| self.failed = error.raw_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        live::{Asked, Streams, record::Record},
        store::{Disks, root::Place},
    };
    use std::{fs::File, os::unix::fs::FileExt, path::Path};

    /// What of the upload would be there if the power were lost now.
    fn kept(record: &Path) -> Vec<(u64, u64)> {
        let copy = tempfile::NamedTempFile::new().unwrap();
        std::fs::copy(record, copy.path()).unwrap();
        let file = File::options().read(true).write(true).open(copy.path()).unwrap();
        file.write_all_at(&[7; 16], 24).unwrap();
        let read = Record::lock(file).unwrap().read().unwrap();
        read.parts.iter().map(|part| (part.start, part.end)).collect()
    }

    #[test]
    fn the_record_speaks_of_what_was_synced_and_of_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new([&b"film"[..]]).unwrap();
        let streams = Streams::below(folder.path());
        let record = folder.path().join(".film.reelmap-record");
        let part = |span| Asked::Part(span, Some(100));
        let mut first = streams.write(&place, &part(0..10), Disks::Own, || Ok(true)).unwrap();
        let mut second = streams.write(&place, &part(50..60), Disks::Own, || Ok(true)).unwrap();
        let upload = first.upload().clone();
        first.write(&mut ["0123".into()]).unwrap();
        upload.sync().unwrap();
        assert_eq!(kept(&record), [(0, 4), (50, 50)]);
        first.write(&mut ["45".into()]).unwrap();
        second.write(&mut ["abc".into()]).unwrap();
        assert_eq!(kept(&record), [(0, 4), (50, 50)]);
        let syncing = upload.durable();
        upload.sync().unwrap();
        assert_eq!(kept(&record), [(0, 4), (50, 50)], "another thread is at it");
        drop(syncing);
        upload.sync().unwrap();
        assert_eq!(kept(&record), [(0, 6), (50, 53)]);
        assert!(upload.progress().claims.iter().all(|claim| claim.synced == claim.written));
        second.write(&mut ["d".into()]).unwrap();
        streams.leave(second, false).unwrap();
        assert_eq!(kept(&record), [(0, 6), (50, 54)]);
        // Once the disk has failed, nothing more is noted and nothing finished.
        upload.durable().failed = Some(5);
        first.write(&mut ["6789".into()]).unwrap();
        upload.sync().unwrap();
        assert!(streams.leave(first, true).is_err());
        assert_eq!(kept(&record), [(0, 6), (50, 54)]);
        let mut rest = streams.write(&place, &part(10..50), Disks::Own, || Ok(true)).unwrap();
        rest.write(&mut [vec![0; 40].into()]).unwrap();
        assert!(streams.leave(rest, true).is_err());
        let mut last = streams.write(&place, &part(54..100), Disks::Own, || Ok(true)).unwrap();
        last.write(&mut [vec![0; 46].into()]).unwrap();
        assert!(streams.leave(last, true).is_err());
        assert!(!folder.path().join("film").exists());
    }

    #[test]
    fn a_part_that_came_to_nothing_leaves_its_slot() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new([&b"film"[..]]).unwrap();
        let streams = Streams::below(folder.path());
        let record = folder.path().join(".film.reelmap-record");
        let mut first =
            streams.write(&place, &Asked::Part(0..1, None), Disks::Own, || Ok(true)).unwrap();
        first.write(&mut ["x".into()]).unwrap();
        streams.leave(first, true).unwrap();
        for start in [5, 90, 7, 3] {
            let writer = streams
                .write(&place, &Asked::Part(start..start + 1, None), Disks::Own, || Ok(true))
                .unwrap();
            streams.leave(writer, false).unwrap();
            assert_eq!(kept(&record), [(0, 1), (start, start)]);
        }
        let _both = [5, 7].map(|at| {
            streams.write(&place, &Asked::Part(at..at + 1, None), Disks::Own, || Ok(true)).unwrap()
        });
        assert_eq!(kept(&record), [(0, 1), (5, 5), (7, 7)]);
    }

    #[test]
    fn a_disk_that_failed_once_is_not_believed_again() {
        let mut durable = Durable::default();
        assert!(durable.keep(|| Ok(())).is_ok());
        let full = || Err(io::Error::from_raw_os_error(28));
        assert!(durable.keep(full).is_err());
        let error = durable.keep(|| Ok(())).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(28));
    }
}
