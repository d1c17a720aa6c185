//! Other people's programs (curl, ffprobe, ffmpeg, mpv) as clients in tests. None outlives its time
//! limit, and a failure shows the command and its standard error.
#![allow(dead_code)] // Each test uses a part.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

/// The standard output of a program that must succeed.
#[track_caller]
pub fn output<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(args);
    let output = finish(&mut command, LIMIT);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{error}", output.status);
    output.stdout
}

/// What a program did, success or not, when it ended within the limit.
#[track_caller]
pub fn finish(command: &mut Command, limit: Duration) -> Output {
    let streams = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match streams.spawn() {
        Ok(child) => child,
        Err(why) => panic!("{command:?} did not start: {why}"),
    };
    // Both are read at once, or a full pipe would hold the program up.
    let stdout = read(child.stdout.take().expect("piped"));
    let stderr = read(child.stderr.take().expect("piped"));
    let end = Instant::now() + limit;
    let status = loop {
        match child.try_wait().expect("a child to wait for") {
            Some(status) => break Some(status),
            None if Instant::now() >= end => break None,
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let stdout = stdout.join().expect("standard output");
    let stderr = stderr.join().expect("standard error");
    let Some(status) = status else {
        panic!("{command:?} still ran after {limit:?}\n{}", String::from_utf8_lossy(&stderr));
    };
    Output { status, stdout, stderr }
}

fn read(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is still worth showing.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}
