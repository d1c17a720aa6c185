//! What the benchmarks share: servers on one core, a load on another, and the figures of both.
#![allow(dead_code)]

pub mod load;
pub mod machine;
pub mod peers;

/// A value of this type is what each benchmark that goes in rounds is told.
#[derive(clap::Args)]
pub struct Rounds {
    /// Alternating rounds; medians are of these
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// What `cargo bench` passes
    #[arg(long, hide = true)]
    bench: bool,
}

/// The median; of an even number, the higher of the middle two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value that a share of all are at or below.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Keeps this thread, and those it starts, on one core.
pub fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set).expect("a machine of two cores");
}

/// Lets this process open as many files as it may.
pub fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
}
