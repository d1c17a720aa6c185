//! The indexes of streams: each extended by what has come since it was last asked, one extension at a time for all who
//! wait for it, on a thread that may wait. The writer knows nothing of it.
//!
//! ```text
//! known, and reaches as far as the stream did when it was asked? ── yes ─> asked
//!   no ──> its turn ─> reaches by now? ── yes ─> asked     no ─> extended, kept by the stream's identity, asked
//! ```
//!
//! It has the turns that films have: a short try, then a long one. What was read when time ran out is kept, and then the
//! stream rests for as long as its long turn was: until then the index there is answers, and a later question goes on.

use super::{
    App,
    indexed::{self, Indexed, NoIndex, unreadable},
    indexes::Made,
    off_runtime::OffRuntime,
    turns::Step,
};
use crate::{
    live::Channel,
    media::{self, Budget, Costly, Error, Growing, Source},
    seek::Film,
    store::{Fingerprint, Identity},
    telemetry::metrics::Why,
};
use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::sync::OwnedMutexGuard;

/// A value of this type knows who extends which index. It holds none itself: one that the cache of indexes has let go of
/// is begun anew.
#[derive(Default)]
pub(super) struct Growths(Mutex<HashMap<Identity, Weak<Growth>>>);

/// A value of this type is what is known of one stream.
#[derive(Default)]
pub(super) struct Growth(Arc<tokio::sync::Mutex<Known>>);

#[derive(Default)]
struct Known {
    growing: Growing,
    /// How far it was read, and what the file looked like then: other bytes would be another film.
    reached: Option<(u64, Fingerprint)>,
}

/// A value of this type is how far a stream was looked through, and what is kept to go on.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) length: u64,
    pub(super) _growth: Arc<Growth>,
    /// What that takes beside the index, in bytes.
    pub(super) weight: u64,
}

impl Growths {
    fn of(&self, stream: &Identity) -> Arc<Growth> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(growth) = known.get(stream).and_then(Weak::upgrade) {
            return growth;
        }
        known.retain(|_, growth| growth.strong_count() > 0);
        let growth = Arc::default();
        known.insert(*stream, Arc::downgrade(&growth));
        growth
    }
}

/// The answer of the index of a file that grows, as far as the index reaches, and that length: as far as the file does,
/// where it can be extended now.
pub(super) async fn ask<T: Send + 'static>(
    app: &Arc<App>,
    channel: &Arc<Channel>,
    question: impl Fn(Film<'_>) -> T + Send + Sync + 'static,
) -> Result<(T, u64), NoIndex> {
    let indexed = of(app, channel).await?;
    let length = indexed.length.unwrap_or_default();
    if let Some(answer) = indexed.at_once(length, &question) {
        return Ok((answer, length));
    }
    let question = Arc::new(question);
    let look = |time| {
        let (of, with, question) = (channel.clone(), indexed.clone(), question.clone());
        move || {
            let source = Committed { file: of.file(), length };
            let budget = Budget::new(&source, time);
            let answer = question(Film { index: &*with.index, source: &budget });
            let told = budget.over().map_or(Ok((answer, length)), |costly| Err(costly.into()));
            Step::Done(told)
        }
    };
    let told = indexed::look_by_turns(app, &channel.asset(), &indexed, look).await;
    app.indexes.weigh_again(channel.identity(), &indexed);
    told
}

/// The index that reaches at least as far as the file does now, or as far as can be.
async fn of(app: &Arc<App>, channel: &Arc<Channel>) -> Made {
    let (stream, wanted) = (channel.identity(), channel.state().length);
    if let Some(made) = app.indexes.so_far(stream, wanted) {
        return made;
    }
    let growth = app.growths.of(stream);
    let known = growth.0.clone().lock_owned().await;
    // Whoever was before may have extended it far enough, or in vain.
    if let Some(made) = app.indexes.so_far(stream, wanted) {
        return made;
    }
    // It is finished although who asked may leave.
    let work = tokio::spawn(extend(app.clone(), channel.clone(), growth, known));
    work.await.unwrap_or_else(|error| Err(unreadable(io::Error::other(error))))
}

async fn extend(
    app: Arc<App>,
    channel: Arc<Channel>,
    growth: Arc<Growth>,
    mut known: OwnedMutexGuard<Known>,
) -> Made {
    let mut made = Err(NoIndex::Changed);
    for (turns, time) in app.turns.to_make(&channel.asset()) {
        let Ok(turn) = turns.acquire_owned().await else { break };
        let of = channel.clone();
        let (remote, far) = (channel.asset().remote(), &app.threads.far);
        let work = OffRuntime::start_where(remote, far, move || {
            let made = known.extend(&of, time);
            drop(turn);
            Ok((made, known))
        });
        (made, known) = match work.await {
            Ok(done) => done,
            Err(error) => return Err(unreadable(error)),
        };
        if !made.as_ref().is_err_and(NoIndex::ran_out_of_time) {
            break;
        }
    }
    let length = known.reached.map_or(0, |(length, _)| length);
    let made = made.map(|index| Arc::new(Indexed::of(Box::new(index), Some(length))));
    match &made {
        Ok(_) => app.metrics.indexes_extended.inc(),
        Err(no) => app.metrics.indexes_failed.get_or_create(&Why { why: no.word() }).inc(),
    };
    let weight = known.growing.weight() as u64;
    // Before another has its turn.
    app.indexes.keep_so_far(*channel.identity(), made, Reach { length, _growth: growth, weight })
}

impl Known {
    /// The index as far as the file reaches now, if it is had in `most`. Waits for the disk.
    fn extend(&mut self, channel: &Channel, most: Duration) -> Result<media::SoFar, NoIndex> {
        let made = self.advance(channel, most);
        let goes_on = match &made {
            Ok(_) => true,
            Err(NoIndex::Changed) => false,
            Err(NoIndex::Film(error)) => matches!(
                **error,
                Error::NotYet(_) | Error::NoTrack | Error::Io(_) | Error::Costly(Costly::Time(_))
            ),
        };
        if !goes_on {
            *self = Known::default();
        }
        made
    }

    fn advance(&mut self, channel: &Channel, most: Duration) -> Result<media::SoFar, NoIndex> {
        let file = channel.file();
        if let Some((length, print)) = self.reached
            && Fingerprint::take(file, length).map_err(unreadable)? != print
        {
            *self = Known::default();
        }
        let length = channel.state().length;
        let print = Fingerprint::take(file, length).map_err(unreadable)?;
        let source = Committed { file, length };
        let budget = Budget::new(&source, most);
        let made = budget.settle(self.growing.advance(&budget));
        self.reached = Some((length, print));
        // Another program wrote it anew meanwhile; a file that is received here never is.
        if Fingerprint::take(file, length).ok() != Some(print) {
            return Err(NoIndex::Changed);
        }
        made.map_err(|error| NoIndex::Film(Arc::new(error)))
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
            let so_far = known.extend(&channel, Duration::MAX).unwrap();
            assert_eq!(known.reached.map(|(length, _)| length), Some(length as u64));
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
