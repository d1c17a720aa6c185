//! The `reelmap` program: what it says and how it ends.

mod support;

use rustix::process::Signal;
use std::{
    fs::{self, File, Permissions},
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::Output,
    time::Duration,
};
use support::{
    Client, Server,
    command::{Program, reelmap, until},
    programs,
};

const LIMIT: Duration = Duration::from_secs(30);
const LENGTH: u64 = 32 << 20;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    // Sparse: what is in it is no matter here.
    File::create(folder.path().join("film.mp4")).unwrap().set_len(LENGTH).unwrap();
    folder
}

fn run(arguments: &[&str]) -> Output {
    programs::finish(reelmap().args(arguments), LIMIT)
}

/// Asserts that these arguments are refused with one sentence that holds `words`.
#[track_caller]
fn assert_refused(arguments: &[&str], status: i32, words: &str) {
    let output = run(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
    assert!(error.contains(words), "{arguments:?}: {error}");
    let sentence = error.split("\n\n").next().unwrap();
    // The command line's own checks add a line with the values that are possible.
    assert!(sentence.trim_end().lines().count() as i32 <= status, "{arguments:?}: {error}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

/// A client that has got the first bytes of the film, and those bytes.
fn reader(program: &Program) -> Client {
    let mut client = program.connect();
    client.request("GET /film.mp4 HTTP/1.1");
    let mut first = vec![0; 1000];
    client.stream.read_exact(&mut first).unwrap();
    client.push_back(first);
    client
}

/// What a user who is not root gets: the first words of a command line that runs as such.
fn unprivileged() -> std::process::Command {
    let mut command = reelmap();
    if rustix::process::geteuid().is_root() {
        command.uid(65534);
    }
    command
}

/// A folder in which something has such a mode, which is taken back so that it can be removed.
struct Closed(tempfile::TempDir, PathBuf);

impl Closed {
    fn new(name: &str, mode: u32) -> Closed {
        let folder = folder();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("live")).unwrap();
        fs::set_permissions(folder.path().join("live"), Permissions::from_mode(0o777)).unwrap();
        fs::create_dir(folder.path().join("live/shut")).unwrap();
        let closed = folder.path().join(name);
        fs::set_permissions(&closed, Permissions::from_mode(mode)).unwrap();
        Closed(folder, closed)
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        let _ = fs::set_permissions(&self.1, Permissions::from_mode(0o755));
    }
}

#[test]
fn a_folder_that_may_not_be_used_is_a_sentence() {
    for (mode, flags, words) in [
        (0o000, &[][..], "may not read there"),
        (0o311, &[], "may not read there"),
        (0o444, &["--no-listing"], "may not read there"),
        (0o555, &["--ingest", "."], "may not write there"),
    ] {
        let closed = Closed::new("live", mode);
        let output =
            programs::finish(unprivileged().arg("serve").arg(&closed.1).args(flags), LIMIT);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{mode:o}: {said}");
        for words in [closed.1.to_str().unwrap(), "user ", words] {
            assert!(said.contains(words), "{mode:o}: {said}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_folder_that_is_not_listed_need_not_be_read() {
    let closed = Closed::new("live", 0o311);
    let mut command = unprivileged();
    command.arg("serve").arg(&closed.1).args(["--listen", "127.0.0.1:0", "--no-listing"]);
    assert_eq!(Program::run(command).connect().ask("GET /shut HTTP/1.1").status, 404);
}

#[test]
fn what_the_system_forbids_is_told_apart_and_logged() {
    for (name, mode, request, words) in [
        ("film.mp4", 0o000, "GET /film.mp4 HTTP/1.1", "not let read this"),
        ("live/shut", 0o311, "GET /live/shut/ HTTP/1.1", "not let read this"),
        (
            "live/shut",
            0o555,
            "PUT /live/shut/film HTTP/1.1\nContent-Length: 0",
            "not let write here",
        ),
    ] {
        let closed = Closed::new(name, mode);
        let mut command = unprivileged();
        command.arg("serve").arg(closed.0.path());
        command.args(["--listen", "127.0.0.1:0", "--ingest", "live"]);
        let mut program = Program::run(command);
        let answer = program.connect().ask(request);
        assert_eq!(answer.status, 403, "{request}");
        assert!(answer.text().contains(words), "{request}: {}", answer.text());
        let line = program.wait_for_line("is forbidden to user ");
        assert!(line.contains(&format!("/{name}")), "{line}");
        let hidden = program.connect().ask("PUT /live/.film HTTP/1.1\nContent-Length: 0");
        assert!(hidden.status == 403 && !hidden.text().contains(words), "{}", hidden.text());
    }
}

#[test]
fn a_folder_in_the_place_of_a_subcommand_is_told_which() {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    let output = run(&[path]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.ends_with(&format!("To serve that folder: reelmap serve {path}\n")), "{said}");
    assert!(!String::from_utf8(run(&["/no/folder"]).stderr).unwrap().contains("To serve"));
}

#[test]
fn a_folder_to_write_into_that_will_not_do_is_a_sentence() {
    let folder = folder();
    let root = folder.path().canonicalize().unwrap();
    let root = root.to_str().unwrap();
    let missing = format!("there is no {root}/live: make it");
    assert_refused(&["serve", root, "--ingest", "live"], 1, &missing);
    assert_refused(&["serve", root, "--ingest", "/"], 1, &format!("must lie inside {root}\n"));
}

fn refuses(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

#[test]
fn the_first_line_says_what_is_served_and_where() {
    let folder = folder();
    let program = Program::start(folder.path(), &[]);
    let root = folder.path().canonicalize().unwrap();
    let words = format!("serving {} at http://{}/", root.display(), program.address);
    assert!(program.first_line.trim_end().ends_with(&words), "{}", program.first_line);
}

#[test]
fn it_listens_at_every_address_it_is_given() {
    let folder = folder();
    let program = Program::start(folder.path(), &["--listen", "[::1]:0"]);
    let urls: Vec<_> = program.first_line.split("http://").skip(1).collect();
    assert_eq!(urls.len(), 2, "{}", program.first_line);
    let second = urls[1].split('/').next().unwrap().parse().unwrap();
    assert_eq!(Client::connect(second).ask("GET /-/health HTTP/1.1").text(), "ok\n");
}

#[test]
fn the_current_folder_is_served_unless_another_is_given() {
    let folder = folder();
    let mut command = reelmap();
    command.current_dir(folder.path()).args(["serve", "--listen", "127.0.0.1:0"]);
    let program = Program::run(command);
    assert_eq!(program.connect().ask("HEAD /film.mp4 HTTP/1.1").status, 200);
}

#[test]
fn help_shows_every_flag_with_its_variable_and_default() {
    let help = String::from_utf8(run(&["serve", "--help"]).stdout).unwrap();
    for (flag, default) in [
        ("listen", "127.0.0.1:8080"),
        ("threads", "0"),
        ("max-connections", "10000, or as many"),
        ("open-files", "1024"),
        ("index-mib", "128"),
        ("index-time", "60"),
        ("max-header-kib", "32"),
        ("header-timeout", "10"),
        ("idle-timeout", "75"),
        ("write-timeout", "60"),
        ("drain", "30"),
        ("no-listing", ""),
        ("no-cors", ""),
        ("no-sendfile", ""),
        ("ingest", ""),
        ("ingest-token-file", ""),
        ("ingest-open", ""),
        ("ingest-max-bytes", "1099511627776"),
        ("ingest-max-streams", "64"),
        ("ingest-keep", "7"),
        ("ingest-idle", "30"),
        ("live-wait", "10"),
        ("follow-idle", "10"),
        ("access-log", "text"),
        ("log-level", "info"),
    ] {
        let about =
            help.split(&format!("--{flag}")).nth(1).unwrap_or_else(|| panic!("no --{flag}"));
        let about = about.split("\n      --").next().unwrap().split_whitespace();
        let about = about.collect::<Vec<_>>().join(" ");
        let variable = format!("[env: REELMAP_{}=", flag.replace('-', "_").to_uppercase());
        assert!(about.contains(&variable), "{flag}: {about}");
        assert!(default.is_empty() || about.contains(&format!("[default: {default}")), "{about}");
    }
    let flags = help.matches("\n      --").count();
    assert_eq!(flags, 25, "a flag that this test doesn't know:\n{help}");
    assert!(help.contains("[env: REELMAP_ROOT=]") && help.contains("[default: .]"), "{help}");
}

#[test]
fn a_root_that_is_not_there_is_a_sentence() {
    assert_refused(&["serve", "/no/such/folder"], 1, "cannot serve /no/such/folder");
}

#[test]
fn a_root_that_is_a_file_is_a_sentence() {
    let folder = folder();
    let film = folder.path().join("film.mp4");
    assert_refused(&["serve", film.to_str().unwrap()], 1, "it is not a folder");
}

#[test]
fn an_address_in_use_is_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_refused(
        &["serve", "/", "--listen", &address],
        1,
        &format!("cannot listen on {address}"),
    );
}

#[test]
fn flags_that_make_no_sense_are_a_sentence() {
    for (arguments, words) in [
        (&["serve", "--listen", "nowhere"][..], "nowhere"),
        (&["serve", "--max-connections", "0"], "--max-connections"),
        (&["serve", "--drain", "soon"], "soon"),
        (&["serve", "--access-log", "xml"], "xml"),
        (&["serve", "--no-such-flag"], "--no-such-flag"),
        (&["serve", "a", "b"], "b"),
        (&["no-such-command"], "no-such-command"),
    ] {
        assert_refused(arguments, 2, words);
    }
}

#[test]
fn limits_that_cannot_be_met_are_a_sentence() {
    let flags = ["serve", "/", "--max-connections", "1000000", "--open-files", "1000000"];
    assert_refused(&flags, 1, "ulimit -n");
}

#[test]
fn the_environment_is_heard_and_flags_win() {
    let folder = folder();
    let mut command = reelmap();
    command.arg("serve").args(["--access-log", "text"]);
    let root = folder.path().to_str().unwrap();
    for (name, value) in [
        ("ROOT", root),
        ("LISTEN", "127.0.0.1:0,127.0.0.1:0"),
        ("NO_LISTING", "true"),
        ("NO_CORS", "false"),
        ("ACCESS_LOG", "off"),
        ("DRAIN", "0"),
    ] {
        command.env(format!("REELMAP_{name}"), value);
    }
    let program = Program::run(command);
    assert_eq!(program.first_line.matches("http://").count(), 2);
    let answer = program.connect().ask("GET / HTTP/1.1");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (404, "*"));
    program.signal(Signal::TERM);
    assert_eq!(program.ended().1.lines().count(), 1);
}

#[test]
fn nonsense_in_the_environment_is_a_sentence() {
    let mut command = reelmap();
    let output = programs::finish(command.arg("serve").env("REELMAP_DRAIN", "soon"), LIMIT);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("soon"));
}

#[test]
fn a_value_that_can_not_be_read_is_told_what_to_write() {
    let film = fixture("moov-first.mp4");
    for (arguments, words) in [
        (&["serve", "--listen", "8080"][..], "write an address and a port, such as 127.0.0.1:8080"),
        (
            &["serve", "--listen", "localhost:8087"],
            "names such as localhost are not looked up: write",
        ),
        (&["serve", "--drain", "soon"], "write a whole number from 0 to 86400"),
        (&["serve", "--index-mib", "0"], "write a whole number from 1 to 1048576"),
        (&["at", &film, "5", "--size", "20MB"], "without a unit, such as 20971520"),
    ] {
        assert_refused(arguments, 2, words);
    }
    assert_refused(&["serve", &film], 1, "it is not a folder: give the one that it lies in");
    for (name, value, words) in [
        ("LISTEN", "127.0.0.1:80,bad", "write an address and a port"),
        ("NO_CORS", "maybe", "write true or false"),
        ("INGEST_IDLE", "x", "write a whole number"),
    ] {
        let variable = format!("REELMAP_{name}");
        let output = programs::finish(reelmap().arg("serve").env(&variable, value), LIMIT);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(words), "{variable}: {said}");
        assert!(said.contains(&format!("in the environment, as {variable}.")), "{said}");
    }
}

#[test]
fn health_is_0_for_a_server_that_is_well() {
    let folder = folder();
    // The folder itself is nothing that is asked for.
    let program = Program::start(folder.path(), &["--no-listing"]);
    let url = format!("http://{}/-/health", program.address);
    for url in [&url, url.trim_end_matches("-/health"), url.trim_end_matches("/-/health")] {
        let output = run(&["health", url]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    let listen = program.address.to_string();
    let output = programs::finish(reelmap().arg("health").env("REELMAP_LISTEN", listen), LIMIT);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn health_is_1_for_any_other() {
    let folder = folder();
    let program = Program::start(folder.path(), &[]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_refused(&["health", &format!("http://{closed}/-/health")], 1, "no answer");
    assert_refused(&["health", &format!("http://{}/none", program.address)], 1, "answered 404");
    assert_refused(&["health", "https://127.0.0.1/"], 1, "http://");
    assert_refused(&["health", "nonsense"], 1, "nonsense");
    let bare = program.address.to_string();
    assert_refused(&["health", &bare], 1, &format!("write http://{bare}"));
}

#[test]
fn a_signal_lets_an_answer_finish_and_exits_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = folder();
        let mut program = Program::start(folder.path(), &["--drain", "3600"]);
        let mut reader = reader(&program);
        program.stop(signal);
        let answer = reader.response("GET");
        assert!(answer.complete && answer.body.len() as u64 == LENGTH, "{signal:?}");
        assert!(reader.is_closed());
        assert_eq!(program.ended().0.code(), Some(0), "{signal:?}");
    }
}

#[test]
fn idle_clients_do_not_hold_it_up() {
    let folder = folder();
    let mut program = Program::start(folder.path(), &["--drain", "3600"]);
    let (mut used, fresh) = (program.connect(), program.connect());
    used.ask("GET /-/health HTTP/1.1");
    program.stop(Signal::TERM);
    assert_eq!(program.ended().0.code(), Some(0));
    drop(fresh);
}

#[test]
fn a_client_with_half_a_request_does_not_hold_it_up() {
    let folder = folder();
    let flags = ["--drain", "3600", "--header-timeout", "1"];
    let mut program = Program::start(folder.path(), &flags);
    let mut client = program.connect();
    client.ask("GET /-/health HTTP/1.1");
    client.send("GET / HTTP/1.1\r\nHost");
    program.stop(Signal::TERM);
    assert_eq!(program.ended().0.code(), Some(0));
}

#[test]
fn new_connections_are_refused_while_it_drains() {
    let folder = folder();
    let mut program = Program::start(folder.path(), &["--drain", "3600"]);
    let mut reader = reader(&program);
    program.stop(Signal::TERM);
    until("connections are refused", || refuses(program.address));
    assert!(reader.response("GET").complete);
    assert!(program.ended().0.success());
}

#[test]
fn an_answer_that_outlasts_the_drain_is_cut() {
    let folder = folder();
    let mut program = Program::start(folder.path(), &["--drain", "1", "--access-log", "json"]);
    let mut reader = reader(&program);
    program.stop(Signal::TERM);
    program.wait_for_line("not done in time");
    let (status, log) = program.ended();
    assert_eq!(status.code(), Some(0));
    assert!(!reader.response("GET").complete);
    assert!(log.contains("\"ended\":\"gone\""), "{log:?}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::TERM, Signal::INT)] {
        let folder = folder();
        let mut program = Program::start(folder.path(), &["--drain", "3600"]);
        let mut reader = reader(&program);
        program.stop(first);
        program.signal(second);
        assert_eq!(program.ended().0.code(), Some(1));
        assert!(!reader.response("GET").complete);
    }
}

#[test]
fn a_port_can_be_listened_at_again_right_after() {
    let folder = folder();
    let program = Program::start(folder.path(), &[]);
    let mut client = program.connect();
    client.ask("GET /-/health HTTP/1.1");
    let address = program.address.to_string();
    program.signal(Signal::TERM);
    // The server closes first, and so its port is the one that is still kept for a while.
    assert!(client.is_closed());
    assert!(program.ended().0.success());
    let mut command = reelmap();
    command.arg("serve").arg(folder.path()).args(["--listen", &address]);
    assert_eq!(Program::run(command).connect().ask("GET /-/health HTTP/1.1").text(), "ok\n");
}

fn fixture(name: &str) -> String {
    support::fixtures().join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_file_is_asked_as_the_server_is() {
    let server = Server::start(support::fixtures(), &[]);
    let film = fixture("timecode.mov");
    for (arguments, query) in [
        (&["at", &film, "00:00:05:12"][..], "at=00:00:05:12"),
        (&["at", &film, "5", "#137", "--size", "1000"], "at=5&at=%23137&size=1000"),
        (&["at", &film, "01:00:05:12", "--tc"], "tc=01:00:05:12"),
        (&["info", &film], "info"),
    ] {
        let output = run(arguments);
        let server = server.get(&format!("/timecode.mov?{query}"));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), server.text());
    }
}

#[test]
fn people_get_text() {
    let said = |arguments: &[&str]| String::from_utf8(run(arguments).stdout).unwrap();
    let film = fixture("timecode.mov");
    let text = said(&["at", &film, "01:00:05:12", "5", "--human"]);
    assert!(text.is_empty(), "one without an answer refuses all: {text}");
    let text = said(&["at", &film, "01:00:05:12", "--tc", "--human"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "asked  01:00:05:12, at 5.48 s");
    assert_eq!(lines[1], "frame  137 at 5.48 s, 01:00:05:12");
    let text = said(&["info", &film, "--human"]);
    assert!(text.contains("timecode   from 01:00:00:00, at 25/1 frames a second\n"), "{text}");
    assert!(
        text.contains("track 1    video avc1.64000C, 320x180, 25/1 frames a second\n"),
        "{text}"
    );
}

#[test]
fn a_file_without_an_answer_is_a_sentence() {
    let film = fixture("moov-first.mp4");
    let readme = fixture("README.md");
    for (arguments, words) in [
        (&["at", &film, "10"][..], "10 is past the end: the film is 10 s long"),
        (&["at", &film, "00:00:05:25"], "count 0 to 24"),
        (&["at", &film, "00:00:05:00", "--tc"], "no timecode track"),
        (&["at", "/no/such/film", "5"], "cannot open /no/such/film"),
        (&["info", "/dev/null"], "/dev/null is no regular file"),
        (&["info", &readme], "no container that is known here: MP4, MOV, Matroska"),
    ] {
        assert_refused(arguments, 1, words);
    }
    // What no film could answer is the command line's fault.
    for (arguments, words) in [
        (&["at", &film, "banana"][..], "no timecode"),
        (&["at", &film, "5", "--size", "0"], "1 byte or more"),
        (&["at", &film, "-1"], "before the film's first frame"),
        (&["at", &film, "5s"], "without units"),
        (
            &["at", "/no/such/film", ""],
            "the moment is empty: give a time, a label or a frame's number",
        ),
    ] {
        assert_refused(arguments, 2, words);
    }
    for arguments in [&["at", &film][..], &["info"], &["at", &film, "5", "--size", "much"]] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
