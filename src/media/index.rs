//! What a reader makes of a file, and what it answers when asked for a time.

use super::{
    Error, Source,
    time::{Rate, Time},
};
use std::ops::Range;

/// A value of this type is one sample: when it is shown, and where its bytes lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Presentation time; zero is where the presentation starts.
    pub time: Time,
    /// Its bytes in the file (Matroska: the block's content; MPEG-TS: from the packet that starts the PES).
    pub span: Range<u64>,
}

/// A value of this type answers "what is shown at this time, and where must a decoder start for it?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The frame's number, counted in presentation order from the first shown frame.
    pub number: u64,
    pub frame: Sample,
    /// The sync sample with the greatest presentation time at or before the time asked. It may be one that is
    /// not shown itself (before zero), where the presentation begins between two sync samples.
    pub sync: Sample,
    /// There is no sync sample at or before that time: `sync` is the first one there is.
    pub later: bool,
}

/// A value of this type is what a track's or the Matroska tag's own timecode says of the first shown frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartTimecode {
    /// Frames since midnight, counted at `rate` (drop-frame labels are labels: no frame is dropped here).
    pub frames: u64,
    pub rate: Rate,
    pub drop_frame: bool,
}

/// A value of this type describes one track, for people and players.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    pub id: u64,
    /// RFC 6381 where the container has what it takes, else the container's own name of it.
    pub codec: String,
    pub kind: Kind,
    pub frame_rate: Option<Rate>,
    pub variable_rate: bool,
    pub duration: Option<Time>,
    /// Width and height in pixels, as coded.
    pub dimensions: Option<(u32, u32)>,
    /// Samples a second, of audio.
    pub sample_rate: Option<u32>,
    pub channels: Option<u16>,
    /// ISO 639 or BCP 47, as the file says it; none where it says "undetermined".
    pub language: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    Video,
    Audio,
    #[default]
    Other,
}

/// A value of this type is one of the families of files that are read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// ISO base media: MP4, M4V, M4A, 3GP, and QuickTime.
    Mp4,
    /// Matroska and WebM.
    Matroska,
    /// MPEG-TS, in packets of 188, 192 or 204 bytes.
    MpegTs,
    /// WAV and RF64.
    Wav,
    /// MPEG audio, layers I to III.
    Mp3,
    /// AAC in ADTS.
    Adts,
    /// Opus, Vorbis or FLAC in Ogg.
    Ogg,
}

/// A value of this type says how a file is laid out, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub container: Container,
    /// The file's own word for what it is: the major brand, the DocType, the length of a packet.
    pub brand: Option<String>,
    /// The media comes in fragments (moof), each with its own tables.
    pub fragmented: bool,
    /// Where the tables lie that the index was made of: the moov, the Cues; none where the bodies were walked.
    pub tables: Option<Range<u64>>,
    /// Shown frames of the main track; none where only a pass through the file could tell.
    pub frames: Option<u64>,
    /// Shown sync samples of the main track, likewise.
    pub sync_samples: Option<u64>,
}

/// A value of this type describes a film: what its index tells without being asked for a time.
#[derive(Clone, Debug)]
pub struct Presentation {
    pub tracks: Vec<Track>,
    /// Which of them times are looked up in: the first video track, else the first audio track.
    pub main: usize,
    /// The label of the first shown frame, where a timecode track or a tag says it.
    pub start: Option<StartTimecode>,
    pub layout: Layout,
    pub duration: Option<Time>,
}

impl Presentation {
    pub fn main_track(&self) -> &Track {
        // `main` was found among them.
        &self.tracks[self.main]
    }

    /// Heap bytes held.
    pub fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
        let tracks = self.tracks.iter().map(|track| track.codec.capacity() + text(&track.language));
        self.tracks.capacity() * size_of::<Track>()
            + tracks.sum::<usize>()
            + text(&self.layout.brand)
    }
}

/// A value of this type is a file's index: small, immutable, shared by all who ask.
pub trait Index: Send + Sync {
    /// What the film is.
    fn presentation(&self) -> &Presentation;
    fn tracks(&self) -> &[Track] {
        &self.presentation().tracks
    }
    fn main_track(&self) -> &Track {
        self.presentation().main_track()
    }
    fn start_timecode(&self) -> Option<&StartTimecode> {
        self.presentation().start.as_ref()
    }
    fn layout(&self) -> &Layout {
        &self.presentation().layout
    }
    /// Length of the presentation.
    fn duration(&self) -> Option<Time> {
        self.presentation().duration
    }
    /// What is shown at `time`: the frame with the greatest presentation time at or before it, or the first one
    /// where the presentation begins with nothing. A time before zero or at or past the end has no answer.
    fn find(&self, source: &dyn Source, time: Time) -> Result<Option<Found>, Error>;
    /// The frame of that number, counted in presentation order.
    fn frame(&self, source: &dyn Source, number: u64) -> Result<Option<Found>, Error>;
    /// The sync samples in presentation order, from the first at or after `from`; for listings, tests and playlists.
    fn sync_samples(
        &self,
        source: &dyn Source,
        from: Time,
        most: usize,
    ) -> Result<Vec<Sample>, Error>;
    /// Where the bytes begin that a decoder must be given for `found`, which this index has just answered: its sync
    /// sample, or what the container needs before that.
    fn start(&self, _: &dyn Source, found: &Found) -> Result<u64, Error> {
        Ok(found.sync.span.start)
    }
    /// The bytes that show `from` up to `to`: from the sync sample to the end of the last frame's bytes.
    fn span(
        &self,
        source: &dyn Source,
        from: Time,
        to: Option<Time>,
    ) -> Result<Option<Range<u64>>, Error>;
    /// Whether every answer is had from memory alone, so that a thread that must not wait may ask.
    fn is_in_memory(&self) -> bool;
    /// Whether some answers are had from memory though others take reads. Asked with [`Unread`](super::Unread), such an
    /// index gives the one or is through with the other at once.
    fn remembers(&self) -> bool {
        false
    }
    /// Whether more of the file may come: what is past the end now may be there later.
    fn is_growing(&self) -> bool {
        false
    }
    /// Heap bytes held. An index that reads may hold more later.
    fn weight(&self) -> usize;
}
