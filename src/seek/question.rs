//! What is asked of a film's time: read from a URL's query, or made from typed arguments.

use super::Refusal;
use crate::media::Timecode;
use percent_encoding::percent_decode_str;

/// The most moments that one question may name.
const MOST_MOMENTS: usize = 100;

/// A value of this type is a question about a film's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// `?info`: what the film is.
    Info,
    /// `?at=` or `?tc=`: where moments lie in the file.
    Moments {
        meaning: Meaning,
        /// At least one, as they were typed, and what they mean.
        asked: Vec<(String, Timecode)>,
        /// `&size=`: how many bytes the range that is given shall hold; else all to the file's end.
        size: Option<u64>,
    },
}

/// A value of this type says from where a label counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// `at`: from the first shown frame.
    Elapsed,
    /// `tc`: as the file's own timecode track does.
    Own,
}

impl Question {
    /// The question in a URL's query (RFC 3986 §3.4), in pairs joined by `&`; none where no pair asks
    /// one, as `from=live` doesn't. Pairs of other names are not ours, and are passed over.
    pub fn of(query: &str) -> Result<Option<Question>, Refusal> {
        let pairs = || query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        if pairs().any(|(name, value)| name == "from" && !matches!(value, "live" | "start")) {
            return refuse("from= is live or start");
        }
        if !pairs().any(|(name, _)| matches!(name, "at" | "tc" | "info")) {
            return Ok(None);
        }
        let (mut typed, mut size) = (Vec::new(), None);
        for (name, value) in pairs() {
            match name {
                "at" => typed.push((Meaning::Elapsed, decoded(value)?)),
                "tc" => typed.push((Meaning::Own, decoded(value)?)),
                "size" if size.is_some() => return refuse("size= is given twice"),
                "size" => size = Some(bytes(&decoded(value)?)?),
                _ => {}
            }
        }
        let asks_info = pairs().any(|(name, _)| name == "info");
        match typed.first() {
            None if size.is_some() => refuse("size= belongs to at= or tc=, not to info"),
            None => Ok(Some(Question::Info)),
            Some(_) if asks_info => refuse("info is asked by itself, without at= or tc="),
            Some(&(meaning, _)) if typed.iter().any(|(other, _)| *other != meaning) => {
                refuse("at= and tc= mean two things: ask for one of them")
            }
            Some(_) if typed.iter().any(|(_, typed)| typed.is_empty()) => refuse(
                "a moment is empty: give a time, a label or a frame's number, such as 90.5, 00:01:30:12 or %232250 (the # \
                 of a number is written %23 in a URL)",
            ),
            Some(&(meaning, _)) => {
                let typed = typed.into_iter().map(|(_, typed)| typed).collect();
                Question::moments(meaning, typed, size).map(Some)
            }
        }
    }

    /// The question where these moments lie.
    pub fn moments(
        meaning: Meaning,
        typed: Vec<String>,
        size: Option<u64>,
    ) -> Result<Question, Refusal> {
        if typed.len() > MOST_MOMENTS {
            return refuse(format!("at most {MOST_MOMENTS} moments are answered at once"));
        }
        if size == Some(0) {
            return refuse("a size of 0 is no range: ask for 1 byte or more");
        }
        let asked = typed.into_iter().map(|typed| {
            if typed.is_empty() {
                return refuse("the moment is empty: give a time, a label or a frame's number, such as 90.5, 00:01:30:12 or #2250");
            }
            let timecode = typed.parse::<Timecode>()?;
            Ok((typed, timecode))
        });
        Ok(Question::Moments { meaning, asked: asked.collect::<Result<_, _>>()?, size })
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Malformed(why.into()))
}

/// What a percent-encoded value stands for. A `+` is itself, as no timecode holds a space.
fn decoded(value: &str) -> Result<String, Refusal> {
    let whole = |escape: &str| {
        escape.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    if !value.split('%').skip(1).all(whole) {
        return refuse("the query holds a % that is not followed by two hexadecimal digits");
    }
    match percent_decode_str(value).decode_utf8() {
        Ok(text) if text.chars().any(char::is_control) => refuse("the query holds what is no text"),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(_) => refuse("the query holds what is no text"),
    }
}

fn bytes(typed: &str) -> Result<u64, Refusal> {
    let is_number = !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_digit());
    match typed.parse() {
        Ok(size) if is_number => Ok(size),
        // A number past 2^64 is merely large: no file reaches that far.
        _ if is_number => Ok(u64::MAX),
        _ => refuse("size= is a number of bytes, such as 20971520"),
    }
}
