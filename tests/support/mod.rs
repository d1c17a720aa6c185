//! What the tests share: a server on a port of its own, and a client that sends the very bytes it
//! is told to. Not every test uses all of it.
#![allow(dead_code)]

pub mod browser;
pub mod command;
pub mod ingest;
pub mod live;
pub mod programs;
pub mod stage;

use clap::Parser;
use reelmap::{
    config::{Cli, Command, Config},
    serve,
    telemetry::AccessLog,
};
use socket2::{Domain, Socket, Type};
use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How long a client waits for bytes before its test fails: far more than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A value of this type is a server in a thread of this process; dropped, it stops.
pub struct Server {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `root` with the flags of `reelmap serve`, at a free port.
    pub fn start(root: impl AsRef<Path>, flags: &[&str]) -> Server {
        let root = root.as_ref().to_str().unwrap();
        let always = ["reelmap", "serve", root, "--threads", "2", "--drain", "0"];
        let line = always.iter().chain(flags);
        let Command::Serve(typed) = Cli::try_parse_from(line).unwrap().command else {
            unreachable!()
        };
        let config = Config::new(typed, None).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(config.threads).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = serve::listen(([127, 0, 0, 1], 0).into()).unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let app = serve::App::new(config, AccessLog::Off).unwrap();
                serve::run(vec![listener], app, async { stopped.await.unwrap_or(()) }).await;
            });
            runtime.shutdown_background();
        });
        Server { address: told.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// One request on a connection of its own; `head` is its lines, `Host` is added.
    pub fn ask(&self, head: &str) -> Response {
        self.connect().ask(head)
    }

    pub fn get(&self, path: &str) -> Response {
        self.ask(&format!("GET {path} HTTP/1.1"))
    }

    /// The value of a line of the metrics page, as `name{labels}`.
    pub fn metric(&self, name: &str) -> f64 {
        let page = String::from_utf8(self.get("/-/metrics").body).unwrap();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or("0").parse().unwrap()
    }

    /// How many answers had that status, once there were at least `wanted`: an answer is counted
    /// when the server is done with it, which may be after the client has all of it.
    #[track_caller]
    pub fn answers(&self, status: u16, wanted: f64) -> f64 {
        let end = Instant::now() + PATIENCE;
        loop {
            let answers = self.metric(&format!("reelmap_requests_total{{status=\"{status}\"}}"));
            if answers >= wanted {
                return answers;
            }
            assert!(Instant::now() < end, "{answers} answers with {status}, not {wanted}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the server panicked");
            }
        }
    }
}

/// A value of this type is one connection to a server.
pub struct Client {
    pub stream: TcpStream,
    /// Bytes that came after the last response.
    ahead: Vec<u8>,
}

/// A value of this type is what came back.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// By name in lower case; of several lines of one name, the last.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    /// Whether the body had the length that was promised.
    pub complete: bool,
}

impl Response {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).unwrap())
    }

    /// The same by sockets that hold little, some 100 KiB: what isn't read waits in the server.
    pub fn connect_narrow(address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        // The kernel's buffers are a number of segments.
        socket.set_tcp_mss(536).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        Client::over(socket.into())
    }

    fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { stream, ahead: Vec::new() }
    }

    pub fn port(&self) -> u16 {
        self.stream.local_addr().unwrap().port()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends a request without a body: its lines, then `Host`, then the empty line.
    pub fn request(&mut self, head: &str) {
        self.send(format!("{}\r\nHost: test\r\n\r\n", head.trim_end().replace('\n', "\r\n")));
    }

    pub fn ask(&mut self, head: &str) -> Response {
        self.request(head);
        let method = head.split(' ').next().unwrap();
        self.response(method)
    }

    /// Receives a response to `method`.
    pub fn response(&mut self, method: &str) -> Response {
        self.try_response(method).expect("the server closed the connection without an answer")
    }

    /// The same; `None` if the connection ended before its head was there.
    pub fn try_response(&mut self, method: &str) -> Option<Response> {
        let (status, headers) = self.head()?;
        let length = headers.get("content-length").map(|length| length.parse::<usize>().unwrap());
        let bodiless = method == "HEAD" || matches!(status, 204 | 304);
        let wanted = if bodiless { Some(0) } else { length };
        let mut body = std::mem::take(&mut self.ahead);
        let mut chunk = vec![0; 64 * 1024];
        while wanted.is_none_or(|wanted| body.len() < wanted) {
            match self.receive(&mut chunk) {
                Ok(0) => break,
                Ok(read) => body.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("after {} bytes: {error}", body.len()),
            }
        }
        let complete = wanted.is_none_or(|wanted| body.len() >= wanted);
        if let Some(wanted) = wanted.filter(|wanted| *wanted < body.len()) {
            self.ahead = body.split_off(wanted);
        }
        Some(Response { status, headers, body, complete })
    }

    /// Receives the head of a response, and nothing of its body that need not be.
    pub fn head(&mut self) -> Option<(u16, HashMap<String, String>)> {
        let end = loop {
            if let Some(at) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut chunk = [0; 4096];
            match self.receive(&mut chunk) {
                Ok(read) if read > 0 => self.ahead.extend_from_slice(&chunk[..read]),
                Ok(_) => return None,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no head: {error}"),
            }
        };
        let head = String::from_utf8(self.ahead.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some((status, headers))
    }

    /// Receives `length` bytes of a body whose head was received.
    pub fn body(&mut self, length: usize) -> Vec<u8> {
        let ahead = self.ahead.len().min(length);
        let mut body: Vec<u8> = self.ahead.drain(..ahead).collect();
        body.resize(length, 0);
        self.stream.read_exact(&mut body[ahead..]).unwrap();
        body
    }

    /// Receives what comes next; a process that was stopped and goes on is told of an interruption.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// How many bytes of a body came with its head.
    pub fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// Gives away what came of a body with its head.
    pub fn take_ahead(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ahead)
    }

    /// Takes back bytes that were received by hand.
    pub fn push_back(&mut self, bytes: Vec<u8>) {
        self.ahead.splice(0..0, bytes);
    }

    /// Whether the server closes the connection without another byte.
    pub fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.receive(&mut byte) {
            Ok(0) => self.ahead.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
            Ok(_) => false,
        }
    }
}

/// `length` bytes that look random and are the same for the same `seed`; no 16 of them are zero.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&(state | 0x0101_0101_0101_0101).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The folder of the test films.
pub fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"))
}
