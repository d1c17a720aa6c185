//! One file that is being received: its bytes and its record beside its final name, hidden, until all of
//! it is there; then it is synced and renamed. Knows no HTTP and no runtime: all here may wait for a disk.

use super::{
    channel::{Channel, End},
    parts::{MOST_SPANS, Spans},
    record::Record,
};
use crate::store::{Census, plot::Plot, root::Place, stamp};
use bytes::{Buf, Bytes};
use rustix::io::Errno;
use std::{
    ffi::{OsStr, OsString},
    io::{self, IoSlice},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Frames written by one call; the kernel takes no more than 1,024.
const SLICES: usize = 256;

/// Why an upload, or a part of one, is not taken.
#[derive(Debug)]
pub enum Refused {
    /// It lies in no folder that may be written to, or the way there leads out of it.
    Forbidden,
    /// Another writer is at it.
    Busy,
    /// Bytes of it are there already, or are being written.
    Overlap,
    /// It was said before that the whole has another length, or bytes are there beyond it.
    OtherTotal,
    /// There is a whole file of that name, which has no parts.
    Finished,
    /// There is a folder of that name, or a file where a folder should be.
    InTheWay,
    /// More pieces than are kept account of.
    Scattered,
    /// More streams than may be open at once.
    TooMany,
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Refused::Forbidden,
            io::ErrorKind::NotADirectory => Refused::InTheWay,
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
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    held: Spans,
    /// The part that each writer is at, by its slot in the record.
    claims: Vec<(u64, Range<u64>)>,
    total: Option<u64>,
    slots: u64,
    /// When the last writer left.
    left: Instant,
    /// Somebody is giving it its name, or did.
    finished: Option<Stored>,
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

const BYTES: &str = ".reelmap";
pub(super) const RECORD: &str = ".reelmap-record";

impl Upload {
    /// Begins an upload to `place`, whose folder is `plot`.
    pub(super) fn begin(place: &Place, plot: Plot, census: &Arc<Census>) -> io::Result<Upload> {
        let [bytes, record] = hidden(place.name());
        // Nobody is at these: they are what was left of an upload whose record could not be read.
        plot.remove(&record)?;
        plot.remove(&bytes)?;
        let replaces = plot.kind(place.name())?.is_some();
        let begun = SystemTime::now();
        let record = Record::begin(plot.create(&record)?, None, begun)?;
        let channel = Arc::new(Channel::new(plot.create(&bytes)?, 0, census)?);
        let progress = Progress {
            held: Spans::default(),
            claims: Vec::new(),
            total: None,
            slots: 0,
            left: Instant::now(),
            finished: None,
        };
        let progress = Mutex::new(progress);
        Ok(Upload { place: place.clone(), plot, channel, record, begun, replaces, progress })
    }

    /// Takes up an upload that another process began: what its record says is there, and no more. `None`
    /// if there is nothing of it.
    pub(super) fn resume(
        place: &Place,
        plot: Plot,
        census: &Arc<Census>,
    ) -> io::Result<Option<Upload>> {
        let [bytes, record] = hidden(place.name());
        let (record, read) = Record::read(plot.open(&record)?)?;
        let file = match plot.open(&bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if read.held.count() == 0 {
            return Ok(None);
        }
        let length = file.metadata()?.len();
        if length < read.held.end() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{length} bytes are there of {} that were noted", read.held.end()),
            ));
        }
        file.set_len(read.held.end())?;
        // What counts now was synced, or was there in this boot; from now on it is this boot's.
        file.sync_data()?;
        record.write_head(read.total, read.begun)?;
        let channel = Arc::new(Channel::new(file, read.held.prefix(), census)?);
        channel.end(Some(End::Cut));
        let replaces = plot.kind(place.name())?.is_some();
        let progress = Progress {
            held: read.held,
            claims: Vec::new(),
            total: read.total,
            slots: read.slots,
            left: Instant::now(),
            finished: None,
        };
        let (begun, progress) = (read.begun, Mutex::new(progress));
        let place = place.clone();
        Ok(Some(Upload { place, plot, channel, record, begun, replaces, progress }))
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

    /// Whether there was a file of its name when it began, which is served until it is whole.
    pub fn replaces(&self) -> bool {
        self.replaces
    }

    /// Its tag: the same from its first byte on, and of the file it becomes.
    pub fn tag(&self) -> String {
        let since = self.begun.duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("live-{:x}", since.as_nanos())
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
        if progress.claims.iter().any(|(_, claim)| crosses(claim)) {
            return Err(if open { Refused::Busy } else { Refused::Overlap });
        }
        if progress.held.overlaps(&span) {
            return Err(Refused::Overlap);
        }
        if progress.held.count() + progress.claims.len() >= MOST_SPANS {
            return Err(Refused::Scattered);
        }
        if known != progress.total {
            self.record.write_head(known, self.begun)?;
            progress.total = known;
        }
        let slot = progress.slots;
        self.record.begin_part(slot, span.start)?;
        progress.slots += 1;
        progress.claims.push((slot, span.clone()));
        drop(progress);
        self.channel.end(None);
        let whole = matches!(asked, Asked::Whole(_));
        Ok(Writer { upload: self.clone(), whole, slot, start: span.start, at: span.start })
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

    /// A stream whose length nobody knew has no other end than the one it came to, unless it would
    /// take the place of a whole file.
    fn close_open_end(&self, progress: &mut Progress) {
        let prefix = progress.held.prefix();
        let is_all = progress.held.end() == prefix && prefix > 0 && progress.claims.is_empty();
        if progress.total.is_none() && is_all && !self.replaces {
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

    /// Gives it its name, for good.
    fn finish(&self, end: End) -> io::Result<()> {
        let [bytes, record] = hidden(self.place.name());
        let finish = || {
            let file = self.channel.file();
            file.sync_all()?;
            // Where the file system has no room for it, the tag changes when the stream ends.
            let _ = stamp::write(file, &self.tag());
            self.plot.rename(&bytes, self.place.name())?;
            self.plot.remove(&record)?;
            self.plot.sync()
        };
        let outcome = finish();
        if outcome.is_err() {
            self.progress().finished = None;
        }
        self.channel.end(Some(if outcome.is_ok() { end } else { End::Cut }));
        outcome
    }
}

/// A value of this type writes one part of an upload, in order.
#[derive(Debug)]
pub struct Writer {
    upload: Arc<Upload>,
    /// It writes all of it.
    whole: bool,
    slot: u64,
    start: u64,
    at: u64,
}

impl Writer {
    pub fn upload(&self) -> &Arc<Upload> {
        &self.upload
    }

    /// How many bytes it wrote.
    pub fn written(&self) -> u64 {
        self.at - self.start
    }

    /// Writes `frames` where they belong, and tells the readers. What was written before it failed is
    /// told, too. The frames are left, empty, to be freed by the thread that made them.
    pub fn write(&mut self, frames: &mut [Bytes]) -> io::Result<()> {
        let outcome = self.write_frames(frames);
        self.upload.record.written(self.slot, self.at)?;
        let mut progress = self.upload.progress();
        progress.held.insert(self.start..self.at);
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
    /// upload gets its name.
    pub fn leave(self, clean: bool) -> io::Result<Stored> {
        let upload = &self.upload;
        let mut progress = upload.progress();
        progress.claims.retain(|(slot, _)| *slot != self.slot);
        progress.left = Instant::now();
        if self.whole && progress.total.is_none() && clean {
            progress.total = Some(self.at);
        } else if self.whole && !clean {
            upload.close_open_end(&mut progress);
        }
        let done = upload.is_done(&mut progress);
        let (finished, idle) = (progress.finished, progress.claims.is_empty());
        drop(progress);
        if done {
            upload.finish(if clean { End::Whole } else { End::Cut })?;
        } else if finished.is_none() {
            if idle && !clean {
                upload.channel.end(Some(End::Cut));
            }
            upload.channel.file().sync_data()?;
            upload.record.synced(self.slot, self.at)?;
        }
        Ok(finished.unwrap_or(Stored::Partly))
    }
}
