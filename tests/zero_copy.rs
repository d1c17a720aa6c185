//! A body is never copied: counted at the allocator, and in the server's own figures.

#[path = "support/allocator.rs"]
mod allocator;
mod support;

use allocator::ASKED;
use rustix::net::{RecvFlags, recv};
use std::{fs, sync::atomic::Ordering::SeqCst};
use support::{Server, command::until, noise};

const LENGTH: usize = 256 * 1024 * 1024;

/// What was asked of the allocator while a body of `LENGTH` bytes crossed a socket, and the bytes
/// that the server counts as sent, by way.
fn transfer(flags: &[&str]) -> (usize, [f64; 3]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("film.mp4"), noise(1, LENGTH)).unwrap();
    let server = Server::start(folder.path(), flags);
    assert_eq!(server.ask("HEAD /film.mp4 HTTP/1.1").status, 200);
    let way = |way| server.metric(&format!("reelmap_sent_bytes_total{{way=\"{way}\"}}"));
    let composed = way("composed");
    let mut client = server.connect();
    let mut sink = vec![0; 1 << 20];
    let before = ASKED.load(SeqCst);
    client.request("GET /film.mp4 HTTP/1.1\nRange: bytes=0-");
    let (status, headers) = client.head().unwrap();
    assert_eq!((status, headers["content-length"].as_str()), (206, "268435456"));
    let mut left = LENGTH - client.ahead();
    while left > 0 {
        let (_, read) = recv(&client.stream, &mut sink[..], RecvFlags::TRUNC).unwrap();
        assert!(read > 0, "cut {left} bytes before the end");
        left -= read;
    }
    let asked = ASKED.load(SeqCst) - before;
    // The last byte may be here before the server has counted it.
    until("all is counted", || way("sendfile") + way("writev") >= LENGTH as f64);
    // The pages with the figures are composed.
    (asked, [way("sendfile"), way("writev"), way("composed") - composed])
}

#[test]
fn a_body_of_256_mib_takes_no_memory() {
    for (flags, ways) in [(&[][..], [1.0, 0.0]), (&["--no-sendfile"], [0.0, 1.0])] {
        let (asked, sent) = transfer(flags);
        println!("{flags:?}: {asked} bytes allocated, sent {sent:?}");
        assert!(asked < 64 * 1024, "{asked} bytes were allocated for one body with {flags:?}");
        assert_eq!(sent[0] + sent[1], LENGTH as f64, "bytes that left from the mapping");
        for (way, share) in sent.iter().zip(ways) {
            assert!((way / LENGTH as f64 - share).abs() < 0.01, "{sent:?} with {flags:?}");
        }
        assert!(sent[2] < LENGTH as f64 / 100.0, "composed: {}", sent[2]);
    }
}
