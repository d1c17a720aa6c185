//! What another process left when it was killed: found at start, finished or kept to be gone on with.

use super::{
    Ground, Refused, Streams,
    upload::{
        Upload,
        hidden::{RECORD, remove_left},
    },
};
use crate::store::{Disks, plot::Plot, root::Place};
use rustix::fs::FileType;
use std::{io, os::unix::ffi::OsStrExt, sync::Arc};

impl Streams {
    /// Takes up every upload that lies below the folders that may be written to, on their own disks or else on others.
    /// Waits for these disks.
    pub fn recover(&self, disks: Disks) {
        self.each_left(disks, |place, plot| self.take_up(place, plot, disks));
    }

    /// Calls `found` for every upload that has a record below the folders that may be written to, on their own disks
    /// or else on others, with its folder. Waits for these disks.
    pub(super) fn each_left(&self, disks: Disks, found: impl Fn(&Place, Plot)) {
        for ground in &self.grounds {
            let mut folders = vec![Place::default()];
            while let Some(folder) = folders.pop() {
                if let Err(error) = self.each_in(ground, &folder, disks, &mut folders, &found) {
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
        disks: Disks,
        folders: &mut Vec<Place>,
        found: impl Fn(&Place, Plot),
    ) -> io::Result<()> {
        let plot_on = |disks| ground.folder(&self.root, disks)?.plot(folder, false, disks);
        let (plot, on) = match plot_on(Disks::Own) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => match disks {
                Disks::Own => return Ok(()),
                Disks::All => (plot_on(Disks::All)?, Disks::All),
            },
            plot => (plot?, Disks::Own),
        };
        for name in plot.names()? {
            let left = name.as_bytes().strip_prefix(b".");
            if let Some(left) = left.and_then(|left| left.strip_suffix(RECORD.as_bytes())) {
                if let Some(left) = Place::new([left]).filter(|_| on == disks) {
                    let inside = folder.join(&left);
                    found(&ground.place.join(&inside), plot_on(disks)?);
                }
            } else if let Some(inside) = Place::new([name.as_bytes()])
                && plot.kind(&name)? == Some(FileType::Directory)
            {
                folders.push(folder.join(&inside));
            }
        }
        Ok(())
    }

    fn take_up(&self, place: &Place, plot: Plot, disks: Disks) {
        let Ok(half) = self.half(place, disks) else { return };
        let _turn = half.turn();
        if half.at(place).is_some() {
            return;
        }
        let upload = match Upload::resume(place, plot, &self.census) {
            Ok(Some(upload)) => Arc::new(upload),
            Ok(None) => {
                match self.forget(place, disks) {
                    // Another process has just begun it.
                    Err(Refused::Busy) => {}
                    Err(refused) => {
                        tracing::error!("cannot remove the record of {place}: {refused:?}");
                    }
                    Ok(()) => {
                        tracing::info!("of {place} nothing had arrived: its record is removed");
                    }
                }
                return;
            }
            // Somebody was faster, where uploads are taken already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
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
                if half.all().len() < self.most {
                    half.open(upload);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                tracing::warn!("{place} is not finished: there is another file of its name");
            }
            Err(error) => tracing::error!("cannot finish {place}: {error}"),
        }
    }

    /// Removes a record without bytes, and bytes without a part.
    fn forget(&self, place: &Place, disks: Disks) -> Result<(), Refused> {
        let plot = self.plot(place, false, disks)?;
        remove_left(&plot, place.name())?;
        Ok(())
    }
}
