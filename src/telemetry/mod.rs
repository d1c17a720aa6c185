//! What the server tells its operator: logs, the access log, counters. Never a byte of a film.

pub mod access;
pub mod metrics;

pub use access::{AccessLog, Line};
pub use metrics::Metrics;

use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Lines that wait for a slow reader of a log; more are dropped rather than hold a request up.
const WAITING_LINES: usize = 8192;

/// Sends log lines of `level` and worse to standard error until the guard is dropped.
pub fn log_to_stderr(level: LevelFilter) -> WorkerGuard {
    let (writer, guard) = unhurried(std::io::stderr());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry().with(lines.with_filter(level)).init();
    guard
}

/// A writer that never makes its caller wait: a thread of its own writes to `target`.
pub(crate) fn unhurried(
    target: impl std::io::Write + Send + 'static,
) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).finish(target)
}
