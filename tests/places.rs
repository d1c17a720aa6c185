//! Who may write, and where: names, ways that lead elsewhere, what is in the way, tokens and preconditions.

mod support;

use std::{fs, os::unix::fs::symlink, thread};
use support::{
    Server,
    command::until,
    ingest::{assert_nothing_is_open, begin, chunk, names, put, root, serve},
};

#[test]
fn nothing_is_written_unless_it_is_switched_on_and_only_there() {
    let root = root();
    let off = Server::start(root.path(), &[]);
    let on = serve(&root, &[]);
    const ELSEWHERE: &str = "writing is on in other folders only";
    for (server, path, words) in [
        (&off, "/live/x", "writing is off, --ingest DIR switches it on"),
        (&on, "/x", ELSEWHERE),
        (&on, "/films/x", ELSEWHERE),
        (&on, "/live/x/", "name a file in it"),
    ] {
        for method in ["PUT", "POST", "DELETE"] {
            let answer = put(server, &format!("{method} {path} HTTP/1.1"), b"film");
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
            assert!(answer.text().contains(words), "{method} {path}: {}", answer.text());
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

/// The condition is weighed when the name is taken: nobody else writes it in between.
#[test]
fn of_many_who_would_be_the_first_one_is() {
    let root = root();
    let server = serve(&root, &[]);
    for round in 0..200 {
        let head = format!("PUT /live/{round} HTTP/1.1\nIf-None-Match: *");
        let statuses = thread::scope(|scope| {
            let writers = [(); 24].map(|()| scope.spawn(|| put(&server, &head, b"film").status));
            writers.map(|writer| writer.join().unwrap())
        });
        let first = statuses.iter().filter(|status| **status == 201).count();
        let refused = statuses.iter().filter(|status| matches!(status, 409 | 412)).count();
        assert_eq!((first, refused), (1, 23), "{statuses:?}");
    }
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
    // Each of these alone is short, but there are more than are made for one upload.
    let way = "a/".repeat(65);
    assert_eq!(put(&server, &format!("PUT /live/{way}film HTTP/1.1"), b"film").status, 400);
    assert_eq!(server.connect().ask(&format!("DELETE /live/{way}film HTTP/1.1")).status, 404);
    assert_eq!(names(&root.path().join("live")), [""; 0]);
    let way = "a/".repeat(64);
    assert_eq!(put(&server, &format!("PUT /live/{way}film HTTP/1.1"), b"film").status, 201);
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
    assert_eq!(names(&root.path().join("live")), [""; 0]);
    let right = "Authorization: bearer se-cret_1";
    let answer = put(&server, &format!("PUT /live/film HTTP/1.1\n{right}"), b"film");
    assert_eq!(answer.status, 201);
    assert_eq!(server.get("/live/film").text(), "film");
    assert_eq!(server.ask(&format!("DELETE /live/film HTTP/1.1\n{right}")).status, 204);
    assert_nothing_is_open(&server);
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
