//! Uploads that nobody is at: they wait to be gone on with, and give way to new ones. What is there of one
//! that gave way stays on the disk, hidden beside its name, and is taken up again by who asks for it; until
//! nobody has for so long that it is removed.

use super::{Asked, Half, Refused, Streams, Upload, upload::hidden};
use crate::store::{Disks, plot::Plot, root::Place};
use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

impl Streams {
    /// Closes the upload that waits longest, if as many are open as may be. Fails if none waits.
    pub(super) fn make_room(&self, half: &Half) -> Result<(), Refused> {
        let open = half.all();
        if open.len() < self.most {
            return Ok(());
        }
        let waiting = open.iter().filter_map(|upload| Some((upload.waits_since()?, upload)));
        let (_, upload) = waiting.min_by_key(|(since, _)| *since).ok_or(Refused::TooMany)?;
        upload.give_way();
        half.close(upload);
        let place = upload.place();
        tracing::info!("{place} gives way to another upload: what arrived is kept, to go on with");
        Ok(())
    }

    /// The upload at `place` that is open, or gave way: that one is open then. One that is all there gets its
    /// name, unless that is still taken. Waits for these disks.
    pub fn ask(&self, place: &Place, disks: Disks) -> Result<Option<Arc<Upload>>, Refused> {
        let half = self.half(place, disks)?;
        let _turn = half.turn();
        let upload = match half.at(place) {
            Some(upload) => upload,
            None => {
                let Some(upload) = self.left_at(half, place, disks)? else { return Ok(None) };
                self.make_room(half)?;
                half.open(upload.clone());
                upload
            }
        };
        upload.check()?;
        match upload.finish_if_whole() {
            Ok(true) => half.close(&upload),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Refused::Taken);
            }
            Err(error) => return Err(Refused::Io(error)),
        }
        Ok(Some(upload))
    }

    /// Removes what is there on one kind of disks of every upload that waits and of which no byte came for as long as
    /// `keep`. Waits for these disks.
    pub fn expire(&self, keep: Duration, disks: Disks) {
        self.each_left(disks, |place, plot| match self.expire_at(place, &plot, keep, disks) {
            Ok(true) => {
                let days = keep.as_secs() / 86_400;
                tracing::warn!(
                    "{place}: incomplete, and nobody went on with it for {days} days: removed"
                );
            }
            Ok(false) => {}
            // Another process is at it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => tracing::error!("cannot see whether {place} still waits: {error}"),
        });
    }

    fn expire_at(
        &self,
        place: &Place,
        plot: &Plot,
        keep: Duration,
        disks: Disks,
    ) -> io::Result<bool> {
        let Ok(half) = self.half(place, disks) else { return Ok(false) };
        let _turn = half.turn();
        let open = half.at(place);
        let is_busy = open.as_ref().is_some_and(|upload| upload.waits_since().is_none());
        let Some(newest) = hidden::newest(plot, place.name())?.filter(|_| !is_busy) else {
            return Ok(false);
        };
        // A clock that was set back makes nothing older.
        if SystemTime::now().duration_since(newest).unwrap_or_default() < keep {
            return Ok(false);
        }
        match open {
            Some(upload) => half.give_up(upload).map(|()| true),
            None => {
                half.others_give_way(place, plot);
                hidden::remove_left(plot, place.name())
            }
        }
    }

    /// What is there of an upload to `place` that gave way.
    fn left_at(
        &self,
        half: &Half,
        place: &Place,
        disks: Disks,
    ) -> Result<Option<Arc<Upload>>, Refused> {
        let left = self
            .plot_of(half, place, false, disks)
            .and_then(|plot| Ok(Upload::resume(place, plot, &self.census)?.map(Arc::new)));
        match left {
            Err(Refused::Io(error)) if is_nothing(&error) => Ok(None),
            left => left,
        }
    }

    /// The upload that a writer of what is `asked` goes on with, of those that gave way.
    pub(super) fn gone_on_with(
        &self,
        half: &Half,
        place: &Place,
        asked: &Asked,
        disks: Disks,
    ) -> Result<Option<Arc<Upload>>, Refused> {
        match asked {
            Asked::Part(..) => self.left_at(half, place, disks),
            Asked::Whole(_) => Ok(None),
        }
    }
}

impl Half {
    /// Closes what waits under the name of `place` in the folder `plot`, but came there by another way: one of the
    /// two leads over a link, and who comes by this one is to find it.
    pub(super) fn others_give_way(&self, place: &Place, plot: &Plot) {
        let is_it = |upload: &&Arc<Upload>| {
            upload.place() != place
                && upload.waits_since().is_some()
                && upload.lies_in(plot, place.name())
        };
        for upload in self.all().iter().filter(is_it) {
            upload.give_way();
            self.close(upload);
        }
    }
}

/// Whether there is no record, or one that tells nothing.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), NotFound | InvalidData | UnexpectedEof)
}
