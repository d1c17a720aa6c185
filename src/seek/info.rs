//! What a film is: its container, its tracks, how it is laid out, how far apart one can start to decode.

use super::{
    Film,
    answer::{Moment, as_text, start_label},
};
use crate::media::{self, Budget, Container, Error, Kind, Rate, Time};
use serde::Serialize;

/// The most gaps between sync samples that are measured.
const GAPS: usize = 1000;
/// The same where each takes reads, and how many bytes may be read for them.
const GAPS_READ: usize = 2;
const BYTES_READ: u64 = 16 << 20;

/// A value of this type says what a film is.
#[derive(Debug, Serialize)]
pub struct Info {
    pub container: &'static str,
    /// The file's own word for what it is: the major brand, the DocType, the length of a packet.
    pub brand: Option<String>,
    pub byte_length: u64,
    pub fragmented: bool,
    /// Where the tables lie that times are found by: the moov, the Cues.
    pub tables: Option<Tables>,
    pub duration: Option<Moment>,
    /// More of the film may come: all this is told of what is there.
    pub growing: bool,
    pub start_timecode: Option<Start>,
    /// The track that times are looked up in.
    pub main_track: u64,
    /// Frames of it; none where only a pass through the file could tell.
    pub frames: Option<u64>,
    pub sync_samples: Syncs,
    pub tracks: Vec<Track>,
    /// Sentences about what is not known here, or not exactly; none where all is.
    pub notes: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
pub struct Tables {
    pub byte_offset: u64,
    pub byte_length: u64,
    /// They stand before the first sync sample's bytes.
    pub first: bool,
}

#[derive(Debug, Serialize)]
pub struct Start {
    pub label: Option<String>,
    pub frame_rate: String,
    pub drop_frame: bool,
}

/// A value of this type counts sync samples and tells how far apart they are.
#[derive(Debug, Serialize)]
pub struct Syncs {
    /// None where only a pass through the file could tell.
    pub count: Option<u64>,
    pub spacing: Option<Spacing>,
}

/// A value of this type is what the first gaps between sync samples are.
#[derive(Debug, Serialize)]
pub struct Spacing {
    pub least: Moment,
    pub most: Moment,
    /// How many gaps were looked at, from the film's start.
    pub gaps: u64,
    /// These were all.
    pub all: bool,
}

#[derive(Debug, Serialize)]
pub struct Track {
    pub id: u64,
    pub kind: &'static str,
    pub codec: String,
    pub duration: Option<Moment>,
    #[serde(serialize_with = "as_text")]
    pub frame_rate: Option<Rate>,
    pub variable_rate: bool,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub sample_rate: Option<u32>,
    pub channels: Option<u16>,
    pub language: Option<String>,
}

impl Film<'_> {
    /// What the film is.
    pub fn info(&self) -> Result<Info, Error> {
        let (index, layout) = (self.index, self.index.layout());
        let (syncs, given_up) = self.first_syncs()?;
        let begin = syncs.first().map(|sync| sync.span.start);
        Ok(Info {
            container: name(layout.container),
            brand: layout.brand.clone(),
            byte_length: self.source.length(),
            fragmented: layout.fragmented,
            tables: layout.tables.as_ref().map(|tables| Tables {
                byte_offset: tables.start,
                byte_length: tables.end.saturating_sub(tables.start),
                first: begin.is_none_or(|begin| tables.start < begin),
            }),
            duration: index.duration().map(Moment::from),
            growing: index.is_growing(),
            start_timecode: index.start_timecode().map(|start| Start {
                label: start_label(start),
                frame_rate: start.rate.to_string(),
                drop_frame: start.drop_frame,
            }),
            main_track: index.main_track().id,
            frames: layout.frames,
            sync_samples: Syncs {
                count: layout.sync_samples,
                spacing: spacing(&syncs, layout.sync_samples),
            },
            tracks: index.tracks().iter().map(track).collect(),
            notes: notes(layout, given_up),
        })
    }

    /// The first sync samples, and whether the search for another was given up.
    fn first_syncs(&self) -> Result<(Vec<media::Sample>, bool), Error> {
        let Film { index, source } = *self;
        if index.is_in_memory() {
            return Ok((index.sync_samples(source, Time::ZERO, 1 + GAPS)?, false));
        }
        let budget = Budget::of_bytes(source, BYTES_READ);
        let (mut syncs, mut from) = (Vec::new(), Time::ZERO);
        while syncs.len() <= GAPS_READ {
            let next = index.sync_samples(&budget, from, 1);
            if budget.over().is_some() {
                return Ok((syncs, true));
            }
            let Some(sync) = next?.pop() else { break };
            let tick = Time::new(1, sync.time.scale);
            from = sync.time.checked_add(tick).unwrap_or(sync.time);
            syncs.push(sync);
        }
        Ok((syncs, false))
    }
}

fn notes(layout: &media::Layout, given_up: bool) -> Vec<&'static str> {
    let said = [
        (
            layout.frames.is_none(),
            "frames and sync samples are not counted in a file as long as this, and the frame rate is that of its \
             beginning",
        ),
        (
            given_up,
            "the next sync sample is further on than is looked for: how far they are apart is not known",
        ),
    ];
    said.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note).collect()
}

fn spacing(syncs: &[media::Sample], count: Option<u64>) -> Option<Spacing> {
    let gaps = syncs.iter().zip(syncs.iter().skip(1));
    let gaps = gaps.filter_map(|(sync, next)| next.time.checked_sub(sync.time));
    Some(Spacing {
        least: gaps.clone().min()?.into(),
        most: gaps.max()?.into(),
        gaps: syncs.len().checked_sub(1)? as u64,
        all: count == Some(syncs.len() as u64),
    })
}

fn track(track: &media::Track) -> Track {
    Track {
        id: track.id,
        kind: match track.kind {
            Kind::Video => "video",
            Kind::Audio => "audio",
            Kind::Other => "other",
        },
        codec: track.codec.clone(),
        duration: track.duration.map(Moment::from),
        frame_rate: track.frame_rate,
        variable_rate: track.variable_rate,
        width: track.dimensions.map(|(width, _)| width),
        height: track.dimensions.map(|(_, height)| height),
        sample_rate: track.sample_rate,
        channels: track.channels,
        language: track.language.clone(),
    }
}

fn name(container: Container) -> &'static str {
    match container {
        Container::Mp4 => "mp4",
        Container::Matroska => "matroska",
        Container::MpegTs => "mpegts",
        Container::Wav => "wav",
        Container::Mp3 => "mp3",
        Container::Adts => "adts",
        Container::Ogg => "ogg",
    }
}
