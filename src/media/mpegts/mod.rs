//! MPEG transport streams (ISO/IEC 13818-1), in packets of 188, 192 (M2TS) or 204 bytes.
//!
//! ```text
//! walk (packets) -> section, tables (PAT, PMT: which streams)
//!                -> pes, pictures, es (samples: when shown, where, a place to start?)
//!                -> pass (both at once) -> gathered -> samples (a short file: all of them)
//!                                                   -> search  (a long file: bisection)
//! ```
//!
//! - A sample is a PES packet that bears a presentation time: from the packet that starts it to the end
//!   of the last packet with bytes of it (and of PES packets without a time that follow).
//! - Time zero is the smallest presentation time of any stream; times go on over the wrap at 2^33.
//! - A frame's number is counted where the file was read whole (then `layout().frames` says how many
//!   there are); in a longer file it is the frame's place on the grid of its rate.
//! - The main stream goes on where a newer PMT gives it another PID.
//!
//! The stream decides what a sync sample is, not the packets' random access indicator: see [`es`].

mod codec;
mod describe;
mod es;
mod gathered;
mod live;
mod open;
mod packet;
mod pass;
mod pes;
mod pictures;
mod rate;
mod samples;
mod search;
mod section;
mod sparse;
mod tables;
mod walk;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use live::Edge;

use self::open::{File, Progress};
use self::packet::Framing;
use self::pes::{Clock, HERTZ};
use self::pictures::Unit;
use self::samples::{Numbered, Samples};
use self::search::{Lost, Search};
use crate::media::{
    Error, Found, Index, Layout, Rounding, Sample, Source, StartTimecode, Time, Track,
};
use std::ops::Range;
use std::sync::OnceLock;

/// Whether these first bytes of a file are packets.
pub fn recognises(head: &[u8]) -> bool {
    Framing::of(head).is_some()
}

pub fn open(source: &dyn Source) -> Result<TransportStream, Error> {
    let core = File::new(source)?.index()?;
    Ok(TransportStream { core, read_whole: OnceLock::new() })
}

/// A value of this type is the index of a transport stream.
#[derive(Debug)]
pub struct TransportStream {
    core: Core,
    /// The index that was made when a search found time going back.
    read_whole: OnceLock<Core>,
}

/// All that is known of a file.
#[derive(Debug)]
struct Core {
    framing: Framing,
    /// Where the first packet begins, and the file's length when it was read.
    begin: u64,
    length: u64,
    clock: Clock,
    /// On the file's clock: time zero, the first frame's time, the presentation's end.
    zero: i64,
    first: i64,
    end: i64,
    tracks: Vec<Track>,
    main: usize,
    layout: Layout,
    frames: Frames,
    progress: Progress,
}

#[derive(Debug)]
enum Frames {
    Samples(Samples),
    Search(Search),
}

impl TransportStream {
    fn core(&self) -> &Core {
        self.read_whole.get().unwrap_or(&self.core)
    }

    /// The index of the same file after it has grown; `source` says how long it is now.
    pub fn grown(&self, source: &dyn Source) -> Result<TransportStream, Error> {
        let core = self.core();
        let file = File { source, framing: core.framing, begin: core.begin };
        let core = if source.length() < core.length { file.index()? } else { file.grown(core)? };
        Ok(TransportStream { core, read_whole: OnceLock::new() })
    }

    /// Asks the index, and once more after a pass over the whole file if time turns out to go back.
    fn ask<T>(
        &self,
        source: &dyn Source,
        question: impl Fn(&Core) -> Result<T, Lost>,
    ) -> Result<T, Error> {
        match question(self.core()) {
            Ok(answer) => return Ok(answer),
            Err(Lost::Error(error)) => return Err(error),
            Err(Lost::Disorder) => {}
        }
        let core = self.core();
        let file = File { source, framing: core.framing, begin: core.begin };
        let whole = file.whole(&core.progress.pass.tables)?;
        let core = self.read_whole.get_or_init(|| whole);
        question(core).map_err(|lost| match lost {
            Lost::Error(error) => error,
            Lost::Disorder => Error::broken(core.begin, "time goes back here and there"),
        })
    }
}

impl Core {
    fn time(&self, shown: i64) -> Time {
        Time::new(shown.saturating_sub(self.zero), HERTZ)
    }

    fn sample(&self, unit: Unit) -> Sample {
        Sample { time: self.time(unit.shown), span: unit.start..unit.end }
    }

    fn numbered(&self, found: Numbered) -> Sample {
        Sample { time: self.time(found.shown), span: found.start..found.end }
    }

    /// A time on the file's clock; `None` where the presentation doesn't reach.
    fn inside(&self, time: Time) -> Option<i64> {
        let ticks = time.ticks_at(HERTZ, Rounding::Down)?;
        let shown = self.zero.checked_add(ticks)?;
        (ticks >= 0 && shown < self.end).then_some(shown)
    }

    /// Where on the grid of the main track's rate a frame lies.
    fn place(&self, shown: i64) -> u64 {
        let Some(rate) = self.tracks.get(self.main).and_then(|track| track.frame_rate) else {
            return 0;
        };
        // A quarter of a frame early: stamps are rounded, and second fields come half a frame late.
        let quarter =
            i64::from(HERTZ) * i64::from(rate.denominator) / i64::from(rate.numerator) / 4;
        let time = Time::new(shown.saturating_sub(self.first).saturating_add(quarter), HERTZ);
        rate.frames_in(time, Rounding::Down).unwrap_or(0)
    }

    fn find(&self, source: &dyn Source, shown: i64) -> Result<Option<Found>, Lost> {
        match &self.frames {
            Frames::Samples(samples) => {
                // Before the first frame nothing is shown: that one is waited for.
                let frame = samples.at(shown).or(samples.first());
                let Some(frame) = frame else { return Ok(None) };
                let shown = shown.max(self.first);
                let before = samples.syncs_to(shown).checked_sub(1);
                let sync = samples.sync(before.unwrap_or(0));
                // Without any sync sample a decoder begins at the first one and hopes.
                let Some(start) = sync.or(samples.first()) else { return Ok(None) };
                Ok(Some(Found {
                    number: frame.number,
                    frame: self.numbered(frame),
                    sync: self.numbered(start),
                    later: before.is_none(),
                }))
            }
            Frames::Search(search) => {
                let around = search.find(source, shown.max(self.first))?;
                let frame = match around.frame {
                    Some(frame) => Some(frame),
                    None => search.first(source, false)?,
                };
                let Some(frame) = frame else { return Ok(None) };
                let sync = match around.sync {
                    Some(sync) => sync,
                    None => match search.first(source, true)? {
                        Some(sync) => sync,
                        None => search.first(source, false)?.unwrap_or(frame),
                    },
                };
                let (closed, sync) = (search.close(source, frame)?, search.close(source, sync)?);
                Ok(Some(Found {
                    number: self.place(frame.shown),
                    frame: self.sample(closed),
                    sync: self.sample(sync),
                    later: around.sync.is_none(),
                }))
            }
        }
    }

    fn frame(&self, source: &dyn Source, number: u64) -> Result<Option<Found>, Lost> {
        if let Frames::Samples(samples) = &self.frames {
            let Some(frame) = samples.numbered(number) else { return Ok(None) };
            let found = self.find(source, frame.shown)?;
            return Ok(found.map(|found| Found { frame: self.numbered(frame), number, ..found }));
        }
        let rate = self.tracks.get(self.main).and_then(|track| track.frame_rate);
        let ahead = rate.and_then(|rate| {
            let time = Time::new(
                i64::try_from(number)
                    .ok()?
                    .checked_mul(4)?
                    .checked_add(1)?
                    .checked_mul(rate.denominator.into())?,
                rate.numerator.checked_mul(4)?,
            );
            time.ticks_at(HERTZ, Rounding::Down)
        });
        let Some(shown) = ahead.and_then(|ahead| self.first.checked_add(ahead)) else {
            return Ok(None);
        };
        if shown >= self.end {
            return Ok(None);
        }
        Ok(self.find(source, shown)?.filter(|found| found.number == number))
    }

    fn syncs(&self, source: &dyn Source, from: Time, most: usize) -> Result<Vec<Sample>, Lost> {
        let ticks = from.ticks_at(HERTZ, Rounding::Up).unwrap_or(i64::MAX);
        let shown = self.zero.saturating_add(ticks);
        match &self.frames {
            Frames::Samples(samples) => {
                let first = samples.syncs_to(shown.saturating_sub(1));
                let places = (first..samples.syncs()).take(most);
                Ok(places
                    .filter_map(|at| samples.sync(at))
                    .map(|sync| self.numbered(sync))
                    .collect())
            }
            Frames::Search(search) => {
                let units = search.syncs(source, shown, most)?;
                Ok(units.into_iter().map(|unit| self.sample(unit)).collect())
            }
        }
    }

    fn span(
        &self,
        source: &dyn Source,
        from: i64,
        to: Option<i64>,
    ) -> Result<Option<Range<u64>>, Lost> {
        let Some(found) = self.find(source, from)? else { return Ok(None) };
        let start = found.sync.span.start.min(found.frame.span.start);
        let Some(to) = to.filter(|&to| to < self.end) else { return Ok(Some(start..self.length)) };
        let shown = from.max(self.first);
        let end = match &self.frames {
            Frames::Samples(samples) => samples.end_before(shown, to),
            Frames::Search(search) => {
                let last = search.find(source, to.saturating_sub(1))?.last;
                last.map(|last| search.close(source, last)).transpose()?.map(|last| last.end)
            }
        };
        let end = end.unwrap_or(0).max(found.frame.span.end);
        Ok(Some(start..end))
    }

    fn weight(&self) -> usize {
        let frames = match &self.frames {
            Frames::Samples(samples) => samples.weight(),
            Frames::Search(search) => search.weight(),
        };
        let tracks = self.tracks.capacity() * size_of::<Track>()
            + self.tracks.iter().map(|track| track.codec.capacity()).sum::<usize>();
        size_of::<Core>() + frames + tracks + self.progress.weight()
    }
}

impl Index for TransportStream {
    fn tracks(&self) -> &[Track] {
        &self.core().tracks
    }

    fn main_track(&self) -> &Track {
        let core = self.core();
        &core.tracks[core.main]
    }

    /// A transport stream has no timecode track; what MPEG-2's groups of pictures say is not trusted.
    fn start_timecode(&self) -> Option<&StartTimecode> {
        None
    }

    fn layout(&self) -> &Layout {
        &self.core().layout
    }

    fn duration(&self) -> Option<Time> {
        Some(self.core().time(self.core().end))
    }

    fn find(&self, source: &dyn Source, time: Time) -> Result<Option<Found>, Error> {
        self.ask(source, |core| match core.inside(time) {
            Some(shown) => core.find(source, shown),
            None => Ok(None),
        })
    }

    fn frame(&self, source: &dyn Source, number: u64) -> Result<Option<Found>, Error> {
        self.ask(source, |core| core.frame(source, number))
    }

    fn sync_samples(
        &self,
        source: &dyn Source,
        from: Time,
        most: usize,
    ) -> Result<Vec<Sample>, Error> {
        self.ask(source, |core| core.syncs(source, from, most))
    }

    fn span(
        &self,
        source: &dyn Source,
        from: Time,
        to: Option<Time>,
    ) -> Result<Option<Range<u64>>, Error> {
        self.ask(source, |core| {
            let Some(shown) = core.inside(from) else { return Ok(None) };
            let to = match to {
                None => None,
                Some(to) if to <= from => return Ok(None),
                Some(to) => {
                    to.ticks_at(HERTZ, Rounding::Up).and_then(|to| core.zero.checked_add(to))
                }
            };
            core.span(source, shown, to)
        })
    }

    fn weight(&self) -> usize {
        self.core.weight() + self.read_whole.get().map_or(0, Core::weight)
    }
}
