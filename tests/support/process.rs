//! The `reelmap` command as a process of its own: for what a thread of the test can't show, its
//! memory, and for files that the test's own process serves to the kernel.
#![allow(dead_code)] // Each test uses a part.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
};

/// A value of this type is a running server; dropped, it is killed.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
    /// Reads on what it says, so that a full pipe never holds it up.
    listener: Option<JoinHandle<()>>,
}

impl Process {
    /// Serves `root` at a free port with two runtime threads, without an access log.
    pub fn start(root: impl AsRef<Path>, flags: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reelmap"));
        for (name, _) in std::env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("REELMAP_")))
        {
            command.env_remove(name);
        }
        command.arg("serve").arg(root.as_ref()).args(["--listen", "127.0.0.1:0"]);
        command.args(["--threads", "2", "--access-log", "off", "--max-connections", "512"]);
        command.args(["--open-files", "256"]).args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                let status = child.wait();
                panic!("reelmap did not start ({status:?}): {said}");
            };
            let url = line.split_once("http://").and_then(|(_, rest)| rest.split_once('/'));
            if let Some(Ok(address)) = url.map(|(address, _)| address.parse()) {
                break address;
            }
            said.push_str(&line);
        };
        let listener = thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| eprintln!("{line}"));
        });
        Process { address, child, listener: Some(listener) }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A line of `/proc/PID/status` that tells a size, in KiB.
    pub fn kib(&self, name: &str) -> u64 {
        kib(self.id(), name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

/// The same, of any process.
pub fn kib(id: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}
