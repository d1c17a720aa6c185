//! What is known of a file, and the answers that follow from it: by number and by time.

use super::open::{File, Progress};
use super::packet::Framing;
use super::pes::HERTZ;
use super::pictures::Unit;
use super::samples::{Numbered, Samples};
use super::search::{Lost, Search};
use crate::media::{Found, Presentation, Rounding, Sample, Source, Time};
use std::ops::Range;

/// All that is known of a file.
#[derive(Debug)]
pub struct Core {
    pub framing: Framing,
    /// Where the first packet begins, and the file's length when it was read.
    pub begin: u64,
    pub length: u64,
    /// More may come, and the presentation ends where that could change it.
    pub growing: bool,
    /// On the program's clock: time zero, the first frame's time, the presentation's end.
    pub zero: i64,
    pub first: i64,
    pub end: i64,
    pub presentation: Presentation,
    pub frames: Frames,
    pub progress: Progress,
}

#[derive(Debug)]
pub enum Frames {
    Samples(Samples),
    Search(Box<Search>),
}

impl Core {
    pub fn file<'s>(&self, source: &'s dyn Source) -> File<'s> {
        File { source, framing: self.framing, begin: self.begin, growing: self.growing }
    }

    pub fn time(&self, shown: i64) -> Time {
        Time::new(shown.saturating_sub(self.zero), HERTZ)
    }

    pub fn sample(&self, unit: Unit) -> Sample {
        Sample { time: self.time(unit.shown), span: unit.start..unit.end }
    }

    fn numbered(&self, found: Numbered) -> Sample {
        Sample { time: self.time(found.shown), span: found.start..found.end }
    }

    /// A time on the file's clock; `None` where the presentation doesn't reach.
    pub fn inside(&self, time: Time) -> Option<i64> {
        let ticks = time.ticks_at(HERTZ, Rounding::Down)?;
        let shown = self.zero.checked_add(ticks)?;
        (ticks >= 0 && shown < self.end).then_some(shown)
    }

    /// Where on the grid of the main track's rate a frame lies.
    fn place(&self, shown: i64) -> u64 {
        let Some(rate) = self.presentation.main_track().frame_rate else { return 0 };
        // A quarter of a frame early: stamps are rounded, and second fields come half a frame late.
        let quarter =
            i64::from(HERTZ) * i64::from(rate.denominator) / i64::from(rate.numerator) / 4;
        let time = Time::new(shown.saturating_sub(self.first).saturating_add(quarter), HERTZ);
        rate.frames_in(time, Rounding::Down).unwrap_or(0)
    }

    pub fn find(&self, source: &dyn Source, shown: i64) -> Result<Option<Found>, Lost> {
        match &self.frames {
            Frames::Samples(samples) => {
                // Before the first frame nothing is shown: that one is waited for.
                let frame = samples.at(shown).or(samples.first());
                let Some(frame) = frame else { return Ok(None) };
                let (asked, shown) = (shown, shown.max(self.first));
                let before = samples.syncs_to(shown).checked_sub(1);
                let sync = samples.sync(before.unwrap_or(0));
                // Without any sync sample a decoder begins at the first one and hopes.
                let Some(start) = sync.or(samples.first()) else { return Ok(None) };
                Ok(Some(Found {
                    number: frame.number,
                    frame: self.numbered(frame),
                    sync: self.numbered(start),
                    later: before.is_none() || start.shown > asked,
                }))
            }
            Frames::Search(search) => {
                let (asked, shown) = (shown, shown.max(self.first));
                let around = search.find(source, shown, i64::MIN)?;
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
                Ok(Some(Found {
                    number: self.place(frame.shown),
                    frame: self.sample(frame),
                    sync: self.sample(sync),
                    later: around.sync.is_none() || sync.shown > asked,
                }))
            }
        }
    }

    pub fn frame(&self, source: &dyn Source, number: u64) -> Result<Option<Found>, Lost> {
        if let Frames::Samples(samples) = &self.frames {
            let Some(frame) = samples.numbered(number) else { return Ok(None) };
            let found = self.find(source, frame.shown)?;
            return Ok(found.map(|found| Found { frame: self.numbered(frame), number, ..found }));
        }
        let rate = self.presentation.main_track().frame_rate;
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

    pub fn syncs(&self, source: &dyn Source, from: Time, most: usize) -> Result<Vec<Sample>, Lost> {
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

    pub fn span(
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
                search.find(source, to.saturating_sub(1), shown)?.last.map(|last| last.end)
            }
        };
        let end = end.unwrap_or(0).max(found.frame.span.end);
        Ok(Some(start..end))
    }

    pub fn weight(&self) -> usize {
        let frames = match &self.frames {
            Frames::Samples(samples) => samples.weight(),
            Frames::Search(search) => search.weight(),
        };
        size_of::<Core>() + frames + self.presentation.weight() + self.progress.weight()
    }
}
