//! Edit lists: from the media's time to the presentation's (ISO/IEC 14496-12 §8.6.6).
//!
//! ```text
//! media        0----[====A====]-----------[==B==]---->
//! presentation (empty)[====A====][==B==]
//! ```
//! The rate of an edit is not looked at: players show its media at the usual one, for as long as the edit lasts.
//! All times here are ticks of the media's clock; segment durations come on the movie's clock and are rounded
//! to the nearest tick one by one, as ffmpeg does.

use super::boxes::{Place, Table, Window};
use crate::media::{Error, Rounding, Time};

/// More edits than any editor writes: each is looked at for each sample.
const MOST: u64 = 1024;

/// A value of this type is one stretch of media that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// When it begins in the presentation.
    pub start: i64,
    /// When it begins in the media.
    pub media: i64,
    /// `i64::MAX` for all that follows.
    pub duration: i64,
}

impl Edit {
    /// Whether a sample at that media time is shown.
    #[inline]
    pub fn shows(&self, time: i64) -> bool {
        time >= self.media && time.saturating_sub(self.media) < self.duration
    }

    /// When it ends in the presentation.
    pub fn end(&self) -> i64 {
        self.start.saturating_add(self.duration)
    }
}

/// A value of this type is a track's edit list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edits {
    /// What is shown, in order; empty where nothing is.
    pub shown: Vec<Edit>,
    /// The time before the first of them.
    pub lead: i64,
    /// The file has a list; without one, the media's time is the presentation's.
    pub listed: bool,
}

impl Edits {
    pub fn none() -> Self {
        Edits { shown: Vec::new(), lead: 0, listed: false }
    }

    /// The list in that `elst`; `movie` and `media` are the two clocks' ticks a second.
    pub fn read(
        window: &mut Window,
        place: &Place,
        movie: u32,
        media: u32,
    ) -> Result<Edits, Error> {
        let (version, _) = window.version(place)?;
        let entry = if version == 1 { 20 } else { 12 };
        // A count of none in a box that holds some was never filled in: ffmpeg, too, believes the box then.
        let count = match window.u32(place.body.saturating_add(4))? {
            0 => u64::MAX,
            count => count.into(),
        };
        let table = Table::new(place.body.saturating_add(8), place.end, count, entry);
        if table.count > MOST {
            let what =
                format!("an edit list of {} edits, and more than {MOST} are not read", table.count);
            return Err(Error::broken(place.start, what));
        }
        if table.count == 0 {
            return Ok(Edits::none());
        }
        let mut edits = Edits { shown: Vec::new(), lead: 0, listed: true };
        let mut start = 0i64;
        for index in 0..table.count {
            let at = table.start + index * entry;
            let (duration, time) = match version {
                1 => (window.u64(at)?, window.u64(at + 8)? as i64),
                _ => (window.u32(at)?.into(), window.u32(at + 4)? as i32 as i64),
            };
            let duration = i64::try_from(duration).unwrap_or(i64::MAX);
            let duration =
                Time::new(duration, movie).ticks_at(media, Rounding::Nearest).unwrap_or(i64::MAX);
            if time != -1 {
                edits.shown.push(Edit { start, media: time, duration });
            } else if edits.shown.is_empty() {
                edits.lead = edits.lead.saturating_add(duration);
            }
            start = start.saturating_add(duration);
        }
        // No duration at all: in a fragmented file, and for writers who didn't know it, all that follows. Beside an edit
        // that has one, nothing is shown for as long.
        if edits.shown.iter().all(|edit| edit.duration == 0) {
            edits.shown.iter_mut().for_each(|edit| edit.duration = i64::MAX);
        }
        Ok(edits)
    }

    /// Whether nothing of the media is ever shown.
    pub fn is_blank(&self) -> bool {
        self.listed && self.shown.is_empty()
    }

    /// Whether none of its edits says how long it lasts.
    pub fn have_no_length(&self) -> bool {
        self.listed && self.shown.iter().all(|edit| edit.duration == i64::MAX)
    }

    /// The same, open at its end: what was written before the fragments were can't say how long they are.
    pub fn open(mut self) -> Edits {
        if let Some(last) = self.shown.last_mut() {
            last.duration = i64::MAX;
        }
        self
    }

    /// The length of what is shown of so much media; none for no bound.
    pub fn length(&self, media: i64) -> i64 {
        if !self.listed {
            return media;
        }
        let ends = self.shown.iter().map(|edit| {
            let left = media.saturating_sub(edit.media).max(0);
            edit.start.saturating_add(edit.duration.min(left))
        });
        ends.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(version: u8, entries: &[(i64, i64, u32)]) -> Result<Edits, Error> {
        let mut bytes = vec![version, 0, 0, 0, 0, 0, 0, entries.len() as u8];
        for &(duration, time, rate) in entries {
            match version {
                0 => bytes.extend(
                    [(duration as u32).to_be_bytes(), (time as u32).to_be_bytes()].concat(),
                ),
                _ => bytes.extend([duration.to_be_bytes(), time.to_be_bytes()].concat()),
            }
            bytes.extend(rate.to_be_bytes());
        }
        let end = bytes.len() as u64;
        let place = Place { kind: *b"elst", start: 0, body: 0, end, cut: false };
        Edits::read(&mut Window::new(&bytes, end), &place, 600, 90000)
    }

    #[test]
    fn both_versions_say_the_same() {
        let entries = [(60, -1, 0x1_0000), (600, 3000, 0x1_0000), (300, 0, 0x1_0000)];
        let edits = read(0, &entries).unwrap();
        assert_eq!(edits, read(1, &entries).unwrap());
        assert_eq!(edits.lead, 9000);
        let [first, second] = edits.shown[..] else { panic!("{edits:?}") };
        assert_eq!(first, Edit { start: 9000, media: 3000, duration: 90000 });
        assert_eq!(second, Edit { start: 99_000, media: 0, duration: 45000 });
        assert_eq!(edits.length(46_000), 9000 + 90000 + 45000);
        assert_eq!(edits.length(23_000), 9000 + 90000 + 23_000);
    }

    #[test]
    fn an_edit_shows_half_open_media() {
        let edit = Edit { start: 5, media: 100, duration: 10 };
        assert!(!edit.shows(99) && edit.shows(100) && edit.shows(109) && !edit.shows(110));
        assert_eq!(edit.end(), 15);
    }

    #[test]
    fn a_gap_between_edits_moves_what_follows() {
        let edits = read(0, &[(600, 0, 0x1_0000), (60, -1, 0), (600, 90000, 0x1_0000)]).unwrap();
        assert_eq!(edits.shown[1].start, 99_000);
        assert_eq!(edits.lead, 0);
    }

    #[test]
    fn a_rate_changes_nothing() {
        let usual = read(0, &[(600, 3000, 0x1_0000), (300, 0, 0x1_0000)]).unwrap();
        for rate in [0, 0x2_0000, 0xFFFF_0000] {
            assert_eq!(read(0, &[(600, 3000, rate), (300, 0, 0x1_0000)]).unwrap(), usual, "{rate}");
        }
    }

    #[test]
    fn endless_lists_are_refused() {
        let mut long = vec![0, 0, 0, 0, 0, 0, 8, 0];
        long.resize(8 + 12 * 2048, 0);
        let end = long.len() as u64;
        let place = Place { kind: *b"elst", start: 0, body: 0, end, cut: false };
        assert!(Edits::read(&mut Window::new(&long, end), &place, 1, 1).is_err());
    }

    #[test]
    fn no_duration_is_all_that_follows() {
        let edits = read(0, &[(0, 1000, 0x1_0000)]).unwrap();
        assert!(edits.shown[0].shows(i64::MAX - 1) && !edits.shown[0].shows(999));
    }

    #[test]
    fn an_edit_of_no_duration_beside_others_shows_nothing() {
        let edits = read(0, &[(600, 90, 0x1_0000), (0, 50, 0x1_0000)]).unwrap();
        assert!(edits.shown[0].shows(90) && !edits.shown[1].shows(50));
        assert!(edits.open().shown[1].shows(50), "in a fragmented file the last one goes on");
    }

    #[test]
    fn a_count_that_was_not_filled_in_is_the_box_s() {
        let mut bytes = [0, 0, 0, 0, 0, 0, 0, 9].to_vec();
        bytes
            .extend([600u32.to_be_bytes(), 5u32.to_be_bytes(), 0x1_0000u32.to_be_bytes()].concat());
        let place = Place { kind: *b"elst", start: 0, body: 0, end: 20, cut: false };
        for count in [0, 1, 9] {
            bytes[7] = count;
            let edits = Edits::read(&mut Window::new(&bytes, 20), &place, 600, 600).unwrap();
            assert_eq!(edits.shown, [Edit { start: 0, media: 5, duration: 600 }]);
        }
    }

    #[test]
    fn a_list_of_nothing_shows_nothing() {
        assert!(read(0, &[(600, -1, 0x1_0000)]).unwrap().is_blank());
        assert!(!Edits::none().is_blank());
        assert!(!read(0, &[]).unwrap().is_blank());
    }
}
