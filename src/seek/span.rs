//! `Range: t:npt=10-20` -> the bytes that show those times, and the times that those bytes show
//! (W3C, Protocol for Media Fragments 1.0 Resolution in HTTP).
//!
//! ```text
//! npt=10-20   npt=1:30.5-   npt=-20    seconds, minutes, hours since the presentation's start
//! smpte=...                            labels that count at the film's own rate
//! smpte-25=   smpte-30=   smpte-30-drop=01:09:14;28-
//! ```
//! A range ends before the frame that its second time names.

use super::{Film, Refusal};
use crate::media::{Counting, Error, Place, Rate, Reel, Time, Timecode};
use std::{borrow::Cow, ops::Range};

/// A value of this type is a range of times that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    format: Format,
    /// None: from the presentation's start.
    from: Option<Timecode>,
    /// None: to its end.
    to: Option<Timecode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Npt,
    /// Labels at the film's own rate.
    Smpte,
    /// Labels at that rate.
    At(Rate, bool),
}

/// Hours, minutes or seconds that no film lasts.
const LARGE: &str = "99999999999";
const RATE_25: Rate = Rate { numerator: 25, denominator: 1 };
const RATE_30: Rate = Rate { numerator: 30, denominator: 1 };
const RATE_29_97: Rate = Rate { numerator: 30_000, denominator: 1001 };

impl TimeRange {
    /// Reads what follows `t:`; none where it is no such range, which is to be ignored then
    /// (RFC 9110 §14.2).
    pub fn parse(text: &str) -> Option<TimeRange> {
        let (format, times) = text.split_once('=')?;
        let format = match format.trim().to_ascii_lowercase().as_str() {
            "npt" => Format::Npt,
            "smpte" => Format::Smpte,
            "smpte-25" => Format::At(RATE_25, false),
            "smpte-30" => Format::At(RATE_30, false),
            "smpte-30-drop" => Format::At(RATE_29_97, true),
            _ => return None,
        };
        let (from, to) = times.trim().split_once('-')?;
        let (from, to) = (format.time(from.trim())?, format.time(to.trim())?);
        (from.is_some() || to.is_some()).then_some(TimeRange { format, from, to })
    }
}

impl Format {
    /// One end of a range; the inner none is one left out, the outer one malformed.
    fn time(self, text: &str) -> Option<Option<Timecode>> {
        if text.is_empty() {
            return Some(None);
        }
        let timecode: Timecode = match (self, text.matches([':', ';', ',']).count()) {
            // A label without its frames is one of frame 0.
            (Format::Smpte | Format::At(_, false), 2) => format!("{text}:00").parse().ok()?,
            (Format::At(_, true), 2) => format!("{text};00").parse().ok()?,
            (Format::Npt, _) => bounded(text).parse().ok()?,
            _ => text.parse().ok()?,
        };
        match (self, timecode) {
            (Format::Npt, Timecode::Seconds(_)) | (Format::Smpte, Timecode::Label(_)) => {
                Some(Some(timecode))
            }
            // The drafts write `:` before the frames of a drop-frame label, too.
            (Format::At(_, drop_frame), Timecode::Label(mut label)) => {
                let fits = drop_frame || !label.drop_frame;
                label.drop_frame = drop_frame;
                fits.then_some(Some(Timecode::Label(label)))
            }
            _ => None,
        }
    }

    /// Where a time leads. Labels count from the first shown frame, whatever the film's own timecode track says.
    fn place(self, film: &Film<'_>, timecode: Timecode) -> Result<Place, Refusal> {
        let reel = Reel { start: None, ..film.reel() };
        let (Format::At(rate, drop_frame), Timecode::Label(label)) = (self, timecode) else {
            return Ok(reel.at(timecode)?);
        };
        let number = Counting::new(rate, drop_frame)?.frame_of(label)?;
        let counts = |own: Rate| match drop_frame {
            true => own.dropped_a_minute() == rate.dropped_a_minute(),
            false => own.nominal() == rate.nominal(),
        };
        if reel.rate.is_some_and(counts) && !reel.variable_rate {
            return Ok(Place::Frame(number));
        }
        match rate.time_of(number) {
            Some(time) => Ok(Place::Grid(time)),
            None => Err(Refusal::Malformed(format!("{label} is too late for any film"))),
        }
    }
}

/// A time whose first number no clock here can hold, as one that is later than any film (RFC 9110 §14.1.2 has it so for
/// bytes).
fn bounded(text: &str) -> Cow<'_, str> {
    let (first, rest) = text.split_at(text.find([':', '.']).unwrap_or(text.len()));
    let digits = first.trim_start_matches('0').len();
    match digits > LARGE.len() && first.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("{LARGE}{rest}").into(),
        false => text.into(),
    }
}

/// A value of this type is what is sent for a range of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub bytes: Range<u64>,
    /// From the sync sample's time (zero for one that is before) to the end of the last frame.
    pub from: Time,
    pub to: Time,
    pub duration: Option<Time>,
}

/// A value of this type is why nothing is sent for one.
#[derive(Debug)]
pub enum Unsent {
    /// The film shows nothing in that range: a sentence says why.
    Unsatisfiable(String),
    /// The film gives no answer.
    Film(Error),
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Unsent {
        Unsent::Film(error)
    }
}

impl Sent {
    /// The value of `Content-Range-Mapping`, for a file of that length.
    pub fn mapping(&self, length: u64) -> String {
        let Sent { bytes, from, to, duration } = self;
        let end = duration.map(|end| end.to_string()).unwrap_or_default();
        let (first, last) = (bytes.start, bytes.end.saturating_sub(1));
        format!("{{ t:npt {from}-{to}/0-{end} }} = {{ bytes {first}-{last}/{length} }}")
    }
}

impl Film<'_> {
    /// The bytes that show a range of times.
    pub fn span(&self, range: &TimeRange) -> Result<Sent, Unsent> {
        let duration = self.index.duration();
        let past = || {
            let asked = "what the range asks for".to_owned();
            let growing = self.index.is_growing();
            let past = Refusal::PastTheEnd { asked, duration, growing, hint: None };
            Unsent::Unsatisfiable(past.to_string())
        };
        let from = match range.from {
            None => Time::ZERO,
            Some(timecode) => self.time(range.format, timecode)?.ok_or_else(past)?,
        };
        let to = match range.to {
            None => None,
            Some(timecode) => self.time(range.format, timecode)?,
        };
        if to.is_some_and(|to| to <= from) {
            return Err(Unsent::Unsatisfiable(
                "the range asked for ends where it begins, or before".into(),
            ));
        }
        let to = to.filter(|to| duration.is_none_or(|end| *to < end));
        let found = self.index.find(self.source, from)?.ok_or_else(past)?;
        let first = found.frame.time;
        if to.is_some_and(|to| to <= first) {
            let why =
                format!("the film shows nothing in that range: the next frame is at {first} s");
            return Err(Unsent::Unsatisfiable(why));
        }
        let sync = found.sync.time;
        if to.is_some_and(|to| to <= sync) {
            let why = format!(
                "nothing in that range can be decoded: the film's first sync sample is at {sync} s"
            );
            return Err(Unsent::Unsatisfiable(why));
        }
        let bytes = self.index.span(self.source, from, to)?.ok_or_else(past)?;
        let end = match to {
            None => duration,
            Some(to) => Some(self.end_of(to)?),
        };
        let to = end.unwrap_or(found.frame.time);
        // A sync sample that an edit list hides lies before zero, where there is no time to tell of.
        let start = sync.max(Time::ZERO);
        Ok(Sent { bytes, from: start, to, duration })
    }

    /// The time that one end of a range names; none past the end.
    fn time(&self, format: Format, timecode: Timecode) -> Result<Option<Time>, Unsent> {
        let place = match format.place(self, timecode) {
            Ok(Place::Time(time)) => return Ok(Some(time)),
            Ok(place) => place,
            Err(refusal) => return Err(Unsent::Unsatisfiable(refusal.to_string())),
        };
        Ok(self.meet(place)?.map(|met| met.lookup()))
    }

    /// When the last frame before `to` has been shown.
    fn end_of(&self, to: Time) -> Result<Time, Error> {
        let Some(found) = self.index.find(self.source, to)? else { return Ok(to) };
        if found.frame.time >= to {
            return Ok(to);
        }
        let next = self.index.frame(self.source, found.number.saturating_add(1))?;
        Ok(match next {
            Some(next) => next.frame.time.max(to),
            None => self.index.duration().unwrap_or(to).max(to),
        })
    }
}
