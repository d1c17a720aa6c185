//! Who writes one part of an upload: its frames are written where they belong, and told to the readers.

use super::{Stored, Upload};
use crate::live::End;
use bytes::{Buf, Bytes};
use rustix::io::Errno;
use std::{
    io::{self, IoSlice},
    sync::Arc,
    time::Instant,
};

/// Frames written by one call; the kernel takes no more than 1,024.
const SLICES: usize = 256;

/// A value of this type writes one part of an upload, in order.
#[derive(Debug)]
pub struct Writer {
    pub(super) upload: Arc<Upload>,
    /// It writes all of it.
    pub(super) whole: bool,
    pub(super) slot: u64,
    pub(super) start: u64,
    pub(super) at: u64,
}

impl Writer {
    pub fn upload(&self) -> &Arc<Upload> {
        &self.upload
    }

    /// Writes `frames` where they belong, and tells the readers. What was written before it failed is told, too. Waits for
    /// the disk. The frames are left, empty, to be freed by the thread that made them.
    ///
    /// Fails with `InvalidData` where bytes that were written before are lost.
    pub fn write(&mut self, frames: &mut [Bytes]) -> io::Result<()> {
        self.upload.check()?;
        let outcome = self.write_frames(frames);
        self.upload.record.written(self.slot, self.at)?;
        let mut progress = self.upload.progress();
        progress.held.insert(self.start..self.at);
        if let Some(claim) = progress.claims.iter_mut().find(|claim| claim.slot == self.slot) {
            claim.written = self.at;
        }
        let prefix = progress.held.prefix();
        drop(progress);
        self.upload.channel.reach(prefix)?;
        outcome
    }

    fn write_frames(&mut self, mut left: &mut [Bytes]) -> io::Result<()> {
        while let Some(first) = left.first_mut() {
            if first.is_empty() {
                left = &mut left[1..];
                continue;
            }
            let slices: Vec<_> =
                left.iter().take(SLICES).map(|frame| IoSlice::new(frame)).collect();
            let mut taken = match rustix::io::pwritev(self.upload.channel.file(), &slices, self.at)
            {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => taken,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            self.at += taken as u64;
            for frame in left.iter_mut() {
                let part = taken.min(frame.len());
                frame.advance(part);
                taken -= part;
            }
        }
        Ok(())
    }

    /// Leaves; `clean` if all came that was to come. What is there is kept, and if that is all, the
    /// upload gets its name by the last who leaves. Waits for the disk.
    pub fn leave(self, clean: bool) -> io::Result<Stored> {
        let upload = &self.upload;
        let mut progress = upload.progress();
        progress.claims.retain(|claim| claim.slot != self.slot);
        if self.at == self.start {
            progress.free.push(self.slot);
        }
        progress.left = Instant::now();
        let end = if clean || progress.total.is_some() { End::Whole } else { End::Cut };
        if self.whole && progress.total.is_none() && clean {
            progress.total = Some(self.at);
        } else if self.whole && !clean {
            upload.close_open_end(&mut progress);
        }
        let done = upload.is_done(&mut progress);
        let finished = progress.finished;
        if finished.is_none() && progress.claims.is_empty() && !clean {
            upload.channel.end(Some(End::Cut));
        }
        drop(progress);
        if done {
            upload.finish(end)?;
        } else if finished.is_none() && self.at > self.start {
            // A slot that was given back may be another's by now.
            upload.sync_parts(&[(self.slot, self.at)])?;
        }
        Ok(finished.unwrap_or(Stored::Partly))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        live::{Asked, Streams},
        store::{Disks, root::Place},
    };
    use std::{fs, thread};

    #[test]
    fn what_was_lost_of_it_is_noticed_before_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (streams, place) = (Streams::below(folder.path()), Place::new([&b"film"[..]]).unwrap());
        for asked in [Asked::Whole(None), Asked::Part(0..4, Some(10))] {
            let mut writer = streams.write(&place, &asked, Disks::Own, || Ok(true)).unwrap();
            writer.write(&mut ["film".into()]).unwrap();
            writer.upload().channel().file().set_len(3).unwrap();
            let error = streams.leave(writer, true).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(!folder.path().join("film").exists());
            assert!(streams.delete(&place, Disks::Own, || Ok(true)).unwrap());
        }
    }

    #[test]
    fn it_has_its_name_before_anybody_is_told_that_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (streams, place) = (Streams::below(folder.path()), Place::new([&b"film"[..]]).unwrap());
        let begin =
            |span| streams.write(&place, &Asked::Part(span, Some(8)), Disks::Own, || Ok(true));
        let (mut first, mut last) = (begin(0..4).unwrap(), begin(4..8).unwrap());
        let upload = first.upload().clone();
        first.write(&mut ["abcd".into()]).unwrap();
        last.write(&mut ["efgh".into()]).unwrap();
        assert_eq!(streams.leave(first, true).unwrap(), Stored::Partly);
        assert!(!folder.path().join("film").exists());
        // All came, whatever became of who sent it.
        assert_eq!(streams.leave(last, false).unwrap(), Stored::Created);
        assert_eq!(fs::read(folder.path().join("film")).unwrap(), b"abcdefgh");
        assert_eq!(upload.channel().state().end, Some(End::Whole));
    }

    #[test]
    fn of_what_brought_nothing_and_cannot_be_finished_nothing_stays_open() {
        let folder = tempfile::tempdir().unwrap();
        let (streams, place) = (Streams::below(folder.path()), Place::new([&b"film"[..]]).unwrap());
        for asked in [Asked::Whole(None), Asked::Whole(Some(0))] {
            let writer = streams.write(&place, &asked, Disks::Own, || Ok(true)).unwrap();
            fs::write(folder.path().join("film"), "another").unwrap();
            let error = streams.leave(writer, true).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert!(streams.all().is_empty(), "it keeps its place from others");
            fs::remove_file(folder.path().join("film")).unwrap();
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn who_leaves_says_that_it_was_cut_off_before_another_may_begin() {
        let folder = tempfile::tempdir().unwrap();
        let (streams, place) = (Streams::below(folder.path()), Place::new([&b"film"[..]]).unwrap());
        let begin = |at| {
            let part = Asked::Part(at..at + 1, Some(10));
            streams.write(&place, &part, Disks::Own, || Ok(true)).unwrap()
        };
        let mut first = begin(0);
        first.write(&mut ["x".into()]).unwrap();
        let upload = first.upload().clone();
        first.leave(true).unwrap();
        for _ in 0..100 {
            let writer = begin(5);
            thread::scope(|scope| {
                let readers = upload.channel().watch();
                // While it is looked at, nothing can be said.
                let looked_at = readers.borrow();
                let left = scope.spawn(|| writer.leave(false));
                for _ in 0..1000 {
                    if let Ok(progress) = upload.progress.try_lock() {
                        assert!(!progress.claims.is_empty(), "its readers would be cut off");
                    }
                    thread::yield_now();
                }
                drop(looked_at);
                assert_eq!(left.join().unwrap().unwrap(), Stored::Partly);
            });
            assert_eq!(upload.channel().state().end, Some(End::Cut));
        }
    }
}
