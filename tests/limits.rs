//! What one client may take, and all of them together: connections, time, open files. Time-outs are
//! set to a second and waited for; how long that took is never asked.

mod support;

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    sync::LazyLock,
    thread,
    time::Duration,
};
use support::{
    Client, Server,
    command::{Program, until},
    noise,
};

/// More than the buffers of two sockets hold.
const LENGTH: usize = 64 << 20;

static FILM: LazyLock<Vec<u8>> = LazyLock::new(|| noise(1, LENGTH));

fn film() -> (tempfile::TempDir, &'static [u8]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("film.mp4"), &*FILM).unwrap();
    (folder, &FILM)
}

fn nothing() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn assert_serves(client: &mut Client) {
    assert_eq!(client.ask("GET /-/health HTTP/1.1").text(), "ok\n");
}

/// Half of a request.
const HALF: &str = "GET / HTTP/1.1\r\nHost: te";

/// Whoever waits for a reader before the end of its answer waits for no other reader.
#[test]
fn who_stops_reading_holds_up_the_end_of_no_other_answer() {
    let (folder, film) = film();
    let server = Server::start(folder.path(), &[]);
    // The sockets hold what these have not read, but for the last byte.
    const READ: usize = 200_000;
    let range = |number: usize| number << 20..(number << 20) + 350_000;
    let mut stopped: Vec<_> = (0..8).map(|number| (number, server.connect())).collect();
    let ask = |client: &mut Client, span: &std::ops::Range<usize>| {
        let (first, last) = (span.start, span.end - 1);
        client.request(&format!("GET /film.mp4 HTTP/1.1\nRange: bytes={first}-{last}"));
    };
    for (number, client) in &mut stopped {
        ask(client, &range(*number));
        assert_eq!(client.head().expect("an answer").0, 206);
        assert!(client.body(READ) == film[range(*number)][..READ]);
    }
    let mut reader = server.connect();
    for number in 10..30 {
        ask(&mut reader, &range(number));
        assert!(reader.response("GET").body == film[range(number)]);
    }
    for (number, client) in &mut stopped {
        let left = range(*number).len() - READ;
        assert!(client.body(left) == film[range(*number)][READ..]);
    }
}

#[test]
fn connections_over_the_limit_wait_and_are_served_later() {
    let folder = nothing();
    let server = Server::start(folder.path(), &["--max-connections", "2"]);
    let (mut one, mut two) = (server.connect(), server.connect());
    assert_serves(&mut one);
    assert_serves(&mut two);
    let mut three = server.connect();
    three.request("GET /-/health HTTP/1.1");
    for _ in 0..200 {
        let page = one.ask("GET /-/metrics HTTP/1.1");
        assert!(page.text().contains("\nreelmap_connections 2\n"), "{}", page.text());
    }
    three.stream.set_nonblocking(true).unwrap();
    let early = three.stream.peek(&mut [0]).unwrap_err();
    assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
    three.stream.set_nonblocking(false).unwrap();
    drop(two);
    assert_eq!(three.response("GET").text(), "ok\n");
}

#[test]
fn many_more_clients_than_connections_are_all_served() {
    let (folder, _) = film();
    let server = Server::start(folder.path(), &["--max-connections", "3"]);
    let ask = |_| server.ask("GET /film.mp4 HTTP/1.1\nConnection: close").complete;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..12).map(|n| scope.spawn(move || ask(n))).collect();
        assert!(clients.into_iter().all(|client| client.join().unwrap()));
    });
}

#[test]
fn a_client_that_never_ends_its_head_is_closed() {
    let folder = nothing();
    let server = Server::start(folder.path(), &["--header-timeout", "1"]);
    let mut client = server.connect();
    client.send(HALF);
    assert!(client.is_closed());
    assert_serves(&mut server.connect());
}

#[test]
fn a_client_that_sends_its_head_byte_by_byte_is_closed() {
    let folder = nothing();
    let server = Server::start(folder.path(), &["--header-timeout", "1"]);
    let mut client = server.connect();
    client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    client.send("GET / HTTP/1.1\r\nX: ");
    until("the slow client is closed", || {
        let sent = client.stream.write_all(b"x");
        sent.is_err() || client.is_closed()
    });
}

#[test]
fn a_second_head_that_never_ends_is_closed_too() {
    let folder = nothing();
    let server = Server::start(folder.path(), &["--header-timeout", "1"]);
    let mut client = server.connect();
    assert_serves(&mut client);
    client.send(HALF);
    assert!(client.is_closed());
}

#[test]
fn an_idle_client_is_not_held_to_the_time_of_a_head() {
    let folder = nothing();
    let server = Server::start(folder.path(), &["--header-timeout", "1"]);
    let (mut idle, mut slow) = (server.connect(), server.connect());
    assert_serves(&mut idle);
    slow.send(HALF);
    assert!(slow.is_closed());
    assert_serves(&mut idle);
}

#[test]
fn an_idle_connection_is_closed() {
    let folder = nothing();
    let server = Server::start(folder.path(), &["--idle-timeout", "1"]);
    let (mut fresh, mut used) = (server.connect(), server.connect());
    assert_serves(&mut used);
    assert!(used.is_closed());
    assert!(fresh.is_closed());
}

#[test]
fn empty_lines_do_not_keep_a_connection_open() {
    let folder = nothing();
    let server = Server::start(folder.path(), &["--idle-timeout", "1", "--header-timeout", "1"]);
    let mut client = server.connect();
    client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    until("a client that sends nothing but empty lines is closed", || {
        let sent = client.stream.write_all(b"\r\n");
        sent.is_err() || client.is_closed()
    });
}

#[test]
fn no_time_counts_against_the_client_while_its_answer_is_sent() {
    let (folder, film) = film();
    let flags = ["--idle-timeout", "1", "--header-timeout", "1"];
    let server = Server::start(folder.path(), &flags);
    let (mut reader, mut clock) = (server.connect(), server.connect());
    reader.request("GET /film.mp4 HTTP/1.1");
    let mut first = vec![0; 1000];
    reader.stream.read_exact(&mut first).unwrap();
    for client in [&mut reader, &mut clock] {
        client.send(HALF);
    }
    assert!(clock.is_closed());
    reader.push_back(first);
    assert!(reader.response("GET").body == film);
}

#[test]
fn a_client_that_takes_no_byte_is_closed_and_counted() {
    let (folder, film) = film();
    let server = Server::start(folder.path(), &["--write-timeout", "1"]);
    let mut client = server.connect();
    client.request("GET /film.mp4 HTTP/1.1");
    until("the stalled answer is cut", || {
        server.metric("reelmap_responses_cut_total{why=\"stalled\"}") == 1.0
    });
    let answer = client.try_response("GET");
    assert!(answer.is_none_or(|answer| answer.body.len() < film.len()));
}

#[test]
fn a_client_that_reads_slowly_is_not_closed() {
    let (folder, film) = film();
    let server = Server::start(folder.path(), &["--write-timeout", "2"]);
    let mut client = server.connect();
    client.request("GET /film.mp4 HTTP/1.1");
    let mut slowly = Vec::new();
    for _ in 0..14 {
        let mut piece = vec![0; 128 * 1024];
        client.stream.read_exact(&mut piece).expect("a reader that is alive was closed");
        slowly.extend(piece);
        thread::sleep(Duration::from_millis(300));
    }
    client.push_back(slowly);
    let answer = client.response("GET");
    assert!(answer.complete && answer.body == film, "cut after {} bytes", answer.body.len());
    assert_eq!(server.metric("reelmap_responses_cut_total{why=\"stalled\"}"), 0.0);
}

#[test]
fn more_files_than_may_stay_open_are_served_right() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..200 {
        fs::write(folder.path().join(n.to_string()), noise(n, 5000)).unwrap();
    }
    let server = Server::start(folder.path(), &["--open-files", "10"]);
    thread::scope(|scope| {
        for start in 0..4 {
            let mut client = server.connect();
            scope.spawn(move || {
                for n in (0..400).map(|step| (start * 50 + step * 7) % 200) {
                    let answer = client.ask(&format!("GET /{n} HTTP/1.1"));
                    assert!(answer.body == noise(n, 5000), "{n}: {}", answer.status);
                }
            });
        }
    });
    // A last answer may be here before the server has let go of its file.
    until("no more than ten are open", || server.metric("reelmap_mappings") <= 10.0);
}

#[test]
fn long_listings_over_the_limit_wait_until_others_have_been_sent_and_short_ones_do_not() {
    const LISTINGS: usize = 32;
    let folder = nothing();
    let (long, short) = (folder.path().join("long"), folder.path().join("short"));
    fs::create_dir(&long).unwrap();
    fs::create_dir(&short).unwrap();
    // 2 KiB of page each.
    for n in 0..300 {
        File::create(long.join(format!("{n}{}", "&".repeat(250)))).unwrap();
    }
    let server = Server::start(folder.path(), &[]);
    let connect = || Client::connect_narrow(server.address);
    let mut readers: Vec<_> = (0..LISTINGS).map(|_| connect()).collect();
    for reader in &mut readers {
        reader.request("GET /long/ HTTP/1.1");
    }
    for reader in &mut readers {
        assert_eq!(reader.head().map(|(status, _)| status), Some(200));
    }
    let mut late = server.connect();
    late.request("GET /long/ HTTP/1.1");
    for _ in 0..200 {
        assert_serves(&mut server.connect());
        assert_eq!(server.get("/short/").status, 200);
    }
    late.stream.set_nonblocking(true).unwrap();
    let early = late.stream.peek(&mut [0]).unwrap_err();
    assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
    late.stream.set_nonblocking(false).unwrap();
    drop(readers.pop());
    assert_eq!(late.response("GET").status, 200);
}

#[test]
fn a_server_out_of_file_descriptors_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..40 {
        fs::write(folder.path().join(n.to_string()), noise(n, 5000)).unwrap();
    }
    let flags = ["--max-connections", "60", "--open-files", "30", "--access-log", "off"];
    let mut program = Program::start(folder.path(), &flags);
    program.limit_files(40);
    let mut clients: Vec<_> = (0..60).map(|_| program.connect()).collect();
    for n in 0..40 {
        // Those that were accepted are answered; the others wait or are let go.
        for client in &mut clients {
            let _ = write!(client.stream, "GET /{n} HTTP/1.1\r\nHost: test\r\n\r\n");
        }
    }
    program.wait_for_line("cannot accept a connection");
    let mut busy = clients.swap_remove(0);
    for n in 0..40 {
        let answer = busy.response("GET");
        assert!(answer.status == 503 || answer.body == noise(n, 5000), "{}", answer.status);
    }
    drop((busy, clients));
    until("it serves again", || {
        let mut client = program.connect();
        client.request("GET /39 HTTP/1.1");
        client.try_response("GET").is_some_and(|answer| answer.body == noise(39, 5000))
    });
}

#[test]
fn a_server_that_may_write_no_such_long_file_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("live")).unwrap();
    let program = Program::quiet(folder.path(), &["--ingest", "live"]);
    program.limit_file_size(10_000);
    let put = |range: &str, bytes: &[u8]| {
        let mut client = program.connect();
        client.request(&format!(
            "PUT /live/film HTTP/1.1\nContent-Range: bytes {range}\nContent-Length: {}",
            bytes.len()
        ));
        client.send(bytes);
        client.response("PUT")
    };
    assert_eq!(put("9000-10999/20000", &noise(1, 2000)).status, 507);
    let there = put("*/*", b"");
    assert!(there.text().contains(r#""held":["9000-9999"]"#), "{}", there.text());
    assert_eq!(put("10000-10000/20000", b"x").status, 507);
    assert_eq!(put("0-0/20000", b"x").status, 202);
}

#[test]
fn a_sparse_file_larger_than_memory_is_served_at_any_offset() {
    let folder = tempfile::tempdir().unwrap();
    let film = File::create(folder.path().join("film.mp4")).unwrap();
    film.set_len(20 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&film, b"end", (20 << 30) - 3).unwrap();
    let server = Server::start(folder.path(), &[]);
    for (range, got) in
        [("-3", &b"end"[..]), ("21474836477-21474836478", b"en"), ("5-7", b"\0\0\0")]
    {
        let answer = server.ask(&format!("GET /film.mp4 HTTP/1.1\nRange: bytes={range}"));
        assert_eq!((answer.status, &answer.body[..]), (206, got), "{range}");
    }
}

#[test]
fn a_listener_without_clients_holds_no_other_up() {
    let folder = tempfile::tempdir().unwrap();
    let always = ["--listen", "127.0.0.1:0", "--max-connections", "1"];
    let program = Program::start(folder.path(), &always);
    let second = program.first_line.rsplit("http://").next().unwrap().split('/').next().unwrap();
    let (first, second) = (program.address, second.parse().unwrap());
    // Not in turn: a server that waits at one and then at the other would not be found out.
    for address in [first, first, second, second, first] {
        let mut client = support::Client::connect(address);
        assert_eq!(client.ask("GET /-/health HTTP/1.1\nConnection: close").status, 200);
        assert!(client.is_closed());
    }
}
