//! The index of a file whose every frame stands in one table: what MP4 and sound alone have in common.

use super::{Error, Found, Index, Presentation, Sample, Source, Time, frames::Frames};
use std::ops::Range;

/// A value of this type is such an index; it asks its file nothing.
#[derive(Debug)]
pub struct Listed {
    pub presentation: Presentation,
    pub frames: Frames,
}

impl Index for Listed {
    fn presentation(&self) -> &Presentation {
        &self.presentation
    }

    fn find(&self, _: &dyn Source, time: Time) -> Result<Option<Found>, Error> {
        let past = self.duration().is_some_and(|end| time >= end);
        Ok(if time.is_negative() || past { None } else { self.frames.find(time) })
    }

    fn frame(&self, _: &dyn Source, number: u64) -> Result<Option<Found>, Error> {
        Ok(usize::try_from(number).ok().and_then(|rank| self.frames.found(rank)))
    }

    fn sync_samples(&self, _: &dyn Source, from: Time, most: usize) -> Result<Vec<Sample>, Error> {
        Ok(self.frames.sync_samples(from, most))
    }

    fn span(
        &self,
        source: &dyn Source,
        from: Time,
        to: Option<Time>,
    ) -> Result<Option<Range<u64>>, Error> {
        Ok(self.find(source, from)?.and_then(|_| self.frames.span(from, to)))
    }

    fn is_in_memory(&self) -> bool {
        true
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.presentation.weight() + self.frames.weight()
    }
}
