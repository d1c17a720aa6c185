//! Uploads in parts: in any order, at once, broken off and gone on with; and what makes no sense.

mod support;

use sha2::{Digest, Sha256};
use std::{fs, io::Write, ops::Range, thread};
use support::{
    Response, Server, command::until, ingest::assert_nothing_is_open, live::Reader, noise, programs,
};

fn serve(flags: &[&str]) -> (tempfile::TempDir, Server) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("live")).unwrap();
    let server = Server::start(root.path(), &[&["--ingest", "live"], flags].concat());
    (root, server)
}

const FILM: &str = "/live/film.mp4";

/// Sends `bytes` under a `Content-Range`.
fn part(server: &Server, range: &str, bytes: &[u8]) -> Response {
    let mut client = server.connect();
    let length = bytes.len();
    client.request(&format!(
        "PUT {FILM} HTTP/1.1\nContent-Range: bytes {range}\nContent-Length: {length}"
    ));
    // A server that refuses need not read it.
    let _ = client.stream.write_all(bytes);
    client.response("PUT")
}

/// What the server holds, as it says.
fn held(answer: &Response) -> Vec<String> {
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let spans = json["held"].as_array().unwrap().iter();
    spans.map(|span| span.as_str().unwrap().to_owned()).collect()
}

fn spans(length: usize, count: usize) -> Vec<Range<usize>> {
    let size = length.div_ceil(count);
    (0..count).map(|n| n * size..((n + 1) * size).min(length)).collect()
}

#[test]
fn parts_in_any_order_make_the_file() {
    let (root, server) = serve(&[]);
    let film = b"0123456789";
    let middle = part(&server, "4-6/10", &film[4..7]);
    assert_eq!((middle.status, held(&middle)), (202, vec!["4-6".into()]));
    assert_eq!((middle.header("upload-offset"), middle.header("upload-complete")), ("0", "?0"));
    let end = part(&server, "8-9/*", &film[8..]);
    assert_eq!((end.status, held(&end)), (202, vec!["4-6".into(), "8-9".into()]));
    let start = part(&server, "0-3/10", &film[..4]);
    assert_eq!((start.status, held(&start)), (202, vec!["0-6".into(), "8-9".into()]));
    assert_eq!(start.header("upload-offset"), "7");
    let last = part(&server, "7-7/10", &film[7..8]);
    assert_eq!((last.status, last.header("upload-complete")), (201, "?1"));
    assert_eq!(last.header("etag"), middle.header("etag"));
    assert_eq!(fs::read(root.path().join("live/film.mp4")).unwrap(), film);
    let after = server.get(FILM);
    assert_eq!((&after.body[..], after.header("etag")), (&film[..], last.header("etag")));
    assert_eq!(server.metric("reelmap_streams"), 0.0);
}

#[test]
fn parts_at_once_make_the_file() {
    let (root, server) = serve(&[]);
    let film = noise(1, 10_000_000);
    thread::scope(|scope| {
        for span in spans(film.len(), 16).into_iter().rev() {
            let (server, film) = (&server, &film);
            scope.spawn(move || {
                let range = format!("{}-{}/{}", span.start, span.end - 1, film.len());
                let answer = part(server, &range, &film[span]);
                assert!(matches!(answer.status, 201 | 202), "{}", answer.text());
            });
        }
    });
    let stored = fs::read(root.path().join("live/film.mp4")).unwrap();
    assert_eq!(Sha256::digest(&stored), Sha256::digest(&film));
}

#[test]
fn readers_follow_the_parts_that_come_next() {
    let (_root, server) = serve(&[]);
    assert_eq!(part(&server, "0-3/10", b"0123").status, 202);
    let mut reader = Reader::ask(&server, &format!("GET {FILM} HTTP/1.1"));
    assert_eq!(reader.take(4), b"0123");
    assert_eq!(part(&server, "7-9/10", b"789").status, 202);
    assert_eq!(part(&server, "4-6/10", b"456").status, 201);
    assert_eq!(reader.rest(), (b"456789".to_vec(), true));
}

#[test]
fn readers_of_parts_that_nobody_sends_are_cut() {
    let (_root, server) = serve(&["--ingest-idle", "1"]);
    assert_eq!(part(&server, "0-3/10", b"0123").status, 202);
    let reader = Reader::ask(&server, &format!("GET {FILM} HTTP/1.1"));
    assert_eq!(reader.rest(), (b"0123".to_vec(), false));
    assert_eq!(part(&server, "4-9/10", b"456789").status, 201);
}

#[test]
fn what_makes_no_sense_is_refused_and_harms_nothing() {
    let (_root, server) = serve(&["--ingest-max-bytes", "1000"]);
    assert_eq!(part(&server, "2-5/10", b"2345").status, 202);
    for (range, bytes, status) in [
        ("0-2/10", &b"xxx"[..], 409),
        ("5-5/10", b"x", 409),
        ("2-5/10", b"xxxx", 409),
        ("6-7/11", b"xx", 409),
        ("9-10/*", b"xx", 409),
        ("6-10/10", b"xxxxx", 400),
        ("7-6/10", b"", 400),
        ("6-7/10", b"x", 400),
        ("6-7/10", b"xxx", 400),
        ("6-7", b"xx", 400),
        ("6-7/1001", b"xx", 413),
        ("1000-1000/*", b"x", 413),
    ] {
        let answer = part(&server, range, bytes);
        assert_eq!(answer.status, status, "{range}: {}", answer.text());
        let named = match status {
            400 => "Content-Range",
            413 => "1000 bytes here, as --ingest-max-bytes says",
            _ => "409 conflict",
        };
        assert!(answer.text().contains(named), "{range}: {}", answer.text());
    }
    let twice = "Content-Range: bytes 6-7/10\nContent-Range: bytes 6-7/10\nContent-Length: 0";
    assert_eq!(server.ask(&format!("PUT {FILM} HTTP/1.1\n{twice}")).status, 400);
    assert_eq!(part(&server, "0-0/10", b"0").status, 202);
    let there = part(&server, "0-3/10", b"0123");
    assert!(there.text().contains("are there already; go on from byte 1."), "{}", there.text());
    assert_eq!(part(&server, "6-9/10", b"6789").status, 202);
    assert_eq!(part(&server, "1-1/10", b"1").status, 201);
    assert_eq!(server.get(FILM).text(), "0123456789");
    assert_nothing_is_open(&server);
}

#[test]
fn a_whole_file_has_no_parts() {
    let (_root, server) = serve(&[]);
    assert_eq!(part(&server, "0-3/4", b"film").status, 201);
    assert_eq!(part(&server, "0-3/4", b"xxxx").status, 409);
    assert_eq!(part(&server, "4-7/8", b"xxxx").status, 409);
    assert_eq!(server.get(FILM).text(), "film");
    assert_eq!(server.ask(&format!("DELETE {FILM} HTTP/1.1")).status, 204);
    assert_eq!(part(&server, "0-3/4", b"xxxx").status, 201);
}

#[test]
fn a_total_that_is_told_with_the_last_part_counts() {
    let (_root, server) = serve(&[]);
    assert_eq!(part(&server, "0-3/*", b"film").status, 202);
    assert_eq!(part(&server, "4-4/3", b"!").status, 400);
    assert_eq!(part(&server, "4-4/5", b"!").status, 201);
    assert_eq!(server.get(FILM).text(), "film!");
}

#[test]
fn nothing_ends_before_what_is_being_written() {
    let (root, server) = serve(&[]);
    let mut writer = server.connect();
    writer.request(&format!("PUT {FILM} HTTP/1.1\nContent-Range: bytes 6-9/*\nContent-Length: 4"));
    until("it is open", || server.metric("reelmap_streams") == 1.0);
    let early = part(&server, "0-3/4", b"0123");
    assert_eq!(early.status, 409, "{}", early.text());
    assert!(!root.path().join("live/film.mp4").exists());
    assert_eq!(part(&server, "0-5/10", b"012345").status, 202);
    writer.send("6789");
    assert_eq!(writer.response("PUT").status, 201);
    assert_eq!(server.get(FILM).text(), "0123456789");
}

#[test]
fn a_part_that_is_being_written_belongs_to_its_writer() {
    let (_root, server) = serve(&[]);
    let mut writer = server.connect();
    writer
        .request(&format!("PUT {FILM} HTTP/1.1\nContent-Range: bytes 0-9/20\nContent-Length: 10"));
    until("it is open", || server.metric("reelmap_streams") == 1.0);
    assert_eq!(part(&server, "9-9/20", b"x").status, 409);
    assert_eq!(part(&server, "10-19/20", b"abcdefghij").status, 202);
    writer.send("0123456789");
    assert_eq!(writer.response("PUT").status, 201);
    assert_eq!(server.get(FILM).text(), "0123456789abcdefghij");
}

#[test]
fn an_upload_that_broke_off_is_gone_on_with() {
    let (_root, server) = serve(&[]);
    let film = noise(2, 100_000);
    let mut client = server.connect();
    client.request(&format!("PUT {FILM} HTTP/1.1\nContent-Length: {}", film.len()));
    client.send(&film[..60_000]);
    until("it has arrived", || server.metric("reelmap_received_bytes_total") >= 60_000.0);
    drop(client);
    let ask = format!("PUT {FILM} HTTP/1.1\nContent-Range: bytes */*\nContent-Length: 0");
    let offset = || server.ask(&ask).header("upload-offset").to_owned();
    until("it is kept", || offset() == "60000");
    let head = server.ask(&format!("HEAD {FILM} HTTP/1.1"));
    assert_eq!((head.header("upload-offset"), head.header("upload-complete")), ("60000", "?0"));
    until("nobody is at it", || part(&server, "60000-99999/100000", &film[60_000..]).status == 201);
    assert!(server.get(FILM).body == film);
    assert_eq!(server.ask(&ask).status, 404);
}

#[test]
fn a_chunked_part_ends_where_it_said() {
    let (_root, server) = serve(&[]);
    let chunked = |range: &str, body: &str| {
        let mut client = server.connect();
        client.request(&format!(
            "PUT {FILM} HTTP/1.1\nContent-Range: bytes {range}\nTransfer-Encoding: chunked"
        ));
        client.send(body);
        client.response("PUT").status
    };
    assert_eq!(chunked("0-3/10", "6\r\n0123xx\r\n0\r\n\r\n"), 400);
    assert_eq!(chunked("4-6/10", "2\r\n45\r\n0\r\n\r\n"), 400);
    assert_eq!(chunked("6-9/10", "4\r\n6789\r\n0\r\n\r\n"), 201);
    assert_eq!(server.get(FILM).text(), "0123456789");
}

#[test]
#[ignore = "needs curl"]
fn curl_sends_parts_at_once_and_goes_on_where_it_broke_off() {
    let (root, server) = serve(&[]);
    let film = noise(3, 20_000_000);
    let local = root.path().join("local");
    fs::write(&local, &film).unwrap();
    let url = server.url(FILM);
    thread::scope(|scope| {
        for (number, span) in spans(film.len(), 8).into_iter().enumerate().rev() {
            let piece = root.path().join(format!("piece-{number}"));
            fs::write(&piece, &film[span.clone()]).unwrap();
            let range =
                format!("Content-Range: bytes {}-{}/{}", span.start, span.end - 1, film.len());
            let url = &url;
            scope.spawn(move || {
                programs::output("curl", ["-sf", "-T", piece.to_str().unwrap(), "-H", &range, url])
            });
        }
    });
    let stored = programs::output("curl", ["-sf", &url]);
    assert_eq!(Sha256::digest(&stored), Sha256::digest(&film));

    let url = server.url("/live/again.mp4");
    let first = root.path().join("first");
    fs::write(&first, &film[..7_000_000]).unwrap();
    let range = format!("Content-Range: bytes 0-6999999/{}", film.len());
    programs::output("curl", ["-sf", "-T", first.to_str().unwrap(), "-H", &range, &url]);
    programs::output("curl", ["-sf", "-C", "7000000", "-T", local.to_str().unwrap(), &url]);
    assert!(programs::output("curl", ["-sf", &url]) == film);
}
