//! Films of many gigabytes for tests: a few groups of pictures over and over, their stamps set when they are read.

use super::pes::HERTZ;
use super::testing::{Mux, PICTURES, SOUND, header, picture};
use crate::media::Source;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const FRAME: i64 = HERTZ as i64 / 25;
/// Frames shown after the first sync sample that are decoded before it is shown, and those shown before it.
const DEEP: i64 = 5;
const LEADING: i64 = 3;
/// When the first sync sample is shown.
const FIRST: i64 = 900_000;

/// What a film is like.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub stride: usize,
    /// Bits of pictures a second, on the whole.
    pub rate: u64,
    /// Pictures of a group, a multiple of four.
    pub group: usize,
    /// Scenes take from a third to three times as many bytes.
    pub varies: bool,
    pub sounds: u16,
    /// The tables name private data too, which never come.
    pub private: bool,
}

/// A value of this type is one group of pictures: I0 B-2 b-3 b-1 P4 B2 b1 b3 P8 .. (an open group, a pyramid).
struct Group {
    bytes: Vec<u8>,
    /// Where stamps stand, how they are marked, and what they are, from the group's first sync sample on.
    stamps: Vec<(usize, i64, Option<i64>)>,
    /// Of each picture, when it is shown and where it lies.
    pictures: Vec<(i64, Range<u64>)>,
}

impl Group {
    fn new(kind: Kind, scale: f64) -> Group {
        let mut mux = Mux::new(kind.stride);
        let sounds: Vec<u16> = (0..kind.sounds).map(|k| SOUND + k).collect();
        let streams = sounds.iter().map(|&pid| (0x0f, pid, &[][..]));
        let streams = [(0x1b, PICTURES, &[][..])].into_iter().chain(streams);
        let private = kind.private.then_some((0x06, SOUND + kind.sounds, &[][..]));
        let streams: Vec<_> = streams.chain(private).collect();
        mux.tables(&streams);
        let mean = kind.rate as f64 / 8.0 / 25.0 * scale;
        let (mut stamps, mut pictures) = (Vec::new(), Vec::new());
        for order in 0..kind.group as i64 {
            let (shown, share) = match order % 4 {
                0 if order == 0 => (0, 6.0),
                0 => (order, 2.0),
                1 => (order - 3, 0.8),
                2 => (order - 5, 0.5),
                _ => (order - 4, 0.5),
            };
            let size = (mean * share / (0.95 + 5.0 / kind.group as f64)) as usize;
            let (shown, decoded) = (shown * FRAME, (order - DEEP) * FRAME);
            let dts = (shown != decoded).then_some(decoded);
            let span = mux.pes(PICTURES, Some(0), dts, &picture(order == 0, size));
            let place =
                span.start as usize + kind.stride - 184 - if kind.stride == 204 { 16 } else { 0 };
            stamps.push((place + 9, shown, dts));
            pictures.push((shown, span));
            for &pid in &sounds {
                let at = mux.at() as usize;
                let frame =
                    [&[0xff, 0xf1, 0x50, 0x80, 0x01, 0x7f, 0xfc, 0, 0, 0, 0][..]; 9].concat();
                mux.pes(pid, Some(0), None, &frame);
                let begin =
                    mux.bytes[at..].windows(3).position(|bytes| bytes == [0, 0, 1]).unwrap();
                stamps.push((at + begin + 9, decoded + DEEP * FRAME, None));
            }
        }
        Group { bytes: mux.bytes, stamps, pictures }
    }
}

/// A value of this type is such a film. Counts the bytes that were read.
pub struct Reel {
    kind: Kind,
    groups: Vec<Group>,
    /// Which group comes when, and where it starts; and the end.
    order: Vec<usize>,
    starts: Vec<u64>,
    pub read: AtomicU64,
}

impl Reel {
    /// A film of about so many bytes.
    pub fn new(kind: Kind, length: u64) -> Reel {
        let scales: &[f64] = if kind.varies { &[0.35, 0.6, 1.0, 1.7, 2.9] } else { &[1.0] };
        let groups: Vec<Group> = scales.iter().map(|&scale| Group::new(kind, scale)).collect();
        let (mut order, mut starts, mut at, mut scene) = (Vec::new(), vec![0], 0, 1u64);
        while at < length {
            // Scenes of up to ninety groups.
            scene = scene
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let which = (scene >> 33) as usize % groups.len();
            for _ in 0..1 + (scene >> 50) % 90 {
                order.push(which);
                at += groups[which].bytes.len() as u64;
                starts.push(at);
            }
        }
        Reel { kind, groups, order, starts, read: AtomicU64::new(0) }
    }

    /// Frames from the first sync sample on.
    pub fn frames(&self) -> i64 {
        (self.order.len() * self.kind.group) as i64 - LEADING
    }

    /// From time zero to the frame of that number, counted from the first sync sample on.
    pub fn time(&self, frame: i64) -> i64 {
        (frame + LEADING) * FRAME
    }

    /// That frame's number in the film.
    pub fn number(&self, frame: i64) -> u64 {
        (frame + LEADING) as u64
    }

    /// Where that frame lies, and its sync sample.
    pub fn places(&self, frame: i64) -> (Range<u64>, Range<u64>) {
        let count = self.kind.group as i64;
        let (group, inside) = (frame / count, frame % count);
        // The last ones of a group are decoded after the next one's first.
        let (from, shown) =
            if inside >= count - LEADING { (group + 1, inside - count) } else { (group, inside) };
        let place = |group: i64, shown: i64| {
            let at = self.starts[group as usize];
            let pictures = &self.groups[self.order[group as usize]].pictures;
            let (_, span) = pictures.iter().find(|(time, _)| *time == shown * FRAME).unwrap();
            at + span.start..at + span.end
        };
        (place(from, shown), place(group, 0))
    }
}

impl Source for Reel {
    fn length(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = (self.length().saturating_sub(offset)).min(buffer.len() as u64) as usize;
        self.read.fetch_add(count as u64, Relaxed);
        let mut at = 0;
        while at < count {
            let group = self.starts.partition_point(|&start| start <= offset + at as u64) - 1;
            let inside = (offset + at as u64 - self.starts[group]) as usize;
            let Group { bytes, stamps, .. } = &self.groups[self.order[group]];
            let part = (count - at).min(bytes.len() - inside);
            buffer[at..at + part].copy_from_slice(&bytes[inside..inside + part]);
            let begun = FIRST + group as i64 * self.kind.group as i64 * FRAME;
            let first = stamps.partition_point(|stamp| stamp.0 + 10 <= inside);
            for &(place, shown, decoded) in &stamps[first..] {
                if place >= inside + part {
                    break;
                }
                let decoded = decoded.map(|decoded| begun + decoded);
                for (k, byte) in header(0, Some(begun + shown), decoded)[9..].iter().enumerate() {
                    if (inside..inside + part).contains(&(place + k)) {
                        buffer[at + place + k - inside] = *byte;
                    }
                }
            }
            at += part;
        }
        Ok(count)
    }
}
