//! Readers of a stream that is still being received: all of it so far, what comes, and its end.

mod support;

use std::{fs, thread, time::Duration};
use support::{
    Server,
    command::until,
    ingest::assert_nothing_is_open,
    live::{Encoder, Reader},
    noise,
};

fn serve(flags: &[&str]) -> (tempfile::TempDir, Server) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("live")).unwrap();
    let server = Server::start(root.path(), &[&["--ingest", "live"], flags].concat());
    (root, server)
}

const CAM: &str = "/live/cam.ts";

/// A stream of which `bytes` have been committed.
fn begun(server: &Server, bytes: &[u8]) -> Encoder {
    let mut encoder = Encoder::begin(server, CAM);
    encoder.send(bytes);
    until("the stream is there", || server.ask(&format!("HEAD {CAM} HTTP/1.1")).status == 200);
    reaches(server, bytes.len());
    encoder
}

/// Waits until so much of the stream is there.
#[track_caller]
fn reaches(server: &Server, length: usize) {
    until("the stream grows", || {
        let head = server.ask(&format!("HEAD {CAM} HTTP/1.1"));
        head.header("upload-offset") == length.to_string()
    });
}

#[test]
fn a_reader_gets_all_so_far_then_what_comes_then_the_end() {
    let (_root, server) = serve(&[]);
    let film = noise(1, 300_000);
    let mut encoder = begun(&server, &film[..100_000]);
    let mut early = Reader::ask(&server, &format!("GET {CAM} HTTP/1.1"));
    assert_eq!((early.status, early.header("transfer-encoding")), (200, "chunked"));
    assert_eq!(early.header("content-length"), "");
    assert_eq!(early.header("cache-control"), "no-store");
    assert_eq!(early.header("content-type"), "video/mp2t");
    assert_eq!(early.take(100_000), &film[..100_000]);
    encoder.send(&film[100_000..200_000]);
    assert_eq!(early.take(100_000), &film[100_000..200_000]);
    let mut late = Reader::ask(&server, &format!("GET {CAM} HTTP/1.1"));
    assert_eq!(late.take(200_000), &film[..200_000]);
    encoder.send(&film[200_000..]);
    assert_eq!(encoder.end(), 201);
    for reader in [early, late] {
        assert_eq!(reader.rest(), (film[200_000..].to_vec(), true));
    }
    let after = server.get(CAM);
    assert!(after.body == film && after.complete);
}

#[test]
fn a_stream_without_a_byte_is_waited_for() {
    let (_root, server) = serve(&[]);
    let mut encoder = Encoder::begin(&server, CAM);
    until("it is there", || server.ask(&format!("HEAD {CAM} HTTP/1.1")).status == 200);
    let mut reader = Reader::ask(&server, &format!("GET {CAM} HTTP/1.1\nRange: bytes=0-"));
    assert_eq!(reader.status, 200);
    encoder.send(b"film");
    assert_eq!(reader.take(4), b"film");
    encoder.end();
    assert_eq!(reader.rest(), (vec![], true));
}

#[test]
fn http_1_0_is_followed_until_the_connection_closes() {
    let (_root, server) = serve(&[]);
    let mut encoder = begun(&server, b"fi");
    let mut reader = Reader::ask(&server, &format!("GET {CAM} HTTP/1.0"));
    assert_eq!((reader.status, reader.header("transfer-encoding")), (200, ""));
    assert_eq!(reader.take(2), b"fi");
    encoder.send(b"lm");
    assert_eq!(reader.take(2), b"lm");
    encoder.end();
    assert_eq!(reader.rest(), (vec![], true));
}

#[test]
fn head_tells_that_it_grows() {
    let (_root, server) = serve(&[]);
    let encoder = begun(&server, b"film");
    let head = server.ask(&format!("HEAD {CAM} HTTP/1.1\nRange: bytes=0-1"));
    assert_eq!((head.status, head.header("content-length")), (200, ""));
    assert_eq!(head.header("accept-ranges"), "bytes");
    assert!(head.header("etag").starts_with("\"live-"), "{head:?}");
    encoder.end();
    let head = server.ask(&format!("HEAD {CAM} HTTP/1.1"));
    assert_eq!((head.status, head.header("content-length")), (200, "4"));
}

#[test]
fn ranges_within_are_of_an_unknown_whole() {
    let (_root, server) = serve(&[]);
    let _encoder = begun(&server, b"0123456789");
    for (range, body, content_range) in [
        ("0-3", "0123", "bytes 0-3/*"),
        ("4-4", "4", "bytes 4-4/*"),
        ("6-99", "6789", "bytes 6-9/*"),
        ("-3", "789", "bytes 7-9/*"),
        ("-99", "0123456789", "bytes 0-9/*"),
    ] {
        let answer = server.ask(&format!("GET {CAM} HTTP/1.1\nRange: bytes={range}"));
        assert_eq!((answer.status, answer.text()), (206, body), "{range}");
        assert_eq!(answer.header("content-range"), content_range, "{range}");
        assert_eq!(answer.header("content-length"), body.len().to_string(), "{range}");
    }
    let beyond = server.ask(&format!("GET {CAM} HTTP/1.1\nRange: bytes=11-"));
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */10"));
}

#[test]
fn an_open_range_follows() {
    let (_root, server) = serve(&[]);
    let mut encoder = begun(&server, b"0123456789");
    let ask =
        |range: &str| Reader::ask(&server, &format!("GET {CAM} HTTP/1.1\nRange: bytes={range}"));
    let mut readers = [ask("4-"), ask("4-9007199254740991")];
    for reader in &mut readers {
        assert_eq!(reader.status, 206);
        assert_eq!(reader.header("content-range"), "bytes 4-9007199254740991/*");
        assert_eq!(reader.take(6), b"456789");
    }
    encoder.send(b"abc");
    readers.iter_mut().for_each(|reader| assert_eq!(reader.take(3), b"abc"));
    encoder.end();
    readers.into_iter().for_each(|reader| assert_eq!(reader.rest(), (vec![], true)));
}

#[test]
fn a_range_at_the_edge_waits_for_its_first_byte() {
    let (_root, server) = serve(&["--live-wait", "3600"]);
    let mut encoder = begun(&server, b"0123456789");
    let mut client = server.connect();
    client.request(&format!("GET {CAM} HTTP/1.1\nRange: bytes=10-"));
    let mut bounded = server.connect();
    bounded.request(&format!("GET {CAM} HTTP/1.1\nRange: bytes=10-11"));
    until("both wait", || server.metric("reelmap_responses_in_flight") == 4.0);
    encoder.send(b"abcdef");
    let (status, headers) = client.head().unwrap();
    assert_eq!((status, &headers["content-range"][..]), (206, "bytes 10-9007199254740991/*"));
    assert_eq!(bounded.response("GET").text(), "ab");
}

#[test]
fn a_part_of_a_stream_without_a_byte_waits_for_its_first() {
    let (_root, server) = serve(&["--live-wait", "3600"]);
    let mut encoder = Encoder::begin(&server, CAM);
    until("it is there", || server.ask(&format!("HEAD {CAM} HTTP/1.1")).status == 200);
    let mut clients = ["0-1", "-2"].map(|range| {
        let mut client = server.connect();
        client.request(&format!("GET {CAM} HTTP/1.1\nRange: bytes={range}"));
        client
    });
    until("both wait", || server.metric("reelmap_responses_in_flight") == 4.0);
    encoder.send(b"film");
    let answers = clients.each_mut().map(|client| client.response("GET"));
    let told = answers.each_ref().map(|it| (it.status, it.header("content-range"), it.text()));
    assert_eq!(told[0], (206, "bytes 0-1/*", "fi"));
    assert_eq!(told[1], (206, "bytes 2-3/*", "lm"));
    encoder.end();
}

#[test]
fn a_part_of_a_stream_that_stays_without_a_byte_is_refused() {
    let (_root, server) = serve(&["--live-wait", "1"]);
    let _encoder = Encoder::begin(&server, CAM);
    until("it is there", || server.ask(&format!("HEAD {CAM} HTTP/1.1")).status == 200);
    let answer = server.ask(&format!("GET {CAM} HTTP/1.1\nRange: bytes=0-99"));
    assert_eq!((answer.status, answer.header("content-range")), (416, "bytes */0"));
}

#[test]
fn at_the_edge_is_not_waited_for_ever() {
    let (_root, server) = serve(&["--live-wait", "1"]);
    let encoder = begun(&server, b"0123456789");
    let edge = format!("GET {CAM} HTTP/1.1\nRange: bytes=10-");
    let answer = server.ask(&edge);
    assert_eq!((answer.status, answer.header("content-range")), (416, "bytes */10"));
    encoder.end();
    assert_eq!(server.ask(&edge).status, 416);
}

#[test]
fn who_waits_at_the_edge_of_a_stream_that_ends_is_told_so() {
    let (_root, server) = serve(&["--live-wait", "3600"]);
    let encoder = begun(&server, b"0123456789");
    let mut client = server.connect();
    client.request(&format!("GET {CAM} HTTP/1.1\nRange: bytes=10-"));
    until("it waits", || server.metric("reelmap_responses_in_flight") == 3.0);
    encoder.end();
    assert_eq!(client.response("GET").status, 416);
}

#[test]
fn a_download_is_taken_up_where_it_broke_off_in_the_middle_and_after_the_end() {
    let (_root, server) = serve(&[]);
    let film = noise(2, 50_000);
    let mut encoder = begun(&server, &film[..20_000]);
    let tag = server.ask(&format!("HEAD {CAM} HTTP/1.1")).header("etag").to_owned();
    encoder.send(&film[20_000..40_000]);
    reaches(&server, 40_000);
    let resume = format!("GET {CAM} HTTP/1.1\nRange: bytes=15000-\nIf-Range: {tag}");
    let mut reader = Reader::ask(&server, &resume);
    assert_eq!((reader.status, reader.header("etag")), (206, &tag[..]));
    assert_eq!(reader.take(25_000), &film[15_000..40_000]);
    let other = format!("GET {CAM} HTTP/1.1\nRange: bytes=15000-\nIf-Range: \"live-0\"");
    assert_eq!(Reader::ask(&server, &other).status, 200);
    encoder.send(&film[40_000..]);
    encoder.end();
    assert_eq!(reader.rest(), (film[40_000..].to_vec(), true));
    let after = server.ask(&resume);
    assert_eq!((after.status, after.header("etag")), (206, &tag[..]));
    assert_eq!(after.header("content-range"), "bytes 15000-49999/50000");
    assert_eq!(after.body, &film[15_000..]);
}

#[test]
fn readers_of_what_is_not_whole_are_cut() {
    let (_root, server) = serve(&[]);
    let mut client = server.connect();
    client.request(&format!("PUT {CAM} HTTP/1.1\nContent-Length: 100"));
    client.send("half a film");
    until("it is there", || server.ask(&format!("HEAD {CAM} HTTP/1.1")).status == 200);
    reaches(&server, 11);
    let reader = Reader::ask(&server, &format!("GET {CAM} HTTP/1.1"));
    drop(client);
    assert_eq!(reader.rest(), (b"half a film".to_vec(), false));
    // So is who comes later, until it is gone on with.
    let late = Reader::ask(&server, &format!("GET {CAM} HTTP/1.1"));
    assert_eq!(late.rest(), (b"half a film".to_vec(), false));
    until("it is counted", || {
        server.metric("reelmap_responses_cut_total{why=\"incomplete\"}") == 2.0
    });
}

#[test]
fn a_reader_that_takes_nothing_holds_nobody_up_and_then_gets_it_all() {
    let (_root, server) = serve(&[]);
    let film = noise(3, 24 << 20);
    let mut encoder = begun(&server, &film[..1000]);
    let mut slow = Reader::ask(&server, &format!("GET {CAM} HTTP/1.1"));
    let mut quick = Reader::ask(&server, &format!("GET {CAM} HTTP/1.1"));
    for piece in film[1000..].chunks(1 << 20) {
        encoder.send(piece);
    }
    assert!(quick.take(film.len()) == film);
    let behind = "reelmap_stream_behind_bytes{stream=\"/live/cam.ts\",reader=\"slowest\"}";
    assert!(server.metric(behind) > 1e6, "{}", server.metric(behind));
    assert_eq!(server.metric("reelmap_stream_readers{stream=\"/live/cam.ts\"}"), 2.0);
    encoder.end();
    assert!(slow.take(film.len()) == film);
    assert_eq!(slow.rest(), (vec![], true));
    until("all readers are gone", || server.metric("reelmap_responses_in_flight") == 1.0);
}

#[test]
fn a_reader_that_leaves_is_let_go_of() {
    let (_root, server) = serve(&[]);
    let mut encoder = begun(&server, b"film");
    let readers = "reelmap_stream_readers{stream=\"/live/cam.ts\"}";
    for _ in 0..10 {
        let mut reader = Reader::ask(&server, &format!("GET {CAM} HTTP/1.1"));
        reader.take(4);
    }
    until("they are gone", || {
        encoder.send(b"more");
        server.metric(readers) == 0.0
    });
}

#[test]
fn readers_that_leave_while_nothing_comes_are_let_go_of() {
    let (_root, server) = serve(&["--ingest-idle", "3600", "--idle-timeout", "1"]);
    let mut encoder = begun(&server, b"film");
    let mut stays = Reader::ask(&server, &format!("GET {CAM} HTTP/1.1"));
    for query in ["", "?from=live"].repeat(100) {
        let mut reader = Reader::ask(&server, &format!("GET {CAM}{query} HTTP/1.1"));
        reader.take(4);
    }
    // The encoder, the one that stays, and who asks.
    until("they are gone", || server.metric("reelmap_connections") == 3.0);
    assert_eq!(server.metric("reelmap_responses_in_flight"), 3.0);
    assert_eq!(server.metric("reelmap_stream_readers{stream=\"/live/cam.ts\"}"), 1.0);
    encoder.send(b"more");
    assert_eq!(stays.take(8), b"filmmore");
    assert_eq!(encoder.end(), 201);
    assert_eq!(stays.rest(), (vec![], true));
    assert_nothing_is_open(&server);
}

#[test]
fn the_kernel_asks_whether_a_reader_is_there_while_nothing_comes() {
    let (_root, server) = serve(&["--ingest-idle", "3600", "--idle-timeout", "1"]);
    let _encoder = begun(&server, b"film");
    let client = server.connect();
    let ends = [server.address.port(), client.port()].map(|port| format!("0100007F:{port:04X}"));
    let _reader = Reader::with(client, &format!("GET {CAM} HTTP/1.1"));
    // proc(5): 02 is the timer of keep-alive, and then it is said in hundredths of a second when it rings.
    until("the server's end asks once a second", || {
        fs::read_to_string("/proc/net/tcp").unwrap().lines().any(|line| {
            let [_, local, remote, _state, _queues, timer, ..] =
                line.split_whitespace().collect::<Vec<_>>()[..]
            else {
                return false;
            };
            let rings =
                timer.strip_prefix("02:").map(|rings| u64::from_str_radix(rings, 16).unwrap());
            [local, remote] == ends && rings.is_some_and(|hundredths| hundredths <= 100)
        })
    });
}

#[test]
fn many_readers_get_the_same_bytes_from_one_mapping() {
    let (_root, server) = serve(&[]);
    let film = noise(4, 2 << 20);
    let mut encoder = begun(&server, &film[..1]);
    thread::scope(|scope| {
        let reader = || {
            let mut reader = Reader::ask(&server, &format!("GET {CAM} HTTP/1.1"));
            assert!(reader.take(film.len()) == film);
            assert_eq!(reader.rest(), (vec![], true));
        };
        let readers: Vec<_> = (0..50).map(|_| scope.spawn(reader)).collect();
        until("they are there", || {
            server.metric("reelmap_stream_readers{stream=\"/live/cam.ts\"}") == 50.0
        });
        assert_eq!(server.metric("reelmap_mappings"), 1.0);
        for piece in film[1..].chunks(100_000) {
            encoder.send(piece);
            thread::sleep(Duration::from_millis(1));
        }
        encoder.end();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    let sent = |way: &str| server.metric(&format!("reelmap_sent_bytes_total{{way=\"{way}\"}}"));
    assert!(sent("writev") + sent("sendfile") >= (50 * film.len()) as f64);
}

#[test]
fn a_whole_file_goes_before_one_that_is_to_replace_it() {
    let (_root, server) = serve(&[]);
    begun(&server, b"the old one").end();
    let mut encoder = Encoder::begin(&server, CAM);
    encoder.send(b"new");
    until("it is there", || server.metric("reelmap_streams") == 1.0);
    assert_eq!(server.get(CAM).text(), "the old one");
    let mut reader = Reader::ask(&server, &format!("GET {CAM}?from=start HTTP/1.1"));
    assert_eq!(reader.take(3), b"new");
    assert_eq!(encoder.end(), 204);
    assert_eq!(server.get(CAM).text(), "new");
}

/// The first `length` bytes of a test film, sent and committed; all of it.
fn begun_with(server: &Server, path: &str, film: &str, length: usize) -> (Encoder, Vec<u8>) {
    let film = fs::read(support::fixtures().join(film)).unwrap();
    let mut encoder = Encoder::begin(server, path);
    encoder.send(&film[..length]);
    until("the stream grows", || {
        let head = server.ask(&format!("HEAD {path} HTTP/1.1"));
        head.header("upload-offset") == length.to_string()
    });
    (encoder, film)
}

#[test]
fn from_live_begins_with_the_tables_before_the_newest_sync_point() {
    let (_root, server) = serve(&[]);
    let length = fs::metadata(support::fixtures().join("stream.ts")).unwrap().len() as usize;
    let mut joined = Vec::new();
    for part in [3, 2, 1] {
        let path = format!("/live/{part}.ts");
        let sent = length / part / 188 * 188;
        let (mut encoder, film) = begun_with(&server, &path, "stream.ts", sent);
        let reader = Reader::ask(&server, &format!("GET {path}?from=live HTTP/1.1"));
        assert_eq!((reader.status, reader.header("accept-ranges")), (200, ""));
        assert_eq!(reader.header("etag"), "");
        encoder.send(&film[sent..]);
        encoder.end();
        let (body, whole) = reader.rest();
        assert!(whole && film.ends_with(&body));
        let packets: Vec<_> = body.chunks(188).collect();
        let first = |pid: u16| {
            let is = |packet: &&[u8]| u16::from_be_bytes([packet[1] & 0x1f, packet[2]]) == pid;
            packets.iter().position(is).unwrap()
        };
        // ffmpeg's numbers: the PAT, the PMT, the pictures; a picture begins with an indicator.
        let pictures = packets[first(0x100)];
        assert!(first(0) < first(0x1000) && first(0x1000) < first(0x100), "{path}");
        assert!(pictures[3] & 0x20 != 0 && pictures[5] & 0x40 != 0, "{path}");
        joined.push(film.len() - body.len());
    }
    assert!(joined.is_sorted() && joined[0] > 0 && joined[0] < joined[2], "{joined:?}");
}

#[test]
fn from_live_begins_with_the_init_part_and_the_newest_fragment() {
    let (_root, server) = serve(&[]);
    let path = "/live/cam.mp4";
    let length = fs::metadata(support::fixtures().join("fragmented.mp4")).unwrap().len() as usize;
    let (mut encoder, film) = begun_with(&server, path, "fragmented.mp4", length / 2);
    let mut reader = Reader::ask(&server, &format!("GET {path}?from=live HTTP/1.1"));
    let place = |kind: &[u8]| film.windows(4).position(|four| four == kind).unwrap() - 4;
    let init = place(b"moof");
    assert_eq!(reader.take(init), &film[..init]);
    let next = reader.take(8);
    assert_eq!(&next[4..], b"moof");
    encoder.send(&film[length / 2..]);
    encoder.end();
    let (rest, whole) = reader.rest();
    assert!(whole && film.ends_with(&[next, rest.clone()].concat()));
    let begins = film.len() - rest.len() - 8;
    assert!(begins > init && begins < length / 2, "{begins}");
}

#[test]
fn from_live_of_fragments_with_offsets_from_the_first_byte_is_refused_with_the_remedy() {
    let (_root, server) = serve(&[]);
    let path = "/live/cam.mp4";
    let mut film = fs::read(support::fixtures().join("fragmented.mp4")).unwrap();
    for at in 0..film.len() - 4 {
        if &film[at..at + 4] == b"tfhd" {
            film[at + 7] |= 1; // base-data-offset-present
        }
    }
    let mut encoder = Encoder::begin(&server, path);
    encoder.send(&film);
    let head = || server.ask(&format!("HEAD {path} HTTP/1.1"));
    until("it arrives", || head().header("upload-offset") == film.len().to_string());
    let refused = server.get(&format!("{path}?from=live"));
    assert_eq!((refused.status, refused.complete), (409, true));
    assert!(refused.text().contains("-movflags +default_base_moof"), "{}", refused.text());
    assert_eq!(server.ask(&format!("HEAD {path}?from=live HTTP/1.1")).status, 409);
    let mut reader = Reader::ask(&server, &format!("GET {path} HTTP/1.1"));
    assert_eq!(reader.take(film.len()), film);
    encoder.end();
    // As a whole file it is what it is.
    assert_eq!(server.get(&format!("{path}?from=live")).status, 200);
}

#[test]
fn a_listing_shows_what_is_live_and_what_is_not_whole() {
    let (_root, server) = serve(&[]);
    let _encoder = begun(&server, b"film");
    let mut broken = server.connect();
    broken.request("PUT /live/film.mp4 HTTP/1.1\nContent-Length: 100");
    broken.send("half");
    let offset = || server.ask("HEAD /live/film.mp4 HTTP/1.1").header("upload-offset").to_owned();
    until("it arrives", || offset() == "4");
    drop(broken);
    let entries = || {
        let answer = server.ask("GET /live/ HTTP/1.1\nAccept: application/json");
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        json["entries"].as_array().unwrap().clone()
    };
    until("it is known to be broken off", || entries()[1]["stream"]["live"] == false);
    let entries = entries();
    assert_eq!((&entries[0]["name"], &entries[1]["name"]), (&"cam.ts".into(), &"film.mp4".into()));
    assert_eq!((&entries[0]["length"], &entries[1]["length"]), (&4.into(), &4.into()));
    assert_eq!(entries[0]["stream"]["live"], true);
    assert!(entries[0]["stream"]["age"].as_f64().unwrap() > 0.0);
    assert_eq!(entries[0]["href"], "./cam.ts?from=live");
    assert!(server.get("/live/").text().contains("live for 0:0"));
}

#[test]
fn from_live_of_what_has_no_sync_point_is_from_the_start() {
    let (_root, server) = serve(&[]);
    let mut encoder = begun(&server, b"no container at all");
    let mut reader = Reader::ask(&server, &format!("GET {CAM}?from=live HTTP/1.1"));
    assert_eq!(reader.take(19), b"no container at all");
    encoder.send(b"!");
    assert_eq!(reader.take(1), b"!");
    encoder.end();
    assert_eq!(server.get(&format!("{CAM}?from=live")).text(), "no container at all!");
}
