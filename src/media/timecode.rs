//! Timecodes: what a person types for a moment, the frame it names, and the label a frame bears.
//!
//! ```text
//! 90.5   1:30.5   00:01:30.500     a time, in seconds
//! 00:01:30:12                      a label: hours, minutes, seconds, frames
//! 00:01:30;12   00:01:30,12        a drop-frame label
//! #2250                            a frame, counted from the first shown one
//! ```
//! Pure: no file, no clock. Nothing is rounded in silence; what can't be meant is refused with a sentence.

use super::{
    index::StartTimecode,
    time::{Rate, Rounding, Time},
};
use std::{fmt, str::FromStr};

/// A value of this type is a moment as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timecode {
    /// Seconds since the presentation's start, exactly as typed.
    Seconds(Time),
    Label(Label),
    /// A frame's number, counted from the first shown frame.
    Frame(u64),
}

/// A value of this type is a label of a frame (SMPTE ST 12-1 §5): four numbers and how they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub hours: u32,
    /// Below 60.
    pub minutes: u32,
    /// Below 60.
    pub seconds: u32,
    pub frames: u32,
    pub drop_frame: bool,
}

/// A value of this type is where in a file a timecode leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// That many seconds after the presentation's start.
    Time(Time),
    /// The frame of that number, counted from the first shown one.
    Frame(u64),
    /// That long after the first shown frame: the label was put on the nominal grid, since the file's own
    /// frames lie on none (a variable rate) or on another one (the timecode track counts at its own rate).
    Grid(Time),
}

/// A value of this type is a sentence that says why a timecode was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(why.into()))
}

impl FromStr for Timecode {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        if text.starts_with('-') {
            return refuse(format!(
                "`{text}` is before the film's first frame: times count up from 0"
            ));
        }
        let is_unit = |c: char| c.is_ascii_alphabetic();
        if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(is_unit) {
            return refuse(format!(
                "`{text}` is not a number: times are written without units, as 90.5 (seconds), 1:30.5, 00:01:30:12 or \
                 #2250 (a frame)"
            ));
        }
        if let Some(number) = text.strip_prefix('#') {
            return Ok(Timecode::Frame(number_in(number, text)?));
        }
        let parts: Vec<&str> = text.splitn(5, [':', ';', ',']).collect();
        // The separators, as they stand between the parts.
        let marks: Vec<char> = text.chars().filter(|c| matches!(c, ':' | ';' | ',')).collect();
        match (parts.as_slice(), marks.as_slice()) {
            ([seconds], []) => Ok(Timecode::Seconds(seconds_in(seconds, text)?)),
            ([minutes, seconds], [':']) => {
                Ok(Timecode::Seconds(clock(0, number_in(minutes, text)?, seconds, text)?))
            }
            ([hours, minutes, seconds], [':', ':']) => {
                let minutes = sixty("minutes", number_in(minutes, text)?, text)?;
                Ok(Timecode::Seconds(clock(
                    number_in(hours, text)?,
                    minutes.into(),
                    seconds,
                    text,
                )?))
            }
            ([hours, minutes, seconds, frames], [':', ':', mark]) => {
                let number = |part| -> Result<u32, Refused> {
                    let number = number_in(part, text)?;
                    number.try_into().or_else(|_| refuse(too_late(text)))
                };
                Ok(Timecode::Label(Label {
                    hours: number(hours)?,
                    minutes: sixty("minutes", number_in(minutes, text)?, text)?,
                    seconds: sixty("seconds", number_in(seconds, text)?, text)?,
                    frames: number(frames)?,
                    drop_frame: *mark != ':',
                }))
            }
            _ => refuse(no_timecode(text)),
        }
    }
}

fn no_timecode(text: &str) -> String {
    format!(
        "`{text}` is no timecode: write 90.5, 1:30.5, 00:01:30.500, 00:01:30:12, 00:01:30;12 or #2250, the last two in \
         quotes in a shell, and # as %23 in a URL"
    )
}

fn too_late(text: &str) -> String {
    format!("`{text}` is later than any film lasts: write a time within the film, as 1:30.5")
}

fn number_in(digits: &str, text: &str) -> Result<u64, Refused> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse(no_timecode(text));
    }
    digits.parse().or_else(|_| refuse(too_late(text)))
}

fn sixty(what: &str, number: u64, text: &str) -> Result<u32, Refused> {
    match u32::try_from(number) {
        Ok(number) if number < 60 => Ok(number),
        _ => refuse(format!("`{text}` has {number} {what}: they count 0 to 59")),
    }
}

/// Seconds with at most nine decimals: on a clock of nanoseconds nothing typed is lost.
fn seconds_in(part: &str, text: &str) -> Result<Time, Refused> {
    let (whole, decimals) = match part.split_once('.') {
        None => (part, ""),
        Some((whole, decimals)) => {
            number_in(decimals, text).or_else(|error| match decimals.len() > 9 {
                true => Ok(0),
                false => Err(error),
            })?;
            (whole, decimals.trim_end_matches('0'))
        }
    };
    if decimals.len() > 9 {
        return refuse(format!("`{text}` has more than nine decimals of a second"));
    }
    let scale = 10u32.pow(decimals.len() as u32);
    let whole =
        number_in(if whole.is_empty() && !decimals.is_empty() { "0" } else { whole }, text)?;
    let fraction = if decimals.is_empty() { 0 } else { number_in(decimals, text)? };
    let ticks = i64::try_from(whole).ok().and_then(|whole| whole.checked_mul(scale.into()));
    match ticks.and_then(|ticks| ticks.checked_add_unsigned(fraction)) {
        Some(ticks) => Ok(Time::new(ticks, scale)),
        None => refuse(too_late(text)),
    }
}

fn clock(hours: u64, minutes: u64, seconds: &str, text: &str) -> Result<Time, Refused> {
    let seconds = seconds_in(seconds, text)?;
    if seconds >= Time::new(60, 1) {
        return refuse(format!("`{text}` has {seconds} seconds: they end before 60"));
    }
    let whole =
        hours.checked_mul(3600).zip(minutes.checked_mul(60)).and_then(|(h, m)| h.checked_add(m));
    let whole = whole.and_then(|whole| i64::try_from(whole).ok()).map(|whole| Time::new(whole, 1));
    match whole
        .and_then(|whole| whole.rescaled(seconds.scale, Rounding::Down)?.checked_add(seconds))
    {
        Some(time) => Ok(time),
        None => refuse(too_late(text)),
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Label { hours, minutes, seconds, frames, drop_frame } = self;
        let mark = if *drop_frame { ';' } else { ':' };
        f.pad(&format!("{hours:02}:{minutes:02}:{seconds:02}{mark}{frames:02}"))
    }
}

/// A value of this type is a way to count frames in labels: a rate, and whether labels are left out so that
/// they keep up with the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counting {
    rate: Rate,
    /// Labels left out at the start of each minute but every tenth; zero without drop-frame.
    dropped: u32,
}

impl Counting {
    /// A rate that has no drop-frame is refused where it's asked for.
    pub fn new(rate: Rate, drop_frame: bool) -> Result<Counting, Refused> {
        match (drop_frame, rate.dropped_a_minute()) {
            (false, _) => Ok(Counting { rate, dropped: 0 }),
            (true, Some(dropped)) => Ok(Counting { rate, dropped }),
            (true, None) => refuse(format!(
                "there is no drop-frame timecode at {rate} frames a second, only at 30000/1001, 60000/1001 \
                 and 120000/1001: write `:` before the frames"
            )),
        }
    }

    pub fn rate(self) -> Rate {
        self.rate
    }

    pub fn is_drop_frame(self) -> bool {
        self.dropped > 0
    }

    /// Frames from label 00:00:00:00 until it comes again, 24 hours of labels later.
    pub fn day(self) -> u64 {
        let ten_minutes = 600 * u64::from(self.rate.nominal()) - 9 * u64::from(self.dropped);
        144 * ten_minutes
    }

    /// The frame that bears the label, counted from the one that bears 00:00:00:00. Hours may pass 24.
    pub fn frame_of(self, label: Label) -> Result<u64, Refused> {
        let nominal = self.rate.nominal();
        if label.frames >= nominal {
            let (rate, frames) = (self.rate, label.frames);
            return refuse(format!(
                "{label} names frame {frames} of a second, and at {rate} frames a second they count 0 to {}",
                nominal - 1
            ));
        }
        let tenth = label.minutes.is_multiple_of(10);
        if label.seconds == 0 && !tenth && label.frames < self.dropped {
            return refuse(format!(
                "there is no {label}: drop-frame timecode leaves out the first {} labels of each minute that \
                 is not a multiple of ten",
                self.dropped
            ));
        }
        let minutes = u64::from(label.hours) * 60 + u64::from(label.minutes);
        let seconds = minutes * 60 + u64::from(label.seconds);
        let labels = seconds.checked_mul(nominal.into());
        match labels.and_then(|labels| labels.checked_add(label.frames.into())) {
            Some(labels) => Ok(labels - u64::from(self.dropped) * (minutes - minutes / 10)),
            None => refuse(format!("{label} is too late for any file")),
        }
    }

    /// The label of the frame that is `frame` frames after 00:00:00:00. Hours go past 24: the caller wraps
    /// at [`Counting::day`] where the label is a clock's and not an elapsed time.
    pub fn label_of(self, frame: u64) -> Label {
        let (nominal, dropped) = (u64::from(self.rate.nominal()), u64::from(self.dropped));
        let minute = 60 * nominal - dropped;
        let ten_minutes = 10 * minute + dropped;
        let (tens, rest) = (frame / ten_minutes, frame % ten_minutes);
        // The first minute of ten is whole; each later one has lost its first labels.
        let lost = if rest < minute + dropped { 0 } else { 1 + (rest - minute - dropped) / minute };
        let labels =
            u128::from(frame) + u128::from(dropped) * (u128::from(tens) * 9 + u128::from(lost));
        let (seconds, frames) = (labels / u128::from(nominal), labels % u128::from(nominal));
        Label {
            hours: u32::try_from(seconds / 3600).unwrap_or(u32::MAX),
            minutes: (seconds / 60 % 60) as u32,
            seconds: (seconds % 60) as u32,
            frames: frames as u32,
            drop_frame: dropped > 0,
        }
    }
}

/// A value of this type is what a file says of its frames' labels.
#[derive(Clone, Copy, Debug)]
pub struct Reel<'a> {
    /// The main track's rate; none where the file says none.
    pub rate: Option<Rate>,
    pub variable_rate: bool,
    /// The file's own timecode track.
    pub start: Option<&'a StartTimecode>,
}

impl Reel<'_> {
    /// Where `?at=` leads: labels count from 00:00:00:00 at the first shown frame.
    pub fn at(&self, timecode: Timecode) -> Result<Place, Refused> {
        let label = match timecode {
            Timecode::Seconds(time) => return Ok(Place::Time(time)),
            Timecode::Frame(number) => return Ok(Place::Frame(number)),
            Timecode::Label(label) => label,
        };
        let Some(rate) = self.rate else {
            return refuse(format!(
                "{label} counts frames, and this file says no frame rate: ask in seconds"
            ));
        };
        if let Some(start) = self.start {
            same_counting(label, start)?;
        }
        let frame = Counting::new(rate, label.drop_frame)?.frame_of(label)?;
        self.place(rate, frame)
    }

    /// Where `?tc=` leads: the label that the file's own timecode track bears there.
    pub fn tc(&self, timecode: Timecode) -> Result<Place, Refused> {
        let Some(start) = self.start else {
            return refuse(
                "this file has no timecode track: ask without tc, for the time since its first frame",
            );
        };
        let label = match timecode {
            Timecode::Label(label) => label,
            _ => return refuse("tc takes a label of the timecode track, such as 01:00:00:00"),
        };
        same_counting(label, start)?;
        if label.hours > 23 {
            return refuse(format!(
                "{label} is no label of a timecode track: they end at 23:59:59"
            ));
        }
        let counting = Counting::new(start.rate, start.drop_frame)?;
        let (frame, day) = (counting.frame_of(label)?, counting.day());
        // A label below the first one is of the next day.
        let since = (frame + day - start.frames % day) % day;
        self.place(start.rate, since)
    }

    fn place(&self, rate: Rate, frame: u64) -> Result<Place, Refused> {
        if self.rate == Some(rate) && !self.variable_rate {
            return Ok(Place::Frame(frame));
        }
        rate.time_of(frame)
            .map(Place::Grid)
            .ok_or_else(|| Refused("that is too late for any file".into()))
    }

    /// The label since the first shown frame of a frame that lies `time` after it: `number` is the answer's
    /// frame number, used where the file's frames are the grid.
    pub fn elapsed_label(&self, number: u64, time: Time, drop_frame: bool) -> Option<Label> {
        let counting = Counting::new(self.rate?, drop_frame).ok()?;
        let frame =
            if self.variable_rate { self.rate?.frames_in(time, Rounding::Down)? } else { number };
        Some(counting.label_of(frame))
    }

    /// The label that the file's own timecode track bears at that frame, wrapped after 24 hours.
    pub fn own_label(&self, number: u64, time: Time) -> Option<Label> {
        let start = self.start?;
        let counting = Counting::new(start.rate, start.drop_frame).ok()?;
        let since = match self.place(start.rate, number).ok()? {
            Place::Frame(frame) => frame,
            _ => start.rate.frames_in(time, Rounding::Down)?,
        };
        Some(counting.label_of(start.frames.checked_add(since)? % counting.day()))
    }
}

fn same_counting(label: Label, start: &StartTimecode) -> Result<(), Refused> {
    match (label.drop_frame, start.drop_frame) {
        (true, false) => refuse(format!(
            "{label} is a drop-frame label, and this file's timecode track counts without drop-frame: write \
             `:` before the frames"
        )),
        (false, true) => refuse(format!(
            "this file's timecode track counts in drop-frame: write `;` before the frames of {label}"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "timecode_tests.rs"]
mod tests;
