//! Requests by time: a timecode leads to a frame, a sync sample and the range to ask for next; a range of times to
//! the bytes that show it.

mod support;

use serde_json::Value;
use std::{
    fs::{self, File, FileTimes},
    io::Write,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};
use support::{Response, Server, fixtures, noise};

const FILM: &str = "/moov-first.mp4";
const LENGTH: u64 = 218_084;

fn server() -> Server {
    Server::start(fixtures(), &[])
}

#[track_caller]
fn json(answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_slice(&answer.body).unwrap()
}

#[track_caller]
fn problem(answer: &Response) -> Value {
    assert_eq!(answer.header("content-type"), "application/problem+json");
    serde_json::from_slice(&answer.body).unwrap()
}

/// What ffprobe says of the packets of a fixture: number, offset, length, sync; in presentation order.
fn expected(name: &str) -> Vec<(u64, u64, u64, bool)> {
    let text = fs::read(fixtures().join("expected.json")).unwrap();
    let all: Value = serde_json::from_slice(&text).unwrap();
    let rows = all[name]["packets"].as_array().unwrap().iter();
    let number = |value: &Value| value.as_u64().unwrap();
    let mut rows: Vec<_> = rows
        .map(|row| (number(&row[0]), number(&row[3]), number(&row[4]), row[5].as_bool().unwrap()))
        .collect();
    rows.sort();
    rows
}

#[test]
fn a_timecode_leads_to_the_frame_and_its_sync_sample() {
    let server = server();
    for name in [
        "moov-first.mp4",
        "moov-last.mp4",
        "fragmented.mp4",
        "timecode.mov",
        "vp9.webm",
        "film.mkv",
        "stream.ts",
    ] {
        let frames = expected(name);
        for label in ["00:00:00:00", "00:00:01:24", "00:00:02:00", "00:00:05:12", "00:00:09:24"] {
            let answer = json(&server.get(&format!("/{name}?at={label}")));
            let digits = |at: usize| label[at..at + 2].parse::<u64>().unwrap();
            let number = digits(6) * 25 + digits(9);
            let (_, offset, _, _) = frames[number as usize];
            let (_, sync, ..) =
                frames[..=number as usize].iter().rev().find(|(.., is_sync)| *is_sync).unwrap();
            assert_eq!(answer["asked"], label);
            let frame = &answer["frame"];
            assert_eq!((&frame["number"], &frame["label"]), (&number.into(), &label.into()));
            assert_eq!(frame["byte_offset"], offset, "{name} {label}");
            assert_eq!(answer["sync"]["byte_offset"], *sync, "{name} {label}");
            assert_eq!(answer["sync"]["later"], false);
        }
    }
}

#[test]
fn the_members_of_an_answer() {
    let answer = json(&server().get("/timecode.mov?at=5.02"));
    let seconds = |of: &str| answer.pointer(of).unwrap()["seconds"].as_f64().unwrap();
    assert_eq!((seconds("/time"), seconds("/frame/time"), seconds("/sync/time")), (5.02, 5.0, 4.0));
    assert_eq!(seconds("/duration"), 10.0);
    let time = &answer["frame"]["time"];
    assert_eq!((&time["ticks"], &time["timescale"]), (&64_000.into(), &12_800.into()));
    let frame = &answer["frame"];
    assert_eq!((&frame["counted"], &frame["label"]), (&true.into(), &"00:00:05:00".into()));
    assert_eq!(frame["labels"]["tc"], "01:00:05:00");
    let (_, offset, length, _) = expected("timecode.mov")[125];
    assert_eq!(frame["byte_offset"], offset);
    assert_eq!(frame["byte_length"], length);
    let track = &answer["track"];
    assert_eq!((&track["id"], &track["codec"]), (&1.into(), &"avc1.64000C".into()));
    assert_eq!((&track["frame_rate"], &track["drop_frame"]), (&"25/1".into(), &false.into()));
    assert_eq!(track["variable_rate"], false);
    assert_eq!(track["start_label"], "01:00:00:00");
    assert_eq!(answer["notes"].as_array().unwrap().len(), 0);
}

#[test]
fn the_range_of_an_answer_is_what_to_ask_for_next() {
    let server = server();
    for name in ["moov-last.mp4", "film.mkv", "stream.ts"] {
        let film = fs::read(fixtures().join(name)).unwrap();
        for (size, wanted) in [("", u64::MAX), ("&size=1", 1), ("&size=50000", 50_000)] {
            let answer = json(&server.get(&format!("/{name}?at=00:00:05:12{size}")));
            let range = answer["range"].as_str().unwrap();
            let part = server.ask(&format!("GET /{name} HTTP/1.1\nRange: {range}"));
            let end = film.len() as u64 - answer["sync"]["byte_offset"].as_u64().unwrap();
            assert_eq!(part.status, 206, "{name} {range}");
            let length = part.body.len() as u64;
            assert!(
                length == wanted || (wanted > end && length >= end),
                "{name} {range}: {length}"
            );
            let start: usize = range[6..].split('-').next().unwrap().parse().unwrap();
            assert!(part.body == film[start..start + part.body.len()]);
        }
    }
}

#[test]
fn a_size_past_the_end_is_cut_there() {
    let answer = json(&server().get(&format!("{FILM}?at=9.9&size=20971520")));
    assert!(answer["range"].as_str().unwrap().ends_with(&format!("-{}", LENGTH - 1)));
}

#[test]
fn several_moments_get_a_list() {
    let server = server();
    let list = json(&server.get(&format!("{FILM}?at=1&at=%23100&at=00:00:05:00&size=9")));
    let numbers = list.as_array().unwrap().iter().map(|answer| answer["frame"]["number"].clone());
    assert_eq!(numbers.collect::<Vec<_>>(), [25, 100, 125]);
    let last = server.get(&format!("{FILM}?at=1&at=99"));
    assert_eq!(last.status, 416, "one without an answer refuses all");
}

#[test]
fn the_own_timecode_track_gives_another_meaning() {
    let server = server();
    let own = json(&server.get("/timecode.mov?tc=01:00:05:00"));
    assert_eq!(
        (&own["frame"]["number"], &own["frame"]["label"]),
        (&125.into(), &"01:00:05:00".into())
    );
    let elapsed = json(&server.get("/timecode.mov?at=00:00:05:00"));
    assert_eq!(elapsed["frame"]["byte_offset"], own["frame"]["byte_offset"]);
    assert_eq!(server.get("/timecode.mov?tc=00:59:59:24").status, 416);
    assert_eq!(server.get("/timecode.mov?at=01:00:05:00").status, 416);
    assert_eq!(server.get(&format!("{FILM}?tc=01:00:05:00")).status, 400);
}

#[test]
fn info_says_what_a_film_is() {
    let server = server();
    let info = json(&server.get("/timecode.mov?info"));
    assert_eq!((&info["container"], &info["brand"]), (&"mp4".into(), &"qt".into()));
    assert_eq!((&info["fragmented"], &info["frames"]), (&false.into(), &250.into()));
    assert_eq!((&info["byte_length"], &info["main_track"]), (&218_604.into(), &1.into()));
    assert_eq!(
        (&info["tables"]["byte_offset"], &info["tables"]["first"]),
        (&209_567.into(), &false.into())
    );
    assert_eq!(info["duration"]["seconds"], 10.0);
    assert_eq!(info["start_timecode"]["label"], "01:00:00:00");
    let syncs = &info["sync_samples"];
    assert_eq!((&syncs["count"], &syncs["spacing"]["gaps"]), (&5.into(), &4.into()));
    assert_eq!(syncs["spacing"]["most"]["seconds"], 2.0);
    let kinds = info["tracks"].as_array().unwrap().iter().map(|track| track["kind"].clone());
    assert_eq!(kinds.collect::<Vec<_>>(), ["video", "audio", "other"]);
    assert_eq!(
        (&info["tracks"][0]["width"], &info["tracks"][0]["height"]),
        (&320.into(), &180.into())
    );
    assert_eq!(json(&server.get("/fragmented.mp4?info"))["fragmented"], true);
    assert_eq!(json(&server.get("/stream.ts?info"))["container"], "mpegts");
    assert_eq!(json(&server.get("/vp9.webm?info"))["brand"], "webm");
}

#[test]
fn an_answer_is_json_whatever_is_accepted() {
    let accepts = "text/html,application/xhtml+xml";
    json(&server().ask(&format!("GET {FILM}?at=5 HTTP/1.1\nAccept: {accepts}")));
}

#[test]
fn head_is_the_head_of_get() {
    let server = server();
    for query in ["at=5", "info", "at=99", "at=soon"] {
        let get = server.get(&format!("{FILM}?{query}"));
        let head = server.ask(&format!("HEAD {FILM}?{query} HTTP/1.1"));
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{query}");
        for name in ["content-type", "content-length", "etag"] {
            assert_eq!(head.header(name), get.header(name), "{query}");
        }
    }
}

#[test]
fn an_answer_may_be_kept_as_long_as_the_film_stays() {
    let server = server();
    let path = format!("{FILM}?at=5");
    let (film, answer) = (server.get(FILM), server.get(&path));
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.header("last-modified"), film.header("last-modified"));
    let (tag, own) = (answer.header("etag"), film.header("etag"));
    assert!(tag.starts_with(own.trim_end_matches('"')) && tag != own, "{tag} of {own}");
    let ask = |field: &str| server.ask(&format!("GET {path} HTTP/1.1\n{field}"));
    assert_eq!(ask(&format!("If-None-Match: {tag}")).status, 304);
    assert_eq!(ask(&format!("If-None-Match: {own}")).status, 200);
    assert_eq!(ask(&format!("If-Match: {own}")).status, 412);
    let part = ask(&format!("Range: bytes=0-9\nIf-Range: {tag}"));
    assert_eq!((part.status, &part.body[..]), (206, &answer.body[..10]));
    // A condition is only weighed where there would be an answer (RFC 9110 §13.2.1).
    let past = server.ask(&format!("GET {FILM}?at=99 HTTP/1.1\nIf-None-Match: *"));
    assert_eq!(past.status, 416);
}

#[test]
fn a_page_of_another_origin_reads_answers_and_problems() {
    let server = server();
    for query in ["at=5", "at=99", "at=soon"] {
        let answer = server.get(&format!("{FILM}?{query}"));
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{query}");
        assert!(answer.header("access-control-expose-headers").contains("Content-Range-Mapping"));
    }
}

/// A folder with what gives no index.
fn broken() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(fixtures().join("moov-first.mp4")).unwrap();
    let mut bad = whole.clone();
    // The moov is none.
    bad[36..40].copy_from_slice(b"mooo");
    let cut = fs::read(fixtures().join("moov-last.mp4")).unwrap();
    for (name, bytes) in [
        ("notes.txt", b"notes".to_vec()),
        ("empty.mp4", Vec::new()),
        ("noise.mp4", noise(7, 10_000)),
        ("bad.mp4", bad),
        ("cut.mp4", cut[..100_000].to_vec()),
        ("film.mp4", whole),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

#[test]
fn what_has_no_answer_is_a_problem_in_a_sentence() {
    let folder = broken();
    let server = Server::start(folder.path(), &[]);
    for (target, status, says) in [
        ("/film.mp4?at=soon", 400, "no timecode"),
        ("/film.mp4?at=", 400, "%23"),
        ("/film.mp4?at=%zz", 400, "hexadecimal"),
        ("/film.mp4?at=5&info", 400, "by itself"),
        ("/film.mp4?at=00:00:05:25", 400, "count 0 to 24"),
        ("/film.mp4?at=00:00:05;00", 400, "no drop-frame"),
        ("/film.mp4?tc=00:00:05:00", 400, "no timecode track"),
        ("/film.mp4?at=10", 416, "10 s long"),
        ("/film.mp4?at=%23250", 416, "10 s long"),
        ("/film.mp4?at=99999999999:00:00", 416, "10 s long"),
        ("/notes.txt?at=5", 415, "no container"),
        ("/noise.mp4?info", 415, "no container"),
        ("/empty.mp4?info", 415, "no container"),
        ("/bad.mp4?at=5", 422, "broken at byte"),
        ("/cut.mp4?info", 422, "broken at byte"),
        ("/?at=5", 400, "a folder"),
        ("/?info", 400, "a folder"),
        ("/film.mp4?from=edge", 400, "live or start"),
    ] {
        // Twice: what was found is kept.
        for _ in 0..2 {
            let answer = server.get(target);
            assert_eq!(answer.status, status, "{target}: {}", answer.text());
            let problem = problem(&answer);
            assert_eq!(problem["status"], status, "{target}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(says), "{target}: {detail}");
            assert!(!problem["title"].as_str().unwrap().is_empty());
            assert_eq!(problem["byte_offset"].is_u64(), status == 422, "{target}: {problem}");
            assert_eq!(problem["duration"].is_object(), status == 416, "{target}: {problem}");
        }
    }
    assert_eq!(server.get("/none.mp4?at=5").status, 404);
}

#[test]
fn what_asks_nothing_of_time_is_served_as_ever() {
    let folder = broken();
    let server = Server::start(folder.path(), &[]);
    for target in ["/bad.mp4", "/bad.mp4?token=at", "/bad.mp4?size=5", "/bad.mp4?"] {
        let answer = server.get(target);
        assert_eq!((answer.status, answer.body.len() as u64), (200, LENGTH), "{target}");
    }
}

fn times(server: &Server, path: &str, range: &str) -> Response {
    server.ask(&format!("GET {path} HTTP/1.1\nRange: {range}"))
}

#[test]
fn a_range_of_times_is_a_range_of_bytes() {
    let server = server();
    let film = fs::read(fixtures().join("moov-first.mp4")).unwrap();
    let frames = expected("moov-first.mp4");
    // From a sync frame to the end of all frames up to another.
    let span = |first: usize, last: usize| {
        let ends = frames[first..=last].iter().map(|(_, offset, length, _)| offset + length);
        frames[first].1..ends.max().unwrap()
    };
    for (range, bytes, shown) in [
        ("t:npt=5-6", span(100, 149), "4-6"),
        ("T:npt=5.01-5.02", span(100, 125), "4-5.04"),
        ("t:npt=-2", span(0, 49), "0-2"),
        ("t:npt=9-", span(200, 249), "8-10"),
        ("t:smpte=00:00:05:00-00:00:06:00", span(100, 149), "4-6"),
        ("t:smpte-25=00:00:05:00-00:00:06:00", span(100, 149), "4-6"),
        ("t:smpte-30=00:00:04:15-00:00:05:15", span(100, 137), "4-5.52"),
        ("t:smpte-30-drop=00:00:06;00-00:00:07;00", span(150, 175), "6-7.04"),
    ] {
        let answer = times(&server, FILM, range);
        assert_eq!(answer.status, 206, "{range}: {}", answer.text());
        let (first, last) = (bytes.start, bytes.end - 1);
        assert_eq!(
            answer.header("content-range"),
            format!("bytes {first}-{last}/{LENGTH}"),
            "{range}"
        );
        let mapping = format!("{{ t:npt {shown}/0-10 }} = {{ bytes {first}-{last}/{LENGTH} }}");
        assert_eq!(answer.header("content-range-mapping"), mapping, "{range}");
        assert_eq!(answer.header("content-type"), "video/mp4");
        assert!(answer.body == film[bytes.start as usize..bytes.end as usize], "{range}");
    }
}

#[test]
fn a_range_of_times_that_shows_nothing_is_416() {
    let server = server();
    for range in ["t:npt=10-", "t:npt=7-3", "t:npt=3-3", "t:smpte-25=00:00:05:25-", "t:npt=99-100"]
    {
        let answer = times(&server, FILM, range);
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes */{LENGTH}"), "{range}");
        assert_eq!(problem(&answer)["status"], 416, "{range}");
    }
}

#[test]
fn a_label_of_the_other_meaning_is_told_apart() {
    let server = server();
    let said = |query: &str| {
        let answer = server.get(&format!("/timecode.mov?{query}"));
        assert_eq!(answer.status, 416, "{query}");
        problem(&answer)["detail"].as_str().unwrap().to_owned()
    };
    let begins = "no label of this film: its timecode track begins at 01:00:00:00 and is 10 s long";
    for (query, words) in [
        ("at=01:00:05:12", "it is there: ask for it as tc"),
        ("at=02:00:00:00", "02:00:00:00 is past the end: the film is 10 s long"),
        ("tc=00:00:05:12", "ask without tc for the time since its first frame"),
        ("tc=00:59:59:24", begins),
        ("tc=01:00:10:00", begins),
    ] {
        let detail = said(query);
        assert!(detail.contains(words), "{query}: {detail}");
    }
    assert!(!said("at=02:00:00:00").contains("tc") && !said("tc=00:59:59:24").contains("without"));
}

#[test]
fn a_size_that_the_frame_does_not_fit_into_is_noted() {
    let server = server();
    let notes = |size: u64| {
        let answer = json(&server.get(&format!("{FILM}?at=5.5&size={size}")));
        let end = answer["frame"]["byte_offset"].as_u64().unwrap()
            + answer["frame"]["byte_length"].as_u64().unwrap();
        let needed = end - answer["sync"]["byte_offset"].as_u64().unwrap();
        (answer["notes"].clone(), needed)
    };
    let (noted, needed) = notes(1);
    let noted = noted[0].as_str().unwrap();
    assert!(noted.ends_with(&format!("ask for {needed} bytes or more")), "{noted}");
    assert_eq!(notes(needed).0.as_array().unwrap().len(), 0);
    assert_eq!(notes(needed - 1).0.as_array().unwrap().len(), 1);
}

#[test]
fn a_unit_that_can_not_be_obeyed_is_ignored() {
    let folder = broken();
    let server = Server::start(folder.path(), &[]);
    for (path, range) in [
        ("/bad.mp4", "t:npt=1-2"),
        ("/film.mp4", "t:npt=soon-"),
        ("/film.mp4", "t:clock=1-2"),
        ("/film.mp4", "track=audio"),
    ] {
        // Twice: once before it is known, once after.
        for _ in 0..2 {
            let answer = times(&server, path, range);
            assert_eq!((answer.status, answer.body.len() as u64), (200, LENGTH), "{path} {range}");
            assert_eq!(answer.header("content-range-mapping"), "");
        }
    }
    assert_eq!(times(&server, "/notes.txt", "t:npt=1-2").text(), "notes");
    // HEAD knows no ranges (RFC 9110 §14.2).
    let head = server.ask("HEAD /film.mp4 HTTP/1.1\nRange: t:npt=1-2");
    assert_eq!((head.status, head.header("content-length")), (200, LENGTH.to_string().as_str()));
}

#[test]
fn times_are_offered_only_where_they_are_known_to_work() {
    let folder = broken();
    let server = Server::start(folder.path(), &[]);
    let offers = |path: &str| {
        server.ask(&format!("HEAD {path} HTTP/1.1")).header("accept-ranges").to_owned()
    };
    for path in ["/film.mp4", "/bad.mp4"] {
        assert_eq!(offers(path), "bytes", "{path}");
        server.get(&format!("{path}?info"));
    }
    assert_eq!((offers("/film.mp4"), offers("/bad.mp4")), ("bytes, t".into(), "bytes".into()));
    assert_eq!(times(&server, "/film.mp4", "t:npt=1-2").header("accept-ranges"), "bytes, t");
    assert_eq!(times(&server, "/bad.mp4", "t:npt=1-2").header("accept-ranges"), "bytes");
    assert_eq!(server.get("/film.mp4?info").header("accept-ranges"), "bytes");
}

#[test]
fn conditions_hold_for_times_as_for_bytes() {
    let server = server();
    let tag = server.get(FILM).header("etag").to_owned();
    let ask = |field: &str| times(&server, FILM, &format!("t:npt=5-6\n{field}")).status;
    assert_eq!(ask(&format!("If-Range: {tag}")), 206);
    assert_eq!(ask("If-Range: \"another\""), 200);
    assert_eq!(ask(&format!("If-None-Match: {tag}")), 304);
    assert_eq!(ask("If-Match: \"another\""), 412);
}

#[test]
fn an_index_is_made_once_and_counted() {
    let folder = broken();
    let server = Server::start(folder.path(), &[]);
    let mut clients: Vec<_> = (0..16).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.request("GET /film.mp4?at=5 HTTP/1.1");
    }
    let numbers =
        clients.iter_mut().map(|client| json(&client.response("GET"))["frame"]["number"].clone());
    assert!(numbers.into_iter().all(|number| number == 125));
    assert_eq!(server.metric("reelmap_indexes_made_total"), 1.0);
    assert_eq!(server.metric("reelmap_indexes"), 1.0);
    assert!(server.metric("reelmap_index_bytes") > 100.0);
    for _ in 0..2 {
        assert_eq!(server.get("/bad.mp4?at=5").status, 422);
    }
    assert_eq!(server.metric("reelmap_indexes_failed_total{why=\"broken\"}"), 1.0);
    assert_eq!(server.metric("reelmap_indexes"), 1.0);
}

#[test]
fn indexes_are_bounded_by_bytes() {
    let folder = tempfile::tempdir().unwrap();
    // An index of ten minutes of sound takes some 100 KiB.
    let frame = [&b"\xff\xf1\x50\x80\x02\x1f\xfc"[..], &[0; 9]].concat();
    let sound = frame.repeat(100_000);
    for number in 0..40 {
        fs::write(folder.path().join(format!("{number}.aac")), &sound).unwrap();
    }
    let server = Server::start(folder.path(), &["--index-mib", "1"]);
    for number in 0..40 {
        assert_eq!(json(&server.get(&format!("/{number}.aac?at=5")))["frame"]["number"], 215);
    }
    let (held, bytes) = (server.metric("reelmap_indexes"), server.metric("reelmap_index_bytes"));
    assert!((1.0..40.0).contains(&held), "{held} held");
    assert!(bytes <= 1024.0 * 1024.0, "{bytes} bytes held");
}

#[test]
fn a_film_that_was_replaced_is_indexed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film");
    let server = Server::start(folder.path(), &[]);
    for (name, container) in
        [("moov-last.mp4", "mp4"), ("film.mkv", "matroska"), ("stream.ts", "mpegts")]
    {
        fs::copy(fixtures().join(name), folder.path().join("new")).unwrap();
        fs::rename(folder.path().join("new"), &film).unwrap();
        assert_eq!(json(&server.get("/film?info"))["container"], container);
    }
}

/// Sets when `film` was written, so that no two states of it look alike.
fn stamp(film: &Path, round: u64) {
    let at = UNIX_EPOCH + Duration::from_secs(1_000_000_000 + round);
    File::options()
        .write(true)
        .open(film)
        .unwrap()
        .set_times(FileTimes::new().set_modified(at))
        .unwrap();
}

#[test]
fn a_film_rewritten_while_it_is_indexed_gives_no_mixed_answer() {
    // From its beginning to its end, so that the place shows up where one content gave way to the other.
    const ALL: &str = "/film?at=%231&at=%2360&at=%23120&at=%23180&at=%23240";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film");
    // The same packets with other ones before them: every offset differs.
    let one = fs::read(fixtures().join("stream.ts")).unwrap();
    let null = [&b"\x47\x1f\xff\x10"[..], &[0xff; 184]].concat();
    let other = [null.repeat(40), one[..one.len() - 40 * 188].to_vec()].concat();
    let server = Server::start(folder.path(), &[]);
    let right: Vec<Value> = [&one, &other]
        .into_iter()
        .enumerate()
        .map(|(round, content)| {
            fs::write(&path, content).unwrap();
            stamp(&path, round as u64);
            json(&server.get(ALL))
        })
        .collect();
    assert_ne!(right[0], right[1]);

    let offsets = |answer: &Value| {
        let each = answer.as_array().unwrap().iter();
        each.map(|one| one["frame"]["byte_offset"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    // Rewritten once while it is asked for, or over and over again; cut short before or not.
    for round in 2..50_u64 {
        let content = [&one, &other][round as usize % 2];
        let times = if round % 4 < 2 { 1 } else { 100 };
        let mut client = server.connect();
        client.request(&format!("GET {ALL} HTTP/1.1"));
        for time in 0..times {
            let mut film = File::options().write(true).open(&path).unwrap();
            if round % 3 == 0 {
                film.set_len(100_000).unwrap();
            }
            let content = if time % 2 == 0 { content } else { [&other, &one][round as usize % 2] };
            content.chunks(16 * 1024).for_each(|chunk| film.write_all(chunk).unwrap());
        }
        fs::write(&path, content).unwrap();
        let answer = client.response("GET");
        match answer.status {
            // While it grows again it is a film that is shorter.
            200 => assert!(right.iter().any(|right| offsets(right) == offsets(&json(&answer)))),
            status => assert!(matches!(status, 415 | 416 | 422 | 503), "{round}: {status}"),
        }
        stamp(&path, round);
        let settled = json(&server.get(ALL));
        assert_eq!(settled, right[round as usize % 2], "{round}: a mixed index was kept");
    }
}

#[test]
fn costly_films_hold_up_none_but_their_like() {
    let root = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    // Each of the boxes takes a look, and there are millions of them: more than a first try has time for.
    let film = fs::read(fixtures.join("fragmented.mp4")).unwrap();
    let bytes = [film, [0, 0, 0, 8, b'f', b'r', b'e', b'e'].repeat(4 << 20)].concat();
    let server = Server::start(root.path(), &["--index-time", "3600"]);
    let costly: Vec<_> = (0..3)
        .map(|number| {
            fs::write(root.path().join(format!("{number}.mp4")), &bytes).unwrap();
            let mut client = server.connect();
            client.request(&format!("GET /{number}.mp4?at=1 HTTP/1.1"));
            client
        })
        .collect();
    fs::copy(fixtures.join("moov-first.mp4"), root.path().join("quick.mp4")).unwrap();
    assert_eq!(server.get("/quick.mp4?at=1").status, 200);
    assert_eq!(server.metric("reelmap_indexes_made_total"), 1.0, "the costly ones were first");
    drop(costly);
}
