//! What does an audience cost? One encoder sends a stream at a steady rate, and many readers follow it:
//! how long a byte takes from being sent to having arrived at each of them, how far behind the last one
//! ever is, and what that takes of the processor and of memory.
//!
//! `cargo bench --bench live -- [--readers 1000] [--kbit 4000] [--seconds 60]`

mod support;

use clap::Parser;
use rustix::{
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    io::Errno,
    net::{RecvFlags, recv},
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use support::{machine, peers::Running, percentile};

#[derive(Clone, Parser)]
struct Options {
    #[arg(long, default_value_t = 1000)]
    readers: usize,
    /// The stream's rate, in kbit/s
    #[arg(long, default_value_t = 4000)]
    kbit: u64,
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// What `cargo bench` passes
    #[arg(long, hide = true)]
    bench: bool,
}

/// How often the encoder sends: a picture's time.
const BEAT: Duration = Duration::from_millis(40);

/// How far behind a reader may be.
const LATE: Duration = Duration::from_secs(2);

fn main() {
    let options = Options::parse();
    println!("machine: {}", machine::describe());
    support::raise_descriptors();
    let root = tempfile::tempdir().unwrap();
    // All cores are for both: the readers take their share.
    let server = Running::start_as("reelmap", "0-1", |_, at| {
        let reelmap = env!("CARGO_BIN_EXE_reelmap");
        let root = root.path().display();
        let line = format!(
            "{reelmap} serve {root} --listen {at} --ingest . --access-log off --log-level error"
        );
        line.split_whitespace().map(str::to_owned).collect()
    });
    let piece = (options.kbit * 1000 / 8) as usize * BEAT.as_millis() as usize / 1000;
    let sent = Arc::new(Mutex::new(Vec::<Instant>::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut encoder = TcpStream::connect(server.address).unwrap();
    encoder.set_nodelay(true).unwrap();
    write!(encoder, "PUT /cam.ts HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let sending = thread::spawn({
        let (sent, stop) = (sent.clone(), stop.clone());
        move || send(encoder, piece, &sent, &stop)
    });
    while sent.lock().unwrap().len() < 5 {
        thread::sleep(BEAT);
    }
    let before = machine::resident_kib(server.pid()).0;
    let crowd: Vec<_> = (0..options.readers).map(|_| follow(server.address)).collect();
    let cpu = machine::cpu_seconds(server.pid());
    let measured = watch(crowd, piece, &sent, Duration::from_secs(options.seconds));
    let cpu = machine::cpu_seconds(server.pid()) - cpu;
    let memory = machine::resident_kib(server.pid()).0.saturating_sub(before);
    let ways = ways(server.address);
    stop.store(true, Relaxed);
    sending.join().unwrap();
    let Measured { delays, longest, late, received } = measured;
    println!("{} readers of {} kbit/s for {} s:", options.readers, options.kbit, options.seconds);
    println!(
        "  from sent to arrived: p50 {:.1} ms, p99 {:.1} ms, longest {:.0} ms; more than 2 s: {late}",
        percentile(&delays, 0.5),
        percentile(&delays, 0.99),
        longest.as_secs_f64() * 1000.0,
    );
    println!(
        "  server: {:.1} % of one core, {:.2} s/GiB, {:.1} KiB of memory a reader",
        cpu / options.seconds as f64 * 100.0,
        cpu / (received as f64 / f64::from(1 << 30)),
        memory as f64 / options.readers as f64,
    );
    println!("  body bytes: {received} arrived; {ways}");
}

/// Sends a piece each beat, and notes when.
fn send(mut encoder: TcpStream, piece: usize, sent: &Mutex<Vec<Instant>>, stop: &AtomicBool) {
    let bytes = vec![0x47; piece];
    let begun = Instant::now();
    let mut beat = 0;
    while !stop.load(Relaxed) {
        let chunk = [format!("{piece:x}\r\n").as_bytes(), &bytes, b"\r\n"].concat();
        sent.lock().unwrap().push(Instant::now());
        encoder.write_all(&chunk).unwrap();
        beat += 1;
        thread::sleep((begun + BEAT * beat).saturating_duration_since(Instant::now()));
    }
}

/// A reader that has had the head of its answer. HTTP/1.0, so that what follows is the stream itself.
fn follow(address: SocketAddr) -> (TcpStream, u64) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /cam.ts HTTP/1.0\r\n\r\n").unwrap();
    let (mut head, mut some) = (Vec::new(), [0; 4096]);
    let end = loop {
        let read = stream.read(&mut some).unwrap();
        assert!(read > 0, "no answer");
        head.extend_from_slice(&some[..read]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    stream.set_nonblocking(true).unwrap();
    (stream, (head.len() - end) as u64)
}

struct Measured {
    /// Of each piece at each reader, in milliseconds.
    delays: Vec<f64>,
    longest: Duration,
    /// Pieces that took longer than they may.
    late: u64,
    received: u64,
}

fn watch(
    mut crowd: Vec<(TcpStream, u64)>,
    piece: usize,
    sent: &Mutex<Vec<Instant>>,
    time: Duration,
) -> Measured {
    let poll = epoll::create(CreateFlags::CLOEXEC).unwrap();
    for (at, (stream, _)) in crowd.iter().enumerate() {
        epoll::add(&poll, stream, EventData::new_u64(at as u64), EventFlags::IN).unwrap();
    }
    let mut sink = vec![0; 1 << 20];
    let mut events = Vec::<Event>::with_capacity(1024);
    // What was sent while the readers came is not counted.
    let from = sent.lock().unwrap().len() as u64;
    let begun = Instant::now();
    let mut measured =
        Measured { delays: Vec::new(), longest: Duration::ZERO, late: 0, received: 0 };
    while begun.elapsed() < time {
        events.clear();
        let patience = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&patience)).unwrap();
        for event in &events {
            let at = event.data.u64() as usize;
            let (stream, position) = &mut crowd[at];
            let read = match recv(&*stream, &mut sink[..], RecvFlags::TRUNC) {
                Ok((_, 0)) => panic!("a reader was cut"),
                Ok((_, read)) => read as u64,
                Err(Errno::AGAIN) => continue,
                Err(error) => panic!("receiving failed: {error}"),
            };
            let now = Instant::now();
            let (first, last) = (*position / piece as u64, (*position + read) / piece as u64);
            *position += read;
            measured.received += read;
            for number in first.max(from)..last {
                let delay = now - sent.lock().unwrap()[number as usize];
                measured.delays.push(delay.as_secs_f64() * 1000.0);
                measured.longest = measured.longest.max(delay);
                measured.late += u64::from(delay > LATE);
            }
        }
    }
    // Who got nothing at the end is late, too.
    let now = Instant::now();
    for (_, position) in &crowd {
        let waits =
            sent.lock().unwrap().get((*position / piece as u64) as usize).map(|at| now - *at);
        measured.longest = measured.longest.max(waits.unwrap_or_default());
        measured.late += u64::from(waits.is_some_and(|waits| waits > LATE));
    }
    measured
}

/// How the body bytes left, as the server counts them.
fn ways(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /-/metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let lines = page.lines().filter_map(|line| line.strip_prefix("reelmap_sent_bytes_total{way="));
    lines.map(|line| line.replace('}', "")).collect::<Vec<_>>().join(", ")
}
