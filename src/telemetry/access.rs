//! The access log: one line a request, written when its answer has left or was cut.
//! It never makes a request wait: lines that can't be queued are dropped.

use super::unhurried;
use serde::Serialize;
use std::{io::Write, net::IpAddr, time::Duration};
use time::{OffsetDateTime, macros::format_description};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};

/// A value of this type is one request and what became of its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Line<'a> {
    pub client: IpAddr,
    pub method: &'a str,
    /// The target as it was sent: percent-encoded path and query.
    pub path: &'a str,
    pub status: u16,
    /// Body bytes that the kernel took.
    pub sent: u64,
    /// The `Range` header as it was sent.
    pub range: Option<&'a str>,
    /// From the request's head to the last byte of its answer.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub duration: Duration,
    /// `complete`, or why the answer ended early.
    pub ended: &'a str,
}

/// A value of this type writes lines to standard output, or nowhere.
pub enum AccessLog {
    Off,
    Text(NonBlocking),
    Json(NonBlocking),
}

impl AccessLog {
    /// A log of text lines on standard output, until the guard is dropped.
    pub fn text() -> (AccessLog, WorkerGuard) {
        let (writer, guard) = unhurried(std::io::stdout());
        (AccessLog::Text(writer), guard)
    }

    /// A log of JSON lines on standard output, until the guard is dropped.
    pub fn json() -> (AccessLog, WorkerGuard) {
        let (writer, guard) = unhurried(std::io::stdout());
        (AccessLog::Json(writer), guard)
    }

    pub fn is_on(&self) -> bool {
        !matches!(self, AccessLog::Off)
    }

    /// Writes `line`; drops it when the log's reader is too far behind.
    pub fn write(&self, line: &Line<'_>) {
        let (writer, text) = match self {
            AccessLog::Off => return,
            AccessLog::Text(writer) => (writer, line.text(&now())),
            AccessLog::Json(writer) => (writer, line.json(&now())),
        };
        // The writer drops what it can't queue and never fails.
        let _ = writer.clone().write_all(text.as_bytes());
    }
}

impl Line<'_> {
    fn text(&self, time: &str) -> String {
        let Line { client, method, path, status, sent, ended, .. } = self;
        let range = self.range.map_or("-".into(), quoted);
        let path = quoted(&format!("{method} {path}"));
        let seconds = self.duration.as_secs_f64();
        format!("{time} {client} {path} {status} {sent} {range} {seconds:.6} {ended}\n")
    }

    fn json(&self, time: &str) -> String {
        #[derive(Serialize)]
        struct Timed<'a> {
            time: &'a str,
            #[serde(flatten)]
            line: &'a Line<'a>,
        }
        let json = serde_json::to_string(&Timed { time, line: self });
        json.map(|json| json + "\n").unwrap_or_default()
    }
}

/// `text` in quotes, with what could break out of them or out of the line escaped.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_default())
}

fn as_seconds<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_micros() as f64 / 1e6)
}

/// The time in UTC, to the millisecond (RFC 3339).
fn now() -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::now_utc().format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(path: &'a str, range: Option<&'a str>) -> Line<'a> {
        Line {
            client: [127, 0, 0, 1].into(),
            method: "GET",
            path,
            status: 206,
            sent: 100,
            range,
            duration: Duration::from_micros(1500),
            ended: "complete",
        }
    }

    #[test]
    fn text_is_one_line_whatever_was_asked() {
        assert_eq!(now().len(), "2026-11-22T09:30:00.000Z".len());
        assert_eq!(
            line("/film.mp4", Some("bytes=0-99")).text("T"),
            "T 127.0.0.1 \"GET /film.mp4\" 206 100 \"bytes=0-99\" 0.001500 complete\n"
        );
        let text = line("/a\"b\n\u{1b}[31m", None).text("T");
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.contains(r#""GET /a\"b\n\u{1b}[31m""#), "{text}");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = line("/a\"b", Some("bytes=0-99")).json("T");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["path"], "/a\"b");
        assert_eq!(value["seconds"], 0.0015);
        assert_eq!(value["range"], "bytes=0-99");
        assert_eq!(value["time"], "T");
        assert!(text.ends_with('\n'));
    }
}
