//! The walk over the clusters: from block header to block header of one track; what the blocks hold is never read.
//! Steps over damage as ffmpeg does, at the next element of the Segment that can be recognised.
//!
//! ```text
//! Cluster        Timestamp, then SimpleBlocks and BlockGroups in decode order (RFC 9559 §5.1.3)
//!   SimpleBlock  track: vint | time: i16, from the cluster's | flags: key, lacing | (laces) | frames
//!   BlockGroup   Block: the same without the key flag; ReferenceBlock: it is no key; BlockDuration
//! ```

use super::beside::Beside;
use super::ebml::{Element, HEADER, Reader, size_of, vint};
use super::ids;
use crate::media::{Error, Source};
use std::ops::Range;

const KEY: u8 = 0x80;
const LACING: u8 = 0x06;
/// Bytes of rubbish that a walk steps over, all in all.
const MOST_DAMAGE: u64 = 1 << 30;

/// A value of this type is one frame of the track that is walked, in the Segment's ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub time: i64,
    /// The content of the SimpleBlock or Block: what ffprobe's `pos` points to. Frames of a lace share it.
    pub span: Range<u64>,
    pub key: bool,
    /// Where the cluster begins that holds it.
    pub cluster: u64,
    pub duration: Option<u64>,
    /// Before the Segment's zero: nothing of it is shown, and it is a key, at which a decoder may start.
    pub is_early: bool,
}

/// A value of this type is what the walk needs to know of its track.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    pub track: u64,
    /// CodecDelay in ticks: decoded before the time that the block bears.
    pub delay: i64,
    /// DefaultDuration and TimestampScale in nanoseconds: where the frames of a lace are.
    pub frame: u64,
    pub tick: u64,
    /// TrackTimestampScale: the time of a cluster counts in the Segment's ticks, all else of a block in the track's.
    pub track_scale: Option<f64>,
    /// A decoder may start at each frame.
    pub intra: bool,
}

#[derive(Clone, Copy)]
struct Cluster {
    start: u64,
    end: Option<u64>,
    time: u64,
}

/// A value of this type is a walk over clusters, from one element of the Segment on.
pub struct Walk<'a> {
    pub reader: Reader<'a>,
    wanted: Wanted,
    /// Other tracks, of which only the end is wanted.
    pub beside: Beside,
    at: u64,
    until: u64,
    segment_end: Option<u64>,
    cluster: Option<Cluster>,
    lace: Option<Lace>,
    /// How long a frame of the last lace is, of those that say nothing of it.
    lace_frame: Option<u64>,
    /// The look for the block after a lace that did not come to an end.
    ahead: Option<Ahead>,
    /// Where the child of a cluster begins that was read last.
    child: u64,
    /// Only the time of the next block is wanted.
    peeks: bool,
    /// More may come: what isn't whole is waited for, not stepped over.
    growing: bool,
    /// What comes next isn't whole.
    dry: bool,
    /// The next element of the Segment is looked for, from `at` on.
    lost: bool,
    /// Bytes of rubbish that were stepped over.
    damage: u64,
}

/// A value of this type is where a walk stands that can go on when its file has grown.
#[derive(Clone, Copy)]
pub struct Stand {
    at: u64,
    cluster: Option<Cluster>,
    lost: bool,
    lace_frame: Option<u64>,
    ahead: Option<Ahead>,
}

impl Stand {
    /// At the element of the Segment at that offset.
    pub fn at(offset: u64) -> Stand {
        Stand { at: offset, cluster: None, lost: false, lace_frame: None, ahead: None }
    }
}

/// A value of this type is how far a look for the block after a lace has come.
#[derive(Clone, Copy)]
struct Ahead {
    /// Where the lace's element begins.
    lace: u64,
    at: u64,
    cluster: Option<Cluster>,
    lost: bool,
}

struct Lace {
    block: Block,
    number: u64,
    count: u64,
    duration: u64,
}

impl<'a> Walk<'a> {
    /// A walk from the element of the Segment at `from`, up to the first one at or after `until`.
    pub fn new(
        source: &'a dyn Source,
        wanted: Wanted,
        from: u64,
        until: u64,
        segment_end: Option<u64>,
    ) -> Self {
        let reader = Reader::new(source);
        let until = until.min(reader.length());
        Self {
            reader,
            wanted,
            beside: Beside::default(),
            at: from,
            until,
            segment_end,
            cluster: None,
            lace: None,
            lace_frame: None,
            ahead: None,
            child: from,
            peeks: false,
            growing: false,
            dry: false,
            lost: false,
            damage: 0,
        }
    }

    /// A walk on through a file that grows: it ends before the first element that isn't all there.
    pub fn onward(
        source: &'a dyn Source,
        wanted: Wanted,
        from: Stand,
        segment_end: Option<u64>,
    ) -> Self {
        let Stand { at, cluster, lost, lace_frame, ahead } = from;
        let walk = Walk::new(source, wanted, at, u64::MAX, segment_end);
        Walk { cluster, lost, lace_frame, ahead, growing: true, ..walk }
    }

    /// Where it stands when it has no more frames, or failed: behind the last one that it gave.
    pub fn stand(&self) -> Stand {
        let Walk { at, cluster, lost, lace_frame, ahead, .. } = *self;
        Stand { at, cluster, lost, lace_frame, ahead }
    }

    /// The next frame of the track, in file order.
    pub fn block(&mut self) -> Result<Option<Block>, Error> {
        loop {
            if let Some(block) = self.laced() {
                return Ok(Some(block));
            }
            if self.dry {
                return Ok(None);
            }
            if self.lost {
                self.recover(self.at.saturating_sub(1))?;
            } else if let Some(cluster) = self.cluster {
                let at = self.at;
                match self.in_cluster(cluster) {
                    Ok(None) => {}
                    Ok(block) => return Ok(block),
                    Err(error) => {
                        if !self.lost {
                            (self.at, self.cluster) = (at, Some(cluster));
                        }
                        return Err(error);
                    }
                }
            } else if self.next_cluster()?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Steps to the next cluster without a look into this one: its offset and time. Where this one's size is
    /// not known, its children are hopped over.
    pub fn cluster(&mut self) -> Result<Option<(u64, u64)>, Error> {
        self.leave()?;
        let Some(start) = self.next_cluster()? else { return Ok(None) };
        // The time is the first child, but for a CRC-32.
        while let Some(cluster) = self.cluster {
            let Some(child) = self.reader.element(self.at)? else { break };
            if matches!(child.id, ids::SIMPLE_BLOCK | ids::BLOCK_GROUP) {
                break;
            }
            self.in_cluster(cluster)?;
            if child.id == ids::TIMESTAMP {
                break;
            }
        }
        Ok(Some((start, self.cluster.map_or(0, |cluster| cluster.time))))
    }

    /// Whether the cluster that was stepped to says where it ends.
    pub fn is_sized(&self) -> bool {
        self.cluster.is_none_or(|cluster| cluster.end.is_some())
    }

    /// The first whole element of that id in the Segment, over all clusters.
    pub fn find(&mut self, id: u32) -> Result<Option<Element>, Error> {
        loop {
            self.leave()?;
            match self.next(id)? {
                Some(Element { id: ids::CLUSTER, start, body, end }) => {
                    self.at = body;
                    self.cluster = Some(Cluster { start, end, time: 0 });
                }
                found => return Ok(found),
            }
        }
    }

    fn leave(&mut self) -> Result<(), Error> {
        while let Some(current) = self.cluster {
            match current.end {
                Some(end) => {
                    self.at = end;
                    self.cluster = None;
                }
                None => {
                    self.in_cluster(current)?;
                }
            }
        }
        Ok(())
    }

    /// Enters the next cluster at `self.at`, over all other elements of the Segment.
    fn next_cluster(&mut self) -> Result<Option<u64>, Error> {
        let Some(Element { start, body, end, .. }) = self.next(ids::CLUSTER)? else {
            return Ok(None);
        };
        self.at = body;
        self.cluster = Some(Cluster { start, end, time: 0 });
        Ok(Some(start))
    }

    /// Goes to the next cluster or element of that id.
    fn next(&mut self, id: u32) -> Result<Option<Element>, Error> {
        loop {
            if self.at >= self.until {
                self.dry = self.growing;
                return Ok(None);
            }
            let element = self.reader.element(self.at)?;
            if self.is_coming(element.as_ref().filter(|element| element.id != ids::CLUSTER)) {
                return Ok(None);
            }
            let past_segment = self.segment_end.is_some_and(|end| self.at >= end);
            match element {
                Some(element) if element.id == ids::CLUSTER || element.id == id => {
                    return Ok(Some(element));
                }
                // Another file begins: its times are its own.
                Some(element) if ids::is_level_0(element.id) => return Ok(None),
                Some(element) if !past_segment || ids::is_level_1(element.id) => {
                    match element.end {
                        Some(end) if end <= self.reader.length() => self.at = end,
                        _ => self.recover(element.start)?,
                    }
                }
                _ if past_segment => return Ok(None),
                _ => self.recover(self.at)?,
            }
        }
    }

    /// One child of the cluster: a frame where it is a block of the track with a time.
    fn in_cluster(&mut self, cluster: Cluster) -> Result<Option<Block>, Error> {
        let length = self.reader.length();
        let is_over = cluster.end.is_some_and(|end| self.at >= end);
        self.dry = self.growing && !is_over && self.at >= length;
        if self.dry {
            return Ok(None);
        }
        if is_over || self.at >= length {
            self.cluster = None;
            return Ok(None);
        }
        let child = match self.reader.element(self.at)? {
            Some(child) if ids::is_level_1(child.id) || ids::is_level_0(child.id) => {
                self.cluster = None;
                return Ok(None);
            }
            child => child,
        };
        let inside = |child: &Element| child.end <= cluster.end || cluster.end.is_none();
        if child.as_ref().is_none_or(inside) && self.is_coming(child.as_ref()) {
            return Ok(None);
        }
        let whole = child.and_then(|child| {
            let end = child.end.filter(|&end| end <= cluster.end.unwrap_or(length).min(length))?;
            Some((child, end))
        });
        let Some((child, end)) = whole else {
            self.cluster = None;
            self.recover(self.at)?;
            return Ok(None);
        };
        (self.at, self.child) = (end, child.start);
        match child.id {
            ids::TIMESTAMP => {
                let time = self.reader.unsigned(&child, 0)?;
                self.cluster = Some(Cluster { time, ..cluster });
                Ok(None)
            }
            ids::SIMPLE_BLOCK => self.frame(&child, cluster, None, None),
            ids::BLOCK_GROUP => self.group(&child, cluster),
            _ => Ok(None),
        }
    }

    /// Whether the element that the walk stands before isn't all there and may come.
    fn is_coming(&mut self, element: Option<&Element>) -> bool {
        let length = self.reader.length();
        let left = length.saturating_sub(self.at);
        let is_short = match element {
            Some(element) => element.end.is_some_and(|end| end > length),
            None => left < HEADER as u64,
        };
        self.dry = self.growing && is_short;
        self.dry
    }

    fn group(&mut self, group: &Element, cluster: Cluster) -> Result<Option<Block>, Error> {
        let (mut at, end) = (group.body, group.end.unwrap_or(group.body));
        let (mut block, mut duration, mut key) = (None, None, true);
        while let Some(child) = self.reader.child(&mut at, Some(end))? {
            match child.id {
                ids::BLOCK => {
                    if !self.is_followed(&child)? {
                        return Ok(None);
                    }
                    block = Some(child);
                }
                ids::BLOCK_DURATION => duration = Some(self.reader.unsigned(&child, 0)?),
                ids::REFERENCE_BLOCK => key = false,
                _ => {}
            }
        }
        if at < end {
            // A child leaves the group: the writer was cut off here, or the bytes are not what they were.
            self.cluster = None;
            self.recover(at)?;
            return Ok(None);
        }
        match block {
            Some(block) => self.frame(&block, cluster, duration, Some(key)),
            None => Ok(None),
        }
    }

    fn is_followed(&mut self, block: &Element) -> Result<bool, Error> {
        let head = self.reader.bytes(block.body, size_of(block).min(8) as usize)?;
        let track = vint(head).and_then(|(number, _)| number);
        Ok(track.is_some_and(|track| track == self.wanted.track || self.beside.has(track)))
    }

    fn frame(
        &mut self,
        block: &Element,
        cluster: Cluster,
        duration: Option<u64>,
        key: Option<bool>,
    ) -> Result<Option<Block>, Error> {
        let size = size_of(block);
        let head = self.reader.bytes(block.body, size.min(16) as usize)?;
        let Some((Some(track), skip)) = vint(head) else { return Ok(None) };
        if track != self.wanted.track && !self.beside.has(track) {
            return Ok(None);
        }
        let Some(&[high, low, flags]) = head.get(skip..skip + 3) else { return Ok(None) };
        let offset = i64::from(i16::from_be_bytes([high, low]));
        let begun = i64::try_from(cluster.time).ok();
        let time = begun.and_then(|time| time.checked_add(offset));
        // Before the Segment's zero nothing is shown (but for what CodecDelay takes off).
        let is_early = time.is_some_and(|time| time < 0);
        let duration = duration.filter(|&duration| duration > 0);
        if track != self.wanted.track {
            if let Some(time) = time.filter(|_| !is_early) {
                self.beside.take(track, time, duration, flags & LACING != 0);
            }
            return Ok(None);
        }
        let time = time.and_then(|time| {
            let time = match self.wanted.track_scale {
                Some(scale) => ((begun? as f64 / scale) as i64).checked_add(offset)?,
                None => time,
            };
            let time = time.checked_sub(self.wanted.delay)?;
            time.checked_mul(i64::try_from(self.wanted.tick).ok()?)?;
            Some(time)
        });
        let (Some(time), Some(end)) = (time, block.end) else { return Ok(None) };
        let found = Block {
            time,
            span: block.body..end,
            key: self.wanted.intra || key.unwrap_or(flags & KEY != 0),
            cluster: cluster.start,
            duration,
            is_early,
        };
        if is_early {
            return Ok(Some(found).filter(|found| found.key && !self.peeks));
        }
        if flags & LACING == 0 || self.peeks {
            return Ok(Some(found));
        }
        let Some(count) = self.laces(block.body + skip as u64 + 3, end, flags & LACING)? else {
            return Ok(None);
        };
        let whole = found.duration.or_else(|| {
            (self.wanted.frame.checked_mul(count)?.checked_div(self.wanted.tick))
                .filter(|&duration| duration > 0)
        });
        let whole = match whole {
            None if count > 1 => self.reaches(time, count)?,
            whole => whole,
        };
        if self.dry {
            return Ok(None);
        }
        if let Some(duration) = whole.filter(|&duration| duration >= count && duration < 1 << 48) {
            self.lace = Some(Lace { block: found.clone(), number: 1, count, duration });
        }
        Ok(Some(found))
    }

    /// How long a lace is of which nothing says it: up to the next block of its track, and the last one as long as the
    /// frames before it were.
    fn reaches(&mut self, time: i64, count: u64) -> Result<Option<u64>, Error> {
        let here = (self.at, self.cluster, self.damage, self.beside);
        let start = self.child;
        if let Some(ahead) = self.ahead.take().filter(|ahead| ahead.lace == start) {
            (self.at, self.cluster, self.lost) = (ahead.at, ahead.cluster, ahead.lost);
        }
        self.peeks = true;
        let next = self.block();
        self.peeks = false;
        if self.dry || next.is_err() {
            let Walk { at, cluster, lost, .. } = *self;
            self.ahead = Some(Ahead { lace: start, at, cluster, lost });
        }
        if self.dry {
            // It may still come: the lace is taken then.
            (self.at, self.cluster, self.lost) = (start, here.1, false);
            return Ok(None);
        }
        (self.at, self.cluster, self.damage, self.beside) = here;
        self.lost = false;
        let gap = next?.map(|next| next.time.saturating_sub(time));
        let each = gap.map(|gap| u64::try_from(gap).unwrap_or(0) / count);
        // No frame is so much longer than the one before: something is missing here.
        let is_hole =
            |each: &u64| self.lace_frame.is_some_and(|frame| *each > frame.saturating_mul(8));
        self.lace_frame = match each.filter(|each| !is_hole(each)) {
            Some(each) => Some(each).filter(|&each| each > 0),
            None => self.lace_frame,
        };
        Ok(self.lace_frame.and_then(|each| each.checked_mul(count)))
    }

    /// How many frames a lace holds, where their sizes fit into the block (RFC 9559 §10.3).
    fn laces(&mut self, at: u64, end: u64, lacing: u8) -> Result<Option<u64>, Error> {
        let bytes = self.reader.bytes(at, (end - at).min(4096) as usize)?;
        let Some((&more, mut sizes)) = bytes.split_first() else { return Ok(None) };
        let left = end - at - 1;
        let fits = match lacing {
            0x02 => xiph(&mut sizes, more).is_some_and(|sum| sum <= left),
            0x04 => left.is_multiple_of(u64::from(more) + 1),
            _ => ebml(&mut sizes, more).is_some_and(|sum| sum <= left),
        };
        Ok(fits.then_some(u64::from(more) + 1))
    }

    fn laced(&mut self) -> Option<Block> {
        let lace = self.lace.as_mut()?;
        if lace.number >= lace.count {
            self.lace = None;
            return None;
        }
        let after = lace.duration * lace.number / lace.count;
        lace.number += 1;
        let time = lace.block.time.checked_add(after as i64)?;
        // A key is the first frame of its block; of sound each is one.
        Some(Block { time, key: self.wanted.intra, ..lace.block.clone() })
    }

    /// Goes on at the next element of the Segment that can be recognised after the damage at `from`. Holes are left
    /// out, and zeros passed over, which are what a download or a recorder has not filled yet.
    fn recover(&mut self, from: u64) -> Result<(), Error> {
        let mut at = from.saturating_add(1);
        let mut block = Vec::new();
        while at < self.until {
            // Whoever is interrupted goes on from here.
            (self.at, self.lost) = (at, true);
            let bytes = self.reader.block(&mut block, at)?;
            let next = at + (bytes.len() as u64).saturating_sub(3);
            if next <= at {
                break;
            }
            if are_zeros(bytes) {
                at = self.reader.stored_from(next);
                continue;
            }
            if let Some(skip) = position_of_level_1(bytes) {
                (self.at, self.lost) = (at + skip as u64, false);
                return Ok(());
            }
            self.damage = self.damage.saturating_add(next - at);
            if self.damage > MOST_DAMAGE {
                return Err(Error::broken(from, "up to here, a GiB is no Matroska"));
            }
            at = next;
        }
        if self.growing {
            (self.at, self.lost, self.dry) = (at.min(self.until), true, true);
            return Ok(());
        }
        (self.at, self.lost) = (self.until, false);
        Ok(())
    }
}

/// Whether all of these bytes are zeros, told many at a time.
fn are_zeros(bytes: &[u8]) -> bool {
    bytes.chunks(1024).all(|some| some.iter().fold(0, |sum, byte| sum | byte) == 0)
}

/// Where the id of an element of the Segment stands in these bytes.
fn position_of_level_1(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        from += rest.iter().position(|byte| byte & 0xF0 == 0x10)?;
        let four = bytes.get(from..)?.first_chunk()?;
        if ids::is_level_1(u32::from_be_bytes(*four)) {
            return Some(from);
        }
        from += 1;
    }
}

fn xiph(bytes: &mut &[u8], sizes: u8) -> Option<u64> {
    let mut sum = 0_u64;
    for _ in 0..sizes {
        loop {
            let (&byte, rest) = bytes.split_first()?;
            *bytes = rest;
            sum += u64::from(byte);
            if byte != 255 {
                break;
            }
        }
    }
    Some(sum)
}

/// The first size as it is, the others as differences, all of them vints (RFC 9559 §10.3.3).
fn ebml(bytes: &mut &[u8], sizes: u8) -> Option<u64> {
    let (mut sum, mut size) = (0_u64, 0_i64);
    for number in 0..sizes {
        let (value, length) = vint(bytes)?;
        *bytes = bytes.get(length..)?;
        let value = i64::try_from(value?).ok()?;
        let middle = (1_i64 << (7 * length - 1)) - 1;
        size = if number == 0 { value } else { size.checked_add(value - middle)? };
        sum = sum.checked_add(u64::try_from(size).ok()?)?;
    }
    Some(sum)
}
