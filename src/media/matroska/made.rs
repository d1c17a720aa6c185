//! Elements and films made by hand, for the tests.

use super::ids;
use crate::media::Source;
use std::io;

/// A value of this type is a file in memory that may claim another length than it has.
pub struct Bytes {
    pub bytes: Vec<u8>,
    pub length: u64,
}

impl Bytes {
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), length: bytes.len() as u64 }
    }
}

impl Source for Bytes {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.bytes.read_at(buffer, offset)
    }
}

fn id_bytes(id: u32) -> Vec<u8> {
    id.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect()
}

pub fn element(id: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = id_bytes(id);
    bytes.extend((0x0100_0000_0000_0000 | content.len() as u64).to_be_bytes());
    bytes.extend(content);
    bytes
}

pub fn master(id: u32, children: &[Vec<u8>]) -> Vec<u8> {
    element(id, &children.concat())
}

/// A master element of unknown size.
pub fn unknown(id: u32, children: &[Vec<u8>]) -> Vec<u8> {
    [id_bytes(id), vec![0xFF], children.concat()].concat()
}

pub fn number(id: u32, value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

pub fn block_content(track: u8, time: i16, flags: u8, payload: &[u8]) -> Vec<u8> {
    [&[0x80 | track], &time.to_be_bytes()[..], &[flags], payload].concat()
}

pub fn simple(track: u8, time: i16, is_key: bool) -> Vec<u8> {
    let flags = if is_key { 0x80 } else { 0 };
    element(ids::SIMPLE_BLOCK, &block_content(track, time, flags, b"frame"))
}

/// A BlockGroup; `reference` makes it no key.
pub fn group(track: u8, time: i16, reference: bool, duration: Option<u64>) -> Vec<u8> {
    let mut parts = vec![element(ids::BLOCK, &block_content(track, time, 0, b"frame"))];
    parts.extend(duration.map(|duration| number(ids::BLOCK_DURATION, duration)));
    if reference {
        parts.push(number(ids::REFERENCE_BLOCK, 40));
    }
    master(ids::BLOCK_GROUP, &parts)
}

pub fn cluster(time: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
    master(ids::CLUSTER, &[vec![number(ids::TIMESTAMP, time)], blocks.to_vec()].concat())
}

pub fn header(doc_type: &str) -> Vec<u8> {
    master(ids::EBML, &[element(ids::DOC_TYPE, doc_type.as_bytes())])
}

pub fn file(children: &[Vec<u8>]) -> Vec<u8> {
    [header("matroska"), master(ids::SEGMENT, children)].concat()
}

pub fn info(tick: u64, duration: Option<f64>) -> Vec<u8> {
    let mut parts = vec![number(ids::TIMESTAMP_SCALE, tick)];
    parts.extend(duration.map(|ticks| element(ids::DURATION, &ticks.to_be_bytes())));
    master(ids::INFO, &parts)
}

pub fn entry(track: u64, kind: u64, codec: &str, more: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = vec![
        number(ids::TRACK_NUMBER, track),
        number(ids::TRACK_UID, 100 + track),
        number(ids::TRACK_TYPE, kind),
        element(ids::CODEC_ID, codec.as_bytes()),
    ];
    parts.extend(more.iter().cloned());
    master(ids::TRACK_ENTRY, &parts)
}

/// Tracks with one video track of 25 frames a second.
pub fn tracks() -> Vec<u8> {
    let rate = number(ids::DEFAULT_DURATION, 40_000_000);
    master(ids::TRACKS, &[entry(1, 1, "V_VP8", &[rate])])
}

pub fn cue(time: u64, track: u64, position: u64) -> Vec<u8> {
    let parts = [number(ids::CUE_TRACK, track), number(ids::CUE_CLUSTER_POSITION, position)];
    let positions = master(ids::CUE_TRACK_POSITIONS, &parts);
    master(ids::CUE_POINT, &[number(ids::CUE_TIME, time), positions])
}

pub fn tag(uid: Option<u64>, name: &str, text: &str) -> Vec<u8> {
    let target = uid.map(|uid| number(ids::TAG_TRACK_UID, uid)).unwrap_or_default();
    let simple =
        [element(ids::TAG_NAME, name.as_bytes()), element(ids::TAG_STRING, text.as_bytes())];
    master(ids::TAG, &[element(ids::TARGETS, &target), master(ids::SIMPLE_TAG, &simple)])
}

/// A value of this type says how a film of 25 frames a second with B-frames, open groups and sound is written.
#[derive(Clone, Debug)]
pub struct Film {
    pub groups: u64,
    /// Pictures a group, a multiple of four.
    pub pictures: u64,
    /// Pictures a cluster, in decode order; none: one a group.
    pub cluster: Option<usize>,
    pub is_sized: bool,
    pub has_cues: bool,
    /// What the cues say is that much late, or lies that far behind.
    pub cue_lie: (u64, u64),
    /// A picture that is not there.
    pub dropped: Option<u64>,
    /// A picture that is shown so many milliseconds late.
    pub moved: Option<(u64, i64)>,
    /// Only so many groups begin with a key frame.
    pub keys: Option<u64>,
}

impl Default for Film {
    fn default() -> Self {
        Self {
            groups: 40,
            pictures: 12,
            cluster: None,
            is_sized: true,
            has_cues: true,
            cue_lie: (0, 0),
            dropped: None,
            moved: None,
            keys: None,
        }
    }
}

impl Film {
    /// Decode order: I0 P4 B1 B2 B3 ... and from the second group on, the last B-frames of a group come after
    /// the next one's I-frame.
    pub fn pictures(&self) -> Vec<(u64, bool)> {
        let mut pictures = vec![(0, true)];
        for anchor in (4..=self.groups * self.pictures).step_by(4) {
            let keys = self.keys.unwrap_or(u64::MAX);
            let is_key = anchor % self.pictures == 0 && anchor / self.pictures < keys;
            pictures.push((anchor, is_key));
            pictures.extend((anchor - 3..anchor).map(|picture| (picture, false)));
        }
        pictures.retain(|&(picture, _)| Some(picture) != self.dropped);
        pictures
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut clusters: Vec<(u64, bool, Vec<Vec<u8>>)> = Vec::new();
        for (picture, is_key) in self.pictures() {
            let time = picture * 40;
            let is_next = match (self.cluster, clusters.last()) {
                (_, None) => true,
                (None, _) => is_key,
                (Some(pictures), Some(last)) => last.2.len() >= 2 * pictures,
            };
            if is_next {
                clusters.push((time, is_key, Vec::new()));
            }
            let (start, _, blocks) = clusters.last_mut().unwrap();
            let moved = self.moved.filter(|moved| moved.0 == picture).map_or(0, |moved| moved.1);
            let time = (time as i64 - *start as i64 + moved) as i16;
            blocks.push(simple(1, time, is_key));
            blocks.push(simple(2, time, true));
        }
        let [rate, block] = [40_000_000, 20_000_000].map(|n| number(ids::DEFAULT_DURATION, n));
        let tracks = master(
            ids::TRACKS,
            &[entry(1, 1, "V_MPEG4/ISO/AVC", &[rate]), entry(2, 2, "A_OPUS", &[block])],
        );
        let mut parts = vec![info(1_000_000, None), tracks];
        // The Cues stand before the clusters and are as long whatever they say.
        let cues = |from: u64| {
            let mut at = from;
            let mut points = Vec::new();
            for (time, is_key, blocks) in &clusters {
                if *is_key {
                    points.push(cue(time + self.cue_lie.0, 1, at + self.cue_lie.1));
                }
                at += self.written(*time, blocks).len() as u64;
            }
            master(ids::CUES, &points)
        };
        if self.has_cues {
            let before = parts.concat().len() as u64;
            parts.push(cues(before + cues(0).len() as u64));
        }
        parts.extend(clusters.iter().map(|(time, _, blocks)| self.written(*time, blocks)));
        file(&parts)
    }

    fn written(&self, time: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
        match self.is_sized {
            true => cluster(time, blocks),
            false => unknown(
                ids::CLUSTER,
                &[vec![number(ids::TIMESTAMP, time)], blocks.to_vec()].concat(),
            ),
        }
    }
}
