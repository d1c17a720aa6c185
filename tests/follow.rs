//! A file that another program appends to: followed by who asks for all that will come, as it is for all others.

mod support;

use std::{fs, io::Write, path::Path};
use support::{Server, command::until, live::Reader};

const EVER: &str = "9007199254740991";

fn append(path: &Path, bytes: &[u8]) {
    fs::File::options().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn serve(flags: &[&str]) -> (tempfile::TempDir, Server) {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("out.ts"), "0123456789").unwrap();
    let server = Server::start(root.path(), flags);
    (root, server)
}

fn follow(server: &Server, from: usize) -> Reader {
    Reader::ask(server, &format!("GET /out.ts HTTP/1.1\nRange: bytes={from}-{EVER}"))
}

#[test]
fn what_is_appended_is_sent() {
    let (root, server) = serve(&["--follow-idle", "3600"]);
    let file = root.path().join("out.ts");
    let (mut one, mut two) = (follow(&server, 0), follow(&server, 4));
    assert_eq!((one.status, two.status), (206, 206));
    assert_eq!(two.header("content-range"), format!("bytes 4-{EVER}/*"));
    assert_eq!((one.take(10), two.take(6)), (b"0123456789".to_vec(), b"456789".to_vec()));
    for piece in ["abc", "d", "efghij"] {
        append(&file, piece.as_bytes());
        assert_eq!((one.take(piece.len()), two.take(piece.len())), (piece.into(), piece.into()));
    }
}

#[test]
fn a_file_to_which_nothing_more_comes_ends() {
    let (_root, server) = serve(&["--follow-idle", "1"]);
    let (one, two) = (follow(&server, 0), follow(&server, 4));
    let ended = (one.rest(), two.rest());
    assert_eq!(ended, ((b"0123456789".to_vec(), true), (b"456789".to_vec(), true)));
}

#[test]
fn every_other_request_gets_the_length_of_now() {
    let (root, server) = serve(&[]);
    let _follower = follow(&server, 0);
    assert_eq!(server.get("/out.ts").text(), "0123456789");
    append(&root.path().join("out.ts"), b"abc");
    let open = server.ask("GET /out.ts HTTP/1.1\nRange: bytes=8-");
    assert_eq!((open.status, open.text()), (206, "89abc"));
    assert_eq!(open.header("content-range"), "bytes 8-12/13");
    let all = server.ask(&format!("GET /out.ts HTTP/1.1\nRange: bytes=-{EVER}"));
    assert_eq!((all.header("content-range"), all.text()), ("bytes 0-12/13", "0123456789abc"));
}

#[test]
fn one_file_more_than_may_be_followed_is_told_when_to_come_back() {
    let (root, server) = serve(&["--follow-idle", "3600"]);
    let follow = |number: usize| {
        fs::write(root.path().join(format!("{number}.ts")), "film").unwrap();
        Reader::ask(&server, &format!("GET /{number}.ts HTTP/1.1\nRange: bytes=0-{EVER}"))
    };
    let followed: Vec<_> = (0..64).map(follow).collect();
    assert!(followed.iter().all(|reader| reader.status == 206));
    let one_more = follow(64);
    assert_eq!((one_more.status, one_more.header("retry-after")), (503, "3600"));
    assert_eq!(server.ask("GET /64.ts HTTP/1.1").text(), "film");
}

#[test]
fn the_edge_is_waited_for_and_what_lies_beyond_is_not() {
    let (root, server) = serve(&["--live-wait", "3600", "--follow-idle", "3600"]);
    assert_eq!(follow(&server, 11).status, 416);
    let mut client = server.connect();
    client.request(&format!("GET /out.ts HTTP/1.1\nRange: bytes=10-{EVER}"));
    until("it waits", || server.metric("reelmap_responses_in_flight") == 2.0);
    append(&root.path().join("out.ts"), b"abc");
    let (status, headers) = client.head().unwrap();
    assert_eq!((status, &headers["content-range"][..]), (206, &format!("bytes 10-{EVER}/*")[..]));
}

#[test]
fn readers_of_a_file_that_is_cut_short_are_cut() {
    let (root, server) = serve(&["--follow-idle", "3600"]);
    let mut reader = follow(&server, 0);
    reader.take(10);
    fs::File::options().write(true).open(root.path().join("out.ts")).unwrap().set_len(3).unwrap();
    assert_eq!(reader.rest(), (vec![], false));
}

#[test]
fn a_deleted_file_ends() {
    let (root, server) = serve(&["--follow-idle", "1"]);
    let mut reader = follow(&server, 0);
    reader.take(10);
    fs::remove_file(root.path().join("out.ts")).unwrap();
    assert_eq!(reader.rest(), (vec![], true));
    // Room to grow is mapped for as long as somebody reads it.
    until("it is let go of", || server.metric("reelmap_mapped_bytes") <= 10.0);
}
