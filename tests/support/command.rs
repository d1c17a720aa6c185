//! The `reelmap` program as a user starts it, for what only a process has: a command line, an
//! environment, signals, an exit status, standard output and standard error.
#![allow(dead_code)] // Each test uses a part.

use super::Client;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long something may take that should happen soon.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, with nothing of this process's environment that it would listen to.
pub fn reelmap() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelmap"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REELMAP_")) {
        command.env_remove(name);
    }
    command
}

/// Asks again and again until `condition` holds.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A value of this type is a `reelmap serve` that runs; dropped, it is killed.
pub struct Program {
    child: Child,
    /// Lines of standard error as they come.
    errors: mpsc::Receiver<String>,
    /// What it said of what another process had left.
    pub before: Vec<String>,
    /// The line that says what is served and where.
    pub first_line: String,
    pub address: SocketAddr,
}

impl Program {
    /// Serves `root` at a free port.
    #[track_caller]
    pub fn start(root: impl AsRef<Path>, flags: &[&str]) -> Program {
        let mut command = reelmap();
        command.arg("serve").arg(root.as_ref()).args(["--listen", "127.0.0.1:0"]).args(flags);
        Program::run(command)
    }

    /// The same with two runtime threads and no access log.
    #[track_caller]
    pub fn quiet(root: impl AsRef<Path>, flags: &[&str]) -> Program {
        let always = ["--threads", "2", "--access-log", "off"];
        Program::start(root, &[&always, flags].concat())
    }

    /// Runs a command that serves.
    #[track_caller]
    pub fn run(mut command: Command) -> Program {
        let streams = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = streams.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, errors) = mpsc::channel();
        // It ends with the program, or with the first line that nobody hears.
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let mut before = Vec::new();
        let first_line = loop {
            match errors.recv_timeout(PATIENCE) {
                Ok(line) if !line.contains("http://") => before.push(line),
                line => break line.unwrap_or_default(),
            }
        };
        let url = first_line.split("http://").nth(1).unwrap_or_else(|| panic!("{first_line:?}"));
        let address = url.split('/').next().unwrap().parse().unwrap();
        Program { child, errors, before, first_line, address }
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Sends a signal, and waits for the line that says it was heard.
    pub fn stop(&mut self, signal: Signal) {
        self.signal(signal);
        self.wait_for_line("stopping");
    }

    /// Reads standard error up to a line that holds `words`.
    #[track_caller]
    pub fn wait_for_line(&mut self, words: &str) -> String {
        loop {
            match self.errors.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(words) => return line,
                Ok(_) => {}
                Err(why) => panic!("it never said {words:?}: {why}"),
            }
        }
    }

    /// Leaves it `most` file descriptors.
    pub fn limit_files(&self, most: u64) {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        prlimit(Some(self.pid()), Resource::Nofile, limit).unwrap();
    }

    /// Leaves it files of `most` bytes.
    pub fn limit_file_size(&self, most: u64) {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        prlimit(Some(self.pid()), Resource::Fsize, limit).unwrap();
    }

    /// Waits until it ends; its status and what it wrote to standard output.
    #[track_caller]
    pub fn ended(mut self) -> (ExitStatus, String) {
        let mut status = None;
        until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        (status.unwrap(), output)
    }

    /// A line of its `/proc/PID/status` that tells a size, in KiB.
    pub fn kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
