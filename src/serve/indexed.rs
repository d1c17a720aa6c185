//! An index that is asked: at once where that takes no reads, else off the runtime and in turns; and why there is none,
//! or no answer from it.

use super::{
    App,
    steady::{Seen, Steady},
    turns::{Step, in_turns},
};
use crate::{
    media::{Budget, Costly, Error, Index, Unread},
    seek::Film,
    store::Asset,
};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// First tries at once to answer questions to one index that read its file.
const READING: usize = 4;

/// A value of this type is a film's index, for all who ask it.
pub(super) struct Indexed {
    pub(super) index: Box<dyn Index>,
    turns: Arc<Semaphore>,
    /// Until when no long turn is spent on its questions, for one has just come to nothing.
    rests: Mutex<Option<Instant>>,
    /// How much there was of a file that grows.
    pub(super) length: Option<u64>,
}

/// A value of this type is why there is no index, or no answer from one.
#[derive(Clone, Debug)]
pub(super) enum NoIndex {
    Film(Arc<Error>),
    /// The file was written to meanwhile.
    Changed,
}

impl Indexed {
    /// That index; `length` is how much there is of a file that grows.
    pub(super) fn of(index: Box<dyn Index>, length: Option<u64>) -> Indexed {
        let turns = Arc::new(Semaphore::new(READING));
        Indexed { index, turns, rests: Mutex::default(), length }
    }

    fn rests(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of an index that needs no file for it; none of one that would have to read.
    pub(super) fn at_once<T>(
        &self,
        length: u64,
        question: impl FnOnce(Film<'_>) -> T,
    ) -> Option<T> {
        let unread = Unread::new(length);
        let knows = self.index.is_in_memory() || self.index.remembers();
        let told = knows.then(|| question(Film { index: &*self.index, source: &unread }));
        unread.settle(told?)
    }
}

/// The answer of an index that may have to read its file, and of the file as it was when it was indexed.
pub(super) async fn ask<T: Send + 'static>(
    app: &App,
    asset: &Arc<Asset>,
    indexed: &Arc<Indexed>,
    question: impl Fn(Film<'_>) -> T + Send + Sync + 'static,
) -> Result<T, NoIndex> {
    if let Some(answer) = indexed.at_once(asset.length(), &question) {
        return Ok(answer);
    }
    let question = Arc::new(question);
    let look = |time| {
        let (of, with, question) = (asset.clone(), indexed.clone(), question.clone());
        let mut steady = Steady::default();
        move || {
            let ask = |source: &Budget<'_>| question(Film { index: &*with.index, source });
            told(steady.look(&of, time, ask), |seen| Ok(seen.of?))
        }
    };
    let told = look_by_turns(app, asset, indexed, look).await;
    match &told {
        Err(NoIndex::Changed) => app.indexes.forget(asset.identity()),
        _ => app.indexes.weigh_again(asset.identity(), indexed),
    }
    told
}

/// What a `look` gives that asks an index for up to so long and may wait: in a first try, or in a long turn where time
/// runs out.
pub(super) async fn look_by_turns<T: Send + 'static, L>(
    app: &App,
    asset: &Asset,
    indexed: &Indexed,
    look: impl Fn(Duration) -> L,
) -> Result<T, NoIndex>
where
    L: FnMut() -> Step<Result<T, NoIndex>> + Send + 'static,
{
    let (remote, far) = (asset.remote(), &app.threads.far);
    let [(tries, short), (turns, long)] = app.turns.to_ask(asset, &indexed.turns);
    let turn = || async { tries.clone().acquire_owned().await.ok() };
    let Some(told) = in_turns(remote, far, turn, look(short)).await else {
        return Err(NoIndex::Changed);
    };
    let told = told.map_err(unreadable)?;
    if !told.as_ref().is_err_and(NoIndex::ran_out_of_time) {
        return told;
    }
    let rests = || indexed.rests().is_some_and(|until| Instant::now() < until);
    let turn = || async {
        let turn = turns.clone().acquire_owned().await.ok()?;
        (!rests()).then_some(turn)
    };
    let Some(told) = in_turns(remote, far, turn, look(long)).await else {
        return Err(Costly::Time(long).into());
    };
    let told = told.map_err(unreadable)?;
    if told.as_ref().is_err_and(NoIndex::ran_out_of_time) {
        *indexed.rests() = Some(Instant::now() + long);
    }
    told
}

/// What `told` makes of what was seen.
pub(super) fn told<T, U>(
    seen: Step<io::Result<Option<Seen<T>>>>,
    told: impl FnOnce(Seen<T>) -> Result<U, NoIndex>,
) -> Step<Result<U, NoIndex>> {
    seen.map(|seen| seen.map_err(unreadable)?.map_or(Err(NoIndex::Changed), told))
}

impl From<Costly> for NoIndex {
    fn from(costly: Costly) -> NoIndex {
        NoIndex::Film(Arc::new(Error::Costly(costly)))
    }
}

pub(super) fn unreadable(error: io::Error) -> NoIndex {
    NoIndex::Film(Arc::new(Error::Io(error)))
}

impl NoIndex {
    /// More time might have brought an answer.
    pub(super) fn ran_out_of_time(&self) -> bool {
        let NoIndex::Film(error) = self else { return false };
        matches!(**error, Error::Costly(Costly::Time(_)))
    }

    /// Why, for the counters.
    pub(super) fn word(&self) -> &'static str {
        match self {
            NoIndex::Changed => "changed",
            NoIndex::Film(error) => match &**error {
                Error::Unknown => "unknown",
                Error::NoTrack => "empty",
                Error::Broken { .. } => "broken",
                Error::NotYet(_) => "early",
                Error::Costly(_) => "costly",
                Error::Io(_) => "unreadable",
            },
        }
    }
}
