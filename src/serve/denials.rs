//! What the system forbids the server, told to its operator. Whatever clients ask for, it is one line in
//! ten seconds at most.

use crate::store::root::Place;
use std::{
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long the log is silent after a line.
const SILENCE: Duration = Duration::from_secs(10);

/// A value of this type knows when the log was last told, and how often it was not since.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    unsaid: u64,
}

impl Denials {
    /// Notes that what a client asked for at `place` failed with `error`, for lack of permission.
    pub(super) fn note(&self, place: &Place, error: &io::Error) {
        let Some(unsaid) = self.turn(Instant::now()) else { return };
        let user = rustix::process::geteuid();
        let more = if unsaid > 0 { format!("; so were {unsaid} more") } else { String::new() };
        tracing::warn!(
            "{place} is forbidden to user {user}, as whom the server runs: {error}{more}"
        );
    }

    /// If it is time for a line: how many there would have been since the last one.
    fn turn(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.is_some_and(|last| now.saturating_duration_since(last) < SILENCE) {
            told.unsaid += 1;
            return None;
        }
        told.last = Some(now);
        Some(std::mem::take(&mut told.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_one_line_in_ten_seconds_which_counts_the_others() {
        let denials = Denials::default();
        let begun = Instant::now();
        let turns = [0, 1, 9, 10, 11, 30].map(|s| denials.turn(begun + Duration::from_secs(s)));
        assert_eq!(turns, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
