//! The file as HTTP sees it: length, type, ETag and Last-Modified. Compares nothing with a request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use super::header;

/// What is known of the bytes a URL names; made once an asset, so that no request formats it anew.
///
/// The ETag is strong, and made of length and modification time alone: every machine that serves
/// a copy with its time preserved names it alike (RFC 9110 §8.8.3).
#[derive(Clone, Debug)]
pub struct Representation {
    pub(super) length: u64,
    pub(super) etag: HeaderValue,
    pub(super) modified: Date,
    pub(super) last_modified: HeaderValue,
    pub(super) content_type: HeaderValue,
}

impl Representation {
    pub fn new(length: u64, modified: SystemTime, content_type: HeaderValue) -> Self {
        let etag = etag(length, modified);
        let modified = Date::from(modified);
        Self { length, etag, modified, last_modified: modified.to_header(), content_type }
    }

    /// The same under another tag: the one it had while it grew.
    pub fn tagged(self, tag: &str) -> Self {
        Self { etag: header(format!("\"{tag}\"")), ..self }
    }

    /// What is said of those bytes, in `length` bytes of another type: as old as they are, and with their tag and
    /// `mark` for its own, since no two representations share a strong one (RFC 9110 §8.8.3).
    pub fn derived(&self, length: u64, mark: &str, content_type: HeaderValue) -> Self {
        let tag = self.etag.to_str().unwrap_or_default().trim_matches('"');
        let etag = header(format!("\"{tag}-{mark}\""));
        Self { length, etag, content_type, ..self.clone() }
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }
}

/// A moment as HTTP can name it: a whole second, from 1970 to the end of 9999 (RFC 9110 §5.6.7).
///
/// Moments outside are moved to the nearer end, as httpdate panics on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(u64);

impl Date {
    const LAST: u64 = 253_402_300_799;

    /// Reads any of the three forms of a date; whatever else is none.
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        Some(httpdate::parse_http_date(value.to_str().ok()?).ok()?.into())
    }

    pub fn to_header(self) -> HeaderValue {
        header(httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(self.0)))
    }

    /// A date proves that nothing changed only once its second is over: within it, a second
    /// change would bear the same date (RFC 9110 §8.8.2.2).
    pub fn is_strong_at(self, now: Self) -> bool {
        self < now
    }
}

impl From<SystemTime> for Date {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(since.as_secs().min(Self::LAST))
    }
}

/// A strong entity-tag of length and nanosecond time, in hex; a time before 1970 bears a minus sign.
///
/// No inode and no path go in: two servers with equal copies give equal tags, and a download may
/// go on at the other one.
pub fn etag(length: u64, modified: SystemTime) -> HeaderValue {
    let (sign, distance) = match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => ("", after),
        Err(before) => ("-", before.duration()),
    };
    header(format!("\"{length:x}-{sign}{:x}\"", distance.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUNDAY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const SUNDAY_SECONDS: u64 = 784_111_777;

    fn after(nanos: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(nanos)
    }

    fn before(nanos: u64) -> SystemTime {
        UNIX_EPOCH - Duration::from_nanos(nanos)
    }

    #[test]
    fn an_etag_is_hex_of_length_and_nanoseconds_in_quotes() {
        assert_eq!(etag(0x1a2b, after(0x17f3)), "\"1a2b-17f3\"");
    }

    #[test]
    fn what_is_said_of_a_file_has_a_tag_of_its_own() {
        let film = Representation::new(7, after(9), HeaderValue::from_static("video/mp4"));
        let said = film.derived(500, "seek-1", HeaderValue::from_static("application/json"));
        assert_eq!(
            (said.length(), said.etag()),
            (500, &HeaderValue::from_static("\"7-9-seek-1\""))
        );
        assert_eq!(said.last_modified, film.last_modified);
        assert_eq!(said.content_type(), "application/json");
    }

    #[test]
    fn an_etag_tells_apart_length_nanosecond_and_sign() {
        let tags = [
            etag(1, after(5)),
            etag(2, after(5)),
            etag(1, after(6)),
            etag(1, before(5)),
            etag(1, before(6)),
            etag(1, after(1_000_000_005)),
        ];
        for (i, tag) in tags.iter().enumerate() {
            assert!(!tags[..i].contains(tag), "{tag:?} twice");
        }
    }

    #[test]
    fn all_three_forms_of_a_date_are_read() {
        for text in [SUNDAY, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            let date = Date::parse(&HeaderValue::from_static(text));
            assert_eq!(date, Some(Date(SUNDAY_SECONDS)), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["", "0", "yesterday", "Sun, 06 Nov 1994 08:49:37", "\"tag\"", "2024-01-01"] {
            assert_eq!(Date::parse(&HeaderValue::from_static(text)), None, "{text}");
        }
        assert_eq!(Date::parse(&HeaderValue::from_bytes(b"\xff\xfe").unwrap()), None);
    }

    #[test]
    fn a_date_drops_the_part_of_a_second() {
        let time = UNIX_EPOCH + Duration::new(SUNDAY_SECONDS, 999_999_999);
        assert_eq!(Date::from(time).to_header(), SUNDAY);
    }

    #[test]
    fn a_time_outside_what_http_can_say_becomes_the_nearest_it_can() {
        let far = UNIX_EPOCH + Duration::from_secs(1 << 62);
        let long_ago = UNIX_EPOCH - Duration::from_secs(1 << 62);
        assert_eq!(Date::from(far).to_header(), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(Date::from(long_ago).to_header(), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_ne!(etag(1, far), etag(1, long_ago));
    }
}
