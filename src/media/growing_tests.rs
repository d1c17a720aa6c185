//! Fixtures that grow: what is told of them before they have ended is what is told of them afterwards.

use super::{Error, Growing, Index, Source, Time, growing::SoFar};
use std::{
    io,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

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

/// A value of this type is a film that is read so often and then no more: as one is whose time has run out.
struct Few<'a>(&'a Part<'a>, AtomicUsize);

impl Source for Few<'_> {
    fn length(&self) -> u64 {
        self.0.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.check()?;
        self.0.read_at(buffer, offset)
    }

    fn check(&self) -> io::Result<()> {
        let less = self.1.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        less.map(|_| ()).map_err(|_| io::Error::other("enough"))
    }
}

/// All that an index tells.
fn told(so_far: &SoFar, film: &Part) -> String {
    let found: Vec<_> = moments(so_far.duration().unwrap())
        .step_by(5)
        .map(|time| so_far.find(film, time).map_err(|error| error.to_string()))
        .collect();
    format!("{:?} {:?} {:?} {found:?}", so_far.duration(), so_far.tracks(), so_far.layout())
}

/// Asks a film that is interrupted at each of its reads, begun anew or gone on with from its first bytes.
#[track_caller]
fn interrupt(name: &str, film: &[u8], first: usize) {
    let (some, all) = (Part::of(film, first), Part::of(film, film.len()));
    for begun in [false, true] {
        let begin = || {
            let mut growing = Growing::default();
            if begun {
                growing.advance(&some).unwrap();
            }
            growing
        };
        let few = |reads: usize| Few(&all, AtomicUsize::new(reads));
        let expected = told(&begin().advance(&all).unwrap(), &all);
        let is_enough = |reads: &usize| begin().advance(&few(*reads)).is_ok();
        for reads in (0..).take_while(|reads| !is_enough(reads)) {
            let mut growing = begin();
            for reads in [reads, reads / 2 + 3] {
                match growing.advance(&few(reads)) {
                    Ok(_) | Err(Error::Io(_)) => {}
                    Err(error) => panic!("{name} after {reads} reads: {error}"),
                }
            }
            let so_far = growing.advance(&all).unwrap();
            assert!(told(&so_far, &all) == expected, "{name} after {reads} reads");
        }
    }
}

#[test]
fn whoever_was_interrupted_goes_on_as_if_nothing_had_been() {
    for name in FILMS {
        let film = fixture(name);
        interrupt(name, &film, film.len() / 3);
    }
}

/// A fragment whose table takes several reads, and that doesn't say when it is shown.
#[test]
fn whoever_was_interrupted_in_a_fragment_takes_each_sample_once() {
    const SAMPLES: u32 = 9000;
    let film = fixture("fragmented.mp4");
    let first = film.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    let boxed = |kind: &[u8; 4], parts: &[Vec<u8>]| {
        let parts = parts.concat();
        [&(parts.len() as u32 + 8).to_be_bytes(), &kind[..], &parts].concat()
    };
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    // Each sample with its duration and its size.
    let run =
        || boxed(b"trun", &[words(&[0x300, SAMPLES]), words(&[20, 1].repeat(SAMPLES as usize))]);
    let traf = boxed(b"traf", &[boxed(b"tfhd", &[words(&[0x2_0000, 1])]), run(), run()]);
    let fragment = [boxed(b"moof", &[traf]), boxed(b"mdat", &[vec![0; 2 * SAMPLES as usize]])];
    let film = [&film[..first], &fragment.concat(), &fragment.concat()].concat();
    interrupt("made", &film, film.len() - 10);
}

/// What is no Matroska, before a cluster in the middle of a film.
fn damaged() -> (Vec<u8>, usize) {
    let film = fixture("no-cues.mkv");
    let cluster = [0x1f, 0x43, 0xb6, 0x75];
    let clusters: Vec<_> = (0..film.len() - 4).filter(|&at| film[at..at + 4] == cluster).collect();
    let middle = clusters[clusters.len() / 2];
    let rubbish = [0, 7].repeat(1_500_000);
    ([&film[..middle], &rubbish, &film[middle..]].concat(), middle)
}

#[test]
fn whoever_was_interrupted_in_damage_goes_on_in_it() {
    let (film, middle) = damaged();
    interrupt("damaged", &film, middle + 400_000);
    interrupt("damaged", &film, middle);
}

#[test]
fn what_was_read_before_an_interruption_is_not_read_again() {
    let empty = [0, 0, 0, 8, b'f', b'r', b'e', b'e'].repeat(1000);
    let boxes = [fixture("fragmented.mp4"), empty].concat();
    let (damaged, _) = damaged();
    for film in [boxes, damaged, fixture("no-cues.mkv")] {
        let all = Part::of(&film, film.len());
        let few = |reads| Few(&all, AtomicUsize::new(reads));
        let one = few(usize::MAX);
        Growing::default().advance(&one).unwrap();
        let whole = usize::MAX - one.1.into_inner();
        let mut growing = Growing::default();
        let ends = (0..6).any(|_| growing.advance(&few(whole / 3)).is_ok());
        assert!(ends, "six tries of {} reads, of {whole}", whole / 3);
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
fn sound_without_a_container_is_asked_when_it_has_ended() {
    let wav = [&b"RIFF\xFF\xFF\xFF\xFFWAVEfmt "[..], &[0; 5000]].concat();
    let part = Part::of(&wav, wav.len());
    let why = Growing::default().advance(&part).err().unwrap().to_string();
    assert!(why.contains("WAV, MP3, ADTS and Ogg are asked when all is there"), "{why}");
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
