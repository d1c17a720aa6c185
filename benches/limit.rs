//! How near is it to the least that sending costs? A bare loop of `sendfile`, with no more of HTTP
//! than the load client needs to see, and reelmap: processor time per GiB, in alternating rounds.
//!
//! `cargo bench --bench limit -- [--rounds 7] [--range 20971520] [--connections 64]`

mod support;

use clap::Parser;
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command},
    time::Duration,
};
use support::{
    load::{Load, film},
    machine, median,
    peers::{Peer, Running, free_address, wait_until_up},
};

#[derive(Parser)]
struct Options {
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    #[arg(long, default_value_t = 20 << 20)]
    range: u64,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// GiB that each sends a round
    #[arg(long, default_value_t = 6)]
    volume: u64,
    /// Be the bare server
    #[arg(long, hide = true, num_args = 2)]
    bare: Vec<String>,
    /// What `cargo bench` passes
    #[arg(long, hide = true)]
    bench: bool,
}

const LENGTH: u64 = 1 << 30;

fn main() {
    let options = Options::parse();
    if let [address, path] = &options.bare[..] {
        return serve_bare(address.parse().unwrap(), path.into());
    }
    println!("machine: {}", machine::describe());
    let folder = film(LENGTH);
    support::pin(1);
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let mut rounds = [true, false];
        rounds.rotate_left(round % 2);
        for is_bare in rounds {
            if is_bare {
                let server = Bare::start(&folder.path().join("film.mp4"));
                bare.push(cost(&options, server.address, server.child.id()));
            } else {
                let server = Running::start(Peer::Reelmap, folder.path(), 0, false);
                ours.push(cost(&options, server.address, server.pid()));
            }
        }
    }
    let ratios: Vec<f64> = ours.iter().zip(&bare).map(|(ours, bare)| ours / bare).collect();
    println!("ranges of {} bytes, {} connections", options.range, options.connections);
    println!("bare sendfile {:.4} cpu s/GiB", median(&bare));
    println!("reelmap       {:.4} cpu s/GiB", median(&ours));
    println!("ratio         {:.3} (median of {} rounds)", median(&ratios), ratios.len());
}

fn cost(options: &Options, address: SocketAddr, pid: u32) -> f64 {
    let load = Load {
        address,
        path: "/film.mp4".into(),
        length: LENGTH,
        range: options.range,
        connections: options.connections,
        answers: ((options.volume << 30) / options.range) as usize,
        most: Duration::MAX,
    };
    Load { answers: options.connections, ..load.clone() }.run();
    let before = machine::cpu_seconds(pid);
    let outcome = load.run();
    (machine::cpu_seconds(pid) - before) / (outcome.bytes as f64 / (1u64 << 30) as f64)
}

struct Bare {
    child: Child,
    address: SocketAddr,
}

impl Bare {
    fn start(film: &std::path::Path) -> Bare {
        let address = free_address();
        let own = std::env::current_exe().unwrap();
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(own).arg("--bare").arg(address.to_string()).arg(film);
        let child = command.spawn().expect("taskset (util-linux) starts the servers");
        wait_until_up(address, "the bare loop");
        Bare { child, address }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A thread a connection: read a request, send its range.
fn serve_bare(address: SocketAddr, path: PathBuf) {
    let listener = TcpListener::bind(address).unwrap();
    for stream in listener.incoming() {
        let (stream, film) = (stream.unwrap(), File::open(&path).unwrap());
        std::thread::spawn(move || while send_one(&stream, &film).is_some() {});
    }
}

fn send_one(mut stream: &TcpStream, film: &File) -> Option<()> {
    let mut range = None;
    for line in BufReader::with_capacity(256, stream).lines() {
        let line = line.ok()?;
        if let Some(asked) = line.strip_prefix("Range: bytes=") {
            range = asked.split_once('-').map(|(start, end)| {
                (start.parse::<u64>().unwrap(), end.parse::<u64>().unwrap() + 1)
            });
        } else if line.is_empty() {
            break;
        }
    }
    let (mut offset, end) = range?;
    write!(stream, "HTTP/1.1 206 OK\r\nContent-Length: {}\r\n\r\n", end - offset).ok()?;
    while offset < end {
        let left = (end - offset) as usize;
        if rustix::fs::sendfile(stream, film, Some(&mut offset), left).ok()? == 0 {
            return None;
        }
    }
    Some(())
}
