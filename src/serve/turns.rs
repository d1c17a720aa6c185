//! How many films are looked through at once for their times, and for how long. All get a short try at first; those
//! that it does not suffice for wait for one of few long turns, so that a costly film holds up none but its like.

use super::off_runtime::{OffRuntime, Share};
use crate::store::Asset;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

/// First tries at making an index, at once; and long turns, be it to make an index or to ask one.
const TRIES: usize = 2;
const LONG: usize = 2;

/// How long a first try may take: a film of some hours whose tables are read needs a tenth of that.
const TRY: Duration = Duration::from_millis(250);

/// A try and then a long turn, had one after the other while time runs out, each with how long it is.
pub(super) type TryAndLong = [(Arc<Semaphore>, Duration); 2];

/// A value of this type bounds the looks through films of one kind of file system.
struct Lane {
    tries: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

/// A value of this type bounds the looks through films. Local files and remote ones have turns of their own, so that
/// these hold only each other up.
pub(super) struct Turns {
    local: Lane,
    remote: Lane,
    most: Duration,
}

impl Turns {
    /// For looks that take up to `most`.
    pub(super) fn new(most: Duration) -> Turns {
        let turns = |count| Arc::new(Semaphore::new(count));
        let lane = || Lane { tries: turns(TRIES), long: turns(LONG) };
        Turns { local: lane(), remote: lane(), most }
    }

    fn lane(&self, asset: &Asset) -> &Lane {
        if asset.remote() { &self.remote } else { &self.local }
    }

    /// The turns that making an index takes.
    pub(super) fn to_make(&self, asset: &Asset) -> TryAndLong {
        let lane = self.lane(asset);
        [(lane.tries.clone(), TRY), (lane.long.clone(), self.most)]
    }

    /// The same for a question to an index, which has `own` turns for first tries.
    pub(super) fn to_ask(&self, asset: &Asset, own: &Arc<Semaphore>) -> TryAndLong {
        [(own.clone(), TRY), (self.lane(asset).long.clone(), self.most)]
    }
}

/// A value of this type is what came of one turn.
pub(super) enum Step<T> {
    Done(T),
    /// Another turn is needed, after so long.
    Wait(Duration),
}

impl<T> Step<T> {
    pub(super) fn map<U>(self, with: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Step::Done(done) => Step::Done(with(done)),
            Step::Wait(time) => Step::Wait(time),
        }
    }
}

/// Does `work`, which may wait, in as many turns as it takes; between them it holds none, and no thread. `None` where
/// there is no `turn`. `remote` is where another machine or process may have to answer.
pub(super) async fn in_turns<T, W, F>(
    remote: bool,
    far: &Share,
    turn: impl Fn() -> F,
    mut work: W,
) -> Option<io::Result<T>>
where
    T: Send + 'static,
    W: FnMut() -> Step<T> + Send + 'static,
    F: Future<Output = Option<OwnedSemaphorePermit>>,
{
    loop {
        let turn = turn().await?;
        let step = OffRuntime::start_where(remote, far, move || {
            let step = work();
            drop(turn);
            Ok((step, work))
        });
        match step.await {
            Err(error) => return Some(Err(error)),
            Ok((Step::Done(done), _)) => return Some(Ok(done)),
            Ok((Step::Wait(time), rest)) => {
                work = rest;
                sleep(time).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::off_runtime::Threads;

    #[tokio::test]
    async fn whoever_waits_for_a_write_to_be_over_holds_no_turn() {
        let (turns, far) = (Arc::new(Semaphore::new(1)), &Threads::default().far);
        let turn = || async { turns.clone().acquire_owned().await.ok() };
        let (began, begun) = tokio::sync::oneshot::channel();
        let mut began = Some(began);
        let waits = in_turns(false, far, turn, move || {
            let _ = began.take().map(|began| began.send(()));
            Step::<()>::Wait(Duration::from_secs(3600))
        });
        let passes = async {
            begun.await.unwrap();
            in_turns(false, far, turn, || Step::Done(7)).await
        };
        tokio::select! {
            _ = waits => unreachable!("it waits for an hour"),
            passed = passes => assert_eq!(passed.unwrap().unwrap(), 7),
            () = sleep(Duration::from_secs(60)) => panic!("the turn was kept"),
        }
    }

    #[tokio::test]
    async fn work_goes_on_in_its_next_turn_where_it_was() {
        let (turns, far) = (Arc::new(Semaphore::new(1)), &Threads::default().far);
        let turn = || async { turns.clone().acquire_owned().await.ok() };
        let mut steps = 0;
        let done = in_turns(false, far, turn, move || {
            steps += 1;
            if steps < 4 { Step::Wait(Duration::ZERO) } else { Step::Done(steps) }
        });
        assert_eq!(done.await.unwrap().unwrap(), 4);
        turns.close();
        assert!(in_turns(false, far, turn, || Step::Done(())).await.is_none());
    }
}
