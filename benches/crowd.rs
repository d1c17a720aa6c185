//! What does a crowd cost? Ten thousand connections that have had one answer and are idle, then as
//! many that each read a film at 100 kB/s from a place of their own: memory a connection,
//! processor time, and clients that got no byte for two seconds. nginx beside it.
//!
//! `cargo bench --bench crowd -- [--connections 10000] [--seconds 20] [--peers reelmap,nginx]`

mod support;

use clap::Parser;
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};
use support::{
    load::film,
    machine,
    peers::{Peer, Running},
};

#[derive(Parser)]
struct Options {
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Seconds that each client reads for
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// What each reads, in bytes a second
    #[arg(long, default_value_t = 100_000)]
    rate: usize,
    #[arg(long, value_delimiter = ',', default_value = "reelmap,nginx")]
    peers: Vec<String>,
    /// What `cargo bench` passes
    #[arg(long, hide = true)]
    bench: bool,
}

/// How often each client reads.
const BEAT: Duration = Duration::from_millis(250);
const STALL: Duration = Duration::from_secs(2);
const LENGTH: u64 = 1 << 30;

fn main() {
    let options = Options::parse();
    println!("machine: {}", machine::describe());
    support::raise_descriptors();
    let folder = film(LENGTH);
    println!(
        "{:10} {:>14} {:>19} {:>12} {:>12} {:>8} {:>14}",
        "", "idle KiB each", "streaming KiB each", "cpu s", "cpu s/GiB", "stalls", "longest gap s"
    );
    for peer in Peer::ALL {
        if options.peers.iter().any(|name| name == peer.name()) && peer.version().is_some() {
            crowd(peer, &options, folder.path());
        }
    }
}

fn crowd(peer: Peer, options: &Options, root: &std::path::Path) {
    let server = Running::start(peer, root, 0, false);
    let anonymous = || machine::resident_kib(server.pid()).0 as f64;
    // One answer first: what every server sets up once is not a connection's.
    drop(visitor(&server));
    let before = anonymous();
    let mut crowd: Vec<TcpStream> = (0..options.connections).map(|_| visitor(&server)).collect();
    let each = |kib: f64| (kib - before) / options.connections as f64;
    let idle = each(anonymous());

    let cpu = machine::cpu_seconds(server.pid());
    let step = LENGTH / 2 / options.connections as u64;
    for (at, stream) in crowd.iter_mut().enumerate() {
        let start = at as u64 * step;
        write!(stream, "GET /film.mp4 HTTP/1.1\r\nHost: crowd\r\nRange: bytes={start}-\r\n\r\n")
            .unwrap();
        stream.set_nonblocking(true).unwrap();
    }
    let mut sink = vec![0; options.rate];
    let portion = (options.rate as f64 * BEAT.as_secs_f64()) as usize;
    let begun = Instant::now();
    let mut fed = vec![begun; crowd.len()];
    let (mut received, mut stalls, mut longest, mut streaming) = (0u64, 0, Duration::ZERO, 0f64);
    let mut beat = 0;
    while begun.elapsed() < Duration::from_secs(options.seconds) {
        let now = Instant::now();
        for (stream, fed) in crowd.iter().zip(&mut fed) {
            match recv(stream, &mut sink[..portion], RecvFlags::TRUNC) {
                Ok((_, 0)) => panic!("{} closed a connection", peer.name()),
                Ok((_, read)) => {
                    received += read as u64;
                    *fed = now;
                }
                Err(Errno::AGAIN) => {
                    let gap = now - *fed;
                    longest = longest.max(gap);
                    if gap > STALL {
                        stalls += 1;
                        *fed = now;
                    }
                }
                Err(error) => panic!("receiving failed: {error}"),
            }
        }
        streaming = streaming.max(each(anonymous()));
        beat += 1;
        let next = begun + BEAT * beat;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let cpu = machine::cpu_seconds(server.pid()) - cpu;
    println!(
        "{:10} {idle:14.2} {streaming:19.2} {cpu:12.2} {:12.3} {stalls:8} {:14.2}   ({:.0} MB/s)",
        peer.name(),
        cpu / (received as f64 / (1u64 << 30) as f64),
        longest.as_secs_f64(),
        received as f64 / 1e6 / begun.elapsed().as_secs_f64(),
    );
}

/// A connection that has had one short answer.
fn visitor(server: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"GET /film.mp4 HTTP/1.1\r\nHost: crowd\r\nRange: bytes=0-0\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut some = [0; 1024];
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") || answer.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut some).unwrap();
        assert!(read > 0, "no answer");
        answer.extend_from_slice(&some[..read]);
    }
    stream
}
