//! A film that can be asked: its index, its bytes, and how its frames are labelled.

use super::Refusal;
use crate::media::{Error, Found, Index, Label, Place, Reel, Rounding, Source, Time, Timecode};

/// A value of this type is a film that can be asked.
#[derive(Clone, Copy)]
pub struct Film<'a> {
    pub index: &'a dyn Index,
    pub source: &'a dyn Source,
}

/// A value of this type is where a place in a film turned out to be.
pub(super) struct Met {
    /// Since the presentation's start: the time asked, or that of the frame asked.
    pub time: Time,
    pub found: Found,
    /// The place was a label put on the nominal grid.
    pub on_grid: bool,
    /// No frame had the number asked, and what is shown at its time was given.
    pub between: bool,
}

impl Met {
    /// The time by which its bytes are looked up: a frame that is stamped a little late is meant all the same.
    pub(super) fn lookup(&self) -> Time {
        self.time.max(self.found.frame.time)
    }
}

impl<'a> Film<'a> {
    pub(super) fn reel(&self) -> Reel<'a> {
        let track = self.index.main_track();
        Reel {
            rate: track.frame_rate,
            variable_rate: track.variable_rate,
            start: self.index.start_timecode(),
        }
    }

    /// What is at a place; none past the end.
    pub(super) fn meet(&self, place: Place) -> Result<Option<Met>, Error> {
        match place {
            Place::Time(time) => self.shown(time, false),
            Place::Grid(after) => {
                let Some(time) = self.first()?.checked_add(after) else { return Ok(None) };
                self.shown(time, true)
            }
            Place::Frame(number) => match self.index.frame(self.source, number)? {
                Some(found) => {
                    let time = found.frame.time;
                    Ok(Some(Met { time, found, on_grid: false, between: false }))
                }
                None => self.near(number),
            },
        }
    }

    /// What is shown at a time. That of a grid is put on the film's clock first, towards the later tick: a frame
    /// of that grid is stamped with the tick next to it, before or after.
    fn shown(&self, time: Time, on_grid: bool) -> Result<Option<Met>, Error> {
        let met = |time, found| Met { time, found, on_grid, between: false };
        let Some(found) = self.index.find(self.source, time)? else { return Ok(None) };
        let scale = found.frame.time.scale;
        let later = time.rescaled(scale, Rounding::Up).filter(|later| on_grid && *later > time);
        if let Some(later) = later
            && let Some(found) = self.index.find(self.source, later)?
        {
            return Ok(Some(met(time, found)));
        }
        Ok(Some(met(time, found)))
    }

    /// Where frames are numbered by their place on the rate's grid, a place may be empty: what is shown then.
    fn near(&self, number: u64) -> Result<Option<Met>, Error> {
        let rate = self.index.main_track().frame_rate;
        let after = rate.and_then(|rate| rate.time_of(number));
        let Some(after) = after.filter(|_| self.index.layout().frames.is_none()) else {
            return Ok(None);
        };
        let Some(time) = self.first()?.checked_add(after) else { return Ok(None) };
        let met = self.shown(time, false)?;
        Ok(met.map(|met| Met { between: true, ..met }))
    }

    /// When the first frame is shown.
    pub(super) fn first(&self) -> Result<Time, Error> {
        let found = self.index.find(self.source, Time::ZERO)?;
        Ok(found.map_or(Time::ZERO, |found| found.frame.time))
    }

    /// The labels of a frame: since the first shown one, and the timecode track's own.
    pub(super) fn labels(
        &self,
        found: &Found,
        drop_frame: bool,
    ) -> Result<(Option<Label>, Option<Label>), Error> {
        let reel = self.reel();
        // Only off the grid does a label depend on the time.
        let other_rate = reel.start.is_some_and(|start| Some(start.rate) != reel.rate);
        let since = match reel.variable_rate || other_rate {
            true => found.frame.time.checked_sub(self.first()?).unwrap_or(Time::ZERO),
            false => Time::ZERO,
        };
        let elapsed = reel.elapsed_label(found.number, since, drop_frame);
        Ok((elapsed, reel.own_label(found.number, since)))
    }

    /// Where in the film a typed moment leads.
    pub(super) fn place(
        &self,
        meaning: super::Meaning,
        timecode: Timecode,
    ) -> Result<Place, Refusal> {
        let reel = self.reel();
        Ok(match meaning {
            super::Meaning::Elapsed => reel.at(timecode)?,
            super::Meaning::Own => reel.tc(timecode)?,
        })
    }
}
