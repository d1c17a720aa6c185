//! Lengths, times and names as people read them. It never says more than it was given: a time
//! beyond the calendar is no time.

use std::ffi::OsStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// A length in two or three digits, in the largest binary unit that leaves at least 1 of it.
pub(super) fn size(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        // What would be printed as 1024 is 1 of the next.
        if value < 1023.5 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" || value >= 9.95 {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// A length to the byte, in groups of three.
pub(super) fn exact(bytes: u64) -> String {
    let digits = bytes.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + if bytes == 1 { " byte" } else { " bytes" }
}

/// A span of time in hours, minutes and whole seconds.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A name as one line of text: U+FFFD for what isn't UTF-8, a visible picture for a control
/// character (U+2400 to U+2421).
pub(super) fn name(name: &OsStr) -> String {
    let picture = |c: char| match c {
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(c),
        '\x7f' => '\u{2421}',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    name.to_string_lossy().chars().map(picture).collect()
}

/// A moment is a time of the calendar's years 0 to 9999, in UTC (RFC 3339).
#[derive(Clone, Copy)]
pub(super) struct Moment(OffsetDateTime);

impl Moment {
    /// None where RFC 3339 has no year for it, as a damaged file system may give.
    pub(super) fn of(time: SystemTime) -> Option<Moment> {
        let nanos = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i128::try_from(after.as_nanos()).ok()?,
            Err(before) => -i128::try_from(before.duration().as_nanos()).ok()?,
        };
        let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
        (0..=9999).contains(&moment.year()).then_some(Moment(moment))
    }

    /// `2026-11-22T09:16:11.123456789Z`
    pub(super) fn nanos(self) -> String {
        format!("{}.{:09}Z", self.date_and_time('T'), self.0.nanosecond())
    }

    /// `2026-11-22T09:16:11Z`: what HTML's `datetime` can hold, which has no nanoseconds.
    pub(super) fn seconds(self) -> String {
        format!("{}Z", self.date_and_time('T'))
    }

    /// `2026-11-22 09:16`
    pub(super) fn minutes(self) -> String {
        let mut text = self.date_and_time(' ');
        text.truncate(text.len() - ":11".len());
        text
    }

    fn date_and_time(self, between: char) -> String {
        let Moment(t) = self;
        let (year, month, day) = t.to_calendar_date();
        let (hour, minute, second) = t.to_hms();
        let month = u8::from(month);
        format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10_188, "9.9 KiB"),
            (10_189, "10 KiB"),
            (1_048_063, "1023 KiB"),
            (1_048_064, "1.0 MiB"),
            (1 << 30, "1.0 GiB"),
            (5_000_000_000, "4.7 GiB"),
            (123_456_789_012, "115 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn exact_sizes() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1,000 bytes"),
            (u64::MAX, "18,446,744,073,709,551,615 bytes"),
        ] {
            assert_eq!(exact(bytes), text);
        }
    }

    #[test]
    fn names_stay_on_one_line() {
        for (bytes, text) in [
            (&b"a\nb\x7f"[..], "a␊b␡"),
            (b"a\xffb", "a\u{fffd}b"),
            ("a\u{85}b".as_bytes(), "a\u{fffd}b"),
            ("영상 🎬".as_bytes(), "영상 🎬"),
        ] {
            assert_eq!(name(OsStr::from_bytes(bytes)), text);
        }
    }

    #[test]
    fn moments() {
        let after = |s, n| UNIX_EPOCH + Duration::new(s, n);
        let before = |s, n| UNIX_EPOCH - Duration::new(s, n);
        for (time, text) in [
            (after(0, 0), "1970-01-01T00:00:00.000000000Z"),
            (after(1_795_338_971, 123_456_789), "2026-11-22T09:16:11.123456789Z"),
            (after(951_782_400, 1), "2000-02-29T00:00:00.000000001Z"),
            (before(0, 1), "1969-12-31T23:59:59.999999999Z"),
            (before(2_335_219_200, 0), "1896-01-01T00:00:00.000000000Z"),
            (after(253_402_300_799, 0), "9999-12-31T23:59:59.000000000Z"),
        ] {
            assert_eq!(Moment::of(time).map(Moment::nanos).as_deref(), Some(text));
        }
        let known = Moment::of(after(1_795_338_971, 5)).unwrap();
        assert_eq!(known.seconds(), "2026-11-22T09:16:11Z");
        assert_eq!(known.minutes(), "2026-11-22 09:16");
    }

    #[test]
    fn a_time_beyond_the_calendar_is_none() {
        for seconds in [253_402_300_800, i64::MAX as u64] {
            assert!(Moment::of(UNIX_EPOCH + Duration::from_secs(seconds)).is_none());
        }
        assert!(Moment::of(UNIX_EPOCH - Duration::from_secs(70_000_000_000)).is_none());
    }
}
