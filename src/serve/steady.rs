//! A look at a file while nobody writes to it. Whoever looks waits without a turn and without a thread for a write
//! to be over.

use super::turns::Step;
use crate::{
    media::{Budget, Costly, Source},
    store::{Asset, Drift, Identity},
};
use std::{io, sync::Arc, time::Duration};

/// How often a file is read that is being written to.
const ATTEMPTS: u32 = 4;

/// A write bears the time at which it began, and by the kernel's last tick: two within one tick look alike. So a file
/// that was written to just now is read when its tick, and the write as far as can be known, are over: what is
/// written to it then is seen.
const TICK: Duration = Duration::from_millis(100);

/// A value of this type is how far the attempts are to look at a file that stands still meanwhile. One that grows all
/// the time is trusted at last, as [`Drift::Grew`] is.
#[derive(Default)]
pub(super) struct Steady {
    /// Attempts that came to nothing.
    failed: u32,
    /// What the file was when this attempt began, if that waited.
    before: Option<Identity>,
}

/// A value of this type is what was made of a file that stood still.
pub(super) struct Seen<T> {
    /// Nothing, where that took longer or more than it may.
    pub(super) of: Result<T, Costly>,
    /// Whether the file is in the very state that was opened.
    pub(super) same: bool,
}

impl Steady {
    /// Does `work`, which reads the file and may take up to `time`. `None` where the bytes that were opened are gone or
    /// are others. May wait, for the disk alone.
    pub(super) fn look<T>(
        &mut self,
        asset: &Arc<Asset>,
        time: Duration,
        work: impl FnOnce(&Budget<'_>) -> T,
    ) -> Step<io::Result<Option<Seen<T>>>> {
        self.attempt(asset, time, work)
            .map_or_else(|error| Step::Done(Err(error)), |step| step.map(Ok))
    }

    fn attempt<T>(
        &mut self,
        asset: &Arc<Asset>,
        time: Duration,
        work: impl FnOnce(&Budget<'_>) -> T,
    ) -> io::Result<Step<Option<Seen<T>>>> {
        let before = match self.before.take() {
            Some(before) => before,
            None => {
                let before = asset.now()?;
                let age = before.modified().elapsed().unwrap_or(TICK);
                if age < TICK {
                    self.before = Some(before);
                    return Ok(Step::Wait(TICK - age));
                }
                before
            }
        };
        if before.size < asset.length() {
            return Ok(Step::Done(None));
        }
        if !stands(asset)? {
            // An append begins like this, too.
            return Ok(self.again(TICK));
        }
        let budget = Budget::new(&**asset, time);
        let done = work(&budget);
        let of = budget.over().map_or(Ok(done), Err);
        let steady = asset.now()? == before;
        if (steady || self.failed + 1 == ATTEMPTS) && stands(asset)? {
            let same = steady && before == *asset.identity();
            return Ok(Step::Done(Some(Seen { of, same })));
        }
        Ok(self.again(Duration::ZERO))
    }

    fn again<T>(&mut self, after: Duration) -> Step<Option<T>> {
        self.failed += 1;
        if self.failed < ATTEMPTS { Step::Wait(after) } else { Step::Done(None) }
    }
}

fn stands(asset: &Asset) -> io::Result<bool> {
    let drift = if asset.remote() { asset.drift_synced()? } else { asset.drift()? };
    Ok(matches!(drift, Drift::None | Drift::Grew))
}

/// Read by position, never through its mapping.
impl Source for Asset {
    fn length(&self) -> u64 {
        self.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buffer, offset)
    }

    fn stored_from(&self, offset: u64) -> u64 {
        self.stored_from(offset)
    }
}
