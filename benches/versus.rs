//! What does a byte cost? reelmap beside the file servers found on this machine: the same cached
//! file, each server on the same one core, the load on the other, in alternating rounds.
//!
//! `cargo bench --bench versus -- [--rounds 5] [--sizes 4096,65536,1048576,20971520]
//! [--connections 1,64,1000] [--peers reelmap,nginx] [--log] [--table FILE]`

mod support;

use clap::Parser;
use std::{path::PathBuf, time::Duration};
use support::{
    Rounds,
    load::{Load, film},
    machine, median,
    peers::{Peer, Running},
    percentile,
};

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    of: Rounds,
    /// Lengths of ranges, in bytes
    #[arg(long, value_delimiter = ',', default_value = "4096,65536,1048576,20971520")]
    sizes: Vec<u64>,
    #[arg(long, value_delimiter = ',', default_value = "1,64,1000")]
    connections: Vec<usize>,
    /// Servers to compare [default: all that are installed]
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Length of the file, in MiB
    #[arg(long, default_value_t = 1024)]
    file: u64,
    /// MiB that each server sends a round, at most
    #[arg(long, default_value_t = 4096)]
    volume: u64,
    /// Answers that each server gives a round, at most
    #[arg(long, default_value_t = 60_000)]
    answers: u64,
    /// Seconds that each server is asked a round, at most: one that waits with its answers takes no longer than others
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Write access logs
    #[arg(long)]
    log: bool,
    /// Write the table as tab-separated values
    #[arg(long)]
    table: Option<PathBuf>,
}

/// What one server took for one load.
#[derive(Clone, Copy)]
struct Cost {
    cpu_gib: f64,
    cpu_answer: f64,
    gib_s: f64,
    p50: f64,
    p99: f64,
    anon_kib: f64,
    file_kib: f64,
}

fn main() {
    let options = Options::parse();
    let peers: Vec<Peer> = Peer::ALL
        .into_iter()
        .filter(|peer| options.peers.is_empty() || options.peers.iter().any(|n| n == peer.name()))
        .filter(|peer| peer.version().is_some())
        .collect();
    println!("machine: {}", machine::describe());
    for peer in &peers {
        println!("server:  {}", peer.version().unwrap_or_default());
    }
    println!(
        "rounds:  {}, access logs {}",
        options.of.rounds,
        if options.log { "on" } else { "off" }
    );

    let length = options.file << 20;
    let folder = film(length);
    support::pin(1);

    let mut table = String::from(
        "range\tconnections\tserver\tcpu_s_per_gib\tcpu_us_per_answer\tratio_to_nginx\t\
         gib_per_s\tp50_us\tp99_us\tanon_kib\tfile_kib\n",
    );
    for &connections in &options.connections {
        for &range in &options.sizes {
            let answers = (options.volume << 20) / range;
            let answers = answers.clamp(connections as u64 * 2, options.answers) as usize;
            let mut costs = vec![Vec::new(); peers.len()];
            for round in 0..options.of.rounds {
                for turn in 0..peers.len() {
                    // Each round begins with another server, so that none is always first.
                    let at = (turn + round) % peers.len();
                    let server = Running::start(peers[at], folder.path(), 0, options.log);
                    let load = Load {
                        address: server.address,
                        path: "/film.mp4".into(),
                        length,
                        range,
                        connections,
                        answers,
                        most: Duration::from_secs(options.seconds),
                    };
                    costs[at].push(measure(&server, &load));
                }
            }
            report(&peers, &costs, range, connections, &mut table);
        }
    }
    if let Some(path) = options.table {
        std::fs::write(path, table).unwrap();
    }
}

fn measure(server: &Running, load: &Load) -> Cost {
    Load { answers: load.connections.max(200).min(load.answers), ..load.clone() }.run();
    let before = machine::cpu_seconds(server.pid());
    let outcome = load.run();
    let cpu = machine::cpu_seconds(server.pid()) - before;
    let gib = outcome.bytes as f64 / (1u64 << 30) as f64;
    let (anon, file) = machine::resident_kib(server.pid());
    Cost {
        cpu_gib: cpu / gib,
        cpu_answer: cpu * 1e6 / outcome.answers as f64,
        gib_s: gib / outcome.elapsed.as_secs_f64(),
        p50: percentile(&outcome.first_bytes, 0.50),
        p99: percentile(&outcome.first_bytes, 0.99),
        anon_kib: anon as f64,
        file_kib: file as f64,
    }
}

fn report(peers: &[Peer], costs: &[Vec<Cost>], range: u64, connections: usize, table: &mut String) {
    println!("\n{range} bytes, {connections} connections");
    println!(
        "{:18} {:>9} {:>9} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
        "",
        "cpu s/GiB",
        "us/answer",
        "to nginx",
        "GiB/s",
        "p50 us",
        "p99 us",
        "anon KiB",
        "file KiB"
    );
    let nginx = peers.iter().position(|peer| *peer == Peer::Nginx);
    for (at, peer) in peers.iter().enumerate() {
        let of =
            |figure: fn(&Cost) -> f64| median(&costs[at].iter().map(figure).collect::<Vec<_>>());
        let ratio = nginx.map_or(f64::NAN, |nginx| {
            let rounds = costs[at].iter().zip(&costs[nginx]);
            median(&rounds.map(|(own, theirs)| own.cpu_gib / theirs.cpu_gib).collect::<Vec<_>>())
        });
        println!(
            "{:18} {:9.4} {:9.2} {:8.3} {:8.2} {:9.0} {:9.0} {:9.0} {:9.0}",
            peer.name(),
            of(|c| c.cpu_gib),
            of(|c| c.cpu_answer),
            ratio,
            of(|c| c.gib_s),
            of(|c| c.p50),
            of(|c| c.p99),
            of(|c| c.anon_kib),
            of(|c| c.file_kib),
        );
        *table += &format!(
            "{range}\t{connections}\t{}\t{:.5}\t{:.3}\t{ratio:.4}\t{:.3}\t{:.0}\t{:.0}\t{:.0}\t{:.0}\n",
            peer.name(),
            of(|c| c.cpu_gib),
            of(|c| c.cpu_answer),
            of(|c| c.gib_s),
            of(|c| c.p50),
            of(|c| c.p99),
            of(|c| c.anon_kib),
            of(|c| c.file_kib),
        );
    }
}
