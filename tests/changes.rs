//! Files that change while clients read them: nobody takes a damaged file for a whole one, nobody
//! else is disturbed.

mod support;

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};
use support::{Client, Response, Server, noise};

const LENGTH: usize = 24 * 1024 * 1024;
const CLIENTS: usize = 20;

struct Stage {
    folder: tempfile::TempDir,
    server: Server,
    old: Vec<u8>,
    other: Vec<u8>,
}

impl Stage {
    fn new() -> Stage {
        Stage::of(LENGTH)
    }

    fn of(length: usize) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let (old, other) = (noise(1, length), noise(2, length));
        fs::write(folder.path().join("film.mp4"), &old).unwrap();
        fs::write(folder.path().join("other.mp4"), &other).unwrap();
        let server = Server::start(folder.path(), &[]);
        Stage { folder, server, old, other }
    }

    fn film(&self) -> PathBuf {
        self.folder.path().join("film.mp4")
    }

    /// Has many clients read the first of their bytes, changes the file, and lets them read on.
    /// Gives what the readers of the film got; the reader of another film got it whole.
    fn change_under_clients(&self, change: impl FnOnce()) -> Vec<Response> {
        let begin = |path: &str| {
            let mut client = self.server.connect();
            client.request(&format!("GET {path} HTTP/1.1"));
            let mut first = vec![0; 4096];
            client.stream.read_exact(&mut first).unwrap();
            (client, first)
        };
        let mut films: Vec<_> = (0..CLIENTS).map(|_| begin("/film.mp4")).collect();
        let mut other = begin("/other.mp4");
        change();
        let whole = finish(&mut other);
        let got = whole.body.len();
        assert!(whole.complete, "another film was cut after {got} bytes");
        assert!(whole.body == self.other, "another film was disturbed");
        let answers: Vec<_> = films.iter_mut().map(finish).collect();
        assert_eq!(self.server.get("/-/health").status, 200);
        answers
    }
}

fn finish((client, first): &mut (Client, Vec<u8>)) -> Response {
    client.push_back(std::mem::take(first));
    client.response("GET")
}

/// Every answer is either whole and the very bytes of `old`, or visibly cut, and what came of it is at each
/// place the byte of `old` or of `new`.
fn assert_honest(answers: &[Response], old: &[u8], new: &[u8]) {
    for answer in answers {
        let got = answer.body.len();
        assert!(!answer.complete || answer.body == old, "{got} bytes that are not the file's");
        for (at, piece) in (0..).step_by(4096).zip(answer.body.chunks(4096)) {
            let [old, new] = [old, new].map(|film| &film[at.min(film.len())..]);
            let of_either = |(at, byte)| old.get(at) == Some(byte) || new.get(at) == Some(byte);
            let honest = old.starts_with(piece) || piece.iter().enumerate().all(of_either);
            assert!(honest, "after {at} of {got} bytes something of no film came");
        }
    }
}

#[test]
fn a_truncated_file_is_cut_and_no_zero_is_sent() {
    let stage = Stage::new();
    // Inside a page: the kernel fills the rest of it with zeros.
    let left = LENGTH / 2 + 1234;
    let answers = stage.change_under_clients(|| {
        OpenOptions::new().write(true).open(stage.film()).unwrap().set_len(left as u64).unwrap();
    });
    for answer in &answers {
        assert!(!answer.complete, "a client took a truncated file for whole");
        assert!(answer.body.len() <= left, "{} bytes of {left} came", answer.body.len());
    }
    assert_honest(&answers, &stage.old, &stage.old);
    assert!(stage.server.metric("reelmap_responses_cut_total{why=\"shrank\"}") >= 1.0);
}

#[test]
fn a_file_rewritten_in_place_is_cut() {
    let stage = Stage::new();
    let answers = stage.change_under_clients(|| {
        let mut film = OpenOptions::new().write(true).open(stage.film()).unwrap();
        film.write_all(&noise(3, LENGTH)).unwrap();
    });
    assert!(answers.iter().all(|answer| !answer.complete), "mixed bytes passed for a whole file");
    assert_honest(&answers, &stage.old, &noise(3, LENGTH));
    assert!(stage.server.metric("reelmap_responses_cut_total{why=\"rewritten\"}") >= 1.0);
    let now = stage.server.get("/film.mp4");
    assert!(now.complete && now.body == noise(3, LENGTH), "the new file is not served");
}

#[test]
fn a_rewritten_film_that_the_socket_could_hold_is_not_taken_for_whole() {
    const KIB: usize = 1024;
    for length in [20_000, 64 * KIB, 512 * KIB, 512 * KIB + 5000, 2100 * KIB, 1 << 21] {
        let stage = Stage::of(length);
        let answers = stage.change_under_clients(|| {
            let mut film = OpenOptions::new().write(true).open(stage.film()).unwrap();
            film.write_all(&noise(3, length)).unwrap();
        });
        assert_honest(&answers, &stage.old, &noise(3, length));
    }
}

/// A file's time is set when a write call begins: who opens it in between sees one state and bytes of two.
#[test]
fn a_film_in_the_middle_of_one_long_write_is_never_mixed() {
    let stage = Stage::of(16 << 20);
    // What is whole before the first of these writes is of one byte, too.
    fs::write(stage.film(), vec![0; 16 << 20]).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let film = OpenOptions::new().write(true).open(stage.film()).unwrap();
            for content in (1..=u8::MAX).cycle().take_while(|_| !done.load(Relaxed)) {
                film.write_all_at(&vec![content; 16 << 20], 0).unwrap();
            }
        });
        let ask = |range: &str| {
            let mut client = stage.server.connect();
            client.request(&format!("GET /film.mp4 HTTP/1.1\nRange: {range}"));
            client.try_response("GET")
        };
        let ranges = ["bytes=0-4095", "bytes=8388600-8454135", "bytes=1000-1049575", "bytes=0-"];
        let ask_often = |range| scope.spawn(move || [(); 6].map(|()| ask(range)));
        let clients: Vec<_> = [ranges, ranges].concat().into_iter().map(ask_often).collect();
        let answers: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        done.store(true, Relaxed);
        for answer in answers.into_iter().flat_map(Result::unwrap).flatten() {
            let mixed = answer.body.windows(2).any(|pair| pair[0] != pair[1]);
            assert!(!(answer.complete && mixed), "{} bytes of two films", answer.body.len());
        }
    });
}

#[test]
fn a_longer_film_copied_over_the_old_one_is_cut() {
    let stage = Stage::new();
    let longer = noise(3, LENGTH + 5000);
    let answers = stage.change_under_clients(|| fs::write(stage.film(), &longer).unwrap());
    assert!(answers.iter().all(|answer| !answer.complete), "mixed bytes passed for a whole file");
    assert_honest(&answers, &stage.old, &longer);
    let now = stage.server.get("/film.mp4");
    assert!(now.complete && now.body == longer, "the new film is not served");
}

#[test]
fn a_film_cut_short_and_made_longer_again_is_cut() {
    let stage = Stage::new();
    let answers = stage.change_under_clients(|| {
        let film = OpenOptions::new().write(true).open(stage.film()).unwrap();
        film.set_len(LENGTH as u64 / 2).unwrap();
        film.set_len(LENGTH as u64 + 8).unwrap();
    });
    assert!(answers.iter().all(|answer| !answer.complete), "zeros passed for a whole file");
}

#[test]
fn one_byte_rewritten_near_the_end_is_enough() {
    let stage = Stage::new();
    let answers = stage.change_under_clients(|| {
        let mut film = OpenOptions::new().write(true).open(stage.film()).unwrap();
        film.seek(SeekFrom::End(-1)).unwrap();
        film.write_all(b"!").unwrap();
    });
    assert!(answers.iter().all(|answer| !answer.complete));
    let new = [&stage.old[..LENGTH - 1], b"!"].concat();
    assert_honest(&answers, &stage.old, &new);
}

#[test]
fn a_file_replaced_by_rename_goes_on_as_it_was() {
    let stage = Stage::new();
    let new = noise(4, LENGTH / 2);
    let answers = stage.change_under_clients(|| {
        let beside = stage.folder.path().join("new");
        fs::write(&beside, &new).unwrap();
        fs::rename(&beside, stage.film()).unwrap();
    });
    assert!(answers.iter().all(|answer| answer.complete), "a reader of the old file was cut");
    assert_honest(&answers, &stage.old, &stage.old);
    let now = stage.server.get("/film.mp4");
    assert!(now.complete && now.body == new, "the new file is not served");
}

#[test]
fn a_deleted_file_goes_on_for_those_who_read_it() {
    let stage = Stage::new();
    let answers = stage.change_under_clients(|| fs::remove_file(stage.film()).unwrap());
    assert!(answers.iter().all(|answer| answer.complete), "a reader of the old file was cut");
    assert_honest(&answers, &stage.old, &stage.old);
    assert_eq!(stage.server.get("/film.mp4").status, 404);
}

#[test]
fn a_file_that_grows_is_not_cut() {
    let stage = Stage::new();
    let mut recorder = OpenOptions::new().append(true).open(stage.film()).unwrap();
    let answers = stage.change_under_clients(|| recorder.write_all(&noise(5, 1 << 20)).unwrap());
    assert!(answers.iter().all(|answer| answer.complete), "growth was taken for harm");
    assert_honest(&answers, &stage.old, &stage.old);
    assert_eq!(stage.server.get("/film.mp4").body.len(), LENGTH + (1 << 20));
}

#[test]
fn a_file_that_grows_all_the_while_is_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let old = noise(1, 8 * 1024 * 1024);
    let path = folder.path().join("film.ts");
    fs::write(&path, &old).unwrap();
    let server = Server::start(folder.path(), &[]);
    let mut recorder = File::options().append(true).open(&path).unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let recording = std::thread::spawn(move || {
        let packet = noise(6, 64 * 1024);
        let mut written = 0;
        while stopped.try_recv().is_err() && written < 2000 {
            recorder.write_all(&packet).unwrap();
            written += 1;
        }
    });
    for _ in 0..50 {
        let answer = server.ask("GET /film.ts HTTP/1.1\nRange: bytes=0-8388607");
        assert_eq!(answer.status, 206);
        assert!(answer.complete, "growth was taken for harm");
        assert!(answer.body == old);
    }
    drop(stop);
    recording.join().unwrap();
}
