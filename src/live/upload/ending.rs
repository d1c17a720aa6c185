//! How an upload ends: all of it is there, or taken for all; it is synced and gets its name.

use super::{
    Progress, Stored, Upload,
    hidden::{clear, hidden},
};
use crate::{live::channel::End, store::stamp};
use std::{io, sync::atomic::Ordering::Relaxed};

impl Upload {
    /// Finishes an upload that another process was at when it ended, if that can be: whether it was.
    pub(in crate::live) fn finish_if_done(&self) -> io::Result<bool> {
        let mut progress = self.progress();
        self.close_open_end(&mut progress);
        let done = self.is_done(&mut progress);
        drop(progress);
        if done {
            self.finish(End::Cut)?;
        }
        Ok(done)
    }

    /// Finishes one that is all there and waits, since it couldn't be finished before: whether it was.
    pub(in crate::live) fn finish_if_whole(&self) -> io::Result<bool> {
        let done = self.waits_since().is_some() && self.is_done(&mut self.progress());
        if done {
            self.finish(End::Whole)?;
        }
        Ok(done)
    }

    /// A stream whose length nobody knew has no other end than the one it came to, unless it would
    /// take the place of a whole file.
    pub(super) fn close_open_end(&self, progress: &mut Progress) {
        let prefix = progress.held.prefix();
        let is_all = progress.held.end() == prefix && prefix > 0 && progress.claims.is_empty();
        if progress.total.is_none() && is_all && !self.replaces() {
            progress.total = Some(prefix);
        }
    }

    /// Whether all is there and nobody is at it, so that the caller, and no other, is to finish it.
    pub(super) fn is_done(&self, progress: &mut Progress) -> bool {
        let all = progress.total.is_some_and(|total| progress.held.prefix() >= total);
        let done = all && progress.claims.is_empty() && progress.finished.is_none();
        if done {
            let stored = if self.replaces { Stored::Replaced } else { Stored::Created };
            progress.finished = Some(stored);
        }
        done
    }

    /// Gives it its name, for good. `AlreadyExists` where that is taken: then it waits.
    pub(super) fn finish(&self, end: End) -> io::Result<()> {
        let [bytes, record] = hidden(self.place.name());
        let finish = || {
            let file = self.channel.file();
            self.sync_whole()?;
            if !self.plot.names_file(&bytes, file)? {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "its file was removed"));
            }
            // Where the file system has no room for it, the tag changes when the stream ends.
            self.stamped.store(stamp::write(file, &self.tag()).is_ok(), Relaxed);
            match self.replaces {
                true => self.plot.rename(&bytes, self.place.name())?,
                false => self.plot.rename_new(&bytes, self.place.name())?,
            }
            clear(&self.plot, &record)?;
            self.plot.sync()
        };
        let outcome = finish();
        if let Err(error) = &outcome {
            let mut progress = self.progress();
            progress.finished = None;
            self.taken.fetch_or(error.kind() == io::ErrorKind::AlreadyExists, Relaxed);
            self.channel.end(Some(End::Cut));
            let (total, harmed) = (progress.total, progress.harmed);
            drop(progress);
            if !harmed {
                // A stream is known to be whole since it ended. Where that can't be noted, the next process takes it for cut off.
                let _ = self.record.write_head(&self.head(total));
            }
        } else {
            self.channel.end(Some(end));
        }
        outcome
    }
}
