//! Films too long to be read: how much of them is read for an answer, and that what is remembered is what is there.

use super::open::File;
use super::reel::{Kind, Reel};
use super::testing::*;
use super::*;
use crate::media::Unread;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const FRAME: i64 = 3600;
/// 25 frames a second with pyramids of B-pictures in open groups of two seconds, and a sound: ten gibibytes are three hours.
const PLAIN: Kind =
    Kind { stride: 188, rate: 7_600_000, group: 48, varies: false, sounds: 1, private: false };

fn time(ticks: i64) -> Time {
    Time::new(ticks, HERTZ)
}

/// xorshift: the same places on every run.
fn random() -> impl FnMut(i64) -> i64 {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    move |below| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below.max(1) as u64) as i64
    }
}

/// Asks for that frame, and holds the answer against the film. Says how much lies from its sync sample to its end.
#[track_caller]
fn ask(made: &TransportStream, film: &Reel, frame: i64) -> u64 {
    let found = made.find(film, time(film.time(frame) + 5)).unwrap().unwrap();
    let (place, sync) = film.places(frame);
    assert_eq!((&found.frame.span, found.frame.time), (&place, time(film.time(frame))));
    assert_eq!((&found.sync.span, found.number), (&sync, film.number(frame)));
    place.end - sync.start
}

/// The most that is read for a first answer at random places: in all, and beside the group of pictures itself.
fn first_answers(kind: Kind) -> (u64, u64) {
    let film = Reel::new(kind, 10 << 30);
    let mut random = random();
    let (mut most, mut beside) = (0, 0);
    for _ in 0..60 {
        film.read.store(0, Relaxed);
        let frame = random(film.frames());
        let group = ask(&open(&film).unwrap(), &film, frame);
        let read = film.read.load(Relaxed);
        (most, beside) = (most.max(read), beside.max(read - group));
    }
    (most, beside)
}

#[test]
fn the_first_answer_of_ten_gibibytes_reads_little_wherever_it_lies() {
    let kinds = [
        PLAIN,
        Kind { stride: 192, sounds: 12, ..PLAIN },
        // 1.2 to 10 Mbit/s.
        Kind { rate: 3_500_000, group: 24, varies: true, ..PLAIN },
    ];
    for kind in kinds {
        let (most, _) = first_answers(kind);
        assert!(most <= 7 << 19, "{most} bytes of {kind:?}");
    }
}

#[test]
fn private_data_that_never_come_are_waited_for_a_second() {
    let (most, _) = first_answers(Kind { private: true, ..PLAIN });
    assert!(most <= 4 << 20, "{most} bytes");
}

#[test]
fn of_large_pictures_little_more_is_read_than_their_group() {
    let (_, beside) = first_answers(Kind { rate: 45_000_000, group: 12, ..PLAIN });
    assert!(beside <= 4 << 20, "{beside} bytes");
}

#[test]
fn what_was_read_for_an_answer_is_read_no_more() {
    let film = Reel::new(Kind { varies: true, ..PLAIN }, 100 << 20);
    let made = open(&film).unwrap();
    let mut random = random();
    let light = made.weight();
    for _ in 0..600 {
        ask(&made, &film, random(film.frames()));
    }
    film.read.store(0, Relaxed);
    for frame in 0..film.frames() {
        ask(&made, &film, frame);
    }
    // Of a film of which all was asked at least once in a group.
    let read = film.read.load(Relaxed);
    assert!(read <= film.length() / 4, "{read} bytes");
    film.read.store(0, Relaxed);
    for frame in 0..film.frames() {
        ask(&made, &film, frame);
    }
    assert_eq!(film.read.load(Relaxed), 0);
    let (held, frames) = (made.weight() - light, film.frames() as usize);
    assert!((16 * frames..24 * frames).contains(&held), "{held} bytes for {frames} frames");
}

#[test]
fn what_is_remembered_is_told_without_a_read_and_the_rest_is_not_guessed() {
    let film = Reel::new(PLAIN, 200 << 20);
    let made = open(&film).unwrap();
    let at = |frame: i64| time(film.time(frame));
    let told = |frame| {
        let unread = Unread::new(film.length());
        unread.settle(made.find(&unread, at(frame)))
    };
    assert!(made.remembers() && !made.is_in_memory());
    assert!(told(2010).is_none());
    let found = made.find(&film, at(2010)).unwrap();
    assert_eq!(told(2010).unwrap().unwrap(), found);
    assert_eq!(told(2000).unwrap().unwrap(), made.find(&film, at(2000)).unwrap());
    assert!(told(2020).is_none() && told(500).is_none());
    // The attempt did no harm.
    ask(&made, &film, 500);
    ask(&made, &film, 2020);
}

fn searched(bytes: &Vec<u8>) -> TransportStream {
    let file = File::new(bytes).unwrap();
    let core = super::sparse::index(&file, &file.survey().unwrap()).unwrap().unwrap();
    TransportStream { core, read_whole: Once::default() }
}

/// Answers of an index that remembers, to questions in any order, are those of one that was never asked before.
#[track_caller]
fn remembers(bytes: &Vec<u8>, frames: i64) {
    let mut random = random();
    for _ in 0..3 {
        let made = searched(bytes);
        for _ in 0..25 {
            let (from, long) = (time(random(frames * FRAME)), time(random(20 * FRAME)));
            let to = from.checked_add(long);
            let number = random(frames) as u64;
            let fresh = || searched(bytes);
            assert_eq!(made.find(bytes, from).unwrap(), fresh().find(bytes, from).unwrap());
            assert_eq!(made.span(bytes, from, to).unwrap(), fresh().span(bytes, from, to).unwrap());
            assert_eq!(made.frame(bytes, number).unwrap(), fresh().frame(bytes, number).unwrap());
        }
    }
}

#[test]
fn what_is_remembered_is_what_is_found() {
    let wrap = (1 << 33) - 100 * FRAME;
    for (stride, first, size) in [(188, 90_000, 6000), (192, wrap, 9000), (204, 90_000, 90_000)] {
        let mut mux = Mux::new(stride);
        let count = if size > 10_000 { 40 } else { 150 };
        film(&mut mux, first, FRAME, count, size);
        remembers(&mux.bytes, count as i64);
    }
    let mut mux = Mux::new(188);
    fields(&mut mux, 90_000, FRAME, 150);
    remembers(&mux.bytes, 150);
}

#[test]
fn what_is_remembered_without_decoding_times_is_what_is_found() {
    let mut mux = Mux::new(188);
    for k in 0..150_i64 {
        if k % 12 == 0 {
            mux.tables(&[(0x1b, PICTURES, &[])]);
        }
        // I0 P3 B1 B2: decoding times seem to go back.
        let place = k / 4 * 4 + [0, 3, 1, 2][(k % 4) as usize];
        mux.pes(PICTURES, Some(90_000 + place * FRAME), None, &picture(k % 12 == 0, 9000));
    }
    remembers(&mux.bytes, 150);
}

#[test]
fn what_is_remembered_of_a_film_without_places_to_start_is_what_is_found() {
    let mut mux = Mux::new(188);
    mux.tables(&[(0x1b, PICTURES, &[])]);
    for k in 0..150_i64 {
        // Only one in the middle.
        mux.pes(PICTURES, Some(90_000 + k * FRAME), None, &picture(k == 70, 9000));
    }
    remembers(&mux.bytes, 150);
}

/// A value of this type is two films with a hole between them: a download that began anew. Counts what is read.
struct Holed {
    films: [Vec<u8>; 2],
    hole: u64,
    read: AtomicU64,
}

impl Source for Holed {
    fn length(&self) -> u64 {
        self.films[0].length() + self.hole + self.films[1].length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.read.fetch_add(buffer.len() as u64, Relaxed);
        assert!(read < 64 << 20, "the hole is read");
        let second = self.films[0].length() + self.hole;
        let count = (self.length() - offset).min(buffer.len() as u64) as usize;
        buffer[..count].fill(0);
        self.films[0].read_at(&mut buffer[..count], offset)?;
        let before = second.saturating_sub(offset).min(count as u64) as usize;
        self.films[1].read_at(&mut buffer[before..count], offset.saturating_sub(second))?;
        Ok(count)
    }

    fn stored_from(&self, offset: u64) -> u64 {
        let second = self.films[0].length() + self.hole;
        if offset < self.films[0].length() { offset } else { offset.max(second) }
    }
}

#[test]
fn a_hole_is_not_read() {
    let mut films = [Mux::new(188), Mux::new(188)];
    film(&mut films[0], 90_000, FRAME, 100, 3000);
    let written = film(&mut films[1], 90_000 + 100 * FRAME, FRAME, 100, 3000);
    let films = films.map(|mux| mux.bytes);
    let film = Holed { films, hole: (1 << 40) + 33, read: AtomicU64::new(0) };
    let file = File::new(&film).unwrap();
    let core = file.whole(&file.survey().unwrap()).unwrap();
    let made = TransportStream { core, read_whole: Once::default() };
    assert_eq!(made.layout().frames, Some(200));
    let start = written[12].span.start + film.films[0].length() + film.hole;
    let shown = written[12].shown - 90_000;
    assert_eq!(made.find(&film, time(shown)).unwrap().unwrap().frame.span.start, start);
}
