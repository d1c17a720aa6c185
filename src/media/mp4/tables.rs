//! Where a track's tables lie, and how far they can be believed (ISO/IEC 14496-12 §8.6, §8.7).
//!
//! ```text
//! stts  how long each lasts        -> when it's decoded
//! ctts  how much later it's shown  -> when it's shown
//! stss  which are sync samples
//! stsz  how long each is     stsc  how many lie in a chunk     stco  where each chunk begins
//! ```

use super::boxes::{Place, Table, Window};
use crate::media::{Error, Source};

/// A value of this type is where a track's tables lie.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tables {
    pub stts: Option<Table>,
    pub ctts: Option<Table>,
    /// Absent: every sample is a sync sample. Present and empty: the first one alone.
    pub stss: Option<Table>,
    /// QuickTime's partial sync samples: pictures to start at in an open group.
    pub stps: Option<Table>,
    pub stsc: Option<Table>,
    pub sizes: Option<Sizes>,
    pub chunks: Option<Chunks>,
    /// The samples are single moments of uncompressed sound (or of a fixed packing of it): so many are taken
    /// at a time.
    pub packed: Option<Packing>,
    /// Sample-to-group runs of the grouping `rap `: random access points of an open group (§10.4).
    pub access: Option<Table>,
    /// Samples of other sample entries than the first are of another codec: they take their time and aren't shown.
    pub first_entry_alone: bool,
}

/// A value of this type is how moments of sound are packed: so many in so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    pub moments: u32,
    pub bytes: u32,
}

impl Packing {
    /// How many moments are read together: as ffmpeg does, about a thousand, or one packet.
    pub fn most(self) -> u32 {
        match self.moments {
            0 | 1 => 1024,
            few @ 2..160 => 1024 / few * few,
            many => many,
        }
    }

    pub fn bytes_of(self, moments: u32) -> u32 {
        moments.div_ceil(self.moments.max(1)).saturating_mul(self.bytes)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// All samples' size, where it's the same.
    pub fixed: u32,
    pub count: u64,
    pub table: Table,
    /// Bits an entry: 32, and for stz2 also 16, 8 or 4.
    pub bits: u8,
}

#[derive(Clone, Copy, Debug)]
pub struct Chunks {
    pub table: Table,
    /// co64.
    pub long: bool,
}

impl Tables {
    /// Notes where a child of `stbl` lies, if it's one of these tables.
    pub fn note(&mut self, window: &mut Window, place: &Place) -> Result<(), Error> {
        match &place.kind {
            b"stts" => self.stts = Some(Table::of(window, place, 8)?),
            b"ctts" => self.ctts = Some(Table::of(window, place, 8)?),
            b"stss" => self.stss = Some(Table::of(window, place, 4)?),
            b"stps" => self.stps = Some(Table::of(window, place, 4)?),
            b"stsc" => self.stsc = Some(Table::of(window, place, 12)?),
            b"stco" => {
                self.chunks = Some(Chunks { table: Table::of(window, place, 4)?, long: false })
            }
            b"co64" => {
                self.chunks = Some(Chunks { table: Table::of(window, place, 8)?, long: true })
            }
            b"sbgp" if window.bytes(place.body.saturating_add(4))? == *b"rap " => {
                let (version, _) = window.version(place)?;
                let skipped = if version == 1 { 12 } else { 8 };
                let count = window.u32(place.body.saturating_add(skipped))?;
                let start = place.body.saturating_add(skipped + 4);
                self.access = Some(Table::new(start, place.end, count.into(), 8));
            }
            b"stsz" | b"stz2" => {
                let word = window.u32(place.body.saturating_add(4))?;
                let count = u64::from(window.u32(place.body.saturating_add(8))?);
                let start = place.body.saturating_add(12);
                let (fixed, bits) =
                    if place.is(b"stsz") { (word, 32) } else { (0, (word & 0xff) as u8) };
                if !matches!(bits, 4 | 8 | 16 | 32) {
                    return Err(Error::broken(
                        place.start,
                        format!("stz2 has sizes of {bits} bits"),
                    ));
                }
                let held =
                    count.min(place.end.saturating_sub(start).saturating_mul(8) / u64::from(bits));
                let table = Table { start, end: place.end, count: held };
                let count = if fixed > 0 { count } else { held };
                self.sizes = Some(Sizes { fixed, count, table, bits });
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether there is anything to stream.
    pub fn has_samples(&self) -> bool {
        let filled = |table: Option<Table>| table.is_some_and(|table| table.count > 0);
        let sized = self.sizes.is_some_and(|sizes| sizes.count > 0);
        sized
            && filled(self.stts)
            && filled(self.stsc)
            && filled(self.chunks.map(|chunks| chunks.table))
    }

    /// Notes the packing of sound whose every sample is one moment, as the time table says.
    pub fn note_packing(&mut self, source: &dyn Source, packing: Packing) -> Result<(), Error> {
        let Some(stts) = self.stts.filter(|stts| stts.count == 1) else { return Ok(()) };
        let step = Window::new(source, stts.end).u32(stts.start.saturating_add(4))?;
        // Of an older writer's sizes the entry knows better: 1 stands for "uncompressed".
        let fixed = self.sizes.map_or(0, |sizes| sizes.fixed);
        let bytes = if packing.moments <= 1 && fixed > 1 { fixed } else { packing.bytes };
        self.packed = (step == 1 && bytes > 0).then_some(Packing { bytes, ..packing });
        Ok(())
    }

    /// The sum of all durations, in ticks; zero without a table.
    pub fn duration(&self, source: &dyn Source) -> Result<u64, Error> {
        let Some(stts) = self.stts else { return Ok(0) };
        let mut window = Window::new(source, stts.end);
        let samples = self.sizes.map_or(0, |sizes| sizes.count);
        let (mut sum, mut counted, mut steps) = (0u64, 0u64, Steps::default());
        for entry in 0..stts.count {
            let told = window.u32(stts.start + entry * 8)?;
            let step = steps.step(told, window.u32(stts.start + entry * 8 + 4)?);
            let count = u64::from(told).min(samples - counted.min(samples));
            sum = sum.saturating_add(count.saturating_mul(step.unsigned_abs()));
            counted += count;
        }
        Ok(sum)
    }
}

/// A value of this type makes steps of an stts's entries, one after the other.
///
/// Some writers store a negative step to take back what they gave too much: anything above 2^32 - 480000 is read as
/// one. Time doesn't go back for it: as in ffmpeg, that step is one tick, and the steps after it are shorter until
/// the clock is right again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steps {
    /// When the next sample is decoded: as the table says, and as it was made.
    told: i64,
    made: i64,
}

impl Steps {
    /// How long each of `count` samples lasts, for which the table says that word.
    pub fn step(&mut self, count: u32, word: u32) -> i64 {
        let count = i64::from(count);
        let told = if word > u32::MAX - 480_000 { i64::from(word as i32) } else { i64::from(word) };
        let mut step = if told < 0 { 1 } else { told };
        self.told = self.told.saturating_add(told.saturating_mul(count));
        self.made = self.made.saturating_add(step.saturating_mul(count));
        let drift = self.made.saturating_sub(self.told) / count.max(1);
        if drift > 0 && step > 0 {
            let shorter = drift.min(step - 1);
            self.made -= shorter.saturating_mul(count);
            step -= shorter;
        }
        step
    }
}
