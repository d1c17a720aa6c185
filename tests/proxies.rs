//! Behind nginx and Caddy as the README sets them up: what is sent through them arrives at once, and readers
//! at the live edge get it at once.

mod support;

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};
use support::{
    Client, Server,
    command::until,
    fixtures,
    live::{Encoder, Reader},
    noise,
    programs::output,
};

/// The first block of the README that begins with this fence.
fn block(fence: &str) -> String {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, block) = readme.split_once(&format!("```{fence}\n")).expect(fence);
    block.split_once("```").unwrap().0.to_owned()
}

/// A proxy that runs; dropped, it is killed.
struct Proxy {
    child: Child,
    address: SocketAddr,
    /// Whether an answer that was cut isn't passed on as a whole one. Debian 12's Caddy, 2.6, does that.
    tells_cuts: bool,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts `program` in front of `server`, with the configuration that `write` makes of the README's block,
    /// a folder and a port.
    fn start(
        server: &Server,
        fence: &str,
        write: impl Fn(&str, &Path, u16) -> String,
        program: &[&str],
    ) -> Proxy {
        let folder = tempfile::tempdir().unwrap();
        let shown = block(fence);
        assert_eq!(shown.matches("127.0.0.1:8080").count(), 1, "{shown}");
        let shown = shown.replace("127.0.0.1:8080", &server.address.to_string());
        // Neither program tells which port it was given, so one is looked for that is free.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let file = folder.path().join("configuration");
        fs::write(&file, write(&shown, folder.path(), address.port())).unwrap();
        let child = Command::new(program[0])
            .args(&program[1..])
            .arg(&file)
            .env("XDG_DATA_HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let tells_cuts = program[0] == "nginx";
        let proxy = Proxy { child, address, tells_cuts, _folder: folder };
        until("the proxy listens", || TcpStream::connect(address).is_ok());
        proxy
    }

    fn nginx(server: &Server) -> Proxy {
        let write = |shown: &str, folder: &Path, port: u16| {
            let folder = folder.display();
            format!(
                "daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;\n\
                 events {{}}\nhttp {{ access_log off; client_body_temp_path {folder}/body;\n\
                 proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;\n\
                 uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n\
                 server {{ listen 127.0.0.1:{port};\n{shown} }} }}\n"
            )
        };
        Proxy::start(server, "nginx", write, &["nginx", "-e", "stderr", "-c"])
    }

    fn caddy(server: &Server) -> Proxy {
        let write = |shown: &str, _: &Path, port: u16| {
            let site = shown.replace("example.org", &format!("http://:{port}"));
            format!("{{\nadmin off\nauto_https off\n}}\n{site}")
        };
        let run = ["caddy", "run", "--adapter", "caddyfile", "--config"];
        Proxy::start(server, "caddyfile", write, &run)
    }

    fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx's worker outlives a master that is killed.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::TERM,
        );
        let _ = self.child.wait();
    }
}

fn behind(start: impl Fn(&Server) -> Proxy) {
    let root = tempfile::tempdir().unwrap();
    // Longer than the next piece takes to come, and waited for once in vain.
    let flags = ["--ingest", ".", "--live-wait", "5"];
    let server = Server::start(root.path(), &flags);
    let proxy = start(&server);

    // Each piece is seen before the next is sent: nothing on the way waits for more.
    let film = noise(1, 300_000);
    let mut encoder = Encoder::with(proxy.connect(), "/cam.ts");
    encoder.send(&film[..1]);
    until("it is there", || proxy.connect().ask("HEAD /cam.ts HTTP/1.1").status == 200);
    let mut reader = Reader::with(proxy.connect(), "GET /cam.ts HTTP/1.1");
    assert_eq!(reader.take(1), &film[..1]);
    let open = "GET /cam.ts HTTP/1.1\nRange: bytes=1-9007199254740991";
    let mut edge = proxy.connect();
    edge.request(open);
    let mut at = 1;
    for size in [1, 10, 1000, 100_000, 3] {
        encoder.send(&film[at..at + size]);
        assert!(reader.take(size) == film[at..at + size], "{size} bytes after {at}");
        at += size;
    }
    let (status, headers) = edge.head().unwrap();
    assert_eq!(status, 206);
    assert_eq!(headers["content-range"], "bytes 1-9007199254740991/*");

    let ask =
        |range: &str| proxy.connect().ask(&format!("GET /cam.ts HTTP/1.1\nRange: bytes={range}"));
    let inside = ask("10-99");
    assert_eq!((inside.status, inside.header("content-range")), (206, "bytes 10-99/*"));
    assert!(inside.body == film[10..100]);
    let beyond = ask("200000-");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, &*format!("bytes */{at}")));
    // The edge is waited for, and nothing comes.
    assert_eq!(ask(&format!("{at}-")).status, 416);

    encoder.send(&film[at..]);
    assert_eq!(encoder.end(), 201);
    let (rest, whole) = reader.rest();
    assert!(whole && rest == film[at..], "{} bytes, whole: {whole}", rest.len());
    let stored = proxy.connect().ask("GET /cam.ts HTTP/1.1");
    assert!(stored.body == film);
    let etag = stored.header("etag");
    let resumed = format!("GET /cam.ts HTTP/1.1\nRange: bytes=1000-\nIf-Range: {etag}");
    let resumed = proxy.connect().ask(&resumed);
    assert!(resumed.status == 206 && resumed.body == film[1000..]);
    assert_eq!(proxy.connect().ask("GET /cam.ts HTTP/1.1\nRange: bytes=300000-").status, 416);

    // An encoder that is cut off cuts its readers off: they are not told that it is the whole.
    let mut encoder = Encoder::with(proxy.connect(), "/cut.ts");
    encoder.send(b"film");
    until("it is there", || proxy.connect().ask("HEAD /cut.ts HTTP/1.1").status == 200);
    let mut reader = Reader::with(proxy.connect(), "GET /cut.ts HTTP/1.1");
    let mut direct = Reader::ask(&server, "GET /cut.ts HTTP/1.1");
    assert_eq!((reader.take(4), direct.take(4)), (b"film".to_vec(), b"film".to_vec()));
    drop(encoder);
    assert_eq!(direct.rest(), (vec![], false));
    let (rest, whole) = reader.rest();
    assert!(rest.is_empty() && (!whole || !proxy.tells_cuts));

    // A file that is larger than any buffer on the way, by a client that asks before it sends.
    let here = tempfile::tempdir().unwrap();
    let large = here.path().join("large");
    fs::write(&large, noise(2, 12 << 20)).unwrap();
    let (from, to) = (large.to_str().unwrap(), proxy.url("/large"));
    let curl = ["-sSf", "-T", from, "-H", "Expect: 100-continue", &to];
    output("curl", curl);
    assert!(fs::read(root.path().join("large")).unwrap() == fs::read(&large).unwrap());

    // An encoder and a player as they are.
    let film = fixtures().join("moov-first.mp4");
    let url = proxy.url("/tv/cam.ts");
    let send = ["-v", "error", "-i", film.to_str().unwrap(), "-c", "copy", "-f", "mpegts"];
    output("ffmpeg", send.into_iter().chain(["-method", "PUT", &url]));
    let show = ["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"];
    let shown = output("ffprobe", show.into_iter().chain([&*format!("{url}?from=live")]));
    assert!(String::from_utf8(shown).unwrap().starts_with("h264"));
    until("nothing is open", || server.metric("reelmap_streams") == 0.0);
}

#[test]
#[ignore = "needs nginx, curl and ffmpeg"]
fn nginx_holds_nothing_back() {
    behind(Proxy::nginx);
}

#[test]
#[ignore = "needs caddy, curl and ffmpeg"]
fn caddy_holds_nothing_back() {
    behind(Proxy::caddy);
}
