//! Conditions over a socket (RFC 9110 §13): a client that has a copy, or a part of one, asks
//! whether it is still good.

mod support;

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, UNIX_EPOCH},
};
use support::{Response, Server, noise};

const LENGTH: usize = 10_000;
/// When the film was written, in seconds and nanoseconds, and the second before and after.
const WRITTEN: (u64, u32) = (784_111_777, 123_456_789);
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

fn write_film(folder: &Path, (seconds, nanoseconds): (u64, u32)) {
    fs::write(folder.join("film.mp4"), noise(1, LENGTH)).unwrap();
    let film = File::options().write(true).open(folder.join("film.mp4")).unwrap();
    film.set_modified(UNIX_EPOCH + Duration::new(seconds, nanoseconds)).unwrap();
}

struct Stage {
    folder: tempfile::TempDir,
    server: Server,
}

impl Stage {
    fn new() -> Stage {
        Stage::written(WRITTEN)
    }

    fn written(at: (u64, u32)) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        write_film(folder.path(), at);
        let server = Server::start(folder.path(), &[]);
        Stage { folder, server }
    }

    fn ask(&self, headers: &str) -> Response {
        self.server.ask(&format!("GET /film.mp4 HTTP/1.1\n{headers}"))
    }

    fn etag(&self) -> String {
        self.server.get("/film.mp4").header("etag").to_owned()
    }

    /// The status of a request for a part, with these conditions.
    fn part(&self, headers: &str) -> u16 {
        let answer = self.ask(&format!("Range: bytes=5-9\n{headers}"));
        let (length, ranged) = match answer.status {
            206 => (5, "bytes 5-9/10000"),
            200 => (LENGTH, ""),
            304 => (0, ""),
            _ => (answer.body.len(), ""),
        };
        assert_eq!(answer.header("content-range"), ranged, "{headers}");
        assert!(answer.complete && answer.body.len() == length, "{headers}");
        answer.status
    }
}

#[test]
fn every_answer_about_a_file_names_its_version() {
    let stage = Stage::new();
    let tag = stage.etag();
    assert!(tag.len() > 4 && tag.starts_with('"') && tag.ends_with('"'), "{tag} is not strong");
    let not_modified = format!("If-None-Match: {tag}");
    for headers in ["", "Range: bytes=0-4", &not_modified] {
        let answer = stage.ask(headers);
        assert_eq!(answer.header("etag"), tag, "{headers}");
        assert_eq!(answer.header("last-modified"), DATE, "{headers}");
    }
}

#[test]
fn if_range_with_the_strong_tag_gives_the_part() {
    let stage = Stage::new();
    assert_eq!(stage.part(&format!("If-Range: {}", stage.etag())), 206);
}

#[test]
fn if_range_with_a_weak_tag_gives_the_whole() {
    let stage = Stage::new();
    assert_eq!(stage.part(&format!("If-Range: W/{}", stage.etag())), 200);
}

#[test]
fn if_range_with_anything_else_gives_the_whole() {
    let stage = Stage::new();
    let tag = stage.etag();
    let junk = [
        "\"other\"",
        "junk",
        "\"",
        "*",
        "",
        tag.trim_matches('"'),
        &format!("{tag}, {tag}"),
        &format!("{tag}x"),
    ];
    for junk in junk {
        assert_eq!(stage.part(&format!("If-Range: {junk}")), 200, "{junk}");
    }
}

#[test]
fn if_range_with_a_date_wants_the_very_date() {
    let stage = Stage::new();
    assert_eq!(stage.part(&format!("If-Range: {DATE}")), 206);
    for other in [BEFORE, AFTER, "Sun, 06 Nov 1994"] {
        assert_eq!(stage.part(&format!("If-Range: {other}")), 200, "{other}");
    }
}

#[test]
fn if_range_that_fails_spares_the_client_a_416() {
    let stage = Stage::new();
    assert_eq!(stage.ask("Range: bytes=99999-\nIf-Range: \"old\"").status, 200);
    assert_eq!(stage.ask("Range: bytes=99999-").status, 416);
}

#[test]
fn if_none_match_wins_before_range() {
    let stage = Stage::new();
    let tag = stage.etag();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"a\", {tag}"), "*".into()] {
        assert_eq!(stage.part(&format!("If-None-Match: {known}")), 304, "{known}");
    }
    assert_eq!(stage.ask(&format!("Range: bytes=99999-\nIf-None-Match: {tag}")).status, 304);
    assert_eq!(stage.part("If-None-Match: \"other\""), 206);
}

#[test]
fn a_304_has_no_body_and_the_connection_goes_on() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    let condition = format!("If-None-Match: {}", stage.etag());
    for method in ["GET", "HEAD"] {
        client.request(&format!("{method} /film.mp4 HTTP/1.1\n{condition}"));
        let answer = client.response(method);
        assert_eq!((answer.status, answer.header("content-type")), (304, ""));
        // Any byte of a body would be taken for the head of this answer.
        assert_eq!(client.ask("GET /-/health HTTP/1.1").text(), "ok\n");
    }
}

#[test]
fn if_modified_since_gives_304_unless_it_was() {
    let stage = Stage::new();
    for (date, status) in [(BEFORE, 206), (DATE, 304), (AFTER, 304), ("yesterday", 206)] {
        assert_eq!(stage.part(&format!("If-Modified-Since: {date}")), status, "{date}");
    }
}

#[test]
fn if_none_match_silences_if_modified_since() {
    let stage = Stage::new();
    assert_eq!(stage.part(&format!("If-None-Match: \"old\"\nIf-Modified-Since: {AFTER}")), 206);
}

#[test]
fn if_match_that_fails_is_412() {
    let stage = Stage::new();
    let tag = stage.etag();
    for (condition, status) in [
        ("\"other\"".to_owned(), 412),
        (format!("W/{tag}"), 412),
        (tag.clone(), 206),
        (format!("\"other\", {tag}"), 206),
        ("*".to_owned(), 206),
    ] {
        assert_eq!(stage.part(&format!("If-Match: {condition}")), status, "{condition}");
    }
}

#[test]
fn if_unmodified_since_gives_412_if_it_was() {
    let stage = Stage::new();
    for (date, status) in [(BEFORE, 412), (DATE, 206), (AFTER, 206), ("yesterday", 206)] {
        assert_eq!(stage.part(&format!("If-Unmodified-Since: {date}")), status, "{date}");
    }
    let tag = stage.etag();
    assert_eq!(stage.part(&format!("If-Match: {tag}\nIf-Unmodified-Since: {BEFORE}")), 206);
}

#[test]
fn if_match_is_weighed_before_if_none_match() {
    let stage = Stage::new();
    let tag = stage.etag();
    assert_eq!(stage.part(&format!("If-None-Match: {tag}\nIf-Match: \"other\"")), 412);
}

#[test]
fn a_copy_of_the_same_time_has_the_same_etag_on_another_server() {
    let (one, other) = (Stage::new(), Stage::new());
    assert_eq!(one.etag(), other.etag());
    assert_eq!(other.part(&format!("If-Range: {}", one.etag())), 206);
}

#[test]
fn a_nanosecond_makes_another_etag() {
    let (one, other) = (Stage::new(), Stage::written((WRITTEN.0, WRITTEN.1 + 1)));
    assert_ne!(one.etag(), other.etag());
    assert_eq!(other.part(&format!("If-Range: {}", one.etag())), 200);
}

#[test]
fn a_file_that_changed_is_another_version_at_the_next_request() {
    let stage = Stage::new();
    let old = stage.etag();
    write_film(stage.folder.path(), (WRITTEN.0, WRITTEN.1 + 1));
    assert_ne!(stage.etag(), old);
    assert_eq!(stage.part(&format!("If-Range: {old}")), 200);
    assert_eq!(stage.ask(&format!("If-None-Match: {old}")).status, 200);
}

#[test]
fn a_date_in_the_future_is_never_told() {
    let stage = Stage::written((4_000_000_000, 0));
    let told = httpdate::parse_http_date(stage.ask("").header("last-modified")).unwrap();
    assert!(told <= std::time::SystemTime::now());
    assert_eq!(stage.part("If-Range: Fri, 02 Oct 2096 07:06:40 GMT"), 200);
}
