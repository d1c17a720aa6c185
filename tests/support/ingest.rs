//! What tests of uploads share: a folder to write into, and who writes.
#![allow(dead_code)] // Each test uses a part.

use super::{Client, Response, Server, command::until};
use std::{fs, io::Write, path::Path};

/// A root with a folder to write into, and one that is not.
pub fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("live")).unwrap();
    fs::create_dir(root.path().join("films")).unwrap();
    fs::write(root.path().join("films/film.mp4"), "film").unwrap();
    root
}

pub fn serve(root: &tempfile::TempDir, flags: &[&str]) -> Server {
    Server::start(root.path(), &[&["--ingest", "live"], flags].concat())
}

/// Sends `body` with its length; `head` is the request's line and further fields.
pub fn put(server: &Server, head: &str, body: &[u8]) -> Response {
    let mut client = server.connect();
    client.request(&format!("{head}\nContent-Length: {}", body.len()));
    // A server that refuses need not read it.
    let _ = client.stream.write_all(body);
    client.response("PUT")
}

/// Begins a chunked upload.
pub fn begin(server: &Server, path: &str) -> Client {
    let mut client = server.connect();
    client.request(&format!("PUT {path} HTTP/1.1\nTransfer-Encoding: chunked"));
    client
}

pub fn chunk(client: &mut Client, bytes: &[u8]) {
    client.send(format!("{:x}\r\n", bytes.len()));
    client.send(bytes);
    client.send("\r\n");
}

/// The names that are in a folder, hidden ones too.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Waits until the server holds nothing of any upload.
#[track_caller]
pub fn assert_nothing_is_open(server: &Server) {
    until("streams are closed", || server.metric("reelmap_streams") == 0.0);
    // Whole files are mapped as long as they are, streams with room for a GiB.
    until("streams are unmapped", || server.metric("reelmap_mapped_bytes") < (1_u64 << 30) as f64);
    // The one that asks is open, and answers itself.
    until("connections are closed", || server.metric("reelmap_connections") == 1.0);
    until("answers have left", || server.metric("reelmap_responses_in_flight") == 1.0);
}
