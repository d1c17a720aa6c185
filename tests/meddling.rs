//! Another program meddles with what lies hidden beside an upload's name.

mod support;

use std::fs;
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
