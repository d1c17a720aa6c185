//! Films that are made so that looking through them takes long.

use super::made::{
    Film, cluster, element, file, header, info, master, number, simple, tag, tracks, unknown,
};
use super::{Map, Matroska, ids};
use crate::media::{Index, Source, Time};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A value of this type is a file with a hole behind its bytes; it counts the bytes that are read.
struct Holed {
    bytes: Vec<u8>,
    length: u64,
    read: AtomicU64,
}

impl Holed {
    fn new(bytes: Vec<u8>, length: u64) -> Holed {
        Holed { bytes, length, read: AtomicU64::new(0) }
    }

    /// How much is read by `work`.
    fn reads(&self, work: impl FnOnce()) -> u64 {
        let before = self.read.load(Relaxed);
        work();
        self.read.load(Relaxed) - before
    }
}

impl Source for Holed {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let count = self.length.saturating_sub(offset).min(buffer.len() as u64);
        self.read.fetch_add(count, Relaxed);
        buffer[..count as usize].fill(0);
        self.bytes.read_at(&mut buffer[..count as usize], offset)?;
        Ok(count as usize)
    }

    fn stored_from(&self, offset: u64) -> u64 {
        if offset < self.bytes.length() { offset } else { self.length }
    }
}

#[test]
fn a_hole_behind_a_film_is_not_read() {
    let bytes =
        [header("webm"), unknown(ids::SEGMENT, &[info(1_000_000, None), tracks()])].concat();
    let blocks: Vec<_> = (0..50).map(|k| simple(1, k * 40, true)).collect();
    let film = Holed::new([bytes, cluster(0, &blocks)].concat(), 1 << 50);
    let read = film.reads(|| {
        let index = Matroska::open(&film, u64::MAX).unwrap();
        assert_eq!(index.layout().frames, Some(50));
    });
    assert!(read < 8 << 20, "{read} bytes");
}

#[test]
fn elements_that_many_seeks_lead_into_are_read_once() {
    let told = tag(None, "TIMECODE", "01:00:00:00").repeat(4000);
    // Each a Tags element, whose header is what a Void element holds in the one before.
    let overlapping = (0..50).fold(told, |inside, _| {
        let within = element(ids::TAGS, &inside);
        [vec![0xEC, 0x8C], within].concat()
    });
    let seek = |position: u64| {
        let parts =
            [element(ids::SEEK_ID, &ids::TAGS.to_be_bytes()), number(ids::SEEK_POSITION, position)];
        master(ids::SEEK, &parts)
    };
    let head = |at: u64| {
        // The headers are twelve bytes long, those of the Void elements two.
        let seeks: Vec<_> = (0..50).map(|number| seek(at + 2 + 14 * number)).collect();
        let cluster = cluster(0, &[simple(1, 0, true)]);
        [master(ids::SEEK_HEAD, &seeks), info(1_000_000, None), tracks(), cluster].concat()
    };
    let at = head(0).len() as u64;
    let bytes = file(&[head(at), overlapping]);
    let film = Holed::new(bytes.clone(), bytes.length());
    let read = film.reads(|| drop(Matroska::open(&film, u64::MAX).unwrap()));
    assert!(read < 3 * film.length(), "{read} of {}", film.length());
    assert!(film.length() > 200_000);
}

#[test]
fn where_no_sync_sample_is_is_looked_at_once() {
    // Key frames in the first group alone.
    let mut film = Film { groups: 600, has_cues: false, cluster: Some(12), ..Film::default() };
    film.keys = Some(1);
    let bytes = film.bytes();
    let film = Holed::new(bytes.clone(), bytes.length());
    let index = Matroska::open(&film, 0).unwrap();
    let Map::Sparse { sparse, .. } = &index.map else { panic!("it was walked") };
    sparse.forget();
    let find = |millis| {
        let found = index.find(&film, Time::new(millis, 1000)).unwrap().unwrap();
        assert_eq!((found.sync.time, found.later), (Time::ZERO, false));
    };
    let first = film.reads(|| find(250_000));
    let second = film.reads(|| find(249_000));
    assert!(second < first / 20, "{second} after {first}");
}
