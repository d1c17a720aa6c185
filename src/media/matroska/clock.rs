//! The Segment's clock and the grid that frames of a constant rate lie on, to within the clock's rounding.
//! Exact: nanoseconds and fractions, no floats.

use crate::media::{Rate, Rounding, Time, time::USUAL};

const NANO: i128 = 1_000_000_000;

/// A value of this type is the clock of a Segment: TimestampScale as ticks a second, or nanoseconds where
/// a second is no whole number of ticks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds a tick.
    pub tick: u64,
    scale: u32,
    times: i64,
}

impl Clock {
    pub fn new(tick: u64) -> Self {
        let tick = tick.max(1);
        if 1_000_000_000 % tick == 0 {
            return Self { tick, scale: (1_000_000_000 / tick) as u32, times: 1 };
        }
        let times = i64::try_from(tick).unwrap_or(i64::MAX);
        Self { tick, scale: 1_000_000_000, times }
    }

    pub fn scale(&self) -> u32 {
        self.scale
    }

    /// A time of the Segment on this clock; what does not fit is as far as can be told.
    pub fn at(&self, ticks: i64) -> i64 {
        ticks.saturating_mul(self.times)
    }

    pub fn time(&self, at: i64) -> Time {
        Time::new(at, self.scale)
    }

    /// The last moment of this clock at or before `time`.
    pub fn up_to(&self, time: Time) -> i64 {
        let far = if time.is_negative() { i64::MIN } else { i64::MAX };
        time.ticks_at(self.scale, Rounding::Down).unwrap_or(far)
    }

    /// Nanoseconds between two moments of this clock.
    fn unit(&self) -> i128 {
        NANO / i128::from(self.scale)
    }

    /// Nanoseconds in ticks, to the nearest, a half away from zero as ffmpeg does for CodecDelay.
    pub fn nearest(&self, nanos: u64) -> i64 {
        i64::try_from((u128::from(nanos) * 2 + u128::from(self.tick)) / (2 * u128::from(self.tick)))
            .unwrap_or(i64::MAX)
    }
}

/// The rate of frames that last `nanos` each: 24000/1001 for 41708333, and for what cruder clocks make of it.
pub fn rate(nanos: u64) -> Option<Rate> {
    let known = |rate: &Rate| {
        let exact = NANO * i128::from(rate.denominator);
        let off = (i128::from(nanos) * i128::from(rate.numerator) - exact).abs();
        // Within 1/50000: 29.97 is 30000/1001, and 24 is not 24000/1001.
        off * 50_000 <= exact
    };
    // DefaultDuration rounds to nanoseconds, milliseconds or worse.
    if let Some(rate) = USUAL.into_iter().find(known) {
        return Some(rate);
    }
    // Whole frames a second, rounded to a nanosecond.
    let whole = 1_000_000_000_u64.checked_div(nanos).unwrap_or(0);
    for frames in whole..=whole.saturating_add(1) {
        if frames > 0 && (1_000_000_000 / frames).abs_diff(nanos) <= 1 {
            return Rate::new(u32::try_from(frames).ok()?, 1);
        }
    }
    Rate::new(1_000_000_000, u32::try_from(nanos).ok()?)
}

/// A value of this type is where frames of a constant rate are shown, from the first one on.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    first: i64,
    /// Nanoseconds: what the clock counts, and what a block's time is rounded to.
    unit: i128,
    tick: i128,
    above: i128,
    below: i128,
}

impl Grid {
    pub fn new(rate: Rate, first: i64, clock: &Clock) -> Self {
        let (above, below) = (i128::from(rate.numerator), i128::from(rate.denominator));
        Self { first, unit: clock.unit(), tick: i128::from(clock.tick), above, below }
    }

    /// The number of the place that a moment is at, or `None` where it is off the grid by more than two
    /// roundings can make it: a tick, and a hair for a DefaultDuration in whole nanoseconds.
    pub fn slot(&self, at: i64) -> Option<i64> {
        let nanos = (i128::from(at) - i128::from(self.first)) * self.unit;
        let scaled = nanos.checked_mul(self.above)?;
        let frame = NANO * self.below;
        let slot = (2 * scaled + frame).div_euclid(2 * frame);
        let off = (scaled - slot * frame).abs();
        let slack = self.tick * self.above;
        (off <= slack + slack / 100 && 2 * slack < frame).then_some(i64::try_from(slot).ok()?)
    }

    /// The middle of that place: the frame in it is the last one shown by then.
    pub fn middle(&self, slot: i64) -> Option<i64> {
        let frame = NANO * self.below;
        let scaled = i128::from(slot).checked_mul(frame)?.checked_add(frame / 2)?;
        i64::try_from(scaled / self.above / self.unit).ok()?.checked_add(self.first)
    }
}

/// The rate of frames whose times alone are known: `count` of them over `span` of the clock. The second says whether
/// it is a constant one, as far as `fits` can tell; if not, it is what `steps` from frame to frame mostly are.
pub fn measured(
    count: u64,
    span: i64,
    mut steps: Vec<i64>,
    clock: &Clock,
    fits: impl Fn(Rate) -> bool,
) -> Option<(Rate, bool)> {
    // The known rate next to the mean of so many steps.
    let near = |span: i128, count: i128| {
        let nanos = u64::try_from((span * clock.unit()).checked_div(count)?).ok()?;
        let known = USUAL.into_iter();
        let mut near: Vec<Rate> = known.filter(|rate| distance(*rate, nanos) < 30_000).collect();
        near.sort_by_key(|rate| distance(*rate, nanos));
        near.extend(rate(nanos));
        Some(near)
    };
    let frames = i128::from(count).saturating_sub(1);
    if let Some(rate) = near(span.into(), frames)?.into_iter().find(|&rate| fits(rate)) {
        return Some((rate, true));
    }
    steps.sort_unstable();
    let middle = steps.get(steps.len() / 2).copied()?;
    steps.retain(|step| step.abs_diff(middle) <= middle.unsigned_abs() / 8);
    let sum = steps.iter().map(|&step| i128::from(step)).sum();
    Some((near(sum, steps.len() as i128)?.into_iter().next()?, false))
}

/// How far frames of `nanos` each are from a rate, in millionths.
fn distance(rate: Rate, nanos: u64) -> i128 {
    let exact = NANO * i128::from(rate.denominator);
    (i128::from(nanos) * i128::from(rate.numerator) - exact).abs() * 1_000_000 / exact
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_duration_is_the_rate_its_writer_meant() {
        for (nanos, numerator, denominator) in [
            (41_708_333, 24000, 1001),
            (41_708_000, 24000, 1001),
            (41_666_666, 24, 1),
            (40_000_000, 25, 1),
            (33_366_666, 30000, 1001),
            (33_366_700, 30000, 1001),
            (33_333_333, 30, 1),
            (16_683_333, 60000, 1001),
            (16_666_667, 60, 1),
            (142_857_142, 7, 1),
            (42_000_000, 500, 21),
            (1_000_000, 1000, 1),
            (32_000_000, 125, 4),
        ] {
            assert_eq!(rate(nanos), Rate::new(numerator, denominator), "{nanos}");
        }
        assert_eq!(rate(0), None);
        assert_eq!(rate(u64::MAX), None);
    }

    #[test]
    fn a_clock_is_ticks_a_second_or_nanoseconds() {
        let (millis, odd) = (Clock::new(1_000_000), Clock::new(22_675));
        assert_eq!(millis.time(millis.at(1500)), Time::new(1500, 1000));
        assert_eq!(odd.time(odd.at(2)), Time::new(45_350, 1_000_000_000));
        assert_eq!(odd.up_to(Time::new(45_349, 1_000_000_000)), 45_349);
        assert_eq!(millis.up_to(Time::new(-1, 30)), -34);
        assert_eq!(millis.nearest(6_500_000), 7);
    }

    #[test]
    fn times_rounded_to_a_tick_are_on_the_grid_and_others_are_not() {
        let clock = Clock::new(1_000_000);
        let grid = Grid::new(Rate::new(24000, 1001).unwrap(), 7, &clock);
        for slot in 0..500_000_i64 {
            let exact = slot * 1001 * 1000;
            for rounded in [exact / 24000, (exact + 12000) / 24000, (exact + 23999) / 24000] {
                assert_eq!(grid.slot(rounded + 7), Some(slot));
            }
        }
        assert_eq!(grid.slot(7 + 20), None);
        assert_eq!(grid.slot(7 + 44), None);
        let fast = Grid::new(Rate::new(1000, 1).unwrap(), 0, &clock);
        assert_eq!(fast.slot(5), None, "a tick as long as a frame tells nothing");
    }
}
