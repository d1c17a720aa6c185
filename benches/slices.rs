//! What does a chunk of a film cost inside the server, copied and borrowed? The four figures of
//! *Effective Python*, item 74, and the way of a whole request beside them. A film of 100 MiB.
//!
//! `cargo bench --bench slices`, and `python3 benches/slices.py` for the other column.

use divan::{Bencher, black_box};
use http::{HeaderMap, HeaderValue, header::RANGE};
use reelmap::{
    plan::{Method, Part, Representation, content_type, plan},
    store::{Cache, Disks, Found, Root, root::Place},
};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    time::SystemTime,
};

const MIB: usize = 1024 * 1024;
const FILM: usize = 100 * MIB;
/// What a player asks for, and where.
const CHUNK: usize = 20 * MIB;
const AT: usize = 1_234;
/// What arrives of a stream at once, and where it belongs.
const RECEIVED: usize = MIB;
const PLACE: usize = 1_234_567;

fn main() {
    divan::main();
}

fn film() -> Vec<u8> {
    (0..FILM).map(|at| ((at * 31) >> 7) as u8).collect()
}

/// The chunk as bytes of its own.
#[divan::bench]
fn chunk_copied(bencher: Bencher) {
    let film = film();
    bencher.bench_local(|| black_box(&film[AT..AT + CHUNK]).to_vec());
}

/// The chunk as a slice of the mapping.
#[divan::bench]
fn chunk_borrowed(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let cache = served(&folder);
    let asset = opened(&cache);
    let span = AT as u64..(AT + CHUNK) as u64;
    bencher.bench_local(|| asset.slice(black_box(span.clone())));
}

/// The same, from the request's headers on: the range read, the answer's headers made.
#[divan::bench]
fn chunk_planned(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let cache = served(&folder);
    let asset = opened(&cache);
    let identity = asset.identity();
    let representation =
        Representation::new(identity.size, identity.modified(), content_type("film.mp4".as_ref()));
    let mut headers = HeaderMap::new();
    let range = format!("bytes={AT}-{}", AT + CHUNK - 1);
    headers.insert(RANGE, HeaderValue::from_str(&range).unwrap());
    bencher.bench_local(|| {
        let plan = plan(Method::Get, black_box(&headers), &representation, SystemTime::now());
        let spans = plan.parts.clone().filter_map(|part| match part {
            Part::Span(span) => asset.slice(span),
            Part::Bytes(bytes) => Some(bytes),
        });
        (spans.collect::<Vec<_>>(), plan)
    });
}

/// What was received, joined with copies of what lies before and behind it.
#[divan::bench(sample_count = 20)]
fn received_joined(bencher: Bencher) {
    let (film, received) = (film(), vec![7; RECEIVED]);
    bencher
        .bench_local(|| [&film[..PLACE], black_box(&received), &film[PLACE + RECEIVED..]].concat());
}

/// What was received, written where it belongs in the file that readers have mapped.
#[divan::bench]
fn received_in_place(bencher: Bencher) {
    let file: File = tempfile::tempfile().unwrap();
    file.write_all_at(&film(), 0).unwrap();
    let received = vec![7; RECEIVED];
    bencher.bench_local(|| file.write_all_at(black_box(&received), PLACE as u64).unwrap());
}

fn served(folder: &tempfile::TempDir) -> Cache<()> {
    fs::write(folder.path().join("film.mp4"), film()).unwrap();
    Cache::new(Root::open(folder.path()).unwrap(), 1, |_, _| ())
}

fn opened(cache: &Cache<()>) -> std::sync::Arc<reelmap::store::Asset> {
    match cache.find(&Place::new([b"film.mp4".as_slice()]).unwrap(), Disks::All).unwrap() {
        Found::File(opened) => opened.asset.clone(),
        Found::Folder(_) => unreachable!("film.mp4 is a file"),
    }
}
