//! A file that grows: the same facts, but for a length that is only that of now -> which stretch of it
//! is sent, and under which head. Pure like `plan`: whether to wait is a decision, waiting is not done here.

use std::time::SystemTime;

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG},
};

use super::{
    Method, Plan,
    conditional::{self, Current, Outcome},
    header, range,
    representation::Date,
};

/// How much of a file is there (draft-ietf-httpbis-resumable-upload §4), and whether that is all.
pub const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub const UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");

/// What is known of a file that grows.
#[derive(Clone, Debug)]
pub struct Growing {
    /// Bytes that are there now.
    pub length: u64,
    /// The same from the first byte to the last, and after: bytes are only ever added.
    pub tag: String,
    pub content_type: HeaderValue,
    /// It is being received here, rather than written by another program.
    pub received: bool,
}

/// A value of this type is what becomes of a request for such a file.
#[derive(Debug)]
pub enum Decision {
    /// It begins with the byte that comes next: decide again when there is one.
    Wait,
    /// A stretch of the file.
    Send(Stretch),
    /// An answer that is complete in itself.
    Plan(Plan),
}

/// A value of this type is an answer of the bytes from `start` on.
#[derive(Debug)]
pub struct Stretch {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub start: u64,
    /// Where it ends; `None` if it follows the file.
    pub end: Option<u64>,
}

impl Growing {
    /// Decides the answer. There is no 304: what a client holds of it is less than what it asks for.
    ///
    /// `waited` if the file has not grown for as long as one waits for it.
    pub fn plan(
        &self,
        method: Method,
        request: &HeaderMap,
        now: SystemTime,
        waited: bool,
    ) -> Decision {
        let etag = self.etag();
        let now = Date::from(now);
        let current = Current { etag: etag.as_bytes(), modified: now, now };
        if conditional::evaluate(request, &current) == Outcome::PreconditionFailed {
            return Decision::Plan(self.dress(Plan::precondition_failed()));
        }
        let asked = match method == Method::Get && conditional::if_range(request, &current) {
            true => range::follow(request, self.length),
            false => range::Growing::None,
        };
        match asked {
            range::Growing::None if method == Method::Head => Decision::Send(self.about()),
            range::Growing::None => Decision::Send(self.whole()),
            // What players ask for who mean the whole. A 206 would tell ffmpeg that it may seek: see `whole`.
            range::Growing::Open(0) if self.received => Decision::Send(self.whole()),
            range::Growing::AtEdge { open: true } if self.length == 0 && self.received => {
                Decision::Send(self.whole())
            }
            range::Growing::Open(start) => Decision::Send(self.stretch(start, None)),
            range::Growing::Bounded(span) => {
                Decision::Send(self.stretch(span.start, Some(span.end)))
            }
            range::Growing::AtEdge { .. } if !waited => Decision::Wait,
            range::Growing::AtEdge { .. } | range::Growing::Unsatisfiable => {
                let why =
                    format!("the range asked for begins behind the {} bytes so far", self.length);
                Decision::Plan(self.dress(Plan::unsatisfiable(self.length, why)))
            }
        }
    }

    /// The head of an answer that tells something of what is there; a plan where that is of another file than the request
    /// is for (If-Match). What it tells is out of date with the next byte.
    pub fn told(&self, request: &HeaderMap, now: SystemTime) -> Result<HeaderMap, Box<Plan>> {
        let (etag, now) = (self.etag(), Date::from(now));
        let current = Current { etag: etag.as_bytes(), modified: now, now };
        if conditional::evaluate(request, &current) == Outcome::PreconditionFailed {
            return Err(Box::new(self.dress(Plan::precondition_failed())));
        }
        let mut headers = HeaderMap::with_capacity(5);
        self.mark(&mut headers);
        headers.remove(ACCEPT_RANGES);
        Ok(headers)
    }

    pub fn etag(&self) -> HeaderValue {
        header(format!("\"{}\"", self.tag))
    }

    /// What HEAD tells of it.
    fn about(&self) -> Stretch {
        Stretch { status: StatusCode::OK, headers: self.headers(), start: 0, end: None }
    }

    /// All of it, from its first byte to its last.
    ///
    /// It doesn't offer ranges, although they are there to be asked for: ffmpeg and what is built on it
    /// would look through all fragments of an MP4 for an end before they show the first picture.
    fn whole(&self) -> Stretch {
        let mut whole = self.about();
        whole.headers.remove(ACCEPT_RANGES);
        whole
    }

    /// The stream from where a decoder can begin. Its bytes are not counted from the file's first, so that it
    /// has neither ranges nor the file's tag.
    pub fn from_edge(&self) -> Stretch {
        let mut stretch = self.whole();
        stretch.headers.remove(ETAG);
        stretch.headers.remove(UPLOAD_OFFSET);
        stretch
    }

    fn stretch(&self, start: u64, end: Option<u64>) -> Stretch {
        let mut headers = self.headers();
        let content_range = range::content_range_of_growing(start, end);
        headers.insert(CONTENT_RANGE, header(content_range));
        if let Some(end) = end {
            headers.insert(CONTENT_LENGTH, end.saturating_sub(start).into());
        }
        Stretch { status: StatusCode::PARTIAL_CONTENT, headers, start, end }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        self.mark(&mut headers);
        headers
    }

    fn dress(&self, mut plan: Plan) -> Plan {
        self.mark(&mut plan.headers);
        plan
    }

    fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static(range::UNIT));
        headers.insert(ETAG, self.etag());
        if self.received {
            // As resumable uploads say it: who was cut off goes on from here.
            headers.insert(UPLOAD_OFFSET, self.length.into());
            headers.insert(UPLOAD_COMPLETE, HeaderValue::from_static("?0"));
        }
        // A cache that kept half of it would take that for the whole (RFC 9111 §5.2.2.5).
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn decide(method: Method, fields: &[(&str, &str)], waited: bool) -> Decision {
        decide_of(100, true, method, fields, waited)
    }

    fn decide_of(
        length: u64,
        received: bool,
        method: Method,
        fields: &[(&str, &str)],
        waited: bool,
    ) -> Decision {
        let content_type = HeaderValue::from_static("video/mp2t");
        let growing = Growing { length, tag: "live-5".into(), content_type, received };
        let field = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        let request = fields.iter().map(field).collect();
        growing.plan(method, &request, UNIX_EPOCH, waited)
    }

    fn sent(fields: &[(&str, &str)]) -> Stretch {
        match decide(Method::Get, fields, false) {
            Decision::Send(stretch) => stretch,
            other => panic!("{fields:?}: {other:?}"),
        }
    }

    fn refused(fields: &[(&str, &str)], waited: bool) -> Plan {
        match decide(Method::Get, fields, waited) {
            Decision::Plan(plan) => plan,
            other => panic!("{fields:?}: {other:?}"),
        }
    }

    #[test]
    fn the_whole_has_no_length() {
        for stretch in [sent(&[]), sent(&[("range", "bytes=0-")])] {
            assert_eq!((stretch.status.as_u16(), stretch.start, stretch.end), (200, 0, None));
            assert!(!stretch.headers.contains_key(CONTENT_LENGTH));
            assert_eq!(stretch.headers[ETAG], "\"live-5\"");
            assert_eq!(stretch.headers[CACHE_CONTROL], "no-store");
            assert!(!stretch.headers.contains_key(ACCEPT_RANGES));
        }
    }

    #[test]
    fn a_stretch_says_where_it_ends_if_that_is_known() {
        for (range, content_range, end) in [
            ("bytes=10-19", "bytes 10-19/*", Some(20)),
            ("bytes=-30", "bytes 70-99/*", Some(100)),
            ("bytes=10-", "bytes 10-9007199254740991/*", None),
            ("bytes=10-9007199254740991", "bytes 10-9007199254740991/*", None),
        ] {
            let stretch = sent(&[("range", range)]);
            assert_eq!(stretch.status, StatusCode::PARTIAL_CONTENT, "{range}");
            assert_eq!(stretch.headers[CONTENT_RANGE], content_range);
            assert_eq!(stretch.end, end, "{range}");
            assert_eq!(stretch.headers.contains_key(CONTENT_LENGTH), end.is_some(), "{range}");
        }
    }

    #[test]
    fn the_edge_is_waited_for_and_what_lies_beyond_is_not() {
        let edge = [("range", "bytes=100-")];
        assert!(matches!(decide(Method::Get, &edge, false), Decision::Wait));
        for plan in [refused(&edge, true), refused(&[("range", "bytes=101-")], false)] {
            assert_eq!(plan.status, StatusCode::RANGE_NOT_SATISFIABLE);
            assert_eq!(plan.headers[CONTENT_RANGE], "bytes */100");
        }
    }

    #[test]
    fn a_part_of_a_stream_without_a_byte_is_waited_for_and_the_whole_is_not() {
        let empty = |range, received, waited| {
            decide_of(0, received, Method::Get, &[("range", range)], waited)
        };
        for range in ["bytes=0-99", "bytes=-99"] {
            assert!(matches!(empty(range, true, false), Decision::Wait), "{range}");
            let Decision::Plan(plan) = empty(range, true, true) else { panic!("{range}") };
            assert_eq!(plan.status, StatusCode::RANGE_NOT_SATISFIABLE);
            assert_eq!(plan.headers[CONTENT_RANGE], "bytes */0");
        }
        for range in ["bytes=0-", "bytes=0-9007199254740991"] {
            let Decision::Send(whole) = empty(range, true, false) else { panic!("{range}") };
            assert_eq!((whole.status, whole.end), (StatusCode::OK, None));
            // Of a file that another program writes it isn't known that more will come.
            assert!(matches!(empty(range, false, false), Decision::Wait), "{range}");
        }
    }

    #[test]
    fn the_tag_lets_a_reader_go_on() {
        let range = ("range", "bytes=50-");
        assert_eq!(sent(&[range, ("if-range", "\"live-5\"")]).start, 50);
        assert_eq!(sent(&[range, ("if-range", "\"live-6\"")]).start, 0);
        assert_eq!(sent(&[("if-none-match", "\"live-5\"")]).status, StatusCode::OK);
        let plan = refused(&[("if-match", "\"live-6\"")], false);
        assert_eq!(plan.status, StatusCode::PRECONDITION_FAILED);
    }

    #[test]
    fn head_knows_no_range() {
        let head = decide(Method::Head, &[("range", "bytes=10-19")], false);
        let Decision::Send(head) = head else { panic!("{head:?}") };
        assert_eq!((head.status, head.end), (StatusCode::OK, None));
        assert_eq!(head.headers[ACCEPT_RANGES], "bytes");
    }
}
