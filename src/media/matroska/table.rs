//! Frames in presentation order, packed: some six bytes each, found by time or by number in about a microsecond.
//! Knows no file and no container; [`super::blocks`] finds the frames, this remembers them.
//!
//! ```text
//! heads   one a page of 64 frames: time of the first, where its bytes begin, the last key before it
//! bytes   a frame: time - time before | place - end of the one before | length, key? | key: place - cluster
//!         all of them variable-length numbers, the first two signed (B-frames lie out of order)
//! ```

use super::blocks::Block;
use crate::media::Error;
use std::ops::Range;

/// Frames a page: what a lookup unpacks.
const PAGE: usize = 64;
/// Frames kept back until no later block can precede them; a film's reordering is 16 at the most.
const HELD: usize = 1024;
/// What the largest table may take: films of a hundred hours fit.
const MOST_BYTES: usize = 32 << 20;
/// Frames that are sorted in memory, where blocks lie in no order at all.
pub const MOST_UNSORTED: usize = 1 << 20;

/// A value of this type is one frame in the table: its time in the file's ticks, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub time: i64,
    pub span: Range<u64>,
    pub key: bool,
    /// Where the cluster begins that holds it; kept for key frames only, zero for others.
    pub cluster: u64,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    time: i64,
    from: u32,
    /// One more than the number of the last key frame before this page; zero where there is none.
    key: u32,
}

/// A value of this type is a run of frames in presentation order.
#[derive(Debug, Default)]
pub struct Table {
    heads: Box<[Head]>,
    bytes: Box<[u8]>,
    count: usize,
    keys: usize,
}

impl Table {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn keys(&self) -> usize {
        self.keys
    }

    pub fn weight(&self) -> usize {
        self.bytes.len() + self.heads.len() * size_of::<Head>()
    }

    /// How many frames are shown before `time`.
    pub fn before(&self, time: i64) -> usize {
        time.checked_sub(1).map_or(0, |time| self.up_to(time))
    }

    /// How many frames are shown at or before `time`.
    pub fn up_to(&self, time: i64) -> usize {
        let page = self.heads.partition_point(|head| head.time <= time);
        let Some(page) = page.checked_sub(1) else { return 0 };
        page * PAGE + self.page(page).take_while(|frame| frame.time <= time).count()
    }

    pub fn nth(&self, number: usize) -> Option<Frame> {
        self.page(number / PAGE).nth(number % PAGE)
    }

    pub fn last(&self) -> Option<Frame> {
        self.nth(self.count.checked_sub(1)?)
    }

    /// The last key frame among the first `count` frames.
    pub fn key_before(&self, count: usize) -> Option<Frame> {
        let last = count.min(self.count).checked_sub(1)?;
        let inside = self.page(last / PAGE).take(last % PAGE + 1).filter(|frame| frame.key).last();
        match inside {
            Some(frame) => Some(frame),
            None => self.nth((self.heads.get(last / PAGE)?.key as usize).checked_sub(1)?),
        }
    }

    /// The frames from `number` on, in presentation order.
    pub fn from(&self, number: usize) -> impl Iterator<Item = Frame> + '_ {
        (number / PAGE..self.heads.len()).flat_map(|page| self.page(page)).skip(number % PAGE)
    }

    /// The key frames from `number` on; pages without one are passed over unread.
    pub fn keys_from(&self, number: usize) -> impl Iterator<Item = Frame> + '_ {
        let first = number / PAGE;
        let keyed = move |page: &usize| {
            let after = self.heads.get(page + 1).map_or(u32::MAX, |head| head.key);
            self.heads.get(*page).is_some_and(|head| head.key != after)
        };
        (first..self.heads.len())
            .filter(keyed)
            .flat_map(move |page| {
                self.page(page).skip(if page == first { number % PAGE } else { 0 })
            })
            .filter(|frame| frame.key)
    }

    fn page(&self, page: usize) -> Page<'_> {
        let Some(head) = self.heads.get(page) else { return Page::default() };
        let bytes = self.bytes.get(head.from as usize..).unwrap_or_default();
        let left = (self.count - page * PAGE).min(PAGE);
        Page { bytes, left, time: head.time, end: 0 }
    }
}

/// A value of this type unpacks the frames of one page.
#[derive(Default)]
struct Page<'a> {
    bytes: &'a [u8],
    left: usize,
    time: i64,
    end: u64,
}

impl Iterator for Page<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        self.left = self.left.checked_sub(1)?;
        self.time = self.time.wrapping_add(signed(take(&mut self.bytes)?));
        let start = self.end.wrapping_add_signed(signed(take(&mut self.bytes)?));
        let length = take(&mut self.bytes)?;
        let key = length & 1 == 1;
        let cluster = if key { start.wrapping_sub(take(&mut self.bytes)?) } else { 0 };
        self.end = start.wrapping_add(length >> 1);
        Some(Frame { time: self.time, span: start..self.end, key, cluster })
    }
}

/// A value of this type takes frames in file order and packs them in presentation order.
pub struct Builder {
    heads: Vec<Head>,
    bytes: Vec<u8>,
    count: usize,
    keys: usize,
    last_key: u32,
    /// In presentation order; blocks of the same time in file order.
    held: Vec<Frame>,
    hold: usize,
    packed_to: i64,
    end: u64,
    time: i64,
}

/// A value of this type says that a frame came too late: it is shown before others that are packed.
#[derive(Debug, PartialEq, Eq)]
pub struct OutOfOrder;

impl Default for Builder {
    fn default() -> Self {
        Self::holding(HELD)
    }
}

impl Builder {
    /// Keeps `hold` frames back, that they may be sorted.
    pub fn holding(hold: usize) -> Self {
        Self {
            heads: Vec::new(),
            bytes: Vec::new(),
            count: 0,
            keys: 0,
            last_key: 0,
            held: Vec::new(),
            hold: hold.max(2),
            packed_to: i64::MIN,
            end: 0,
            time: 0,
        }
    }

    pub fn push(&mut self, block: &Block) -> Result<Result<(), OutOfOrder>, Error> {
        if block.time < self.packed_to {
            return Ok(Err(OutOfOrder));
        }
        if self.held.len() >= self.hold {
            self.pack(self.hold / 2)?;
            if block.time < self.packed_to {
                return Ok(Err(OutOfOrder));
            }
        }
        let cluster = if block.key { block.cluster } else { 0 };
        self.held.push(Frame {
            time: block.time,
            span: block.span.clone(),
            key: block.key,
            cluster,
        });
        Ok(Ok(()))
    }

    pub fn finish(mut self) -> Result<Table, Error> {
        self.pack(self.held.len())?;
        let Self { heads, bytes, count, keys, .. } = self;
        Ok(Table {
            heads: heads.into_boxed_slice(),
            bytes: bytes.into_boxed_slice(),
            count,
            keys,
        })
    }

    fn pack(&mut self, count: usize) -> Result<(), Error> {
        // Stable, and quick on what is nearly in order.
        self.held.sort_by_key(|frame| frame.time);
        let mut held = std::mem::take(&mut self.held);
        for frame in held.drain(..count) {
            self.pack_one(&frame)?;
        }
        self.held = held;
        Ok(())
    }

    fn pack_one(&mut self, frame: &Frame) -> Result<(), Error> {
        if self.bytes.len() > MOST_BYTES {
            let what = "more blocks than an index of this size can hold";
            return Err(Error::broken(frame.span.start, what));
        }
        if self.count.is_multiple_of(PAGE) {
            self.time = frame.time;
            self.end = 0;
            let from = self.bytes.len() as u32;
            self.heads.push(Head { time: frame.time, from, key: self.last_key });
        }
        put(&mut self.bytes, folded(frame.time.wrapping_sub(self.time)));
        put(&mut self.bytes, folded(frame.span.start.wrapping_sub(self.end) as i64));
        let length = frame.span.end - frame.span.start;
        put(&mut self.bytes, length << 1 | u64::from(frame.key));
        if frame.key {
            put(&mut self.bytes, frame.span.start.wrapping_sub(frame.cluster));
            self.last_key = self.count as u32 + 1;
            self.keys += 1;
        }
        self.time = frame.time;
        self.packed_to = frame.time;
        self.end = frame.span.end;
        self.count += 1;
        Ok(())
    }
}

fn folded(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn signed(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
        shift = (shift + 7) & 63;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(time: i64, start: u64, key: bool) -> Block {
        Block { time, span: start..start + 10, key, cluster: start & !0xFFF, duration: None }
    }

    fn table(blocks: &[Block]) -> Table {
        let mut builder = Builder::default();
        for block in blocks {
            builder.push(block).unwrap().unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn numbers_survive_being_folded() {
        for value in [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put(&mut bytes, folded(value));
            assert_eq!(take(&mut &bytes[..]).map(signed), Some(value));
        }
    }

    #[test]
    fn b_frames_are_counted_in_presentation_order() {
        let times = [0, 120, 40, 80, 240, 160, 200];
        let blocks: Vec<_> =
            times.iter().zip(0..).map(|(&time, i)| block(time, i * 100, i == 0)).collect();
        let table = table(&blocks);
        assert_eq!(table.up_to(79), 2);
        assert_eq!(table.nth(1).unwrap().span, 200..210);
        assert_eq!(table.nth(3).unwrap().span, 100..110);
        assert_eq!(table.key_before(7).unwrap().time, 0);
        assert_eq!(table.last().unwrap().time, 240);
    }

    #[test]
    fn a_frame_that_comes_too_late_is_told() {
        let mut builder = Builder::holding(4);
        for time in [10, 20, 30, 40, 50] {
            builder.push(&block(time, 0, false)).unwrap().unwrap();
        }
        assert_eq!(builder.push(&block(5, 0, false)).unwrap(), Err(OutOfOrder));
    }

    proptest! {
        #[test]
        fn a_table_answers_as_a_sorted_list_does(
            frames in prop::collection::vec((-50_i64..3000, 0_u64..1 << 40, prop::bool::weighted(0.05)), 0..400),
            asked in -60_i64..3100,
        ) {
            let blocks: Vec<_> = frames.iter().map(|&(t, at, key)| block(t, at, key)).collect();
            let table = table(&blocks);
            let mut sorted = blocks.clone();
            sorted.sort_by_key(|block| block.time);
            prop_assert_eq!(table.len(), sorted.len());
            let count = sorted.iter().filter(|block| block.time <= asked).count();
            prop_assert_eq!(table.up_to(asked), count);
            prop_assert_eq!(table.before(asked + 1), count);
            let key = sorted[..count].iter().rfind(|block| block.key);
            let found = table.key_before(count);
            prop_assert_eq!(found.as_ref().map(|f| &f.span), key.map(|b| &b.span));
            prop_assert_eq!(found.map(|f| f.cluster), key.map(|b| b.cluster));
            let keys: Vec<_> = sorted[count..].iter().filter(|b| b.key).map(|b| b.span.clone()).collect();
            prop_assert_eq!(table.keys_from(count).map(|f| f.span).collect::<Vec<_>>(), keys);
            for (number, block) in sorted.iter().enumerate() {
                prop_assert_eq!(table.nth(number).unwrap().span, block.span.clone());
            }
            prop_assert!(table.from(count).map(|f| f.time).eq(sorted[count..].iter().map(|b| b.time)));
        }
    }
}
