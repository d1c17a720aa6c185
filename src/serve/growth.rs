//! The indexes of streams: each extended by what has come since it was last asked, one extension at a time for all who
//! wait for it, on a thread that may wait. The writer knows nothing of it.
//!
//! ```text
//! known, and reaches as far as the stream did when it was asked? ── yes ─> asked
//!   no ──> its turn ─> reaches by now? ── yes ─> asked     no ─> extended, kept by the stream's identity, asked
//! ```

use super::{
    App,
    indexes::{Indexed, Made, NoIndex, unreadable},
    off_runtime::OffRuntime,
};
use crate::{
    live::Channel,
    media::{self, Budget, Error, Growing, Source},
    seek::Film,
    store::{Fingerprint, Identity},
};
use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{OwnedMutexGuard, Semaphore},
    task::spawn_blocking,
};

/// Streams whose indexes are extended at once.
const EXTENDING: usize = 2;

/// A value of this type knows who extends which index. It holds none itself: an index that the cache of indexes has let
/// go of is begun anew.
pub(super) struct Growths {
    known: Mutex<HashMap<Identity, Weak<Growth>>>,
    turns: Arc<Semaphore>,
}

/// A value of this type is what is known of one stream.
#[derive(Default)]
pub(super) struct Growth(Arc<tokio::sync::Mutex<Known>>);

#[derive(Default)]
struct Known {
    growing: Growing,
    /// How far it was read, and what the file looked like then: other bytes would be another film.
    reached: Option<(u64, Fingerprint)>,
    /// It was left in the middle, and can't go on.
    failed: Option<NoIndex>,
}

/// A value of this type is how far an index reaches, and who extends it.
pub(super) struct Reach {
    pub(super) length: u64,
    /// Kept as long as the index is.
    _growth: Arc<Growth>,
}

impl Default for Growths {
    fn default() -> Growths {
        Growths { known: Mutex::default(), turns: Arc::new(Semaphore::new(EXTENDING)) }
    }
}

impl Growths {
    fn of(&self, stream: &Identity) -> Arc<Growth> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(growth) = known.get(stream).and_then(Weak::upgrade) {
            return growth;
        }
        known.retain(|_, growth| growth.strong_count() > 0);
        let growth = Arc::default();
        known.insert(*stream, Arc::downgrade(&growth));
        growth
    }
}

/// The answer of the index of a file that grows, as far as the file reaches now, and that length.
pub(super) async fn ask<T: Send + 'static>(
    app: &Arc<App>,
    channel: &Arc<Channel>,
    question: impl Fn(Film<'_>) -> T + Send + 'static,
) -> Result<(T, u64), NoIndex> {
    let indexed = of(app, channel).await?;
    let length = indexed.reach.as_ref().map_or(0, |reach| reach.length);
    let (of, most) = (channel.clone(), app.indexes.most());
    let ask = move |indexed: &Indexed| {
        let source = Committed { file: of.file(), length };
        let budget = Budget::new(&source, most);
        let answer = question(Film { index: &*indexed.index, source: &budget });
        budget.over().map_or(Ok((answer, length)), |costly| Err(NoIndex::from(costly)))
    };
    if indexed.index.is_in_memory() {
        return ask(&indexed);
    }
    let Ok(turn) = indexed.turns.clone().acquire_owned().await else {
        return Err(NoIndex::Changed);
    };
    let work = OffRuntime::start(move || {
        let answer = ask(&indexed);
        drop(turn);
        Ok(answer)
    });
    work.await.map_err(unreadable)?
}

/// The index that reaches at least as far as the file does now.
async fn of(app: &Arc<App>, channel: &Arc<Channel>) -> Made {
    let (stream, wanted) = (channel.identity(), channel.state().length);
    if let Some(made) = reaching(app, stream, wanted) {
        return made;
    }
    let growth = app.growths.of(stream);
    let known = growth.0.clone().lock_owned().await;
    // Whoever was before may have extended it far enough.
    if let Some(made) = reaching(app, stream, wanted) {
        return made;
    }
    // It is finished although who asked may leave.
    let work = tokio::spawn(extend(app.clone(), channel.clone(), growth, known));
    work.await.unwrap_or_else(|error| Err(unreadable(io::Error::other(error))))
}

/// What is kept of the stream, if that tells of so many bytes.
fn reaching(app: &App, stream: &Identity, wanted: u64) -> Option<Made> {
    app.indexes.kept_of(stream).filter(|made| match made {
        Ok(indexed) => indexed.reach.as_ref().is_some_and(|reach| reach.length >= wanted),
        // Its frames may come.
        Err(NoIndex::Film(error)) => !matches!(**error, Error::NoTrack),
        Err(NoIndex::Changed) => false,
    })
}

async fn extend(
    app: Arc<App>,
    channel: Arc<Channel>,
    growth: Arc<Growth>,
    mut known: OwnedMutexGuard<Known>,
) -> Made {
    let Ok(turn) = app.growths.turns.clone().acquire_owned().await else {
        return Err(NoIndex::Changed);
    };
    let work = spawn_blocking(move || {
        let made = known.extend(&channel, app.indexes.most());
        drop(turn);
        if !matches!(&made, Err(NoIndex::Film(error)) if matches!(**error, Error::NotYet(_))) {
            app.metrics.indexes_extended.inc();
        }
        let made = made.map(|(index, length)| {
            let reach = Reach { length, _growth: growth };
            let more = known.growing.weight() as u64;
            (Arc::new(Indexed::reaching(Box::new(index), reach)), more)
        });
        let (made, more) = match made {
            Ok((indexed, more)) => (Ok(indexed), more),
            Err(no) => (Err(no), 0),
        };
        // Before another has its turn.
        app.indexes.keep(*channel.identity(), &made, more);
        made
    });
    work.await.unwrap_or_else(|error| Err(unreadable(io::Error::other(error))))
}

impl Known {
    /// The index as far as the file reaches now, and that length, if it is had in `most`. Waits for the disk.
    fn extend(
        &mut self,
        channel: &Channel,
        most: Duration,
    ) -> Result<(media::SoFar, u64), NoIndex> {
        if let Some(no) = &self.failed {
            return Err(no.clone());
        }
        let file = channel.file();
        if let Some((length, print)) = &self.reached
            && Fingerprint::take(file, *length).map_err(unreadable)? != *print
        {
            *self = Known::default();
        }
        let length = channel.state().length;
        let print = Fingerprint::take(file, length).map_err(unreadable)?;
        let source = Committed { file, length };
        let budget = Budget::new(&source, most);
        let made = match budget.settle(self.growing.advance(&budget)) {
            // Another program wrote it anew meanwhile; a file that is received here never is.
            _ if Fingerprint::take(file, length).ok() != Some(print) => Err(NoIndex::Changed),
            Ok(index) => Ok((index, length)),
            Err(error) => Err(NoIndex::Film(Arc::new(error))),
        };
        match &made {
            Err(NoIndex::Film(error)) if matches!(**error, Error::NotYet(_) | Error::NoTrack) => {}
            Err(no) => self.failed = Some(no.clone()),
            Ok(_) => {}
        }
        self.reached = Some((length, print));
        made
    }
}

/// A value of this type is what is there of a stream, to be read.
pub(super) struct Committed<'a> {
    pub(super) file: &'a File,
    pub(super) length: u64,
}

impl Source for Committed<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let room = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let most = buffer.len().min(room);
        self.file.read_at(&mut buffer[..most], offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Index, Time};
    use std::os::unix::fs::FileExt;

    fn film(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn another_film_in_the_same_file_begins_another_index() {
        let channel = Channel::new(tempfile::tempfile().unwrap(), 0, &Arc::default()).unwrap();
        let mut known = Known::default();
        for (name, length) in [
            ("stream.ts", 60_000),
            ("stream.ts", 100_000),
            ("film.mkv", 100_000),
            ("vp9.webm", 120_000),
        ] {
            let film = film(name);
            channel.file().write_all_at(&film[..length], 0).unwrap();
            channel.reach(length as u64).unwrap();
            let (so_far, reached) = known.extend(&channel, Duration::MAX).unwrap();
            assert_eq!(reached, length as u64);
            let found = so_far.find(&film, Time::new(1, 1)).unwrap();
            let whole = crate::media::open(&film).unwrap();
            assert_eq!(found, whole.find(&film, Time::new(1, 1)).unwrap(), "{name}");
        }
    }

    #[test]
    fn a_file_that_became_shorter_is_told_of_no_more() {
        let channel = Channel::new(tempfile::tempfile().unwrap(), 0, &Arc::default()).unwrap();
        channel.file().write_all_at(&film("stream.ts")[..60_000], 0).unwrap();
        channel.reach(60_000).unwrap();
        let mut known = Known::default();
        assert!(known.extend(&channel, Duration::MAX).is_ok());
        channel.file().set_len(50_000).unwrap();
        assert!(known.extend(&channel, Duration::MAX).is_err());
        assert!(known.extend(&channel, Duration::MAX).is_err());
    }
}
