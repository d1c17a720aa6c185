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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::matroska::made::{cue, master};

    fn of_track_1(points: &[Vec<u8>], apart: u64) -> Vec<(i64, u64)> {
        let bytes = [master(ids::CUES, points), vec![0; 1000]].concat();
        let cues = Reader::new(&bytes).element(0).unwrap().unwrap();
        let cues = read(&bytes, &cues, 100, 1, apart).unwrap();
        cues.iter().map(|cue| (cue.ticks, cue.cluster)).collect()
    }

    #[test]
    fn cues_are_those_of_the_track_and_count_from_the_segment() {
        let points = [cue(0, 1, 0), cue(5, 2, 10), cue(40, 1, 50), cue(80, 1, 60), cue(120, 1, 90)];
        assert_eq!(of_track_1(&points, 0), [(0, 100), (40, 150), (80, 160), (120, 190)]);
        assert_eq!(of_track_1(&points, 40), [(0, 100), (40, 150), (120, 190)]);
    }

    #[test]
    fn cues_that_do_not_rise_are_of_no_use() {
        assert_eq!(of_track_1(&[cue(40, 1, 0), cue(0, 1, 50)], 0), []);
        assert_eq!(of_track_1(&[cue(0, 1, 50), cue(40, 1, 0)], 0), []);
        assert_eq!(of_track_1(&[cue(0, 1, 50), cue(40, 1, u64::MAX)], 0), [(0, 150)]);
    }
}
