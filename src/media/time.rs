//! Exact times and rates. Never a float: 30000/1001 is not 29.97.

use std::{cmp::Ordering, fmt};

/// A value of this type is a time on a clock of `scale` ticks a second (ISO/IEC 14496-12 §8.4.2, timescale).
///
/// Two times are equal when they are the same moment, whatever their clocks: 1/2 s is 500/1000 s.
/// A `scale` of zero is no clock; the readers refuse it before a `Time` is made.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    pub ticks: i64,
    pub scale: u32,
}

/// A value of this type says where a time goes that falls between two ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the tick before (towards minus infinity).
    Down,
    /// To the tick after (towards plus infinity).
    Up,
    /// To the nearest tick; a half goes away from zero, as ffmpeg's `av_rescale` does.
    Nearest,
}

impl Time {
    pub const ZERO: Time = Time { ticks: 0, scale: 1 };

    pub const fn new(ticks: i64, scale: u32) -> Self {
        Time { ticks, scale }
    }

    /// The ticks of this time on another clock; `None` where they don't fit.
    pub fn ticks_at(self, scale: u32, rounding: Rounding) -> Option<i64> {
        if self.scale == scale {
            return Some(self.ticks);
        }
        divide(i128::from(self.ticks) * i128::from(scale), i128::from(self.scale), rounding)
    }

    /// This time on another clock; `None` where it doesn't fit.
    pub fn rescaled(self, scale: u32, rounding: Rounding) -> Option<Time> {
        Some(Time::new(self.ticks_at(scale, rounding)?, scale))
    }

    /// The exact sum; `None` where no clock of this program can hold it.
    pub fn checked_add(self, other: Time) -> Option<Time> {
        if self.scale == other.scale {
            return Some(Time::new(self.ticks.checked_add(other.ticks)?, self.scale));
        }
        let (a, b) = (i128::from(self.scale), i128::from(other.scale));
        let sum = i128::from(self.ticks) * b + i128::from(other.ticks) * a;
        let common = gcd(sum.unsigned_abs(), (a * b).unsigned_abs());
        let common = i128::try_from(common).ok().filter(|&common| common > 0)?;
        Some(Time::new((sum / common).try_into().ok()?, (a * b / common).try_into().ok()?))
    }

    /// The exact difference; `None` where no clock of this program can hold it.
    pub fn checked_sub(self, other: Time) -> Option<Time> {
        self.checked_add(Time::new(other.ticks.checked_neg()?, other.scale))
    }

    pub fn is_negative(self) -> bool {
        self.ticks < 0
    }
}

impl PartialEq for Time {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Time {}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = i128::from(self.ticks) * i128::from(other.scale);
        left.cmp(&(i128::from(other.ticks) * i128::from(self.scale)))
    }
}

/// Seconds with at most nine decimals. Where they don't suffice the last one is rounded up, so that the time
/// of a frame, asked for again as it was shown, finds that frame and not the one before.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NANO: i128 = 1_000_000_000;
        let (ticks, scale) = (i128::from(self.ticks), i128::from(self.scale.max(1)));
        let nanos = -((-ticks * NANO).div_euclid(scale));
        let sign = if nanos < 0 { "-" } else { "" };
        let (whole, part) =
            (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
        let text = match part {
            0 => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}.{}", format!("{part:09}").trim_end_matches('0')),
        };
        f.pad(&text)
    }
}

/// A value of this type is a number of frames a second: a fraction in lowest terms, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub numerator: u32,
    pub denominator: u32,
}

/// Rates that films are made at, the most usual first: of two that a coarse clock can't tell apart, the first is
/// meant.
pub const USUAL: [Rate; 25] = [
    Rate { numerator: 25, denominator: 1 },
    Rate { numerator: 30000, denominator: 1001 },
    Rate { numerator: 24000, denominator: 1001 },
    Rate { numerator: 50, denominator: 1 },
    Rate { numerator: 60000, denominator: 1001 },
    Rate { numerator: 24, denominator: 1 },
    Rate { numerator: 30, denominator: 1 },
    Rate { numerator: 60, denominator: 1 },
    Rate { numerator: 15, denominator: 1 },
    Rate { numerator: 15000, denominator: 1001 },
    Rate { numerator: 12, denominator: 1 },
    Rate { numerator: 12000, denominator: 1001 },
    Rate { numerator: 25, denominator: 2 },
    Rate { numerator: 10, denominator: 1 },
    Rate { numerator: 20, denominator: 1 },
    Rate { numerator: 48, denominator: 1 },
    Rate { numerator: 48000, denominator: 1001 },
    Rate { numerator: 100, denominator: 1 },
    Rate { numerator: 120, denominator: 1 },
    Rate { numerator: 120000, denominator: 1001 },
    Rate { numerator: 5, denominator: 1 },
    Rate { numerator: 8, denominator: 1 },
    Rate { numerator: 15, denominator: 2 },
    Rate { numerator: 1, denominator: 1 },
    Rate { numerator: 240, denominator: 1 },
];

impl Rate {
    /// The rate in lowest terms; `None` for a zero above or below the line.
    pub fn new(numerator: u32, denominator: u32) -> Option<Rate> {
        let common = gcd(numerator.into(), denominator.into()) as u32;
        if numerator == 0 || denominator == 0 {
            return None;
        }
        Some(Rate { numerator: numerator / common, denominator: denominator / common })
    }

    /// The frames a second that a label counts: 24 for 24000/1001, 30 for 30000/1001. At least 1.
    pub fn nominal(self) -> u32 {
        let (n, d) = (u64::from(self.numerator), u64::from(self.denominator));
        ((n + d / 2) / d).clamp(1, u32::MAX.into()) as u32
    }

    /// How many labels drop-frame counting leaves out at the start of a minute: 2 at 29.97, 4 at 59.94, 8 at
    /// 119.88; `None` for every other rate (SMPTE ST 12-1 §5.2.2).
    pub fn dropped_a_minute(self) -> Option<u32> {
        let nominal = self.nominal();
        if !matches!(nominal, 30 | 60 | 120) {
            return None;
        }
        // 2997/100 is how some writers say 30000/1001: apart by less than three frames in a day.
        let exact = i128::from(nominal) * 1000 * i128::from(self.denominator);
        let off = (i128::from(self.numerator) * 1001 - exact).abs();
        (off * 1_000_000 <= exact).then_some(nominal / 15)
    }

    /// The time that many frames take, exactly; `None` past what a `Time` holds.
    pub fn time_of(self, frames: u64) -> Option<Time> {
        let ticks = i128::from(frames) * i128::from(self.denominator);
        Some(Time::new(ticks.try_into().ok()?, self.numerator))
    }

    /// How many frames a time is long, by that rounding; `None` for a negative one.
    pub fn frames_in(self, time: Time, rounding: Rounding) -> Option<u64> {
        let above = i128::from(time.ticks).checked_mul(self.numerator.into())?;
        let below = i128::from(time.scale) * i128::from(self.denominator);
        divide(above, below, rounding)?.try_into().ok()
    }
}

/// As ffprobe writes it: `25/1`, `30000/1001`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.numerator, self.denominator))
    }
}

fn divide(above: i128, below: i128, rounding: Rounding) -> Option<i64> {
    if below <= 0 {
        return None;
    }
    let whole = match rounding {
        Rounding::Down => above.div_euclid(below),
        Rounding::Up => -(-above).div_euclid(below),
        Rounding::Nearest if above < 0 => -((-2 * above + below) / (2 * below)),
        Rounding::Nearest => (2 * above + below) / (2 * below),
    };
    whole.try_into().ok()
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_moment_is_equal_on_every_clock() {
        assert_eq!(Time::new(1, 2), Time::new(500, 1000));
        assert!(Time::new(1001, 30000) < Time::new(33_366_667, 1_000_000_000));
        assert!(Time::new(i64::MIN, 1) < Time::new(i64::MAX, u32::MAX));
    }

    #[test]
    fn a_conversion_says_how_it_rounds() {
        let third = Time::new(1, 3);
        assert_eq!(third.ticks_at(10, Rounding::Down), Some(3));
        assert_eq!(third.ticks_at(10, Rounding::Up), Some(4));
        assert_eq!(Time::new(-1, 3).ticks_at(10, Rounding::Down), Some(-4));
        assert_eq!(Time::new(1, 2).ticks_at(1, Rounding::Nearest), Some(1));
        assert_eq!(Time::new(-1, 2).ticks_at(1, Rounding::Nearest), Some(-1));
        assert_eq!(Time::new(i64::MAX, 1).ticks_at(2, Rounding::Down), None);
        assert_eq!(Time::new(1, 0).ticks_at(2, Rounding::Down), None);
    }

    #[test]
    fn a_sum_is_exact_or_refused() {
        assert_eq!(Time::new(1, 3).checked_add(Time::new(1, 6)), Some(Time::new(1, 2)));
        assert_eq!(Time::new(1, 3).checked_sub(Time::new(1, 3)), Some(Time::ZERO));
        assert_eq!(Time::new(1, u32::MAX).checked_add(Time::new(1, u32::MAX - 1)), None);
        assert_eq!(Time::new(i64::MAX, 1).checked_add(Time::new(1, 1)), None);
    }

    #[test]
    fn seconds_are_shown_exactly_or_rounded_up() {
        for (ticks, scale, shown) in [
            (0, 25, "0"),
            (4_154_960, 1000, "4154.96"),
            (1001, 30000, "0.033366667"),
            (-1, 2, "-0.5"),
            (-1001, 30000, "-0.033366666"),
            (i64::MAX, 1, "9223372036854775807"),
        ] {
            assert_eq!(Time::new(ticks, scale).to_string(), shown);
        }
    }

    #[test]
    fn a_rate_is_kept_in_lowest_terms() {
        assert_eq!(Rate::new(50, 2), Rate::new(25, 1));
        assert_eq!(Rate::new(0, 1), None);
        assert_eq!(Rate::new(1, 0), None);
        assert_eq!(Rate::new(60000, 2002).unwrap().to_string(), "30000/1001");
    }

    #[test]
    fn nominal_and_drop_frame_of_the_rates_in_use() {
        for (n, d, nominal, dropped) in [
            (24000, 1001, 24, None),
            (25, 1, 25, None),
            (30, 1, 30, None),
            (30000, 1001, 30, Some(2)),
            (2997, 100, 30, Some(2)),
            (60, 1, 60, None),
            (60000, 1001, 60, Some(4)),
            (120_000, 1001, 120, Some(8)),
            (90000, 1001, 90, None),
            (1, 10, 1, None),
        ] {
            let rate = Rate::new(n, d).unwrap();
            assert_eq!((rate.nominal(), rate.dropped_a_minute()), (nominal, dropped), "{rate}");
        }
    }

    #[test]
    fn frames_to_time_and_back() {
        let rate = Rate::new(30000, 1001).unwrap();
        assert_eq!(rate.time_of(30000), Some(Time::new(1001, 1)));
        assert_eq!(rate.frames_in(Time::new(1001, 1), Rounding::Down), Some(30000));
        assert_eq!(rate.frames_in(Time::new(1, 30), Rounding::Down), Some(0));
        assert_eq!(rate.frames_in(Time::new(-1, 1), Rounding::Down), None);
    }
}
