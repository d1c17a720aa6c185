//! Requests as they arrive, good and bad: each gets a clear answer, in order, and a bad one harms
//! nothing else.

mod support;

use std::{io::Write, net::Shutdown, sync::LazyLock};
use support::{Client, Response, Server, command::until, noise, stage::Stage};

const LENGTH: usize = 200_000;

static FILM: LazyLock<Vec<u8>> = LazyLock::new(|| noise(1, LENGTH));

impl Stage {
    fn new() -> Stage {
        Stage::of(&[("film.mp4", &FILM)], &[])
    }

    /// Of a request that is longer than the sockets between hold, the server hears the rest for a while only: a
    /// client that is slower than that finds the connection gone. What it is told is the refusal or nothing.
    #[track_caller]
    fn assert_refused_or_unheard(&self, status: u16, bytes: &[u8]) {
        let mut client = self.server.connect();
        let _ = client.stream.write_all(bytes);
        let answer = client.try_response("GET");
        assert!(answer.is_none_or(|answer| answer.status == status), "another than {status}");
        assert!(client.is_closed());
        let counted = format!("reelmap_requests_total{{status=\"{status}\"}}");
        until("it is refused", || self.server.metric(&counted) > 0.0);
    }

    /// The answer to these very bytes, on a connection that is closed after it.
    #[track_caller]
    fn last_words(&self, bytes: impl AsRef<[u8]>) -> Response {
        let mut client = self.server.connect();
        // The server may close before it has heard all.
        let _ = client.stream.write_all(bytes.as_ref());
        let answer = client.response("GET");
        assert!(client.is_closed(), "{} and then more", answer.status);
        answer
    }

    #[track_caller]
    fn assert_refused(&self, status: u16, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let answer = self.last_words(bytes);
        assert_eq!(answer.status, status, "{shown:?}");
        assert!(answer.text().starts_with(&status.to_string()), "{shown:?}: {:?}", answer.text());
        for (name, value) in [
            ("content-type", "text/plain; charset=utf-8"),
            ("x-content-type-options", "nosniff"),
            ("access-control-allow-origin", "*"),
            ("connection", "close"),
        ] {
            assert_eq!(answer.header(name), value, "{name} of {shown:?}");
        }
        assert_eq!(self.server.get("/-/health").status, 200, "after {shown:?}");
    }
}

const PLAIN: &str = "GET /-/health HTTP/1.1\r\nHost: test\r\n\r\n";

/// Asserts that the connection is still good for a request.
#[track_caller]
fn assert_goes_on(client: &mut Client) {
    assert_eq!(client.ask("GET /-/health HTTP/1.1").text(), "ok\n");
}

#[test]
fn a_malformed_request_line_is_400() {
    let stage = Stage::new();
    for line in [
        "GET",
        "GET /",
        " / HTTP/1.1",
        "GET  HTTP/1.1",
        "G@T / HTTP/1.1",
        "GET / HTTX/1.1",
        "GET / a HTTP/1.1",
        "\u{1}\u{2}\u{3}",
        "GET /\u{1} HTTP/1.1",
    ] {
        stage.assert_refused(400, format!("{line}\r\nHost: test\r\n\r\n"));
    }
}

#[test]
fn an_unknown_version_is_refused() {
    let stage = Stage::new();
    for version in ["HTTP/0.9", "HTTP/1.7", "HTTP/3.0", "HTTP/11"] {
        stage.assert_refused(400, format!("GET / {version}\r\nHost: test\r\n\r\n"));
    }
}

#[test]
fn a_malformed_header_is_400() {
    let stage = Stage::new();
    for header in ["no colon", "Na me: x", "Name : x", ": x", "X: a\0b", "X: a\u{1}b", "(): x"] {
        stage.assert_refused(400, format!("GET / HTTP/1.1\r\nHost: test\r\n{header}\r\n\r\n"));
    }
}

#[test]
fn a_missing_host_is_400_and_http_1_0_needs_none() {
    let stage = Stage::new();
    stage.assert_refused(400, "GET /film.mp4 HTTP/1.1\r\n\r\n");
    assert_eq!(stage.last_words("GET /film.mp4 HTTP/1.0\r\n\r\n").status, 200);
}

#[test]
fn a_malformed_host_is_400() {
    let stage = Stage::new();
    for host in ["a b", "user@a", "a/b", "a:b", "::1", "[::1", "a%zz", "a\u{e9}", "a,b/"] {
        stage.assert_refused(400, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    for host in ["", "film.example:8080", "[::1]:8080"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(stage.last_words(request).status, 200, "{host:?}");
    }
}

#[test]
fn a_refusal_behind_good_requests_has_its_sentence_too() {
    let stage = Stage::new();
    let old = "GET /-/health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let head_only = "HEAD /film.mp4 HTTP/1.1\r\nHost: test\r\n\r\n";
    for (method, first) in [("GET", PLAIN), ("GET", old), ("HEAD", head_only)] {
        let mut client = stage.server.connect();
        client.send(format!("{first}GET / HTTX/1.1\r\n\r\n"));
        assert_eq!(client.response(method).status, 200, "{first:?}");
        let answer = client.response("GET");
        assert_eq!(answer.status, 400, "after {first:?}");
        assert!(answer.text().starts_with("400 "), "after {first:?}: {:?}", answer.text());
        assert!(client.is_closed());
    }
}

#[test]
fn other_protocols_are_told_400() {
    let stage = Stage::new();
    stage.assert_refused(400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0");
    stage.assert_refused(400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
}

#[test]
fn a_doubled_host_is_400() {
    let stage = Stage::new();
    stage.assert_refused(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
    stage.assert_refused(400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n");
}

#[test]
fn two_lengths_are_400_in_either_order() {
    let stage = Stage::new();
    let (length, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    let padded = format!("Content-Length:{}5\r\n", " ".repeat(60));
    for [one, two] in [[length, chunked], [chunked, length], [chunked, &padded], [&padded, chunked]]
    {
        let head = format!("GET /film.mp4 HTTP/1.1\r\nHost: test\r\n{one}{two}\r\n");
        stage.assert_refused(400, format!("{head}0\r\n\r\n"));
    }
}

#[test]
fn two_lengths_are_400_in_a_pipelined_request_too() {
    let stage = Stage::new();
    let sized = "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello";
    let chunked =
        "GET / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for first in [PLAIN, sized, chunked] {
        let mut client = stage.server.connect();
        let second = "GET /film.mp4 HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\
                      Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        client.send(format!("{first}{second}{PLAIN}"));
        assert_eq!(client.response("GET").status, 200);
        assert_eq!(client.response("GET").status, 400, "after {first:?}");
        assert!(client.is_closed(), "what followed was taken for a request");
    }
}

#[test]
fn a_length_padded_to_hide_is_400() {
    let stage = Stage::new();
    for padding in [" ", "0"] {
        let length = format!("Content-Length:{}5", padding.repeat(60));
        let request = format!("GET / HTTP/1.1\r\nHost: test\r\n{length}\r\n\r\nhello");
        stage.assert_refused(400, request + PLAIN);
    }
}

#[test]
fn lengths_that_are_no_length_are_400() {
    let stage = Stage::new();
    for length in [
        "Content-Length: five",
        "Content-Length: -1",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 99999999999999999999",
        "Content-Length: 18446744073709551615",
        "Content-Length: 18446744073709551614",
        "Transfer-Encoding: gzip",
    ] {
        stage.assert_refused(400, format!("GET / HTTP/1.1\r\nHost: test\r\n{length}\r\n\r\nhello"));
    }
}

#[test]
fn a_head_over_the_limit_is_431() {
    let stage = Stage::new();
    let head =
        |size| format!("GET /film.mp4 HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n", "x".repeat(size));
    assert_eq!(stage.server.ask(&format!("GET / HTTP/1.1\nX: {}", "x".repeat(31_000))).status, 200);
    stage.assert_refused_or_unheard(431, head(5_000_000).as_bytes());
    for size in [33_000, 100_000] {
        stage.assert_refused(431, head(size));
    }
    let many: String = (0..50_000).map(|i| format!("X-{i}: x\r\n")).collect();
    stage.assert_refused(431, format!("GET / HTTP/1.1\r\nHost: test\r\n{many}\r\n"));
}

#[test]
fn a_target_over_the_limit_is_414() {
    let stage = Stage::new();
    let head = |size| format!("GET /{} HTTP/1.1\r\nHost: test\r\n\r\n", "a".repeat(size));
    stage.assert_refused_or_unheard(414, head(5_000_000).as_bytes());
    for size in [8_192, 9_000, 32_000, 100_000] {
        stage.assert_refused(414, head(size));
    }
    assert_eq!(stage.server.get(&format!("/{}", "a/".repeat(4000))).status, 404);
}

#[test]
fn a_path_that_is_no_path_is_400_and_one_that_leaves_the_root_is_400_or_404() {
    let stage = Stage::new();
    for path in ["/a%00b", "/%00", "/%", "/%4", "/a%zz", "/%u0041", "film.mp4", "*"] {
        assert_eq!(stage.server.get(path).status, 400, "{path}");
    }
    for path in [
        "/..",
        "/../",
        "/../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/..%2fetc%2fpasswd",
        "/a/../../etc/passwd",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/./film.mp4",
        "/..\\film.mp4",
    ] {
        let status = stage.server.get(path).status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
}

#[test]
fn other_methods_are_405_and_told_which_are_not() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    for method in
        ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get", "Head", "X-_!#$%&'*+^`|~"]
    {
        for path in ["/film.mp4", "/", "/none", "/-/health"] {
            let answer = client.ask(&format!("{method} {path} HTTP/1.1"));
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, "GET, HEAD, OPTIONS"),
                "{method}"
            );
        }
    }
    assert_eq!(stage.server.ask("CONNECT test:80 HTTP/1.1").status, 405);
}

#[test]
fn options_tells_the_methods() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    for target in ["*", "/", "/film.mp4", "/none"] {
        let answer = client.ask(&format!("OPTIONS {target} HTTP/1.1"));
        assert_eq!(
            (answer.status, answer.header("allow")),
            (204, "GET, HEAD, OPTIONS"),
            "{target}"
        );
    }
}

#[test]
fn a_preflight_is_told_that_ranges_may_be_asked() {
    let answer = Stage::new().server.ask(
        "OPTIONS /film.mp4 HTTP/1.1\nOrigin: https://player.example\n\
         Access-Control-Request-Method: GET\nAccess-Control-Request-Headers: range, if-range",
    );
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, "*"));
    assert!(answer.header("access-control-allow-methods").contains("GET"));
    let allowed = answer.header("access-control-allow-headers").to_ascii_lowercase();
    let allowed: Vec<_> = allowed.split(", ").collect();
    assert!(allowed.contains(&"range") && allowed.contains(&"if-range"), "{allowed:?}");
}

#[test]
fn http_1_0_closes_after_its_answer() {
    let stage = Stage::new();
    let answer = stage.last_words("GET /film.mp4 HTTP/1.0\r\n\r\n");
    assert!(answer.complete && answer.body == *FILM);
}

#[test]
fn http_1_0_may_ask_to_go_on() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    client.send("GET /film.mp4 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.response("GET");
    assert_eq!(answer.header("connection"), "keep-alive");
    assert!(answer.body == *FILM);
    assert_goes_on(&mut client);
}

#[test]
fn a_client_that_says_close_is_closed() {
    let request = PLAIN.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    assert_eq!(Stage::new().last_words(request).header("connection"), "close");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    let kinds: [(&str, u16, Vec<u8>); 6] = [
        ("GET /film.mp4 HTTP/1.1\nRange: bytes=100-150099", 206, FILM[100..150_100].to_vec()),
        ("HEAD /film.mp4 HTTP/1.1", 200, vec![]),
        ("GET /film.mp4 HTTP/1.1", 200, FILM.clone()),
        ("OPTIONS / HTTP/1.1", 204, vec![]),
        ("GET /film.mp4 HTTP/1.1\nRange: bytes=7-7", 206, FILM[7..8].to_vec()),
        ("GET /-/health HTTP/1.1", 200, b"ok\n".to_vec()),
    ];
    for _ in 0..10 {
        kinds.iter().for_each(|(head, ..)| client.request(head));
        for (head, status, body) in &kinds {
            let answer = client.response(head.split(' ').next().unwrap());
            assert!(answer.status == *status && answer.body == *body, "{head}: {}", answer.status);
        }
    }
}

#[test]
fn an_error_does_not_end_the_connection() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    for (path, status) in [("/none", 404), ("/%zz", 400), ("/.hidden", 404)] {
        assert_eq!(client.ask(&format!("GET {path} HTTP/1.1")).status, status);
        assert_goes_on(&mut client);
    }
}

#[test]
fn ten_thousand_requests_fit_on_one_connection() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    let request = "GET /film.mp4 HTTP/1.1\r\nHost: test\r\nRange: bytes=1-3\r\n\r\n".repeat(100);
    for _ in 0..100 {
        client.send(&request);
        for _ in 0..100 {
            assert!(client.response("GET").body == FILM[1..4]);
        }
    }
}

#[test]
fn a_client_that_sends_no_more_still_gets_all() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    client.send("GET /film.mp4 HTTP/1.1\r\nHost: test\r\n\r\n".repeat(20));
    client.stream.shutdown(Shutdown::Write).unwrap();
    for _ in 0..20 {
        assert!(client.response("GET").body == *FILM);
    }
    assert!(client.is_closed());
}

#[test]
fn a_body_on_get_does_not_upset_the_next_request() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    // The bodies look like requests.
    let sized = format!("Content-Length: {}\r\n\r\n{PLAIN}", PLAIN.len());
    let large = format!("Content-Length: 60000\r\n\r\n{}", "x".repeat(60_000));
    let chunked = format!(
        "Transfer-Encoding: chunked\r\n\r\n{:x};a=b\r\n{PLAIN}\r\n0\r\nT: 1\r\n\r\n",
        PLAIN.len()
    );
    for body in [sized, large, chunked, "Content-Length: 0\r\n\r\n".into()] {
        client.send(format!("GET /film.mp4 HTTP/1.1\r\nHost: test\r\n{body}{PLAIN}"));
        assert!(client.response("GET").body == *FILM);
        assert_eq!(client.response("GET").text(), "ok\n");
    }
}

#[test]
fn a_body_that_is_refused_does_not_upset_the_next_request() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello{PLAIN}"));
    assert_eq!(client.response("POST").status, 405);
    assert_eq!(client.response("GET").text(), "ok\n");
}

#[test]
fn too_large_a_body_ends_the_connection() {
    let stage = Stage::new();
    let body = "x".repeat(1 << 20);
    let sized =
        format!("GET / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let chunked = format!(
        "GET / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n{body}\r\n0\r\n\r\n"
    );
    for request in [sized, chunked] {
        let answer = stage.last_words(request + PLAIN);
        assert_eq!((answer.status, answer.header("connection")), (413, "close"));
    }
}

#[test]
fn a_body_that_breaks_its_own_framing_is_400() {
    let head = "GET / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    Stage::new().assert_refused(400, format!("{head}nonsense\r\n"));
}

#[test]
fn a_body_that_does_not_come_in_time_is_408() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--header-timeout", "1"]);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhel");
    assert_eq!(client.response("GET").status, 408);
    assert!(client.is_closed());
}

#[test]
fn expect_100_continue_is_told_to_go_on() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    client.request("GET /-/health HTTP/1.1\nContent-Length: 5\nExpect: 100-continue");
    assert_eq!(client.head().unwrap().0, 100);
    client.send("hello");
    assert_eq!(client.response("GET").text(), "ok\n");
    assert_goes_on(&mut client);
}

#[test]
fn expect_100_continue_of_too_much_is_told_at_once() {
    let length = "Content-Length: 1000000\r\nExpect: 100-continue";
    for (method, status) in [("GET", 413), ("PUT", 405)] {
        let head = format!("{method} /x HTTP/1.1\r\nHost: test\r\n{length}\r\n\r\n");
        Stage::new().assert_refused(status, head);
    }
}

#[test]
fn expect_100_continue_of_a_bad_request_is_told_at_once() {
    let request = "GET / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    Stage::new().assert_refused(400, request);
}

#[test]
fn what_else_is_expected_is_417() {
    let stage = Stage::new();
    for expected in [
        "100-continue, foo",
        "foo",
        "100-continue, 100-continue",
        "100-continue\r\nExpect: foo",
        "",
    ] {
        let head = |version| {
            format!(
                "PUT /x HTTP/{version}\r\nHost: test\r\nContent-Length: 5\r\nExpect: {expected}\r\n\r\n"
            )
        };
        stage.assert_refused(417, head("1.1"));
        assert_eq!(stage.last_words(head("1.0") + "hello").status, 405);
    }
    for fine in ["100-Continue", "100-continue\r\nExpect: 100-continue"] {
        let head = format!(
            "GET /-/health HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: {fine}\r\n\r\n"
        );
        let mut client = stage.server.connect();
        client.send(head);
        assert_eq!(client.head().unwrap().0, 100);
    }
}

#[test]
fn an_absolute_target_is_its_path() {
    let stage = Stage::new();
    for target in ["http://test/film.mp4", "http://other:81/film.mp4?a=b", "HTTP://test//film.mp4"]
    {
        assert!(stage.server.get(target).body == *FILM, "{target}");
    }
    assert_eq!(stage.server.get("http://test/../film.mp4").status, 404);
    assert_eq!(stage.server.get("http://test").status, 200);
}

#[test]
fn a_query_names_no_other_file() {
    let stage = Stage::new();
    for path in ["/film.mp4?", "/film.mp4?v=1", "/film.mp4?a=/../b%zz"] {
        assert!(stage.server.get(path).body == *FILM, "{path}");
    }
}

#[test]
fn empty_lines_before_a_request_are_passed_over() {
    let stage = Stage::new();
    let mut client = stage.server.connect();
    client.send(format!("\r\n\r\n{PLAIN}\r\n{PLAIN}"));
    assert_eq!(client.response("GET").text(), "ok\n");
    assert_eq!(client.response("GET").text(), "ok\n");
}
