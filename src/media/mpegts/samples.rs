//! Every sample of a stream, in presentation order: what one pass over a file leaves behind. Bounded by
//! [`MOST`]; longer files are searched instead.

use super::pictures::Unit;

/// Samples kept at most: 24 bytes each, and three hours of 25 frames a second.
pub const MOST: usize = 1 << 18;

#[derive(Clone, Copy, Debug)]
struct Entry {
    shown: i64,
    start: u64,
    length: u32,
    /// Frames shown before; a second field has its frame's number.
    number: u32,
}

/// A value of this type is the samples of a stream, sorted by the time they are shown.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    entries: Vec<Entry>,
    /// The places of the sync samples among the entries.
    syncs: Vec<u32>,
    /// The places of the second fields.
    seconds: Vec<u32>,
    frames: u64,
}

/// A value of this type is a sample as it is found here: numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    pub number: u64,
    pub shown: i64,
    pub start: u64,
    pub end: u64,
}

impl Samples {
    pub fn new(units: &[Unit]) -> Self {
        let mut samples = Samples::default();
        samples.extend(units, u64::MAX);
        samples
    }

    /// Takes the samples that a growing file has got, in place of those that begin at `open` or after.
    pub fn extend(&mut self, units: &[Unit], open: u64) {
        // The flags travel with the entries while they are sorted.
        const SYNC: u32 = 1;
        const SECOND: u32 = 2;
        self.entries.iter_mut().for_each(|entry| entry.number = 0);
        for (places, flag) in [(&self.syncs, SYNC), (&self.seconds, SECOND)] {
            places.iter().for_each(|&place| self.entries[place as usize].number |= flag);
        }
        self.entries.retain(|entry| entry.start < open);
        self.entries.extend(units.iter().map(|unit| Entry {
            shown: unit.shown,
            start: unit.start,
            length: u32::try_from(unit.end.saturating_sub(unit.start)).unwrap_or(u32::MAX),
            number: if unit.sync { SYNC } else { 0 } | if unit.second { SECOND } else { 0 },
        }));
        self.entries.sort_by_key(|entry| (entry.shown, entry.start));
        self.syncs.clear();
        self.seconds.clear();
        let mut frames = 0u32;
        for (place, entry) in self.entries.iter_mut().enumerate() {
            let flags = entry.number;
            if flags & SYNC != 0 {
                self.syncs.push(place as u32);
            }
            if flags & SECOND != 0 && frames > 0 {
                self.seconds.push(place as u32);
            } else {
                frames += 1;
            }
            entry.number = frames - 1;
        }
        self.frames = frames.into();
    }

    fn get(&self, place: usize) -> Option<Numbered> {
        let &Entry { shown, start, length, number } = self.entries.get(place)?;
        Some(Numbered { number: number.into(), shown, start, end: start + u64::from(length) })
    }

    pub fn frames(&self) -> u64 {
        self.frames
    }

    pub fn first(&self) -> Option<Numbered> {
        self.get(0)
    }

    /// The sample with the greatest time at or before this one.
    pub fn at(&self, time: i64) -> Option<Numbered> {
        self.get(self.entries.partition_point(|entry| entry.shown <= time).checked_sub(1)?)
    }

    /// The first sample of the frame with that number.
    pub fn numbered(&self, number: u64) -> Option<Numbered> {
        let found =
            self.get(self.entries.partition_point(|entry| u64::from(entry.number) < number))?;
        (found.number == number).then_some(found)
    }

    /// How many sync samples are shown at or before this time.
    pub fn syncs_to(&self, time: i64) -> usize {
        self.syncs.partition_point(|&place| self.entries[place as usize].shown <= time)
    }

    /// The sync sample at that place among them.
    pub fn sync(&self, place: usize) -> Option<Numbered> {
        self.get(*self.syncs.get(place)? as usize)
    }

    pub fn syncs(&self) -> usize {
        self.syncs.len()
    }

    /// The greatest end of the samples shown from the one at `from` up to before `to`.
    pub fn end_before(&self, from: i64, to: i64) -> Option<u64> {
        let first = self.entries.partition_point(|entry| entry.shown <= from).saturating_sub(1);
        let past = self.entries.partition_point(|entry| entry.shown < to);
        let shown = self.entries.get(first..past)?;
        shown.iter().map(|entry| entry.start + u64::from(entry.length)).max()
    }

    /// Times of frames (not of second fields), in order.
    pub fn times(&self) -> Vec<i64> {
        let mut seconds = self.seconds.iter().copied().peekable();
        let mut frame = |place: usize| seconds.next_if_eq(&(place as u32)).is_none();
        let entries = self.entries.iter().enumerate();
        entries.filter(|(place, _)| frame(*place)).map(|(_, entry)| entry.shown).collect()
    }

    pub fn weight(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + (self.syncs.capacity() + self.seconds.capacity()) * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(place: u64, shown: i64, sync: bool, second: bool) -> Unit {
        let start = place * 1880;
        Unit { start, end: start + 1880, shown, decoded: shown, sync, second, pid: 1 }
    }

    /// I0 P3 B1 B2, open GOP: I6 B4 B5.
    fn open_group() -> Vec<Unit> {
        let order =
            [(0, true), (3, false), (1, false), (2, false), (6, true), (4, false), (5, false)];
        let units = order.iter().enumerate();
        units.map(|(k, &(shown, sync))| unit(k as u64, shown * 10, sync, false)).collect()
    }

    #[test]
    fn presentation_time_rules() {
        let samples = Samples::new(&open_group());
        let numbers: Vec<_> =
            (0..7).map(|k| samples.at(k * 10 + 9).unwrap().start / 1880).collect();
        assert_eq!(numbers, [0, 2, 3, 1, 5, 6, 4]);
        assert_eq!(samples.at(-1), None);
        assert_eq!(samples.numbered(4).unwrap().shown, 40);
        assert_eq!(samples.numbered(7), None);
        // The leading pictures of the second group need the first one.
        assert_eq!((samples.syncs_to(59), samples.syncs_to(60)), (1, 2));
        assert_eq!(samples.sync(1).unwrap().start, 4 * 1880);
        assert_eq!(samples.end_before(35, 45), Some(6 * 1880));
        assert_eq!(samples.end_before(0, 35), Some(4 * 1880));
    }

    #[test]
    fn second_fields_are_samples_but_no_frames() {
        let units: Vec<_> = (0..6).map(|k| unit(k, k as i64 * 5, k == 0, k % 2 == 1)).collect();
        let samples = Samples::new(&units);
        assert_eq!((samples.frames(), samples.entries.len()), (3, 6));
        assert_eq!(samples.at(17).unwrap().number, 1);
        assert_eq!(samples.numbered(1).unwrap().start, 2 * 1880);
        assert_eq!(samples.times(), [0, 10, 20]);
    }

    #[test]
    fn growing_is_the_same_as_beginning_anew() {
        let units = open_group();
        let whole = Samples::new(&units);
        for cut in 0..=units.len() {
            let mut grown = Samples::new(&units[..cut]);
            let open = units[..cut].last().map_or(0, |unit| unit.start);
            grown.extend(&units[cut.saturating_sub(1)..], open);
            assert_eq!((grown.frames(), &grown.syncs), (whole.frames(), &whole.syncs));
            assert_eq!(grown.at(45), whole.at(45));
        }
    }
}
