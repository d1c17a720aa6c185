//! How long does the first answer about a file take, how much of the file does it read, how much memory does the
//! index hold, and how many answers a second come from it on one core?  `cargo bench --bench index -- FILE...`
//! Of an index that remembers what it was asked the last is told twice: at first, and when it was asked for all of the film.
//!
//! Times are the thread's own: what other programs take of the machine isn't counted. `benches/index.sh` makes long
//! files and compares with what others take.

#[path = "../tests/support/allocator.rs"]
mod allocator;

use allocator::{HELD, PEAK, own_time};
use reelmap::media::{self, Index, Source, Time};
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

/// First answers measured; the median is told.
const OPENS: usize = 31;
/// Answers from the index: as many as fit into that many seconds of the thread's own time.
const SECONDS: f64 = 2.0;

fn measure(path: &str) -> Result<String, media::Error> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let source = OnDisk { file, length, reads: 0.into(), bytes: 0.into() };
    let mut random = random();
    let mut index = media::open(&source)?;
    let end = index.duration().unwrap_or(Time::ZERO);
    let mut somewhere = || {
        let ticks = (i128::from(end.ticks) * i128::from(random() >> 32)) >> 32;
        Time::new(ticks as i64, end.scale)
    };
    let (mut times, mut peak, mut most) = (Vec::new(), 0, (0, 0));
    for _ in 0..OPENS {
        drop(index);
        let held = HELD.load(Relaxed);
        PEAK.store(held, Relaxed);
        source.reads.store(0, Relaxed);
        source.bytes.store(0, Relaxed);
        let begun = own_time();
        index = media::open(&source)?;
        black_box(index.find(&source, somewhere())?);
        times.push((own_time() - begun).as_secs_f64() * 1e3);
        peak = peak.max(PEAK.load(Relaxed) - held);
        most = most.max((source.bytes.load(Relaxed), source.reads.load(Relaxed)));
    }
    times.sort_by(f64::total_cmp);
    let rate = |index: &dyn Index, somewhere: &mut dyn FnMut() -> Time| {
        let (begun, mut answers) = (own_time().as_secs_f64(), 0.0);
        while own_time().as_secs_f64() - begun < SECONDS {
            for _ in 0..100 {
                black_box(index.find(&source, somewhere())?);
            }
            answers += 100.0;
        }
        Ok::<_, media::Error>(answers / (own_time().as_secs_f64() - begun) / 1e6)
    };
    let light = index.weight();
    let mut rates = format!("{:.3} million answers a second", rate(&*index, &mut somewhere)?);
    if index.remembers() {
        // Backwards, so that each group of pictures is read at once.
        let frame = index.main_track().frame_rate.and_then(|rate| rate.time_of(1));
        let frame = frame.unwrap_or(Time::new(1, 25));
        let mut asked = Some(end);
        while let Some(time) = asked.and_then(|asked| asked.checked_sub(frame)) {
            if index.find(&source, time)?.is_none() && time.is_negative() {
                break;
            }
            asked = Some(time);
        }
        source.reads.store(0, Relaxed);
        let known = rate(&*index, &mut somewhere)?;
        let (reads, held) = (source.reads.load(Relaxed), index.weight() as f64 / 1048576.0);
        rates += &format!("; when all was asked {known:.3} with {reads} reads, {held:.2} MiB held");
    }
    let mib = |bytes: f64| bytes / 1048576.0;
    Ok(format!(
        "first answer in {:.2} ms (median of {OPENS}, {:.2} to {:.2}), at most {} reads of {:.2} MiB; \
         {:.2} MiB held, {:.2} MiB at most; then {rates}",
        times[OPENS / 2],
        times[0],
        times[OPENS - 1],
        most.1,
        mib(most.0 as f64),
        mib(light as f64),
        mib(peak as f64)
    ))
}

/// xorshift: the same places on every run.
fn random() -> impl FnMut() -> u64 {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    }
}
