//! A real browser for tests: headless Chromium, led through chromedriver. It panics where a test
//! should fail, and knows nothing of reelmap.
//!
//! ```text
//! test --JSON over HTTP/1.1--> chromedriver --> chromium
//! ```
//! A few requests of W3C WebDriver, by hand: the crates that speak it bring an asynchronous HTTP
//! client and TLS.
#![allow(dead_code)] // Each test uses a part.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Longer than the page and script limits, so that the message seen is chromedriver's own.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
const QUIT_LIMIT: Duration = Duration::from_secs(5);
const WAIT_LIMIT: Duration = Duration::from_secs(20);
/// The name WebDriver gives an element's identifier (W3C WebDriver §12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one empty page and a profile of its own; dropping it ends it.
pub struct Browser {
    // Fields drop in this order: the browser is closed before its profile is removed.
    driver: Driver,
    _profile: tempfile::TempDir,
}

impl Browser {
    #[track_caller]
    pub fn start() -> Browser {
        let profile = tempfile::tempdir().expect("a folder for the browser's profile");
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--autoplay-policy=no-user-gesture-required",
            "--window-size=1280,800",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let driver = Driver::start(json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "pageLoad": 20_000, "script": 20_000 },
        }}}));
        Browser { driver: or_fail(driver), _profile: profile }
    }

    /// Opens a page and waits for its load event.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.ask("POST", "/url", json!({ "url": url }));
    }

    /// The first element that matches now; nothing is waited for.
    #[track_caller]
    pub fn find(&self, css: &str) -> Element<'_> {
        let found = self.ask("POST", "/element", json!({ "using": "css selector", "value": css }));
        let id = found[ELEMENT].as_str().expect("an element's identifier").to_owned();
        Element { browser: self, id }
    }

    /// Runs the body of a function in the page; what it returns, a promise's value included.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", json!({ "script": script, "args": [] }))
    }

    /// Asks the page again and again until the script returns something true, and gives that back.
    #[track_caller]
    pub fn wait_for(&self, script: &str) -> Value {
        let end = Instant::now() + WAIT_LIMIT;
        loop {
            let answer = self.run(script);
            if !matches!(answer, Value::Null | Value::Bool(false)) {
                return answer;
            }
            assert!(Instant::now() < end, "still not true after {WAIT_LIMIT:?}: {script}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes the page believe in a phone of 360x720, held in the dark.
    #[track_caller]
    pub fn be_a_phone_in_the_dark(&self) {
        let screen = json!({ "width": 360, "height": 720, "deviceScaleFactor": 2, "mobile": true });
        self.chromium("Emulation.setDeviceMetricsOverride", screen);
        let dark = json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
        self.chromium("Emulation.setEmulatedMedia", json!({ "features": dark }));
    }

    /// A command of Chromium's own (Chrome DevTools Protocol).
    #[track_caller]
    fn chromium(&self, command: &str, parameters: Value) {
        self.ask("POST", "/goog/cdp/execute", json!({ "cmd": command, "params": parameters }));
    }

    /// The errors on the console since the last time they were asked for: of scripts, of the content
    /// security policy, of the network. That a page has no icon is none.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let log = self.ask("POST", "/se/log", json!({ "type": "browser" }));
        let entries = log.as_array().expect("the console's entries").iter();
        entries
            .filter(|entry| entry["level"] == "SEVERE")
            .filter_map(|entry| entry["message"].as_str())
            .filter(|message| !message.contains("/favicon.ico"))
            .map(str::to_owned)
            .collect()
    }

    /// Writes the visible part of the page as PNG.
    #[track_caller]
    pub fn screenshot(&self, file: impl AsRef<Path>) {
        let answer = self.ask("GET", "/screenshot", Value::Null);
        let png = STANDARD.decode(answer.as_str().expect("a screenshot")).expect("base64");
        fs::write(file, png).expect("the screenshot's file");
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let path = format!("/session/{}{path}", self.driver.session);
        or_fail(self.driver.send(method, &path, &body, REQUEST_LIMIT))
    }
}

/// An element of the page that was open when it was found.
pub struct Element<'a> {
    browser: &'a Browser,
    id: String,
}

impl Element<'_> {
    #[track_caller]
    pub fn click(&self) {
        self.ask("POST", "click", json!({}));
    }

    #[track_caller]
    pub fn enter(&self, text: &str) {
        self.ask("POST", "value", json!({ "text": text }));
    }

    #[track_caller]
    pub fn text(&self) -> String {
        self.ask("GET", "text", Value::Null).as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn ask(&self, method: &str, what: &str, body: Value) -> Value {
        self.browser.ask(method, &format!("/element/{}/{what}", self.id), body)
    }
}

/// A running chromedriver and its one session.
struct Driver {
    process: Child,
    port: u16,
    session: String,
    browser_pid: Option<i32>,
}

impl Driver {
    fn start(capabilities: Value) -> Result<Driver, String> {
        // In our own process group, so that an interrupt at the terminal reaches browser and all.
        let process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| format!("chromedriver (package chromium-driver): {why}"))?;
        let mut driver = Driver { process, port: 0, session: String::new(), browser_pid: None };
        driver.port = driver.read_port()?;
        let made = driver.send("POST", "/session", &capabilities, REQUEST_LIMIT)?;
        driver.session = made["sessionId"].as_str().unwrap_or_default().to_owned();
        let pid = made["capabilities"]["goog:processID"].as_i64();
        driver.browser_pid = pid.and_then(|pid| pid.try_into().ok());
        Ok(driver)
    }

    fn read_port(&mut self) -> Result<u16, String> {
        let mut lines = BufReader::new(self.process.stdout.take().expect("piped")).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
            })
            .ok_or("chromedriver ended without naming its port")?;
        // Read on, or a full pipe would one day stop it.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(port)
    }

    /// One request on a connection of its own; WebDriver's `value`, or its error as text.
    fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        limit: Duration,
    ) -> Result<Value, String> {
        let answer = self
            .exchange(method, path, body, limit)
            .map_err(|why| format!("chromedriver, {method} {path}: {why}"))?;
        match &answer["value"] {
            Value::Object(fields) if fields.contains_key("error") => Err(format!(
                "chromedriver, {method} {path} {body}: {}",
                fields["message"].as_str().unwrap_or_default()
            )),
            value => Ok(value.clone()),
        }
    }

    fn exchange(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        limit: Duration,
    ) -> io::Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(limit))?;
        let length = body.len();
        let host = format!("127.0.0.1:{}", self.port);
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}");
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes())?;

        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            if answer.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end().split_once(':') {
                _ if line.trim_end().is_empty() => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().map_err(io::Error::other)?;
                }
                _ => {}
            }
        }
        Ok(serde_json::from_reader(answer.take(length))?)
    }
}

impl Drop for Driver {
    /// Runs while a failed test unwinds, too, so nothing here may panic.
    fn drop(&mut self) {
        let session = format!("/session/{}", self.session);
        let quit = !self.session.is_empty()
            && self.send("DELETE", &session, &Value::Null, QUIT_LIMIT).is_ok();
        if let (false, Some(pid)) =
            (quit, self.browser_pid.and_then(rustix::process::Pid::from_raw))
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Fails the test at the test's own line, with chromedriver's words unquoted.
#[track_caller]
fn or_fail<T>(result: Result<T, String>) -> T {
    match result {
        Ok(value) => value,
        Err(why) => panic!("{why}"),
    }
}
