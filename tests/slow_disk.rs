//! A film on a disk that takes its time (a FUSE file system, 50 ms a read): whoever streams it gets
//! the right bytes or none, and nobody else waits for it.

#[path = "support/first_byte.rs"]
mod first_byte;
#[path = "support/slow_disk.rs"]
mod slow_disk;
mod support;

use first_byte::{Streams, percentile, times};
use slow_disk::{Pace, Question, SlowDisk};
use std::{fs, io::Read, sync::Arc, time::Duration};
use support::{Client, Response, command::Program, noise};

const MIB: usize = 1024 * 1024;
const STREAMS: usize = 16;
const WARM: usize = 8 * MIB;

/// A folder with a warm film on a local disk, and below `slow/` a disk that takes its time.
struct Stage {
    server: Program,
    disk: SlowDisk,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(pace: Pace, films: &[(&str, Arc<Vec<u8>>)], flags: &[&str]) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("warm.mp4"), noise(100, WARM)).unwrap();
        let disk = SlowDisk::mount(folder.path().join("slow"), pace, films);
        let server = Program::quiet(folder.path(), flags);
        Stage { server, disk, folder }
    }

    /// The same with one slow film for each of many clients.
    fn for_streams(pace: Pace, length: usize) -> Stage {
        let bytes = Arc::new(noise(1, length));
        let names: Vec<_> = (0..STREAMS).map(|number| format!("{number}.mp4")).collect();
        let films: Vec<_> = names.iter().map(|name| (name.as_str(), bytes.clone())).collect();
        Stage::new(pace, &films, &[])
    }

    fn connect(&self) -> Client {
        Client::connect(self.server.address)
    }

    fn get(&self, path: &str) -> Response {
        self.connect().ask(&format!("GET {path} HTTP/1.1"))
    }

    /// Asks for each of the slow films, and takes nothing of the answers.
    fn ask_for_all(&self) -> Vec<Client> {
        let ask = |number| {
            let mut client = self.connect();
            client.request(&format!("GET {} HTTP/1.1", slow_path(number)));
            client
        };
        (0..STREAMS).map(ask).collect()
    }

    /// All of the warm film is there for who asks, however often.
    fn assert_warm_film_is_served(&self) {
        for _ in 0..8 {
            let warm = self.get("/warm.mp4");
            assert!(warm.complete && warm.body == noise(100, WARM));
        }
    }
}

fn slow_path(number: usize) -> String {
    format!("/slow/{number}.mp4")
}

fn assert_whole(mut answers: Vec<Client>, bytes: &[u8]) {
    for client in &mut answers {
        let answer = client.response("GET");
        assert!(answer.status == 200 && answer.complete && answer.body == bytes);
    }
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_slow_film_is_served_whole_and_right() {
    let film = Arc::new(noise(1, 3 * MIB + 12_345));
    let stage = Stage::new(Pace::SLOW_READS, &[("film.mp4", film.clone())], &[]);
    let cold = stage.connect().ask("GET /slow/film.mp4 HTTP/1.1\nRange: bytes=1000000-2999999");
    assert!(cold.status == 206 && cold.complete && cold.body == film[1_000_000..3_000_000]);
    let whole = stage.get("/slow/film.mp4");
    assert!(whole.status == 200 && whole.complete && whole.body == **film);
    let last = stage.connect().ask("GET /slow/film.mp4 HTTP/1.1\nRange: bytes=-1");
    assert!(last.complete && last.body == film[film.len() - 1..]);
    assert_eq!(stage.get("/slow/none.mp4").status, 404);
}

/// The film changes on its disk while its first bytes are being read for many clients; and, on
/// other disks, when one of them has received so many bytes.
fn change_under_clients(believed: Duration, new: &[u8]) {
    const CLIENTS: usize = 8;
    let old = noise(1, 3 * MIB);
    let changes = [0, 1, MIB, 3 * MIB - 1];
    for after in changes {
        let pace = Pace { believed, read: Duration::from_millis(5), ..Pace::SLOW_READS };
        // `sendfile` would lend the film's very pages to the socket, where a truncation still wipes
        // one of them.
        let films = [("film.mp4", Arc::new(old.clone()))];
        let stage = Stage::new(pace, &films, &["--no-sendfile"]);
        let hold = stage.disk.hold(Question::Read);
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| stage.connect()).collect();
        for client in &mut clients {
            client.request("GET /slow/film.mp4 HTTP/1.1");
        }
        hold.await_waiting(1);
        if after == 0 {
            stage.disk.rewrite("film.mp4", new.to_vec());
        }
        drop(hold);
        if after > 0 {
            let mut first = vec![0; after];
            let head = clients[0].head().expect("an answer");
            assert_eq!(head.0, 200);
            let ahead = clients[0].ahead();
            clients[0].stream.read_exact(&mut first[ahead.min(after)..]).unwrap();
            stage.disk.rewrite("film.mp4", new.to_vec());
            clients.remove(0);
        }
        for client in &mut clients {
            let Some(answer) = client.try_response("GET") else { continue };
            let got = &answer.body;
            let whole = answer.complete && (*got == old || got == new);
            // What was sent before the change was seen may be of either; nothing else ever is.
            let of_either = |(at, byte)| old.get(at) == Some(byte) || new.get(at) == Some(byte);
            let cut = !answer.complete && got.iter().enumerate().all(of_either);
            assert!(
                whole || cut,
                "changed after {after} bytes: {} bytes came, complete: {}, the first {} are old",
                got.len(),
                answer.complete,
                got.iter().zip(&old).take_while(|(got, old)| got == old).count(),
            );
        }
        let now = stage.get("/slow/film.mp4");
        assert!(now.complete && now.body == new, "the new film is not served");
    }
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_slow_film_rewritten_in_place_is_cut_or_whole() {
    change_under_clients(Duration::ZERO, &noise(2, 3 * MIB));
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_slow_film_rewritten_while_its_time_is_believed_is_cut_or_whole() {
    change_under_clients(Duration::from_secs(1), &noise(2, 3 * MIB));
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_slow_film_cut_short_is_cut_and_no_zero_is_sent() {
    change_under_clients(Duration::ZERO, &noise(1, 2 * MIB + 1234));
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_slow_film_cut_short_while_its_length_is_believed_is_cut() {
    change_under_clients(Duration::from_secs(1), &noise(1, 2 * MIB + 1234));
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_disk_that_answers_no_read_holds_nobody_else_up() {
    let stage = Stage::for_streams(Pace::SLOW_READS, MIB);
    let hold = stage.disk.hold(Question::Read);
    let streams = stage.ask_for_all();
    hold.await_waiting(STREAMS);
    stage.assert_warm_film_is_served();
    drop(hold);
    assert_whole(streams, &noise(1, MIB));
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_disk_that_answers_no_look_holds_nobody_else_up() {
    let stage = Stage::for_streams(Pace::SLOW_READS, MIB);
    // Films that were never asked for, and then the same again, open by now.
    for _ in 0..2 {
        let hold = stage.disk.hold(Question::Look);
        let streams = stage.ask_for_all();
        hold.await_waiting(STREAMS);
        stage.assert_warm_film_is_served();
        drop(hold);
        assert_whole(streams, &noise(1, MIB));
    }
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_disk_that_answers_no_look_keeps_no_other_film_from_being_opened() {
    let stage = Stage::for_streams(Pace::SLOW_READS, MIB);
    let opening = stage.disk.hold(Question::Open);
    let streams = stage.ask_for_all();
    opening.await_waiting(STREAMS);
    let hold = stage.disk.hold(Question::Look);
    drop(opening);
    hold.await_waiting(1);
    fs::write(stage.folder.path().join("fresh.mp4"), noise(3, MIB)).unwrap();
    let fresh = stage.get("/fresh.mp4");
    assert!(fresh.complete && fresh.body == noise(3, MIB));
    drop(hold);
    assert_whole(streams, &noise(1, MIB));
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_disk_that_answers_no_look_keeps_no_other_folder_from_being_listed() {
    let pace = Pace { believed: Duration::from_secs(3600), ..Pace::SLOW_READS };
    let stage = Stage::for_streams(pace, MIB);
    fs::create_dir(stage.folder.path().join("quick")).unwrap();
    // The slow folder itself is known from here on, its names are not.
    assert_eq!(stage.get("/slow").status, 301);
    let hold = stage.disk.hold(Question::Look);
    let mut lists: Vec<_> = (0..STREAMS).map(|_| stage.connect()).collect();
    for client in &mut lists {
        client.request("GET /slow/ HTTP/1.1");
    }
    hold.await_waiting(1);
    stage.assert_warm_film_is_served();
    assert_eq!(stage.get("/quick/").status, 200);
    drop(hold);
    for client in &mut lists {
        assert!(client.response("GET").text().contains("15.mp4"));
    }
}

/// More than the threads that wait for disks; and as many of these as may wait for such a disk.
const MANY: usize = 200;
const FAR: usize = 64;

#[test]
#[ignore = "needs /dev/fuse and root"]
fn however_many_wait_for_a_disk_that_answers_nothing_others_are_opened_and_listed() {
    let bytes = Arc::new(noise(1, 40_000));
    let names: Vec<_> = (0..MANY).map(|number| format!("{number}.mp4")).collect();
    let films: Vec<_> = names.iter().map(|name| (name.as_str(), bytes.clone())).collect();
    // Films that were never asked for, and at last those that are open by now.
    for question in [Question::Look, Question::Open, Question::Read] {
        let stage = Stage::new(Pace::SLOW_READS, &films, &[]);
        for round in 0..2 {
            let question = if round == 0 { question } else { Question::Look };
            let hold = stage.disk.hold(question);
            let streams: Vec<_> = (0..MANY)
                .map(|number| {
                    let mut client = stage.connect();
                    client.request(&format!("GET {} HTTP/1.1", slow_path(number)));
                    client
                })
                .collect();
            hold.await_waiting(FAR);
            let fresh = format!("fresh{round}");
            let folder = stage.folder.path().join(&fresh);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("film.mp4"), noise(3, MIB)).unwrap();
            let film = stage.get(&format!("/{fresh}/film.mp4"));
            assert!(film.complete && film.body == noise(3, MIB), "{question:?}");
            assert!(stage.get(&format!("/{fresh}/")).text().contains("film.mp4"), "{question:?}");
            // The folder that the disk is mounted in, too.
            assert!(stage.get("/").text().contains(&fresh), "{question:?}");
            drop(hold);
            assert_whole(streams, &bytes);
        }
    }
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_film_that_became_a_link_to_a_disk_that_answers_nothing_holds_nobody_else_up() {
    let stage = Stage::for_streams(Pace::SLOW_READS, MIB);
    let film = stage.folder.path().join("film.mp4");
    fs::write(&film, noise(4, MIB)).unwrap();
    assert_eq!(stage.get("/film.mp4").body, noise(4, MIB));
    fs::remove_file(&film).unwrap();
    std::os::unix::fs::symlink("slow/0.mp4", &film).unwrap();
    let hold = stage.disk.hold(Question::Look);
    let ask = |_| {
        let mut client = stage.connect();
        client.request("GET /film.mp4 HTTP/1.1");
        client
    };
    let clients: Vec<_> = (0..STREAMS).map(ask).collect();
    hold.await_waiting(1);
    stage.assert_warm_film_is_served();
    drop(hold);
    assert_whole(clients, &noise(1, MIB));
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_disk_that_closes_no_film_holds_nobody_else_up() {
    let stage = Stage::for_streams(Pace::SLOW_READS, 16 * MIB);
    let mut streams = stage.ask_for_all();
    for client in &mut streams {
        assert_eq!(client.head().expect("an answer").0, 200);
    }
    // The films change, so that the next request lets go of the old ones: only those who still
    // stream them keep them open, and when these are cut, or leave, the last closes them.
    let hold = stage.disk.hold(Question::Close);
    for number in 0..STREAMS {
        stage.disk.rewrite(&format!("{number}.mp4"), noise(2, MIB));
    }
    assert_whole(stage.ask_for_all(), &noise(2, MIB));
    drop(streams);
    // So many are let go of at a time.
    hold.await_waiting(4);
    stage.assert_warm_film_is_served();
    drop(hold);
}

const ROUNDS: usize = 5;
const REQUESTS: u64 = 200;
const TURNS: usize = 1000;
const RANGE: u64 = 64 * 1024;
/// So long a round's requests may take before the rest of them is spared.
const PATIENCE: Duration = Duration::from_secs(3);
/// A machine of two processors, which the clients and the slow disk share with the server, is not
/// asked for more than this.
const FLOOR: Duration = Duration::from_millis(1);

#[test]
#[ignore = "needs /dev/fuse and root"]
fn warm_requests_beside_16_slow_streams_wait_at_most_twice_as_long() {
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let ask = |stage: &Stage| {
        times(stage.server.address, "/warm.mp4", WARM as u64, RANGE, REQUESTS, PATIENCE)
    };
    for _ in 0..ROUNDS {
        // A new disk each round: what was streamed is in memory from then on.
        let stage = Stage::for_streams(Pace::SLOW_READS, 64 * MIB);
        stage.assert_warm_film_is_served();
        ask(&stage);
        alone.extend(ask(&stage));
        let hold = stage.disk.hold(Question::Read);
        let paths = (0..STREAMS).map(slow_path);
        let streams = Streams::start(stage.server.address, paths);
        hold.await_waiting(1);
        drop(hold);
        // On a fast machine all is asked before the first slow read is answered.
        for _ in 0..TURNS {
            beside.extend(ask(&stage));
            if streams.received() > 0 {
                break;
            }
        }
        assert!(streams.all_go_on(), "the slow streams were over before the warm requests");
        assert!(streams.received() > 0, "the slow streams stood still");
    }
    let figures = |times: &[Duration]| [50, 95].map(|percent| percentile(times, percent));
    let (alone, beside) = (figures(&alone), figures(&beside));
    println!("time to first byte, median and p95: alone {alone:?}, beside {beside:?}");
    for (alone, beside) in alone.into_iter().zip(beside) {
        assert!(beside <= 2 * alone + FLOOR, "{beside:?} beside slow streams, {alone:?} alone");
    }
}

/// A transport stream, and another of the same length in which every packet lies elsewhere.
fn two_streams() -> [Vec<u8>; 2] {
    let one = fs::read(support::fixtures().join("stream.ts")).unwrap();
    let null = [&b"\x47\x1f\xff\x10"[..], &[0xff; 184]].concat();
    let other = [null.repeat(40), one[..one.len() - 40 * 188].to_vec()].concat();
    [one, other]
}

const MOMENT: &str = "GET /slow/film.ts?at=%23137 HTTP/1.1";

/// A stage whose film is open and not yet read but for its ends.
fn indexing() -> (Stage, [Vec<u8>; 2]) {
    let streams = two_streams();
    let pace = Pace { read: Duration::ZERO, ..Pace::SLOW_READS };
    let stage = Stage::new(pace, &[("film.ts", Arc::new(streams[0].clone()))], &[]);
    assert_eq!(stage.connect().ask("HEAD /slow/film.ts HTTP/1.1").status, 200);
    (stage, streams)
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn an_index_is_made_for_all_who_wait_though_the_first_leaves() {
    let (stage, _) = indexing();
    let hold = stage.disk.hold(Question::Read);
    let mut first = stage.connect();
    first.request(MOMENT);
    hold.await_waiting(1);
    let mut others: Vec<_> = (0..8).map(|_| stage.connect()).collect();
    for client in &mut others {
        client.request(MOMENT);
    }
    drop(first);
    // Nobody else waits for it.
    stage.assert_warm_film_is_served();
    drop(hold);
    for client in &mut others {
        let answer = client.response("GET");
        assert!(answer.status == 200 && answer.text().contains("\"number\":137,"));
    }
    let metrics = stage.get("/-/metrics");
    assert!(metrics.text().contains("\nreelmap_indexes_made_total 1\n"), "{}", metrics.text());
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_film_rewritten_while_its_index_is_made_has_the_new_index() {
    let (stage, streams) = indexing();
    let hold = stage.disk.hold(Question::Read);
    let mut client = stage.connect();
    client.request(MOMENT);
    hold.await_waiting(1);
    stage.disk.rewrite("film.ts", streams[1].clone());
    drop(hold);
    let answer = client.response("GET");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let now = stage.connect().ask(MOMENT);
    fs::write(stage.folder.path().join("now.ts"), &streams[1]).unwrap();
    let right = stage.get("/now.ts?at=%23137");
    assert!(now.status == 200 && now.body == right.body, "{}", now.text());
}

/// Sound in `count` frames of ADTS, of the greatest size that there is: one read leads to few of them.
fn sound(count: usize) -> Arc<Vec<u8>> {
    let frame = [&b"\xff\xf1\x50\x83\xff\xff\xfc"[..], &[0; 8184]].concat();
    Arc::new(frame.repeat(count))
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn films_that_take_long_hold_up_no_short_one() {
    let pace = Pace { read: Duration::from_millis(100), ..Pace::SLOW_READS };
    let (long, short) = (sound(16_000), sound(1));
    let films =
        [("1.aac", long.clone()), ("2.aac", long.clone()), ("3.aac", long), ("s.aac", short)];
    let stage = Stage::new(pace, &films, &[]);
    for name in ["1", "2", "3", "s"] {
        let opened = stage.connect().ask(&format!("HEAD /slow/{name}.aac HTTP/1.1"));
        assert_eq!(opened.status, 200);
    }
    let hold = stage.disk.hold(Question::Read);
    let mut others: Vec<_> = (1..=3).map(|_| stage.connect()).collect();
    for (number, client) in others.iter_mut().enumerate() {
        client.request(&format!("GET /slow/{}.aac?info HTTP/1.1", number + 1));
    }
    hold.await_waiting(2);
    drop(hold);
    let answer = stage.get("/slow/s.aac?info");
    assert!(answer.status == 200 && answer.text().contains("\"frames\":1,"), "{}", answer.text());
    let metrics = stage.get("/-/metrics");
    assert!(metrics.text().contains("\nreelmap_indexes_made_total 1\n"), "{}", metrics.text());
}

#[test]
#[ignore = "needs /dev/fuse and root"]
fn a_film_that_takes_too_long_is_given_up() {
    let films = [("film.aac", sound(16_000))];
    let pace = Pace { read: Duration::from_millis(100), ..Pace::SLOW_READS };
    let stage = Stage::new(pace, &films, &["--index-time", "4"]);
    // The second time nothing is read: it is asked for before so long a rest is over.
    for _ in 0..2 {
        let answer = stage.get("/slow/film.aac?at=5");
        assert_eq!((answer.status, answer.header("retry-after")), (503, "4"));
        assert!(answer.text().contains("4 s without an answer"), "{}", answer.text());
        let metrics = stage.get("/-/metrics");
        assert!(
            metrics.text().contains("\nreelmap_indexes_failed_total{why=\"costly\"} 1\n"),
            "{}",
            metrics.text()
        );
    }
}
