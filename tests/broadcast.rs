//! A real stream from ffmpeg, watched by ffprobe, mpv and ffmpeg while it grows, and read to its end.

mod support;

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};
use support::{
    Server,
    command::until,
    live::Reader,
    programs::{finish, output},
};

const LIMIT: Duration = Duration::from_secs(60);

/// How long the stream goes on, in seconds.
const LENGTH: &str = "24";

/// Sends a test picture in real time.
fn encode(url: &str, muxer: &[&str]) -> Child {
    let picture = "testsrc2=size=640x360:rate=25";
    Command::new("ffmpeg")
        .args(["-v", "error", "-re", "-f", "lavfi", "-i", picture, "-t", LENGTH])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p"])
        .args(muxer)
        .args(["-method", "PUT", url])
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn watched(path: &str, muxer: &[&str]) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("live")).unwrap();
    let server = Server::start(root.path(), &["--ingest", "live"]);
    let (url, live) = (server.url(path), server.url(&format!("{path}?from=live")));
    let mut encoder = encode(&url, muxer);
    let offset = || -> u64 {
        let head = server.ask(&format!("HEAD {path} HTTP/1.1"));
        head.header("upload-offset").parse().unwrap_or(0)
    };
    until("some seconds have come", || offset() > 150_000);

    let early = Reader::ask(&server, &format!("GET {path} HTTP/1.1"));
    let seen = early.header("etag").to_owned();
    let begun = offset() as usize;
    for at in [&url, &live] {
        // From the start and from the edge: some pictures decode, long before the stream ends.
        let frames = "stream=codec_name,nb_read_frames";
        let probe = ["-v", "error", "-select_streams", "v", "-count_frames", "-read_intervals"];
        let probe =
            probe.iter().copied().chain(["%+#20", "-show_entries", frames, "-of", "csv=p=0"]);
        let text = String::from_utf8(output("ffprobe", probe.chain([at.as_str()]))).unwrap();
        assert!(text.starts_with("h264,"), "{at}: {text}");
        let mut mpv = Command::new("mpv");
        mpv.args(["--no-config", "--vo=null", "--ao=null", "--untimed", "--frames=10", at]);
        let mpv = finish(&mut mpv, LIMIT);
        assert!(mpv.status.success(), "{at}: {mpv:?}");
        assert!(encoder.try_wait().unwrap().is_none(), "it ended before it was watched");
    }
    // A fragment is a second long: one more at least has begun since the first was watched.
    until("the edge has left the start", || offset() > 3 * 150_000);
    let edge = Reader::ask(&server, &format!("GET {path}?from=live HTTP/1.1"));
    assert!(encoder.wait().unwrap().success());

    let (all, whole) = early.rest();
    let stored = fs::read(root.path().join(&path[1..])).unwrap();
    assert!(whole && all == stored && all.len() > begun);
    let (joined, whole) = edge.rest();
    assert!(whole && stored.ends_with(&joined[joined.len() - 10_000..]));
    assert!(joined.len() < stored.len(), "the edge was not at the start");
    let after = server.get(path);
    assert!(after.body == stored && after.header("etag") == seen);
    let decoded = output("ffmpeg", ["-v", "error", "-i", &url, "-f", "null", "-"]);
    assert!(decoded.is_empty());
}

#[test]
#[ignore = "needs ffmpeg, ffprobe, mpv"]
fn a_transport_stream_is_watched_while_it_is_sent() {
    watched("/live/cam.ts", &["-f", "mpegts"]);
}

#[test]
#[ignore = "needs ffmpeg, ffprobe, mpv"]
fn fragmented_mp4_is_watched_while_it_is_sent() {
    let flags = "frag_keyframe+empty_moov+default_base_moof";
    watched("/live/cam.mp4", &["-f", "mp4", "-movflags", flags]);
}
