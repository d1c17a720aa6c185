//! A track's samples, streamed from its tables in decode order.
//!
//! Nothing is expanded: six cursors walk their tables side by side, a window of each in memory.

use super::{
    boxes::{Table, Window},
    tables::{Chunks, Packing, Sizes, Steps, Tables},
};
use crate::media::{Error, Source};

/// Longer lists of sync samples are taken to be in order.
const MOST_SORTED: u64 = 1 << 20;

/// A value of this type is one sample as the tables tell it, in the media's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    /// When it's decoded.
    pub decode: i64,
    /// When it's shown.
    pub time: i64,
    pub duration: i64,
    pub offset: u64,
    pub size: u32,
    pub sync: bool,
    /// It is not shown, since another was at its time: a sync sample that those after it need.
    pub unseen: bool,
}

/// Who takes samples in decode order.
pub trait Taker {
    fn take(&mut self, raw: Raw) -> Result<(), Error>;
    /// Hears of a sample at that offset that isn't for it.
    fn count(&mut self, offset: u64) -> Result<(), Error>;
}

/// A value of this type is the samples of a track that are still to come.
pub struct Samples<'a> {
    number: u64,
    count: u64,
    decode: i64,
    times: Runs<'a>,
    steps: Steps,
    /// How long each sample of this run of `times` lasts.
    step: i64,
    shifts: Runs<'a>,
    shifts_used: bool,
    noisy: bool,
    sizes: Sizes,
    size_window: Window<'a>,
    chunks: ChunkWalk<'a>,
    sync: Option<Marks<'a>>,
    partial: Option<Marks<'a>>,
    access: Option<Runs<'a>>,
    packed: Option<Packing>,
    /// There is no table of sync samples: every one is.
    every: bool,
    /// There is one and it's empty, as are the others: the first sample is the only one to start at.
    first_only: bool,
}

impl<'a> Samples<'a> {
    /// The samples of those tables; none without all that's needed.
    pub fn new(source: &'a dyn Source, tables: &Tables) -> Result<Option<Samples<'a>>, Error> {
        let needed = (tables.stts, tables.sizes, tables.stsc, tables.chunks);
        let (Some(stts), Some(sizes), Some(stsc), Some(chunks)) = needed else {
            return Ok(None);
        };
        let empty = Table::new(0, 0, 0, 1);
        let shifts = tables.ctts.unwrap_or(empty);
        let marks = |table: Option<Table>| -> Result<Option<Marks<'a>>, Error> {
            table.filter(|table| table.count > 0).map(|table| Marks::new(source, table)).transpose()
        };
        let absent = tables.stss.is_some_and(|table| table.count == 0);
        let partial = marks(tables.stps)?;
        let access =
            tables.access.filter(|table| table.count > 0).map(|table| Runs::new(source, table));
        Ok(Some(Samples {
            number: 0,
            count: sizes.count,
            decode: 0,
            times: Runs::new(source, stts),
            steps: Steps::default(),
            step: 0,
            shifts_used: shifts.count > 0,
            shifts: Runs::new(source, shifts),
            noisy: false,
            sizes,
            size_window: Window::new(source, sizes.table.end),
            chunks: ChunkWalk::new(source, stsc, chunks, tables.first_entry_alone),
            first_only: absent && partial.is_none() && access.is_none(),
            every: tables.stss.is_none(),
            sync: if absent { None } else { marks(tables.stss)? },
            partial,
            access,
            packed: tables.packed,
        }))
    }

    /// The next sample that is shown; none after the last one that the tables place.
    pub fn next(&mut self) -> Result<Option<Raw>, Error> {
        loop {
            let next = self.step()?;
            if next.is_none() || !self.is_other() {
                return Ok(next);
            }
        }
    }

    /// Whether the sample that was stepped to is of another codec's sample entry, and isn't shown.
    #[inline(always)]
    pub fn is_other(&self) -> bool {
        self.chunks.other
    }

    /// Steps to the next sample, shown or not.
    #[inline(always)]
    pub fn step(&mut self) -> Result<Option<Raw>, Error> {
        if let Some(packing) = self.packed {
            return self.next_packed(packing);
        }
        if self.number >= self.count {
            return Ok(None);
        }
        let size = self.size()?;
        let Some(offset) = self.chunks.next(size)? else { return Ok(None) };
        let duration = self.duration()?;
        // Versions 0 and 1 alike: many writers of version 0 store negative shifts (§8.6.1.3).
        let shift = if self.shifts_used { self.shift()? } else { 0 };
        let time = self.decode.saturating_add(shift);
        let sync = self.is_sync()?;
        let decode = self.decode;
        self.decode = decode.saturating_add(duration);
        self.number += 1;
        Ok(Some(Raw { decode, time, duration, offset, size, sync, unseen: false }))
    }

    fn next_packed(&mut self, packing: Packing) -> Result<Option<Raw>, Error> {
        let left = u32::try_from(self.count - self.number.min(self.count)).unwrap_or(u32::MAX);
        let most = packing.most().min(left);
        let Some((offset, moments)) = self.chunks.next_packed(packing, most)? else {
            return Ok(None);
        };
        let (decode, duration) = (self.decode, i64::from(moments));
        self.decode = decode.saturating_add(duration);
        self.number += u64::from(moments);
        let size = packing.bytes_of(moments);
        Ok(Some(Raw { decode, time: decode, duration, offset, size, sync: true, unseen: false }))
    }

    /// The last run goes on for as long as there are samples.
    #[inline]
    fn duration(&mut self) -> Result<i64, Error> {
        if self.times.left == 0 && !self.next_step()? {
            return Ok(self.step);
        }
        self.times.left -= 1;
        Ok(self.step)
    }

    fn next_step(&mut self) -> Result<bool, Error> {
        let has = self.times.next_run()?;
        if has {
            self.step = self.steps.step(self.times.left, self.times.value);
        }
        Ok(has)
    }

    #[inline]
    fn shift(&mut self) -> Result<i64, Error> {
        let shift = self.shifts.next()?.unwrap_or(0) as i32;
        // The last two are let pass, as ffmpeg does.
        self.noisy |=
            shift.unsigned_abs() > 1 << 28 && self.shifts.entry + 2 <= self.shifts.table.count;
        Ok(shift.into())
    }

    /// Whether shifts above 2^28 were met: no shifts but noise. The whole table is then to be left aside.
    pub fn is_noisy(&self) -> bool {
        self.noisy
    }

    /// When the sample after the last one would be decoded: the end of the media.
    pub fn decode_end(&self) -> i64 {
        self.decode
    }

    #[inline(always)]
    fn size(&mut self) -> Result<u32, Error> {
        let Sizes { fixed, table, bits, .. } = self.sizes;
        if fixed > 0 {
            return Ok(fixed);
        }
        let number = self.number;
        match bits {
            32 => self.size_window.u32(table.start + number * 4),
            16 => self.size_window.u16(table.start + number * 2).map(u32::from),
            8 => self.size_window.u8(table.start + number).map(u32::from),
            _ => {
                let pair = self.size_window.u8(table.start + number / 2)?;
                Ok(u32::from(if number.is_multiple_of(2) { pair >> 4 } else { pair & 15 }))
            }
        }
    }

    #[inline(always)]
    fn is_sync(&mut self) -> Result<bool, Error> {
        let mut sync = match &mut self.sync {
            Some(marks) => marks.has(self.number)?,
            None => self.every || self.first_only && self.number == 0,
        };
        if let Some(partial) = &mut self.partial {
            sync |= partial.has(self.number)?;
        }
        if let Some(access) = &mut self.access {
            sync |= access.next()?.is_some_and(|group| group > 0);
        }
        Ok(sync)
    }
}

/// A table of runs: so many samples have that value.
struct Runs<'a> {
    window: Window<'a>,
    table: Table,
    entry: u64,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn new(source: &'a dyn Source, table: Table) -> Self {
        Runs { window: Window::new(source, table.end), table, entry: 0, left: 0, value: 0 }
    }

    #[inline(always)]
    fn next(&mut self) -> Result<Option<u32>, Error> {
        if self.left == 0 && !self.next_run()? {
            return Ok(None);
        }
        self.left -= 1;
        Ok(Some(self.value))
    }

    /// Goes to the next run that is any samples long; false after the last one.
    fn next_run(&mut self) -> Result<bool, Error> {
        while self.left == 0 {
            if self.entry >= self.table.count {
                return Ok(false);
            }
            let [a, b, c, d, value @ ..] =
                self.window.bytes::<8>(self.table.start + self.entry * 8)?;
            self.entry += 1;
            // A count is signed for ffmpeg: one that is negative is none.
            self.left = (i32::from_be_bytes([a, b, c, d])).max(0) as u32;
            if self.left > 0 {
                self.value = u32::from_be_bytes(value);
            }
        }
        Ok(true)
    }
}

/// A list of sample numbers.
struct Marks<'a> {
    window: Window<'a>,
    table: Table,
    /// All of it in rising order, where the table is in none.
    sorted: Option<Vec<u32>>,
    entry: u64,
    /// The next number in the list, counted from zero; `u64::MAX` after the last one.
    next: u64,
    /// Numbers count from 1; a list that begins with 0 counts from 0.
    base: u64,
}

impl<'a> Marks<'a> {
    fn new(source: &'a dyn Source, table: Table) -> Result<Self, Error> {
        let window = Window::new(source, table.end);
        let mut marks = Marks { window, table, sorted: None, entry: 0, next: 0, base: 0 };
        if table.count <= MOST_SORTED && !marks.rises()? {
            let list: Result<Vec<u32>, Error> =
                (0..table.count).map(|entry| marks.window.u32(table.start + entry * 4)).collect();
            let mut list = list?;
            list.sort_unstable();
            marks.sorted = Some(list);
        }
        marks.step()?;
        marks.base = marks.next.min(1);
        marks.next -= marks.base;
        Ok(marks)
    }

    /// Whether the table is in order: muxers write it so, editors not always.
    fn rises(&mut self) -> Result<bool, Error> {
        let mut last = 0;
        for entry in 0..self.table.count {
            let number = self.window.u32(self.table.start + entry * 4)?;
            if number < last {
                return Ok(false);
            }
            last = number;
        }
        Ok(true)
    }

    /// Whether that number is in the list; asked in rising order.
    #[inline]
    fn has(&mut self, number: u64) -> Result<bool, Error> {
        if number < self.next { Ok(false) } else { self.reach(number) }
    }

    #[cold]
    fn reach(&mut self, number: u64) -> Result<bool, Error> {
        while self.next < number {
            self.step()?;
        }
        let has = self.next == number;
        if has {
            self.step()?;
        }
        Ok(has)
    }

    fn step(&mut self) -> Result<(), Error> {
        let sorted = self.sorted.as_ref().map(|list| list.get(self.entry as usize).copied());
        let number = match sorted {
            Some(number) => number,
            None if self.entry < self.table.count => {
                Some(self.window.u32(self.table.start + self.entry * 4)?)
            }
            None => None,
        };
        self.next = number.map_or(u64::MAX, |number| u64::from(number).saturating_sub(self.base));
        self.entry += 1;
        Ok(())
    }
}

/// The places of samples: chunk by chunk, each sample after the one before it.
struct ChunkWalk<'a> {
    runs: Window<'a>,
    stsc: Table,
    entry: u64,
    next_first: u64,
    places: Window<'a>,
    chunks: Chunks,
    chunk: u64,
    in_chunk: u32,
    left: u32,
    offset: u64,
    /// Of several sample entries the first alone counts; and this chunk has another one.
    first_entry_alone: bool,
    other: bool,
}

impl<'a> ChunkWalk<'a> {
    fn new(source: &'a dyn Source, stsc: Table, chunks: Chunks, first_entry_alone: bool) -> Self {
        ChunkWalk {
            runs: Window::new(source, stsc.end),
            stsc,
            entry: 0,
            next_first: 0,
            places: Window::new(source, chunks.table.end),
            chunks,
            chunk: 0,
            in_chunk: 0,
            left: 0,
            offset: 0,
            first_entry_alone,
            other: false,
        }
    }

    #[inline]
    fn next(&mut self, size: u32) -> Result<Option<u64>, Error> {
        if self.left == 0 && !self.next_chunk()? {
            return Ok(None);
        }
        self.left -= 1;
        let offset = self.offset;
        self.offset = offset.saturating_add(size.into());
        Ok(Some(offset))
    }

    fn next_packed(&mut self, packing: Packing, most: u32) -> Result<Option<(u64, u32)>, Error> {
        if most == 0 || self.left == 0 && !self.next_chunk()? {
            return Ok(None);
        }
        let moments = self.left.min(most);
        self.left -= moments;
        let offset = self.offset;
        self.offset = offset.saturating_add(packing.bytes_of(moments).into());
        Ok(Some((offset, moments)))
    }

    /// Goes to the next chunk that has samples; false after the last one.
    fn next_chunk(&mut self) -> Result<bool, Error> {
        while self.left == 0 {
            if self.chunk >= self.chunks.table.count {
                return Ok(false);
            }
            let at = self.chunks.table.start;
            self.offset = match self.chunks.long {
                true => self.places.u64(at + self.chunk * 8)?,
                false => self.places.u32(at + self.chunk * 4)?.into(),
            };
            self.chunk += 1;
            while self.entry < self.stsc.count && self.next_first <= self.chunk {
                self.take_run()?;
            }
            self.left = self.in_chunk;
        }
        Ok(true)
    }

    /// The run that covers this chunk: its count holds until the next run's first chunk.
    fn take_run(&mut self) -> Result<(), Error> {
        let at = self.stsc.start + self.entry * 12;
        self.in_chunk = self.runs.u32(at + 4)?;
        self.other = self.first_entry_alone && self.runs.u32(at + 8)? != 1;
        self.entry += 1;
        self.next_first = match self.entry < self.stsc.count {
            true => self.runs.u32(at + 12)?.into(),
            false => u64::MAX,
        };
        Ok(())
    }
}
