//! Another program meddles with what lies hidden beside an upload's name, and with the folder that it lies in.

mod support;

use std::{fs, os::unix::fs::symlink, path::Path};
use support::{
    command::until,
    ingest::{assert_nothing_is_open, begin, chunk, names, put, root, serve},
};

#[test]
fn a_folder_that_takes_the_place_of_a_record_keeps_no_name_from_uploads() {
    let root = root();
    let server = serve(&root, &[]);
    let live = root.path().join("live");
    let record = live.join(".film.reelmap-record");
    let mut client = begin(&server, "/live/film");
    chunk(&mut client, b"film");
    until("it is open", || record.exists());
    fs::remove_file(&record).unwrap();
    fs::create_dir(&record).unwrap();
    client.send("0\r\n\r\n");
    assert_eq!(client.response("PUT").status, 201);
    drop(client);
    assert_eq!(server.get("/live/film").text(), "film");
    for name in [".film.reelmap-record", ".film.reelmap"] {
        fs::create_dir(live.join(name)).unwrap();
    }
    assert_eq!(put(&server, "PUT /live/film HTTP/1.1", b"new").status, 204);
    fs::create_dir(&record).unwrap();
    assert_eq!(server.ask("DELETE /live/film HTTP/1.1").status, 204);
    let names = names(&live);
    assert!(names.len() == 4 && names.iter().all(|name| name.starts_with(".reelmap-aside-")));
    assert_nothing_is_open(&server);
}

const HARMED: &str = "409 conflict: another program has cut short what was received of it; delete it, or send all of it anew.\n";

#[test]
fn another_file_under_the_hidden_name_is_not_passed_off_as_what_came() {
    let root = root();
    let server = serve(&root, &[]);
    let live = root.path().join("live");
    let bytes = live.join(".film.reelmap");
    for foreign in [Some("foreign"), None] {
        let mut client = begin(&server, "/live/film");
        chunk(&mut client, b"film");
        until("it is open", || bytes.exists());
        fs::remove_file(&bytes).unwrap();
        if let Some(foreign) = foreign {
            fs::write(&bytes, foreign).unwrap();
        }
        client.send("0\r\n\r\n");
        let answer = client.response("PUT");
        assert_eq!((answer.status, answer.text()), (409, HARMED));
        drop(client);
        assert!(!live.join("film").exists());
        assert_eq!(put(&server, "PUT /live/film HTTP/1.1", b"anew").status, 201);
        assert_eq!(server.ask("DELETE /live/film HTTP/1.1").status, 204);
    }
    assert_nothing_is_open(&server);
}

fn cut(file: impl AsRef<Path>, length: u64) {
    fs::File::options().write(true).open(file).unwrap().set_len(length).unwrap();
}

#[test]
fn a_stream_whose_file_is_cut_short_under_its_writer_is_not_passed_off_as_whole() {
    let root = root();
    let server = serve(&root, &[]);
    let live = root.path().join("live");
    let mut client = begin(&server, "/live/cam.ts");
    chunk(&mut client, b"film");
    until("it is kept", || server.ask("HEAD /live/cam.ts HTTP/1.1").header("upload-offset") == "4");
    cut(live.join(".cam.ts.reelmap"), 2);
    chunk(&mut client, b" and more");
    let answer = client.response("PUT");
    assert_eq!((answer.status, answer.text()), (409, HARMED));
    drop(client);
    assert!(!live.join("cam.ts").exists());
    assert_eq!(put(&server, "PUT /live/cam.ts HTTP/1.1", b"anew").status, 201);
    assert_eq!(server.get("/live/cam.ts").text(), "anew");
    assert_nothing_is_open(&server);
}

#[test]
fn parts_of_a_file_that_is_cut_short_between_them_make_no_file() {
    let root = root();
    let server = serve(&root, &[]);
    let part = |server: &_, range: &str, bytes: &[u8]| {
        let head = format!("PUT /live/film HTTP/1.1\nContent-Range: bytes {range}");
        let answer = put(server, &head, bytes);
        (answer.status, answer.text().to_owned())
    };
    let bytes = root.path().join("live/.film.reelmap");
    assert_eq!(part(&server, "0-5/10", b"012345").0, 202);
    cut(&bytes, 5);
    assert_eq!(part(&server, "*/*", b""), (409, HARMED.into()));
    // Whatever becomes of its length.
    cut(&bytes, 10);
    assert_eq!(part(&server, "6-9/10", b"6789"), (409, HARMED.into()));
    assert_eq!(server.ask("DELETE /live/film HTTP/1.1").status, 204);
    assert_eq!(part(&server, "0-5/10", b"012345").0, 202);
    cut(&bytes, 5);
    assert_eq!(part(&server, "6-9/10", b"6789"), (409, HARMED.into()));
    // Nor does the next process take it up.
    cut(&bytes, 10);
    drop(server);
    let server = serve(&root, &[]);
    assert_eq!(part(&server, "6-9/10", b"6789").0, 202);
    assert_eq!(part(&server, "0-5/10", b"012345").0, 201);
    assert_eq!(server.get("/live/film").text(), "0123456789");
    assert_nothing_is_open(&server);
}

#[test]
fn uploads_go_where_readers_look() {
    let root = root();
    let server = serve(&root, &[]);
    let at = |name| root.path().join(name);
    let live = at("live");
    assert_eq!(put(&server, "PUT /live/first HTTP/1.1", b"first").status, 201);

    let mut client = begin(&server, "/live/cam.ts");
    chunk(&mut client, b"film");
    until("it is open", || live.join(".cam.ts.reelmap").exists());
    fs::rename(&live, at("old")).unwrap();
    let answer = put(&server, "PUT /live/second HTTP/1.1", b"second");
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.text(),
        "503 service unavailable: the folder that may be written to is not there now.\n"
    );
    assert_eq!(server.ask("DELETE /live/first HTTP/1.1").status, 503);

    // Another folder, and a link to one.
    fs::create_dir(&live).unwrap();
    assert_eq!(put(&server, "PUT /live/second HTTP/1.1", b"second").status, 201);
    assert_eq!(server.get("/live/second").text(), "second");
    assert_eq!(server.ask("DELETE /live/first HTTP/1.1").status, 404);
    fs::rename(&live, at("older")).unwrap();
    symlink("films", &live).unwrap();
    assert_eq!(put(&server, "PUT /live/third HTTP/1.1", b"third").status, 201);
    assert_eq!(server.get("/films/third").text(), "third");

    // A link that leads outside.
    fs::remove_file(&live).unwrap();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), &live).unwrap();
    assert_eq!(put(&server, "PUT /live/fourth HTTP/1.1", b"fourth").status, 503);
    assert_eq!(names(outside.path()), [""; 0]);

    // What had begun goes with its folder.
    client.send("0\r\n\r\n");
    assert_eq!(client.response("PUT").status, 201);
    drop(client);
    assert_eq!(names(&at("old")), ["cam.ts", "first"]);
    assert_eq!(names(&at("older")), ["second"]);
    assert_nothing_is_open(&server);
}
