//! Cues: the times at which a decoder may start, and in which cluster (RFC 9559 §5.1.5). A hint, not a fact:
//! what they say is checked against the blocks before it is believed.

use super::ebml::{Element, Reader};
use super::ids;
use crate::media::{Error, Source};

/// A value of this type is one cue of the main track: its time in ticks, and where its cluster begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cue {
    pub ticks: i64,
    pub cluster: u64,
}

/// The cues of a track, in order, no two nearer than `apart` bytes to each other; empty where they are of no use.
pub fn read(
    source: &dyn Source,
    cues: &Element,
    segment: u64,
    track: u64,
    apart: u64,
) -> Result<Vec<Cue>, Error> {
    let mut reader = Reader::new(source);
    let mut kept: Vec<Cue> = Vec::new();
    let mut before: Option<Cue> = None;
    let mut at = cues.body;
    while let Some(point) = reader.child(&mut at, cues.end)? {
        if point.id != ids::CUE_POINT {
            continue;
        }
        let Some(cue) = cue(&mut reader, &point, segment, track)? else { continue };
        // Times and clusters rise together, or they are not what they say.
        if before.is_some_and(|before| cue.ticks < before.ticks || cue.cluster < before.cluster) {
            return Ok(Vec::new());
        }
        before = Some(cue);
        let far = |last: &Cue| cue.cluster - last.cluster >= apart.max(1);
        if kept.last().is_none_or(far) {
            kept.push(cue);
        }
    }
    Ok(kept)
}

fn cue(
    reader: &mut Reader,
    point: &Element,
    segment: u64,
    track: u64,
) -> Result<Option<Cue>, Error> {
    let (mut ticks, mut cluster) = (None, None);
    let mut at = point.body;
    while let Some(child) = reader.child(&mut at, point.end)? {
        match child.id {
            ids::CUE_TIME => ticks = i64::try_from(reader.unsigned(&child, 0)?).ok(),
            ids::CUE_TRACK_POSITIONS => {
                let (mut of, mut position) = (None, None);
                let mut inner = child.body;
                while let Some(field) = reader.child(&mut inner, child.end)? {
                    match field.id {
                        ids::CUE_TRACK => of = Some(reader.unsigned(&field, 0)?),
                        ids::CUE_CLUSTER_POSITION => position = Some(reader.unsigned(&field, 0)?),
                        _ => {}
                    }
                }
                if of == Some(track) {
                    cluster = position.and_then(|position| segment.checked_add(position));
                }
            }
            _ => {}
        }
    }
    let length = reader.length();
    Ok(ticks.zip(cluster.filter(|&at| at < length)).map(|(ticks, cluster)| Cue { ticks, cluster }))
}
