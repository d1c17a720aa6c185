//! What a reader makes of a file, and what it answers when asked for a time.

use super::{Error, Source, time::{Rate, Time}};
use std::ops::Range;

/// A value of this type is one sample: when it is shown, and where its bytes lie.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Presentation time; zero is where the presentation starts.
    pub time: Time,
    /// Its bytes in the file (Matroska: the block's element; MPEG-TS: from the packet that starts the PES).
    pub span: Range<u64>,
}

/// A value of this type answers "what is shown at this time, and where must a decoder start for it?".
#[derive(Clone, Debug)]
pub struct Found {
    /// The frame's number, counted in presentation order from the first shown frame.
    pub number: u64,
    pub frame: Sample,
    /// The sync sample with the greatest presentation time at or before the time asked.
    pub sync: Sample,
    /// There is no sync sample at or before that time: `sync` is the first one there is.
    pub later: bool,
}

/// A value of this type is what a track's or the Matroska tag's own timecode says of the first frame.
#[derive(Clone, Debug)]
pub struct StartTimecode {
    /// Frames since midnight, at the nominal rate.
    pub frames: u64,
    pub rate: Rate,
    pub drop_frame: bool,
}

/// A value of this type describes one track, for people and players.
#[derive(Clone, Debug)]
pub struct Track {
    pub id: u64,
    /// RFC 6381 where the container has what it takes, else the container's own name of it.
    pub codec: String,
    pub kind: Kind,
    pub frame_rate: Option<Rate>,
    pub variable_rate: bool,
    pub duration: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Video,
    Audio,
    Other,
}

/// A value of this type is a file's index: small, immutable, shared by all who ask.
pub trait Index: Send + Sync {
    fn tracks(&self) -> &[Track];
    /// The track that times are looked up in: the first video track, else the first audio track.
    fn main_track(&self) -> &Track;
    fn start_timecode(&self) -> Option<&StartTimecode>;
    /// Length of the presentation.
    fn duration(&self) -> Option<Time>;
    /// What is shown at `time`. A time before zero or at or past the end has no answer.
    fn find(&self, source: &dyn Source, time: Time) -> Result<Option<Found>, Error>;
    /// The frame of that number, counted in presentation order.
    fn frame(&self, source: &dyn Source, number: u64) -> Result<Option<Found>, Error>;
    /// The sync samples in presentation order, from the first at or after `from`; for listings, tests and playlists.
    fn sync_samples(&self, source: &dyn Source, from: Time, most: usize) -> Result<Vec<Sample>, Error>;
    /// The bytes that show `from` up to `to`: from the sync sample to the end of the last frame's bytes.
    fn span(&self, source: &dyn Source, from: Time, to: Option<Time>) -> Result<Option<Range<u64>>, Error>;
    /// Heap bytes held.
    fn weight(&self) -> usize;
}
