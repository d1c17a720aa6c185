//! Bytes we compose ourselves: the page a person browses, its JSON twin, the sentence under an error.
//!
//! ```text
//!   folder, read elsewhere -> Listing -> sort -> html (with the player) | json
//!   status                 -> message -> one sentence
//! ```
//!
//! Values in, bytes out: nothing here opens a file, knows a socket or asks the time.

mod human;
mod order;

pub mod listing;
pub mod message;
pub mod problem;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_encode};
use serde::Serialize;

pub use listing::{Entry, Listing, Node, Stream};
pub use message::message;
pub use problem::Problem;

/// The `Content-Type` of [`Listing::html`].
pub const HTML: &str = "text/html; charset=utf-8";
/// The `Content-Type` of [`Listing::json`].
pub const JSON: &str = "application/json";
/// The `Content-Type` of a [`Problem`].
pub const PROBLEM: &str = "application/problem+json";
/// The `Content-Type` of a [`message()`].
pub const TEXT: &str = "text/plain; charset=utf-8";

/// `value` in JSON, on a line of its own.
pub fn json(value: &impl Serialize) -> Bytes {
    let mut line = serde_json::to_vec(value).expect("its keys are strings");
    line.push(b'\n');
    Bytes::from(line.into_boxed_slice())
}

/// A kind of entry is what a click on it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Folder,
    Video,
    Audio,
    Image,
    Other,
}

impl Kind {
    /// The kind a file has by the essence of its content type; parameters and case don't count.
    pub fn of(content_type: &str) -> Kind {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let top = essence.split('/').next().unwrap_or_default();
        match top.to_ascii_lowercase().as_str() {
            "video" => Kind::Video,
            "audio" => Kind::Audio,
            "image" => Kind::Image,
            _ => Kind::Other,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Kind::Folder => "folder",
            Kind::Video => "video",
            Kind::Audio => "audio",
            Kind::Image => "image",
            Kind::Other => "other",
        }
    }
}

/// Every byte but RFC 3986's unreserved ones, so a segment means itself wherever a URL may stand:
/// in a path, after `play=` in a fragment, in an attribute.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One path segment as it stands in a URL; decoding it gives back the very bytes (RFC 3986 §2.3).
pub fn segment(name: &OsStr) -> PercentEncode<'_> {
    percent_encode(name.as_bytes(), RESERVED)
}

/// A path as it stands in a URL: each segment encoded by itself, `/` between them and nowhere else.
pub fn href<S: AsRef<OsStr>>(segments: &[S]) -> String {
    let segments: Vec<String> = segments.iter().map(|s| segment(s.as_ref()).to_string()).collect();
    segments.join("/")
}

/// The `Content-Security-Policy` of [`Listing::html`]: its own style and script by their hashes,
/// media of this origin, and nothing else. A test holds the hashes true to the page.
pub fn content_security_policy() -> &'static str {
    "default-src 'none'; \
     style-src 'sha256-dlO/LRqJV2aOA46eQydShLE95tgjjDqzkPGB57lEnLo='; \
     script-src 'sha256-WhmtlzvgBVa385E41gxGjVPrFu8XlrdYNy0FlpbR+nA='; \
     media-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_click_plays_by_the_essence_of_the_type() {
        for (content_type, kind) in [
            ("video/mp4", Kind::Video),
            ("Video/MP2T", Kind::Video),
            ("audio/ogg; codecs=opus", Kind::Audio),
            ("image/avif", Kind::Image),
            ("text/html", Kind::Other),
            ("application/video", Kind::Other),
            ("videos/mp4", Kind::Other),
            (" video/webm ;x", Kind::Video),
            ("", Kind::Other),
        ] {
            assert_eq!(Kind::of(content_type), kind, "{content_type}");
        }
    }

    #[test]
    fn segments_are_encoded_one_by_one() {
        assert_eq!(href(&["a b", "50%", "x/y", "~-._"]), "a%20b/50%25/x%2Fy/~-._");
        assert_eq!(href::<&str>(&[]), "");
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes: Vec<u8>) {
            let encoded = segment(&OsString::from_vec(bytes.clone())).to_string();
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            prop_assert_eq!(percent_decode_str(&encoded).collect::<Vec<u8>>(), bytes);
        }
    }
}
