//! What the figures were measured on, and what a process took of it.

use nix::{time::clock_getcpuclockid, unistd::Pid};
use std::{fs, process::Command, time::Duration};

/// One line that names processor, cores, memory and kernel.
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cpu = field(&read("/proc/cpuinfo"), "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kernel = read("/proc/sys/kernel/osrelease");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} x {cpu}, {memory}, Linux {}", kernel.trim())
}

/// The first line that a program prints of its version, from either of its outputs.
pub fn version(program: &str, flag: &str) -> Option<String> {
    let output = Command::new(program).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
}

/// Seconds of processor time that a process and its children have taken, to the nanosecond: all
/// their threads, those that have ended included.
pub fn cpu_seconds(pid: u32) -> f64 {
    let taken = |pid: u32| {
        let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into().ok()?)).ok()?;
        Some(Duration::from(clock.now().ok()?).as_secs_f64())
    };
    tree(pid).into_iter().filter_map(taken).sum()
}

/// Resident memory of a process and its children in KiB: (anonymous, file).
pub fn resident_kib(pid: u32) -> (u64, u64) {
    let of = |key: &str| {
        let each = tree(pid).into_iter().filter_map(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        });
        each.sum()
    };
    (of("RssAnon:"), of("RssFile:"))
}

fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

fn tree(root: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> =
        pids.filter_map(|pid| Some((pid, stat(pid)?.get(1)?.parse().ok()?))).collect();
    let mut tree = vec![root];
    let mut at = 0;
    while let Some(of) = tree.get(at).copied() {
        tree.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        at += 1;
    }
    tree
}
