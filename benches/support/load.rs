//! A load of range requests from one thread, which throws bodies away inside the kernel
//! (`recv` with MSG_TRUNC), so that it isn't the limit.

use rustix::{
    buffer::spare_capacity,
    event::epoll,
    io::Errno,
    net::{RecvFlags, recv},
};
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    net::{SocketAddr, TcpStream},
    os::{fd::AsFd, unix::fs::PermissionsExt},
    time::{Duration, Instant},
};

/// A value of this type is what is asked of a server.
#[derive(Clone, Debug)]
pub struct Load {
    pub address: SocketAddr,
    pub path: String,
    /// Length of the file, in bytes.
    pub length: u64,
    /// Length of each range, in bytes.
    pub range: u64,
    pub connections: usize,
    /// Answers after which the load ends.
    pub answers: usize,
    /// How long it goes on asking at most.
    pub most: Duration,
}

/// A value of this type is what came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub answers: usize,
    /// Body bytes.
    pub bytes: u64,
    pub elapsed: Duration,
    /// From each request to the first byte of its answer, in microseconds.
    pub first_bytes: Vec<f64>,
}

/// A folder with a `film.mp4` of `length` bytes without holes, in the page cache.
pub fn film(length: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let film = File::create(folder.path().join("film.mp4")).unwrap();
    let mut film = BufWriter::with_capacity(1 << 20, film);
    let mut state = 1u64;
    for _ in 0..length / 8 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        film.write_all(&state.to_le_bytes()).unwrap();
    }
    film.flush().unwrap();
    folder
}

struct Client {
    stream: TcpStream,
    asked: Instant,
    /// What has come of the answer's head; empty once the body is being received.
    head: Vec<u8>,
    left: u64,
}

impl Load {
    /// Keeps each connection busy with one request at a time until the load ends and all its answers are there.
    pub fn run(&self) -> Outcome {
        let mut dice = 0x2545_F491_4F6C_DD1D_u64;
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let mut clients: Vec<_> = (0..self.connections).map(|_| self.client()).collect();
        for (at, client) in clients.iter().enumerate() {
            let data = epoll::EventData::new_u64(at as u64);
            epoll::add(&poll, client.stream.as_fd(), data, epoll::EventFlags::IN).unwrap();
        }
        let begun = Instant::now();
        let mut outcome =
            Outcome { answers: 0, bytes: 0, elapsed: Duration::ZERO, first_bytes: Vec::new() };
        let mut asked = 0;
        for client in &mut clients {
            self.ask(client, &mut dice);
            asked += 1;
        }
        let mut sink = vec![0; 4 * 1024 * 1024];
        let mut events = Vec::with_capacity(256);
        while outcome.answers < asked {
            events.clear();
            match epoll::wait(&poll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => panic!("waiting failed: {error}"),
            }
            let goes_on = begun.elapsed() < self.most;
            for event in &events {
                let client = &mut clients[event.data.u64() as usize];
                if client.receive(&mut sink, &mut outcome) {
                    outcome.answers += 1;
                    if goes_on && asked < self.answers {
                        self.ask(client, &mut dice);
                        asked += 1;
                    }
                }
            }
        }
        outcome.elapsed = begun.elapsed();
        outcome
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Client { stream, asked: Instant::now(), head: Vec::new(), left: 0 }
    }

    fn ask(&self, client: &mut Client, dice: &mut u64) {
        *dice ^= *dice << 13;
        *dice ^= *dice >> 7;
        *dice ^= *dice << 17;
        let start = *dice % (self.length - self.range + 1);
        let end = start + self.range - 1;
        let path = &self.path;
        client.asked = Instant::now();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: bench\r\nRange: bytes={start}-{end}\r\n\r\n");
        client.stream.write_all(request.as_bytes()).unwrap();
        client.left = u64::MAX;
    }
}

impl Client {
    /// Takes what has come; whether the answer is whole.
    fn receive(&mut self, sink: &mut [u8], outcome: &mut Outcome) -> bool {
        if self.left == u64::MAX {
            let mut some = [0; 1024];
            let Some(read) = taken(recv(&self.stream, &mut some, RecvFlags::empty())) else {
                return false;
            };
            if self.head.is_empty() {
                outcome.first_bytes.push(self.asked.elapsed().as_nanos() as f64 / 1e3);
            }
            self.head.extend_from_slice(&some[..read]);
            let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else {
                return false;
            };
            let length = body_length(&self.head[..end]);
            let here = (self.head.len() - end - 4) as u64;
            self.head.clear();
            outcome.bytes += here;
            self.left = length - here;
        }
        while self.left > 0 {
            let most = sink.len().min(self.left as usize);
            let got = taken(recv(&self.stream, &mut sink[..most], RecvFlags::TRUNC));
            let Some(read) = got else { return false };
            self.left -= read as u64;
            outcome.bytes += read as u64;
        }
        true
    }
}

/// Bytes that were received; `None` if there are none yet.
fn taken<T>(received: Result<(T, usize), Errno>) -> Option<usize> {
    match received {
        Ok((_, 0)) => panic!("the server closed a connection that was in use"),
        Ok((_, read)) => Some(read),
        Err(Errno::AGAIN | Errno::INTR) => None,
        Err(error) => panic!("receiving failed: {error}"),
    }
}

fn body_length(head: &[u8]) -> u64 {
    let head = String::from_utf8_lossy(head);
    assert!(head.starts_with("HTTP/1.1 206"), "not a range: {head}");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    length.expect("an answer without a length")
}
