//! From a URL to a file: what is inside the root is served under any name, nothing else is, and no
//! answer tells where the root lies.

mod support;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::{
    ffi::OsStr,
    fs,
    io::Read,
    os::unix::{ffi::OsStrExt, net::UnixListener},
};
use support::{Client, Response, Server, stage::Stage};

impl Stage {
    fn new() -> Stage {
        Stage::with(&[])
    }

    fn with(flags: &[&str]) -> Stage {
        Stage::of(&[("film.mp4", b"film"), ("folder/deep.mp4", b"deep")], flags)
    }

    fn status(&self, path: &str) -> u16 {
        self.server.get(path).status
    }
}

fn encoded(name: &[u8]) -> String {
    name.iter().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn links_that_stay_inside_work() {
    let stage = Stage::new();
    stage.link("folder/deep.mp4", "file");
    stage.link("../film.mp4", "folder/up");
    stage.link("folder", "link");
    assert_eq!(stage.server.get("/file").text(), "deep");
    assert_eq!(stage.server.get("/folder/up").text(), "film");
    assert_eq!(stage.server.get("/link/deep.mp4").text(), "deep");
    assert_eq!(stage.server.get("/link/").status, 200);
}

#[test]
fn links_that_leave_are_404() {
    let stage = Stage::new();
    let secret = stage.outside().join("secret");
    stage.link("../secret", "out");
    stage.link(secret.to_str().unwrap(), "absolute");
    stage.link("/proc/self/root/etc/passwd", "magic");
    stage.link("/proc/self/cwd", "cwd");
    stage.link("..", "above");
    stage.link("out", "twice");
    stage.link("loop", "loop");
    stage.link("none", "dangling");
    for path in [
        "/out",
        "/absolute",
        "/magic",
        "/cwd/",
        "/above",
        "/above/",
        "/above/secret",
        "/above/root/film.mp4",
        "/twice",
        "/loop",
        "/dangling",
    ] {
        assert_eq!(stage.status(path), 404, "{path}");
    }
}

#[test]
fn a_file_that_becomes_a_link_out_is_404_at_once() {
    let stage = Stage::new();
    assert_eq!(stage.status("/film.mp4"), 200);
    fs::remove_file(stage.path("film.mp4")).unwrap();
    stage.link("../secret", "film.mp4");
    assert_eq!(stage.status("/film.mp4"), 404);
}

#[test]
fn hidden_names_are_404() {
    let stage = Stage::new();
    fs::create_dir(stage.path(".git")).unwrap();
    fs::write(stage.path(".git/config"), "hidden").unwrap();
    fs::write(stage.path(".film.mp4"), "hidden").unwrap();
    fs::write(stage.path("..film.mp4"), "hidden").unwrap();
    for path in [
        "/.film.mp4",
        "/%2efilm.mp4",
        "/..film.mp4",
        "/.git/config",
        "/.git/",
        "/.git",
        "/.",
        "/folder/.",
        "/folder/../film.mp4",
        "/./film.mp4",
    ] {
        assert_eq!(stage.status(path), 404, "{path}");
    }
}

#[test]
fn fifos_and_sockets_are_404_and_never_block() {
    let stage = Stage::new();
    mknodat(CWD, stage.path("fifo.mp4"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _listener = UnixListener::bind(stage.path("socket.mp4")).unwrap();
    stage.link("fifo.mp4", "link.mp4");
    for path in ["/fifo.mp4", "/socket.mp4", "/link.mp4", "/fifo.mp4/", "/fifo.mp4/x"] {
        assert_eq!(stage.status(path), 404, "{path}");
    }
}

#[test]
fn devices_are_404_and_never_opened() {
    let server = Server::start("/dev", &[]);
    for path in ["/null", "/zero", "/tty", "/ptmx", "/random", "/fd/0", "/stdin"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn any_name_works() {
    let stage = Stage::new();
    let names: [&[u8]; 14] = [
        b"<script>.mp4",
        b"a\"b'c.mp4",
        b"a#b.mp4",
        b"100%.mp4",
        b"%41.mp4",
        b"a b.mp4",
        b"a?b=c&d",
        "영상.mp4".as_bytes(),
        "🎬.mp4".as_bytes(),
        b"\xff\xfe.mp4",
        b"a\nb\r.mp4",
        b"a\\b;c:d",
        b"\x01\x7f",
        b"~-_.!*'(),",
    ];
    for name in names {
        fs::write(stage.path(OsStr::from_bytes(name)), name).unwrap();
    }
    for name in names {
        let answer = stage.server.get(&format!("/{}", encoded(name)));
        assert_eq!((answer.status, &answer.body[..]), (200, name));
    }
}

#[test]
fn a_name_sent_as_raw_utf_8_works() {
    let stage = Stage::new();
    fs::write(stage.path("영상.mp4"), "film").unwrap();
    assert_eq!(stage.server.get("/영상.mp4").text(), "film");
}

#[test]
fn a_plus_is_a_plus() {
    let stage = Stage::new();
    fs::write(stage.path("a+b"), "plus").unwrap();
    assert_eq!(stage.server.get("/a+b").text(), "plus");
    assert_eq!(stage.status("/a%20b"), 404);
}

#[test]
fn a_name_too_long_for_any_file_is_404() {
    let stage = Stage::new();
    assert_eq!(stage.status(&format!("/{}", "a".repeat(256))), 404);
    assert_eq!(stage.status(&format!("/{}", "a/".repeat(3000))), 404);
}

#[test]
fn a_file_with_a_slash_behind_it_is_404() {
    let stage = Stage::new();
    for path in ["/film.mp4/", "/film.mp4/x", "/folder/deep.mp4//"] {
        assert_eq!(stage.status(path), 404, "{path}");
    }
}

#[test]
fn a_folder_without_its_slash_redirects_to_it() {
    let stage = Stage::new();
    fs::create_dir(stage.path("a b#%")).unwrap();
    for (path, location) in [
        ("/folder", "/folder/"),
        ("/folder?a=b", "/folder/?a=b"),
        ("/a%20b%23%25", "/a%20b%23%25/"),
    ] {
        let answer = stage.server.get(path);
        assert_eq!((answer.status, answer.header("location")), (301, location));
    }
}

#[test]
fn a_redirect_never_leads_to_another_host() {
    let stage = Stage::new();
    let names = ["evil.com", "\\evil.com", "\t", "http:"];
    for name in names {
        fs::create_dir(stage.path(name)).unwrap();
    }
    fs::create_dir(stage.path("folder/evil.com")).unwrap();
    for path in [
        "//evil.com",
        "///evil.com",
        "/\\evil.com",
        "/%5cevil.com",
        "/%09//evil.com",
        "//%09",
        "/http:",
        "//folder//evil.com",
        "http://evil.com/folder",
        "/%5c/evil.com",
        "/%2fevil.com",
    ] {
        let location = stage.server.get(path).header("location").to_owned();
        let second = location.as_bytes().get(1).copied().unwrap_or(b'a');
        assert!(location.is_empty() || location.starts_with('/'), "{path}: {location}");
        assert!(second.is_ascii_alphanumeric() || second == b'%', "{path}: {location}");
    }
    assert_eq!(stage.server.get("//evil.com").header("location"), "/evil.com/");
}

#[test]
fn a_redirect_holds_no_line_break() {
    let stage = Stage::new();
    fs::create_dir(stage.path("a\r\nX: y")).unwrap();
    let answer = stage.server.get("/a%0d%0aX:%20y");
    assert_eq!((answer.status, answer.header("x")), (301, ""));
    assert_eq!(answer.header("location").to_ascii_lowercase(), "/a%0d%0ax%3a%20y/");
}

#[test]
fn what_players_ask_for_has_its_type() {
    let stage = Stage::new();
    for (extension, content_type) in [
        ("mp4", "video/mp4"),
        ("m4v", "video/mp4"),
        ("m4s", "video/mp4"),
        ("mov", "video/quicktime"),
        ("webm", "video/webm"),
        ("mkv", "video/x-matroska"),
        ("ts", "video/mp2t"),
        ("mts", "video/mp2t"),
        ("m2ts", "video/mp2t"),
        ("m3u8", "application/vnd.apple.mpegurl"),
        ("mpd", "application/dash+xml"),
        ("vtt", "text/vtt; charset=utf-8"),
        ("srt", "application/x-subrip"),
        ("mp3", "audio/mpeg"),
        ("m4a", "audio/mp4"),
        ("aac", "audio/aac"),
        ("ogg", "audio/ogg"),
        ("opus", "audio/ogg"),
        ("wav", "audio/wav"),
        ("flac", "audio/flac"),
        ("jpg", "image/jpeg"),
        ("png", "image/png"),
        ("MP4", "video/mp4"),
        ("none-such", "application/octet-stream"),
    ] {
        let name = format!("film.{extension}");
        fs::write(stage.path(&name), "film").unwrap();
        let answer = stage.server.get(&format!("/{name}"));
        assert_eq!(answer.header("content-type"), content_type, "{name}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
    }
}

/// One request for each kind of answer, and its status.
const KINDS: [(&str, u16); 16] = [
    ("GET /film.mp4", 200),
    ("HEAD /film.mp4", 200),
    ("GET /film.mp4|Range: bytes=1-2", 206),
    ("GET /film.mp4|Range: bytes=9-", 416),
    ("GET /film.mp4|If-None-Match: *", 304),
    ("GET /film.mp4|If-Match: \"a\"", 412),
    ("GET /", 200),
    ("GET /|Accept: application/json", 200),
    ("GET /folder", 301),
    ("GET /none", 404),
    ("GET /film.mp4/", 404),
    ("GET /out", 404),
    ("GET /%zz", 400),
    ("POST /film.mp4", 405),
    ("GET /|Content-Length: 100000", 413),
    ("OPTIONS /", 204),
];

fn ask(client: &mut Client, kind: &str) -> Response {
    let mut lines = kind.split('|');
    let first = lines.next().unwrap();
    client.ask(&format!("{first} HTTP/1.1\n{}", lines.next().unwrap_or_default()))
}

#[test]
fn players_of_other_origins_may_read_every_kind_of_answer() {
    let stage = Stage::new();
    stage.link("../secret", "out");
    for (kind, status) in KINDS {
        let answer = ask(&mut stage.server.connect(), kind);
        assert_eq!(answer.status, status, "{kind}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{kind}");
        let exposed = answer.header("access-control-expose-headers").to_ascii_lowercase();
        for name in ["content-range", "accept-ranges", "content-length", "etag"] {
            assert!(exposed.split(", ").any(|word| word == name), "{kind} hides {name}");
        }
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{kind}");
    }
}

#[test]
fn no_cors_says_nothing_to_other_origins() {
    let stage = Stage::with(&["--no-cors"]);
    let unparsed = "GET / HTTX/1.1";
    for kind in KINDS.map(|(kind, _)| kind).into_iter().chain([unparsed]) {
        let answer = ask(&mut stage.server.connect(), kind);
        let said = answer.headers.keys().find(|name| name.starts_with("access-control-"));
        assert_eq!(said, None, "{kind}");
    }
}

#[test]
fn no_answer_tells_where_the_root_lies() {
    let stage = Stage::new();
    stage.link("../secret", "out");
    let place = stage.outside().to_str().unwrap().to_owned();
    let broken = ["GET", "GET / HTTP/9", "GET / HTTP/1.1\r\nno colon", "GET / HTTP/1.1"];
    let asked = KINDS.map(|(kind, _)| {
        let (line, header) = kind.split_once('|').unwrap_or((kind, "X: x"));
        format!("{line} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{header}")
    });
    for request in broken.map(String::from).into_iter().chain(asked) {
        let mut client = stage.server.connect();
        client.send(format!("{request}\r\n\r\n"));
        let mut answer = Vec::new();
        // A reset after the answer is no matter here.
        let _ = client.stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.") && !answer.contains(&place), "{request}: {answer}");
    }
}

#[test]
fn every_error_has_a_short_text() {
    let stage = Stage::new();
    stage.link("../secret", "out");
    for (kind, status) in KINDS.into_iter().filter(|(_, status)| *status >= 400) {
        let answer = ask(&mut stage.server.connect(), kind);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8", "{kind}");
        assert!((10..200).contains(&answer.text().len()), "{kind}: {status} {:?}", answer.text());
    }
}
