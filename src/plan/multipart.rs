//! Several spans -> the parts of a `multipart/byteranges` body (RFC 9110 §14.6). Copies none of the file.
//!
//! ```text
//! --reelmap-1a2b-17f3                   head
//! Content-Type: video/mp4
//! Content-Range: bytes 0-99/6699
//!
//! ....................                  span
//! --reelmap-1a2b-17f3                   head, from the line break that ends the span
//! Content-Type: video/mp4
//! Content-Range: bytes 6000-6698/6699
//!
//! ....................                  span
//! --reelmap-1a2b-17f3--                 close, from that line break too
//! ```

use std::ops::Range;

use bytes::BytesMut;
use http::HeaderValue;

use super::{Part, Representation, range::content_range};

/// The line that parts a body: of letters, digits and `-`, at most 70 of them (RFC 2046 §5.1.1).
///
/// It is the ETag without its quotes. A file can't well hold that: the time of its last change, to
/// the nanosecond, is settled by the very write that would have to contain it. So nothing is drawn
/// at random, equal requests get equal answers, and a reader goes by Content-Range anyway.
pub fn boundary(etag: &HeaderValue) -> String {
    format!("reelmap-{}", String::from_utf8_lossy(etag.as_bytes()).trim_matches('"'))
}

/// Head and span in turn, and the close; the heads share one buffer.
pub fn parts(spans: Vec<Range<u64>>, of: &Representation, boundary: &str) -> Vec<Part> {
    let mut parts = Vec::with_capacity(2 * spans.len() + 1);
    let mut text = BytesMut::with_capacity(spans.len() * 192);
    for span in spans {
        let line_break = if parts.is_empty() { "" } else { "\r\n" };
        text.extend_from_slice(format!("{line_break}--{boundary}\r\nContent-Type: ").as_bytes());
        text.extend_from_slice(of.content_type.as_bytes());
        let content_range = content_range(&span, of.length);
        text.extend_from_slice(format!("\r\nContent-Range: {content_range}\r\n\r\n").as_bytes());
        parts.push(Part::Bytes(text.split().freeze()));
        parts.push(Part::Span(span));
    }
    text.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    parts.push(Part::Bytes(text.freeze()));
    parts
}
