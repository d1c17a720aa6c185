//! The tracks beside the one that is walked: when the last of them ends, for a Segment that doesn't say how long it is.

use super::clock::Clock;
use super::head::Entry;
use crate::media::Kind;

/// So many tracks of sound and pictures are followed, the first of the file.
const MOST: usize = 8;

/// A value of this type is when the blocks of other tracks end that a walk went past.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside([Option<Other>; MOST]);

/// In the Segment's ticks.
#[derive(Clone, Copy, Debug)]
struct Other {
    track: u64,
    /// CodecDelay.
    delay: i64,
    /// DefaultDuration; zero where there is none.
    frame: i64,
    /// When its last block begins, and how long that is, as far as is known.
    last: Option<(i64, Option<i64>)>,
}

impl Beside {
    /// All that are seen or heard but for the one of that rank.
    pub fn of(entries: &[Entry], main: usize, clock: &Clock) -> Beside {
        let mut beside = Beside::default();
        let others = entries.iter().enumerate().filter(|&(rank, entry)| {
            rank != main && matches!(entry.track.kind, Kind::Video | Kind::Audio)
        });
        for (place, (_, entry)) in beside.0.iter_mut().zip(others) {
            let (delay, frame) = (clock.nearest(entry.delay), clock.nearest(entry.frame));
            *place = Some(Other { track: entry.track.id, delay, frame, last: None });
        }
        beside
    }

    pub fn has(&self, track: u64) -> bool {
        self.0.iter().flatten().any(|other| other.track == track)
    }

    /// Takes a block, which may hold several frames.
    pub fn take(&mut self, track: u64, time: i64, duration: Option<u64>, is_laced: bool) {
        let others = self.0.iter_mut().flatten();
        for other in others.filter(|other| other.track == track) {
            let time = time.saturating_sub(other.delay);
            let before = other.last.map(|(before, _)| before);
            if before.is_some_and(|before| before > time) {
                continue;
            }
            let said = duration.and_then(|duration| i64::try_from(duration).ok());
            let frame = Some(other.frame).filter(|&frame| frame > 0 && !is_laced);
            // Else as long as the one before.
            let lasts = said.or(frame).or_else(|| time.checked_sub(before?));
            other.last = Some((time, lasts));
        }
    }

    /// When all of them have ended.
    pub fn end(&self) -> Option<i64> {
        let ends = self.0.iter().flatten().filter_map(|other| {
            let (time, lasts) = other.last?;
            Some(time.saturating_add(lasts.unwrap_or(0)))
        });
        ends.max()
    }
}
