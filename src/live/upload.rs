//! One file that is being received: its bytes and its record beside its final name, hidden, until all of
//! it is there; then it is synced and renamed. Knows no HTTP and no runtime: all here may wait for a disk.

mod durable;
mod writer;

pub use writer::Writer;

use super::{
    channel::{Channel, End},
    parts::{MOST_SPANS, Spans},
    record::{MOST_SLOTS, Record},
};
use crate::store::{Census, plot::Plot, root::Place, stamp};
use durable::Durable;
use rustix::fs::FileType;
use std::{
    ffi::{OsStr, OsString},
    io,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Why an upload, or a part of one, is not taken.
#[derive(Debug)]
pub enum Refused {
    /// It lies in no folder that may be written to, or the way there leads out of it.
    Forbidden,
    /// What is there is not what it is meant to go on with, or to replace.
    NotThat,
    /// Another writer is at it.
    Busy,
    /// Bytes of it are there already, or are being written.
    Overlap,
    /// It was said before that the whole has another length, or bytes are there beyond it.
    OtherTotal,
    /// There is a whole file of that name, which has no parts.
    Finished,
    /// Another program has made a file of its name since it began.
    Taken,
    /// There is a folder of that name, or a file where a folder should be.
    InTheWay,
    /// More pieces than are kept account of.
    Scattered,
    /// More are being written than may be open at once.
    TooMany,
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        match error.kind() {
            // What the system itself forbids has a number, and is the operator's to know.
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => Refused::Forbidden,
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => Refused::InTheWay,
            io::ErrorKind::WouldBlock => Refused::Busy,
            _ => Refused::Io(error),
        }
    }
}

/// What a writer wants to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it, in order; how long it is, if that is known.
    Whole(Option<u64>),
    /// These bytes of it; how long the whole is, if that is known.
    Part(Range<u64>, Option<u64>),
}

/// What became of an upload when a writer left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It has its name, which was free before.
    Created,
    /// It has its name, in the place of another.
    Replaced,
    /// It isn't all there.
    Partly,
}

/// A value of this type is a file that is being received.
#[derive(Debug)]
pub struct Upload {
    place: Place,
    plot: Plot,
    channel: Arc<Channel>,
    record: Record,
    begun: SystemTime,
    /// Whether there was a file of its name when it began.
    replaces: bool,
    /// Whether there was none, and is one since.
    taken: AtomicBool,
    /// Whether the file that it became has its tag.
    stamped: AtomicBool,
    progress: Mutex<Progress>,
    durable: Mutex<Durable>,
}

#[derive(Debug)]
struct Progress {
    held: Spans,
    claims: Vec<Claim>,
    total: Option<u64>,
    /// Slots of the record, and those of them whose part came to nothing.
    slots: u64,
    free: Vec<u64>,
    /// When the last writer left.
    left: Instant,
    /// Somebody is giving it its name, or did.
    finished: Option<Stored>,
}

/// A value of this type is the part that a writer is at.
#[derive(Debug)]
struct Claim {
    /// Its slot in the record.
    slot: u64,
    span: Range<u64>,
    /// Where what was written of it ends, and what of that would outlast a loss of power.
    written: u64,
    synced: u64,
}

impl Progress {
    /// Nobody is at it yet; its record has so many slots.
    fn new(held: Spans, total: Option<u64>, slots: u64) -> Progress {
        let (claims, free) = (Vec::new(), Vec::new());
        Progress { held, claims, total, slots, free, left: Instant::now(), finished: None }
    }
}

fn nonsense(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The names under which an upload lies until it is whole.
pub(super) fn hidden(name: &OsStr) -> [OsString; 2] {
    [BYTES, RECORD].map(|end| {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(end);
        hidden
    })
}

/// Removes what was left of an upload to `name`, whether its record can be read or not; whether there was anything.
/// `WouldBlock` if another process is at it.
pub(super) fn remove_left(plot: &Plot, name: &OsStr) -> io::Result<bool> {
    let [bytes, record] = hidden(name);
    if plot.kind(&record)? == Some(FileType::RegularFile) {
        let _free = Record::lock(plot.open(&record)?)?;
    }
    let noted = plot.remove(&record)?;
    Ok(plot.remove(&bytes)? || noted)
}

/// When the last byte of an upload to `name` came; `None` where there are none.
pub(super) fn newest(plot: &Plot, name: &OsStr) -> io::Result<Option<SystemTime>> {
    let [bytes, _] = hidden(name);
    match plot.kind(&bytes)? {
        Some(FileType::RegularFile) => Ok(Some(plot.open(&bytes)?.metadata()?.modified()?)),
        _ => Ok(None),
    }
}

const BYTES: &str = ".reelmap";
pub(super) const RECORD: &str = ".reelmap-record";

impl Upload {
    /// Begins an upload to `place`, whose folder is `plot`.
    pub(super) fn begin(place: &Place, plot: Plot, census: &Arc<Census>) -> io::Result<Upload> {
        let [bytes, record] = hidden(place.name());
        remove_left(&plot, place.name())?;
        let replaces = plot.kind(place.name())?.is_some();
        let begun = SystemTime::now();
        let make = || {
            let record = Record::begin(plot.create(&record)?, None, begun, replaces)?;
            io::Result::Ok((record, Arc::new(Channel::new(plot.create(&bytes)?, 0, census)?)))
        };
        let made = make();
        if made.is_err() {
            plot.remove(&bytes)?;
            plot.remove(&record)?;
        }
        let (record, channel) = made?;
        let progress = Progress::new(Spans::default(), None, 0);
        Ok(Upload {
            place: place.clone(),
            plot,
            channel,
            record,
            begun,
            replaces,
            taken: AtomicBool::new(false),
            stamped: AtomicBool::new(false),
            progress: Mutex::new(progress),
            durable: Mutex::default(),
        })
    }

    /// Takes up an upload that another process began: what its record says is there, and no more. `None`
    /// if there is nothing of it.
    pub(super) fn resume(
        place: &Place,
        plot: Plot,
        census: &Arc<Census>,
    ) -> io::Result<Option<Upload>> {
        let [bytes, record] = hidden(place.name());
        let file = plot.open(&record)?;
        // Killed in the moment in which it was begun.
        if file.metadata()?.len() == 0 && plot.kind(&bytes)?.is_none() {
            return Ok(None);
        }
        let (record, read) = Record::read(file)?;
        let file = match plot.open(&bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut held = Spans::default();
        for part in &read.parts {
            held.insert(part.clone());
            if held.count() > MOST_SPANS {
                return Err(nonsense("its record has too many parts".into()));
            }
        }
        if held.count() == 0 {
            return Ok(None);
        }
        let (length, noted) = (file.metadata()?.len(), held.end());
        if length < noted {
            return Err(nonsense(format!("{length} bytes are there of {noted} that were noted")));
        }
        // Its time is that of the last byte that came: it isn't touched for nothing.
        if length > noted {
            file.set_len(noted)?;
        }
        file.sync_data()?;
        record.go_on(&read)?;
        let channel = Arc::new(Channel::new(file, held.prefix(), census)?);
        channel.end(Some(End::Cut));
        let taken = !read.replaces && plot.kind(place.name())?.is_some();
        let progress = Progress::new(held, read.total, read.parts.len() as u64);
        Ok(Some(Upload {
            place: place.clone(),
            plot,
            channel,
            record,
            begun: read.begun,
            replaces: read.replaces,
            taken: AtomicBool::new(taken),
            stamped: AtomicBool::new(false),
            progress: Mutex::new(progress),
            durable: Mutex::default(),
        }))
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// When it began.
    pub fn begun(&self) -> SystemTime {
        self.begun
    }

    /// Whether there is another file of its name, which is served until it is whole.
    pub fn replaces(&self) -> bool {
        self.replaces || self.taken.load(Relaxed)
    }

    /// Its tag: the same from its first byte on, and of the file it becomes.
    pub fn tag(&self) -> String {
        let since = self.begun.duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("live-{:x}", since.as_nanos())
    }

    /// Its tag, if that is the one which GET gives.
    pub fn told_tag(&self) -> Option<String> {
        let told = match self.progress().finished {
            Some(_) => self.stamped.load(Relaxed),
            None => !self.replaces(),
        };
        told.then(|| self.tag())
    }

    /// What is there of it, and how long the whole is, if that is known.
    pub fn held(&self) -> (Spans, Option<u64>) {
        let progress = self.progress();
        (progress.held.clone(), progress.total)
    }

    /// Whether anybody is writing to it.
    pub fn is_busy(&self) -> bool {
        let progress = self.progress();
        !progress.claims.is_empty() || progress.finished.is_some()
    }

    /// Whether nobody is at it, and nothing of it came.
    pub(super) fn is_empty(&self) -> bool {
        let progress = self.progress();
        progress.claims.is_empty() && progress.finished.is_none() && progress.held.count() == 0
    }

    /// Since when nobody has been at what is there of it; `None` while somebody is, or nothing is there.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let progress = self.progress();
        let waits = progress.claims.is_empty() && progress.finished.is_none();
        (waits && progress.held.count() > 0).then_some(progress.left)
    }

    /// Lets go of what waits: it stays where it is, for who takes it up.
    pub(super) fn let_go(&self) {
        self.channel.end(Some(End::Cut));
        self.record.unlock();
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a writer begin with what it asked for.
    pub(super) fn claim(self: &Arc<Upload>, asked: &Asked) -> Result<Writer, Refused> {
        let mut progress = self.progress();
        let (span, total) = match asked {
            Asked::Whole(total) => (0..total.unwrap_or(u64::MAX), *total),
            Asked::Part(span, total) => (span.clone(), *total),
        };
        if progress.finished.is_some() {
            return Err(Refused::Busy);
        }
        let known = progress.total.or(total);
        let reached = progress.held.end().max(span.end);
        let open = matches!(asked, Asked::Whole(None));
        if total.is_some_and(|total| known != Some(total))
            || (!open && known.is_some_and(|known| reached > known))
        {
            return Err(Refused::OtherTotal);
        }
        let crosses = |claim: &Range<u64>| claim.start < span.end && span.start < claim.end;
        if progress.claims.iter().any(|claim| crosses(&claim.span)) {
            return Err(if open { Refused::Busy } else { Refused::Overlap });
        }
        if progress.held.overlaps(&span) {
            return Err(Refused::Overlap);
        }
        let scattered = progress.held.count() + progress.claims.len() >= MOST_SPANS;
        if scattered || progress.slots >= MOST_SLOTS {
            return Err(Refused::Scattered);
        }
        if known != progress.total {
            self.record.write_head(known, self.begun, self.replaces)?;
            progress.total = known;
        }
        let slot = progress.free.last().copied().unwrap_or(progress.slots);
        let at = span.start;
        self.record.begin_part(slot, at)?;
        if progress.free.pop().is_none() {
            progress.slots += 1;
        }
        progress.claims.push(Claim { slot, span, written: at, synced: at });
        drop(progress);
        self.channel.end(None);
        let whole = matches!(asked, Asked::Whole(_));
        Ok(Writer { upload: self.clone(), whole, slot, start: at, at })
    }

    /// Gives up what is there, and removes it.
    pub(super) fn discard(&self) -> io::Result<()> {
        self.channel.end(Some(End::Cut));
        let [bytes, record] = hidden(self.place.name());
        self.plot.remove(&bytes)?;
        self.plot.remove(&record)?;
        Ok(())
    }

    /// If nobody has been at it for so long, nobody is expected to go on: tells the readers.
    pub fn cut_if_idle(&self, patience: Duration) {
        let progress = self.progress();
        let idle = progress.claims.is_empty() && progress.left.elapsed() >= patience;
        if idle && progress.finished.is_none() {
            self.channel.end(Some(End::Cut));
        }
    }

    /// Finishes an upload that another process was at when it ended, if that can be: whether it was.
    pub(super) fn finish_if_done(&self) -> io::Result<bool> {
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
    pub(super) fn finish_if_whole(&self) -> io::Result<bool> {
        let done = self.waits_since().is_some() && self.is_done(&mut self.progress());
        if done {
            self.finish(End::Whole)?;
        }
        Ok(done)
    }

    /// A stream whose length nobody knew has no other end than the one it came to, unless it would
    /// take the place of a whole file.
    fn close_open_end(&self, progress: &mut Progress) {
        let prefix = progress.held.prefix();
        let is_all = progress.held.end() == prefix && prefix > 0 && progress.claims.is_empty();
        if progress.total.is_none() && is_all && !self.replaces() {
            progress.total = Some(prefix);
        }
    }

    /// Whether all is there, so that the caller, and no other, is to finish it.
    fn is_done(&self, progress: &mut Progress) -> bool {
        let all = progress.total.is_some_and(|total| progress.held.prefix() >= total);
        let done = all && progress.finished.is_none();
        if done {
            let stored = if self.replaces { Stored::Replaced } else { Stored::Created };
            progress.finished = Some(stored);
        }
        done
    }

    /// Gives it its name, for good. `AlreadyExists` where that is taken: then it waits.
    fn finish(&self, end: End) -> io::Result<()> {
        let [bytes, record] = hidden(self.place.name());
        let finish = || {
            let file = self.channel.file();
            self.sync_whole()?;
            // Where the file system has no room for it, the tag changes when the stream ends.
            self.stamped.store(stamp::write(file, &self.tag()).is_ok(), Relaxed);
            match self.replaces {
                true => self.plot.rename(&bytes, self.place.name())?,
                false => self.plot.rename_new(&bytes, self.place.name())?,
            }
            self.plot.remove(&record)?;
            self.plot.sync()
        };
        let outcome = finish();
        if let Err(error) = &outcome {
            let mut progress = self.progress();
            progress.finished = None;
            // A stream is known to be whole since it ended. Where that can't be noted, the next process takes it for cut off.
            let _ = self.record.write_head(progress.total, self.begun, self.replaces);
            drop(progress);
            self.taken.fetch_or(error.kind() == io::ErrorKind::AlreadyExists, Relaxed);
        }
        self.channel.end(Some(if outcome.is_ok() { end } else { End::Cut }));
        outcome
    }
}
