//! Ranges over a socket: what a client that seeks gets (RFC 9110 §14), to the byte.

mod support;

use std::{fs, ops::Range, sync::LazyLock};
use support::{Response, Server, noise, stage::Stage};

const LENGTH: usize = 300_000;

static FILM: LazyLock<Vec<u8>> = LazyLock::new(|| noise(1, LENGTH));

impl Stage {
    fn new() -> Stage {
        Stage::of(&[("film.mp4", &FILM), ("small.mp4", &FILM[..6000]), ("empty.mp4", b"")], &[])
    }

    fn ask(&self, range: &str) -> Response {
        self.server.ask(&format!("GET /film.mp4 HTTP/1.1\nRange: {range}"))
    }

    /// Asserts that `range` gets these bytes, and no others, as a 206.
    #[track_caller]
    fn assert_part(&self, range: &str, span: Range<usize>) {
        let answer = self.ask(range);
        assert_eq!(answer.status, 206, "{range}");
        let content_range = format!("bytes {}-{}/{LENGTH}", span.start, span.end - 1);
        assert_eq!(answer.header("content-range"), content_range, "{range}");
        assert_eq!(answer.header("content-length"), span.len().to_string(), "{range}");
        assert_eq!(answer.header("content-type"), "video/mp4", "{range}");
        assert!(answer.complete && answer.body == FILM[span], "{range}: wrong bytes");
    }

    /// Asserts that `range` gets the file as if there were no such field.
    #[track_caller]
    fn assert_ignored(&self, range: &str) {
        let answer = self.ask(range);
        assert_eq!(answer.status, 200, "{range}");
        assert_eq!(answer.header("content-range"), "", "{range}");
        assert!(answer.complete && answer.body == *FILM, "{range}: wrong bytes");
    }

    #[track_caller]
    fn assert_unsatisfiable(&self, range: &str) {
        let answer = self.ask(range);
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes */{LENGTH}"), "{range}");
        assert!(answer.complete && answer.body.len() < 200, "{range}");
    }
}

/// The parts of a multipart/byteranges body: Content-Range and bytes of each.
#[track_caller]
fn parts(answer: &Response) -> Vec<(String, Vec<u8>)> {
    let content_type = answer.header("content-type");
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let boundary = boundary.trim_matches('"');
    assert!(!boundary.contains('"') && boundary.len() <= 70, "{content_type}");
    let mut rest = &answer.body[..];
    let mut parts = Vec::new();
    loop {
        let delimiter = format!("{}--{boundary}", if parts.is_empty() { "" } else { "\r\n" });
        rest = rest.strip_prefix(delimiter.as_bytes()).expect("a delimiter");
        if rest == b"--\r\n" {
            return parts;
        }
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = std::str::from_utf8(&rest[..end]).unwrap();
        assert!(head.starts_with("\r\nContent-Type: video/mp4\r\n"), "{head}");
        let range = head.split("Content-Range: ").nth(1).unwrap().trim_end().to_owned();
        let (first, last) = range[6..].split_once('/').unwrap().0.split_once('-').unwrap();
        let length = last.parse::<usize>().unwrap() + 1 - first.parse::<usize>().unwrap();
        parts.push((range, rest[end..end + length].to_vec()));
        rest = &rest[end + length..];
    }
}

#[test]
fn without_range_the_whole_file_comes_and_says_ranges_are_possible() {
    let stage = Stage::new();
    let answer = stage.server.get("/film.mp4");
    assert_eq!((answer.status, answer.header("accept-ranges")), (200, "bytes"));
    assert!(answer.complete && answer.body == *FILM);
}

#[test]
fn an_open_range_from_the_start_is_206() {
    Stage::new().assert_part("bytes=0-", 0..LENGTH);
}

#[test]
fn single_ranges_are_exact_at_every_edge() {
    let stage = Stage::new();
    stage.assert_part("bytes=0-0", 0..1);
    stage.assert_part("bytes=4095-4096", 4095..4097);
    stage.assert_part("bytes=131071-262144", 131071..262145);
    stage.assert_part("bytes=100000-", 100_000..LENGTH);
    stage.assert_part("bytes=-1000", LENGTH - 1000..LENGTH);
}

#[test]
fn the_last_byte_can_be_asked_for() {
    let stage = Stage::new();
    for range in ["bytes=299999-299999", "bytes=299999-", "bytes=-1", "bytes=299999-300000"] {
        stage.assert_part(range, LENGTH - 1..LENGTH);
    }
}

#[test]
fn an_end_past_the_file_is_clamped() {
    let stage = Stage::new();
    stage.assert_part("bytes=299000-999999", 299_000..LENGTH);
    stage.assert_part("bytes=0-300000", 0..LENGTH);
}

#[test]
fn a_suffix_longer_than_the_file_is_the_whole_file_as_206() {
    let stage = Stage::new();
    stage.assert_part("bytes=-300000", 0..LENGTH);
    stage.assert_part("bytes=-300001", 0..LENGTH);
}

#[test]
fn a_suffix_of_nothing_is_416() {
    Stage::new().assert_unsatisfiable("bytes=-0");
}

#[test]
fn a_start_at_or_past_the_end_is_416() {
    let stage = Stage::new();
    for range in ["bytes=300000-", "bytes=300000-300000", "bytes=400000-, 500000-500001"] {
        stage.assert_unsatisfiable(range);
    }
}

#[test]
fn numbers_past_2_to_the_64_are_large_and_no_error() {
    let stage = Stage::new();
    for large in ["18446744073709551615", "18446744073709551616", "99999999999999999999999999"] {
        stage.assert_part(&format!("bytes=100-{large}"), 100..LENGTH);
        stage.assert_part(&format!("bytes=-{large}"), 0..LENGTH);
        stage.assert_unsatisfiable(&format!("bytes={large}-"));
        stage.assert_unsatisfiable(&format!("bytes={large}-{large}"));
    }
}

#[test]
fn the_unit_is_case_insensitive() {
    let stage = Stage::new();
    for unit in ["Bytes", "BYTES", "bYtEs"] {
        stage.assert_part(&format!("{unit}=5-9"), 5..10);
    }
}

#[test]
fn an_unknown_unit_is_ignored() {
    let stage = Stage::new();
    for range in ["seconds=0-5", "byte=0-5", "bytess=0-5", "t:npt=10-20"] {
        stage.assert_ignored(range);
    }
}

#[test]
fn a_malformed_range_is_ignored() {
    let stage = Stage::new();
    let malformed = [
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=5",
        "bytes=0-4-9",
        "0-4",
        "bytes=9-5",
        "bytes=0-4,x",
        "bytes=+1-4",
        "bytes=--4",
        "bytes=1.5-4",
        "bytes 0-4",
        "bytes=0x1-4",
        "bytes=9-5, 0-4",
    ];
    for range in malformed {
        stage.assert_ignored(range);
    }
}

#[test]
fn a_range_field_that_comes_twice_is_ignored() {
    Stage::new().assert_ignored("bytes=0-4\nRange: bytes=9-9");
}

#[test]
fn head_ignores_range() {
    let stage = Stage::new();
    for range in ["bytes=5-9", "bytes=-0", "bytes=999999-"] {
        let answer = stage.server.ask(&format!("HEAD /film.mp4 HTTP/1.1\nRange: {range}"));
        assert_eq!(answer.status, 200, "{range}");
        assert_eq!(answer.header("content-length"), LENGTH.to_string(), "{range}");
        assert_eq!(answer.header("content-range"), "", "{range}");
    }
}

#[test]
fn an_empty_file_never_gives_206() {
    let stage = Stage::new();
    for range in ["bytes=0-", "bytes=0-0", "bytes=-5", "bytes=-0", "bytes=0-,-1", "bytes=x"] {
        let answer = stage.server.ask(&format!("GET /empty.mp4 HTTP/1.1\nRange: {range}"));
        let whole = answer.status == 200 && answer.body.is_empty();
        let refused = answer.status == 416 && answer.header("content-range") == "bytes */0";
        assert!(whole || refused, "{range}: {answer:?}");
    }
    assert_eq!(stage.server.get("/empty.mp4").header("content-length"), "0");
}

#[test]
fn several_ranges_come_as_parts_in_the_order_of_the_request() {
    let stage = Stage::new();
    let answer = stage.ask("bytes=200000-200999, 0-99,-10");
    assert_eq!((answer.status, answer.header("content-range")), (206, ""));
    assert!(answer.complete);
    let spans = [200_000..201_000, 0..100, LENGTH - 10..LENGTH];
    let expected = spans.map(|span| {
        let content_range = format!("bytes {}-{}/{LENGTH}", span.start, span.end - 1);
        (content_range, FILM[span].to_vec())
    });
    assert!(parts(&answer) == expected, "{:?}", answer.headers);
}

#[test]
fn a_body_of_parts_is_as_long_as_its_content_length_says() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    client.request("GET /film.mp4 HTTP/1.1\nRange: bytes=0-9,1000-200000,299999-");
    let parted = client.response("GET");
    assert_eq!(parts(&parted).len(), 3);
    // A byte too many or too few would be taken for the head of the next answer.
    assert_eq!(client.ask("GET /-/health HTTP/1.1").text(), "ok\n");
}

#[test]
fn ranges_that_overlap_touch_or_nearly_touch_become_one() {
    let stage = Stage::new();
    stage.assert_part("bytes=0-99,50-149", 0..150);
    stage.assert_part("bytes=0-99,100-199", 0..200);
    stage.assert_part("bytes=0-99,120-199", 0..200);
}

#[test]
fn what_lies_past_the_end_is_left_out_of_several() {
    let stage = Stage::new();
    stage.assert_part("bytes=5-9,300000-", 5..10);
    stage.assert_part("bytes=-0,5-9", 5..10);
}

#[test]
fn hundreds_of_ranges_cost_no_more_than_the_file_and_a_bounded_overhead() {
    let stage = Stage::new();
    let list = |spec: &dyn Fn(usize) -> String, n| (0..n).map(spec).collect::<Vec<_>>().join(",");
    let floods = [
        list(&|_| "0-".into(), 1500),
        list(&|i| format!("{i}-"), 1500),
        list(&|i| format!("-{}", LENGTH - i), 1500),
        list(&|i| format!("{}-{}", i * 136, i * 136 + 35), 2150),
        list(&|i| format!("{}-{}", i * 3000, i * 3000 + 2000), 100),
        list(&|i| format!("{}-{}", (99 - i) * 3000, (99 - i) * 3000 + 2890), 100),
        list(&|i| format!("{0}-{0}", i * 2), 2400),
    ];
    for (name, length) in [("film.mp4", LENGTH), ("small.mp4", 6000)] {
        for flood in &floods {
            let head = format!("GET /{name} HTTP/1.1\nRange: bytes={flood}");
            let answer = stage.server.ask(&head);
            assert!(matches!(answer.status, 200 | 206), "{}: {flood:.40}", answer.status);
            let got = answer.body.len();
            assert!(answer.complete && got <= length + 16 * 1024, "{got} bytes for {flood:.40}");
        }
    }
}

#[test]
fn a_hundred_seeks_on_one_connection_each_get_their_bytes() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    for seek in 0..100 {
        let (start, end) = (seek * 2_990, seek * 2_990 + 1 + seek * 37);
        let answer =
            client.ask(&format!("GET /film.mp4 HTTP/1.1\nRange: bytes={start}-{}", end - 1));
        assert_eq!(answer.status, 206);
        assert!(answer.body == FILM[start..end], "{start}..{end}");
    }
}

#[test]
fn every_way_of_sending_sends_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let film = noise(2, 3 << 20);
    fs::write(folder.path().join("film.mp4"), &film).unwrap();
    for flags in [&[][..], &["--no-sendfile"]] {
        let server = Server::start(folder.path(), flags);
        let mut client = server.connect();
        for length in [1, 4096, 16_384, 65_536, 65_537, 131_072, 524_288, 1_048_577, 2 << 20] {
            for start in [0, 1, 4095, 524_287, 1_048_000] {
                let range = format!("bytes={start}-{}", start + length - 1);
                let answer = client.ask(&format!("GET /film.mp4 HTTP/1.1\nRange: {range}"));
                assert!(answer.body == film[start..start + length], "{range} {flags:?}");
            }
        }
        let answer =
            client.ask("GET /film.mp4 HTTP/1.1\nRange: bytes=0-999999,1500000-,1100000-1100009");
        let spans = [0..1_000_000, 1_500_000..film.len(), 1_100_000..1_100_010];
        let parts = parts(&answer).into_iter().map(|(_, bytes)| bytes);
        assert!(parts.eq(spans.map(|span| film[span].to_vec())), "{flags:?}");
    }
}
