//! How long a client waits for the first byte of an answer, alone and beside others who stream.
#![allow(dead_code)] // Each test uses a part.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a client waits for bytes before its test fails: far more than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `requests` times for `length` bytes of `path`, each time from another place in its first
/// `whole` bytes, on one connection, and tells how long each first byte took; asks no more when `patience` is over. An
/// answer that doesn't come counts as one that took as long as was waited for it, and is the last.
pub fn times(
    address: SocketAddr,
    path: &str,
    whole: u64,
    length: u64,
    requests: u64,
    patience: Duration,
) -> Vec<Duration> {
    let mut stream = connect(address);
    let mut buffer = vec![0; 256 * 1024];
    let mut once = |number: u64| -> (Duration, bool) {
        let start = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (whole - length);
        let end = start + length - 1;
        let asked = Instant::now();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: test\r\nRange: bytes={start}-{end}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let begun = stream.read(&mut buffer);
        let time = asked.elapsed();
        let mut got = match begun {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (time, false),
            begun => begun.unwrap(),
        };
        let head = loop {
            if let Some(at) = buffer[..got].windows(4).position(|four| four == b"\r\n\r\n") {
                break at as u64 + 4;
            }
            got += stream.read(&mut buffer[got..]).unwrap();
        };
        assert!(buffer.starts_with(b"HTTP/1.1 206"), "{}", String::from_utf8_lossy(&buffer[..got]));
        let mut left = head + length - got as u64;
        while left > 0 {
            match stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return (time, false),
                read => left -= read.ok().filter(|read| *read > 0).expect("the rest") as u64,
            }
        }
        (time, true)
    };
    let begun = Instant::now();
    let mut times = Vec::new();
    for number in 0..requests {
        let (time, answered) = once(number);
        times.push(time);
        if !answered || begun.elapsed() >= patience {
            break;
        }
    }
    times
}

/// The value below which `percent` of `times` lie.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * percent / 100]
}

/// A value of this type is clients that each stream a file; dropped, they leave.
pub struct Streams {
    sockets: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
    received: Arc<AtomicU64>,
}

impl Streams {
    /// One client for each of `paths`.
    pub fn start(address: SocketAddr, paths: impl IntoIterator<Item = String>) -> Streams {
        let received = Arc::new(AtomicU64::new(0));
        let (mut sockets, mut threads) = (Vec::new(), Vec::new());
        for path in paths {
            let mut stream = connect(address);
            // A stream may stand still for as long as it has to.
            stream.set_read_timeout(None).unwrap();
            sockets.push(stream.try_clone().unwrap());
            let received = received.clone();
            threads.push(thread::spawn(move || {
                let mut buffer = vec![0; 256 * 1024];
                let head = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
                if stream.write_all(head.as_bytes()).is_err() {
                    return;
                }
                while let Ok(read) = stream.read(&mut buffer) {
                    if read == 0 {
                        break;
                    }
                    received.fetch_add(read as u64, Relaxed);
                }
            }));
        }
        Streams { sockets, threads, received }
    }

    /// Bytes that came in, of all.
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Whether each still waits for more.
    pub fn all_go_on(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        for socket in &self.sockets {
            let _ = socket.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}
