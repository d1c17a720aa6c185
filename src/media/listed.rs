//! The index of a file whose every frame stands in one table: what MP4 and sound alone have in common.

use super::{
    Error, Found, Index, Layout, Sample, Source, StartTimecode, Time, Track, frames::Frames,
};
use std::ops::Range;

/// A value of this type is such an index; it asks its file nothing.
#[derive(Debug)]
pub struct Listed {
    pub tracks: Vec<Track>,
    /// The one whose frames these are.
    pub main: usize,
    pub start: Option<StartTimecode>,
    pub layout: Layout,
    pub frames: Frames,
    pub duration: Option<Time>,
}

impl Index for Listed {
    fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    fn main_track(&self) -> &Track {
        // `main` was found among them.
        &self.tracks[self.main]
    }

    fn start_timecode(&self) -> Option<&StartTimecode> {
        self.start.as_ref()
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn duration(&self) -> Option<Time> {
        self.duration
    }

    fn find(&self, _: &dyn Source, time: Time) -> Result<Option<Found>, Error> {
        let past = self.duration.is_some_and(|end| time >= end);
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
        let text = |track: &Track| {
            track.codec.capacity() + track.language.as_ref().map_or(0, String::capacity)
        };
        let tracks = self.tracks.capacity() * size_of::<Track>();
        size_of::<Self>()
            + tracks
            + self.tracks.iter().map(text).sum::<usize>()
            + self.frames.weight()
    }
}
