//! How long does the first answer about a file take, how much memory does its index hold, and how many answers a
//! second come from it on one core?  `cargo bench --bench index -- FILE...`

#[path = "../tests/support/allocator.rs"]
mod allocator;

use allocator::{HELD, PEAK, own_time};
use reelmap::media::{self, Source, Time};
use std::{
    fs::File,
    hint::black_box,
    io,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

struct OnDisk {
    file: File,
    length: u64,
    reads: AtomicU64,
    bytes: AtomicU64,
}

impl Source for OnDisk {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.fetch_add(1, Relaxed);
        self.bytes.fetch_add(buffer.len() as u64, Relaxed);
        self.file.read_at(buffer, offset)
    }
}

fn main() {
    for path in std::env::args().skip(1).filter(|argument| !argument.starts_with("--")) {
        match measure(&path) {
            Ok(line) => println!("{path}: {line}"),
            Err(error) => println!("{path}: {error}"),
        }
    }
}

/// The clock of a thread's own time may be as coarse as 4 ms: a mean of many.
const OPENS: u32 = 100;

fn measure(path: &str) -> Result<String, media::Error> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let source = OnDisk { file, length, reads: 0.into(), bytes: 0.into() };
    let mut total = 0.0;
    let mut index = media::open(&source)?;
    let (reads, bytes) = (source.reads.load(Relaxed), source.bytes.load(Relaxed));
    let mut peak = 0;
    for _ in 0..OPENS {
        drop(index);
        let before = HELD.load(Relaxed);
        PEAK.store(before, Relaxed);
        let begun = own_time().as_secs_f64();
        index = media::open(&source)?;
        total += own_time().as_secs_f64() - begun;
        peak = PEAK.load(Relaxed) - before;
    }
    let end = index.duration().unwrap_or(Time::ZERO);
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let begun = own_time().as_secs_f64();
    for _ in 0..5 {
        for _ in 0..1_000_000 {
            let ticks = (i128::from(end.ticks) * i128::from(random() >> 32)) >> 32;
            black_box(index.find(&source, Time::new(ticks as i64, end.scale))?);
        }
    }
    let each = (own_time().as_secs_f64() - begun) / 5e6;
    Ok(format!(
        "index in {:.2} ms (mean of {OPENS}), {reads} reads of {:.2} MiB, {:.2} MiB held, {:.2} MiB at most; \
         {:.2} million answers a second",
        total / f64::from(OPENS) * 1e3,
        bytes as f64 / 1048576.0,
        index.weight() as f64 / 1048576.0,
        peak as f64 / 1048576.0,
        1e-6 / each
    ))
}
