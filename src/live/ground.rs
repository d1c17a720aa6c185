//! A folder that may be written to, as it lies below the root now: what takes its place while the server runs (a disk
//! that is mounted there, another folder of that name) is written to from then on, since readers look there, too.

use crate::store::{Disks, Root, root::Place};
use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
};

/// A value of this type is a folder that may be written to.
#[derive(Debug)]
pub(super) struct Ground {
    /// Where it lies below the root that is served.
    pub(super) place: Place,
    folder: RwLock<Arc<Root>>,
}

impl Ground {
    /// The folder at `place`. Waits for its disk.
    pub(super) fn new(root: &Root, place: &Place) -> io::Result<Ground> {
        let folder = Arc::new(root.below(place, Disks::All)?);
        Ok(Ground { place: place.clone(), folder: RwLock::new(folder) })
    }

    /// The folder that lies there now.
    ///
    /// Fails with `NotFound` where there is none, with `CrossesDevices` where that can't be told of these disks alone.
    /// Waits for these disks.
    pub(super) fn folder(&self, root: &Root, disks: Disks) -> io::Result<Arc<Root>> {
        let held = self.folder.read().unwrap_or_else(PoisonError::into_inner).clone();
        if disks == Disks::Own && held.is_remote() {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        if root.leads_to(&self.place, &held)? {
            return Ok(held);
        }
        let now = Arc::new(root.below(&self.place, disks)?);
        tracing::info!("another folder lies at {} now: uploads go there", self.place);
        *self.folder.write().unwrap_or_else(PoisonError::into_inner) = now.clone();
        Ok(now)
    }
}
