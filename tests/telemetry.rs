//! What the server tells its operator: the metrics page after known traffic, and the access log of
//! the real program, line by line.

mod support;

use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, File};
use support::{
    Server,
    command::{Program, until},
    noise,
};

const LENGTH: usize = 3 << 20;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("film.mp4"), noise(1, LENGTH)).unwrap();
    let long = File::create(folder.path().join("long.mp4")).unwrap();
    long.set_len(32 * LENGTH as u64).unwrap();
    folder
}

fn metrics(server: &Server) -> String {
    server.get("/-/metrics").text().to_owned()
}

#[track_caller]
fn assert_shown(page: &str, line: &str) {
    assert!(page.lines().any(|shown| shown == line), "no {line} in\n{page}");
}

#[test]
fn health_is_a_plain_ok() {
    let folder = folder();
    let answer = Server::start(folder.path(), &[]).get("/-/health");
    assert_eq!((answer.status, answer.text()), (200, "ok\n"));
}

#[test]
fn metrics_are_the_text_that_prometheus_reads() {
    let folder = folder();
    let answer = Server::start(folder.path(), &[]).get("/-/metrics");
    assert!(
        answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0")
    );
    assert!(answer.text().ends_with("# EOF\n"));
    for line in answer.text().lines() {
        assert!(line.starts_with("# ") || line.starts_with("reelmap_"), "{line}");
    }
}

#[test]
fn requests_are_counted_by_status() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.connect();
    for head in ["GET /film.mp4", "HEAD /film.mp4", "GET /none", "GET /none", "PUT /film.mp4"] {
        client.ask(&format!("{head} HTTP/1.1"));
    }
    client.ask("GET /film.mp4 HTTP/1.1\nRange: bytes=0-9");
    client.ask("GET /film.mp4 HTTP/1.1\nRange: bytes=-0");
    let page = metrics(&server);
    for (status, count) in [(200, 2), (206, 1), (404, 2), (405, 1), (416, 1)] {
        assert_shown(&page, &format!("reelmap_requests_total{{status=\"{status}\"}} {count}"));
    }
}

#[test]
fn bytes_are_counted_by_the_way_they_left() {
    let folder = folder();
    for flags in [&[][..], &["--no-sendfile"]] {
        let server = Server::start(folder.path(), flags);
        let mut client = server.connect();
        client.ask("GET /film.mp4 HTTP/1.1\nRange: bytes=0-9");
        client.ask("GET /film.mp4 HTTP/1.1");
        client.ask("HEAD /film.mp4 HTTP/1.1");
        client.ask("GET /-/health HTTP/1.1");
        let sent = |way| server.metric(&format!("reelmap_sent_bytes_total{{way=\"{way}\"}}"));
        assert_eq!(sent("composed"), 3.0);
        assert_eq!(sent("sendfile") + sent("writev"), (LENGTH + 10) as f64);
        assert_eq!(sent("sendfile") > 0.0, flags.is_empty());
    }
}

#[test]
fn connections_and_answers_in_flight_come_and_go() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let (mut idle, mut reader) = (server.connect(), server.connect());
    idle.ask("GET /-/health HTTP/1.1");
    reader.request("GET /long.mp4 HTTP/1.1");
    reader.head().unwrap();
    // The page counts its own connection and answer too.
    let page = metrics(&server);
    assert_shown(&page, "reelmap_connections 3");
    assert_shown(&page, "reelmap_responses_in_flight 2");
    drop((idle, reader));
    until("all are gone", || server.metric("reelmap_connections") == 1.0);
    // A piece that is being fetched from the disk for one that left is fetched to its end.
    until("no answer is held", || server.metric("reelmap_responses_in_flight") == 1.0);
}

#[test]
fn mappings_and_memory_are_told_apart() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    assert_shown(&metrics(&server), "reelmap_mappings 0");
    server.get("/film.mp4");
    server.get("/film.mp4");
    let page = metrics(&server);
    assert_shown(&page, "reelmap_mappings 1");
    assert_shown(&page, &format!("reelmap_mapped_bytes {LENGTH}"));
    for kind in ["anonymous", "file"] {
        assert!(server.metric(&format!("reelmap_memory_bytes{{kind=\"{kind}\"}}")) > 0.0, "{page}");
    }
}

#[test]
fn windows_are_counted_as_they_were_found() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    server.get("/film.mp4");
    server.get("/film.mp4");
    let found = |how| server.metric(&format!("reelmap_windows_total{{found=\"{how}\"}}"));
    assert!(found("resident") >= 1.0);
    assert!(found("resident") + found("fetched") >= 2.0);
}

#[test]
fn a_client_that_leaves_is_a_cut_answer() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.connect();
    client.request("GET /long.mp4 HTTP/1.1");
    client.head().unwrap();
    drop(client);
    until("the cut is counted", || {
        server.metric("reelmap_responses_cut_total{why=\"gone\"}") == 1.0
    });
    assert_eq!(server.metric("reelmap_responses_in_flight"), 1.0);
}

/// The access log of a server that answered these requests, one after another.
fn log_of(flags: &[&str], requests: &[&str]) -> String {
    let folder = folder();
    let program = Program::start(folder.path(), flags);
    let mut client = program.connect();
    for request in requests {
        assert!(client.ask(request).complete);
    }
    drop(client);
    program.signal(Signal::TERM);
    program.ended().1
}

const REQUESTS: [&str; 4] = [
    "GET /film.mp4?a=%22b HTTP/1.1\nRange: bytes=5-9",
    "HEAD /film.mp4 HTTP/1.1",
    "GET /none%20\u{c3}\u{a9} HTTP/1.1",
    "POST /film.mp4 HTTP/1.1",
];

#[test]
fn the_text_log_has_a_line_a_request() {
    let log = log_of(&["--access-log", "text"], &REQUESTS);
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 4, "{log}");
    assert!(lines[0].contains(r#" 127.0.0.1 "GET /film.mp4?a=%22b" 206 5 "bytes=5-9" "#), "{log}");
    assert!(lines[1].contains(r#" "HEAD /film.mp4" 200 0 - "#), "{log}");
    assert!(lines[2].contains(r#" "GET /none%20"#) && lines[2].contains(" 404 "), "{log}");
    assert!(lines[3].contains(r#" "POST /film.mp4" 405 "#), "{log}");
    assert!(lines.iter().all(|line| line.ends_with(" complete")), "{log}");
}

#[test]
fn text_is_the_log_unless_another_is_asked_for() {
    assert_eq!(log_of(&[], &REQUESTS[..1]).lines().count(), 1);
}

#[test]
fn the_json_log_has_an_object_a_request() {
    let log = log_of(&["--access-log", "json"], &REQUESTS);
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4, "{log}");
    let first = &lines[0];
    for (key, value) in [
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("path", "/film.mp4?a=%22b"),
        ("range", "bytes=5-9"),
        ("ended", "complete"),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert_eq!((&first["status"], &first["sent"]), (&206.into(), &5.into()));
    assert!(first["seconds"].as_f64().unwrap() >= 0.0 && first["time"].is_string(), "{first}");
    assert!(lines[1]["range"].is_null() && lines[1]["sent"] == 0, "{log}");
}

#[test]
fn the_log_can_be_off() {
    assert_eq!(log_of(&["--access-log", "off"], &REQUESTS), "");
}

#[test]
fn a_cut_answer_says_so_in_the_log() {
    let folder = folder();
    let program = Program::start(folder.path(), &["--write-timeout", "1", "--access-log", "json"]);
    let mut gone = program.connect();
    gone.request("GET /long.mp4?gone HTTP/1.1");
    gone.head().unwrap();
    drop(gone);
    let mut stalled = program.connect();
    stalled.request("GET /long.mp4?stalled HTTP/1.1");
    stalled.head().unwrap();
    until("both are cut", || {
        let page = program.connect().ask("GET /-/metrics HTTP/1.1");
        ["gone", "stalled"].iter().all(|why| page.text().contains(&format!("{{why=\"{why}\"}} 1")))
    });
    program.signal(Signal::TERM);
    let log = program.ended().1;
    let ends = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ends: Vec<_> = ends.filter(|line| line["path"] != "/-/metrics").collect();
    assert_eq!(ends.len(), 2, "{log}");
    for line in ends {
        assert_eq!(line["path"], format!("/long.mp4?{}", line["ended"].as_str().unwrap()));
        assert!(line["sent"].as_u64().unwrap() < 32 * LENGTH as u64, "{line}");
    }
}

#[test]
fn what_is_no_request_is_counted_and_logged_too() {
    let folder = folder();
    let program = Program::start(folder.path(), &[]);
    let long = format!("X: {}", "x".repeat(100_000));
    let mut wanted = Vec::new();
    for (header, status) in [("no colon", 400), (&long, 431)] {
        let mut client = program.connect();
        client.send(format!("GET / HTTP/1.1\r\n{header}\r\n\r\n"));
        let answer = client.response("GET");
        assert_eq!(answer.status, status);
        wanted.push(format!(" \"- -\" {status} {} ", answer.body.len()));
        until("it is counted", || {
            let page = program.connect().ask("GET /-/metrics HTTP/1.1");
            page.text().contains(&format!("requests_total{{status=\"{status}\"}} 1"))
        });
    }
    program.signal(Signal::TERM);
    let log = program.ended().1;
    assert!(wanted.iter().all(|line| log.contains(line)), "no {wanted:?} in {log}");
}
