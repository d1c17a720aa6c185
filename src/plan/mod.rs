//! Facts about a request and a representation in, a decision out. Pure: no files, no async, no clock.
//!
//! ```text
//! request ────────┐
//! representation ─┼─> conditional ─┬─> 304, 412
//! now ────────────┘                └─> range ─┬─> 200, 416
//!                                             ├─> 206: one span (so, too, times that were translated)
//!                                             └─> multipart ──> 206: head, span, head, span, ..., close
//! ```

mod conditional;
mod content_type;
mod growing;
mod multipart;
mod part;
mod range;
mod representation;
#[cfg(test)]
mod tests;

use std::{ops::Range, time::SystemTime};

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_RANGES, AsHeaderName, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
        LAST_MODIFIED,
    },
};

pub use self::{
    conditional::guards_writing,
    content_type::content_type,
    growing::{Decision, Growing, Stretch, UPLOAD_COMPLETE, UPLOAD_OFFSET},
    part::{Part, Parts},
    range::{Sent, asks_for_ever, sent, times},
    representation::Representation,
};
use self::{
    conditional::{Current, Outcome},
    range::Ranges,
    representation::Date,
};

/// What `Accept-Ranges` says of a file that is also served by times.
pub const BYTES_AND_TIMES: HeaderValue = HeaderValue::from_static("bytes, t");

/// The methods that fetch; any other is refused before a plan is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
}

/// An answer, decided but not sent: `length` is the sum of its parts.
///
/// `length` is also what Content-Length says, but for the answers that have no body to measure:
/// to HEAD (where the header tells what GET would send) and 304 (where there is no such header).
#[derive(Clone, Debug)]
pub struct Plan {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub parts: Parts,
    pub length: u64,
}

/// What a range of times comes to in bytes, told by who knows the film.
#[derive(Clone, Debug)]
pub enum Translated {
    /// Those bytes, not none of them, and the value of `Content-Range-Mapping`.
    Bytes { span: Range<u64>, mapping: HeaderValue },
    /// No bytes at all: a sentence says why.
    Nothing(String),
}

/// Decides the answer: preconditions first, then the range, as RFC 9110 §13.2.2 orders them.
pub fn plan(
    method: Method,
    request: &HeaderMap,
    representation: &Representation,
    now: SystemTime,
) -> Plan {
    decide(method, request, representation, now, || {
        Plan::ranged(range::select(request, representation.length), representation)
    })
}

/// The same for a request by [`times`], which are no bytes to begin with.
pub fn plan_times(
    method: Method,
    request: &HeaderMap,
    representation: &Representation,
    now: SystemTime,
    times: Translated,
) -> Plan {
    decide(method, request, representation, now, || match times {
        Translated::Bytes { span, mapping } => {
            let mut plan = Plan::single(span, representation);
            plan.headers.insert(HeaderName::from_static("content-range-mapping"), mapping);
            plan
        }
        Translated::Nothing(why) => Plan::unsatisfiable(representation.length, why),
    })
}

/// Whether a request that writes where `there` is, or nothing, is to be carried out (RFC 9110 §13.1).
pub fn lets_write(request: &HeaderMap, there: Option<&Representation>, now: SystemTime) -> bool {
    let current = there.map(|there| Current {
        etag: there.etag.as_bytes(),
        modified: there.modified,
        now: now.into(),
    });
    conditional::lets_write(request, current.as_ref())
}

fn decide(
    method: Method,
    request: &HeaderMap,
    representation: &Representation,
    now: SystemTime,
    ranged: impl FnOnce() -> Plan,
) -> Plan {
    let now = Date::from(now);
    // A date that lies ahead is replaced by now, or caches would be told of the future (§8.8.2.1).
    let modified = representation.modified.min(now);
    let current = Current { etag: representation.etag.as_bytes(), modified, now };

    let mut plan = match conditional::evaluate(request, &current) {
        Outcome::NotModified => Plan::not_modified(),
        Outcome::PreconditionFailed => Plan::precondition_failed(),
        // Only GET knows ranges (§14.2), and an If-Range that fails asks for the whole (§13.1.5).
        Outcome::Proceed if method == Method::Get && conditional::if_range(request, &current) => {
            ranged()
        }
        Outcome::Proceed => Plan::whole(representation),
    };

    plan.headers.insert(ACCEPT_RANGES, HeaderValue::from_static(range::UNIT));
    plan.headers.insert(ETAG, representation.etag.clone());
    let last_modified = if modified == representation.modified {
        representation.last_modified.clone()
    } else {
        modified.to_header()
    };
    plan.headers.insert(LAST_MODIFIED, last_modified);

    if method == Method::Head {
        (plan.parts, plan.length) = (Parts::default(), 0);
    }
    plan
}

impl Plan {
    fn new(status: StatusCode, content_type: HeaderValue, parts: Parts, length: u64) -> Self {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CONTENT_LENGTH, length.into());
        Self { status, headers, parts, length }
    }

    fn span(status: StatusCode, span: Range<u64>, content_type: &HeaderValue) -> Self {
        let part = Part::Span(span);
        let length = part.length();
        let parts = if length == 0 { Parts::default() } else { part.into() };
        Self::new(status, content_type.clone(), parts, length)
    }

    fn message(status: StatusCode, text: String) -> Self {
        let part = Part::Bytes(text.into());
        let length = part.length();
        let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
        Self::new(status, content_type, part.into(), length)
    }

    fn ranged(ranges: Ranges, of: &Representation) -> Self {
        match ranges {
            Ranges::None => Self::whole(of),
            Ranges::Unsatisfiable => {
                let length = of.length;
                let why =
                    format!("none of the range asked for lies within the file's {length} bytes");
                Self::unsatisfiable(length, why)
            }
            Ranges::One(span) => Self::single(span, of),
            Ranges::Several(spans) => Self::multipart(spans, of),
        }
    }

    fn whole(of: &Representation) -> Self {
        Self::span(StatusCode::OK, 0..of.length, &of.content_type)
    }

    fn single(span: Range<u64>, of: &Representation) -> Self {
        let content_range = range::content_range(&span, of.length);
        let mut plan = Self::span(StatusCode::PARTIAL_CONTENT, span, &of.content_type);
        plan.headers.insert(CONTENT_RANGE, header(content_range));
        plan
    }

    fn multipart(spans: Vec<Range<u64>>, of: &Representation) -> Self {
        let boundary = multipart::boundary(&of.etag);
        let parts = multipart::parts(spans, of, &boundary);
        let length = parts.iter().map(Part::length).fold(0, u64::saturating_add);
        let content_type = header(format!("multipart/byteranges; boundary={boundary}"));
        Self::new(StatusCode::PARTIAL_CONTENT, content_type, parts.into(), length)
    }

    fn unsatisfiable(length: u64, why: String) -> Self {
        let mut plan = Self::message(StatusCode::RANGE_NOT_SATISFIABLE, why + "\n");
        plan.headers.insert(CONTENT_RANGE, header(range::unsatisfied(length)));
        plan
    }

    fn not_modified() -> Self {
        let headers = HeaderMap::with_capacity(4);
        Self { status: StatusCode::NOT_MODIFIED, headers, parts: Parts::default(), length: 0 }
    }

    fn precondition_failed() -> Self {
        let text = "the file is not in the state that the request demands\n".to_owned();
        Self::message(StatusCode::PRECONDITION_FAILED, text)
    }
}

fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("printable ASCII makes a header value")
}

/// The field's value, if exactly one line has that name: a field that isn't a list means nothing twice.
fn only_line(request: &HeaderMap, name: impl AsHeaderName) -> Option<&HeaderValue> {
    let mut lines = request.get_all(name).into_iter();
    lines.next().filter(|_| lines.next().is_none())
}
