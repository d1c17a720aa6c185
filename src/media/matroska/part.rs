//! A stretch of the file whose clusters were walked: its frames in presentation order, and where its clusters begin.

use super::beside::Beside;
use super::blocks::{Block, Walk, Wanted};
use super::clock::{Clock, Grid};
use crate::media::column::Column;
use crate::media::frames::{Builder, Entry, Frames};
use crate::media::{Error, Source, Time};

/// A value of this type is what is known of the main track and the Segment before any block is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub wanted: Wanted,
    /// The track is heard, and what comes before time zero isn't.
    pub sound: bool,
    /// The other tracks, where their ends tell how long the film is.
    pub beside: Beside,
    pub clock: Clock,
    pub clusters: u64,
    pub segment_end: Option<u64>,
}

/// A value of this type is the frames of the main track in a stretch of the file.
#[derive(Clone, Debug)]
pub struct Part {
    pub frames: Frames,
    /// Where the clusters begin that hold them, in file order.
    clusters: Column,
    /// When the last one has been shown: its time and its length, where the block says so.
    pub last: Option<(i64, Option<i64>)>,
    /// When the other tracks end, of those that are followed.
    pub others_end: Option<i64>,
}

impl Part {
    /// Walks the clusters from `from` up to the one at or after `until`, within `room` heap bytes.
    pub fn read(
        source: &dyn Source,
        recipe: &Recipe,
        (from, until): (u64, u64),
        room: usize,
    ) -> Result<Part, Error> {
        let Recipe { wanted, beside, segment_end, .. } = *recipe;
        let mut walk = Walk::new(source, wanted, from, until, segment_end);
        walk.beside = beside;
        let mut gathered = Gathered::new(recipe.clock, room);
        gathered.run(&mut walk, |_| {})?;
        let Gathered { builder, mut clusters, last, before, .. } = gathered;
        let frames = builder.finish(vec![before]).map_err(|_| too_large(from))?;
        clusters.shrink();
        let others_end = walk.beside.end().map(|end| recipe.clock.at(end));
        Ok(Part { frames, clusters, last, others_end })
    }

    /// Whether every frame has a place of its own on the grid.
    pub fn fits(&self, grid: &Grid) -> bool {
        let mut before = None;
        self.frames.times().iter().all(|at| {
            let slot = grid.slot(at);
            let fits = slot.is_some() && slot != before;
            before = slot;
            fits
        })
    }

    /// Whether a sync sample is shown at that very moment.
    pub fn is_sync_at(&self, at: i64) -> bool {
        let asked = Time::new(at, self.frames.scale());
        self.frames.sync_samples(asked, 1).first().is_some_and(|sync| sync.time == asked)
    }

    /// Where the cluster begins that holds the block at `offset`.
    pub fn cluster(&self, offset: u64) -> Option<u64> {
        let count = self.clusters.count_up_to(i64::try_from(offset).ok()?);
        Some(self.clusters.get(count.checked_sub(1)?)? as u64)
    }

    pub fn weight(&self) -> usize {
        self.frames.weight() + self.clusters.weight() + size_of::<Part>()
    }
}

/// A value of this type is what is kept of a stretch while it is walked.
pub struct Gathered {
    pub builder: Builder,
    clock: Clock,
    clusters: Column,
    last_cluster: Option<u64>,
    last: Option<(i64, Option<i64>)>,
    /// The last sync sample before the Segment's zero: where a decoder of the first frames starts.
    before: Option<Entry>,
    room: usize,
}

impl Gathered {
    /// Nothing yet; `room` is the most heap bytes that it may take.
    pub fn new(clock: Clock, room: usize) -> Gathered {
        let builder = Builder::new(clock.scale(), room, 1);
        Gathered {
            builder,
            clock,
            clusters: Column::rising(),
            last_cluster: None,
            last: None,
            before: None,
            room,
        }
    }

    /// Takes all frames of a walk; `each` hears when each is shown.
    pub fn run(&mut self, walk: &mut Walk<'_>, mut each: impl FnMut(i64)) -> Result<(), Error> {
        while let Some(block) = walk.block()? {
            let Block { time, span, key, cluster, duration, is_early } = block;
            let Ok(size) = u32::try_from(span.end - span.start) else { continue };
            let ticks = self.clock.at(time);
            if self.last_cluster != Some(cluster) {
                self.last_cluster = Some(cluster);
                self.clusters.push(cluster as i64);
            }
            if self.clusters.weight() > self.room {
                return Err(too_large(span.start));
            }
            let entry = Entry { ticks, offset: span.start, size, sync: key, part: 0 };
            if is_early {
                self.before = self.before.filter(|before| before.ticks > ticks).or(Some(entry));
                continue;
            }
            if self.last.is_none_or(|(time, _)| time <= ticks) {
                let duration = duration.and_then(|ticks| i64::try_from(ticks).ok());
                self.last = Some((ticks, duration.map(|ticks| self.clock.at(ticks))));
            }
            self.builder.push(entry).map_err(|_| too_large(span.start))?;
            each(ticks);
        }
        Ok(())
    }

    /// What is shown before `end`.
    pub fn so_far(&self, end: i64) -> Result<Part, Error> {
        let frames = self.builder.so_far(end, vec![self.before]).map_err(|_| too_large(0))?;
        let clusters = self.clusters.clone();
        Ok(Part { frames, clusters, last: self.last, others_end: None })
    }

    pub fn weight(&self) -> usize {
        self.builder.weight() + self.clusters.weight()
    }
}

fn too_large(offset: u64) -> Error {
    Error::broken(offset, "more frames than an index can hold")
}
