//! One file that is being received: its bytes and its record beside its final name, hidden, until all of
//! it is there; then it is synced and renamed. Knows no HTTP and no runtime; what waits for a disk says so.

mod durable;
mod ending;
pub(super) mod hidden;
mod writer;

pub use writer::Writer;

use super::{
    channel::{Channel, End},
    parts::{MOST_SPANS, Spans},
    record::{Head, MOST_SLOTS, Read, Record},
};
use crate::store::{plot::Plot, root::Place};
use durable::Durable;
use std::{
    ffi::OsStr,
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
    /// It lies on a disk that may not answer, and only others were to be waited for.
    Elsewhere,
    /// The folder that may be written to is not there now.
    Missing,
    /// It lies in no folder that may be written to, or the way there leads out of it.
    Forbidden,
    /// What is there is not what it is meant to go on with, or to replace.
    NotThat,
    /// Another writer is at it.
    Busy,
    /// Bytes of it are there already, or are being written.
    Overlap,
    /// It was said before that the whole has another length, or bytes are there beyond it, or being written.
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
            io::ErrorKind::CrossesDevices => Refused::Elsewhere,
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
    /// Bytes of it were lost.
    harmed: bool,
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
        let (left, finished, harmed) = (Instant::now(), None, false);
        Progress { held, claims, total, slots, free, left, finished, harmed }
    }

    /// See [`Upload::check`].
    fn check(&self) -> io::Result<()> {
        match self.harmed {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, "it was cut short")),
            false => Ok(()),
        }
    }
}

impl Upload {
    /// One of which `held` is there, as its record has it, and that nobody is at.
    fn new(
        place: &Place,
        plot: Plot,
        channel: Channel,
        (record, read): (Record, &Read),
        held: Spans,
    ) -> Upload {
        let progress = Progress::new(held, read.head.total, read.parts.len() as u64);
        Upload {
            place: place.clone(),
            plot,
            channel: Arc::new(channel),
            record,
            begun: read.head.begun,
            replaces: read.head.replaces,
            taken: AtomicBool::new(false),
            stamped: AtomicBool::new(false),
            progress: Mutex::new(progress),
            durable: Mutex::default(),
        }
    }

    /// What its record is to say of the whole, of so many bytes.
    fn head(&self, total: Option<u64>) -> Head {
        Head { total, begun: self.begun, replaces: self.replaces }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Whether its disk may wait for another machine or another process.
    pub fn is_remote(&self) -> bool {
        self.channel.asset().remote()
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

    /// Whether it lies in that folder, by the same name.
    pub(super) fn lies_in(&self, plot: &Plot, name: &OsStr) -> bool {
        self.place.name() == name && self.plot.is(plot).unwrap_or(false)
    }

    /// Gives way, if it waits: it stays where it is, for who takes it up.
    pub(super) fn give_way(&self) {
        self.channel.end(Some(End::Cut));
        self.record.unlock();
    }

    /// Fails with `InvalidData` if another program has cut the file shorter than what was written of it. Nothing of
    /// that counts any more, now or for another process: when the file grows again, bytes in its middle will be missing.
    pub(super) fn check(&self) -> io::Result<()> {
        let written = self.progress().held.end();
        let there = self.channel.file().metadata()?.len();
        let mut progress = self.progress();
        if there < written && !std::mem::replace(&mut progress.harmed, true) {
            drop(progress);
            self.record.void()?;
            let place = &self.place;
            tracing::error!(
                "{place}: {there} bytes are there of {written}, another program has cut it short"
            );
            progress = self.progress();
        }
        progress.check()
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
        progress.check()?;
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
        // Somebody is writing beyond what this one says is the end.
        if known.is_some_and(|known| progress.claims.iter().any(|claim| claim.span.end > known)) {
            return Err(Refused::OtherTotal);
        }
        if progress.held.overlaps(&span) {
            return Err(Refused::Overlap);
        }
        let scattered = progress.held.count() + progress.claims.len() >= MOST_SPANS;
        if scattered || progress.slots >= MOST_SLOTS {
            return Err(Refused::Scattered);
        }
        let before = std::mem::replace(&mut progress.total, known);
        let slot = progress.free.pop().unwrap_or(progress.slots);
        progress.slots = progress.slots.max(slot + 1);
        let at = span.start;
        progress.claims.push(Claim { slot, span, written: at, synced: at });
        // While nobody else begins, leaves or finishes, who would say otherwise.
        self.channel.end(None);
        drop(progress);
        // The disk may not answer, and others look into what is known.
        let head = || match known == before {
            true => Ok(()),
            false => self.record.write_head(&self.head(known)),
        };
        if let Err(error) = head().and_then(|()| self.record.begin_part(slot, at)) {
            let mut progress = self.progress();
            progress.total = before;
            progress.free.push(slot);
            progress.claims.retain(|claim| claim.slot != slot);
            if progress.claims.is_empty() {
                self.channel.end(Some(End::Cut));
            }
            return Err(error.into());
        }
        let whole = matches!(asked, Asked::Whole(_));
        Ok(Writer { upload: self.clone(), whole, slot, start: at, at })
    }

    /// If nobody has been at it for so long, nobody is expected to go on: tells the readers. Waits for nobody.
    pub fn cut_if_idle(&self, patience: Duration) {
        let progress = self.progress();
        let idle = progress.claims.is_empty() && progress.left.elapsed() >= patience;
        if idle && progress.finished.is_none() {
            self.channel.end(Some(End::Cut));
        }
    }
}
