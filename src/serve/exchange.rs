//! One request and its answer, from the head that came in to the last byte that left.

use super::App;
use crate::telemetry::{
    Line,
    metrics::{SentBy, Why},
};
use http::{HeaderValue, Method, Request, header::RANGE};
use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Why an answer ended before its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The file is shorter than it was.
    Shrank,
    /// The file was written to where it had already been read.
    Rewritten,
    /// The file could not be read.
    Unreadable,
    /// The client took no byte for the write time-out.
    Stalled,
    /// What was received of the file isn't all of it.
    Incomplete,
    /// The client left, or the server stopped and would wait no longer.
    Gone,
}

impl Cut {
    fn word(self) -> &'static str {
        match self {
            Cut::Shrank => "shrank",
            Cut::Rewritten => "rewritten",
            Cut::Unreadable => "unreadable",
            Cut::Stalled => "stalled",
            Cut::Incomplete => "incomplete",
            Cut::Gone => "gone",
        }
    }
}

/// A value of this type is one client's connection: who it is, and what it waits for.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    begun: Instant,
    /// Requests that came in.
    requests: AtomicU64,
    /// The number of the one that gave its length twice; 0 if none did.
    two_lengths: AtomicU64,
    /// Exchanges that have not ended.
    open: AtomicU32,
    /// When the last one ended, in milliseconds after `begun`.
    idle_since: AtomicU64,
    /// Those of them whose answers follow a file that grows.
    following: AtomicU32,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr) -> Connection {
        let zero = || AtomicU64::new(0);
        Connection {
            peer,
            begun: Instant::now(),
            requests: zero(),
            two_lengths: zero(),
            open: AtomicU32::new(0),
            idle_since: zero(),
            following: AtomicU32::new(0),
        }
    }

    pub(super) fn note_two_lengths(&self, number: u64) {
        self.two_lengths.store(number, Relaxed);
    }

    /// Whether request `number` gave its length twice (RFC 9112 §6.3: refuse it).
    pub(super) fn has_two_lengths(&self, number: u64) -> bool {
        self.two_lengths.load(Relaxed) == number
    }

    /// Counts a request in, and tells its number, from 1.
    pub(super) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Relaxed) + 1
    }

    /// Since when it has neither a request nor an answer under way; `None` while it has.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.open.load(Relaxed) == 0)
            .then(|| self.begun + Duration::from_millis(self.idle_since.load(Relaxed)))
    }

    /// Whether an answer under way may be silent for long, since it follows a file that grows.
    pub(super) fn follows(&self) -> bool {
        self.following.load(Relaxed) > 0
    }

    fn begin_exchange(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    fn begin_following(&self) {
        self.following.fetch_add(1, Relaxed);
    }

    /// Ends an exchange. The next one may have begun: a client asks again before the last bytes have left.
    fn end_exchange(&self, followed: bool) {
        self.following.fetch_sub(u32::from(followed), Relaxed);
        let elapsed = self.begun.elapsed().as_millis();
        self.idle_since.store(u64::try_from(elapsed).unwrap_or(u64::MAX), Relaxed);
        self.open.fetch_sub(1, Relaxed);
    }
}

/// A value of this type is held by all that has still to do with one request; when the last of
/// them lets go, the request is counted and logged.
pub(super) struct Exchange {
    app: Arc<App>,
    connection: Arc<Connection>,
    started: Instant,
    /// What the access log says of the request; none where it is off.
    asked: Option<Box<Asked>>,
    status: AtomicU16,
    promised: AtomicU64,
    sent: AtomicU64,
    /// The answer follows a file that grows.
    follows: AtomicBool,
    cut: OnceLock<Cut>,
}

struct Asked {
    method: Method,
    target: String,
    range: Option<HeaderValue>,
}

impl Exchange {
    pub(super) fn begin<B>(
        app: &Arc<App>,
        connection: &Arc<Connection>,
        request: &Request<B>,
    ) -> Arc<Exchange> {
        let asked = app.access_log.is_on().then(|| {
            let target = request.uri().path_and_query().map_or("", |target| target.as_str());
            let range = request.headers().get(RANGE).map(detached);
            Box::new(Asked { method: request.method().clone(), target: target.into(), range })
        });
        app.metrics.in_flight.inc();
        connection.begin_exchange();
        Arc::new(Exchange {
            app: app.clone(),
            connection: connection.clone(),
            started: Instant::now(),
            asked,
            status: AtomicU16::new(0),
            promised: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            follows: AtomicBool::new(false),
            cut: OnceLock::new(),
        })
    }

    pub(super) fn app(&self) -> &App {
        &self.app
    }

    /// Notes what was decided: the status, and the length of the body in bytes.
    pub(super) fn promise(&self, status: u16, length: u64) {
        self.status.store(status, Relaxed);
        self.promised.store(length, Relaxed);
    }

    /// The length of the answer's body, in bytes.
    pub(super) fn promised(&self) -> u64 {
        self.promised.load(Relaxed)
    }

    /// Notes body bytes that the kernel took, or that the server composed and gave away.
    pub(super) fn sent(&self, bytes: u64, by: SentBy) {
        self.sent.fetch_add(bytes, Relaxed);
        self.app.metrics.sent(by).inc_by(bytes);
    }

    /// Notes that the answer follows a file that grows.
    pub(super) fn follow(&self) {
        if !self.follows.swap(true, Relaxed) {
            self.connection.begin_following();
        }
    }

    /// Notes that the file leaves by vectored writes, since `sendfile` doesn't work for it.
    pub(super) fn note_fallback(&self) {
        self.app.metrics.fallbacks.inc();
        tracing::info!("a file system has no sendfile: its files leave by vectored writes");
    }

    /// Notes why the answer ends early; the first cause is the one that counts.
    pub(super) fn cut(&self, why: Cut) {
        self.cut.get_or_init(|| why);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let status = self.status.load(Relaxed);
        let sent = self.sent.load(Relaxed);
        let whole = status != 0 && sent >= self.promised.load(Relaxed);
        let cut = self.cut.get().copied().or_else(|| (!whole).then_some(Cut::Gone));
        let metrics = &self.app.metrics;
        metrics.in_flight.dec();
        metrics.answered(status).inc();
        if let Some(cut) = cut {
            metrics.cut.get_or_create(&Why { why: cut.word() }).inc();
        }
        self.connection.end_exchange(self.follows.load(Relaxed));
        if let Some(asked) = &self.asked {
            self.app.access_log.write(&Line {
                client: self.connection.peer.ip(),
                method: asked.method.as_str(),
                path: &asked.target,
                status,
                sent,
                range: asked.range.as_ref().and_then(|range| range.to_str().ok()),
                duration: self.started.elapsed(),
                ended: cut.map_or("complete", Cut::word),
            });
        }
    }
}

/// A copy of `value` that doesn't keep the connection's read buffer from being used again.
fn detached(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_follows_does_so_although_the_one_before_it_ends_later() {
        let connection = Connection::new(([127, 0, 0, 1], 1).into());
        connection.begin_exchange();
        connection.begin_exchange();
        connection.begin_following();
        connection.end_exchange(false);
        assert!(connection.follows());
        connection.end_exchange(true);
        assert!(!connection.follows() && connection.idle_since().is_some());
    }
}
