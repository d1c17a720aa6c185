//! The counters, and the page that shows them to Prometheus (OpenMetrics text).
//! It never says who asked, or for what.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::{Registry, Unit},
};
use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

/// The media type of [`Metrics::page`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: Code,
}

/// The status of an answer; 0 where the client left before there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Code(u16);

impl EncodeLabelValue for Code {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self.0 {
            0 => "none".encode(encoder),
            code => code.encode(encoder),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Why {
    pub why: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Way {
    way: &'static str,
}

/// How body bytes left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SentBy {
    /// From the page cache that a mapping shows, by `sendfile`.
    Sendfile,
    /// From a mapping, by a vectored write.
    Writev,
    /// Composed by the server: pages, messages, the heads of a multipart body's parts.
    Composed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Memory {
    kind: &'static str,
}

/// A value of this type holds what the server counts; one for each server.
pub struct Metrics {
    registry: Registry,
    requests: Family<Status, Counter>,
    /// Of the statuses that nearly all answers have, so that they need not be looked up.
    usual: [(u16, Counter); 4],
    sent: [Counter; 3],
    /// Assets whose file system doesn't do `sendfile`.
    pub fallbacks: Counter,
    pub connections: Gauge,
    pub accepted: Counter,
    pub in_flight: Gauge,
    pub windows_resident: Counter,
    pub windows_fetched: Counter,
    pub cut: Family<Why, Counter>,
    /// Body bytes of uploads.
    pub received: Counter,
    streams: Gauge,
    readers: Family<Of, Gauge>,
    behind: Family<Reader, Gauge>,
    indexes: Gauge,
    index_bytes: Gauge,
    pub indexes_made: Counter,
    pub indexes_extended: Counter,
    pub indexes_failed: Family<Why, Counter>,
    mappings: Gauge,
    mapped: Gauge,
    memory: Family<Memory, Gauge>,
    /// Held while a page is made: it shows what was set for it, and not for another.
    showing: Mutex<()>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FoundAs {
    found: &'static str,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::with_prefix("reelmap");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", build);
        let requests = Family::<Status, Counter>::default();
        registry.register(
            "requests",
            "Requests by status of the answer; none where the client left before there was one",
            requests.clone(),
        );
        let sent = Family::<Way, Counter>::default();
        let help = "Body bytes that the kernel took, by the way they left";
        registry.register_with_unit("sent", help, Unit::Bytes, sent.clone());
        let fallbacks = Counter::default();
        let help = "Files that left by vectored writes because their file system has no sendfile";
        registry.register("sendfile_fallbacks", help, fallbacks.clone());
        let connections = Gauge::default();
        registry.register("connections", "Connections open", connections.clone());
        let accepted = Counter::default();
        registry.register("connections_accepted", "Connections accepted", accepted.clone());
        let in_flight = Gauge::default();
        registry.register("responses_in_flight", "Answers being sent", in_flight.clone());
        let windows = Family::<FoundAs, Counter>::default();
        let help = "Windows of files, found resident in memory or fetched from the disk";
        registry.register("windows", help, windows.clone());
        let cut = Family::default();
        registry.register("responses_cut", "Answers that ended early, by cause", cut.clone());
        let received = Counter::default();
        let help = "Bytes of files and streams that clients sent";
        registry.register_with_unit("received", help, Unit::Bytes, received.clone());
        let streams = Gauge::default();
        let help = "Files and streams that are being received, or wait to be gone on with";
        registry.register("streams", help, streams.clone());
        let readers = Family::default();
        registry.register("stream_readers", "Readers of each of the streams", readers.clone());
        let behind = Family::default();
        let help = "How far behind the edge of its stream a reader is";
        registry.register_with_unit("stream_behind", help, Unit::Bytes, behind.clone());
        let indexes = Gauge::default();
        registry.register("indexes", "Indexes of films held", indexes.clone());
        let index_bytes = Gauge::default();
        let help = "Memory that indexes of films take";
        registry.register_with_unit("index", help, Unit::Bytes, index_bytes.clone());
        let indexes_made = Counter::default();
        registry.register("indexes_made", "Indexes of films made", indexes_made.clone());
        let indexes_extended = Counter::default();
        let help = "Times that indexes of streams were extended";
        registry.register("indexes_extended", help, indexes_extended.clone());
        let indexes_failed = Family::default();
        let help = "Films and streams that gave no index, by cause";
        registry.register("indexes_failed", help, indexes_failed.clone());
        let mappings = Gauge::default();
        registry.register("mappings", "Files mapped", mappings.clone());
        let mapped = Gauge::default();
        let help = "Address space that mapped files take";
        registry.register_with_unit("mapped", help, Unit::Bytes, mapped.clone());
        let memory = Family::default();
        let help = "Resident memory: anonymous is the program's own, file can be taken back \
                    by the kernel at any time";
        registry.register_with_unit("memory", help, Unit::Bytes, memory.clone());
        let way = |way| sent.get_or_create_owned(&Way { way });
        let found = |found| windows.get_or_create_owned(&FoundAs { found });
        let usual = [200, 206, 304, 404]
            .map(|status| (status, requests.get_or_create_owned(&Status { status: Code(status) })));
        Metrics {
            usual,
            sent: ["sendfile", "writev", "composed"].map(way),
            fallbacks,
            windows_resident: found("resident"),
            windows_fetched: found("fetched"),
            registry,
            requests,
            connections,
            accepted,
            in_flight,
            cut,
            received,
            streams,
            readers,
            behind,
            indexes,
            index_bytes,
            indexes_made,
            indexes_extended,
            indexes_failed,
            mappings,
            mapped,
            memory,
            showing: Mutex::default(),
        }
    }
}

impl Metrics {
    /// The counter of answers with `status`; 0 counts requests whose client left before there was one.
    pub fn answered(&self, status: u16) -> Counter {
        let usual = self.usual.iter().find(|(usual, _)| *usual == status);
        usual.map_or_else(
            || self.requests.get_or_create_owned(&Status { status: Code(status) }),
            |(_, counter)| counter.clone(),
        )
    }

    /// The counter of body bytes that left that way.
    pub fn sent(&self, by: SentBy) -> &Counter {
        &self.sent[by as usize]
    }

    /// Brings up to date how many indexes of films are held, and the bytes they take.
    pub fn note_indexes(&self, (held, bytes): (u64, u64)) {
        self.indexes.set(clamped(held));
        self.index_bytes.set(clamped(bytes));
    }

    /// The page, with the counts that others keep brought up to date.
    pub fn page(&self, mappings: u64, mapped: u64, streams: &[Stream]) -> String {
        let resident = resident();
        let _turn = self.showing.lock().unwrap_or_else(PoisonError::into_inner);
        self.mappings.set(clamped(mappings));
        self.mapped.set(clamped(mapped));
        self.show_streams(streams);
        for (kind, bytes) in resident {
            self.memory.get_or_create(&Memory { kind }).set(clamped(bytes));
        }
        let mut page = String::new();
        // Writing to a `String` fails only where a metric's own text does, and these are static.
        let _ = text::encode(&mut page, &self.registry);
        page
    }
}

/// A value of this type is a stream that is open, as it is shown.
#[derive(Clone, Debug)]
pub struct Stream {
    pub path: String,
    /// How far behind its edge each reader is, in bytes, the nearest first.
    pub distances: Vec<u64>,
}

/// The most streams that are shown one by one.
const SHOWN: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    stream: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reader {
    stream: String,
    reader: &'static str,
}

impl Metrics {
    fn show_streams(&self, streams: &[Stream]) {
        self.streams.set(clamped(streams.len() as u64));
        self.readers.clear();
        self.behind.clear();
        for stream in streams.iter().take(SHOWN) {
            let readers = clamped(stream.distances.len() as u64);
            self.readers.get_or_create(&Of { stream: stream.path.clone() }).set(readers);
            let median = stream.distances.get(stream.distances.len() / 2);
            for (reader, behind) in [("median", median), ("slowest", stream.distances.last())] {
                let of = Reader { stream: stream.path.clone(), reader };
                self.behind.get_or_create(&of).set(clamped(behind.copied().unwrap_or(0)));
            }
        }
    }
}

fn clamped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Resident memory by kind, in bytes, as the kernel tells (`proc_pid_status(5)`, since Linux 4.5). It tells
/// from counters in memory: no disk is waited for, as the threads that may wait all could, when the page matters most.
fn resident() -> Vec<(&'static str, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kinds = [("RssAnon:", "anonymous"), ("RssFile:", "file"), ("RssShmem:", "shared")];
    kinds.into_iter().filter_map(|(key, kind)| Some((kind, kibibytes(&status, key)?))).collect()
}

fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_was_counted() {
        let metrics = Metrics::default();
        metrics.answered(206).inc();
        metrics.answered(418).inc();
        metrics.answered(0).inc();
        metrics.sent(SentBy::Writev).inc_by(20);
        metrics.sent(SentBy::Sendfile).inc_by(30);
        metrics.cut.get_or_create(&Why { why: "rewritten" }).inc();
        metrics.windows_fetched.inc();
        metrics.note_indexes((3, 400));
        metrics.indexes_made.inc();
        metrics.indexes_failed.get_or_create(&Why { why: "broken" }).inc();
        let streams = [Stream { path: "/cam.ts".into(), distances: vec![1, 2, 70] }];
        let page = metrics.page(2, 300, &streams);
        for line in [
            "reelmap_requests_total{status=\"206\"} 1",
            "reelmap_requests_total{status=\"418\"} 1",
            "reelmap_requests_total{status=\"none\"} 1",
            "reelmap_sent_bytes_total{way=\"writev\"} 20",
            "reelmap_sent_bytes_total{way=\"sendfile\"} 30",
            "reelmap_sent_bytes_total{way=\"composed\"} 0",
            "reelmap_responses_cut_total{why=\"rewritten\"} 1",
            "reelmap_windows_total{found=\"fetched\"} 1",
            "reelmap_windows_total{found=\"resident\"} 0",
            "reelmap_indexes 3",
            "reelmap_index_bytes 400",
            "reelmap_indexes_made_total 1",
            "reelmap_indexes_failed_total{why=\"broken\"} 1",
            "reelmap_mappings 2",
            "reelmap_mapped_bytes 300",
            "reelmap_connections 0",
            "reelmap_streams 1",
            "reelmap_stream_readers{stream=\"/cam.ts\"} 3",
            "reelmap_stream_behind_bytes{stream=\"/cam.ts\",reader=\"median\"} 2",
            "reelmap_stream_behind_bytes{stream=\"/cam.ts\",reader=\"slowest\"} 70",
        ] {
            assert!(page.lines().any(|shown| shown == line), "no {line} in\n{page}");
        }
        let page_after = metrics.page(2, 300, &[]);
        assert!(!page_after.contains("cam.ts"), "{page_after}");
        let anonymous =
            page.lines().find(|l| l.starts_with("reelmap_memory_bytes{kind=\"anonymous\""));
        assert!(anonymous.is_some_and(|line| !line.ends_with(" 0")), "{page}");
    }

    #[test]
    fn pages_that_are_made_at_once_show_all_streams() {
        let metrics = Metrics::default();
        let streams = [Stream { path: "/cam.ts".into(), distances: vec![1] }];
        let look = || {
            for _ in 0..300 {
                assert!(metrics.page(0, 0, &streams).contains("cam.ts\"} 1"));
            }
        };
        std::thread::scope(|scope| {
            [(); 4].map(|()| scope.spawn(look)).map(|look| look.join().unwrap())
        });
    }
}
