//! The indexes of films: each made once, off the runtime, for all who wait for it. Bounded by bytes.
//!
//! ```text
//! known? ── yes ─> that one
//!   no ──> being made? ── yes ─> wait     no ─> make it; looked at before and after: is it still the file?
//! ```

use super::{
    App,
    growth::Reach,
    indexed::{Indexed, NoIndex, told, unreadable},
    steady::Steady,
    turns::in_turns,
};
use crate::{
    media::{self, Costly, Error},
    store::{Asset, Identity},
    telemetry::metrics::Why,
};
use quick_cache::{OptionsBuilder, Weighter, sync};
use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    select,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

/// What an entry takes beside its index, in bytes.
const ENTRY: u64 = 512;

pub(super) type Made = Result<Arc<Indexed>, NoIndex>;

/// A value of this type keeps indexes by the state of the file that they are of, as many as fit into its bytes, and
/// why files have none.
pub(super) struct Indexes {
    kept: sync::Cache<Identity, Kept, Weigh>,
    /// Those that are being made, with who tells of them.
    making: Mutex<HashMap<Identity, Arc<watch::Sender<Option<Made>>>>>,
    /// How long nothing more is tried where time ran out.
    rest: Duration,
}

#[derive(Clone)]
struct Kept {
    made: Made,
    weight: u64,
    /// What may turn out otherwise then: nothing more is tried until then.
    until: Option<Instant>,
    /// Of a file that grows.
    reach: Option<Reach>,
}

impl Kept {
    fn rests(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Identity, Kept> for Weigh {
    fn weight(&self, _: &Identity, kept: &Kept) -> u64 {
        kept.weight
    }
}

impl Indexes {
    /// None yet; `room` is the most that all of them may hold, in bytes, `most` the longest that one film may be
    /// looked through, and then how long it is not.
    pub(super) fn new(room: u64, most: Duration) -> Indexes {
        let mut options = OptionsBuilder::new();
        // One shard: an index may then be as large as the room is.
        let options = options.shards(1).weight_capacity(room).estimated_items_capacity(64);
        let options = options.build().expect("every option that has no default is given");
        let (hash, life) = (Default::default(), Default::default());
        Indexes {
            kept: sync::Cache::with_options(options, Weigh, hash, life),
            making: Mutex::default(),
            rest: most,
        }
    }

    /// How many are held, and their bytes.
    pub(super) fn census(&self) -> (u64, u64) {
        let held = self.kept.iter().filter(|(_, kept)| kept.made.is_ok()).count();
        (held as u64, self.kept.weight())
    }

    /// Forgets all but those of the files that `is_open` names: the others are gone, or are others now.
    pub(super) fn sweep(&self, is_open: impl Fn(&Identity) -> bool) {
        self.kept.retain(|identity, _| is_open(identity));
    }

    /// What is known of the film, if anything is.
    pub(super) fn known(&self, asset: &Asset) -> Option<Made> {
        let kept = self.kept.get(asset.identity())?;
        (kept.until.is_none() || kept.rests()).then_some(kept.made)
    }

    /// What is known of so many bytes of the stream; of fewer, where more will not be known for now.
    pub(super) fn so_far(&self, stream: &Identity, wanted: u64) -> Option<Made> {
        let kept = self.kept.get(stream)?;
        let is_for_good = match &kept.made {
            Err(NoIndex::Film(error)) => {
                matches!(
                    **error,
                    Error::Unknown | Error::Broken { .. } | Error::Costly(Costly::Bytes(_))
                )
            }
            _ => false,
        };
        let reaches = kept.reach.as_ref().is_some_and(|reach| reach.length >= wanted);
        (kept.rests() || is_for_good || reaches && kept.until.is_none()).then_some(kept.made)
    }

    fn making(&self) -> MutexGuard<'_, HashMap<Identity, Arc<watch::Sender<Option<Made>>>>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what came of it.
    fn keep(&self, identity: Identity, made: &Made, reach: Option<Reach>) {
        let own = match made {
            Ok(indexed) => indexed.index.weight(),
            Err(NoIndex::Film(error)) => match &**error {
                // It may be well the next time.
                Error::Io(_) => return,
                Error::Broken { what, .. } => what.capacity(),
                Error::Unknown | Error::NoTrack | Error::Costly(_) | Error::NotYet(_) => 0,
            },
            Err(NoIndex::Changed) => return,
        };
        let until = made.as_ref().err().filter(|no| no.ran_out_of_time());
        let until = until.map(|_| Instant::now() + self.rest);
        let weight = weight(own, &reach);
        self.kept.insert(identity, Kept { made: made.clone(), weight, until, reach });
    }

    /// Keeps what came of looking through a stream as far as `reach`, and gives what is to be told of it. Where time ran
    /// out, the index that there was is told of until the next look.
    pub(super) fn keep_so_far(&self, stream: Identity, made: Made, reach: Reach) -> Made {
        let before = self.kept.peek(&stream).filter(|kept| kept.made.is_ok());
        let Some(before) = before.filter(|_| made.as_ref().is_err_and(NoIndex::ran_out_of_time))
        else {
            self.keep(stream, &made, Some(reach));
            return made;
        };
        let own = before.made.as_ref().map_or(0, |indexed| indexed.index.weight());
        let (until, reach) = (Some(Instant::now() + self.rest), Some(reach));
        let (told, weight) = (before.made.clone(), weight(own, &reach));
        self.kept.insert(stream, Kept { made: before.made, weight, until, reach });
        told
    }

    /// Lets go of what is known of a film that has changed.
    pub(super) fn forget(&self, identity: &Identity) {
        self.kept.remove(identity);
    }

    /// Weighs an index again that may have grown by answering.
    pub(super) fn weigh_again(&self, identity: &Identity, indexed: &Arc<Indexed>) {
        // Not where it was let go of meanwhile, or another is kept.
        let Some(kept) = self.kept.peek(identity) else { return };
        let weight = weight(indexed.index.weight(), &kept.reach);
        if kept.made.as_ref().is_ok_and(|of| Arc::ptr_eq(of, indexed)) && kept.weight != weight {
            let _ = self.kept.replace(*identity, Kept { weight, ..kept }, true);
        }
    }
}

/// The bytes of an entry whose index takes `own`.
fn weight(own: usize, reach: &Option<Reach>) -> u64 {
    ENTRY + own as u64 + reach.as_ref().map_or(0, |reach| reach.weight)
}

/// The index of a film: the one there is, or a new one, which others wait for, too. It is finished although who
/// asked first may leave.
pub(super) async fn of(app: &Arc<App>, asset: &Arc<Asset>) -> Made {
    let mut told = {
        let mut making = app.indexes.making();
        if let Some(made) = app.indexes.known(asset) {
            return made;
        }
        match making.get(asset.identity()) {
            Some(tell) => tell.subscribe(),
            None => {
                let (tell, told) = watch::channel(None);
                let tell = Arc::new(tell);
                making.insert(*asset.identity(), tell.clone());
                tokio::spawn(make(app.clone(), asset.clone(), tell));
                told
            }
        }
    };
    let made = told.wait_for(Option::is_some).await;
    // It ends untold only where the server stops.
    made.ok().and_then(|made| made.clone()).unwrap_or(Err(NoIndex::Changed))
}

async fn make(app: Arc<App>, asset: Arc<Asset>, tell: Arc<watch::Sender<Option<Made>>>) {
    let indexes = &app.indexes;
    let mut made = Err(NoIndex::Changed);
    for (turns, time) in app.turns.to_make(&asset) {
        let (of, mut steady) = (asset.clone(), Steady::default());
        let read = move || {
            told(steady.look(&of, time, |source| media::open(source)), |seen| match seen.of? {
                Ok(index) => Ok((index, seen.same)),
                Err(error) => Err(NoIndex::Film(Arc::new(error))),
            })
        };
        let turn = || turn_unless_left(&app, &asset, &tell, turns.clone());
        let Some(read) = in_turns(asset.remote(), &app.threads.far, turn, read).await else {
            return;
        };
        made = read.unwrap_or_else(|error| Err(unreadable(error)));
        if !made.as_ref().is_err_and(NoIndex::ran_out_of_time) {
            break;
        }
    }
    let (made, same) = match made {
        Ok((index, same)) => (Ok(Arc::new(Indexed::of(index, None))), same),
        Err(no) => (Err(no), true),
    };
    match &made {
        Ok(_) => app.metrics.indexes_made.inc(),
        Err(no) => app.metrics.indexes_failed.get_or_create(&Why { why: no.word() }).inc(),
    };
    let mut making = indexes.making();
    if same {
        indexes.keep(*asset.identity(), &made, None);
    }
    making.remove(asset.identity());
    drop(making);
    tell.send_replace(Some(made));
}

/// A turn; none where all who waited for the index have left, so that clients who come and go leave no queue behind.
async fn turn_unless_left(
    app: &App,
    asset: &Asset,
    tell: &watch::Sender<Option<Made>>,
    turns: Arc<Semaphore>,
) -> Option<OwnedSemaphorePermit> {
    let leave = || {
        let mut making = app.indexes.making();
        let left = tell.receiver_count() == 0;
        if left {
            making.remove(asset.identity());
        }
        left
    };
    unless_left(turns, tell, leave).await
}

/// A turn; none where nobody listens to `tell` any more and `leave` says that this is so. Whoever goes on waiting keeps
/// the place in the queue.
async fn unless_left<T>(
    turns: Arc<Semaphore>,
    tell: &watch::Sender<T>,
    leave: impl Fn() -> bool,
) -> Option<OwnedSemaphorePermit> {
    let mut turn = pin!(turns.acquire_owned());
    loop {
        select! {
            turn = &mut turn => return turn.ok(),
            () = tell.closed() => {
                if leave() {
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        cell::RefCell,
        task::{Context, Poll, Waker},
    };

    #[test]
    fn whoever_is_joined_again_keeps_the_place_in_the_queue() {
        let turns = Arc::new(Semaphore::new(0));
        let (tell, told) = watch::channel(());
        let joined = RefCell::new(None);
        let join = || {
            *joined.borrow_mut() = Some(tell.subscribe());
            false
        };
        let waker = &mut Context::from_waker(Waker::noop());
        let mut first = pin!(unless_left(turns.clone(), &tell, join));
        let mut second = pin!(turns.clone().acquire_owned());
        assert!(first.as_mut().poll(waker).is_pending());
        assert!(second.as_mut().poll(waker).is_pending());
        // All have left, and before that is seen another comes.
        drop(told);
        assert!(first.as_mut().poll(waker).is_pending());
        assert!(joined.borrow().is_some());
        turns.add_permits(1);
        let turn = first.as_mut().poll(waker);
        assert!(matches!(turn, Poll::Ready(Some(_))));
        assert!(second.as_mut().poll(waker).is_pending());
    }
}
