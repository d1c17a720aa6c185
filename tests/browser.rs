//! A real browser on the pages that the server makes: films play, jump and come back by their link.

mod support;

use serde_json::Value;
use std::{fs, path::Path};
use support::{
    Server, browser::Browser, command::until, fixtures, live::Encoder, programs::output,
};

/// The number burnt into the picture that the page shows, `null` where there is none;
/// `fixtures/README.md` gives the places.
const BURNT_IN: &str = "
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [320, 180];
    const context = canvas.getContext('2d');
    context.drawImage(document.querySelector('#media'), 0, 0, 320, 180);
    const row = context.getImageData(0, 168, 320, 1).data;
    const white = x => row[4 * x] > 127;
    if (!white(24) || white(296)) return null;
    return Array.from({length: 16}, (_, i) => white(40 + 16 * i)).reduce((n, bit) => 2 * n + bit, 0);";

const PLAYS: &str = "const film = document.querySelector('#media');
    if (film.error) throw new Error(film.error.message);
    return !film.paused && film.currentTime > 0.3;";

/// Waits until the film stands where it was sent, with its picture there.
const ARRIVED: &str = "const film = document.querySelector('#media');
    return !film.seeking && film.readyState >= 2 && film.currentTime || false;";

/// Clicks a film of the open listing, and waits until it plays.
#[track_caller]
fn play(browser: &Browser, href: &str) {
    browser.find(&format!("a[href='./{href}']")).click();
    browser.wait_for(PLAYS);
}

/// Jumps by the page's own field, with the film stopped, and tells the time and the frame it is at.
#[track_caller]
fn jump(browser: &Browser, to: &str) -> (f64, Value) {
    browser.run("document.querySelector('#media').pause()");
    browser.run("document.querySelector('#jump').value = ''");
    browser.find("#jump").enter(to);
    browser.find("#go button").click();
    let at = browser.wait_for(ARRIVED).as_f64().unwrap();
    (at, browser.run(BURNT_IN))
}

#[track_caller]
fn assert_content(browser: &Browser) {
    assert_eq!(browser.complaints(), Vec::<String>::new(), "errors on the console");
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_click_plays_and_a_time_jumps_there() {
    let server = Server::start(fixtures(), &[]);
    let browser = Browser::start();
    browser.open(&server.url("/"));
    browser.screenshot(Path::new(env!("CARGO_TARGET_TMPDIR")).join("listing.png"));
    play(&browser, "moov-first.mp4");
    server.answers(206, 1.0);

    let (at, frame) = jump(&browser, "0:05");
    assert!((4.9..5.1).contains(&at), "at {at}");
    assert_eq!(frame, 125);
    browser.screenshot(Path::new(env!("CARGO_TARGET_TMPDIR")).join("playing.png"));
    browser.run("document.querySelector('#media').play()");
    browser.wait_for("return document.querySelector('#media').currentTime > 5.3");
    assert_content(&browser);
}

/// Jumps by the page's own field, and waits for what it says about it.
#[track_caller]
fn told(browser: &Browser, to: &str) -> String {
    browser.run("document.querySelector('#media').pause()");
    browser.run("document.querySelector('#jump').value = ''");
    browser.find("#jump").enter(to);
    browser.run(
        "document.querySelector('#found').textContent = document.querySelector('#note').textContent = ''",
    );
    browser.find("#go button").click();
    let said = browser.wait_for(
        "const text = id => document.querySelector(id).textContent;
         return text('#found') || text('#note') || false",
    );
    browser.wait_for(ARRIVED);
    said.as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_timecode_jumps_to_the_frame_and_shows_its_bytes() {
    let server = Server::start(fixtures(), &[]);
    let browser = Browser::start();
    for (name, facts, bytes) in [
        (
            "moov-first.mp4",
            "25 frames a second, 250 frames",
            "byte 123,886, to be decoded from byte 90,246",
        ),
        (
            "timecode.mov",
            "25 frames a second, 250 frames, timecode from 01:00:00:00",
            "byte 115,233, to be decoded from byte 81,536",
        ),
        (
            "vp9.webm",
            "25 frames a second, 250 frames",
            "byte 143,433, to be decoded from byte 101,725",
        ),
    ] {
        browser.open(&server.url("/"));
        play(&browser, name);
        browser.wait_for("return document.querySelector('#facts').textContent || false");
        assert_eq!(browser.find("#facts").text(), facts);
        for (typed, frame) in [("00:00:05:12", 137), ("#200", 200), ("7.61", 190)] {
            let said = told(&browser, typed);
            assert!(said.starts_with(&format!("Frame {frame}, 00:00:0")), "{name}: {said}");
            assert_eq!(browser.run(BURNT_IN), frame, "{name}: {typed}");
        }
        let said = told(&browser, "00:00:05:12");
        assert_eq!(said, format!("Frame 137, 00:00:05:12: {bytes}"));
        assert_content(&browser);
    }
    // What is not exact in an answer stands beside it.
    browser.open(&server.url("/"));
    play(&browser, "fragmented.mp4");
    told(&browser, "0.01");
    assert!(browser.find("#remarks").text().starts_with("No sync sample lies at or before"));
    told(&browser, "5");
    assert_eq!(browser.find("#remarks").text(), "");
    // The own timecode track is offered where there is one.
    browser.open(&server.url("/"));
    play(&browser, "timecode.mov");
    browser.wait_for("return !document.querySelector('#meaning').hidden");
    browser.run("document.querySelector('#meaning').value = 'tc'");
    let said = told(&browser, "01:00:05:12");
    assert!(said.starts_with("Frame 137, 01:00:05:12: byte "), "{said}");
    assert_eq!(browser.run(BURNT_IN), 137);
    browser.screenshot(Path::new(env!("CARGO_TARGET_TMPDIR")).join("timecode.png"));
    assert_content(&browser);
    // The server's sentences name its parameters; the page's name what it shows.
    browser.run("document.querySelector('#meaning').value = 'at'");
    let said = told(&browser, "01:00:05:12");
    assert!(said.ends_with("it is there: choose “as the timecode track”."), "{said}");
    browser.run("document.querySelector('#meaning').value = 'tc'");
    let said = told(&browser, "00:00:05:12");
    assert!(said.contains("choose “since the start” for the time"), "{said}");
    // What can't be meant is a sentence, and the film stays where it is.
    let said = told(&browser, "01:00:05:25");
    assert!(said.contains("count 0 to 24"), "{said}");
    assert_eq!(told(&browser, " "), "Type a moment, such as 1:30 or 00:01:30:12.");
    assert_eq!(browser.run(BURNT_IN), 137);
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn each_container_that_chromium_knows_plays_and_jumps() {
    let server = Server::start(fixtures(), &[]);
    let browser = Browser::start();
    // Frame 200 is a sync frame, 137 is none. Pictures of fragmented.mp4 are shown two frames later,
    // but Chromium shows a sync frame as soon as it is decoded.
    for (name, frames) in [
        ("moov-first.mp4", [200, 137]),
        ("moov-last.mp4", [200, 137]),
        ("fragmented.mp4", [200, 135]),
        ("timecode.mov", [200, 137]),
        ("vp9.webm", [200, 137]),
        ("film.mkv", [200, 137]),
    ] {
        browser.open(&server.url("/"));
        play(&browser, name);
        assert_eq!(jump(&browser, "8.03").1, frames[0], "{name}");
        assert_eq!(jump(&browser, "0:05.510").1, frames[1], "{name}");
        assert_content(&browser);
    }
    server.answers(206, 6.0);
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_film_that_the_browser_cannot_play_says_so() {
    let server = Server::start(fixtures(), &[]);
    let browser = Browser::start();
    browser.open(&server.url("/"));
    browser.find("a[href='./stream.ts']").click();
    assert_eq!(browser.find("#trouble").text(), "This browser plays no MPEG-TS.");
    let link = server.url("/stream.ts");
    assert_eq!(browser.run("return document.querySelector('#file').href"), link);
    assert_eq!(browser.find("#players code").text(), format!("mpv '{link}'"));
    // Its bytes are told all the same.
    browser.find("#jump").enter("00:00:05:12");
    browser.find("#go button").click();
    browser.wait_for("return document.querySelector('#found').textContent.startsWith('Frame 137')");
    assert_eq!(browser.find("#back code").text(), format!("mpv --start=5.501 '{link}'"));
    browser.screenshot(Path::new(env!("CARGO_TARGET_TMPDIR")).join("stranger.png"));
    play(&browser, "vp9.webm");
    for empty in ["#trouble", "#players", "#back"] {
        assert_eq!(browser.find(empty).text(), "", "{empty}");
    }
    assert_content(&browser);
}

/// A file that says it is a film, and is none.
#[test]
#[ignore = "needs chromium and chromedriver"]
fn what_turns_out_to_be_no_film_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("no.mp4"), "no film").unwrap();
    let server = Server::start(folder.path(), &[]);
    let browser = Browser::start();
    browser.open(&server.url("/"));
    browser.find("a[href='./no.mp4']").click();
    browser.wait_for("return document.querySelector('#trouble').textContent !== ''");
    assert_eq!(browser.find("#players code").text(), format!("mpv '{}'", server.url("/no.mp4")));
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_link_names_a_timecode_and_says_where_its_film_is_gone() {
    let server = Server::start(fixtures(), &[]);
    let browser = Browser::start();
    browser.open(&server.url("/#play=moov-first.mp4&t=00:00:08:00"));
    browser.wait_for(ARRIVED);
    assert_eq!(browser.wait_for(BURNT_IN), 200);
    browser.run("location.hash = '#play=gone.mp4&t=5'");
    browser.wait_for("return document.querySelector('#missing').textContent !== ''");
    assert!(browser.find("#missing").text().contains("gone.mp4"));
    play(&browser, "vp9.webm");
    assert_eq!(browser.find("#missing").text(), "");
    assert_content(&browser);
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn names_of_any_letters_play() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("50% #1 'ㄱ'");
    let names = ["#1 100%25 \"한글\" 'it' 🎬 <b>&amp;.mp4", "?a=b&c;d+e\\f.mp4", " .mp4"];
    fs::create_dir(&below).unwrap();
    for name in names {
        fs::copy(fixtures().join("moov-first.mp4"), below.join(name)).unwrap();
    }
    let server = Server::start(folder.path(), &[]);
    let browser = Browser::start();
    for name in names {
        browser.open(&server.url("/"));
        browser.find("td.folder a").click();
        let links = "[...document.querySelectorAll('a[data-play]')]";
        let quoted = Value::from(name);
        let link = format!("{links}.find(a => a.textContent === {quoted})");
        browser.wait_for(&format!("return !!{link}"));
        browser.run(&format!("{link}.click()"));
        browser.wait_for(PLAYS);
        assert_eq!(browser.run("return document.querySelector('#title').textContent"), name);
        assert_eq!(jump(&browser, "8.01").1, 200, "{name}");

        // The address in the bar is a link to this picture.
        browser.wait_for("return location.hash.endsWith('&t=8.01')");
        let address = browser.run("return location.href");
        browser.open("about:blank");
        browser.open(address.as_str().unwrap());
        assert_eq!(browser.wait_for(ARRIVED), 8.01, "{name}");
        assert_eq!(browser.run(BURNT_IN), 200, "{name}");
        assert_content(&browser);
    }
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn the_page_fits_a_phone_in_the_dark() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("{}.mp4", "An_unbroken_name_of_a_long_film_".repeat(6));
    for name in [long.as_str(), "film.mp4"] {
        fs::copy(fixtures().join("moov-first.mp4"), folder.path().join(name)).unwrap();
    }
    let server = Server::start(folder.path(), &[]);
    let browser = Browser::start();
    browser.be_a_phone_in_the_dark();
    browser.open(&server.url("/"));
    play(&browser, &long);
    assert_eq!(jump(&browser, "5").1, 125);
    browser.screenshot(Path::new(env!("CARGO_TARGET_TMPDIR")).join("phone.png"));
    let page = browser.run(
        "const {scrollWidth, clientWidth} = document.documentElement;
         const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g);
         return {fits: scrollWidth <= clientWidth, dark: Math.max(r, g, b) < 64};",
    );
    assert_eq!((&page["fits"], &page["dark"]), (&true.into(), &true.into()));
    assert_content(&browser);
}

/// What a page gets that fetches `url` with these request headers, or the error's name.
#[track_caller]
fn fetch(browser: &Browser, url: &str, headers: &str) -> Value {
    browser.run(&format!(
        "return fetch('{url}', {{cache: 'no-store', headers: {headers}}}).then(async answer => ({{
            status: answer.status,
            range: answer.headers.get('Content-Range'),
            length: answer.headers.get('Content-Length'),
            ranges: answer.headers.get('Accept-Ranges'),
            etag: answer.headers.get('ETag'),
            bytes: (await answer.arrayBuffer()).byteLength,
        }}), error => error.name)"
    ))
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_page_of_another_origin_reads_ranges() {
    let films = Server::start(fixtures(), &[]);
    let elsewhere = Server::start(fixtures(), &[]);
    let browser = Browser::start();
    browser.open(&elsewhere.url("/-/health"));
    let url = films.url("/moov-first.mp4");

    let answer = fetch(&browser, &url, "{Range: 'bytes=1000-1999'}");
    assert_eq!(answer["status"], 206);
    assert_eq!(answer["range"], "bytes 1000-1999/218084");
    assert_eq!((&answer["length"], &answer["bytes"]), (&"1000".into(), &1000.into()));
    assert_eq!(answer["ranges"], "bytes");
    // A condition or a suffix is asked for beforehand (OPTIONS).
    let etag = answer["etag"].as_str().unwrap();
    let known = format!("{{Range: 'bytes=-500', 'If-Range': '{etag}'}}");
    assert_eq!(fetch(&browser, &url, &known)["range"], "bytes 217584-218083/218084");
    films.answers(204, 1.0);
    let past = fetch(&browser, &url, "{Range: 'bytes=999999-'}");
    assert_eq!((&past["status"], &past["range"]), (&416.into(), &"bytes */218084".into()));
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn no_page_of_another_origin_reads_where_it_is_forbidden() {
    let films = Server::start(fixtures(), &["--no-cors"]);
    let elsewhere = Server::start(fixtures(), &[]);
    let browser = Browser::start();
    let url = films.url("/moov-first.mp4");
    browser.open(&elsewhere.url("/-/health"));
    assert_eq!(fetch(&browser, &url, "{Range: 'bytes=0-9'}"), "TypeError");
    browser.open(&films.url("/-/health"));
    assert_eq!(fetch(&browser, &url, "{Range: 'bytes=0-9'}")["range"], "bytes 0-9/218084");
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_stream_plays_from_its_edge_and_from_its_start_while_it_is_sent() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &["--ingest", "."]);
    let film = fs::read(fixtures().join("fragmented.mp4")).unwrap();
    let most = film.len() * 4 / 5;
    let mut encoder = Encoder::begin(&server, "/cam.mp4");
    encoder.send(&film[..most]);
    let browser = Browser::start();
    let offset = || server.ask("HEAD /cam.mp4 HTTP/1.1").header("upload-offset").to_owned();
    until("it has come", || offset() == most.to_string());
    browser.open(&server.url("/"));
    play(&browser, "cam.mp4?from=live");
    // Frame 50 begins the second fragment.
    let sought = told(&browser, "00:00:02:00");
    let second = server.get("/cam.mp4?at=00:00:02:00");
    let second: Value = serde_json::from_slice(&second.body).unwrap();
    assert_eq!(second["growing"], true);
    assert!(sought.starts_with("Frame 50, 00:00:02:00: byte "), "{sought}");
    let bytes = sought.replace([',', '.'], "");
    assert!(bytes.contains(&format!("byte {}", second["frame"]["byte_offset"])), "{sought}");
    for past in ["3600", "01:00:00:00"] {
        let refused = told(&browser, past);
        assert!(refused.contains("still growing"), "{refused}");
    }
    let complaints = browser.complaints();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints.iter().all(|complaint| complaint.contains("416")), "{complaints:?}");
    let facts = browser.run("return document.querySelector('#facts').textContent");
    assert!(facts.as_str().unwrap().starts_with("25 frames a second"), "{facts}");
    browser
        .run("const film = document.querySelector('#media'); film.src = './cam.mp4'; film.play()");
    browser.wait_for(PLAYS);
    assert_eq!(browser.run("return document.querySelector('#media').currentTime < 5"), true);
    encoder.send(&film[most..]);
    assert_eq!(encoder.end(), 201);
    browser.run("document.querySelector('#media').playbackRate = 4");
    browser.wait_for("return document.querySelector('#media').ended");
    assert_content(&browser);
}

/// Sends that much of `film` to `path`, and waits until it has come.
fn sent(server: &Server, path: &str, film: &[u8]) -> Encoder {
    let mut encoder = Encoder::begin(server, path);
    encoder.send(film);
    let offset = || server.ask(&format!("HEAD {path} HTTP/1.1")).header("upload-offset").to_owned();
    until("it has come", || offset() == film.len().to_string());
    encoder
}

const SOURCE: &str = "return document.querySelector('#media').src";

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_link_to_a_stream_holds_when_it_has_ended() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &["--ingest", "."]);
    let film = fs::read(fixtures().join("fragmented.mp4")).unwrap();
    let most = film.len() * 4 / 5;
    let mut encoder = sent(&server, "/cam.mp4", &film[..most]);
    let browser = Browser::start();
    browser.open(&server.url("/#play=cam.mp4&t=2"));
    browser.wait_for("return document.querySelector('#found').textContent.startsWith('Frame 48,')");
    assert_eq!(browser.find("#missing").text(), "");
    assert_eq!(browser.run(SOURCE), server.url("/cam.mp4?from=live"));
    // Chromium can't go there; the page says so, and how else to.
    assert!(browser.find("#why").text().contains("still being sent"));
    let line = format!("mpv --start=2.000 '{}'", server.url("/cam.mp4"));
    assert_eq!(browser.find("#back code").text(), line);
    browser.screenshot(Path::new(env!("CARGO_TARGET_TMPDIR")).join("rewind.png"));
    browser.find("#anew").click();
    browser.wait_for(PLAYS);
    assert_eq!(browser.run(SOURCE), server.url("/cam.mp4"));
    assert_eq!(browser.run("return document.querySelector('#media').currentTime < 5"), true);
    assert_eq!(browser.find("#back").text(), "");

    browser.wait_for("return location.hash.startsWith('#play=cam.mp4&t=')");
    encoder.send(&film[most..]);
    assert_eq!(encoder.end(), 201);
    browser.open("about:blank");
    browser.open(&server.url("/#play=cam.mp4&t=8.03"));
    // Chromium's clock has microseconds, and cuts.
    let at = browser.wait_for(ARRIVED).as_f64().unwrap();
    assert!((8.0299..=8.03).contains(&at), "at {at}");
    assert_eq!(browser.run(BURNT_IN), 200);
    assert_content(&browser);
}

#[test]
#[ignore = "needs chromium, chromedriver and ffmpeg"]
fn a_stream_that_cannot_be_joined_plays_from_its_start() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &["--ingest", "."]);
    let fragmented = fixtures().join("fragmented.mp4");
    let film = root.path().join(".absolute.mp4");
    // Without default_base_moof.
    let copy = ["-c", "copy", "-movflags", "frag_keyframe+empty_moov"];
    let paths = [fragmented.to_str().unwrap(), film.to_str().unwrap()];
    let read = ["-v", "error", "-i", paths[0]];
    output("ffmpeg", read.into_iter().chain(copy).chain([paths[1]]));
    let film = fs::read(film).unwrap();
    let _encoder = sent(&server, "/cam.mp4", &film[..film.len() * 4 / 5]);
    let browser = Browser::start();
    browser.open(&server.url("/"));
    play(&browser, "cam.mp4?from=live");
    assert_eq!(browser.run(SOURCE), server.url("/cam.mp4"));
    browser.wait_for("return document.querySelector('#why').textContent !== ''");
    let why = browser.find("#why").text();
    assert!(why.starts_with("It plays from its start: this stream can't be joined"), "{why}");
    assert!(why.ends_with("-movflags +default_base_moof."), "{why}");
    browser.screenshot(Path::new(env!("CARGO_TARGET_TMPDIR")).join("joined.png"));
    assert!(browser.complaints().iter().all(|complaint| complaint.contains("409")));
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_transport_stream_that_is_being_sent_is_for_other_players() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &["--ingest", "."]);
    let film = fs::read(fixtures().join("stream.ts")).unwrap();
    let _encoder = sent(&server, "/cam.ts", &film[..film.len() / 2]);
    let browser = Browser::start();
    browser.open(&server.url("/"));
    browser.find("a[href='./cam.ts?from=live']").click();
    assert_eq!(browser.find("#trouble").text(), "This browser plays no MPEG-TS.");
    let line = format!("mpv '{}'", server.url("/cam.ts?from=live"));
    assert_eq!(browser.find("#players code").text(), line);
    assert_eq!(browser.run(SOURCE), "");
    assert_content(&browser);
}
