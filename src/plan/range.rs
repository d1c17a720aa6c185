//! The `Range` field and a length -> the spans to send (RFC 9110 §14). Knows nothing of validators.
//!
//! ```text
//! Range: bytes=0-499, 9500-, -500
//!        unit  first-last    -length of the end
//! ```
//!
//! Inclusive ends begin and end in this file: everything else speaks of half-open spans.

#[cfg(test)]
mod tests;

use std::{cmp::Ordering, iter, ops::Range};

use http::{HeaderMap, header::RANGE};

use super::{Method, only_line};

/// The range unit of this file.
pub const UNIT: &str = "bytes";

/// The unit of times begins so; what follows is not read here (W3C, Protocol for Media Fragments 1.0
/// Resolution in HTTP).
const TIME_UNIT: &str = "t:";

/// What another part's head costs: the delimiter, Content-Type and Content-Range of a film.
/// To send a gap shorter than that is cheaper than to leave it out.
pub const PART_HEAD: u64 = 100;

/// More parts than that are no seek but a nuisance; so the heads add at most some 20 KiB to a file.
const MAX_PARTS: usize = 100;

/// What a `Range` field asks of a file: `None` means the whole, as if there were no such field.
///
/// `Several` has 2 to `MAX_PARTS` spans, no two of them touch; no span here is empty or leaves the file.
#[derive(Debug, PartialEq, Eq)]
pub enum Ranges {
    None,
    Unsatisfiable,
    One(Range<u64>),
    Several(Vec<Range<u64>>),
}

/// Reads the request's `Range`; one that is malformed, doubled or of another unit is ignored (§14.2).
pub fn select(request: &HeaderMap, length: u64) -> Ranges {
    only_line(request, RANGE)
        .and_then(|line| parse(line.as_bytes(), length))
        .unwrap_or(Ranges::None)
}

/// What a GET asks in the unit of times, behind its `t:`; none where it asks for no times.
pub fn times(method: Method, request: &HeaderMap) -> Option<&str> {
    if method != Method::Get {
        return None;
    }
    let (unit, rest) =
        only_line(request, RANGE)?.to_str().ok()?.split_at_checked(TIME_UNIT.len())?;
    unit.eq_ignore_ascii_case(TIME_UNIT).then_some(rest)
}

/// None if the field is to be ignored.
fn parse(field: &[u8], length: u64) -> Option<Ranges> {
    let (unit, set) = split(field, b'=')?;
    if !unit.eq_ignore_ascii_case(UNIT.as_bytes()) {
        return None;
    }
    // White space and empty elements are no part of a list (§5.6.1); a list of nothing is malformed.
    let specs = set.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let mut specs = specs.filter(|spec| !spec.is_empty()).peekable();
    specs.peek()?;

    let (mut first, mut more) = (None, Vec::new());
    for spec in specs {
        let span = span(spec, length)?;
        match first {
            _ if span.is_empty() => {}
            None => first = Some(span),
            Some(_) => more.push(span),
        }
    }
    match first {
        None => Some(Ranges::Unsatisfiable),
        Some(span) if more.is_empty() => Some(Ranges::One(span)),
        Some(span) => several(iter::once(span).chain(more)),
    }
}

/// The span one spec asks for, cut to the file; an empty one is unsatisfiable, none is malformed.
fn span(spec: &[u8], length: u64) -> Option<Range<u64>> {
    let (first, last) = split(spec, b'-')?;
    if first.is_empty() {
        let suffix = number(last)?;
        // The standard calls this satisfiable, yet no Content-Range can name the bytes of an empty
        // file. So the whole is sent: no bytes, with 200.
        if suffix > 0 && length == 0 {
            return None;
        }
        return Some(length.saturating_sub(suffix)..length);
    }
    let start = number(first)?;
    if last.is_empty() {
        return Some(start..length);
    }
    let end = number(last)?.saturating_add(1).min(length);
    (magnitude(first) <= magnitude(last)).then_some(start..end)
}

/// The last position that a client names when it means "whatever will come" (RFC 8673 §2.1): 2^53 - 1.
pub const EVER: u64 = 9_007_199_254_740_991;

/// What a `Range` field asks of a file that grows, whose length is the one it has now.
///
/// `Open` follows it from there on, past its last byte. `AtEdge` begins with the byte that comes next, and follows the
/// file where it says no end.
#[derive(Debug, PartialEq, Eq)]
pub enum Growing {
    None,
    Unsatisfiable,
    Bounded(Range<u64>),
    Open(u64),
    AtEdge { open: bool },
}

/// Reads the request's `Range` for a file that grows. Several ranges are ignored, as is what [`select`]
/// ignores: the whole is as good an answer.
pub fn follow(request: &HeaderMap, length: u64) -> Growing {
    let spec = only_line(request, RANGE).and_then(|line| {
        let (unit, spec) = split(line.as_bytes(), b'=')?;
        unit.eq_ignore_ascii_case(UNIT.as_bytes()).then_some(spec.trim_ascii())
    });
    spec.and_then(|spec| follow_one(spec, length)).unwrap_or(Growing::None)
}

fn follow_one(spec: &[u8], length: u64) -> Option<Growing> {
    let (first, last) = split(spec, b'-')?;
    if first.is_empty() {
        return Some(match number(last)? {
            0 => Growing::Unsatisfiable,
            // The last bytes of nothing are the first to come.
            _ if length == 0 => Growing::AtEdge { open: false },
            suffix => Growing::Bounded(length.saturating_sub(suffix)..length),
        });
    }
    let start = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if start > last {
        return None;
    }
    Some(match start.cmp(&length) {
        Ordering::Greater => Growing::Unsatisfiable,
        Ordering::Equal => Growing::AtEdge { open: last >= EVER },
        Ordering::Less if last >= EVER => Growing::Open(start),
        Ordering::Less => Growing::Bounded(start..(last + 1).min(length)),
    })
}

/// Whether the request asks, as RFC 8673 has it, for all that will come to a file that is there.
pub fn asks_for_ever(request: &HeaderMap) -> bool {
    let spec = only_line(request, RANGE).and_then(|line| split(line.as_bytes(), b'='));
    let spec = spec.filter(|(unit, _)| unit.eq_ignore_ascii_case(UNIT.as_bytes()));
    let range = spec.and_then(|(_, spec)| split(spec.trim_ascii(), b'-'));
    range.is_some_and(|(first, last)| number(first).is_some() && number(last) == Some(EVER))
}

/// What a request's `Content-Range` says of its body (RFC 9110 §14.4, §14.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// These bytes, of so many if that is known.
    Part(Range<u64>, Option<u64>),
    /// None: it asks what is there, of so many if that is known.
    Nothing(Option<u64>),
}

/// Reads a `Content-Range` field of a request; `None` if it is malformed.
pub fn sent(field: &[u8]) -> Option<Sent> {
    let (unit, rest) = split(field, b' ')?;
    let (range, length) = split(rest, b'/')?;
    let exact = |digits: &[u8]| number(digits).filter(|number| *number <= EVER);
    let total = if length == b"*" { None } else { Some(exact(length)?) };
    if !unit.eq_ignore_ascii_case(UNIT.as_bytes()) {
        return None;
    }
    if range == b"*" {
        return Some(Sent::Nothing(total));
    }
    let (first, last) = split(range, b'-')?;
    let (first, last) = (exact(first)?, exact(last)?);
    let fits = first <= last && total.is_none_or(|total| last < total);
    fits.then_some(Sent::Part(first..last + 1, total))
}

/// Merges spans that overlap or nearly touch; what remains keeps the order of the request (§15.3.7.2).
/// None if that is still too many.
fn several(spans: impl Iterator<Item = Range<u64>>) -> Option<Ranges> {
    let mut spans: Vec<(usize, Range<u64>)> = spans.enumerate().collect();
    spans.sort_unstable_by_key(|(_, span)| span.start);
    spans.dedup_by(|(place, span), (kept_place, kept)| {
        let near = span.start < kept.end.saturating_add(PART_HEAD);
        if near {
            kept.end = kept.end.max(span.end);
            *kept_place = (*kept_place).min(*place);
        }
        near
    });
    spans.sort_unstable_by_key(|&(place, _)| place);

    let spans: Vec<_> = spans.into_iter().map(|(_, span)| span).collect();
    match <[_; 1]>::try_from(spans) {
        Ok([span]) => Some(Ranges::One(span)),
        Err(spans) => (spans.len() <= MAX_PARTS).then_some(Ranges::Several(spans)),
    }
}

/// A number past 2^64 is merely large: no file reaches that far.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value =
        |number: u64, digit: &u8| number.saturating_mul(10).saturating_add((digit - b'0').into());
    Some(digits.iter().fold(0, value))
}

/// Orders digits as the numbers they spell, of any size: past 2^64 `number` gives equals.
fn magnitude(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    let digits = digits.get(zeros..).unwrap_or_default();
    (digits.len(), digits)
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at_checked(text.iter().position(|&byte| byte == at)?)?;
    Some((before, rest.get(1..)?))
}

/// The `Content-Range` of a span that isn't empty, in a file of that length (§14.4).
pub fn content_range(span: &Range<u64>, length: u64) -> String {
    format!("{UNIT} {}-{}/{length}", span.start, span.end.saturating_sub(1))
}

/// The `Content-Range` of a 416: how long the file is.
pub fn unsatisfied(length: u64) -> String {
    format!("{UNIT} */{length}")
}

/// The `Content-Range` of a span of a file whose length isn't known; an end of `None` is one that isn't either
/// (RFC 8673 §2.1).
pub fn content_range_of_growing(start: u64, end: Option<u64>) -> String {
    let last = end.map_or(EVER, |end| end.saturating_sub(1));
    format!("{UNIT} {start}-{last}/*")
}
