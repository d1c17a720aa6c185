//! What another process left when it was killed: found at start, finished or kept to be gone on with.

use super::{
    Ground, Streams,
    upload::{
        Upload,
        hidden::{RECORD, clear, hidden},
    },
};
use crate::store::{plot::Plot, root::Place};
use rustix::fs::FileType;
use std::{io, os::unix::ffi::OsStrExt, sync::Arc};

impl Streams {
    /// Takes up every upload that lies below the folders that may be written to. Waits for the disk.
    pub fn recover(&self) {
        self.each_left(|place, plot| self.take_up(place, plot));
    }

    /// Calls `found` for every upload that has a record below the folders that may be written to, with its
    /// folder. Waits for the disk.
    pub(super) fn each_left(&self, found: impl Fn(&Place, Plot)) {
        for ground in &self.grounds {
            let mut folders = vec![Place::default()];
            while let Some(folder) = folders.pop() {
                if let Err(error) = self.each_in(ground, &folder, &mut folders, &found) {
                    let folder = ground.place.join(&folder);
                    tracing::error!("cannot look for uploads left in {folder}: {error}");
                }
            }
        }
    }

    /// The same of one folder; tells those in it.
    fn each_in(
        &self,
        ground: &Ground,
        folder: &Place,
        folders: &mut Vec<Place>,
        found: impl Fn(&Place, Plot),
    ) -> io::Result<()> {
        let plot = ground.folder.plot(folder, false)?;
        for name in plot.names()? {
            let left = name.as_bytes().strip_prefix(b".");
            if let Some(left) = left.and_then(|left| left.strip_suffix(RECORD.as_bytes())) {
                if let Some(left) = Place::new([left]) {
                    let inside = folder.join(&left);
                    found(&ground.place.join(&inside), ground.folder.plot(folder, false)?);
                }
            } else if let Some(inside) = Place::new([name.as_bytes()])
                && plot.kind(&name)? == Some(FileType::Directory)
            {
                folders.push(folder.join(&inside));
            }
        }
        Ok(())
    }

    fn take_up(&self, place: &Place, plot: Plot) {
        if self.at(place).is_some() {
            return;
        }
        let upload = match Upload::resume(place, plot, &self.census) {
            Ok(Some(upload)) => Arc::new(upload),
            Ok(None) => {
                tracing::info!("of {place} nothing had arrived: its record is removed");
                if let Err(refused) = self.forget(place) {
                    tracing::error!("cannot remove the record of {place}: {refused:?}");
                }
                return;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tracing::warn!("{place} is left alone: another process is receiving it");
                return;
            }
            Err(error) => {
                tracing::error!("cannot go on with {place}, what is there of it stays: {error}");
                return;
            }
        };
        let (held, total) = upload.held();
        let bytes: u64 = held.iter().map(|span| span.end - span.start).sum();
        match upload.finish_if_done() {
            Ok(true) => tracing::info!("{place} was cut off: finished with its {bytes} bytes"),
            Ok(false) => {
                let of = total.map_or("an unknown number".into(), |total| total.to_string());
                tracing::info!(
                    "{place} is not whole: {bytes} of {of} bytes are kept, to go on with"
                );
                // One more would be in the way of those that are still to come.
                if self.all().len() < self.most {
                    self.open(upload);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                tracing::warn!("{place} is not finished: there is another file of its name");
            }
            Err(error) => tracing::error!("cannot finish {place}: {error}"),
        }
    }

    /// Removes a record without bytes, and bytes without a part.
    fn forget(&self, place: &Place) -> Result<(), super::Refused> {
        let plot = self.plot(place, false)?;
        for name in hidden(place.name()) {
            clear(&plot, &name)?;
        }
        Ok(())
    }
}
