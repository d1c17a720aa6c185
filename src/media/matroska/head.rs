//! The head of a file: its DocType, and what Info, Tracks and Tags say, wherever they lie in the Segment.
//! Reads up to the first cluster, then follows the SeekHeads; never goes through the clusters unless no track is
//! known without.

use super::blocks::Walk;
use super::codec;
use super::ebml::{Element, HEADER, Reader, size_of};
use super::ids;
use crate::media::{Error, Kind, Source, Track};
use std::ops::Range;

/// Tracks and SeekHead entries past these counts are not looked at: no film has them.
const MOST_TRACKS: usize = 256;
const MOST_SEEKS: usize = 64;
/// Tracks that are walked in search of one with frames.
const MOST_CANDIDATES: usize = 4;
/// Elements of the Segment before its first cluster.
const MOST_ELEMENTS: usize = 4096;
/// Tags that tell something of time: two a track.
const MOST_TAGS: usize = 2 * MOST_TRACKS;
/// Elements between the EBML header and the Segment.
const MOST_VOIDS: usize = 8;

/// A value of this type is a TrackEntry: the track as people see it, and what its blocks need.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub track: Track,
    pub uid: u64,
    /// DefaultDuration and CodecDelay, in nanoseconds.
    pub frame: u64,
    pub delay: u64,
    /// TrackTimestampScale, where it isn't 1: how many of the Segment's ticks one of this track's is.
    pub track_scale: Option<f64>,
    /// A decoder may start at each of its frames, whatever their blocks say.
    pub intra: bool,
}

/// A value of this type is a tag that tells something of time.
#[derive(Debug)]
enum Told {
    /// TIMECODE: the label of the first frame.
    Timecode(String),
    /// NUMBER_OF_FRAMES, of the statistics that mkvmerge writes.
    Frames(u64),
}

/// A value of this type is what a Segment says of itself before its clusters are looked at.
#[derive(Debug, Default)]
pub struct Head {
    pub doc_type: String,
    /// Where the Segment's content begins: positions in SeekHead and Cues count from here.
    pub segment: u64,
    pub segment_end: Option<u64>,
    /// TimestampScale: nanoseconds a tick.
    pub tick: u64,
    /// In ticks, as the writer gave it.
    pub duration: Option<f64>,
    pub entries: Vec<Entry>,
    /// Where the clusters begin; the end of the file where there is none.
    pub clusters: u64,
    pub cues: Option<Element>,
    /// Tags that tell something here, and the TrackUID each is about; zero for the whole file.
    tags: Vec<(u64, Told)>,
    known_tracks: bool,
}

impl Head {
    /// Whether a cluster has begun, before which all stands that a recording says of itself.
    pub fn is_whole(source: &dyn Source) -> Result<bool, Error> {
        let mut reader = Reader::new(source);
        let mut at = 0;
        for _ in 0..MOST_ELEMENTS {
            let left = reader.length().saturating_sub(at);
            match reader.element(at)? {
                Some(Element { id: ids::CLUSTER, .. }) => return Ok(true),
                Some(Element { id: ids::SEGMENT, body, .. }) => at = body,
                Some(Element { end: Some(end), .. }) => at = end,
                // What is no element is told of when the head is read.
                _ => return Ok(left >= HEADER as u64),
            }
        }
        Ok(true)
    }

    pub fn read(source: &dyn Source) -> Result<Head, Error> {
        let mut reader = Reader::new(source);
        let (mut head, seeks) = Head::before_clusters(&mut reader)?;
        head.follow(&mut reader, seeks)?;
        if !head.known_tracks {
            head.search(source)?;
        }
        head.with_tracks()
    }

    /// The head of a file that grows: what stands before its clusters, which is the same however far it has come.
    pub fn begun(source: &dyn Source) -> Result<Head, Error> {
        let (head, _) = Head::before_clusters(&mut Reader::new(source))?;
        head.with_tracks()
    }

    fn with_tracks(self) -> Result<Head, Error> {
        if self.entries.is_empty() && !self.known_tracks {
            return Err(Error::broken(self.segment, "the Segment has no Tracks"));
        }
        Ok(self)
    }

    /// The head, and what its SeekHeads point to.
    fn before_clusters(reader: &mut Reader) -> Result<(Head, Vec<(u32, u64)>), Error> {
        let mut head = Head { tick: 1_000_000, clusters: reader.length(), ..Head::default() };
        let Some(ebml) = reader.element(0)?.filter(|element| element.id == ids::EBML) else {
            return Err(Error::Unknown);
        };
        let Some(ebml_end) = ebml.end else {
            return Err(Error::broken(0, "the EBML header has no size"));
        };
        let mut at = ebml.body;
        while let Some(child) = reader.child(&mut at, Some(ebml_end))? {
            if child.id == ids::DOC_TYPE {
                head.doc_type = reader.text(&child, 32)?;
            }
        }
        head.segment(reader, ebml_end)?;
        let mut seeks = Vec::new();
        let mut at = head.segment;
        for _ in 0..MOST_ELEMENTS {
            let Some(element) = reader.element(at)? else { break };
            if ids::is_level_0(element.id) {
                break;
            }
            if element.id == ids::CLUSTER {
                head.clusters = element.start;
                break;
            }
            let Some(end) = element.end else { break };
            head.level_1(reader, &element, &mut seeks)?;
            at = end;
        }
        head.clusters = head.clusters.min(at.max(head.segment));
        Ok((head, seeks))
    }

    /// The tracks that times may be looked up in, the best first: the first video track, where it has no frame
    /// the next, then audio.
    pub fn candidates(&self) -> impl Iterator<Item = usize> + '_ {
        let of_kind = |kind| {
            let entries = self.entries.iter().enumerate();
            entries.filter(move |(_, entry)| entry.track.kind == kind).map(|(at, _)| at)
        };
        of_kind(Kind::Video).chain(of_kind(Kind::Audio)).take(MOST_CANDIDATES)
    }

    fn segment(&mut self, reader: &mut Reader, mut at: u64) -> Result<(), Error> {
        for _ in 0..MOST_VOIDS {
            match reader.element(at)? {
                Some(Element { id: ids::SEGMENT, body, end, .. }) => {
                    self.segment = body;
                    self.segment_end = end;
                    return Ok(());
                }
                Some(Element { end: Some(end), .. }) => at = end,
                _ => break,
            }
        }
        Err(Error::broken(at, "no Segment follows the EBML header"))
    }

    fn level_1(
        &mut self,
        reader: &mut Reader,
        element: &Element,
        seeks: &mut Vec<(u32, u64)>,
    ) -> Result<(), Error> {
        match element.id {
            ids::SEEK_HEAD => self.seek_head(reader, element, seeks),
            ids::INFO => self.info(reader, element),
            ids::TRACKS if self.entries.is_empty() => self.tracks(reader, element),
            ids::TAGS => self.tags(reader, element),
            ids::CUES => {
                self.cues = self.cues.or(Some(*element));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads what the SeekHeads point to and was not met; one that lies is passed over, and so is one that leads
    /// into what was read.
    fn follow(&mut self, reader: &mut Reader, mut seeks: Vec<(u32, u64)>) -> Result<(), Error> {
        let mut next = 0;
        let mut met: Vec<Range<u64>> = Vec::new();
        while let Some(&(id, position)) = seeks.get(next) {
            next += 1;
            let Some(at) = self.segment.checked_add(position).filter(|&at| at >= self.clusters)
            else {
                continue;
            };
            let element = reader.element(at)?.filter(|element| element.id == id);
            if let Some(element) = element
                && let Some(end) = element.end
                && met.iter().all(|met| end <= met.start || met.end <= at)
            {
                met.push(at..end);
                self.level_1(reader, &element, &mut seeks)?;
            }
        }
        Ok(())
    }

    /// Tracks that stand behind clusters and are named by no SeekHead.
    fn search(&mut self, source: &dyn Source) -> Result<(), Error> {
        let end = self.segment_end;
        let mut walk = Walk::new(source, Default::default(), self.clusters, u64::MAX, end);
        let Some(tracks) = walk.find(ids::TRACKS)? else { return Ok(()) };
        self.tracks(&mut walk.reader, &tracks)
    }

    fn seek_head(
        &mut self,
        reader: &mut Reader,
        seek_head: &Element,
        seeks: &mut Vec<(u32, u64)>,
    ) -> Result<(), Error> {
        let mut at = seek_head.body;
        while let Some(seek) = reader.child(&mut at, seek_head.end)? {
            let (mut id, mut position) = (None, None);
            let mut inner = seek.body;
            while let Some(child) = reader.child(&mut inner, seek.end)? {
                match child.id {
                    ids::SEEK_ID => id = u32::try_from(reader.unsigned(&child, 0)?).ok(),
                    ids::SEEK_POSITION => position = Some(reader.unsigned(&child, 0)?),
                    _ => {}
                }
            }
            let wanted = |&id: &u32| {
                matches!(id, ids::SEEK_HEAD | ids::INFO | ids::TRACKS | ids::TAGS | ids::CUES)
            };
            if let (Some(id), Some(position)) = (id.filter(wanted), position)
                && seek.id == ids::SEEK
                && seeks.len() < MOST_SEEKS
            {
                seeks.push((id, position));
            }
        }
        Ok(())
    }

    fn info(&mut self, reader: &mut Reader, info: &Element) -> Result<(), Error> {
        let mut at = info.body;
        while let Some(child) = reader.child(&mut at, info.end)? {
            match child.id {
                ids::TIMESTAMP_SCALE => {
                    // Zero is what some writers leave there; a tick of days is no clock.
                    let tick = reader.unsigned(&child, 1_000_000)?;
                    self.tick = if tick == 0 { 1_000_000 } else { tick };
                    if self.tick > 1 << 40 {
                        return Err(Error::broken(child.start, "TimestampScale is out of reason"));
                    }
                }
                ids::DURATION => {
                    self.duration = (reader.float(&child)?)
                        .filter(|ticks| ticks.is_finite() && *ticks > 0.0 && *ticks < 1e15);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn tracks(&mut self, reader: &mut Reader, tracks: &Element) -> Result<(), Error> {
        self.known_tracks = true;
        let mut at = tracks.body;
        while let Some(child) = reader.child(&mut at, tracks.end)? {
            if child.id == ids::TRACK_ENTRY && self.entries.len() < MOST_TRACKS {
                self.entries.push(entry(reader, &child)?);
            }
        }
        Ok(())
    }

    fn tags(&mut self, reader: &mut Reader, tags: &Element) -> Result<(), Error> {
        let mut at = tags.body;
        while let Some(tag) = reader.child(&mut at, tags.end)? {
            if tag.id != ids::TAG {
                continue;
            }
            let (mut uid, mut told) = (0, Vec::new());
            let mut inner = tag.body;
            while let Some(child) = reader.child(&mut inner, tag.end)? {
                match child.id {
                    ids::TARGETS => {
                        let mut at = child.body;
                        while let Some(target) = reader.child(&mut at, child.end)? {
                            if target.id == ids::TAG_TRACK_UID {
                                uid = reader.unsigned(&target, 0)?;
                            }
                        }
                    }
                    ids::SIMPLE_TAG if self.tags.len() + told.len() < MOST_TAGS => {
                        told.extend(simple_tag(reader, &child)?);
                    }
                    _ => {}
                }
            }
            self.tags.extend(told.into_iter().map(|told| (uid, told)));
        }
        Ok(())
    }

    /// The TIMECODE of a track: its own goes before the file's.
    pub fn timecode_of(&self, track: u64) -> Option<&str> {
        let told = |uid: u64| {
            self.tags.iter().find_map(|tag| match tag {
                (of, Told::Timecode(label)) if *of == uid => Some(label.as_str()),
                _ => None,
            })
        };
        told(track).or_else(|| told(0))
    }

    /// How many frames a track has, as the statistics say.
    pub fn frames_of(&self, track: u64) -> Option<u64> {
        self.tags.iter().find_map(|tag| match tag {
            (of, Told::Frames(count)) if *of == track => Some(*count),
            _ => None,
        })
    }
}

fn simple_tag(reader: &mut Reader, tag: &Element) -> Result<Option<Told>, Error> {
    let (mut name, mut text) = (String::new(), String::new());
    let mut at = tag.body;
    while let Some(child) = reader.child(&mut at, tag.end)? {
        match child.id {
            ids::TAG_NAME => name = reader.text(&child, 32)?,
            ids::TAG_STRING => text = reader.text(&child, 32)?,
            _ => {}
        }
    }
    Ok(match name.to_ascii_uppercase().as_str() {
        "TIMECODE" => Some(Told::Timecode(text)),
        "NUMBER_OF_FRAMES" => text.parse().ok().map(Told::Frames),
        _ => None,
    })
}

fn entry(reader: &mut Reader, element: &Element) -> Result<Entry, Error> {
    let mut entry = Entry::default();
    let (mut codec_id, mut private) = (String::new(), Vec::new());
    // RFC 9559 §5.1.4.1.19: English is what is not said.
    let (mut language, mut bcp47) = ("eng".to_owned(), None);
    let mut at = element.body;
    while let Some(child) = reader.child(&mut at, element.end)? {
        match child.id {
            ids::TRACK_NUMBER => entry.track.id = reader.unsigned(&child, 0)?,
            ids::TRACK_UID => entry.uid = reader.unsigned(&child, 0)?,
            ids::TRACK_TYPE => {
                entry.track.kind = match reader.unsigned(&child, 0)? {
                    1 => Kind::Video,
                    2 => Kind::Audio,
                    _ => Kind::Other,
                }
            }
            ids::CODEC_ID => codec_id = reader.text(&child, 64)?,
            ids::CODEC_PRIVATE => {
                let most = size_of(&child).min(64) as usize;
                private = reader.bytes(child.body, most)?.to_vec();
            }
            ids::CODEC_DELAY => entry.delay = reader.unsigned(&child, 0)?,
            ids::DEFAULT_DURATION => entry.frame = reader.unsigned(&child, 0)?,
            ids::TRACK_TIMESTAMP_SCALE => {
                // What is next to nothing is none, as in ffmpeg.
                entry.track_scale = reader
                    .float(&child)?
                    .filter(|track_scale| (0.01..1e6).contains(track_scale) && *track_scale != 1.0);
            }
            ids::LANGUAGE => language = reader.text(&child, 32)?,
            ids::LANGUAGE_BCP47 => bcp47 = Some(reader.text(&child, 64)?),
            ids::VIDEO | ids::AUDIO => settings(reader, &child, &mut entry.track)?,
            _ => {}
        }
    }
    let language = bcp47.unwrap_or(language);
    entry.track.language = Some(language).filter(|tag| !tag.is_empty() && tag != "und");
    entry.track.codec = codec::name(&codec_id, &private);
    entry.intra = codec::is_intra(entry.track.kind, &codec_id);
    Ok(entry)
}

fn settings(reader: &mut Reader, element: &Element, track: &mut Track) -> Result<(), Error> {
    let (mut width, mut height) = (None, None);
    if element.id == ids::AUDIO {
        (track.sample_rate, track.channels) = (Some(8000), Some(1));
    }
    let mut at = element.body;
    while let Some(child) = reader.child(&mut at, element.end)? {
        match child.id {
            ids::PIXEL_WIDTH => width = u32::try_from(reader.unsigned(&child, 0)?).ok(),
            ids::PIXEL_HEIGHT => height = u32::try_from(reader.unsigned(&child, 0)?).ok(),
            ids::SAMPLING_FREQUENCY => {
                track.sample_rate = (reader.float(&child)?)
                    .filter(|rate| *rate >= 1.0 && *rate < f64::from(u32::MAX))
                    .map(|rate| rate.round() as u32);
            }
            ids::CHANNELS => track.channels = u16::try_from(reader.unsigned(&child, 1)?).ok(),
            _ => {}
        }
    }
    if let (Some(width), Some(height)) = (width, height) {
        track.dimensions = Some((width, height)).filter(|&(w, h)| w > 0 && h > 0);
    }
    Ok(())
}
