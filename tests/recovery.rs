//! The process is killed while files are being received, at any moment: what readers had been given is
//! there after the next start, and nothing that was never sent.
//!
//! `REELMAP_KILLS` says how often; 1,000 take some minutes.

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::fs::{FileExt, symlink},
    path::Path,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};
use support::{
    Client,
    command::{Program, reelmap, until},
    live::{Encoder, Reader},
    noise,
};

/// Kills of each kind, unless the environment says another number.
const KILLS: u64 = 12;

const LENGTH: usize = 3_000_000;

fn kills() -> u64 {
    let asked = std::env::var("REELMAP_KILLS").ok().and_then(|kills| kills.parse::<u64>().ok());
    asked.map_or(KILLS, |kills| kills.div_ceil(4))
}

/// A number below `most` that no two rounds share, and that is the same in each run.
fn drawn(round: u64, most: usize) -> usize {
    let bytes = noise(round.wrapping_mul(0x5851_F42D_4C95_7F2D) ^ 0xABCD, 8);
    (u64::from_le_bytes(bytes.try_into().unwrap()) % most as u64) as usize
}

fn serve(root: &Path) -> Program {
    Program::quiet(root, &["--ingest", "."])
}

/// Sends `head` and `body` until the server is gone; pieces of any size.
fn send(address: SocketAddr, head: String, body: &[u8], chunked: bool) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    let sent = stream.write_all(head.as_bytes());
    if sent.is_err() {
        return;
    }
    for piece in body.chunks(1 + drawn(body.len() as u64, 70_000)) {
        let sent = if chunked {
            let size = format!("{:x}\r\n", piece.len());
            stream.write_all(&[size.as_bytes(), piece, b"\r\n"].concat())
        } else {
            stream.write_all(piece)
        };
        if sent.is_err() {
            return;
        }
    }
    // The end of a chunked body is never sent: it is still a stream when the server is killed.
    let _ = stream.read(&mut [0; 64]);
    let _ = stream.shutdown(Shutdown::Both);
}

/// Follows the upload until `wanted` bytes of it have come; how many did.
fn seen(address: SocketAddr, path: &str, wanted: usize) -> usize {
    let mut client = Client::connect(address);
    let is_there = || {
        let head = Client::connect(address).ask(&format!("HEAD {path} HTTP/1.1"));
        head.status == 200
    };
    until("the upload is there", is_there);
    // Until it closes, so that every byte that comes is one of the body.
    client.request(&format!("GET {path} HTTP/1.0"));
    client.head().unwrap();
    let mut seen = client.take_ahead().len();
    let mut chunk = vec![0; 16 * 1024];
    while seen < wanted {
        match client.receive(&mut chunk) {
            Ok(read) if read > 0 => seen += read,
            _ => break,
        }
    }
    seen
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Kills the server when a reader has seen so much of the upload, and starts another.
fn kill_and_start(root: &Path, program: Program, path: &str, wanted: usize) -> (Program, usize) {
    let seen = seen(program.address, path, wanted);
    program.signal(rustix::process::Signal::KILL);
    program.ended();
    (serve(root), seen)
}

#[test]
fn a_stream_is_finished_with_every_byte_that_was_committed() {
    let root = tempfile::tempdir().unwrap();
    let film = noise(1, LENGTH);
    let mut program = serve(root.path());
    for round in 0..kills() {
        let path = format!("/cam-{round}.ts");
        let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        let wanted = 1 + drawn(round, LENGTH);
        let (address, sent) = (program.address, &film[..]);
        program = thread::scope(|scope| {
            scope.spawn(move || send(address, head, sent, true));
            let (program, seen) = kill_and_start(root.path(), program, &path, wanted);
            let stored = fs::read(root.path().join(&path[1..])).unwrap();
            assert!(stored.len() >= seen, "round {round}: {} of {seen} bytes", stored.len());
            assert!(film.starts_with(&stored), "round {round}: it is not what was sent");
            let answer = program.connect().ask(&format!("GET {path} HTTP/1.1"));
            assert!(answer.status == 200 && answer.body == stored);
            assert_eq!(names(root.path()), [&path[1..]], "round {round}");
            assert_eq!(program.connect().ask(&format!("DELETE {path} HTTP/1.1")).status, 204);
            program
        });
    }
}

#[test]
fn an_upload_is_gone_on_with_from_the_last_byte_that_was_committed() {
    let root = tempfile::tempdir().unwrap();
    let film = noise(2, LENGTH);
    let mut program = serve(root.path());
    for round in 0..kills() {
        let path = format!("/film-{round}.mp4");
        let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n");
        let wanted = 1 + drawn(!round, LENGTH - 1);
        // All but the last byte, so that it can't be whole.
        let sent = &film[..LENGTH - 1];
        let address = program.address;
        program = thread::scope(|scope| {
            scope.spawn(move || send(address, head, sent, false));
            let (program, seen) = kill_and_start(root.path(), program, &path, wanted);
            let head = program.connect().ask(&format!("HEAD {path} HTTP/1.1"));
            assert_eq!(head.header("upload-complete"), "?0", "round {round}: {head:?}");
            let held: usize = head.header("upload-offset").parse().unwrap();
            assert!(held >= seen, "round {round}: {held} of {seen} bytes");
            let range = format!("GET {path} HTTP/1.1\nRange: bytes=-{LENGTH}");
            assert!(program.connect().ask(&range).body == film[..held], "round {round}");
            let mut client = program.connect();
            client.request(&format!(
                "PUT {path} HTTP/1.1\nContent-Range: bytes {held}-{}/{LENGTH}\nContent-Length: {}",
                LENGTH - 1,
                LENGTH - held
            ));
            client.send(&film[held..]);
            let answer = client.response("PUT");
            assert_eq!(answer.status, 201, "round {round}: {}", answer.text());
            assert_eq!(answer.header("etag"), head.header("etag"));
            assert!(fs::read(root.path().join(&path[1..])).unwrap() == film, "round {round}");
            assert_eq!(names(root.path()), [&path[1..]], "round {round}");
            assert_eq!(program.connect().ask(&format!("DELETE {path} HTTP/1.1")).status, 204);
            program
        });
    }
}

#[test]
fn parts_are_kept_as_far_as_they_had_come() {
    let root = tempfile::tempdir().unwrap();
    let film = noise(3, LENGTH);
    let mut program = serve(root.path());
    for round in 0..kills() {
        let path = format!("/film-{round}.mp4");
        let half = LENGTH / 2;
        let head = |from: usize, to: usize| {
            format!(
                "PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Range: bytes {from}-{}/{LENGTH}\r\n\
                 Content-Length: {}\r\n\r\n",
                to - 1,
                to - from
            )
        };
        let wanted = 1 + drawn(round << 20, half - 1);
        let address = program.address;
        program = thread::scope(|scope| {
            let parts = [(0, half - 1, head(0, half)), (half, LENGTH, head(half, LENGTH))];
            for (from, to, head) in parts {
                let part = &film[from..to];
                scope.spawn(move || send(address, head, part, false));
            }
            let (program, seen) = kill_and_start(root.path(), program, &path, wanted);
            let bytes = fs::read(root.path().join(format!(".{}.reelmap", &path[1..]))).unwrap();
            let ask = "Content-Range: bytes */*\nContent-Length: 0";
            let answer = program.connect().ask(&format!("PUT {path} HTTP/1.1\n{ask}"));
            assert_eq!(answer.status, 200);
            let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert!(json["length"].as_u64().unwrap() as usize >= seen, "round {round}: {json}");
            let (mut at, mut gaps) = (0, Vec::new());
            for span in json["held"].as_array().unwrap() {
                let (first, last) = span.as_str().unwrap().split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                assert!(bytes[first..=last] == film[first..=last], "round {round}: {span}");
                gaps.extend((at < first).then_some((at, first)));
                at = last + 1;
            }
            assert_eq!(bytes.len(), at, "round {round}: there is more than is held");
            gaps.extend((at < LENGTH).then_some((at, LENGTH)));
            for (from, to) in gaps {
                let mut client = program.connect();
                client.send(head(from, to));
                client.send(&film[from..to]);
                assert!(matches!(client.response("PUT").status, 201 | 202));
            }
            assert!(fs::read(root.path().join(&path[1..])).unwrap() == film, "round {round}");
            assert_eq!(names(root.path()), [&path[1..]], "round {round}");
            assert_eq!(program.connect().ask(&format!("DELETE {path} HTTP/1.1")).status, 204);
            program
        });
    }
}

/// Sends whole files until the server is gone; the names of those that it said it had.
fn send_files(address: SocketAddr, writer: u64, round: u64) -> Vec<String> {
    let mut stored = Vec::new();
    for number in 0.. {
        let name = format!("{round}-{writer}-{number}");
        let body = file(&name);
        let head = format!("PUT /{name} HTTP/1.1\r\nHost: a\r\nContent-Length: {}", body.len());
        let Ok(mut stream) = TcpStream::connect(address) else { break };
        let mut status = [0; 12];
        let sent = stream.write_all(&[head.as_bytes(), b"\r\n\r\n", &body].concat());
        if sent.and_then(|()| stream.read_exact(&mut status)).is_err() {
            break;
        }
        assert_eq!(&status, b"HTTP/1.1 201");
        stored.push(name);
    }
    stored
}

/// The bytes of the file of that name.
fn file(name: &str) -> Vec<u8> {
    let seed = name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
    noise(seed, 1 + drawn(seed, 40_000))
}

#[test]
fn a_file_has_its_name_when_it_is_whole_and_keeps_it_once_that_was_said() {
    let root = tempfile::tempdir().unwrap();
    for round in 0..kills() {
        let program = serve(root.path());
        let address = program.address;
        let stored = thread::scope(|scope| {
            let writers =
                (0..4).map(|writer| scope.spawn(move || send_files(address, writer, round)));
            let writers: Vec<_> = writers.collect();
            let some = 1 + drawn(round, 20);
            let done = || names(root.path()).iter().filter(|name| !name.starts_with('.')).count();
            until("some files are there", || done() >= some);
            program.signal(rustix::process::Signal::KILL);
            program.ended();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
        });
        drop(serve(root.path()));
        let there = names(root.path());
        for name in &stored {
            assert!(there.contains(name), "round {round}: {name} is lost");
        }
        for name in there {
            let stored = fs::read(root.path().join(&name)).unwrap();
            let whole = file(name.trim_start_matches('.').split('.').next().unwrap());
            let hidden = name.starts_with('.');
            assert!(stored == whole || hidden, "round {round}: {name}, {}", stored.len());
            let begun = name.ends_with(".reelmap-record") || whole.starts_with(&stored);
            assert!(begun, "round {round}: {name} is not what was sent");
            fs::remove_file(root.path().join(name)).unwrap();
        }
    }
}

#[test]
fn what_was_left_is_said_in_the_log() {
    let root = tempfile::tempdir().unwrap();
    let program = serve(root.path());
    let mut client = program.connect();
    client.request("PUT /cam.ts HTTP/1.1\nTransfer-Encoding: chunked");
    client.send("4\r\nfilm\r\n");
    let mut film = program.connect();
    film.request("PUT /film.mp4 HTTP/1.1\nContent-Length: 10");
    film.send("film");
    for path in ["/cam.ts", "/film.mp4"] {
        let head = format!("HEAD {path} HTTP/1.1");
        until("it is kept", || program.connect().ask(&head).header("upload-offset") == "4");
    }
    drop(program);
    let text = serve(root.path()).before.join("\n");
    assert!(text.contains("/cam.ts was cut off: finished with its 4 bytes"), "{text}");
    assert!(text.contains("/film.mp4 is not whole: 4 of 10 bytes are kept"), "{text}");
}

#[test]
fn what_was_left_is_found_by_every_way_that_leads_to_it() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("folder")).unwrap();
    symlink("folder", root.path().join("link")).unwrap();
    let send = |program: &Program, head: &str, body: &str| {
        let mut client = program.connect();
        client.request(&format!("{head}\nContent-Length: {}", body.len()));
        client.send(body);
        client.response("PUT").status
    };
    let program = serve(root.path());
    for name in ["part", "whole", "deleted"] {
        let first = format!("PUT /link/{name} HTTP/1.1\nContent-Range: bytes 0-1/4");
        assert_eq!(send(&program, &first, "fi"), 202);
    }
    drop(program);
    let program = serve(root.path());
    let ask = "PUT /link/part HTTP/1.1\nContent-Range: bytes */*";
    let next = "PUT /folder/part HTTP/1.1\nContent-Range: bytes 2-2/4";
    let last = "PUT /link/part HTTP/1.1\nContent-Range: bytes 3-3/4";
    assert_eq!(send(&program, ask, ""), 200);
    assert_eq!(send(&program, next, "l"), 202);
    assert_eq!(send(&program, last, "m"), 201);
    assert_eq!(send(&program, "PUT /link/whole HTTP/1.1", "film"), 201);
    assert_eq!(program.connect().ask("DELETE /link/deleted HTTP/1.1").status, 204);
    for name in ["part", "whole"] {
        assert_eq!(fs::read(root.path().join("folder").join(name)).unwrap(), b"film");
    }
    assert_eq!(names(&root.path().join("folder")).len(), 2);
}

#[test]
fn what_is_no_record_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(".film.reelmap-record"), "what is this?").unwrap();
    fs::write(root.path().join(".film.reelmap"), "film").unwrap();
    // Neither is this, but nothing is beside it: somebody was killed who had just made it.
    fs::write(root.path().join(".other.reelmap-record"), "").unwrap();
    let program = serve(root.path());
    assert_eq!(program.connect().ask("GET /film HTTP/1.1").status, 404);
    let mut names = names(root.path());
    names.sort();
    assert_eq!(names, [".film.reelmap", ".film.reelmap-record"]);
}

#[test]
fn what_nobody_goes_on_with_is_removed_after_some_days() {
    let root = tempfile::tempdir().unwrap();
    let program = Program::quiet(root.path(), &["--ingest", ".", "--ingest-keep", "0"]);
    let flags = ["--ingest", ".", "--ingest-max-streams", "2", "--ingest-keep", "2"];
    let part = |program: &Program, name: &str, range: &str| {
        let mut client = program.connect();
        client.request(&format!(
            "PUT /{name} HTTP/1.1\nContent-Length: 1\nContent-Range: bytes {range}/3"
        ));
        client.send("x");
        client.response("PUT").status
    };
    let hours_ago = |name: &str, hours: u64| {
        let file = fs::File::options().write(true).open(root.path().join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
    };
    for name in ["new", "old-1", "old-2", "old-3", "whole"] {
        assert_eq!(part(&program, name, "0-0"), 202);
    }
    drop(program);
    fs::write(root.path().join("whole"), "film").unwrap();
    for (name, hours) in [("new", 47), ("old-1", 49), ("old-2", 49), ("old-3", 49), ("whole", 49)] {
        hours_ago(&format!(".{name}.reelmap"), hours);
    }
    hours_ago("whole", 1000);
    // More than may be open: it makes no difference.
    let mut program = Program::quiet(root.path(), &flags);
    for _ in 0..4 {
        let line = program.wait_for_line("removed");
        assert!(!line.contains("/new") && line.contains("for 2 days"), "{line}");
    }
    let mut left = names(root.path());
    left.sort();
    assert_eq!(left, [".new.reelmap", ".new.reelmap-record", "whole"]);
    assert_eq!(fs::read(root.path().join("whole")).unwrap(), b"film");
    assert_eq!(part(&program, "new", "1-1"), 202);
    assert_eq!(part(&program, "new", "2-2"), 201);
    assert_eq!(part(&program, "old-1", "0-0"), 202);
}

#[test]
fn what_another_process_is_receiving_is_left_to_it() {
    let root = tempfile::tempdir().unwrap();
    let first = serve(root.path());
    let mut encoder = Encoder(first.connect());
    encoder.0.request("PUT /cam.ts HTTP/1.1\nTransfer-Encoding: chunked");
    encoder.send(b"fi");
    let head = "HEAD /cam.ts HTTP/1.1";
    until("it is kept", || first.connect().ask(head).header("upload-offset") == "2");
    let second = serve(root.path());
    let said = second.before.join("\n");
    assert!(said.contains("/cam.ts is left alone: another process is receiving it"), "{said}");
    let mut client = second.connect();
    client.request("PUT /cam.ts HTTP/1.1\nContent-Length: 0");
    assert_eq!(client.response("PUT").status, 409);
    encoder.send(b"lm");
    assert_eq!(encoder.end(), 201);
    assert_eq!(second.connect().ask("GET /cam.ts HTTP/1.1").text(), "film");
    assert_eq!(names(root.path()), ["cam.ts"]);
}

#[test]
fn no_folder_is_too_deep_for_what_was_left_in_it() {
    let root = tempfile::tempdir().unwrap();
    let way = "a/".repeat(400);
    fs::create_dir_all(root.path().join(&way)).unwrap();
    let program = serve(root.path());
    let mut client = program.connect();
    let path = format!("/{way}cam.ts");
    client.request(&format!("PUT {path} HTTP/1.1\nTransfer-Encoding: chunked"));
    client.send("4\r\nfilm\r\n");
    let head = format!("HEAD {path} HTTP/1.1");
    until("it is kept", || program.connect().ask(&head).header("upload-offset") == "4");
    drop(program);
    let mut command = reelmap();
    command.arg("serve").arg(root.path()).args(["--listen", "127.0.0.1:0", "--ingest", "."]);
    command.args(["--max-connections", "20", "--open-files", "20", "--ingest-max-streams", "1"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 310; exec \"$0\" \"$@\""]);
    limited.arg(command.get_program()).args(command.get_args());
    let program = Program::run(limited);
    assert_eq!(program.connect().ask(&format!("GET {path} HTTP/1.1")).text(), "film");
}

#[test]
fn what_arrives_while_the_server_waits_for_its_end_is_synced_too() {
    let root = tempfile::tempdir().unwrap();
    let mut program = Program::quiet(root.path(), &["--ingest", ".", "--drain", "3600"]);
    let mut encoder = Encoder(program.connect());
    encoder.0.request("PUT /cam.ts HTTP/1.1\nTransfer-Encoding: chunked");
    encoder.send(b"film");
    let head = "HEAD /cam.ts HTTP/1.1";
    until("it is kept", || program.connect().ask(head).header("upload-offset") == "4");
    program.stop(rustix::process::Signal::TERM);
    encoder.send(b" and more");
    // How far the first part would outlast a loss of power, as the record says.
    let record = fs::File::open(root.path().join(".cam.ts.reelmap-record")).unwrap();
    let mut synced = [0; 8];
    until("all of it is synced", || {
        record.read_exact_at(&mut synced, 80).unwrap();
        u64::from_le_bytes(synced) == 13
    });
    assert_eq!(encoder.end(), 201);
    assert!(program.ended().0.success());
}

#[test]
fn what_arrives_when_the_server_is_stopped_is_finished_before_it_ends() {
    let root = tempfile::tempdir().unwrap();
    let mut program = Program::quiet(root.path(), &["--ingest", ".", "--drain", "1"]);
    let mut encoder = Encoder(program.connect());
    encoder.0.request("PUT /cam.ts HTTP/1.1\nTransfer-Encoding: chunked");
    encoder.send(b"film");
    let mut reader = Reader::with(
        {
            let head = "HEAD /cam.ts HTTP/1.1";
            until("it is kept", || program.connect().ask(head).header("upload-offset") == "4");
            program.connect()
        },
        "GET /cam.ts HTTP/1.1",
    );
    assert_eq!(reader.take(4), b"film");
    program.stop(rustix::process::Signal::TERM);
    assert_eq!(encoder.0.response("PUT").status, 503);
    assert_eq!(reader.rest(), (vec![], false));
    assert!(program.ended().0.success());
    assert_eq!(names(root.path()), ["cam.ts"]);
    assert_eq!(fs::read(root.path().join("cam.ts")).unwrap(), b"film");
}

/// What may have become of a record, or of the bytes beside it.
type Harm = fn(record: &Path, bytes: &Path);

/// Writes a number into a record.
fn set(record: &Path, at: u64, number: u64) {
    let file = fs::File::options().write(true).open(record).unwrap();
    file.write_all_at(&number.to_le_bytes(), at).unwrap();
}

fn cut(file: &Path, length: u64) {
    fs::File::options().write(true).open(file).unwrap().set_len(length).unwrap();
}

fn in_place(of: &Path, make: impl Fn(&Path) -> std::io::Result<()>) {
    fs::remove_file(of).unwrap();
    make(of).unwrap();
}

/// One that is not empty.
fn folder(at: &Path) -> std::io::Result<()> {
    fs::create_dir(at)?;
    fs::write(at.join("film"), "somebody's")
}

const HARMS: [(&str, Harm); 20] = [
    ("a record of nothing", |record, _| cut(record, 0)),
    ("half a head", |record, _| cut(record, 30)),
    ("no slot", |record, _| cut(record, 64)),
    ("half a slot", |record, _| cut(record, 90)),
    ("a record without end", |record, _| cut(record, 1 << 40)),
    ("another magic", |record, _| set(record, 0, 7)),
    ("no total", |record, _| set(record, 8, 0)),
    ("a small total", |record, _| set(record, 8, 2)),
    ("a huge total", |record, _| set(record, 8, u64::MAX - 1)),
    ("another age", |record, _| set(record, 16, u64::MAX)),
    ("another boot", |record, _| set(record, 24, 7)),
    ("a start beyond", |record, _| set(record, 64, u64::MAX)),
    ("an end beyond all", |record, _| set(record, 72, u64::MAX)),
    ("an end beyond the file", |record, _| set(record, 72, 1 << 40)),
    ("a link for a record", |record, _| in_place(record, |at| symlink("/etc/passwd", at))),
    ("a folder for a record", |record, _| in_place(record, folder)),
    ("no bytes", |_, bytes| fs::remove_file(bytes).unwrap()),
    ("fewer bytes", |_, bytes| cut(bytes, 3)),
    ("a link for bytes", |_, bytes| in_place(bytes, |at| symlink("/etc/passwd", at))),
    ("a folder for bytes", |_, bytes| in_place(bytes, folder)),
];

#[test]
fn whatever_became_of_a_record_the_server_starts_and_takes_the_name_again() {
    let root = tempfile::tempdir().unwrap();
    let program = serve(root.path());
    for number in 0..HARMS.len() {
        let mut client = program.connect();
        client.request(&format!("PUT /{number} HTTP/1.1\nContent-Length: 10"));
        client.send("film");
        let head = format!("HEAD /{number} HTTP/1.1");
        until("it is kept", || program.connect().ask(&head).header("upload-offset") == "4");
        // Left open, or the server would note that it was synced.
        std::mem::forget(client);
    }
    program.signal(rustix::process::Signal::KILL);
    program.ended();
    let passwords = fs::read("/etc/passwd").unwrap();
    for (number, (_, harm)) in HARMS.iter().enumerate() {
        let [record, bytes] =
            ["-record", ""].map(|end| root.path().join(format!(".{number}.reelmap{end}")));
        harm(&record, &bytes);
    }
    let program = serve(root.path());
    for (number, (what, _)) in HARMS.iter().enumerate() {
        let seen = program.connect().ask(&format!("GET /{number} HTTP/1.0"));
        assert!(seen.status == 404 || b"film".starts_with(&seen.body), "{what}: {seen:?}");
        let mut client = program.connect();
        client.request(&format!("PUT /{number} HTTP/1.1\nContent-Length: 3"));
        client.send("new");
        let answer = client.response("PUT");
        assert!(matches!(answer.status, 201 | 204), "{what}: {}", answer.text());
        let stored = program.connect().ask(&format!("GET /{number} HTTP/1.1"));
        assert_eq!(stored.text(), "new", "{what}");
    }
    // A folder is not removed for it, but is called otherwise.
    let names = names(root.path());
    let aside: Vec<_> = names.iter().filter(|name| name.starts_with(".reelmap-aside-")).collect();
    assert_eq!(aside.len(), 2, "{names:?}");
    for folder in aside {
        assert!(root.path().join(folder).join("film").is_file());
    }
    assert_eq!(fs::read("/etc/passwd").unwrap(), passwords);
}
