//! Files that clients send: what they are told, and what is left where it goes wrong.

mod support;

use std::{fs, io::Write, net::Shutdown, os::unix::fs::MetadataExt, time::Duration};
use support::{
    Server,
    command::until,
    ingest::{assert_nothing_is_open, begin, chunk, names, put, root, serve},
    live::Reader,
    noise,
};

#[test]
fn a_file_is_stored_and_served() {
    let root = root();
    let server = serve(&root, &[]);
    let film = noise(1, 3 << 20);
    let answer = put(&server, "PUT /live/film.mp4 HTTP/1.1", &film);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("location"), "/live/film.mp4");
    assert_eq!(answer.header("upload-offset"), film.len().to_string());
    assert_eq!(answer.header("upload-complete"), "?1");
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(json["length"], film.len());
    let stored = server.get("/live/film.mp4");
    assert_eq!(stored.body, film);
    assert_eq!(stored.header("etag"), answer.header("etag"));
    assert_eq!(names(&root.path().join("live")), ["film.mp4"]);
    assert_eq!(server.metric("reelmap_received_bytes_total"), film.len() as f64);
    assert_nothing_is_open(&server);
}

#[test]
fn post_is_as_good_as_put_and_folders_are_made() {
    let root = root();
    let server = serve(&root, &[]);
    let answer = put(&server, "POST /live/a/b%20c/%ED%95%9C.ts HTTP/1.1", b"film");
    assert_eq!((answer.status, answer.header("location")), (201, "/live/a/b%20c/%ED%95%9C.ts"));
    assert_eq!(fs::read(root.path().join("live/a/b c/한.ts")).unwrap(), b"film");
}

#[test]
fn an_empty_file_is_a_file() {
    let root = root();
    let server = serve(&root, &[]);
    assert_eq!(put(&server, "PUT /live/empty HTTP/1.1", b"").status, 201);
    assert_eq!(fs::read(root.path().join("live/empty")).unwrap(), b"");
    let mut client = begin(&server, "/live/empty-chunked");
    client.send("0\r\n\r\n");
    assert_eq!(client.response("PUT").status, 201);
    drop(client);
    assert_nothing_is_open(&server);
}

#[test]
fn chunks_with_extensions_and_trailers_are_bytes() {
    let root = root();
    let server = serve(&root, &[]);
    let mut client = begin(&server, "/live/film");
    client.send(
        "4;name=\"va;lue\"\r\nfilm\r\nA ; x\r\n0123456789\r\n0\r\nTrailer: 1\r\nX: y\r\n\r\n",
    );
    assert_eq!(client.response("PUT").status, 201);
    assert_eq!(fs::read(root.path().join("live/film")).unwrap(), b"film0123456789");
    assert_eq!(client.ask("GET /live/film HTTP/1.1").text(), "film0123456789");
    drop(client);
    assert_nothing_is_open(&server);
}

#[test]
fn ten_thousand_chunks_of_one_byte_are_ten_thousand_bytes() {
    let root = root();
    let server = serve(&root, &[]);
    let film = noise(2, 10_000);
    let mut body = Vec::new();
    for byte in &film {
        body.extend_from_slice(b"1\r\n");
        body.extend_from_slice(&[*byte, b'\r', b'\n']);
    }
    body.extend_from_slice(b"0\r\n\r\n");
    let mut client = begin(&server, "/live/film");
    client.send(&body);
    assert_eq!(client.response("PUT").status, 201);
    assert_eq!(fs::read(root.path().join("live/film")).unwrap(), film);
    drop(client);
    assert_nothing_is_open(&server);
}

#[test]
fn a_file_is_replaced_when_the_new_one_is_whole_and_its_readers_keep_it() {
    let root = root();
    let server = serve(&root, &[]);
    let (old, new) = (noise(3, 8 << 20), noise(4, 1 << 20));
    let first = put(&server, "PUT /live/film HTTP/1.1", &old);
    let mut reader = server.connect();
    reader.request("GET /live/film HTTP/1.1");
    reader.head().unwrap();
    let mut writer = server.connect();
    writer.request(&format!("PUT /live/film HTTP/1.1\nContent-Length: {}", new.len()));
    writer.send(&new[..new.len() / 2]);
    until("half has arrived", || {
        server.metric("reelmap_received_bytes_total") >= (old.len() + new.len() / 2) as f64
    });
    assert_eq!(server.get("/live/film").body, old);
    writer.send(&new[new.len() / 2..]);
    let answer = writer.response("PUT");
    assert_eq!((answer.status, answer.header("location")), (204, "/live/film"));
    assert_ne!(answer.header("etag"), first.header("etag"));
    let now = server.get("/live/film");
    assert!(now.body == new && now.header("etag") == answer.header("etag"));
    let mut rest = vec![0; old.len() - reader.ahead()];
    std::io::Read::read_exact(&mut reader.stream, &mut rest).unwrap();
    assert!(old.ends_with(&rest));
}

#[test]
fn a_file_that_another_program_makes_meanwhile_is_not_replaced() {
    let root = root();
    let server = serve(&root, &[]);
    let film = root.path().join("live/film");
    let ask =
        |server: &Server| put(server, "PUT /live/film HTTP/1.1\nContent-Range: bytes */*", b"");
    let mut client = begin(&server, "/live/film");
    chunk(&mut client, b"sent");
    until("it is open", || server.metric("reelmap_streams") == 1.0);
    fs::write(&film, "made").unwrap();
    client.send("0\r\n\r\n");
    let refused = client.response("PUT");
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("is kept"), "{}", refused.text());
    assert_eq!(server.get("/live/film").text(), "made");
    assert_eq!(ask(&server).status, 409);
    // A new process doesn't replace it either.
    drop((client, server));
    let server = serve(&root, &[]);
    assert_eq!((ask(&server).status, server.get("/live/film").text()), (409, "made"));
    // It gets the name when that is free.
    fs::rename(&film, root.path().join("moved")).unwrap();
    let told = ask(&server);
    assert_eq!((told.status, told.header("upload-complete")), (200, "?1"));
    assert_eq!(server.get("/live/film").text(), "sent");
    assert_eq!(names(&root.path().join("live")), ["film"]);
    assert_nothing_is_open(&server);
}

/// The tag that a stream had is kept in an extended attribute, for which there may be no room.
#[test]
fn no_tag_is_told_that_the_file_will_not_have() {
    let root = root();
    let server = serve(&root, &[]);
    let mut client = begin(&server, "/live/film");
    chunk(&mut client, b"film");
    until("it is kept", || server.ask("HEAD /live/film HTTP/1.1").header("upload-offset") == "4");
    let path = root.path().join("live/.film.reelmap");
    let file = fs::File::options().write(true).open(path).unwrap();
    // Until no more fits in; where there is no end to it, the tag is kept.
    for size in [3000, 300, 30, 1] {
        for number in 0..300 {
            let name = format!("user.{size}-{number}");
            let flags = rustix::fs::XattrFlags::empty();
            if rustix::fs::fsetxattr(&file, name, &vec![0; size], flags).is_err() {
                break;
            }
        }
    }
    client.send("0\r\n\r\n");
    let answer = client.response("PUT");
    let stored = server.get("/live/film");
    assert_eq!((answer.status, stored.text()), (201, "film"));
    let told = answer.headers.get("etag");
    assert!(told.is_none_or(|told| told == stored.header("etag")), "{told:?}");
    // Of one that is still to take a file's place, the file's tag is another.
    let part = "PUT /live/film HTTP/1.1\nContent-Length: 10";
    let mut client = server.connect();
    client.request(part);
    client.send("film");
    until("it is kept", || {
        server.ask("HEAD /live/film?from=start HTTP/1.1").header("upload-offset") == "4"
    });
    drop(client);
    let part = "PUT /live/film HTTP/1.1\nContent-Range: bytes 5-6/10";
    let mut answer = put(&server, part, b"56");
    until("the one that was cut off has left", || {
        if answer.status == 409 {
            answer = put(&server, part, b"56");
        }
        answer.status != 409
    });
    assert_eq!((answer.status, answer.headers.get("etag")), (202, None));
}

#[test]
fn who_expects_100_continue_gets_it_only_if_the_body_is_wanted() {
    let root = root();
    let server = serve(&root, &["--ingest-max-bytes", "100"]);
    let expecting = |path: &str, length: u64| {
        let mut client = server.connect();
        client.request(&format!(
            "PUT {path} HTTP/1.1\nExpect: 100-continue\nContent-Length: {length}"
        ));
        client
    };
    assert_eq!(expecting("/films/x", 4).head().unwrap().0, 405);
    assert_eq!(expecting("/live/x", 101).head().unwrap().0, 413);
    let mut client = expecting("/live/x", 4);
    assert_eq!(client.head().unwrap().0, 100);
    client.send("film");
    assert_eq!(client.response("PUT").status, 201);
}

#[test]
fn a_second_writer_is_told_so() {
    let root = root();
    let server = serve(&root, &[]);
    let mut first = begin(&server, "/live/cam.ts");
    chunk(&mut first, b"fi");
    until("it is open", || server.metric("reelmap_streams") == 1.0);
    let second = put(&server, "PUT /live/cam.ts HTTP/1.1", b"other");
    assert_eq!(second.status, 409);
    assert_eq!(server.ask("DELETE /live/cam.ts HTTP/1.1").status, 409);
    chunk(&mut first, b"lm");
    first.send("0\r\n\r\n");
    assert_eq!(first.response("PUT").status, 201);
    assert_eq!(server.get("/live/cam.ts").text(), "film");
}

#[test]
fn a_form_is_told_to_send_the_file_itself() {
    let root = root();
    let server = serve(&root, &[]);
    let form = "POST /live/film HTTP/1.1\nContent-Type: Multipart/form-data; boundary=x";
    let answer = put(&server, form, b"--x\r\n\r\nfilm\r\n--x--\r\n");
    assert_eq!((answer.status, answer.header("connection")), (415, "close"));
    assert!(answer.text().contains("send the file itself, as curl -T does"), "{}", answer.text());
    assert_eq!(names(&root.path().join("live")), [""; 0]);
    let plain = "POST /live/film HTTP/1.1\nContent-Type: application/x-www-form-urlencoded";
    assert_eq!(put(&server, plain, b"film").status, 201);
}

#[test]
fn what_is_deleted_is_gone() {
    let root = root();
    let server = serve(&root, &[]);
    put(&server, "PUT /live/a/film HTTP/1.1", b"film");
    assert_eq!(server.get("/live/a/film").status, 200);
    assert_eq!(server.ask("DELETE /live/a/film HTTP/1.1").status, 204);
    assert_eq!(server.get("/live/a/film").status, 404);
    assert_eq!(server.ask("DELETE /live/a/film HTTP/1.1").status, 404);
    assert_eq!(server.ask("DELETE /live/none/film HTTP/1.1").status, 404);
    assert_eq!(names(&root.path().join("live")), ["a"]);
}

#[test]
fn a_film_whose_name_leaves_no_room_for_hidden_ones_can_be_deleted() {
    let root = root();
    let server = serve(&root, &[]);
    for (length, made) in [(239, true), (240, false), (255, false)] {
        let name = "n".repeat(length);
        let sent = put(&server, &format!("PUT /live/{name} HTTP/1.1"), b"film");
        assert_eq!(sent.status, if made { 201 } else { 400 });
        assert!(made || sent.text().contains("more than 239 bytes"), "{}", sent.text());
        fs::write(root.path().join("live").join(&name), "film").unwrap();
        assert_eq!(server.ask(&format!("DELETE /live/{name} HTTP/1.1")).status, 204);
        assert_eq!(server.ask(&format!("DELETE /live/{name} HTTP/1.1")).status, 404);
    }
    let longer = format!("DELETE /live/{} HTTP/1.1", "n".repeat(256));
    assert_eq!(server.ask(&longer).status, 404);
    assert_eq!(names(&root.path().join("live")), [""; 0]);
}

#[test]
fn more_than_the_limit_is_refused_and_what_came_is_kept() {
    let root = root();
    let server = serve(&root, &["--ingest-max-bytes", "1000"]);
    let refused = put(&server, "PUT /live/a HTTP/1.1", &noise(5, 1001));
    let words = "a file may have 1000 bytes here, as --ingest-max-bytes says";
    assert!(refused.status == 413 && refused.text().contains(words), "{}", refused.text());
    let film = noise(6, 1500);
    let mut client = begin(&server, "/live/b");
    chunk(&mut client, &film[..600]);
    until("it is kept", || server.ask("HEAD /live/b HTTP/1.1").header("upload-offset") == "600");
    chunk(&mut client, &film[600..]);
    let refused = client.response("PUT");
    assert!(refused.status == 413 && refused.text().contains(words), "{}", refused.text());
    assert_eq!(fs::read(root.path().join("live/b")).unwrap(), &film[..1000]);
    assert_eq!(names(&root.path().join("live")), ["b"]);
    assert_nothing_is_open(&server);
}

#[test]
fn more_streams_than_the_limit_are_turned_away() {
    let root = root();
    let server = serve(&root, &["--ingest-max-streams", "1"]);
    let mut first = begin(&server, "/live/a");
    until("it is open", || server.metric("reelmap_streams") == 1.0);
    let refused = put(&server, "PUT /live/b HTTP/1.1", b"film");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), "5");
    first.send("0\r\n\r\n");
    assert_eq!(first.response("PUT").status, 201);
    assert_eq!(put(&server, "PUT /live/b HTTP/1.1", b"film").status, 201);
}

#[test]
fn those_that_wait_give_way_and_are_kept() {
    let root = root();
    let part = |server: &Server, name: &str, range: &str, bytes: &[u8]| {
        put(server, &format!("PUT /live/{name} HTTP/1.1\nContent-Range: bytes {range}"), bytes)
    };
    let ask = |server: &Server, name: &str| part(server, name, "*/*", b"");
    let flags = ["--ingest-max-streams", "2", "--ingest-idle", "3600"];
    let server = serve(&root, &flags);
    put(&server, "PUT /live/b HTTP/1.1", b"the old one");
    let mut tags = Vec::new();
    for name in ["a", "c", "d", "e"] {
        let answer = part(&server, name, "0-3/10", b"0123");
        assert_eq!(answer.status, 202, "{name}: {}", answer.text());
        tags.push(answer.header("etag").to_owned());
    }
    let mut cut = server.connect();
    cut.request("PUT /live/b HTTP/1.1\nContent-Length: 10");
    cut.send("0123");
    until("it is kept", || {
        server.ask("HEAD /live/b?from=start HTTP/1.1").header("upload-offset") == "4"
    });
    drop(cut);
    until("it waits", || part(&server, "b", "7-7/10", b"7").status == 202);
    assert_eq!(server.metric("reelmap_streams"), 2.0);
    // Those that gave way are asked for, gone on with, refused what is there, begun anew and deleted as the others.
    let told = ask(&server, "a");
    assert_eq!((told.status, told.header("upload-offset")), (200, "4"));
    let refused = part(&server, "d", "3-9/10", b"3456789");
    assert_eq!((refused.status, refused.header("upload-offset")), (409, "4"));
    let whole = part(&server, "d", "4-9/10", b"456789");
    assert_eq!((whole.status, whole.header("etag")), (201, &*tags[2]));
    assert_eq!(part(&server, "b", "4-6/10", b"456").status, 202);
    assert_eq!(server.get("/live/b").text(), "the old one");
    assert_eq!(part(&server, "b", "8-9/10", b"89").status, 204);
    for name in ["d", "b"] {
        assert_eq!(server.get(&format!("/live/{name}")).text(), "0123456789");
    }
    assert_eq!(part(&server, "f", "0-3/10", b"0123").status, 202);
    assert_eq!(part(&server, "g", "0-3/10", b"0123").status, 202);
    assert_eq!(server.ask("DELETE /live/a HTTP/1.1").status, 204);
    assert_eq!(
        (ask(&server, "a").status, server.ask("DELETE /live/a HTTP/1.1").status),
        (404, 404)
    );
    assert_eq!(put(&server, "PUT /live/c HTTP/1.1", b"new").status, 201);
    // So it is with the next process, which finds more of them than it may have open.
    drop(server);
    let server = serve(&root, &flags);
    assert_eq!(server.metric("reelmap_streams"), 2.0);
    for name in ["e", "f", "g"] {
        assert_eq!(part(&server, name, "4-9/10", b"456789").status, 201, "{name}");
    }
    assert_eq!(names(&root.path().join("live")), ["b", "c", "d", "e", "f", "g"]);
    assert_nothing_is_open(&server);
}

#[test]
fn an_encoder_that_falls_silent_is_cut_off_and_its_stream_finished() {
    let root = root();
    let server = serve(&root, &["--ingest-idle", "1"]);
    let mut client = server.connect();
    // All at once: the silence begins behind it.
    let head = "PUT /live/cam.ts HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}4\r\nfilm\r\n"));
    assert_eq!(client.response("PUT").status, 408);
    assert!(client.is_closed());
    assert_eq!(server.get("/live/cam.ts").text(), "film");
    assert_nothing_is_open(&server);
}

#[test]
fn an_encoder_that_is_cut_off_leaves_its_stream() {
    let root = root();
    let server = serve(&root, &[]);
    for (name, reset) in [("left", false), ("reset", true)] {
        let mut client = begin(&server, &format!("/live/{name}"));
        chunk(&mut client, b"film");
        until("it has arrived", || {
            let path = root.path().join(format!("live/.{name}.reelmap"));
            fs::metadata(path).is_ok_and(|file| file.size() == 4)
        });
        if reset {
            let socket = socket2::SockRef::from(&client.stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        } else {
            client.stream.shutdown(Shutdown::Both).unwrap();
        }
        drop(client);
        until("it has ended", || server.metric("reelmap_streams") == 0.0);
        assert_eq!(server.get(&format!("/live/{name}")).text(), "film");
    }
    assert_nothing_is_open(&server);
}

#[test]
fn of_what_brought_nothing_nothing_is_kept() {
    let root = root();
    // One that falls silent, one that leaves.
    for (idle, silent) in [("1", true), ("3600", false)] {
        let server = serve(&root, &["--ingest-max-streams", "1", "--ingest-idle", idle]);
        for head in [
            "Transfer-Encoding: chunked",
            "Content-Length: 4",
            "Content-Length: 4\nContent-Range: bytes 2-5/10",
        ] {
            let mut client = server.connect();
            client.request(&format!("PUT /live/film HTTP/1.1\n{head}"));
            if silent {
                assert_eq!(client.response("PUT").status, 408);
            } else {
                until("it is open", || server.metric("reelmap_streams") == 1.0);
            }
            drop(client);
            until("it is gone", || server.metric("reelmap_streams") == 0.0);
            assert_eq!(names(&root.path().join("live")), [""; 0], "{head}");
        }
    }
    let server = serve(&root, &["--ingest-max-streams", "1"]);
    let mut client = begin(&server, "/live/film");
    client.send("what?\r\n");
    assert_eq!(client.response("PUT").status, 400);
    drop(client);
    assert_nothing_is_open(&server);
    assert_eq!(put(&server, "PUT /live/film HTTP/1.1", b"film").status, 201);
}

#[test]
fn what_is_given_up_is_let_go_of_at_once() {
    let root = root();
    let server = serve(&root, &["--ingest-idle", "3600"]);
    let part = "PUT /live/film HTTP/1.1\nContent-Range: bytes 0-3/10";
    assert_eq!(put(&server, part, b"film").status, 202);
    assert_eq!(server.ask("DELETE /live/film HTTP/1.1").status, 204);
    until("it is unmapped", || server.metric("reelmap_mapped_bytes") == 0.0);
}

#[test]
fn a_body_in_another_coding_is_not_taken() {
    let root = root();
    let server = serve(&root, &[]);
    let mut client = server.connect();
    client.request("PUT /live/film HTTP/1.1\nTransfer-Encoding: gzip, chunked");
    assert_eq!(client.response("PUT").status, 501);
    assert!(client.is_closed());
    assert_eq!(names(&root.path().join("live")), [""; 0]);
    let mut client = server.connect();
    client.request("PUT /live/film HTTP/1.1\nTransfer-Encoding:  Chunked ");
    client.send("4\r\nfilm\r\n0\r\n\r\n");
    assert_eq!(client.response("PUT").status, 201);
}

#[test]
fn an_upload_cut_short_takes_nothing_away() {
    let root = root();
    let server = serve(&root, &[]);
    put(&server, "PUT /live/film HTTP/1.1", b"the old one");
    let mut client = server.connect();
    client.request("PUT /live/film HTTP/1.1\nContent-Length: 10");
    client.send("new");
    until("it has arrived", || {
        let path = root.path().join("live/.film.reelmap");
        fs::metadata(path).is_ok_and(|file| file.size() == 3)
    });
    drop(client);
    until("the server knows", || server.metric("reelmap_connections") == 1.0);
    assert_eq!(server.get("/live/film").text(), "the old one");
    // It can be gone on with, or begun anew.
    let rest = "PUT /live/film HTTP/1.1\nContent-Range: bytes 3-9/10";
    assert_eq!(put(&server, rest, b"er film").status, 204);
    assert_eq!(server.get("/live/film").text(), "newer film");
    assert_nothing_is_open(&server);
}

/// A file system in memory of so many KiB; unmounted when it is dropped.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(at: std::path::PathBuf, kib: usize) -> Small {
        let size = std::ffi::CString::new(format!("size={kib}k")).unwrap();
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("reelmap-test", &at, "tmpfs", flags, size.as_c_str()).unwrap();
        Small(at)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
#[ignore = "needs root, to mount a small file system"]
fn a_full_disk_is_said_and_what_came_is_kept() {
    let root = root();
    let _small = Small::mount(root.path().join("live"), 4096);
    let server = serve(&root, &[]);
    let film = noise(7, 8 << 20);
    let mut client = begin(&server, "/live/cam.ts");
    chunk(&mut client, &film[..1000]);
    until("it is there", || {
        server.ask("HEAD /live/cam.ts HTTP/1.1").header("upload-offset") == "1000"
    });
    let reader = Reader::ask(&server, "GET /live/cam.ts HTTP/1.1");
    // The server answers in the middle of it.
    let _ = client.stream.write_all(format!("{:x}\r\n", film.len() - 1000).as_bytes());
    let _ = client.stream.write_all(&film[1000..]);
    assert_eq!(client.response("PUT").status, 507);
    let (seen, whole) = reader.rest();
    let stored = fs::read(root.path().join("live/cam.ts")).unwrap();
    assert!(!whole && film.starts_with(&seen) && film.starts_with(&stored));
    assert!(seen.len() == stored.len() && stored.len() > 3 << 20, "{}", stored.len());
    assert_eq!(names(&root.path().join("live")), ["cam.ts"]);
    drop(client);
    assert_eq!(server.ask("DELETE /live/cam.ts HTTP/1.1").status, 204);
    // Its writer and its reader may still be letting go of it.
    until("its room is free", || {
        put(&server, "PUT /live/cam.ts HTTP/1.1", &film[..1000]).status == 201
    });
    assert_nothing_is_open(&server);
}

#[test]
#[ignore = "needs root, to mount a small file system"]
fn what_is_deleted_or_replaced_leaves_its_room_to_the_next() {
    let root = root();
    let _small = Small::mount(root.path().join("live"), 48 << 10);
    let server = serve(&root, &[]);
    let film = noise(8, 30 << 20);
    let put = |head: &str, film: &[u8]| put(&server, head, film).status;
    for round in 0..5 {
        assert_eq!(put("PUT /live/film HTTP/1.1", &film), 201, "round {round}");
        assert_eq!(server.get("/live/film").body, film);
        assert_eq!(server.ask("DELETE /live/film HTTP/1.1").status, 204);
        assert_eq!(put("PUT /live/film HTTP/1.1", &film), 201, "round {round}");
        assert_eq!(server.get("/live/film").body, film);
        assert_eq!(put("PUT /live/film HTTP/1.1", b"short"), 204);
        // One that waits to be gone on with.
        let part = "PUT /live/part HTTP/1.1\nContent-Range: bytes 1-31457280/*";
        assert_eq!(put(part, &film), 202, "round {round}");
        assert_eq!(put("PUT /live/part HTTP/1.1", &film), 201, "round {round}");
        for path in ["/live/film", "/live/part"] {
            assert_eq!(server.ask(&format!("DELETE {path} HTTP/1.1")).status, 204);
        }
    }
}
