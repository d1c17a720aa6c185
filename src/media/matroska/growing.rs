//! The index of a Matroska file that is still being written: its clusters are walked as they come, block by block.
//!
//! Blocks tell when a frame is shown, not when it is decoded. So what may still be shown before the newest frames is
//! told by how far a codec may reorder them, and by the places on the grid of the rate that are taken.

use super::blocks::{Stand, Walk};
use super::clock::{self, Grid};
use super::head::Head;
use super::part::{Gathered, Recipe};
use super::{Matroska, ROOM, Whole, recipe};
use crate::media::{Error, Kind, Source, Time};

/// Frames that may be shown after one that comes after them in the file (ISO/IEC 14496-10 annex A).
const REORDERED: usize = 16;

/// A value of this type is what is known of such a file.
#[derive(Default)]
pub struct Growing(Option<Film>);

/// What is known once the first cluster has begun.
struct Film {
    head: Head,
    main: usize,
    recipe: Recipe,
    stand: Stand,
    gathered: Gathered,
    pace: Pace,
}

/// A value of this type tells which frames are shown before all that may still come.
#[derive(Clone, Copy)]
struct Pace {
    /// How many frames may be overtaken.
    depth: usize,
    /// The grid of the announced rate, from the first frame on; none once a frame lay off it.
    grid: Option<Grid>,
}

impl Growing {
    /// The index of what is there, and up to when more can't change it; none while nothing is shown. What was read of it
    /// when it fails isn't read again by the next call.
    pub fn advance(&mut self, source: &dyn Source) -> Result<Option<(Matroska, Time)>, Error> {
        let film = match &mut self.0 {
            Some(film) => film,
            None => self.0.insert(Film::begin(source)?),
        };
        film.walk(source)?;
        film.so_far(source.length())
    }

    /// Heap bytes held.
    pub fn weight(&self) -> usize {
        self.0.as_ref().map_or(0, |film| film.gathered.weight())
    }
}

impl Film {
    fn begin(source: &dyn Source) -> Result<Film, Error> {
        if !Head::is_whole(source)? {
            return Err(Error::NotYet("its first cluster has not begun"));
        }
        let head = Head::begun(source)?;
        let main = head.candidates().next().ok_or(Error::NoTrack)?;
        let entry = head.entries.get(main).ok_or(Error::NoTrack)?;
        let recipe = recipe(&head, entry);
        let keeps_order =
            ["vp8", "vp9", "vp09", "av01"].iter().any(|codec| entry.track.codec.starts_with(codec));
        let depth = if keeps_order || entry.track.kind != Kind::Video { 0 } else { REORDERED };
        let pace = Pace { depth, grid: None };
        let gathered = Gathered::new(recipe.clock, ROOM);
        let stand = Stand::at(recipe.clusters);
        Ok(Film { head, main, recipe, stand, gathered, pace })
    }

    /// Takes the frames that have come.
    fn walk(&mut self, source: &dyn Source) -> Result<(), Error> {
        let Recipe { wanted, clock, segment_end, .. } = self.recipe;
        let announced = clock::rate(wanted.frame);
        let (pace, mut begins) = (&mut self.pace, self.gathered.builder.latest().is_empty());
        let mut walk = Walk::onward(source, wanted, self.stand, segment_end);
        let walked = self.gathered.run(&mut walk, |at| {
            if std::mem::take(&mut begins) {
                pace.grid = announced.map(|rate| Grid::new(rate, at, &clock));
            }
            pace.grid = pace.grid.filter(|grid| grid.slot(at).is_some_and(|slot| slot >= 0));
        });
        // Whoever is interrupted goes on from there.
        self.stand = walk.stand();
        walked
    }

    fn so_far(&self, length: u64) -> Result<Option<(Matroska, Time)>, Error> {
        let latest = self.gathered.builder.latest();
        let Some(end) = self.pace.end(&mut latest.iter().map(|entry| entry.ticks)) else {
            return Ok(None);
        };
        let part = self.gathered.so_far(end)?;
        if part.frames.is_empty() {
            return Ok(None);
        }
        let edge = self.recipe.clock.time(end);
        let whole = Whole::of(part, &self.recipe);
        let film = Matroska::walked(&self.head, self.main, self.recipe, whole, length);
        Ok(film.map(|film| (film, edge)))
    }
}

impl Pace {
    /// The time before which nothing more is shown, by when the latest frames are, in order.
    fn end(&self, latest: &mut dyn ExactSizeIterator<Item = i64>) -> Option<i64> {
        let settled = latest.len().saturating_sub(self.depth);
        let mut last = None;
        for _ in 0..settled {
            last = latest.next();
        }
        // Another may be shown at the same moment.
        let Some(grid) = self.grid else { return last };
        // A place that is taken is not taken again, so that all before the first empty one is settled, too.
        let mut slot = match last {
            Some(last) => grid.slot(last)?,
            None => -1,
        };
        for at in latest {
            let next = grid.slot(at)?;
            if next > slot.saturating_add(1) {
                break;
            }
            slot = next;
        }
        grid.middle(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Index;
    use crate::media::matroska::clock::Clock;
    use crate::media::matroska::ids;
    use crate::media::matroska::made::{
        block_content, cluster, element, entry, header, info, master, number, simple, tag, tracks,
        unknown,
    };
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// A film of sound in laces of two frames at these times, none of which says how long it is, each in a cluster with so many
    /// blocks of another track.
    fn laces(times: &[i16], others: usize) -> Vec<u8> {
        let tracks =
            master(ids::TRACKS, &[entry(1, 2, "A_VORBIS", &[]), entry(2, 2, "A_OPUS", &[])]);
        let lace = |time| element(ids::SIMPLE_BLOCK, &block_content(1, time, 0x84, &[1, 7, 7]));
        let clusters = times.iter().map(|&time| {
            let others = std::iter::repeat_n(simple(2, time, true), others);
            cluster(0, &std::iter::once(lace(time)).chain(others).collect::<Vec<_>>())
        });
        let parts = [info(1_000_000, None), tracks].into_iter().chain(clusters);
        [header("matroska"), unknown(ids::SEGMENT, &parts.collect::<Vec<_>>())].concat()
    }

    /// When its frames are shown, and up to when that is told.
    fn told(so_far: Option<(Matroska, Time)>, source: &dyn Source) -> (Vec<i64>, Option<Time>) {
        let Some((film, edge)) = so_far else { return (Vec::new(), None) };
        let frames = (0..).map_while(|number| film.frame(source, number).unwrap());
        (frames.map(|found| found.frame.time.ticks).collect(), Some(edge))
    }

    #[test]
    fn laces_are_as_long_as_those_of_a_film_that_came_at_once() {
        // Before the hole each frame lasts 20 ms, and so do those that the hole begins behind.
        let film = laces(&[0, 40, 80, 1000, 1040, 1080], 1);
        let mut growing = Growing::default();
        for length in film.len() / 4..=film.len() {
            let part = film[..length].to_vec();
            let Ok(extended) = growing.advance(&part) else { continue };
            let anew = Growing::default().advance(&part).unwrap();
            assert_eq!(told(extended, &part), told(anew, &part), "{length} bytes");
        }
        let (times, _) = told(growing.advance(&film).unwrap(), &film);
        assert_eq!(times, [0, 20, 40, 60, 80, 100, 1000, 1020, 1040]);
    }

    /// A value of this type is a film that is read so often and then no more.
    struct Few<'a>(&'a [u8], AtomicUsize);

    impl Source for Few<'_> {
        fn length(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let less = self.1.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
            less.map_err(|_| io::Error::other("enough"))?;
            self.0.to_vec().read_at(buffer, offset)
        }
    }

    #[test]
    fn the_look_for_the_end_of_a_lace_goes_on_where_it_was_interrupted() {
        let film = laces(&[0, 40], 10_000);
        let one = Few(&film, AtomicUsize::new(usize::MAX));
        let expected = told(Growing::default().advance(&one).unwrap(), &film);
        let whole = usize::MAX - one.1.into_inner();
        let mut growing = Growing::default();
        let few = || Few(&film, AtomicUsize::new(whole / 4));
        let so_far = (0..7).find_map(|_| growing.advance(&few()).ok()).unwrap();
        assert_eq!(told(so_far, &film), expected);
    }

    #[test]
    fn what_stands_behind_clusters_changes_no_head() {
        let seek = |position: u64| {
            let id = element(ids::SEEK_ID, &ids::TAGS.to_be_bytes());
            let position = number(ids::SEEK_POSITION, position);
            master(ids::SEEK_HEAD, &[master(ids::SEEK, &[id, position])])
        };
        let blocks: Vec<_> = (0..40).map(|k| simple(1, k * 40, true)).collect();
        let parts = |at| vec![seek(at), info(1_000_000, None), tracks(), cluster(0, &blocks)];
        let at: usize = parts(0).iter().map(Vec::len).sum();
        let recorded = [header("matroska"), unknown(ids::SEGMENT, &parts(at as u64))].concat();
        let tags = element(ids::TAGS, &tag(None, "TIMECODE", "01:00:00:00"));
        let whole = [recorded.clone(), tags].concat();
        assert!(Head::read(&whole).unwrap().timecode_of(1).is_some());
        for so_far in [recorded, whole] {
            assert!(Head::begun(&so_far).unwrap().timecode_of(1).is_none());
        }
    }

    #[test]
    fn what_a_frame_to_come_may_precede_is_not_settled() {
        let clock = Clock::new(1_000_000);
        let grid = clock::rate(40_000_000).map(|rate| Grid::new(rate, 0, &clock));
        let end = |depth, grid, times: &[i64]| Pace { depth, grid }.end(&mut times.iter().copied());
        // The place at 40 ms is empty: three frames may still come before the one at 120.
        assert_eq!(end(16, grid, &[0, 120]), Some(20));
        assert_eq!(end(16, grid, &[0, 40, 120]), Some(60));
        assert_eq!(end(16, grid, &[0, 40, 80, 120]), Some(140));
        // It was left out if more frames came after it than may be overtaken.
        assert_eq!(end(2, grid, &[0, 80, 120, 160]), Some(180));
        assert_eq!(end(2, grid, &[0, 80, 120, 200]), Some(140));
        // Without a grid only the frames that can't be overtaken are settled.
        assert_eq!(end(2, None, &[0, 40]), None);
        assert_eq!(end(2, None, &[0, 40, 80]), Some(0));
        assert_eq!(end(0, None, &[0, 40, 80]), Some(80));
    }
}
