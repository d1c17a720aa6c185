//! The `If-*` fields -> proceed, not modified or precondition failed (RFC 9110 §13). Never sees a range.
//!
//! Whatever can't be understood matches nothing, or, where it should be a date, is ignored: at worst
//! the client gets the whole file, or a 412, but never bytes that don't belong together.

#[cfg(test)]
mod tests;

use http::{
    HeaderMap, HeaderName,
    header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE},
};

use super::{only_line, representation::Date};

/// The validators of the representation at the moment of the request; `etag` is a strong one.
pub struct Current<'a> {
    pub etag: &'a [u8],
    pub modified: Date,
    pub now: Date,
}

/// What the preconditions make of a GET or HEAD that would else succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Proceed,
    NotModified,
    PreconditionFailed,
}

/// Weighs the preconditions in the order of §13.2.2, where tags silence dates.
pub fn evaluate(request: &HeaderMap, current: &Current) -> Outcome {
    if !is_as_demanded(request, current) {
        return Outcome::PreconditionFailed;
    }
    let known = if request.contains_key(IF_NONE_MATCH) {
        any_tag(request, IF_NONE_MATCH, |tag| tag.text == current.etag)
    } else {
        date(request, IF_MODIFIED_SINCE).is_some_and(|date| current.modified <= date)
    };
    if known { Outcome::NotModified } else { Outcome::Proceed }
}

/// Whether a request that writes may do so to what is there, or to nothing. What a client would have if it
/// asked again is no matter here (§13.1.3).
pub fn lets_write(request: &HeaderMap, current: Option<&Current>) -> bool {
    let Some(current) = current else { return !request.contains_key(IF_MATCH) };
    is_as_demanded(request, current)
        && !any_tag(request, IF_NONE_MATCH, |tag| tag.text == current.etag)
}

/// Whether it is the version that the client means (§13.1.1, §13.1.4).
fn is_as_demanded(request: &HeaderMap, current: &Current) -> bool {
    if request.contains_key(IF_MATCH) {
        any_tag(request, IF_MATCH, |tag| !tag.weak && tag.text == current.etag)
    } else {
        date(request, IF_UNMODIFIED_SINCE).is_none_or(|date| current.modified <= date)
    }
}

/// Whether a request that writes has a precondition.
pub fn guards_writing(request: &HeaderMap) -> bool {
    [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE].iter().any(|name| request.contains_key(name))
}

/// Whether the `Range` may be honoured: there is no `If-Range`, or it names just this version (§13.1.5).
pub fn if_range(request: &HeaderMap, current: &Current) -> bool {
    if !request.contains_key(IF_RANGE) {
        return true;
    }
    let Some(line) = only_line(request, IF_RANGE) else { return false };
    match entity_tag(line.as_bytes()) {
        Some((tag, rest)) => rest.is_empty() && !tag.weak && tag.text == current.etag,
        None => Date::parse(line)
            .is_some_and(|date| date == current.modified && date.is_strong_at(current.now)),
    }
}

/// A field that holds one date. A second line makes it a list, and so no date (§13.1.3, §13.1.4).
fn date(request: &HeaderMap, name: HeaderName) -> Option<Date> {
    only_line(request, name).and_then(Date::parse)
}

/// An entity-tag: `text` is what stands in quotes, with them (§8.8.3).
struct Tag<'a> {
    weak: bool,
    text: &'a [u8],
}

/// Whether a field is `*`, or one of the tags on its lines passes the test.
fn any_tag(request: &HeaderMap, name: HeaderName, matches: impl Fn(Tag) -> bool) -> bool {
    only_line(request, &name).is_some_and(|line| line.as_bytes().trim_ascii() == b"*")
        || request.get_all(name).iter().any(|line| tags(line.as_bytes()).any(&matches))
}

/// The tags of one line, up to the first thing that isn't one: past that, no quote can be trusted.
fn tags(line: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| !matches!(byte, b',' | b' ' | b'\t'))?;
        let (tag, after) = entity_tag(rest.get(start..)?)?;
        rest = after.trim_ascii_start();
        matches!(rest.first(), None | Some(b',')).then_some(tag)
    })
}

/// One entity-tag off the front, and what follows it. `W/` is case-sensitive; a tag may hold commas,
/// and bytes past ASCII, but neither white space nor quotes.
fn entity_tag(line: &[u8]) -> Option<(Tag<'_>, &[u8])> {
    let (weak, line) = match line.strip_prefix(b"W/") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let inside = line.strip_prefix(b"\"")?;
    let end = inside.iter().position(|byte| !matches!(byte, 0x21 | 0x23..=0x7e | 0x80..))?;
    let (text, rest) = line.split_at_checked(end + 2)?;
    text.ends_with(b"\"").then_some((Tag { weak, text }, rest))
}
