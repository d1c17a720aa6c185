//! Uploads onto a disk that answers nothing (a FUSE file system): nobody else waits for it.

#[path = "support/slow_disk.rs"]
mod slow_disk;
mod support;

use slow_disk::{Pace, Question, SlowDisk};
use std::fs;
use support::{
    Client, Response,
    command::{Program, until},
    noise,
};

const MIB: usize = 1024 * 1024;

/// More than the threads that wait for disks.
const MANY: usize = 200;

/// A server that takes uploads into `live`, and below that onto a disk that takes its time.
struct Stage {
    server: Program,
    disk: SlowDisk,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(flags: &[&str]) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("live")).unwrap();
        let disk = SlowDisk::writable(folder.path().join("live/slow"), Pace::SLOW_READS);
        let server = Program::quiet(folder.path(), &[&["--ingest", "live"], flags].concat());
        Stage { server, disk, folder }
    }

    fn begin(&self, head: &str) -> Client {
        let mut client = Client::connect(self.server.address);
        client.request(head);
        client
    }

    fn ask(&self, head: &str) -> Response {
        self.begin(head).response(head.split(' ').next().unwrap())
    }

    /// Others send, read and delete on the disk of this machine.
    fn assert_others_go_on(&self) {
        for number in 0..8 {
            let put = format!("PUT /live/{number} HTTP/1.1\nContent-Length: 0");
            assert_eq!(self.ask(&put).status, 201);
            assert_eq!(self.ask(&format!("GET /live/{number} HTTP/1.1")).status, 200);
            assert_eq!(self.ask(&format!("DELETE /live/{number} HTTP/1.1")).status, 204);
        }
        // One that was never asked for.
        let film = self.folder.path().join("film.mp4");
        let _ = fs::remove_file(&film);
        fs::write(film, noise(1, MIB)).unwrap();
        let film = self.ask("GET /film.mp4 HTTP/1.1");
        assert!(film.complete && film.body == noise(1, MIB));
    }
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn uploads_to_a_disk_that_answers_nothing_hold_up_no_others() {
    let stage = Stage::new(&["--ingest-idle", "3"]);
    let hold = stage.disk.hold(Question::Look);
    let put = |number| stage.begin(&format!("PUT /live/slow/{number} HTTP/1.1\nContent-Length: 0"));
    let waiting: Vec<_> = (0..MANY).map(put).collect();
    hold.await_waiting(1);
    stage.assert_others_go_on();
    for mut client in waiting {
        let refused = client.response("PUT");
        assert_eq!((refused.status, refused.header("retry-after")), (503, "5"));
    }
    stage.assert_others_go_on();
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_disk_that_answers_nothing_is_waited_for_at_start_as_long_as_a_writer() {
    let Stage { server, disk, folder } = Stage::new(&[]);
    let begin = |server: &Program, range: &str| {
        let mut client = Client::connect(server.address);
        let head = "PUT /live/slow/film HTTP/1.1\nContent-Length: 2\nContent-Range: bytes ";
        client.request(&format!("{head}{range}/4"));
        client.send("xx");
        client.response("PUT").status
    };
    assert_eq!(begin(&server, "0-1"), 202);
    drop(server);
    let hold = disk.hold(Question::Look);
    let server = Program::quiet(folder.path(), &["--ingest", "live", "--ingest-idle", "1"]);
    // Let go of first, should this fail: a process that waits for the disk can't be killed.
    let (stage, hold) = (Stage { server, disk, folder }, hold);
    stage.assert_others_go_on();
    drop(hold);
    until("what was left is found", || {
        stage.ask("HEAD /live/slow/film HTTP/1.1").header("upload-offset") == "2"
    });
    assert_eq!(begin(&stage.server, "2-3"), 201);
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn uploads_under_way_to_a_disk_that_takes_nothing_hold_nobody_else_up() {
    let stage = Stage::new(&[]);
    let begin = |number: usize| {
        let range = format!("{}-{}", number * 10, number * 10 + 9);
        let mut writer = stage.begin(&format!(
            "PUT /live/slow/film HTTP/1.1\nContent-Length: 10\nContent-Range: bytes {range}/*"
        ));
        writer.send("x");
        writer
    };
    let mut writers: Vec<_> = (0..MANY).map(begin).collect();
    until("a byte of each is there", || {
        let told =
            stage.ask("PUT /live/slow/film HTTP/1.1\nContent-Length: 0\nContent-Range: bytes */*");
        let told: serde_json::Value = serde_json::from_slice(&told.body).unwrap_or_default();
        told["held"].as_array().is_some_and(|held| held.len() == MANY)
    });
    let hold = stage.disk.hold(Question::Write);
    // Some leave, the others send more.
    writers.truncate(MANY / 2);
    for writer in &mut writers {
        writer.send("y");
    }
    hold.await_waiting(1);
    for _ in 0..4 {
        stage.assert_others_go_on();
    }
    drop(hold);
    for writer in &mut writers {
        writer.send("12345678");
        assert_eq!(writer.response("PUT").status, 202);
    }
}
