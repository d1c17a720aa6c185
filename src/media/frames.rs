//! The main track's frames in presentation order, compactly: when each is shown, where its bytes lie.
//!
//! Built in one pass from samples in decode order; a window puts reordered ones (B-frames) in their place.
//! A lookup is two binary searches and touches no file.

use super::{Found, Sample, column::Column, time::Time};
use std::ops::Range;

/// How far apart in decode order two frames may be that swap places in presentation order, without a sort of
/// the whole table: sixteen is what H.264 and HEVC allow.
const WINDOW: usize = 64;

/// Frames a block of byte bounds.
const BLOCK: usize = 128;

/// A value of this type is one sample on its way into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub ticks: i64,
    pub offset: u64,
    pub size: u32,
    pub sync: bool,
    /// Which part of the presentation (which edit) shows it.
    pub part: u16,
}

impl Entry {
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.size.into())
    }

    /// By this, frames are in presentation order: where two edits meet, the last frame of the one may be shown at the
    /// time of the first of the other.
    #[inline]
    fn order(&self) -> (i64, u16) {
        (self.ticks, self.part)
    }

    fn sample(&self, scale: u32) -> Sample {
        Sample { time: Time::new(self.ticks, scale), span: self.offset..self.end() }
    }
}

/// A value of this type is a table of shown frames in presentation order. Times never fall.
#[derive(Clone, Debug)]
pub struct Frames {
    scale: u32,
    times: Column,
    offsets: Column,
    sizes: Column,
    /// Ranks of the sync samples.
    syncs: Column,
    /// The last byte's end within each block of frames.
    ends: Vec<u64>,
    /// The part of each, where there are several.
    parts: Column,
    /// For each part of the presentation, the sync sample that isn't shown and that its first frames need.
    hidden: Vec<Option<Entry>>,
    /// Sync samples that aren't shown a second time, in the order of the file: those after them need them.
    unseen: Vec<Entry>,
}

impl Frames {
    pub fn len(&self) -> usize {
        self.times.len()
    }

    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    pub fn scale(&self) -> u32 {
        self.scale
    }

    pub fn times(&self) -> &Column {
        &self.times
    }

    pub fn sync_count(&self) -> usize {
        self.syncs.len()
    }

    pub fn weight(&self) -> usize {
        let columns = [&self.times, &self.offsets, &self.sizes, &self.syncs, &self.parts];
        columns.iter().map(|column| column.weight()).sum::<usize>()
            + self.ends.capacity() * size_of::<u64>()
            + self.hidden.capacity() * size_of::<Option<Entry>>()
            + self.unseen.capacity() * size_of::<Entry>()
    }

    fn entry(&self, rank: usize) -> Option<Entry> {
        Some(Entry {
            ticks: self.times.get(rank)?,
            offset: self.offsets.get(rank)? as u64,
            size: self.sizes.get(rank)? as u32,
            sync: false,
            part: self.part_of(rank),
        })
    }

    fn part_of(&self, rank: usize) -> u16 {
        self.parts.get(rank).unwrap_or_default() as u16
    }

    /// The rank of the frame with the greatest time at or before `time`; the first where none is.
    fn rank_at(&self, time: Time) -> usize {
        let ticks = time.ticks_at(self.scale, super::Rounding::Down);
        let limit = ticks.unwrap_or(if time.is_negative() { i64::MIN } else { i64::MAX });
        self.times.count_up_to(limit).saturating_sub(1)
    }

    /// Where a decoder starts for the frame of that rank, and whether that is after it.
    fn sync_for(&self, rank: usize) -> Option<(Entry, bool)> {
        let shown = self.shown_sync_for(rank);
        let unseen = if self.unseen.is_empty() { None } else { self.unseen_sync_for(rank) };
        match (shown, unseen) {
            (Some((sync, false)), Some(unseen)) if unseen.offset < sync.offset => shown,
            (_, Some(unseen)) => Some((unseen, false)),
            _ => shown,
        }
    }

    /// The last one before it in the file that isn't shown, if it is no later.
    fn unseen_sync_for(&self, rank: usize) -> Option<Entry> {
        let frame = self.entry(rank)?;
        let before = self.unseen.partition_point(|sync| sync.offset <= frame.offset);
        let near = self.unseen.get(before.saturating_sub(WINDOW)..before)?;
        near.iter().rev().find(|sync| sync.ticks <= frame.ticks).copied()
    }

    fn shown_sync_for(&self, rank: usize) -> Option<(Entry, bool)> {
        let before = self.syncs.count_up_to(i64::try_from(rank).ok()?);
        let part = self.part_of(rank);
        let of_part = |at: usize| {
            let entry = self.entry(self.syncs.get(at)? as usize)?;
            (entry.part == part).then_some(entry)
        };
        // Parts follow each other but for a few frames where one ends and the next begins.
        if let Some(entry) = (before.saturating_sub(WINDOW)..before).rev().find_map(of_part) {
            return Some((entry, false));
        }
        if let Some(hidden) = self.hidden.get(usize::from(part)).copied().flatten() {
            return Some((hidden, false));
        }
        let after = (before..self.syncs.len()).take(WINDOW).find_map(of_part);
        let any = || self.entry(self.syncs.get(before).or(self.syncs.last())? as usize);
        Some((after.or_else(any)?, true))
    }

    /// The frame of that rank; none past the last one. A track without one sync sample starts at its first frame.
    pub fn found(&self, rank: usize) -> Option<Found> {
        let frame = self.entry(rank)?;
        let (sync, later) = self.sync_for(rank).or_else(|| Some((self.entry(0)?, false)))?;
        let (frame, sync) = (frame.sample(self.scale), sync.sample(self.scale));
        Some(Found { number: rank as u64, frame, sync, later })
    }

    /// What is shown at `time`: the first frame where nothing is yet.
    pub fn find(&self, time: Time) -> Option<Found> {
        let found = self.found(self.rank_at(time))?;
        Some(Found { later: found.later || found.sync.time > time, ..found })
    }

    pub fn sync_samples(&self, from: Time, most: usize) -> Vec<Sample> {
        let limit = match from.ticks_at(self.scale, super::Rounding::Up) {
            Some(ticks) => ticks,
            None if from.is_negative() => i64::MIN,
            None => return Vec::new(),
        };
        let first = limit.checked_sub(1).map_or(0, |before| self.times.count_up_to(before));
        let skipped = match first.checked_sub(1).and_then(|last| i64::try_from(last).ok()) {
            Some(last) => self.syncs.count_up_to(last),
            None => 0,
        };
        let ranks = (skipped..self.syncs.len()).take(most).filter_map(|at| self.syncs.get(at));
        ranks.filter_map(|rank| Some(self.entry(rank as usize)?.sample(self.scale))).collect()
    }

    /// From the sync sample that `from` needs to the end of the last byte of what is shown before `to`;
    /// none where that is not one byte.
    pub fn span(&self, from: Time, to: Option<Time>) -> Option<Range<u64>> {
        let first = self.rank_at(from);
        let last = match to {
            Some(to) if to <= from => return None,
            // `to` itself is not shown any more.
            Some(to) => match to.ticks_at(self.scale, super::Rounding::Up) {
                Some(ticks) => self.times.count_up_to(ticks.checked_sub(1)?).saturating_sub(1),
                None => self.len().checked_sub(1)?,
            },
            None => self.len().checked_sub(1)?,
        };
        let start = self.found(first)?.sync.span;
        let end = self.last_byte(first..last.max(first) + 1)?.max(start.end);
        (start.start < end).then_some(start.start..end)
    }

    /// The greatest end of bytes within those ranks.
    fn last_byte(&self, ranks: Range<usize>) -> Option<u64> {
        let mut end = 0;
        let mut rank = ranks.start;
        while rank < ranks.end {
            match self.ends.get(rank / BLOCK) {
                Some(&block) if rank.is_multiple_of(BLOCK) && rank + BLOCK <= ranks.end => {
                    end = end.max(block);
                    rank += BLOCK;
                }
                _ => {
                    end = end.max(self.entry(rank)?.end());
                    rank += 1;
                }
            }
        }
        Some(end)
    }
}

/// A value of this type takes samples in decode order and makes the table of them.
#[derive(Clone, Debug)]
pub struct Builder {
    frames: Frames,
    /// Not yet in the table; in presentation order.
    pending: Vec<Entry>,
    written: (i64, u16),
    disordered: bool,
    several: bool,
    block_end: u64,
    /// The most heap bytes that may be held.
    room: usize,
    /// How many samples had been taken when the last one came that isn't shown.
    taken_before_unseen: usize,
}

/// The table would not fit the room it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Builder {
    /// For times on a clock of `scale` ticks a second, in so many parts.
    pub fn new(scale: u32, room: usize, parts: usize) -> Self {
        let frames = Frames {
            scale,
            times: Column::rising(),
            offsets: Column::rising(),
            sizes: Column::level(),
            syncs: Column::rising(),
            ends: Vec::new(),
            parts: Column::level(),
            hidden: Vec::new(),
            unseen: Vec::new(),
        };
        Builder {
            frames,
            pending: Vec::with_capacity(2 * WINDOW),
            written: (i64::MIN, 0),
            disordered: false,
            several: parts > 1,
            block_end: 0,
            room,
            taken_before_unseen: usize::MAX,
        }
    }

    /// Takes a sync sample that isn't shown, since its time was shown already: where those after it start. Of several in a
    /// row the last one counts.
    pub fn push_unseen(&mut self, entry: Entry) {
        let taken = self.frames.len() + self.pending.len();
        let unseen = &mut self.frames.unseen;
        let repeats = self.taken_before_unseen == taken;
        if repeats || unseen.last().is_some_and(|last| last.offset >= entry.offset) {
            unseen.pop();
        }
        unseen.push(entry);
        self.taken_before_unseen = taken;
    }

    /// Takes the next sample in decode order. Of two at the same time that of the later part is shown later; of one
    /// part, the later one.
    #[inline]
    pub fn push(&mut self, entry: Entry) -> Result<(), TooLarge> {
        // Few places back, if any: those that are shown later make room one by one.
        let mut place = self.pending.len();
        self.pending.push(entry);
        while let Some([before, here]) =
            place.checked_sub(1).and_then(|from| self.pending.get_mut(from..=place))
            && before.order() > entry.order()
        {
            *here = *before;
            place -= 1;
        }
        if let Some(here) = self.pending.get_mut(place) {
            *here = entry;
        }
        if self.pending.len() >= 2 * WINDOW { self.write(WINDOW) } else { Ok(()) }
    }

    fn write(&mut self, count: usize) -> Result<(), TooLarge> {
        let mut pending = std::mem::take(&mut self.pending);
        self.append(pending.get(..count).unwrap_or_default());
        pending.drain(..count);
        self.pending = pending;
        // A table that grows is held twice for a moment.
        if self.frames.weight() > self.room / 5 * 2 { Err(TooLarge) } else { Ok(()) }
    }

    /// Puts entries at the table's end, a column after the other.
    fn append(&mut self, entries: &[Entry]) {
        let frames = &mut self.frames;
        for (entry, rank) in entries.iter().zip(frames.times.len()..) {
            self.disordered |= entry.order() < self.written;
            self.written = entry.order();
            self.block_end = self.block_end.max(entry.end());
            if entry.sync {
                frames.syncs.push(rank as i64);
            }
            if (rank + 1).is_multiple_of(BLOCK) {
                frames.ends.push(std::mem::take(&mut self.block_end));
            }
        }
        frames.times.extend(entries, |entry| entry.ticks);
        frames.offsets.extend(entries, |entry| entry.offset as i64);
        frames.sizes.extend(entries, |entry| entry.size.into());
        if self.several {
            frames.parts.extend(entries, |entry| entry.part.into());
        }
    }

    /// The last samples in presentation order: 64 of them, or all where they are fewer, and at times more.
    pub fn latest(&self) -> &[Entry] {
        &self.pending
    }

    /// The table of what is shown before `ticks`, where more may come; `hidden` as for [`finish`](Self::finish).
    pub fn so_far(&self, ticks: i64, hidden: Vec<Option<Entry>>) -> Result<Frames, TooLarge> {
        let mut builder = self.clone();
        builder.pending.retain(|entry| entry.ticks < ticks);
        builder.finish(hidden)
    }

    /// Heap bytes held.
    pub fn weight(&self) -> usize {
        self.frames.weight() + self.pending.capacity() * size_of::<Entry>()
    }

    /// The table; `hidden` is for each part the sync sample before it that isn't shown.
    pub fn finish(mut self, hidden: Vec<Option<Entry>>) -> Result<Frames, TooLarge> {
        self.write(self.pending.len())?;
        if self.disordered {
            self = self.sorted()?;
        }
        let mut frames = self.frames;
        frames.hidden = hidden;
        let Frames { times, offsets, sizes, syncs, parts, .. } = &mut frames;
        [times, offsets, sizes, syncs, parts].into_iter().for_each(Column::shrink);
        frames.ends.shrink_to_fit();
        Ok(frames)
    }

    /// The slow way, for files whose samples are further out of order than any decoder allows.
    fn sorted(self) -> Result<Builder, TooLarge> {
        let count = self.frames.len();
        if count.saturating_mul(2 * size_of::<Entry>()) > self.room / 2 {
            return Err(TooLarge);
        }
        let mut entries = Vec::with_capacity(count);
        let mut syncs = self.frames.syncs.iter().peekable();
        let places = self.frames.offsets.iter().zip(self.frames.sizes.iter());
        for (rank, (ticks, (offset, size))) in self.frames.times.iter().zip(places).enumerate() {
            let sync = syncs.next_if_eq(&(rank as i64)).is_some();
            let part = self.frames.part_of(rank);
            entries.push(Entry { ticks, offset: offset as u64, size: size as u32, sync, part });
        }
        drop(syncs);
        let mut builder =
            Builder::new(self.frames.scale, self.room, if self.several { 2 } else { 1 });
        builder.frames.unseen.clone_from(&self.frames.unseen);
        drop(self.frames);
        entries.sort_by_key(Entry::order);
        builder.append(&entries);
        Ok(builder)
    }
}

impl Frames {
    /// Moves every frame by that many ticks.
    pub fn shift(&mut self, by: i64) {
        self.times.shift(by);
        for sync in self.hidden.iter_mut().flatten().chain(&mut self.unseen) {
            sync.ticks = sync.ticks.saturating_add(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 64 << 20;

    fn entry(ticks: i64, offset: u64, sync: bool) -> Entry {
        Entry { ticks, offset, size: 10, sync, part: 0 }
    }

    fn frames(entries: &[Entry], hidden: Vec<Option<Entry>>) -> Frames {
        let mut builder = Builder::new(10, ROOM, hidden.len());
        entries.iter().for_each(|&entry| builder.push(entry).unwrap());
        builder.finish(hidden).unwrap()
    }

    fn at(frames: &Frames, ticks: i64) -> (u64, u64, u64, bool) {
        let found = frames.find(Time::new(ticks, 10)).unwrap();
        (found.number, found.frame.span.start, found.sync.span.start, found.later)
    }

    /// An open group: the second sync sample is decoded before two frames that are shown before it.
    fn open_group() -> Frames {
        let times =
            [(0, true), (3, false), (1, false), (2, false), (6, true), (4, false), (5, false)];
        let entries: Vec<_> = times
            .iter()
            .zip(0..)
            .map(|(&(ticks, sync), at)| entry(ticks, at * 100, sync))
            .collect();
        frames(&entries, Vec::new())
    }

    #[test]
    fn leading_pictures_belong_to_the_sync_sample_before() {
        let frames = open_group();
        assert_eq!(at(&frames, 5), (5, 600, 0, false));
        assert_eq!(at(&frames, 6), (6, 400, 400, false));
        assert_eq!(at(&frames, 99), (6, 400, 400, false));
        assert_eq!(at(&frames, -5), (0, 0, 0, true));
    }

    #[test]
    fn a_span_ends_with_the_last_byte_it_needs() {
        let frames = open_group();
        let span = |from, to: Option<i64>| {
            frames.span(Time::new(from, 10), to.map(|to| Time::new(to, 10)))
        };
        assert_eq!(span(0, Some(2)), Some(0..210));
        assert_eq!(span(2, Some(3)), Some(0..310));
        assert_eq!(span(3, Some(4)), Some(0..110));
        assert_eq!(span(6, None), Some(400..410));
        assert_eq!(span(4, None), Some(0..610));
        assert_eq!(span(4, Some(4)), None);
    }

    #[test]
    fn a_span_of_no_bytes_is_none() {
        let nothing = frames(&[Entry { size: 0, ..entry(0, 7, true) }], vec![]);
        assert_eq!(nothing.span(Time::ZERO, None), None);
    }

    #[test]
    fn no_sync_sample_before_the_time_is_said() {
        let frames =
            frames(&[entry(0, 0, false), entry(1, 100, false), entry(2, 200, true)], vec![]);
        assert_eq!(at(&frames, 1), (1, 100, 200, true));
        assert_eq!(at(&frames, 2), (2, 200, 200, false));
    }

    #[test]
    fn no_sync_sample_at_all_starts_at_the_first_frame() {
        let frames = frames(&[entry(0, 0, false), entry(1, 100, false)], vec![]);
        assert_eq!(at(&frames, 1), (1, 100, 0, false));
    }

    #[test]
    fn a_part_between_two_sync_samples_starts_at_the_hidden_one() {
        let second = |ticks, offset, sync| Entry { part: 1, ..entry(ticks, offset, sync) };
        // The first part's last frame is shown after the second part's first one.
        let entries = [
            entry(0, 0, false),
            entry(1, 100, true),
            entry(4, 200, false),
            second(3, 300, false),
            second(5, 400, false),
            second(6, 500, true),
        ];
        let hidden = Some(entry(-2, 900, true));
        let whole = frames(&entries, vec![hidden, Some(entry(2, 800, true))]);
        assert_eq!(at(&whole, 0), (0, 0, 900, false));
        assert_eq!(at(&whole, 2), (1, 100, 100, false));
        assert_eq!(at(&whole, 3), (2, 300, 800, false));
        assert_eq!(at(&whole, 4), (3, 200, 100, false));
        assert_eq!(at(&whole, 5), (4, 400, 800, false));
        assert_eq!(at(&whole, 6), (5, 500, 500, false));
        let without = frames(&entries, vec![hidden, None]);
        assert_eq!(at(&without, 5), (4, 400, 500, true));
    }

    #[test]
    fn where_two_parts_meet_the_later_one_s_frame_is_shown_later() {
        let part = |part, ticks, offset| Entry { part, ..entry(ticks, offset, true) };
        // The second part's frames lie first in the file, near the first part's and far from them.
        for apart in [0, 200] {
            let mut entries: Vec<_> = (0..=apart).map(|k| part(1, 5 + k, k as u64)).collect();
            entries.extend((0..=5).map(|k| part(0, k, 1000 + k as u64)));
            let frames = frames(&entries, vec![None, None]);
            assert_eq!(at(&frames, 4).1, 1004, "{apart}");
            assert_eq!(at(&frames, 5), (6, 0, 0, false), "{apart}");
        }
    }

    #[test]
    fn reordered_pictures_need_no_sort() {
        let mut builder = Builder::new(10, ROOM, 1);
        for group in 0..200 {
            for (at, ticks) in [0, 4, 2, 1, 3].into_iter().enumerate() {
                builder
                    .push(entry(group * 5 + ticks, group as u64 * 5 + at as u64, at == 0))
                    .unwrap();
            }
        }
        assert!(!builder.disordered);
        assert_eq!(builder.finish(vec![]).unwrap().times.even_step(), Some(1));
    }

    #[test]
    fn samples_out_of_all_order_are_sorted() {
        let entries: Vec<_> =
            (0..1000u64).map(|i| entry((i * 7 % 1000) as i64, i, i % 10 == 0)).collect();
        let frames = frames(&entries, vec![]);
        for entry in entries {
            let found = frames.found(entry.ticks as usize).unwrap();
            assert_eq!(found.frame.span.start, entry.offset);
            assert_eq!(found.sync == found.frame, entry.sync, "{entry:?}");
        }
        assert_eq!(frames.last_byte(0..1000), Some(1009));
        assert_eq!(
            frames.last_byte(120..300),
            (120..300).map(|k| frames.entry(k).unwrap().end()).max()
        );
    }

    #[test]
    fn sync_samples_are_listed_from_a_time() {
        let frames = open_group();
        let starts = |from, most| -> Vec<u64> {
            let list = frames.sync_samples(Time::new(from, 10), most);
            list.iter().map(|sample| sample.span.start).collect()
        };
        assert_eq!(starts(0, 9), [0, 400]);
        assert_eq!(starts(1, 9), [400]);
        assert_eq!(starts(0, 1), [0]);
        assert!(starts(7, 9).is_empty());
    }

    #[test]
    fn a_table_past_its_room_is_refused() {
        let mut builder = Builder::new(10, 100_000, 1);
        let mut entries = (0..1_000_000u64).map(|i| entry(i as i64, i * i % 999_983, true));
        assert!(entries.any(|entry| builder.push(entry).is_err()));
    }
}
