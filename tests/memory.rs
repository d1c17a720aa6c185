//! A film far larger than memory: every offset of it can be reached, and many who stream it take
//! none of the server's own memory. And long listings, which do take some.

mod support;

use std::{
    fs::File, io::Read, os::unix::fs::FileExt, path::Path, sync::mpsc, thread, time::Duration,
};
use support::{
    Client,
    command::{Program, reelmap},
    noise,
};

const GIB: u64 = 1 << 30;
const LENGTH: u64 = 20 * GIB;
const MARK: usize = 96 * 1024;

/// A sparse film, zeros but for the marks.
struct Film {
    folder: tempfile::TempDir,
    marks: Vec<(u64, Vec<u8>)>,
}

impl Film {
    fn new() -> Film {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("film.mkv")).unwrap();
        file.set_len(LENGTH).unwrap();
        let half = MARK as u64 / 2;
        let places =
            [0, 2 * GIB - half, 4 * GIB - half, 10 * GIB + 1, 16 * GIB - half, LENGTH - 2 * half];
        let mark = |(seed, at): (usize, &u64)| (*at, noise(seed as u64 + 1, MARK));
        let marks: Vec<_> = places.iter().enumerate().map(mark).collect();
        for (at, mark) in &marks {
            file.write_all_at(mark, *at).unwrap();
        }
        Film { folder, marks }
    }

    /// What the bytes from `start` to `end` are.
    fn bytes(&self, start: u64, end: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        for (at, mark) in &self.marks {
            let (from, to) = (start.max(*at), end.min(at + mark.len() as u64));
            if from < to {
                bytes[(from - start) as usize..(to - start) as usize]
                    .copy_from_slice(&mark[(from - at) as usize..(to - at) as usize]);
            }
        }
        bytes
    }
}

#[test]
fn a_film_of_20_gib_is_served_at_any_offset() {
    let film = Film::new();
    let server = Program::quiet(film.folder.path(), &[]);
    let mut client = Client::connect(server.address);
    let head = client.ask("HEAD /film.mkv HTTP/1.1");
    assert_eq!(head.header("content-length"), LENGTH.to_string());
    let spans = [
        (0, 1),
        (0, 100_000),
        (MARK as u64 - 1, MARK as u64 + 1),
        (2 * GIB - 1, 2 * GIB + 1),
        (2 * GIB - 70_000, 2 * GIB + 70_000),
        (4 * GIB - 1, 4 * GIB + 1),
        (4 * GIB - 1_000_000, 4 * GIB + 1_000_000),
        (10 * GIB, 10 * GIB + 4096),
        (16 * GIB - 1, 16 * GIB + 1),
        (16 * GIB - 1_000_000, 16 * GIB + 1_000_000),
        (19 * GIB, 19 * GIB + 1),
        (LENGTH - 1, LENGTH),
        (LENGTH - 3_000_000, LENGTH),
    ];
    for (start, end) in spans {
        let range = format!("GET /film.mkv HTTP/1.1\nRange: bytes={start}-{}", end - 1);
        let answer = client.ask(&range);
        assert_eq!(answer.status, 206, "{start}..{end}");
        let span = format!("bytes {start}-{}/{LENGTH}", end - 1);
        assert_eq!(answer.header("content-range"), span);
        assert!(answer.complete && answer.body == film.bytes(start, end), "{start}..{end}");
    }
    let suffix = client.ask("GET /film.mkv HTTP/1.1\nRange: bytes=-70000");
    assert!(suffix.body == film.bytes(LENGTH - 70_000, LENGTH));
    let several = format!("{}-{}, -1", 4 * GIB, 4 * GIB + 9);
    let several = client.ask(&format!("GET /film.mkv HTTP/1.1\nRange: bytes={several}"));
    assert_eq!(several.status, 206);
    assert!(several.header("content-type").starts_with("multipart/byteranges"));
    let part = film.bytes(4 * GIB, 4 * GIB + 10);
    assert!(several.complete && several.body.windows(10).any(|ten| ten == part));
    let beyond = client.ask(&format!("GET /film.mkv HTTP/1.1\nRange: bytes={LENGTH}-"));
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */21474836480"));
}

const CLIENTS: u64 = 64;
/// What each of them takes: a GiB in all.
const SHARE: u64 = 16 * 1024 * 1024;
const MOST_ANONYMOUS: u64 = 32 * 1024;

#[test]
fn clients_that_stream_it_leave_anonymous_memory_under_32_mib() {
    let film = Film::new();
    let server = Program::quiet(film.folder.path(), &[]);
    let idle = server.kib("RssAnon");
    // Every client takes the head of its answer and then nothing: each has as much of the film
    // under way as the server ever lets it have.
    let clients: Vec<_> = (0..CLIENTS).map(|number| begin(&server, number)).collect();
    let mut most = server.kib("RssAnon");
    let mut samples = 1;
    let (tell, told) = mpsc::channel();
    for client in clients {
        let tell = tell.clone();
        thread::spawn(move || tell.send(take_all(client)));
    }
    drop(tell);
    let mut done = 0;
    while done < CLIENTS {
        match told.recv_timeout(Duration::from_millis(2)) {
            Ok(got) => {
                assert_eq!(got, SHARE, "a client did not get what it was promised");
                done += 1;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("a client failed"),
        }
        most = most.max(server.kib("RssAnon"));
        samples += 1;
    }
    let peak = server.kib("VmHWM");
    eprintln!(
        "anonymous: {idle} KiB idle, at most {most} KiB in {samples} samples; peak of all, the \
         film's pages included: {peak} KiB"
    );
    assert!(most < MOST_ANONYMOUS, "{most} KiB of anonymous memory");
}

/// Asks for a share of the film, and takes the head of the answer.
fn begin(server: &Program, number: u64) -> Client {
    let mut client = Client::connect(server.address);
    let start = LENGTH / CLIENTS * number;
    let last = start + SHARE - 1;
    client.request(&format!("GET /film.mkv HTTP/1.1\nRange: bytes={start}-{last}"));
    assert_eq!(client.head().map(|(status, _)| status), Some(206));
    client
}

/// Forgets the share as it comes; how much of it came.
fn take_all(client: Client) -> u64 {
    let ahead = client.ahead() as u64;
    let mut rest = client.stream.take(SHARE - ahead);
    ahead + std::io::copy(&mut rest, &mut std::io::sink()).unwrap()
}

/// What the server's anonymous memory grows by while `clients` ask for the head of a long listing,
/// which is composed for each of them and sent to none.
fn growth_by_listings(folder: &Path, clients: usize) -> u64 {
    let mut command = reelmap();
    command.arg("serve").arg(folder).args(["--listen", "127.0.0.1:0", "--access-log", "off"]);
    // One heap: what a thread has let go of is there for the next.
    command.env("MALLOC_ARENA_MAX", "1");
    let server = Program::run(command);
    let idle = server.kib("RssAnon");
    let mut clients: Vec<_> = (0..clients).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.request("HEAD / HTTP/1.1");
    }
    let (tell, told) = mpsc::channel();
    for mut client in clients {
        let tell = tell.clone();
        thread::spawn(move || tell.send(client.response("HEAD").status));
    }
    drop(tell);
    let mut most = 0;
    loop {
        most = most.max(server.kib("RssAnon"));
        match told.recv_timeout(Duration::from_millis(2)) {
            Ok(status) => assert_eq!(status, 200),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return most - idle,
        }
    }
}

#[test]
fn few_listings_are_composed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..2000 {
        File::create(folder.path().join(format!("{n:04}{}", "필름".repeat(41)))).unwrap();
    }
    let [one, many] = [1, 16].map(|clients| growth_by_listings(folder.path(), clients));
    eprintln!("anonymous: {one} KiB more for one listing, at most {many} KiB for 16 at once");
    assert!(many < 8 * one, "{one} KiB for one listing, {many} KiB for 16 at once");
}
