//! Who waits for a slow disk? Clients stream films from a disk that takes 50 ms for each read, and
//! another asks for ranges of a film that is in memory: the time to its first byte, alone and
//! beside them, of reelmap and of nginx with and without `aio threads`. Each server has one core
//! and one thread for its connections; the clients and the disk have the other core, of which the one whose time is
//! taken goes first, so that it doesn't wait for them.
//!
//! `cargo bench --bench cold -- [--rounds 5] [--streams 16] [--delay 50] [--range 65536]`; needs
//! /dev/fuse and root.

#[path = "../tests/support/first_byte.rs"]
mod first_byte;
#[path = "../tests/support/slow_disk.rs"]
mod slow_disk;
mod support;

use clap::Parser;
use first_byte::{Streams, times};
use slow_disk::{Pace, SlowDisk};
use std::{
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, Instant},
};
use support::{
    Rounds, machine, median,
    peers::{Peer, Running},
    percentile,
};

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    of: Rounds,
    /// Clients that stream a film each from the slow disk
    #[arg(long, default_value_t = 16)]
    streams: usize,
    /// Milliseconds that the slow disk takes for a read
    #[arg(long, default_value_t = 50)]
    delay: u64,
    /// Length of the warm ranges, in bytes
    #[arg(long, default_value_t = 65_536)]
    range: u64,
    /// Warm requests a round
    #[arg(long, default_value_t = 1000)]
    requests: u64,
}

const PEERS: [Peer; 3] = [Peer::Reelmap, Peer::Nginx, Peer::NginxAio];
const WARM: usize = 64 << 20;
/// What a client can stream of one film; no more than fits into a round.
const SLOW: usize = 256 << 20;
/// So long a round's warm requests may take before the rest of them is spared.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one server did in one round: times to the first byte in microseconds.
struct Round {
    alone: [f64; 3],
    beside: [f64; 3],
    /// Warm requests that were answered beside the streams before the patience was over.
    answered: f64,
    streamed_mib_s: f64,
}

const SHARES: [f64; 3] = [0.50, 0.95, 0.99];

fn main() {
    let options = Options::parse();
    println!("machine: {}", machine::describe());
    let peers: Vec<Peer> = PEERS.into_iter().filter(|peer| peer.version().is_some()).collect();
    for peer in &peers {
        let version = peer.version().unwrap_or_default();
        println!("server:  {} ({version})", peer.name());
    }
    if !peers.contains(&Peer::Nginx) {
        println!("server:  nginx is not installed: there is nothing to compare reelmap with");
    }
    println!(
        "load:    {} streams from a disk of {} ms a read, warm ranges of {} bytes, {} rounds",
        options.streams, options.delay, options.range, options.of.rounds
    );
    pin(1);
    let film = Arc::new(noise(SLOW));
    let mut rounds: Vec<Vec<Round>> = peers.iter().map(|_| Vec::new()).collect();
    for round in 0..options.of.rounds {
        for turn in 0..peers.len() {
            // Each round begins with another server, so that none is always first.
            let at = (turn + round) % peers.len();
            rounds[at].push(measure(peers[at], &film, &options));
        }
    }
    println!("\ntime to first byte in us, median of rounds: alone > beside the streams (ratio)");
    println!(
        "{:18} {:^26} {:^26} {:^26} {:>8} {:>10}",
        "", "p50", "p95", "p99", "requests", "MiB/s slow"
    );
    for (peer, rounds) in peers.iter().zip(&rounds) {
        let of =
            |figure: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
        print!("{:18}", peer.name());
        for at in 0..SHARES.len() {
            let (alone, beside) = (of(&|round| round.alone[at]), of(&|round| round.beside[at]));
            let ratio = of(&|round| round.beside[at] / round.alone[at]);
            print!(" {:26}", format!("{alone:.0} > {beside:.0} ({ratio:.2})"));
        }
        let (answered, streamed) = (of(&|round| round.answered), of(&|round| round.streamed_mib_s));
        println!(" {answered:8} {streamed:10.1}");
    }
}

fn measure(peer: Peer, film: &Arc<Vec<u8>>, options: &Options) -> Round {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("warm.mp4"), &film[..WARM]).unwrap();
    // A new disk each time: what was streamed of the last one is in memory.
    let names: Vec<_> = (0..options.streams).map(|number| format!("{number}.mp4")).collect();
    let films: Vec<_> = names.iter().map(|name| (name.as_str(), film.clone())).collect();
    let pace = Pace { read: Duration::from_millis(options.delay), ..Pace::SLOW_READS };
    let _disk = SlowDisk::mount(folder.path().join("slow"), pace, &films);
    let server = Running::start(peer, folder.path(), 0, false);
    let ask = || {
        let (whole, patience) = (WARM as u64, PATIENCE);
        let at = server.address;
        prefer(-20);
        let times = times(at, "/warm.mp4", whole, options.range, options.requests, patience);
        prefer(0);
        times
    };
    ask();
    let alone = figures(&ask());
    let streams = Streams::start(server.address, names.iter().map(|name| format!("/slow/{name}")));
    while streams.received() == 0 {
        std::thread::yield_now();
    }
    let (begun, before) = (Instant::now(), streams.received());
    let beside = ask();
    let streamed = (streams.received() - before) as f64 / f64::from(1 << 20);
    assert!(streams.all_go_on(), "the films were too short for the warm requests");
    let streamed_mib_s = streamed / begun.elapsed().as_secs_f64();
    Round { alone, beside: figures(&beside), answered: beside.len() as f64, streamed_mib_s }
}

fn figures(times: &[Duration]) -> [f64; 3] {
    let micros: Vec<_> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    SHARES.map(|share| percentile(&micros, share))
}

/// Bytes of no pattern.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(next).collect()
}

/// This thread goes before the others of its core, or no more so.
fn prefer(nice: i32) {
    rustix::process::setpriority_process(None, nice).expect("root may go first");
}

fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set).expect("a machine of two cores");
}
