//! Files that clients send: who may, where, what they are told, and what is left where it goes wrong.

mod support;

use std::{
    fs,
    io::Write,
    net::Shutdown,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    time::Duration,
};
use support::{Client, Response, Server, command::until, live::Reader, noise};

/// A root with a folder to write into, and one that is not.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("live")).unwrap();
    fs::create_dir(root.path().join("films")).unwrap();
    fs::write(root.path().join("films/film.mp4"), "film").unwrap();
    root
}

fn serve(root: &tempfile::TempDir, flags: &[&str]) -> Server {
    Server::start(root.path(), &[&["--ingest", "live"], flags].concat())
}

/// Sends `body` with its length; `head` is the request's line and further fields.
fn put(server: &Server, head: &str, body: &[u8]) -> Response {
    let mut client = server.connect();
    client.request(&format!("{head}\nContent-Length: {}", body.len()));
    // A server that refuses need not read it.
    let _ = client.stream.write_all(body);
    client.response("PUT")
}

/// Begins a chunked upload.
fn begin(server: &Server, path: &str) -> Client {
    let mut client = server.connect();
    client.request(&format!("PUT {path} HTTP/1.1\nTransfer-Encoding: chunked"));
    client
}

fn chunk(client: &mut Client, bytes: &[u8]) {
    client.send(format!("{:x}\r\n", bytes.len()));
    client.send(bytes);
    client.send("\r\n");
}

/// The names that are in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Waits until the server holds nothing of any upload.
#[track_caller]
fn assert_nothing_is_open(server: &Server) {
    until("streams are closed", || server.metric("reelmap_streams") == 0.0);
    // The one that asks is open, and answers itself.
    until("connections are closed", || server.metric("reelmap_connections") == 1.0);
    until("answers have left", || server.metric("reelmap_responses_in_flight") == 1.0);
}

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
fn nothing_is_written_unless_it_is_switched_on_and_only_there() {
    let root = root();
    let off = Server::start(root.path(), &[]);
    let on = serve(&root, &[]);
    for (server, path) in [(&off, "/live/x"), (&on, "/x"), (&on, "/films/x"), (&on, "/live/x/")] {
        for method in ["PUT", "POST", "DELETE"] {
            let answer = put(server, &format!("{method} {path} HTTP/1.1"), b"film");
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
        }
    }
    assert_eq!(names(&root.path().join("live")), [""; 0]);
    assert_eq!(names(root.path()), ["films", "live"]);
}

#[test]
fn the_methods_of_a_place_are_those_that_are_taken_there() {
    const READ: &str = "GET, HEAD, OPTIONS";
    const WRITE: &str = "GET, HEAD, OPTIONS, PUT, POST, DELETE";
    let root = root();
    let token = root.path().join("token");
    fs::write(&token, "secret").unwrap();
    let off = Server::start(root.path(), &[]);
    let on = serve(&root, &[]);
    let with_token = serve(&root, &["--ingest-token-file", token.to_str().unwrap()]);
    // Without a token pages of other origins may not write, so they are not told that they may.
    for (server, path, methods, of_others) in [
        (&off, "/live/film", READ, READ),
        (&on, "/films/film.mp4", READ, READ),
        (&on, "/live/", READ, READ),
        (&on, "/live", READ, READ),
        (&on, "/live/.hidden", READ, READ),
        (&on, "/-/health", READ, READ),
        (&on, "/live/a/film", WRITE, READ),
        (&with_token, "/films/film.mp4", READ, READ),
        (&with_token, "/live/film", WRITE, WRITE),
    ] {
        let refused = server.ask(&format!("PATCH {path} HTTP/1.1"));
        assert_eq!((refused.status, refused.header("allow")), (405, methods), "{path}");
        let preflight = "Origin: https://player.example\nAccess-Control-Request-Method: PUT";
        let answer = server.ask(&format!("OPTIONS {path} HTTP/1.1\n{preflight}"));
        assert_eq!((answer.status, answer.header("allow")), (204, methods), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), of_others, "{path}");
        let headers = answer.header("access-control-allow-headers");
        for header in ["Authorization", "Content-Range", "Content-Type"] {
            assert_eq!(headers.contains(header), of_others == WRITE, "{path}: {headers}");
        }
        assert!(headers.contains("If-Range"));
        let exposed = answer.header("access-control-expose-headers");
        assert!(exposed.contains("Upload-Offset") && exposed.contains("Location"), "{exposed}");
    }
}

#[test]
fn preconditions_are_of_what_is_there() {
    let root = root();
    let server = serve(&root, &[]);
    let put = |condition: &str, body: &[u8]| {
        put(&server, &format!("PUT /live/film HTTP/1.1\n{condition}"), body)
    };
    let first = put("If-None-Match: *", b"one");
    assert_eq!(first.status, 201);
    assert_eq!(put("If-None-Match: *", b"two").status, 412);
    assert_eq!(put("If-Match: \"other\"", b"two").status, 412);
    let second = put(&format!("If-Match: {}", first.header("etag")), b"two");
    assert_eq!(second.status, 204);
    let delete = |condition: &str| {
        server.ask(&format!("DELETE /live/film HTTP/1.1\nIf-Match: {condition}")).status
    };
    assert_eq!(delete(first.header("etag")), 412);
    assert_eq!(server.get("/live/film").text(), "two");
    assert_eq!([delete(second.header("etag")), delete("*")], [204, 412]);
    // The same while it is still coming.
    let begin = put("Content-Range: bytes 0-1/4", b"fi");
    assert_eq!(begin.status, 202);
    assert_eq!(put("If-Match: \"other\"\nContent-Range: bytes 2-3/4", b"lm").status, 412);
    let end = format!("If-Match: {}\nContent-Range: bytes 2-3/4", begin.header("etag"));
    assert_eq!(put(&end, b"lm").status, 201);
    assert_nothing_is_open(&server);
}

#[test]
fn a_stream_and_a_folder_never_share_a_name() {
    let root = root();
    let server = serve(&root, &[]);
    let file = begin(&server, "/live/name");
    let below = begin(&server, "/live/folder/film");
    until("both are open", || server.metric("reelmap_streams") == 2.0);
    assert_eq!(put(&server, "PUT /live/name/film HTTP/1.1", b"film").status, 409);
    assert_eq!(put(&server, "PUT /live/name/a/film HTTP/1.1", b"film").status, 409);
    assert_eq!(put(&server, "PUT /live/folder HTTP/1.1", b"film").status, 409);
    // Made by somebody else meanwhile.
    let third = begin(&server, "/live/third");
    until("it is open", || server.metric("reelmap_streams") == 3.0);
    fs::create_dir(root.path().join("live/third")).unwrap();
    for (mut client, status) in [(file, 201), (below, 201), (third, 409)] {
        client.send("0\r\n\r\n");
        assert_eq!(client.response("PUT").status, status);
    }
    fs::remove_dir(root.path().join("live/third")).unwrap();
    assert_eq!(put(&server, "PUT /live/third HTTP/1.1", b"film").status, 201);
    assert_nothing_is_open(&server);
}

#[test]
fn a_way_that_is_too_long_is_refused_before_a_folder_is_made() {
    let root = root();
    let server = serve(&root, &[]);
    for way in ["a/".repeat(2000), format!("{}/", "n".repeat(300)), "n".repeat(240)] {
        let answer = put(&server, &format!("PUT /live/{way}film HTTP/1.1"), b"film");
        assert_eq!(answer.status, 400, "{way}");
    }
    assert_eq!(names(&root.path().join("live")), [""; 0]);
    assert_nothing_is_open(&server);
}

#[test]
fn two_ways_to_one_folder_are_one_stream() {
    let root = root();
    fs::create_dir(root.path().join("live/a")).unwrap();
    symlink("a", root.path().join("live/b")).unwrap();
    let server = serve(&root, &[]);
    let mut first = begin(&server, "/live/a/film");
    chunk(&mut first, b"film");
    until("it is open", || server.metric("reelmap_streams") == 1.0);
    assert_eq!(put(&server, "PUT /live/b/film HTTP/1.1", b"other").status, 409);
    first.send("0\r\n\r\n");
    assert_eq!(first.response("PUT").status, 201);
    drop(first);
    assert_eq!(server.get("/live/b/film").text(), "film");
    assert_eq!(put(&server, "PUT /live/b/film HTTP/1.1", b"other").status, 204);
    assert_nothing_is_open(&server);
}

#[test]
fn no_path_leaves_the_folder() {
    let root = root();
    let live = root.path().join("live");
    symlink("../films", live.join("out")).unwrap();
    symlink("/tmp", live.join("far")).unwrap();
    symlink("../films/film.mp4", live.join("film")).unwrap();
    fs::write(live.join("file"), "").unwrap();
    let server = serve(&root, &[]);
    for (path, status) in [
        ("/live/../films/x", 403),
        ("/live/%2e%2e/films/x", 403),
        ("/live/.hidden", 403),
        ("/live/a/.b/c", 403),
        ("/live/a%2fb", 403),
        ("/live/a%00b", 400),
        ("/live/out/x", 403),
        ("/live/far/x", 403),
        ("/live/out", 409),
        ("/live/file/x", 409),
        (&format!("/live/{}", "n".repeat(250)), 400),
    ] {
        // A link is replaced like any file; what it points to is not touched.
        let status = if path == "/live/out" { 204 } else { status };
        let answer = put(&server, &format!("PUT {path} HTTP/1.1"), b"film!");
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    assert_eq!(put(&server, "PUT /live/film HTTP/1.1", b"new").status, 204);
    assert_eq!(fs::read(root.path().join("films/film.mp4")).unwrap(), b"film");
    assert_eq!(names(&root.path().join("films")), ["film.mp4"]);
    assert_nothing_is_open(&server);
}

#[test]
fn a_folder_is_not_written_over() {
    let root = root();
    fs::create_dir(root.path().join("live/folder")).unwrap();
    let server = serve(&root, &[]);
    assert_eq!(put(&server, "PUT /live/folder HTTP/1.1", b"film").status, 409);
    assert_eq!(server.ask("DELETE /live/folder HTTP/1.1").status, 409);
    assert_nothing_is_open(&server);
}

#[test]
fn a_token_is_asked_for_and_compared() {
    let root = root();
    let token = root.path().join("token");
    fs::write(&token, "se-cret_1\n").unwrap();
    let server = serve(&root, &["--ingest-token-file", token.to_str().unwrap()]);
    for wrong in [
        "",
        "\nAuthorization: Bearer",
        "\nAuthorization: Bearer se-cret_2",
        "\nAuthorization: Bearer se-cret_",
        "\nAuthorization: Basic se-cret_1",
        "\nAuthorization: Bearer se-cret_1\nAuthorization: Bearer se-cret_1",
    ] {
        let answer = put(&server, &format!("PUT /live/film HTTP/1.1{wrong}"), b"film");
        assert_eq!(answer.status, 401, "{wrong:?}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        assert_eq!(server.ask(&format!("DELETE /live/film HTTP/1.1{wrong}")).status, 401);
    }
    let right = "Authorization: bearer se-cret_1";
    let answer = put(&server, &format!("PUT /live/film HTTP/1.1\n{right}"), b"film");
    assert_eq!(answer.status, 201);
    assert_eq!(server.get("/live/film").text(), "film");
    assert_eq!(server.ask(&format!("DELETE /live/film HTTP/1.1\n{right}")).status, 204);
}

#[test]
fn a_page_of_another_site_can_not_write() {
    let root = root();
    let server = serve(&root, &[]);
    let post = |origin: &str| {
        put(&server, &format!("POST /live/film HTTP/1.1\nOrigin: {origin}"), b"film").status
    };
    assert_eq!([post("http://evil.example"), post("null"), post("http://test")], [403, 403, 201]);
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
fn what_is_deleted_is_gone() {
    let root = root();
    let server = serve(&root, &[]);
    put(&server, "PUT /live/a/film HTTP/1.1", b"film");
    assert_eq!(server.get("/live/a/film").status, 200);
    assert_eq!(server.ask("DELETE /live/a/film HTTP/1.1").status, 204);
    assert_eq!(server.get("/live/a/film").status, 404);
    assert_eq!(server.ask("DELETE /live/a/film HTTP/1.1").status, 404);
    assert_eq!(server.ask("DELETE /live/none/film HTTP/1.1").status, 404);
}

#[test]
fn more_than_the_limit_is_refused_and_what_came_is_kept() {
    let root = root();
    let server = serve(&root, &["--ingest-max-bytes", "1000"]);
    assert_eq!(put(&server, "PUT /live/a HTTP/1.1", &noise(5, 1001)).status, 413);
    let film = noise(6, 1500);
    let mut client = begin(&server, "/live/b");
    chunk(&mut client, &film);
    assert_eq!(client.response("PUT").status, 413);
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
    assert_eq!(put(&server, "PUT /live/b HTTP/1.1", b"film").status, 503);
    first.send("0\r\n\r\n");
    assert_eq!(first.response("PUT").status, 201);
    assert_eq!(put(&server, "PUT /live/b HTTP/1.1", b"film").status, 201);
}

#[test]
fn an_encoder_that_falls_silent_is_cut_off_and_its_stream_finished() {
    let root = root();
    let server = serve(&root, &["--ingest-idle", "1"]);
    let mut client = begin(&server, "/live/cam.ts");
    chunk(&mut client, b"film");
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
        until("it has its name", || root.path().join("live").join(name).exists());
        assert_eq!(server.get(&format!("/live/{name}")).text(), "film");
    }
    assert_nothing_is_open(&server);
}

#[test]
fn of_what_brought_nothing_nothing_is_kept() {
    let root = root();
    let server = serve(&root, &["--ingest-max-streams", "1", "--ingest-idle", "1"]);
    for head in [
        "Transfer-Encoding: chunked",
        "Content-Length: 4",
        "Content-Length: 4\nContent-Range: bytes 2-5/10",
    ] {
        for silent in [false, true] {
            let mut client = server.connect();
            client.request(&format!("PUT /live/film HTTP/1.1\n{head}"));
            until("it is open", || server.metric("reelmap_streams") == 1.0);
            if silent {
                assert_eq!(client.response("PUT").status, 408);
            }
            drop(client);
            until("it is gone", || server.metric("reelmap_streams") == 0.0);
            assert_eq!(names(&root.path().join("live")), [""; 0], "{head}");
        }
    }
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
    assert_eq!(put(&server, "PUT /live/cam.ts HTTP/1.1", &film[..1000]).status, 201);
    assert_nothing_is_open(&server);
}
