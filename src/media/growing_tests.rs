//! Fixtures that grow: what is told of them before they have ended is what is told of them afterwards.

use super::{Error, Growing, Index, Source, Time, growing::SoFar};
use std::{io, sync::Mutex};

const FILMS: [&str; 8] = [
    "stream.ts",
    "packets.m2ts",
    "wrap.ts",
    "fragmented.mp4",
    "sidx.mp4",
    "no-cues.mkv",
    "film.mkv",
    "vp9.webm",
];

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A value of this type is the first bytes of a film, and notes which of them are read.
struct Part<'a> {
    film: &'a [u8],
    read: Mutex<Vec<(u64, usize)>>,
}

impl<'a> Part<'a> {
    fn of(film: &'a [u8], length: usize) -> Part<'a> {
        Part { film: &film[..length], read: Mutex::default() }
    }

    /// How many bytes were read, and how many of them lie before that one.
    fn taken(self, before: usize) -> (usize, usize) {
        let read = self.read.into_inner().unwrap();
        let old =
            |(offset, count): &(u64, usize)| before.saturating_sub(*offset as usize).min(*count);
        (read.iter().map(|(_, count)| count).sum(), read.iter().map(old).sum())
    }
}

impl Source for Part<'_> {
    fn length(&self) -> u64 {
        self.film.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.film.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read.lock().unwrap().push((offset, count));
        Ok(count)
    }
}

/// Every 7 ms up to the end.
fn moments(end: Time) -> impl Iterator<Item = Time> {
    (0..).map(|k| Time::new(k * 7, 1000)).take_while(move |time| *time < end)
}

#[track_caller]
fn same(name: &str, so_far: &SoFar, part: &Part, whole: &dyn Index, film: &Vec<u8>) -> usize {
    let edge = so_far.duration().unwrap();
    let mut count = 0;
    for time in moments(edge) {
        let (here, there) = (so_far.find(part, time), whole.find(film, time).unwrap());
        let here = match here {
            // A decoder can't start yet, and could not later either.
            Err(Error::NotYet(_)) if there.as_ref().is_some_and(|there| there.later) => continue,
            here => here.unwrap(),
        };
        assert_eq!(here, there, "{name} of {} bytes at {time}", part.length());
        let found = here.unwrap();
        assert!(found.frame.span.end <= part.length(), "{name}: a frame that isn't there");
        assert_eq!(so_far.start(part, &found).unwrap(), whole.start(film, &found).unwrap());
        let numbered = so_far.frame(part, found.number).unwrap().unwrap();
        assert_eq!(numbered.frame, whole.frame(film, found.number).unwrap().unwrap().frame);
        count += 1;
    }
    assert!(so_far.find(part, edge).unwrap().is_none(), "{name} at {edge}");
    count
}

#[test]
fn what_is_told_before_the_end_is_so_after_it() {
    for name in FILMS {
        let film = fixture(name);
        let whole = super::open(&film).unwrap();
        let end = whole.duration().unwrap();
        let (mut growing, mut edge, mut told) = (Growing::default(), Time::ZERO, 0);
        // Pieces that end anywhere, and in the end all of it.
        for length in (0..film.len()).step_by(film.len() / 60 + 7).chain([film.len()]) {
            let part = Part::of(&film, length);
            let so_far = match growing.advance(&part) {
                Ok(so_far) => so_far,
                Err(Error::NotYet(_)) => continue,
                Err(error) => panic!("{name} of {length} bytes: {error}"),
            };
            let now = so_far.duration().unwrap();
            assert!(now >= edge && now <= end, "{name}: {edge} to {now} of {end}");
            edge = now;
            told += same(name, &so_far, &part, &*whole, &film);
            let (here, there) = (so_far.main_track(), whole.main_track());
            assert_eq!((here.id, &here.codec), (there.id, &there.codec), "{name}");
            if now > Time::new(1, 1) {
                assert_eq!(here.frame_rate, there.frame_rate, "{name} up to {now}");
                assert_eq!(here.variable_rate, there.variable_rate, "{name} up to {now}");
            }
        }
        let short = end.checked_sub(edge).unwrap();
        assert!(short < Time::new(1, 4), "{name} ends at {end}, told up to {edge}");
        assert!(told > 1000, "{name}: {told} moments");
    }
}

#[test]
fn what_was_read_is_not_read_again() {
    // What an unfinished packet, block or box may take, and the reads' own granularity.
    const AGAIN: usize = 24 << 10;
    for name in FILMS {
        let film = fixture(name);
        let mut growing = Growing::default();
        let mut before = 0;
        for tenth in 3..=10 {
            let length = film.len() * tenth / 10;
            let part = Part::of(&film, length);
            growing.advance(&part).unwrap();
            let (taken, again) = part.taken(before);
            if before > 0 {
                let new = length - before;
                assert!(taken <= new + AGAIN, "{name}: {taken} bytes of {new} new ones");
                assert!(again <= AGAIN, "{name}: {again} bytes of {before} that were known");
            }
            before = length;
        }
    }
}

#[test]
fn a_film_without_its_table_is_not_guessed_at() {
    for (name, why) in [("moov-last.mp4", "moov"), ("moov-first.mp4", "one table")] {
        let film = fixture(name);
        let part = Part::of(&film, film.len() / 2);
        match Growing::default().advance(&part) {
            Err(error @ Error::NotYet(_)) => assert!(error.to_string().contains(why), "{error}"),
            other => panic!("{name}: {:?}", other.map(|so_far| so_far.duration())),
        }
    }
}

#[test]
fn nothing_that_comes_makes_it_panic() {
    for name in FILMS {
        let film = fixture(name);
        for seed in 1..40_u64 {
            let mut broken = film[..film.len().min(200_000)].to_vec();
            let mut state = seed;
            for _ in 0..30 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 33) as usize % broken.len();
                broken[at] = (state >> 20) as u8;
            }
            let mut growing = Growing::default();
            for tenth in 1..=10 {
                let part = Part::of(&broken, broken.len() * tenth / 10);
                if let Ok(so_far) = growing.advance(&part) {
                    for time in moments(so_far.duration().unwrap()).take(2000).step_by(50) {
                        let _ = so_far.find(&part, time);
                    }
                }
            }
        }
    }
}
