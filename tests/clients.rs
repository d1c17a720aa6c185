//! Clients that people use: curl, wget, ffprobe, ffmpeg and mpv, each a program of its own.

mod support;

use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, SystemTime},
};
use support::{
    Server, fixtures, noise,
    programs::{finish, output},
};

const LIMIT: Duration = Duration::from_secs(30);

/// A folder with one large file in it, and a server of that folder.
fn large_film() -> (tempfile::TempDir, Server, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(7, 12 * 1024 * 1024 + 345);
    fs::write(folder.path().join("film.mp4"), &bytes).unwrap();
    let server = Server::start(folder.path(), &[]);
    (folder, server, bytes)
}

fn run(program: &str, arguments: &[&str]) -> Output {
    finish(Command::new(program).args(arguments), LIMIT)
}

/// curl's standard output; `-s` is added.
#[track_caller]
fn curl(arguments: &[&str]) -> String {
    let always = ["-sS", "--max-time", "25"];
    String::from_utf8(output("curl", always.iter().chain(arguments))).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

// curl

#[test]
#[ignore = "needs curl"]
fn curl_resumes_what_was_interrupted() {
    let (_folder, server, film) = large_film();
    let here = tempfile::tempdir().unwrap();
    let copy = here.path().join("copy.mp4");
    let (url, to) = (server.url("/film.mp4"), text(&copy));
    let slow = ["-sS", "--limit-rate", "2M", "--max-time", "1", "-o", to, &url];
    let interrupted = run("curl", &slow);
    assert_eq!(interrupted.status.code(), Some(28), "curl was to run out of time");
    let got = fs::metadata(&copy).unwrap().len();
    assert!(0 < got && got < film.len() as u64, "{got} bytes came before the interruption");

    let resume = ["-C", "-", "-o", to, "-w", "%{http_code} %header{content-length}", &url];
    assert_eq!(curl(&resume), format!("206 {}", film.len() as u64 - got));
    assert!(fs::read(&copy).unwrap() == film);
    // Once more, with nothing left to get: curl takes the 416 for the end that it is.
    assert!(curl(&resume).starts_with("416 "));
    assert!(fs::read(&copy).unwrap() == film);
}

#[test]
#[ignore = "needs curl"]
fn curl_puts_parallel_ranges_together() {
    let (_folder, server, film) = large_film();
    let here = tempfile::tempdir().unwrap();
    let url = server.url("/film.mp4");
    let step = film.len().div_ceil(8);
    let mut line: Vec<String> = vec!["-Z".into()];
    for part in 0..8 {
        let (first, last) = (part * step, (part + 1) * step - 1);
        let to = here.path().join(part.to_string());
        let part = [format!("-r{first}-{last}"), "-o".into(), text(&to).into(), url.clone()];
        line.extend(part);
        line.push("--next".into());
    }
    line.pop();
    curl(&line.iter().map(String::as_str).collect::<Vec<_>>());
    let parts = (0..8).map(|part| fs::read(here.path().join(part.to_string())).unwrap());
    assert!(parts.collect::<Vec<_>>().concat() == film);
    assert_eq!(server.answers(206, 8.0), 8.0);
}

#[test]
#[ignore = "needs curl"]
fn curl_gets_a_range_only_of_the_file_it_knows() {
    let (folder, server, film) = large_film();
    let here = tempfile::tempdir().unwrap();
    let (url, to) = (server.url("/film.mp4"), here.path().join("part"));
    let etag = curl(&["-I", "-o", "/dev/null", "-w", "%header{etag}", &url]);
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    let known = format!("If-Range: {etag}");
    let ask = ["-r", "1000-1999", "-H", &known, "-o", text(&to), "-w", "%{http_code}", &url];
    assert_eq!(curl(&ask), "206");
    assert!(fs::read(&to).unwrap() == film[1000..2000]);

    let other = noise(8, film.len());
    fs::write(folder.path().join("film.mp4"), &other).unwrap();
    assert_eq!(curl(&ask), "200");
    assert!(fs::read(&to).unwrap() == other);
}

#[test]
#[ignore = "needs curl"]
fn curl_gets_a_file_once_and_again_when_it_changed() {
    let (folder, server, film) = large_film();
    let served = fs::File::options().write(true).open(folder.path().join("film.mp4")).unwrap();
    let written = SystemTime::now() - Duration::from_secs(3600);
    served.set_modified(written).unwrap();
    let here = tempfile::tempdir().unwrap();
    let (copy, etag) = (here.path().join("copy.mp4"), here.path().join("etag"));
    let url = server.url("/film.mp4");
    let by_time =
        ["-R", "-z", text(&copy), "-o", text(&copy), "-w", "%{http_code} %{size_download}", &url];
    let tag = text(&etag);
    let by_tag = ["--etag-save", tag, "--etag-compare", tag, "-w", "%{http_code}"];
    let by_tag: Vec<_> = by_tag.into_iter().chain(["-o", "/dev/null", &url]).collect();

    fs::write(&etag, "").unwrap();
    // The first time there is nothing to compare with, and curl says so.
    assert!(run("curl", &["-sSR", "-o", text(&copy), &url]).status.success());
    assert_eq!(curl(&by_time), "304 0");
    assert!(fs::read(&copy).unwrap() == film);
    assert_eq!(curl(&by_tag), "200");
    assert_eq!(curl(&by_tag), "304");

    served.set_modified(written + Duration::from_secs(2)).unwrap();
    assert_eq!(curl(&by_time), format!("200 {}", film.len()));
    assert_eq!(curl(&by_tag), "200");
}

#[test]
#[ignore = "needs curl"]
fn curl_reads_several_ranges_as_one_multipart_answer() {
    let (_folder, server, film) = large_film();
    let url = server.url("/film.mp4");
    let ranges = ["-sS", "-i", "-r", "0-3,5000-5003,-4", &url];
    let answer = output("curl", ranges);
    assert!(answer.starts_with(b"HTTP/1.1 206 "));
    for span in [0..4, 5000..5004, film.len() - 4..film.len()] {
        let head = format!("bytes {}-{}/{}\r\n\r\n", span.start, span.end - 1, film.len());
        let part = [head.as_bytes(), &film[span]].concat();
        assert!(answer.windows(part.len()).any(|window| window == part), "{head}");
    }
}

#[test]
#[ignore = "needs wget"]
fn wget_resumes_where_a_copy_ends() {
    let (_folder, server, film) = large_film();
    let here = tempfile::tempdir().unwrap();
    let copy = here.path().join("copy.mp4");
    fs::write(&copy, &film[..5_000_000]).unwrap();
    output("wget", ["-nv", "-c", "-O", text(&copy), &server.url("/film.mp4")]);
    assert!(fs::read(&copy).unwrap() == film);
    assert_eq!(server.answers(206, 1.0), 1.0);
}

// Players and what they are built on

const WIDTH: usize = 320;
const HEIGHT: usize = 180;

/// What `fixtures/expected.json` says of each film of ten seconds.
fn films() -> Vec<(String, Value)> {
    let expected = fs::read(fixtures().join("expected.json")).unwrap();
    let Value::Object(films) = serde_json::from_slice(&expected).unwrap() else { unreachable!() };
    let films: Vec<_> = films.into_iter().filter(|(_, film)| film["frames"] == 250).collect();
    assert_eq!(films.len(), 7);
    films
}

/// The number burnt into a picture of grey bytes; `fixtures/README.md` gives the places.
fn burnt_in(picture: &[u8]) -> Option<u32> {
    assert_eq!(picture.len(), WIDTH * HEIGHT, "one picture of {WIDTH}x{HEIGHT}");
    let white = |x: usize| picture[168 * WIDTH + x] > 127;
    let guarded = white(24) && !white(296);
    guarded.then(|| (0..16).fold(0, |number, bit| number << 1 | u32::from(white(40 + 16 * bit))))
}

/// When frame `number` is shown, in seconds after the film's start.
fn shown_at(film: &Value, number: u64) -> f64 {
    let seconds = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let mut packets = film["packets"].as_array().unwrap().iter();
    let packet = packets.find(|packet| packet[0] == number).unwrap();
    seconds(&packet[2]) - seconds(&film["start_time"])
}

#[test]
#[ignore = "needs ffprobe"]
fn ffprobe_reads_the_same_packets_as_from_the_file() {
    let server = Server::start(fixtures(), &[]);
    for (name, film) in films() {
        let probe = |from: &str| {
            let what = ["-v", "error", "-show_packets", "-show_streams", "-show_data_hash", "md5"];
            let line = what.into_iter().chain(["-of", "json", from]);
            serde_json::from_slice::<Value>(&output("ffprobe", line)).unwrap()
        };
        let served = probe(&server.url(&format!("/{name}")));
        let local = probe(text(&fixtures().join(&name)));
        let video = |packet: &&Value| packet["codec_type"] == "video";
        let frames = served["packets"].as_array().unwrap().iter().filter(video).count();
        assert_eq!(film["frames"], frames, "{name}");
        assert!(served == local, "{name}: other packets or streams over HTTP than in the file");
    }
    server.answers(206, 7.0);
}

#[test]
#[ignore = "needs ffmpeg"]
fn ffmpeg_seeks_to_the_very_frame() {
    let server = Server::start(fixtures(), &[]);
    let picture_at = |at: &str, from: &str| {
        let seek = ["-v", "error", "-ss", at, "-i", from, "-map", "0:v:0", "-frames:v", "1"];
        let grey = ["-f", "rawvideo", "-pix_fmt", "gray", "-"];
        output("ffmpeg", seek.into_iter().chain(grey))
    };
    for (name, film) in films() {
        // Not the last one before a sync frame: ffmpeg seeks by decoding time, and where pictures are
        // shown later than that (fragmented.mp4) it lands behind such a frame, in a local file too.
        for frame in [0, 1, 50, 51, 137, 200, 249] {
            // A little before the frame, so that rounding doesn't pick the next.
            let at = format!("{:.3}", (shown_at(&film, frame) - 0.015).max(0.0));
            let served = picture_at(&at, &server.url(&format!("/{name}")));
            if name == "stream.ts" {
                // Without an index ffmpeg lands at the next sync frame, if there is one.
                let local = picture_at(&at, text(&fixtures().join(&name)));
                assert!(served == local, "{name} at {at} s: another picture than in the file");
            } else {
                assert_eq!(burnt_in(&served), Some(frame as u32), "{name} at {at} s");
            }
        }
    }
}

#[test]
#[ignore = "needs ffmpeg"]
fn ffmpeg_decodes_every_frame_as_numbered() {
    let server = Server::start(fixtures(), &[]);
    for (name, _) in films() {
        let url = server.url(&format!("/{name}"));
        let from = ["-v", "error", "-i", &url, "-map", "0:v:0", "-fps_mode", "passthrough"];
        let to = ["-f", "rawvideo", "-pix_fmt", "gray", "-"];
        let pictures = output("ffmpeg", from.into_iter().chain(to));
        let numbers: Vec<_> = pictures.chunks(WIDTH * HEIGHT).map(burnt_in).collect();
        assert_eq!(numbers, (0..250).map(Some).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
#[ignore = "needs mpv"]
fn mpv_plays_from_the_middle() {
    let server = Server::start(fixtures(), &[]);
    for (name, _) in films() {
        let url = server.url(&format!("/{name}"));
        let quiet = ["--no-config", "--vo=null", "--ao=null", "--msg-level=all=warn"];
        let play = ["--start=5", "--length=0.5", url.as_str()];
        let said = String::from_utf8(output("mpv", quiet.into_iter().chain(play))).unwrap();
        assert!(!said.to_lowercase().contains("error"), "{name}: {said}");
    }
}

#[test]
#[ignore = "needs mpv and ffmpeg"]
fn mpv_shows_the_same_frame_as_from_the_file() {
    let server = Server::start(fixtures(), &[]);
    let here = tempfile::tempdir().unwrap();
    let shown = |from: &str, folder: &Path| {
        let to = format!("--vo-image-outdir={}", text(folder));
        let show = ["--no-config", "--no-audio", "--hr-seek=yes", "--frames=1", "--vo=image"];
        output(
            "mpv",
            show.into_iter().chain(["--vo-image-format=png", &to, "--start=5.465", from]),
        );
        let picture = folder.join("00000001.png");
        let grey = ["-v", "error", "-i", text(&picture), "-f", "rawvideo", "-pix_fmt", "gray", "-"];
        burnt_in(&output("ffmpeg", grey))
    };
    for (name, _) in films() {
        let served =
            shown(&server.url(&format!("/{name}")), &here.path().join(format!("{name}-url")));
        let local = shown(text(&fixtures().join(&name)), &here.path().join(format!("{name}-file")));
        assert_eq!(served, local, "{name}");
        // mpv counts from zero where the picture begins later, and lands behind the time in a
        // stream without an index.
        if !["fragmented.mp4", "stream.ts"].contains(&name.as_str()) {
            assert_eq!(served, Some(137), "{name}");
        }
    }
}
