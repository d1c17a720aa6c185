//! What searches have learned: the samples of pieces of the file, without a gap in each. Bounded by [`MOST`].

use super::codec::Codec;
use super::gathered::Run;
use super::pictures::Unit;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// Bytes held at most: five hours at 25 frames a second.
const MOST: usize = 8 << 20;
/// Samples, at most, of a piece that is made of two.
const JOINED: usize = 512;

/// One sample, in numbers from its piece's first one on.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    length: u32,
    decoded: i32,
    /// From decoding to presentation, and two flags below.
    shown: i32,
}

const SYNC: i32 = 1;
const SECOND: i32 = 2;

/// A value of this type is where a piece begins, for what reads on before it.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// Packets before this offset are still to be looked at.
    pub from: u64,
    /// When the first sample is decoded that begins here or after.
    pub next: i64,
    /// Where the sample ends that begins before `from`, if packets of it come after.
    pub stray: u64,
}

/// A value of this type is what was gathered in a part of the file: every sample that begins there.
#[derive(Debug)]
pub struct Part {
    pub units: Vec<Unit>,
    pub from: u64,
    pub to: u64,
    /// When the first sample is decoded that begins at `to` or after; [`END`] if there is none.
    pub next: i64,
    /// As in [`Edge`].
    pub stray: u64,
}

/// Where a run ends nothing is decoded later.
pub const END: i64 = i64::MAX;

impl Part {
    pub fn edge(&self) -> Edge {
        let next = self.units.first().map_or(self.next, |first| first.decoded);
        Edge { from: self.from, next, stray: self.stray }
    }

    /// Goes back over the samples until `see` has enough.
    pub fn back(&self, see: &mut impl FnMut(Unit) -> bool) -> Known {
        let enough = self.units.iter().rev().any(|&unit| see(unit));
        Known { enough, edge: self.edge(), top: self.to }
    }
}

/// A value of this type is such a part in few bytes.
#[derive(Clone, Debug)]
struct Piece {
    from: u64,
    to: u64,
    next: i64,
    stray: u64,
    /// Of the first sample.
    start: u64,
    decoded: i64,
    pid: u16,
    /// How many were learned before.
    age: u64,
    entries: Vec<Entry>,
}

impl Piece {
    /// None where there is no sample, or where the numbers of one don't fit.
    fn new(part: &Part, age: u64) -> Option<Self> {
        let Part { from, to, next, stray, .. } = *part;
        let &Unit { start, decoded, pid, .. } = part.units.first()?;
        let entries = Vec::with_capacity(part.units.len());
        let mut piece = Piece { from, to, next, stray, start, decoded, pid, age, entries };
        piece.take(part.units.iter().copied()).then_some(piece)
    }

    /// Whether they all fit.
    fn take(&mut self, mut units: impl Iterator<Item = Unit>) -> bool {
        units.all(|unit| {
            let entry = self.entry(unit);
            self.entries.extend(entry);
            entry.is_some()
        })
    }

    fn entry(&self, unit: Unit) -> Option<Entry> {
        let delay = i32::try_from(unit.shown - unit.decoded).ok()?.checked_mul(4)?;
        let flags = if unit.sync { SYNC } else { 0 } | if unit.second { SECOND } else { 0 };
        Some(Entry {
            start: unit.start.checked_sub(self.start)?.try_into().ok()?,
            length: unit.end.checked_sub(unit.start)?.try_into().ok()?,
            decoded: (unit.decoded - self.decoded).try_into().ok()?,
            shown: delay | flags,
        })
    }

    fn unit(&self, entry: &Entry) -> Unit {
        let start = self.start + u64::from(entry.start);
        let decoded = self.decoded + i64::from(entry.decoded);
        Unit {
            start,
            end: start + u64::from(entry.length),
            shown: decoded + i64::from(entry.shown >> 2),
            decoded,
            sync: entry.shown & SYNC != 0,
            second: entry.shown & SECOND != 0,
            pid: self.pid,
        }
    }

    fn edge(&self) -> Edge {
        Edge { from: self.from, next: self.decoded, stray: self.stray }
    }

    /// Goes back over samples until `see` has enough.
    fn back(&self, count: usize, see: &mut impl FnMut(Unit) -> bool) -> Known {
        let enough = self.entries.iter().take(count).rev().any(|entry| see(self.unit(entry)));
        let past = self.entries.get(count);
        let top = past.map_or(self.to, |past| self.start + u64::from(past.start));
        Known { enough, edge: self.edge(), top }
    }

    /// The other one goes on where this one ends, and both are one of a fitting size.
    fn joins(&self, other: &Piece) -> bool {
        self.to == other.from
            && self.pid == other.pid
            && self.entries.len() + other.entries.len() <= JOINED
    }

    fn weight(&self) -> usize {
        size_of::<Piece>() + self.entries.capacity() * size_of::<Entry>()
    }
}

/// What came of going back over a piece.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub enough: bool,
    pub edge: Edge,
    /// Where the samples end that were gone back over.
    pub top: u64,
}

/// What is known beside a place that is not: where the piece before it ends, and when the sample there is decoded; and
/// where the piece after it begins.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    pub low: Option<(u64, i64)>,
    pub high: Option<Edge>,
}

#[derive(Clone, Debug, Default)]
struct Pieces {
    /// In the order of the file; none overlaps another.
    list: Vec<Piece>,
    weight: usize,
    learned: u64,
}

/// A value of this type is what searches of one file have learned.
#[derive(Debug, Default)]
pub struct Memory(RwLock<Pieces>);

impl Memory {
    fn read(&self) -> RwLockReadGuard<'_, Pieces> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes back over the samples of one piece: from the first that is decoded after `limit`, if it is known which that is.
    pub fn around(
        &self,
        run: &Run<Codec>,
        limit: i64,
        see: &mut impl FnMut(Unit) -> bool,
    ) -> Result<Known, Gap> {
        let pieces = self.read();
        let list = pieces.of(run);
        let count = list.partition_point(|piece| piece.decoded <= limit);
        let (before, after) = list.split_at(count);
        match before.last() {
            Some(piece) if piece.next > limit => {
                let early = |entry: &Entry| piece.decoded + i64::from(entry.decoded) <= limit;
                Ok(piece.back(piece.entries.partition_point(early), see))
            }
            piece => Err(Gap {
                low: piece.map(|piece| (piece.to, piece.next)),
                high: after.first().map(Piece::edge),
            }),
        }
    }

    /// Goes back over the samples of one piece: from the last that begins before this offset, if the piece reaches so far. Else
    /// says where the one before ends.
    pub fn before(
        &self,
        run: &Run<Codec>,
        at: u64,
        see: &mut impl FnMut(Unit) -> bool,
    ) -> Result<Known, u64> {
        let pieces = self.read();
        let list = pieces.of(run);
        let count = list.partition_point(|piece| piece.from < at);
        match count.checked_sub(1).and_then(|last| list.get(last)) {
            Some(piece) if piece.to >= at => {
                let early = |entry: &Entry| piece.start + u64::from(entry.start) < at;
                Ok(piece.back(piece.entries.partition_point(early), see))
            }
            piece => Err(piece.map_or(run.start, |piece| piece.to)),
        }
    }

    /// Remembers a part of a run, if nothing is known of it.
    pub fn keep(&self, run: &Run<Codec>, part: &Part) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).keep(run, part);
    }

    /// What is known of the same file when it was shorter, but for its end.
    pub fn before_end(&self) -> Memory {
        let mut pieces = self.read().clone();
        pieces.list.retain(|piece| piece.next != END);
        pieces.weight = pieces.list.iter().map(Piece::weight).sum();
        Memory(RwLock::new(pieces))
    }

    pub fn weight(&self) -> usize {
        let pieces = self.read();
        pieces.weight + (pieces.list.capacity() - pieces.list.len()) * size_of::<Piece>()
    }
}

impl Pieces {
    fn of(&self, run: &Run<Codec>) -> &[Piece] {
        let from = self.list.partition_point(|piece| piece.from < run.start);
        let rest = self.list.get(from..).unwrap_or_default();
        rest.get(..rest.partition_point(|piece| piece.from < run.end)).unwrap_or_default()
    }

    fn keep(&mut self, run: &Run<Codec>, part: &Part) {
        let at = self.list.partition_point(|piece| piece.from < part.from);
        if part.units.is_empty() {
            // No sample begins before the piece that comes next.
            let behind = self.list.get_mut(at).filter(|behind| behind.from == part.to);
            if let Some(behind) = behind {
                (behind.from, behind.stray) = (part.from, part.stray);
            }
            return;
        }
        let Some(piece) = Piece::new(part, self.learned) else { return };
        let before = at.checked_sub(1).and_then(|before| self.list.get(before));
        let behind = self.list.get(at);
        let fits = before.is_none_or(|before| {
            before.to <= piece.from && (before.from < run.start || before.decoded <= piece.decoded)
        }) && behind.is_none_or(|behind| {
            behind.from >= piece.to && (behind.from >= run.end || behind.decoded >= piece.decoded)
        });
        if !fits {
            return;
        }
        self.learned += 1;
        self.weight += piece.weight();
        self.list.insert(at, piece);
        self.join(at);
        if let Some(before) = at.checked_sub(1) {
            self.join(before);
        }
        if self.weight > MOST {
            // What was learned last is what is asked now.
            let half = self.list.len() / 2;
            let mut ages: Vec<u64> = self.list.iter().map(|piece| piece.age).collect();
            let (_, &mut middle, _) = ages.select_nth_unstable(half);
            self.list.retain(|piece| piece.age >= middle);
            self.weight = self.list.iter().map(Piece::weight).sum();
        }
    }

    /// Makes one of the piece at that place and the next one, where they fit together.
    fn join(&mut self, at: usize) {
        let Some([piece, next]) = self.list.get_mut(at..at + 2) else { return };
        if !piece.joins(next) {
            return;
        }
        let (before, count) = (piece.weight() + next.weight(), piece.entries.len());
        let taken = std::mem::take(&mut next.entries);
        let units = taken.iter().map(|entry| next.unit(entry));
        if piece.take(units) {
            (piece.to, piece.next) = (next.to, next.next);
            piece.age = piece.age.max(next.age);
            piece.entries.shrink_to_fit();
            self.weight = self.weight - before + piece.weight();
            self.list.remove(at + 1);
        } else {
            piece.entries.truncate(count);
            next.entries = taken;
            self.weight = self.list.iter().map(Piece::weight).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Run<Codec> = Run {
        start: 0,
        end: u64::MAX,
        pid: 1,
        codec: Codec::H264,
        decoded: (0, i64::MAX),
        shown: (0, i64::MAX),
    };

    /// Samples of these numbers: one each 1000 bytes and ten ticks.
    fn part(numbers: std::ops::Range<u64>) -> Part {
        let unit = |k: u64| Unit {
            start: 1000 * k,
            end: 1000 * k + 900,
            shown: 10 * k as i64 + 20,
            decoded: 10 * k as i64,
            sync: k.is_multiple_of(10),
            second: false,
            pid: 1,
        };
        let Unit { start: to, decoded: next, .. } = unit(numbers.end);
        let from = 1000 * numbers.start;
        Part { units: numbers.map(unit).collect(), from, to, next, stray: 0 }
    }

    /// The samples that are known to be decoded at or before that time, backwards.
    fn known(memory: &Memory, limit: i64) -> Option<Vec<u64>> {
        let mut seen = Vec::new();
        let mut see = |unit: Unit| {
            assert_eq!((unit.end - unit.start, unit.shown - unit.decoded), (900, 20));
            assert_eq!(unit.sync, unit.start.is_multiple_of(10_000));
            seen.push(unit.start / 1000);
            false
        };
        memory.around(&RUN, limit, &mut see).is_ok().then_some(seen)
    }

    #[test]
    fn parts_that_touch_are_one() {
        let memory = Memory::default();
        for numbers in [4..6, 0..2, 6..9, 2..4] {
            memory.keep(&RUN, &part(numbers));
        }
        assert_eq!(memory.read().list.len(), 1);
        assert_eq!(known(&memory, 55), Some(vec![5, 4, 3, 2, 1, 0]));
        assert_eq!(known(&memory, 89), Some((0..9).rev().collect()));
        // The ninth is decoded then, and not known.
        assert_eq!(known(&memory, 90), None);
        // What overlaps is known already.
        memory.keep(&RUN, &part(8..12));
        assert_eq!(known(&memory, 100), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest() {
        let memory = Memory::default();
        for k in 0..20_000 {
            memory.keep(&RUN, &part(40 * k..40 * k + 30));
            assert!(memory.read().weight <= MOST);
        }
        let weight: usize = memory.read().list.iter().map(Piece::weight).sum();
        assert_eq!(memory.read().weight, weight);
        assert!(memory.weight() < 2 * MOST && weight > MOST / 3);
        assert_eq!(known(&memory, 0), None);
        assert_eq!(known(&memory, 10 * 40 * 19_999).map(|seen| seen.len()), Some(1));
    }

    #[test]
    fn numbers_that_do_not_fit_are_not_remembered() {
        let memory = Memory::default();
        let mut far = part(0..2);
        far.units[1].start += 1 << 33;
        far.units[1].end += 1 << 33;
        memory.keep(&RUN, &far);
        assert_eq!(memory.weight(), 0);
    }
}
