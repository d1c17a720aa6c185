//! Broken files: every reader, on files changed thousands of times by structure and by byte, answers or refuses.
//! It never panics and never holds more than 64 MiB.
//!
//! The seeds are fixtures/ and the folder that REELMAP_SEEDS names; REELMAP_TRIES says how often each is changed.
//! What the slowest try took, in time of its own thread, is printed and not asserted. The whole run, as it's meant:
//!
//!     RUSTFLAGS="-C overflow-checks=on" REELMAP_TRIES=5000 cargo test --release --test media_mutation -- --nocapture

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/questions.rs"]
mod questions;

use allocator::{HELD, PEAK, own_time};
use reelmap::media;
use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

const MOST_HEAP: usize = 64 << 20;

/// xorshift: the same changes on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }

    /// A number that readers stumble over.
    fn number(&mut self) -> u32 {
        let odd = [
            0,
            1,
            2,
            7,
            8,
            9,
            15,
            16,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_fffe,
            u32::MAX,
            1 << 24,
            1 << 30,
        ];
        match self.below(4) {
            0 => self.below(u32::MAX as usize) as u32,
            1 => self.below(1000) as u32,
            _ => odd[self.below(odd.len())],
        }
    }
}

/// Places worth changing, and how long what begins there is: boxes, elements or packets.
fn places(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    if bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        elements(bytes, 0, bytes.len(), &mut found);
    } else if let Some(step) = [188, 192].into_iter().find(|step| are_packets(bytes, *step)) {
        found.extend((0..bytes.len() / step).map(|number| (number * step, step)));
    } else {
        boxes(bytes, 0, bytes.len(), 0, &mut found);
    }
    found
}

fn are_packets(bytes: &[u8], step: usize) -> bool {
    (0..5).all(|number| bytes.get(number * step + step - 188) == Some(&0x47))
}

/// Elements of Matroska, to any depth.
fn elements(bytes: &[u8], mut at: usize, end: usize, found: &mut Vec<(usize, usize)>) {
    const MASTERS: [u32; 11] = [
        0x1853_8067,
        0x114d_9b74,
        0x1549_a966,
        0x1654_ae6b,
        0x1f43_b675,
        0x1c53_bb6b,
        0x1254_c367,
        0x4dbb,
        0xae,
        0xa0,
        0xbb,
    ];
    let number = |at: usize| -> Option<(usize, usize)> {
        let length = bytes.get(at)?.leading_zeros() as usize + 1;
        let all = bytes.get(at..at + length)?.iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
        (length <= 8).then_some((all, length))
    };
    while at < end {
        let Some((id, head)) = number(at) else { return };
        let Some((size, length)) = number(at + head) else { return };
        let body = at + head + length;
        let size = (size & ((1 << (7 * length)) - 1)).min(end.saturating_sub(body));
        found.push((at, body - at + size));
        if u32::try_from(id).is_ok_and(|id| MASTERS.contains(&id)) {
            elements(bytes, body, body + size, found);
        }
        at = body + size;
    }
}

/// The headers and heads of boxes, to any depth.
fn boxes(bytes: &[u8], start: usize, end: usize, depth: u8, found: &mut Vec<(usize, usize)>) {
    let mut at = start;
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        let size = match u32::from_be_bytes([a, b, c, d]) as usize {
            0 => end - at,
            1 => bytes
                .get(at + 8..at + 16)
                .map_or(0, |long| long.iter().fold(0, |n, &b| n << 8 | usize::from(b))),
            size => size,
        };
        if size < 8 || at.saturating_add(size) > end || !kind.iter().all(u8::is_ascii_graphic) {
            return;
        }
        found.push((at, size));
        let holders: [&[u8]; 12] = [
            b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex",
            b"tref", b"mfra", b"udta",
        ];
        if depth < 8 && holders.contains(&kind) {
            boxes(bytes, at + 8, at + size, depth + 1, found);
        }
        at += size;
    }
}

fn put(bytes: &mut [u8], at: usize, number: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&number.to_be_bytes());
    }
}

fn change(seed: &[u8], places: &[(usize, usize)], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(3) {
        let kind = if places.is_empty() { dice.below(4) } else { dice.below(12) };
        let (at, size) = places.get(dice.below(places.len())).copied().unwrap_or_default();
        match kind {
            0 => bytes.truncate(dice.below(bytes.len())),
            1 | 2 => {
                // Most of what can be told is told near the start or the end.
                let reach = [64, 1024, 8192, bytes.len()][dice.below(4)].min(bytes.len());
                let from = if dice.below(2) == 0 { 0 } else { bytes.len() - reach };
                for _ in 0..=dice.below(8) {
                    let at = from + dice.below(reach);
                    let byte = dice.below(256) as u8;
                    bytes.get_mut(at).into_iter().for_each(|place| *place = byte);
                }
            }
            3 => {
                let at = dice.below(bytes.len());
                let number = dice.number();
                put(&mut bytes, at, number);
            }
            4 => {
                let number = dice.number();
                put(&mut bytes, at, number);
            }
            5 => {
                let by = dice.below(17) as u32;
                put(&mut bytes, at, (size as u32).wrapping_add(by).wrapping_sub(8));
            }
            6 => {
                // A box of another kind.
                let (other, _) = places[dice.below(places.len())];
                if let Some(kind) = seed.get(other + 4..other + 8) {
                    put(
                        &mut bytes,
                        at + 4,
                        u32::from_be_bytes([kind[0], kind[1], kind[2], kind[3]]),
                    );
                }
            }
            7 if at + size <= bytes.len() => {
                bytes.drain(at..at + size);
            }
            8 if at + size <= bytes.len() && size < 1 << 20 => {
                let twice = bytes[at..at + size].to_vec();
                bytes.splice(at..at, twice);
            }
            // The first numbers in a box: version and flags, counts, clocks, first entries.
            _ => {
                let at = at + 8 + 4 * dice.below(8.min(size / 4));
                let number = dice.number();
                put(&mut bytes, at, number);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// Whether the file has an index.
fn ask(bytes: &Vec<u8>) -> bool {
    let Ok(index) = media::open(bytes) else { return false };
    questions::ask(index.as_ref(), bytes);
    true
}

fn seeds() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let more = std::env::var_os("REELMAP_SEEDS").map(PathBuf::from);
    let folders = [Some(own), more].into_iter().flatten();
    let files = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut files: Vec<PathBuf> =
        files.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[test]
fn changed_files_are_answered_or_refused() {
    let tries: u64 =
        std::env::var("REELMAP_TRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    for path in seeds() {
        let Ok(seed) = std::fs::read(&path) else { continue };
        if seed.len() > 4 << 20 || !ask(&seed) {
            continue;
        }
        let places = places(&seed);
        let (mut slowest, mut heaviest, mut answered) = (Duration::ZERO, 0, 0);
        for number in 0..tries {
            let mut dice =
                Dice(0x9e37_79b9_7f4a_7c15 ^ (number + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
            let bytes = change(&seed, &places, &mut dice);
            let before = HELD.load(Relaxed);
            PEAK.store(before, Relaxed);
            let begun = own_time();
            answered += u64::from(ask(&bytes));
            slowest = slowest.max(own_time().saturating_sub(begun));
            heaviest = heaviest.max(PEAK.load(Relaxed).saturating_sub(before));
            assert!(
                heaviest <= MOST_HEAP,
                "{}: try {number} took {heaviest} bytes of heap",
                path.display()
            );
        }
        let name = path.file_name().unwrap_or_default().display();
        println!(
            "{name}: {tries} tries, {answered} answered; slowest {slowest:.1?}, most heap {} KiB",
            heaviest >> 10
        );
    }
}
