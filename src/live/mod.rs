//! Files that grow: received here, or appended to by other programs, and read while they do.
//!
//! ```text
//!   frames ─> upload: bytes and record, hidden ─┐                        ┌─> tail: spans, as they come
//!             parts: which are there            ├─> channel: how far ────┤
//!   another program ─> follow: inotify ─────────┘   it reaches, mapped   └─> tail
//! ```
//!
//! `mod` knows all that are open, by place; `waiting` those that gave way; `recovery` finds those that another
//! process left. Knows no HTTP. A tail waits as a future; what waits for a disk says so, and is for threads that may.

pub mod channel;
mod follow;
mod ground;
pub mod parts;
mod record;
mod recovery;
pub mod tail;
pub mod upload;
mod waiting;

pub use channel::{Channel, End};
pub use follow::Follower;
pub use tail::Tail;
pub use upload::{Asked, Refused, Stored, Upload, Writer};

use self::ground::Ground;
use crate::store::{Census, Disks, Root, plot::Plot, root::Place};
use rustix::fs::FileType;
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

/// A value of this type holds the uploads that are open, and where new ones may be.
#[derive(Debug)]
pub struct Streams {
    root: Root,
    grounds: Vec<Ground>,
    /// The most uploads that may be open at once, on the one kind of disks and on the other. Those that nobody is at
    /// give way.
    most: usize,
    /// Those on the disks of the folders themselves, if these are of this machine.
    own: Half,
    /// Those on disks that may not answer, and so hold up each other alone.
    far: Half,
    census: Arc<Census>,
}

/// A value of this type holds the uploads that are open on one kind of disks.
#[derive(Debug, Default)]
struct Half {
    open: RwLock<HashMap<Place, Arc<Upload>>>,
    /// Held while one is opened, given up or deleted.
    turn: Mutex<()>,
}

impl Streams {
    /// Uploads into `folders` below `root`. Waits for their disks.
    pub fn new<'a>(
        root: Root,
        folders: impl IntoIterator<Item = &'a Place>,
        most: usize,
        census: Arc<Census>,
    ) -> io::Result<Streams> {
        let grounds = folders.into_iter().map(|place| Ground::new(&root, place));
        let grounds = grounds.collect::<io::Result<Vec<_>>>()?;
        let (own, far) = (Half::default(), Half::default());
        Ok(Streams { root, grounds, most, own, far, census })
    }

    /// Whether there may be uploads at all.
    pub fn are_allowed(&self) -> bool {
        !self.grounds.is_empty()
    }

    /// Whether `place` lies in a folder that may be written to.
    pub fn may_be_at(&self, place: &Place) -> bool {
        self.ground(place).is_some()
    }

    /// The upload at `place` that is open.
    pub fn at(&self, place: &Place) -> Option<Arc<Upload>> {
        if self.grounds.is_empty() {
            return None;
        }
        self.own.at(place).or_else(|| self.far.at(place))
    }

    /// All that are open.
    pub fn all(&self) -> Vec<Arc<Upload>> {
        [self.own.all(), self.far.all()].concat()
    }

    /// The innermost folder that may be written to and holds `place`, and where in it that is.
    fn ground(&self, place: &Place) -> Option<(&Ground, Place)> {
        let inside =
            self.grounds.iter().filter_map(|ground| Some((ground, place.below(&ground.place)?)));
        inside.min_by_key(|(_, rest)| rest.segments().count())
    }

    fn plot(&self, place: &Place, make: bool, disks: Disks) -> Result<Plot, Refused> {
        let (ground, rest) = self.ground(place).ok_or(Refused::Forbidden)?;
        let folder = ground.folder(&self.root, disks).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Refused::Missing,
            _ => error.into(),
        })?;
        Ok(folder.plot(&rest.parent(), make, disks)?)
    }

    /// The folder of `place`. What waits in it under that name, but came there by another way, gives way.
    fn plot_of(
        &self,
        half: &Half,
        place: &Place,
        make: bool,
        disks: Disks,
    ) -> Result<Plot, Refused> {
        let plot = self.plot(place, make, disks)?;
        half.others_give_way(place, &plot);
        Ok(plot)
    }

    /// Where an upload to `place` is open, or would be by who waits for these disks.
    fn half(&self, place: &Place, disks: Disks) -> Result<&Half, Refused> {
        match disks {
            Disks::Own if self.far.at(place).is_some() => Err(Refused::Elsewhere),
            Disks::All if self.own.at(place).is_none() => Ok(&self.far),
            Disks::Own | Disks::All => Ok(&self.own),
        }
    }

    /// Begins to write what is `asked` at `place` if what is there is as it `should_be`, which is looked at while
    /// nobody else begins, gives up or deletes anything. Waits for these disks.
    pub fn write(
        &self,
        place: &Place,
        asked: &Asked,
        disks: Disks,
        should_be: impl FnOnce() -> io::Result<bool>,
    ) -> Result<Writer, Refused> {
        let half = self.half(place, disks)?;
        let _turn = half.turn();
        if !should_be()? {
            return Err(Refused::NotThat);
        }
        if let Some(upload) = half.at(place) {
            match asked {
                Asked::Part(..) => return upload.claim(asked),
                Asked::Whole(_) if upload.is_busy() => return Err(Refused::Busy),
                Asked::Whole(_) => half.give_up(upload)?,
            }
        }
        // A file that is still coming has its name already, for those who would make a folder of it.
        if self.all().iter().any(|upload| place.below(upload.place()).is_some()) {
            return Err(Refused::InTheWay);
        }
        let plot = self.plot_of(half, place, true, disks)?;
        self.make_room(half)?;
        let there = plot.kind(place.name())?;
        if there == Some(FileType::Directory) {
            return Err(Refused::InTheWay);
        }
        if let Some(upload) = self.gone_on_with(half, place, asked, disks)? {
            half.open(upload.clone());
            return upload.claim(asked);
        }
        if there.is_some() && matches!(asked, Asked::Part(..)) {
            return Err(Refused::Finished);
        }
        let upload = Arc::new(Upload::begin(place, plot, &self.census)?);
        let writer = upload.claim(asked);
        if writer.is_err() {
            upload.discard()?;
        }
        let writer = writer?;
        half.open(upload);
        Ok(writer)
    }

    /// Lets the writer leave (see [`Writer::leave`]), and forgets an upload that has its name, or of which
    /// nothing came. Waits for its disk.
    pub fn leave(&self, writer: Writer, clean: bool) -> io::Result<Stored> {
        let upload = writer.upload().clone();
        let stored = writer.leave(clean);
        let halves = [&self.own, &self.far];
        // Another may have begun at its place, and has its names.
        let is_in =
            |half: &Half| half.at(upload.place()).is_some_and(|open| Arc::ptr_eq(&open, &upload));
        let Some(half) = halves.into_iter().find(|half| is_in(half)) else { return stored };
        // Nobody begins meanwhile.
        let _turn = half.turn();
        if matches!(stored, Ok(Stored::Created | Stored::Replaced)) {
            half.close(&upload);
        } else if upload.is_empty() && is_in(half) {
            upload.discard()?;
            half.close(&upload);
        }
        stored
    }

    /// Removes what is at `place` if it is as it `should_be`: the file, and what is there of an upload that
    /// nobody is at, or that gave way. Whether there was anything. Waits for these disks.
    pub fn delete(
        &self,
        place: &Place,
        disks: Disks,
        should_be: impl FnOnce() -> io::Result<bool>,
    ) -> Result<bool, Refused> {
        let half = self.half(place, disks)?;
        let _turn = half.turn();
        if !should_be()? {
            return Err(Refused::NotThat);
        }
        let upload = half.at(place);
        let was_open = upload.is_some();
        if let Some(upload) = upload {
            if upload.is_busy() {
                return Err(Refused::Busy);
            }
            half.give_up(upload)?;
        }
        let plot = match self.plot_of(half, place, false, disks) {
            Err(Refused::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            plot => plot?,
        };
        let left = upload::hidden::remove_left(&plot, place.name())?;
        match plot.kind(place.name())? {
            None => Ok(was_open || left),
            Some(FileType::RegularFile | FileType::Symlink) => Ok(plot.remove(place.name())?),
            Some(_) => Err(Refused::InTheWay),
        }
    }
}

#[cfg(test)]
impl Streams {
    /// Up to nine uploads at once into `folder`, which is all there is.
    pub(crate) fn below(folder: &std::path::Path) -> Streams {
        let root = Root::open(folder).unwrap();
        Streams::new(root, [&Place::default()], 9, Arc::default()).unwrap()
    }
}

impl Half {
    fn at(&self, place: &Place) -> Option<Arc<Upload>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    fn all(&self) -> Vec<Arc<Upload>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Removes what is there of an upload. Its disk space is free then, unless it is read.
    fn give_up(&self, upload: Arc<Upload>) -> io::Result<()> {
        upload.discard()?;
        self.close(&upload);
        upload.close();
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for nobody for long: each request for a file looks into what is open.
    fn open(&self, upload: Arc<Upload>) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(upload.place().clone(), upload);
    }

    fn close(&self, upload: &Arc<Upload>) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        // Another may have begun at its place since.
        if open.get(upload.place()).is_some_and(|other| Arc::ptr_eq(other, upload)) {
            open.remove(upload.place());
        }
    }
}
