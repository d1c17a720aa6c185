//! Times in a stream that is still being received: what is told before its end holds after it, and nothing is told that
//! isn't there.

mod support;

use serde_json::Value;
use std::{fs, io::Write, path::Path};
use support::{
    Client, Response, Server,
    command::until,
    fixtures,
    live::{Encoder, Reader},
    programs::output,
};

/// Films as they are streamed.
const FILMS: [&str; 5] = ["stream.ts", "packets.m2ts", "fragmented.mp4", "no-cues.mkv", "vp9.webm"];

fn serve() -> (tempfile::TempDir, Server) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("live")).unwrap();
    let server = Server::start(root.path(), &["--ingest", "live", "--ingest-idle", "3600"]);
    (root, server)
}

fn film(name: &str) -> Vec<u8> {
    fs::read(fixtures().join(name)).unwrap()
}

#[track_caller]
fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("{}", response.text()))
}

/// A value of this type sends a film piece by piece.
struct Sender<'a> {
    encoder: Encoder,
    reader: Reader,
    film: &'a [u8],
    sent: usize,
}

impl<'a> Sender<'a> {
    fn begin(server: &Server, path: &str, film: &'a [u8]) -> Sender<'a> {
        let mut encoder = Encoder::begin(server, path);
        encoder.send(&film[..1]);
        let head = format!("HEAD {path}?from=start HTTP/1.1");
        until("the stream is there", || server.ask(&head).header("upload-offset") == "1");
        let mut reader = Reader::ask(server, &format!("GET {path}?from=start HTTP/1.1"));
        reader.take(1);
        Sender { encoder, reader, film, sent: 1 }
    }

    /// Sends up to the byte at `to`, and waits until all of it is there.
    fn send(&mut self, to: usize) {
        let piece = &self.film[self.sent..to];
        if !piece.is_empty() {
            self.encoder.send(piece);
            assert!(self.reader.take(piece.len()) == piece, "other bytes came");
        }
        self.sent = to;
    }

    fn end(mut self) {
        self.send(self.film.len());
        assert!(matches!(self.encoder.end(), 201 | 204));
        assert_eq!(self.reader.rest(), (Vec::new(), true));
    }
}

/// Moments 33 ms apart, up to so many seconds.
fn moments(end: f64) -> Vec<String> {
    (0..).map(|k| k * 33).take_while(|ms| f64::from(*ms) < end * 1000.0).map(thousandths).collect()
}

fn thousandths(ms: u32) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// What is told of each moment, without what changes while the film grows.
fn ask(server: &Server, path: &str, moments: &[String]) -> Vec<Value> {
    let mut told = Vec::new();
    for some in moments.chunks(80) {
        let query = some.iter().map(|at| format!("at={at}")).collect::<Vec<_>>().join("&");
        let answer = server.get(&format!("{path}?{query}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        match json(&answer) {
            Value::Array(answers) => told.extend(answers),
            answer => told.push(answer),
        }
    }
    for answer in &mut told {
        let answer = answer.as_object_mut().unwrap();
        answer.remove("duration").unwrap();
        answer.remove("growing").unwrap();
    }
    told
}

/// Sends the film in ninths; what is told of each is told of all.
fn told_for_good(server: &Server, name: &str, film: &[u8]) {
    let path = format!("/live/{name}");
    let mut sender = Sender::begin(server, &path, film);
    let mut told: Vec<(String, Value)> = Vec::new();
    for ninth in 2..=9 {
        sender.send(film.len() * ninth / 9);
        let first = server.get(&format!("{path}?at=0"));
        assert_eq!(first.status, 200, "{name}: {}", first.text());
        let first = json(&first);
        assert_eq!(first["growing"], true);
        let end = first["duration"]["seconds"].as_f64().unwrap();
        let moments = moments(end);
        assert!(moments.len() > told.len(), "{name}: no more than {end} s of {ninth} ninths");
        let answers = ask(server, &path, &moments);
        for (old, new) in told.iter().zip(&answers) {
            assert_eq!(&old.1, new, "{name} at {}", old.0);
        }
        for answer in &answers {
            let frame = &answer["frame"];
            let last =
                frame["byte_offset"].as_u64().unwrap() + frame["byte_length"].as_u64().unwrap();
            assert!(last <= sender.sent as u64, "{name}: a frame that isn't all there");
        }
        told = moments.into_iter().zip(answers).collect();

        let past = server.get(&format!("{path}?at={end}"));
        assert_eq!(past.status, 416, "{name} at {end}: {}", past.text());
        let past = json(&past);
        assert_eq!((&past["duration"]["seconds"], &past["growing"]), (&end.into(), &true.into()));
        let why = past["detail"].as_str().unwrap();
        assert!(why.contains("so far") && why.contains("still growing"), "{why}");
    }
    sender.end();
    let whole = json(&server.get(&format!("{path}?at=0")));
    assert_eq!(whole["growing"], false, "{name}");
    let (moments, told): (Vec<_>, Vec<_>) = told.into_iter().unzip();
    assert_eq!(ask(server, &path, &moments), told, "{name}");
    let short = whole["duration"]["seconds"].as_f64().unwrap() - moments.len() as f64 * 0.033;
    assert!(short < 0.3, "{name}: the last {short} s were never told");
    assert_eq!(server.get(&format!("{path}?at=3600")).status, 416);
    assert!(server.get(&path).body == film, "{name}: other bytes");
}

#[test]
fn what_is_told_of_a_stream_holds_when_it_has_ended() {
    let (_root, server) = serve();
    for name in FILMS {
        told_for_good(&server, name, &film(name));
    }
}

#[test]
#[ignore = "needs ffmpeg"]
fn so_does_what_is_told_of_sound_alone() {
    let (root, server) = serve();
    let fragments = ["-movflags", "empty_moov+default_base_moof", "-frag_duration", "1000000"];
    for (name, codec, muxer) in [
        ("sound.mp4", "aac", &fragments[..]),
        ("sound.ts", "aac", &[]),
        ("sound.webm", "libopus", &["-live", "1", "-cluster_time_limit", "1000"]),
    ] {
        let file = root.path().join(name);
        let tone = ["-v", "error", "-f", "lavfi", "-i", "sine=440:duration=9", "-c:a", codec];
        let to = [file.to_str().unwrap()];
        output("ffmpeg", tone.iter().chain(muxer).chain(&to).copied());
        told_for_good(&server, name, &fs::read(&file).unwrap());
    }
}

#[test]
fn an_answer_is_of_the_stream_and_kept_by_nobody() {
    let (_root, server) = serve();
    let film = film("fragmented.mp4");
    let mut sender = Sender::begin(&server, "/live/cam.mp4", &film);
    sender.send(film.len() / 2);
    let head = server.ask("HEAD /live/cam.mp4 HTTP/1.1");
    let told = server.get("/live/cam.mp4?at=2.5");
    assert_eq!(told.status, 200);
    assert_eq!(told.header("content-type"), "application/json");
    assert_eq!(told.header("etag"), head.header("etag"));
    assert!(told.header("etag").starts_with("\"live-"));
    assert_eq!(told.header("cache-control"), "no-store");
    assert_eq!(told.header("upload-offset"), (film.len() / 2).to_string());
    assert_eq!((told.header("accept-ranges"), told.header("last-modified")), ("", ""));
    let asked = server.ask("HEAD /live/cam.mp4?at=2.5 HTTP/1.1");
    assert_eq!((asked.status, asked.header("etag")), (200, head.header("etag")));
    assert_eq!(server.get("/live/cam.mp4?at=2.5x").status, 400);
    let other = server.ask("GET /live/cam.mp4?at=2.5 HTTP/1.1\nIf-Match: \"other\"");
    assert_eq!(other.status, 412);

    // The range follows the stream, or has the size that was asked for, as far as there are bytes.
    let start = json(&told)["sync"]["byte_offset"].as_u64().unwrap() as usize;
    assert_eq!(json(&told)["range"], format!("bytes={start}-"));
    let sized = |size: usize| {
        json(&server.get(&format!("/live/cam.mp4?at=2.5&size={size}")))["range"].clone()
    };
    assert_eq!(sized(1000), format!("bytes={start}-{}", start + 999));
    assert_eq!(sized(film.len()), format!("bytes={start}-{}", film.len() / 2 - 1));
    let bytes =
        server.ask(&format!("GET /live/cam.mp4 HTTP/1.1\nRange: bytes={start}-{}", start + 999));
    assert!((bytes.status, &bytes.body[..]) == (206, &film[start..start + 1000]));
    let follow = format!("GET /live/cam.mp4 HTTP/1.1\nRange: bytes={start}-");
    let mut reader = Reader::ask(&server, &follow);
    assert_eq!(reader.status, 206);
    assert!(reader.take(film.len() / 2 - start) == film[start..film.len() / 2]);
    // Times are no unit of what grows: as any other unknown one it is ignored.
    let times = Reader::ask(&server, "GET /live/cam.mp4 HTTP/1.1\nRange: t:npt=1-2");
    assert_eq!((times.status, times.header("content-range-mapping")), (200, ""));
    assert_eq!(head.header("accept-ranges"), "bytes");
    sender.end();
    assert!(reader.rest().0 == film[film.len() / 2..]);
}

#[test]
fn what_the_stream_is_can_be_asked() {
    let (_root, server) = serve();
    let film = film("stream.ts");
    let mut sender = Sender::begin(&server, "/live/cam.ts", &film);
    sender.send(film.len() / 2);
    let info = json(&server.get("/live/cam.ts?info"));
    assert_eq!((&info["growing"], &info["container"]), (&true.into(), &"mpegts".into()));
    assert_eq!(info["byte_length"], film.len() / 2);
    let video = info["tracks"].as_array().unwrap().iter().find(|track| track["kind"] == "video");
    assert_eq!(video.unwrap()["frame_rate"], "25/1");
    let (frames, seconds) = (&info["frames"], info["duration"]["seconds"].as_f64().unwrap());
    // The first picture is shown 2,090 ticks after the first sound.
    let first = 2090.0 / 90_000.0;
    assert_eq!(frames.as_f64().unwrap(), ((seconds - first) * 25.0).ceil(), "{seconds}");
    sender.end();
}

#[test]
fn too_little_is_said_to_be_too_little() {
    let (_root, server) = serve();
    for (name, part, why) in [
        ("stream.ts", 500, "few thousand bytes"),
        ("stream.ts", 5000, "no frame"),
        ("no-cues.mkv", 200, "cluster"),
        ("fragmented.mp4", 600, "moov"),
        ("moov-last.mp4", 100_000, "moov"),
        ("moov-first.mp4", 100_000, "one table"),
    ] {
        let (film, path) = (film(name), format!("/live/{part}-{name}"));
        let mut sender = Sender::begin(&server, &path, &film);
        sender.send(part);
        for query in ["at=0", "at=1", "tc=01:00:00:00", "info"] {
            let answer = server.get(&format!("{path}?{query}"));
            assert_eq!(answer.status, 409, "{name} {query}: {}", answer.text());
            let said = json(&answer)["detail"].as_str().unwrap().to_owned();
            assert!(said.contains("yet") && said.contains(why), "{name}: {said}");
        }
        sender.end();
        assert_eq!(server.get(&format!("{path}?at=2")).status, 200, "{name}");
    }
    // Each was looked through once for all that was asked of so many bytes.
    assert_eq!(server.metric("reelmap_indexes_failed_total{why=\"early\"}"), 6.0);
    // What is no film now will be none.
    let words = b"no film at all, ".repeat(1000);
    let mut sender = Sender::begin(&server, "/live/words.ts", &words);
    sender.send(8000);
    assert_eq!(server.get("/live/words.ts?at=0").status, 415);
    assert_eq!(server.metric("reelmap_indexes_failed_total{why=\"unknown\"}"), 1.0);
    sender.end();
}

#[test]
fn what_comes_after_a_hole_is_not_looked_at() {
    let (_root, server) = serve();
    let (film, path) = (film("stream.ts"), "/live/parts.ts");
    let length = film.len();
    let mut client = server.connect();
    let mut part = |from: usize, to: usize| {
        let head = format!(
            "PUT {path} HTTP/1.1\nContent-Range: bytes {from}-{}/{length}\nContent-Length: {}",
            to - 1,
            to - from
        );
        client.request(&head);
        client.send(&film[from..to]);
        client.response("PUT").status
    };
    let end = || json(&server.get(&format!("{path}?at=0")))["duration"]["seconds"].as_f64();
    assert_eq!(part(length / 2, length), 202);
    assert_eq!(server.get(&format!("{path}?at=0")).status, 409);
    assert_eq!(part(0, length / 4), 202);
    let quarter = end().unwrap();
    assert!(quarter < 5.0, "{quarter}");
    let past = server.get(&format!("{path}?at=9"));
    assert_eq!((past.status, json(&past)["duration"]["seconds"].as_f64()), (416, Some(quarter)));
    let before = ask(&server, path, &moments(quarter));
    assert_eq!(part(length / 4, length / 2), 201);
    assert_eq!(json(&server.get(&format!("{path}?at=9")))["growing"], false);
    assert_eq!(ask(&server, path, &moments(quarter)), before);
}

#[test]
fn a_film_is_asked_until_the_new_one_has_taken_its_place() {
    let (root, server) = serve();
    let (old, new) = (film("film.mkv"), film("stream.ts"));
    fs::write(root.path().join("live/cam"), &old).unwrap();
    let times = moments(9.0);
    let before = ask(&server, "/live/cam", &times);
    let made = server.metric("reelmap_indexes_made_total");
    let mut sender = Sender::begin(&server, "/live/cam", &new);
    sender.send(new.len() / 2);
    assert_eq!(json(&server.get("/live/cam?at=1"))["growing"], false);
    // The new one is asked by who says that it is meant.
    let coming = json(&server.get("/live/cam?from=start&at=2"));
    assert_eq!((&coming["growing"], &coming["track"]["id"]), (&true.into(), &256.into()));
    assert_eq!(ask(&server, "/live/cam", &times), before);
    assert_eq!(server.metric("reelmap_indexes_made_total"), made);
    sender.end();
    let after = json(&server.get("/live/cam?at=2"));
    assert_eq!(after["frame"], coming["frame"]);
}

#[test]
fn a_hundred_who_ask_at_once_are_answered_from_one_extension() {
    let (_root, server) = serve();
    for name in ["stream.ts", "fragmented.mp4", "no-cues.mkv"] {
        let (film, path) = (film(name), format!("/live/{name}"));
        let extended = || server.metric("reelmap_indexes_extended_total");
        let (before, mut sender) = (extended(), Sender::begin(&server, &path, &film));
        for half in 1..=2 {
            sender.send(film.len() * half / 2);
            let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
            for client in &mut clients {
                client.request(&format!("GET {path}?at=1.6 HTTP/1.1"));
            }
            let answers: Vec<_> = clients.iter_mut().map(|client| client.response("GET")).collect();
            assert!(
                answers.iter().all(|it| it.status == 200 && it.body == answers[0].body),
                "{name}"
            );
            assert_eq!(extended() - before, half as f64, "{name}");
        }
        assert!(server.metric("reelmap_indexes") >= 1.0);
        assert!(server.metric("reelmap_index_bytes") > 1000.0);
        sender.end();
        assert_eq!(server.ask(&format!("DELETE {path} HTTP/1.1")).status, 204);
    }
}

#[test]
fn indexes_of_streams_are_bounded_by_bytes() {
    const STREAMS: usize = 40;
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("live")).unwrap();
    let server = Server::start(
        root.path(),
        &["--ingest", "live", "--ingest-idle", "3600", "--index-mib", "1"],
    );
    let film = film("stream.ts");
    let mut senders: Vec<_> = (0..STREAMS)
        .map(|number| Sender::begin(&server, &format!("/live/{number}.ts"), &film))
        .collect();
    for (number, sender) in senders.iter_mut().enumerate() {
        sender.send(film.len() / 2);
        assert_eq!(server.get(&format!("/live/{number}.ts?at=2")).status, 200);
    }
    let (held, bytes) = (server.metric("reelmap_indexes"), server.metric("reelmap_index_bytes"));
    assert!((1.0..STREAMS as f64).contains(&held), "{held} held");
    assert!(bytes <= 1024.0 * 1024.0, "{bytes} bytes held");
    // One that was let go of is begun anew.
    for number in 0..STREAMS {
        assert_eq!(json(&server.get(&format!("/live/{number}.ts?at=2")))["frame"]["number"], 49);
    }
}

fn append(path: &Path, bytes: &[u8]) {
    fs::File::options().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn a_file_that_is_followed_is_asked_as_it_grows() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &["--follow-idle", "3600"]);
    for name in ["stream.ts", "fragmented.mp4", "no-cues.mkv"] {
        let (film, path, file) = (film(name), format!("/{name}"), root.path().join(name));
        fs::write(&file, &film[..film.len() / 3]).unwrap();
        let head = format!("GET {path} HTTP/1.1\nRange: bytes=0-9007199254740991");
        let mut reader = Reader::ask(&server, &head);
        reader.take(film.len() / 3);
        let first = json(&server.get(&format!("{path}?at=0")));
        assert_eq!(first["growing"], true, "{name}");
        let end = first["duration"]["seconds"].as_f64().unwrap();
        let before = ask(&server, &path, &moments(end));
        append(&file, &film[film.len() / 3..film.len() * 2 / 3]);
        reader.take(film.len() * 2 / 3 - film.len() / 3);
        let later = json(&server.get(&format!("{path}?at=0")));
        assert!(later["duration"]["seconds"].as_f64().unwrap() > end, "{name}");
        assert_eq!(ask(&server, &path, &moments(end)), before, "{name}");
        append(&file, &film[film.len() * 2 / 3..]);
        reader.take(film.len() - film.len() * 2 / 3);
        assert_eq!(ask(&server, &path, &moments(end)), before, "{name}");
        drop(reader);
    }
}

/// A film whose next bytes are boxes without anything in them: each takes its reader as long as one that has.
fn costly(film: &[u8], boxes: usize) -> Vec<u8> {
    [film, &[0, 0, 0, 8, b'f', b'r', b'e', b'e'].repeat(boxes)].concat()
}

/// Follows the file, of which there are so many bytes, so that it counts as one that grows.
fn follow(server: &Server, path: &str, length: usize) -> Reader {
    let from = length - 1;
    let range = format!("GET {path} HTTP/1.1\nRange: bytes={from}-9007199254740991");
    let mut reader = Reader::ask(server, &range);
    assert_eq!(reader.status, 206);
    reader.take(1);
    reader
}

#[test]
fn costly_streams_hold_up_none_but_their_like() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &["--follow-idle", "3600", "--index-time", "3600"]);
    let bytes = costly(&film("fragmented.mp4"), 2 << 20);
    let costly: Vec<_> = (0..4)
        .map(|number| {
            let path = format!("/{number}.mp4");
            fs::write(root.path().join(&path[1..]), &bytes).unwrap();
            let reader = follow(&server, &path, bytes.len());
            let mut client = server.connect();
            client.request(&format!("GET {path}?at=1 HTTP/1.1"));
            (reader, client)
        })
        .collect();
    let quick = film("stream.ts");
    fs::write(root.path().join("quick.ts"), &quick).unwrap();
    let _reader = follow(&server, "/quick.ts", quick.len());
    assert_eq!(server.get("/quick.ts?at=1").status, 200);
    assert_eq!(server.metric("reelmap_indexes_extended_total"), 1.0, "the costly ones were first");
    drop(costly);
}

#[test]
fn what_was_read_of_a_costly_stream_is_not_read_again() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &["--follow-idle", "3600", "--index-time", "1"]);
    let (file, film) = (root.path().join("film.mp4"), film("fragmented.mp4"));
    let bytes = costly(&film, 3 << 18);
    fs::write(&file, &bytes).unwrap();
    let _reader = follow(&server, "/film.mp4", bytes.len());
    until("all of it was looked through", || {
        let answer = server.get("/film.mp4?at=1");
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
        answer.status == 200
    });
    // There is an index now; while it is extended in turns, it tells of what it reaches.
    append(&file, &bytes[film.len()..]);
    until("the rest of it was looked through, too", || {
        let info = json(&server.get("/film.mp4?info"));
        assert_eq!(server.get("/film.mp4?at=1").status, 200);
        info["byte_length"] == 2 * bytes.len() - film.len()
    });
}
