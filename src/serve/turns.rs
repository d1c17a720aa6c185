//! How many films are looked through at once for their times, and for how long. All get a short try at first; those
//! that it does not suffice for wait for one of few long turns, so that a costly film holds up none but its like.

use crate::store::Asset;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// First tries at making an index, at once; and long turns, be it to make an index or to ask one.
const TRIES: usize = 2;
const LONG: usize = 2;

/// How long a first try may take: a film of some hours whose tables are read needs a tenth of that.
const TRY: Duration = Duration::from_millis(250);

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

    /// The longest that one look may take.
    pub(super) fn most(&self) -> Duration {
        self.most
    }

    fn lane(&self, asset: &Asset) -> &Lane {
        if asset.remote() { &self.remote } else { &self.local }
    }

    /// The turns that making an index takes, one after the other while time runs out, and how long each is.
    pub(super) fn to_make(&self, asset: &Asset) -> [(Arc<Semaphore>, Duration); 2] {
        let lane = self.lane(asset);
        [(lane.tries.clone(), TRY), (lane.long.clone(), self.most)]
    }

    /// The same for a question to an index, which has `own` turns for first tries.
    pub(super) fn to_ask(
        &self,
        asset: &Asset,
        own: &Arc<Semaphore>,
    ) -> [(Arc<Semaphore>, Duration); 2] {
        [(own.clone(), TRY), (self.lane(asset).long.clone(), self.most)]
    }
}
