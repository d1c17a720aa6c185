//! A long film that is not walked from end to end: the file in stretches, each walked when it is first asked for,
//! and remembered. Frames are numbered by the grid of their rate; wherever a look falls, Cues and grid are held
//! against the blocks, and the first contradiction ([`Lies`]) ends this view of the file: it is walked then.
//!
//! ```text
//! clusters   |-----|--|-----|----|---|-----|---|---- ...
//! stretches  0              1        2         3           from a cluster that a cue names (or any cluster)
//! times      of the cue's key frame (or the cluster's): frames lie before and after it in decode order
//! ```

use super::blocks::Walk;
use super::clock::Grid;
use super::cues::Cue;
use super::part::{Part, Recipe};
use crate::media::{Error, Found, Rate, Sample, Source, Time};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Stretches a file: some ten seconds of a film each.
pub const STRETCHES: u64 = 1024;
/// Heap bytes for the stretches that are remembered; others are walked again when they are asked for.
const ROOM: usize = 4 << 20;
/// Heap bytes while one stretch is walked.
const PART_ROOM: usize = 24 << 20;
/// How far apart two cues may be for the clusters between them to be left alone, in stretches.
const FAR: u64 = 8;
/// Frames in presentation order among which the last one of the file is: sixteen are what H.264 allows.
const REORDERED: usize = 64;
/// Stretches at the end that may hold no frame of the main track.
const EMPTY: usize = 8;
/// A file of fewer stretches is walked: what is asked for is most of it.
const FEWEST: usize = 16;

/// A value of this type says that blocks contradict the Cues, or the rate that the track announces.
#[derive(Debug)]
pub struct Lies;

/// A value of this type is an answer, unless the file was found to lie.
pub type Answer<T> = Result<Result<T, Lies>, Error>;

/// Hands on an [`Answer`]'s value, or the contradiction.
macro_rules! honest {
    ($answer:expr) => {
        match $answer? {
            Ok(value) => value,
            Err(lies) => return Ok(Err(lies)),
        }
    };
}

#[derive(Debug)]
struct Stretch {
    start: u64,
    /// Of the cue, or of the cluster: see [`Sparse::low`] and [`Sparse::high`].
    time: i64,
    is_cue: bool,
    part: OnceLock<Arc<Part>>,
    /// What a walk found in it, kept though its frames may not be: what is sought elsewhere need not be sought here.
    holds: OnceLock<Holds>,
    /// Its frames are as many as the grid has places from here to the next stretch.
    is_counted: AtomicBool,
}

/// What a stretch holds of the main track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Nothing,
    Frames,
    SyncSamples,
}

/// A value of this type is a long file in stretches.
#[derive(Debug)]
pub struct Sparse {
    recipe: Recipe,
    stretches: Box<[Stretch]>,
    grid: Grid,
    /// The place on the grid of the first shown frame.
    base: i64,
    /// When the first frame of the file is shown.
    first: Time,
    /// When the last frame begins, and its length where the block says so.
    pub last: (i64, Option<i64>),
    /// When the other tracks end, of those that are followed.
    pub others_end: Option<i64>,
    held: AtomicUsize,
}

impl Sparse {
    /// The file in stretches, or `None` where it must be walked to know it.
    pub fn open(
        source: &dyn Source,
        recipe: Recipe,
        rate: Rate,
        cues: &[Cue],
        said: Option<u64>,
    ) -> Result<Option<Sparse>, Error> {
        let Some(stretches) = stretches(source, &recipe, cues)? else { return Ok(None) };
        let mut sparse = Sparse {
            recipe,
            stretches,
            grid: Grid::new(rate, 0, &recipe.clock),
            base: 0,
            first: Time::ZERO,
            last: (0, None),
            others_end: None,
            held: AtomicUsize::new(0),
        };
        // The grid begins at the first frame, so that frame is read before there is one.
        let part = sparse.walk(source, 0)?;
        let Some(first) = part.frames.times().get(0) else { return Ok(None) };
        if part.frames.sync_count() == 0 {
            return Ok(None);
        }
        sparse.grid = Grid::new(rate, first, &recipe.clock);
        sparse.first = recipe.clock.time(first);
        match sparse.prove(source, said)? {
            Ok(true) => Ok(Some(sparse)),
            Ok(false) | Err(Lies) => Ok(None),
        }
    }

    /// Looks at the cues, the end, the beginning and the middle; false where the end holds no frame, or where
    /// `said`, the number of frames that a muxer's statistics give, is another one.
    fn prove(&mut self, source: &dyn Source, said: Option<u64>) -> Answer<bool> {
        let count = self.stretches.len();
        let is_off = |stretch: &Stretch| stretch.is_cue && self.grid.slot(stretch.time).is_none();
        if self.stretches.iter().any(is_off) {
            return Ok(Err(Lies));
        }
        let mut last: Option<(i64, Option<i64>)> = None;
        for index in (count.saturating_sub(EMPTY)..count).rev() {
            // A reordered picture before the end of the file may be shown last.
            if last.is_some_and(|last| last.0 >= self.high(index)) {
                break;
            }
            let part = honest!(self.part(source, index));
            last = last.into_iter().chain(part.last).max_by_key(|last| last.0);
            self.others_end = self.others_end.max(part.others_end);
        }
        let Some(last) = last else { return Ok(Ok(false)) };
        self.last = last;
        for index in [0, count / 2] {
            honest!(self.count(source, index));
        }
        let shown = honest!(self.find(source, 0)).frame.time;
        let base = self.grid.slot(self.recipe.clock.up_to(shown));
        let Some((base, end)) = base.zip(self.grid.slot(last.0)) else { return Ok(Err(Lies)) };
        self.base = base;
        Ok(Ok(said.is_none_or(|said| i64::try_from(said).is_ok_and(|said| said == end + 1))))
    }

    /// From now on no more frames are remembered.
    #[cfg(test)]
    pub fn forget(&self) {
        self.held.store(ROOM, Ordering::Relaxed);
    }

    pub fn weight(&self) -> usize {
        size_of::<Sparse>() + self.stretches.len() * size_of::<Stretch>() + ROOM
    }

    /// What is shown at a moment of the clock, or the first frame before there is one.
    pub fn find(&self, source: &dyn Source, at: i64) -> Answer<Found> {
        let clock = self.recipe.clock;
        let (mut frame, mut sync): (Option<Sample>, Option<Sample>) = (None, None);
        let mut index = self.last_from(at);
        loop {
            // One without sync samples is of use for its frames alone, one without frames for nothing.
            let is_barren = match self.holds(index) {
                Some(Holds::Nothing) => true,
                Some(Holds::Frames) => frame
                    .as_ref()
                    .is_some_and(|best| clock.up_to(best.time) >= self.high(index).min(at)),
                _ => false,
            };
            if !is_barren
                && let part = honest!(self.part(source, index))
                && let Some(found) = part.frames.find(clock.time(at))
                && clock.up_to(found.frame.time) <= at
            {
                if frame.as_ref().is_none_or(|best| best.time < found.frame.time) {
                    frame = Some(found.frame);
                }
                let has_sync = !found.later && part.frames.sync_count() > 0;
                if has_sync && sync.as_ref().is_none_or(|best| best.time < found.sync.time) {
                    sync = Some(found.sync);
                }
            }
            let Some(before) = index.checked_sub(1) else { break };
            let bound = self.high(before).min(at);
            let reached = |best: &Option<Sample>| {
                best.as_ref().is_some_and(|best| clock.up_to(best.time) >= bound)
            };
            if reached(&frame) && reached(&sync) {
                break;
            }
            index = before;
        }
        let later = sync.is_none();
        let sync = match sync {
            Some(sync) => Some(sync),
            None => honest!(self.sync_samples(source, i64::MIN, 1)).into_iter().next(),
        };
        let frame = match frame {
            Some(frame) => Some(frame),
            None => honest!(self.part(source, 0)).frames.find(self.first).map(|found| found.frame),
        };
        let Some(frame) = frame else { return Ok(Err(Lies)) };
        let time = clock.up_to(frame.time);
        honest!(self.count(source, self.stretch_of(time)));
        let Some(slot) = self.grid.slot(time) else { return Ok(Err(Lies)) };
        let number = slot.saturating_sub(self.base).max(0) as u64;
        // A track without one sync sample starts at its first frame.
        let (sync, later) = match sync {
            Some(sync) => (sync, later),
            None => match honest!(self.part(source, 0)).frames.found(0) {
                Some(found) => (found.frame, false),
                None => return Ok(Err(Lies)),
            },
        };
        Ok(Ok(Found { number, frame, sync, later }))
    }

    /// The frame of that number; none past the last one.
    pub fn frame(&self, source: &dyn Source, number: u64) -> Answer<Option<Found>> {
        let slot = i64::try_from(number).ok().and_then(|number| number.checked_add(self.base));
        let Some(at) = slot.and_then(|slot| self.grid.middle(slot)) else { return Ok(Ok(None)) };
        let found = honest!(self.find(source, at));
        if found.number == number {
            return Ok(Ok(Some(found)));
        }
        // Past the end, or a place without a frame.
        let past = self.recipe.clock.up_to(found.frame.time) >= self.last.0;
        Ok(if past { Ok(None) } else { Err(Lies) })
    }

    pub fn sync_samples(&self, source: &dyn Source, from: i64, most: usize) -> Answer<Vec<Sample>> {
        let clock = self.recipe.clock;
        let (first, mut found) = (self.first_to(from), Vec::new());
        for index in first..self.stretches.len() {
            if !matches!(self.holds(index), Some(Holds::Nothing | Holds::Frames)) {
                let part = honest!(self.part(source, index));
                found.extend(part.frames.sync_samples(clock.time(from), most));
            }
            let low = self.low(index + 1);
            if found.iter().filter(|key: &&Sample| clock.up_to(key.time) < low).count() >= most {
                break;
            }
        }
        found.sort_by_key(|key| key.time);
        found.truncate(most);
        Ok(Ok(found))
    }

    /// Where the bytes end of what is shown from `from` until `to`.
    pub fn end_of(&self, source: &dyn Source, from: i64, to: i64) -> Answer<u64> {
        let before = to.saturating_sub(1);
        for index in (0..=self.last_from(before)).rev() {
            let part = honest!(self.part(source, index));
            let times = part.frames.times();
            let first = times.count_up_to(from).saturating_sub(1);
            // The last stretch in the file that holds one of them: the bytes of those before it lie before it.
            let shown = first..times.count_up_to(before);
            let ends = shown.rev().take(REORDERED).filter_map(|rank| part.frames.found(rank));
            if let Some(end) = ends.map(|found| found.frame.span.end).max() {
                return Ok(Ok(end));
            }
        }
        Ok(Ok(0))
    }

    /// Where the cluster begins that holds the block at `offset`.
    pub fn cluster(&self, source: &dyn Source, offset: u64) -> Answer<Option<u64>> {
        let index = self.stretches.partition_point(|stretch| stretch.start <= offset);
        let part = honest!(self.part(source, index.saturating_sub(1)));
        Ok(Ok(part.cluster(offset)))
    }

    /// The last stretch that may hold a frame at or before that moment.
    fn last_from(&self, at: i64) -> usize {
        // low[i] is the time of the stretch before.
        let after = self.stretches.partition_point(|stretch| stretch.time <= at);
        after.min(self.stretches.len() - 1)
    }

    /// The first stretch that may hold a frame at or after that moment.
    fn first_to(&self, at: i64) -> usize {
        (self.stretch_of(at).saturating_sub(1)..self.stretches.len())
            .find(|&index| self.high(index) >= at)
            .unwrap_or(0)
    }

    fn stretch_of(&self, at: i64) -> usize {
        self.stretches.partition_point(|stretch| stretch.time <= at).saturating_sub(1)
    }

    /// Frames of this stretch and of all after it are not before this: reordering ends within a stretch.
    fn low(&self, index: usize) -> i64 {
        let before = index.checked_sub(1).and_then(|before| self.stretches.get(before));
        before.map_or(i64::MIN, |stretch| stretch.time)
    }

    /// Frames of this stretch and of all before it are not after this: before a cue's key frame in the file,
    /// before it on the screen; a cluster's time says as much of the cluster before it.
    fn high(&self, index: usize) -> i64 {
        let next = match self.stretches.get(index + 1) {
            Some(next) if next.is_cue => Some(next),
            _ => self.stretches.get(index + 2),
        };
        next.map_or(i64::MAX, |stretch| stretch.time)
    }

    /// Holds the frames that are shown from this stretch's time to the next one's against the grid.
    fn count(&self, source: &dyn Source, index: usize) -> Answer<()> {
        let Some(stretch) = self.stretches.get(index) else { return Ok(Ok(())) };
        if stretch.is_counted.load(Ordering::Relaxed) {
            return Ok(Ok(()));
        }
        let (from, next) = (stretch.time, self.stretches.get(index + 1));
        let to = next.map_or(i64::MAX, |next| next.time);
        let mut first = index;
        while first > 0 && self.high(first - 1) > from {
            first -= 1;
        }
        let (mut count, mut least, mut most) = (0, i64::MAX, i64::MIN);
        for index in first..(index + 2).min(self.stretches.len()) {
            let part = honest!(self.part(source, index));
            let times = part.frames.times();
            let before = |at: i64| at.checked_sub(1).map_or(0, |at| times.count_up_to(at));
            let (from, to) = (before(from), before(to));
            if from < to {
                count += to - from;
                least = least.min(times.get(from).unwrap_or(least));
                most = most.max(times.get(to - 1).unwrap_or(most));
            }
        }
        // A cue's key frame is the one after the last.
        if next.is_some_and(|next| next.is_cue) && count > 0 {
            count += 1;
            most = to;
        }
        let places = (self.grid.slot(most).zip(self.grid.slot(least)))
            .map(|(most, least)| most.saturating_sub(least).saturating_add(1));
        if count > 0 && places != i64::try_from(count).ok() {
            return Ok(Err(Lies));
        }
        stretch.is_counted.store(true, Ordering::Relaxed);
        Ok(Ok(()))
    }

    /// What a stretch holds, once it was walked.
    fn holds(&self, index: usize) -> Option<Holds> {
        self.stretches.get(index)?.holds.get().copied()
    }

    /// The frames of a stretch, remembered while there is room.
    fn part(&self, source: &dyn Source, index: usize) -> Answer<Arc<Part>> {
        let Some(stretch) = self.stretches.get(index) else { return Ok(Err(Lies)) };
        if let Some(part) = stretch.part.get() {
            return Ok(Ok(Arc::clone(part)));
        }
        let part = self.walk(source, index)?;
        let times = part.frames.times();
        let is_kept = !stretch.is_cue || part.is_sync_at(stretch.time);
        let is_inside = part.frames.is_empty()
            || times.get(0).is_some_and(|first| first >= self.low(index))
                && times.last().is_some_and(|last| last <= self.high(index));
        if !is_kept || !is_inside || !part.fits(&self.grid) {
            return Ok(Err(Lies));
        }
        let _ = stretch.holds.set(match part.frames.sync_count() {
            _ if part.frames.is_empty() => Holds::Nothing,
            0 => Holds::Frames,
            _ => Holds::SyncSamples,
        });
        let part = Arc::new(part);
        let weight = part.weight();
        if self.held.fetch_add(weight, Ordering::Relaxed) + weight > ROOM
            || stretch.part.set(Arc::clone(&part)).is_err()
        {
            self.held.fetch_sub(weight, Ordering::Relaxed);
        }
        Ok(Ok(part))
    }

    fn walk(&self, source: &dyn Source, index: usize) -> Result<Part, Error> {
        let start = |index: usize| self.stretches.get(index).map_or(u64::MAX, |at| at.start);
        Part::read(source, &self.recipe, (start(index), start(index + 1)), PART_ROOM)
    }
}

/// Where the stretches begin: at cues, and where those are far apart or missing, at clusters.
fn stretches(
    source: &dyn Source,
    recipe: &Recipe,
    cues: &[Cue],
) -> Result<Option<Box<[Stretch]>>, Error> {
    let Recipe { clock, wanted, clusters, segment_end, .. } = *recipe;
    let apart = source.length().saturating_sub(clusters) / STRETCHES;
    let mut starts: Vec<Stretch> = Vec::new();
    let mut push = |start, ticks: i64, is_cue| {
        let first = starts.is_empty();
        let time = if first { i64::MIN } else { clock.at(ticks.saturating_sub(wanted.delay)) };
        let rises =
            starts.last().is_none_or(|last: &Stretch| last.start < start && last.time <= time);
        let stretch = Stretch {
            start,
            time,
            is_cue: is_cue && !first,
            part: OnceLock::new(),
            holds: OnceLock::new(),
            is_counted: AtomicBool::new(false),
        };
        if rises {
            starts.push(stretch);
        }
        rises
    };
    push(clusters, 0, false);
    let ends = cues.iter().map(Some).chain([None]);
    // The last cluster of a recording that broke off may have no size; where none has, each block is stepped over.
    let (mut from, mut open_ended) = (clusters, 0);
    for cue in ends {
        let to = cue.map_or(u64::MAX, |cue| cue.cluster);
        if to.min(source.length()).saturating_sub(from) > apart.saturating_mul(FAR) {
            let mut walk = Walk::new(source, wanted, from, to, segment_end);
            let mut kept = from;
            while let Some((start, ticks)) = walk.cluster()? {
                open_ended += usize::from(!walk.is_sized());
                if open_ended > 1 {
                    return Ok(None);
                }
                let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
                if start.saturating_sub(kept) >= apart {
                    if !push(start, ticks, false) {
                        return Ok(None);
                    }
                    kept = start;
                }
            }
        }
        if let Some(cue) = cue
            && cue.cluster > clusters
        {
            if !push(cue.cluster, cue.ticks, true) {
                return Ok(None);
            }
            from = cue.cluster;
        }
    }
    Ok(Some(starts.into_boxed_slice()).filter(|starts| starts.len() >= FEWEST))
}
