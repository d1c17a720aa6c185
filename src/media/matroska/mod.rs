//! Matroska and WebM: from a time to a block (RFC 9559). Reads the head, the Cues and block headers; never a frame.
//!
//! ```text
//! EBML header   DocType
//! Segment       size may be unknown; positions count from its content
//!   SeekHead    where the others are            Info    TimestampScale, Duration
//!   Tracks      numbers, codecs, rates          Tags    TIMECODE
//!   Cues        time -> cluster, a hint         Cluster*   Timestamp, then blocks in decode order
//! ```
//! A file of moderate size is walked block by block into a table (`part`), and so is one whose frames can't be
//! numbered otherwise. A long film with a frame rate is taken in stretches, walked when they are asked for
//! (`sparse`). A frame's place is its block's content, as ffprobe's `pos` has it; a span that is to be decoded
//! begins at the cluster that holds the sync sample.

mod beside;
mod blocks;
mod clock;
mod codec;
#[cfg(test)]
mod costly;
mod cues;
mod ebml;
mod growing;
mod head;
mod ids;
#[cfg(test)]
mod made;
#[cfg(test)]
mod odd;
mod part;
mod sparse;
#[cfg(test)]
mod tests;

pub use growing::Growing;

use super::frames::Frames;
use super::once::Once;
use super::timecode::{Counting, Timecode};
use super::{
    Container, Error, Found, Index, Kind, Layout, Presentation, Rate, Sample, Source,
    StartTimecode, Time, Track,
};
use beside::Beside;
use blocks::Wanted;
use clock::{Clock, Grid};
use head::{Entry, Head};
use part::{Part, Recipe};
use sparse::{Answer, Sparse};
use std::ops::Range;

/// Bytes of clusters up to which a file is walked at once: some ten milliseconds' work.
const SMALL: u64 = 64 << 20;
/// Heap bytes that the walk of a file may take.
const ROOM: usize = 60 << 20;

/// Whether these are the first bytes of a Matroska or WebM file.
pub fn recognises(head: &[u8]) -> bool {
    head.starts_with(&ids::EBML.to_be_bytes())
}

/// The index of a Matroska or WebM file.
pub fn open(source: &dyn Source) -> Result<Box<dyn Index>, Error> {
    open_past(source, SMALL)
}

/// The same, with files of more than `small` bytes taken in stretches where they can be.
pub(crate) fn open_past(source: &dyn Source, small: u64) -> Result<Box<dyn Index>, Error> {
    Ok(Box::new(Matroska::open(source, small)?))
}

/// A value of this type is the index of a Matroska file.
pub struct Matroska {
    presentation: Presentation,
    recipe: Recipe,
    map: Map,
}

enum Map {
    Whole(Box<Whole>),
    /// Until its first contradiction; then the file is walked, once.
    Sparse {
        sparse: Box<Sparse>,
        whole: Once<Box<Whole>>,
    },
}

/// A value of this type is a file that was walked from end to end.
struct Whole {
    part: Part,
    /// Frames before the first one that is shown: the priming of an audio codec.
    hidden: u64,
}

impl Whole {
    fn read(source: &dyn Source, recipe: &Recipe) -> Result<Whole, Error> {
        let part = Part::read(source, recipe, (recipe.clusters, u64::MAX), ROOM)?;
        Ok(Whole::of(part, recipe))
    }

    fn of(part: Part, recipe: &Recipe) -> Whole {
        if !recipe.sound {
            return Whole { part, hidden: 0 };
        }
        let first = part.frames.find(Time::ZERO).map_or(0, |found| found.frame.time.ticks);
        let hidden = first.checked_sub(1).map_or(0, |at| part.frames.times().count_up_to(at));
        Whole { part, hidden: hidden as u64 }
    }

    fn shown(&self, found: Found) -> Found {
        Found { number: found.number.saturating_sub(self.hidden), ..found }
    }
}

impl Matroska {
    fn open(source: &dyn Source, small: u64) -> Result<Matroska, Error> {
        let head = Head::read(source)?;
        for main in head.candidates() {
            if let Some(index) = Self::of_track(source, &head, main, small)? {
                return Ok(index);
            }
        }
        Err(Error::NoTrack)
    }

    /// The index by the frames of one track, unless it has none.
    fn of_track(
        source: &dyn Source,
        head: &Head,
        main: usize,
        small: u64,
    ) -> Result<Option<Matroska>, Error> {
        let Some(entry) = head.entries.get(main) else { return Ok(None) };
        let mut recipe = recipe(head, entry);
        if said_duration(head, source.length()).is_none() && entry.track_scale.is_none() {
            recipe.beside = Beside::of(&head.entries, main, &recipe.clock);
        }
        let (clock, track) = (recipe.clock, entry.track.id);
        let announced = clock::rate(entry.frame);
        let mut sparse = None;
        if let Some(rate) = announced.filter(|_| entry.track_scale.is_none())
            && source.length().saturating_sub(recipe.clusters) > small
        {
            let apart = source.length() / sparse::STRETCHES;
            let cues = match &head.cues {
                Some(cues) => cues::read(source, cues, head.segment, track, apart)?,
                None => Vec::new(),
            };
            let said = head.frames_of(entry.uid);
            sparse = Sparse::open(source, recipe, rate, &cues, said)?;
        }
        Ok(match sparse {
            Some(sparse) => {
                let mut layout = layout(head);
                layout.tables = head.cues.and_then(|cues| Some(cues.start..cues.end?));
                let (last, others, sparse) = (sparse.last, sparse.others_end, Box::new(sparse));
                let map = Map::Sparse { sparse, whole: Once::default() };
                let shown = shown_until(&clock, last, announced).max(others.unwrap_or(0));
                let duration = duration(head, &clock, shown, source.length());
                Some(Self::told(head, main, recipe, (map, layout), (announced, false), duration))
            }
            None => {
                let whole = Whole::read(source, &recipe)?;
                Self::walked(head, main, recipe, whole, source.length())
            }
        })
    }

    /// The index of a file of that length that was walked; none where it has no frame.
    fn walked(
        head: &Head,
        main: usize,
        recipe: Recipe,
        whole: Whole,
        length: u64,
    ) -> Option<Matroska> {
        let (announced, clock) = (clock::rate(head.entries.get(main)?.frame), &recipe.clock);
        let last = whole.part.last?;
        let frames = &whole.part.frames;
        let shown = frames.sync_samples(Time::ZERO, usize::MAX).len();
        let layout = Layout {
            frames: Some((frames.len() as u64).saturating_sub(whole.hidden)),
            sync_samples: Some(shown as u64),
            ..layout(head)
        };
        let rate = rate_of(frames, announced, clock);
        // The last frame is shown as long as its neighbour, where nothing says how long it is.
        let before = frames.len().checked_sub(2).and_then(|rank| frames.times().get(rank));
        let gap = before.and_then(|before| last.0.checked_sub(before));
        let said = announced.and_then(|rate| rate.time_of(1)).map(|time| clock.up_to(time));
        let last = (last.0, last.1.or(said).or(gap));
        let shown = shown_until(clock, last, rate.0).max(whole.part.others_end.unwrap_or(0));
        let duration = duration(head, clock, shown, length);
        let map = Map::Whole(Box::new(whole));
        Some(Self::told(head, main, recipe, (map, layout), rate, duration))
    }

    /// The index, with what the head tells of its tracks.
    fn told(
        head: &Head,
        main: usize,
        recipe: Recipe,
        (map, layout): (Map, Layout),
        (rate, is_variable): (Option<Rate>, bool),
        duration: Time,
    ) -> Matroska {
        let mut tracks: Vec<Track> = head.entries.iter().map(|entry| entry.track.clone()).collect();
        for (track, entry) in tracks.iter_mut().zip(&head.entries) {
            if track.kind == Kind::Video {
                track.frame_rate = clock::rate(entry.frame);
            }
        }
        if let Some(track) = tracks.get_mut(main) {
            track.duration = Some(duration);
            if track.kind == Kind::Video {
                (track.frame_rate, track.variable_rate) = (rate, is_variable);
            }
        }
        let entry = head.entries.get(main).filter(|entry| entry.track.kind == Kind::Video);
        let label = entry.and_then(|entry| head.timecode_of(entry.uid));
        let start = label.zip(rate).and_then(|(label, rate)| start_timecode(label, rate));
        let duration = Some(duration);
        let presentation = Presentation { tracks, main, start, layout, duration };
        Matroska { presentation, recipe, map }
    }

    /// The answer of the table, or of the sparse view until it is found to lie; the file is walked then.
    fn ask<T>(
        &self,
        source: &dyn Source,
        whole: impl Fn(&Whole) -> T,
        sparse: impl Fn(&Sparse) -> Answer<T>,
    ) -> Result<T, Error> {
        match &self.map {
            Map::Whole(map) => Ok(whole(map)),
            Map::Sparse { sparse: map, whole: walked } => {
                if walked.get().is_none()
                    && let Ok(answer) = sparse(map)?
                {
                    return Ok(answer);
                }
                Ok(whole(walked.get_or_make(|| Whole::read(source, &self.recipe).map(Box::new))?))
            }
        }
    }

    fn is_shown(&self, time: Time) -> bool {
        !time.is_negative() && self.duration().is_none_or(|end| time < end)
    }
}

impl Index for Matroska {
    fn presentation(&self) -> &Presentation {
        &self.presentation
    }

    fn find(&self, source: &dyn Source, time: Time) -> Result<Option<Found>, Error> {
        if !self.is_shown(time) {
            return Ok(None);
        }
        let at = self.recipe.clock.up_to(time);
        let found = self.ask(
            source,
            |whole| whole.part.frames.find(time).map(|found| whole.shown(found)),
            |sparse| Ok(sparse.find(source, at)?.map(Some)),
        )?;
        // Before the first frame that frame is given, and what is in sync with it comes later than asked.
        Ok(found.map(|found| Found { later: found.later || found.sync.time > time, ..found }))
    }

    fn frame(&self, source: &dyn Source, number: u64) -> Result<Option<Found>, Error> {
        self.ask(
            source,
            |whole| {
                let rank = usize::try_from(number.checked_add(whole.hidden)?).ok()?;
                whole.part.frames.found(rank).map(|found| whole.shown(found))
            },
            |sparse| sparse.frame(source, number),
        )
    }

    fn sync_samples(
        &self,
        source: &dyn Source,
        from: Time,
        most: usize,
    ) -> Result<Vec<Sample>, Error> {
        // From the first moment of the clock at or after it.
        let clock = self.recipe.clock;
        let down = clock.up_to(from);
        let at = if clock.time(down) < from { down.saturating_add(1) } else { down };
        self.ask(
            source,
            |whole| whole.part.frames.sync_samples(from, most),
            |sparse| sparse.sync_samples(source, at, most),
        )
    }

    /// The cluster's: a block has no time of its own.
    fn start(&self, source: &dyn Source, found: &Found) -> Result<u64, Error> {
        let sync = found.sync.span.start;
        let cluster = self.ask(
            source,
            |whole| whole.part.cluster(sync),
            |sparse| sparse.cluster(source, sync),
        )?;
        Ok(cluster.unwrap_or(sync))
    }

    fn span(
        &self,
        source: &dyn Source,
        from: Time,
        to: Option<Time>,
    ) -> Result<Option<Range<u64>>, Error> {
        if to.is_some_and(|to| to <= from) {
            return Ok(None);
        }
        let Some(found) = self.find(source, from)? else { return Ok(None) };
        let start = self.start(source, &found)?;
        let sync = found.sync.span;
        let clock = self.recipe.clock;
        // All that is left: what stands behind the clusters does no harm, and more may be on its way.
        let Some(to) = to.filter(|&to| self.is_shown(to)) else {
            return Ok(Some(start..source.length()));
        };
        let down = clock.up_to(to);
        let to = if clock.time(down) < to { down.saturating_add(1) } else { down };
        let end = self.ask(
            source,
            |whole| {
                let span = whole.part.frames.span(from, Some(clock.time(to)));
                span.map_or(sync.end, |span| span.end)
            },
            |sparse| sparse.end_of(source, clock.up_to(from), to),
        )?;
        Ok(Some(start..end.max(sync.end)))
    }

    fn is_in_memory(&self) -> bool {
        match &self.map {
            Map::Whole(_) => true,
            Map::Sparse { whole, .. } => whole.get().is_some(),
        }
    }

    fn weight(&self) -> usize {
        let map = match &self.map {
            Map::Whole(whole) => whole.part.weight(),
            Map::Sparse { sparse, whole, .. } => {
                sparse.weight() + whole.get().map_or(0, |whole| whole.part.weight())
            }
        };
        size_of::<Matroska>() + self.presentation.weight() + map
    }
}

/// What is known of a track before its blocks are looked at.
fn recipe(head: &Head, entry: &Entry) -> Recipe {
    let tick =
        entry.track_scale.map_or(head.tick, |scale| (head.tick as f64 * scale) as u64).max(1);
    let clock = Clock::new(tick);
    let (track, delay) = (entry.track.id, clock.nearest(entry.delay));
    let Entry { frame, track_scale, intra, .. } = *entry;
    let wanted = Wanted { track, delay, frame, tick, track_scale, intra };
    let (beside, sound) = (Beside::default(), entry.track.kind == Kind::Audio);
    Recipe { wanted, sound, beside, clock, clusters: head.clusters, segment_end: head.segment_end }
}

fn layout(head: &Head) -> Layout {
    Layout {
        container: Container::Matroska,
        brand: Some(head.doc_type.clone()).filter(|brand| !brand.is_empty()),
        fragmented: false,
        tables: None,
        frames: None,
        sync_samples: None,
    }
}

/// The rate of the frames, and whether it is a variable one: off its grid, or with places left out.
fn rate_of(frames: &Frames, announced: Option<Rate>, clock: &Clock) -> (Option<Rate>, bool) {
    let times = frames.times();
    let (Some(first), Some(last)) = (times.get(0), times.last()) else {
        return (announced, false);
    };
    let fits = |rate: Rate| {
        let grid = Grid::new(rate, first, clock);
        (0..).zip(times.iter()).all(|(slot, at)| grid.slot(at) == Some(slot))
    };
    if let Some(rate) = announced.filter(|&rate| fits(rate)) {
        return (Some(rate), false);
    }
    let steps = times.iter().zip(times.iter().skip(1)).take(1000);
    let steps = steps.map(|(at, next)| next.saturating_sub(at)).collect();
    let span = last.saturating_sub(first);
    match (clock::measured(frames.len() as u64, span, steps, clock, fits), announced) {
        (Some((rate, true)), _) => (Some(rate), false),
        // Off the grid it names, a track is still labelled by it.
        (_, Some(rate)) => (Some(rate), true),
        (Some((rate, false)), None) => (Some(rate), true),
        (None, None) => (None, false),
    }
}

/// The Segment's Duration, or the end of what is shown where that is later, or where the file was cut off.
fn duration(head: &Head, clock: &Clock, shown: i64, length: u64) -> Time {
    let segment = Clock::new(head.tick);
    let said =
        said_duration(head, length).map(|ticks| segment.time(segment.at(ticks.round() as i64)));
    said.unwrap_or(Time::ZERO).max(clock.time(shown))
}

/// What the Segment says, of a file of that length, unless it was cut off.
fn said_duration(head: &Head, length: u64) -> Option<f64> {
    let is_cut = head.segment_end.is_some_and(|end| end > length);
    head.duration.filter(|_| !is_cut)
}

/// When the last frame has been shown: for a moment at least, where it is of no known length.
fn shown_until(clock: &Clock, (last, lasts): (i64, Option<i64>), rate: Option<Rate>) -> i64 {
    let frame = rate.and_then(|rate| rate.time_of(1)).map(|time| clock.up_to(time));
    last.saturating_add(lasts.or(frame).unwrap_or(0).max(clock.at(1)))
}

fn start_timecode(label: &str, rate: Rate) -> Option<StartTimecode> {
    let Timecode::Label(label) = label.trim().parse().ok()? else { return None };
    let counting = Counting::new(rate, label.drop_frame).ok()?;
    let frames = counting.frame_of(label).ok()?;
    Some(StartTimecode { frames, rate, drop_frame: label.drop_frame })
}
