//! How many frames a second a table of times shows, and whether that is so throughout.

use crate::media::{Rate, column::Column, time::USUAL};

/// The rate of frames at those times, on a clock of `scale`, and whether they leave its grid. None for one frame
/// that says nothing; `last` is how long the last one lasts.
pub fn of(times: &Column, scale: u32, last: i64) -> (Option<Rate>, bool) {
    if let Some(step) = times.even_step().or((times.len() == 1).then_some(last)) {
        return match u32::try_from(step).ok().and_then(|step| Rate::new(scale, step)) {
            Some(rate) => (Some(snapped(rate, times.len(), scale)), false),
            None => (None, times.len() > 1),
        };
    }
    let (Some(first), Some(end)) = (times.get(0), times.last()) else { return (None, false) };
    let span = end.saturating_sub(first);
    let steps = times.len().saturating_sub(1) as i64;
    let Some(mean) = fraction(steps.saturating_mul(scale.into()), span) else {
        return (None, true);
    };
    let mut near = USUAL.to_vec();
    near.retain(|rate| close(*rate, mean));
    near.sort_by_key(|rate| distance(*rate, mean));
    // The known rate next to the mean whose grid holds every frame to within a tick; else the mean.
    for rate in near.into_iter().chain([mean]) {
        if on_grid(times, first, scale, rate) {
            return (Some(rate), false);
        }
    }
    (Some(usual(times, scale).unwrap_or(mean)), true)
}

/// The commonest step of a varying rate, as a rate: the grid that labels are put on.
fn usual(times: &Column, scale: u32) -> Option<Rate> {
    let mut counted: Vec<(i64, u64)> = Vec::new();
    let mut before = times.get(0)?;
    for time in times.iter().skip(1) {
        let step = time.wrapping_sub(before);
        before = time;
        if let Some((_, count)) = counted.iter_mut().find(|(known, _)| *known == step) {
            *count += 1;
        } else if counted.len() < 64 {
            // Past so many different steps no one of them is usual.
            counted.push((step, 1));
        }
    }
    let (step, _) =
        counted.into_iter().filter(|&(step, _)| step > 0).max_by_key(|&(_, count)| count)?;
    Some(snapped(Rate::new(scale, u32::try_from(step).ok()?)?, 1, scale))
}

/// A rate that is a known one but for the clock's coarseness, over so many frames. A whole one is meant so.
fn snapped(rate: Rate, frames: usize, scale: u32) -> Rate {
    if rate.denominator == 1 {
        return rate;
    }
    let mut near = USUAL.into_iter().filter(|known| close(*known, rate)).filter(|known| {
        // Off by less than a tick at the last frame: n/scale' steps of the one and of the other.
        let (a, b) = (u128::from(known.numerator), u128::from(known.denominator));
        let (c, d) = (u128::from(rate.numerator), u128::from(rate.denominator));
        let off = (a * d).abs_diff(b * c) * frames.max(1) as u128 * u128::from(scale);
        off < a * c
    });
    near.next().unwrap_or(rate)
}

/// Within one in two hundred.
fn close(a: Rate, b: Rate) -> bool {
    distance(a, b) * 200 < 1001 * u128::from(b.numerator)
}

/// How far that rate lies from `from`: a measure to compare with others from the same one.
fn distance(rate: Rate, from: Rate) -> u128 {
    let left = u128::from(rate.numerator) * u128::from(from.denominator);
    let right = u128::from(from.numerator) * u128::from(rate.denominator);
    // Known rates have 1 or 1001 below the line: brought to the same.
    left.abs_diff(right) * 1001 / u128::from(rate.denominator)
}

/// Whether each frame lies within a tick of its place on that rate's grid.
fn on_grid(times: &Column, first: i64, scale: u32, rate: Rate) -> bool {
    let (n, d) = (i128::from(rate.numerator), i128::from(rate.denominator) * i128::from(scale));
    times.iter().zip(0i128..).all(|(time, number)| {
        let off = (i128::from(time) - i128::from(first)) * n - number * d;
        off.abs() <= n
    })
}

fn fraction(above: i64, below: i64) -> Option<Rate> {
    let (mut above, mut below) = (u64::try_from(above).ok()?, u64::try_from(below).ok()?);
    while above > u64::from(u32::MAX) || below > u64::from(u32::MAX) {
        (above, below) = (above / 2, below / 2);
    }
    Rate::new(above as u32, below as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(times: impl IntoIterator<Item = i64>, scale: u32) -> (String, bool) {
        let mut column = Column::rising();
        times.into_iter().for_each(|time| column.push(time));
        let (rate, variable) = of(&column, scale, 1);
        (rate.map_or("none".into(), |rate| rate.to_string()), variable)
    }

    #[test]
    fn an_even_rate_is_read_off_the_clock() {
        assert_eq!(rate((0..500).map(|k| 77 + k * 512), 12800), ("25/1".into(), false));
        assert_eq!(rate((0..500).map(|k| k * 1001), 30000), ("30000/1001".into(), false));
        assert_eq!(rate((0..500).map(|k| k * 7), 100), ("100/7".into(), false));
        assert_eq!(rate(0..80, 30), ("30/1".into(), false));
        assert_eq!(rate((0..80).map(|k| k * 33), 1000), ("1000/33".into(), false));
        assert_eq!(rate((0..80).map(|k| k * 100), 2997), ("30000/1001".into(), false));
        assert_eq!(rate([5], 10), ("10/1".into(), false));
        assert_eq!(rate([], 10), ("none".into(), false));
    }

    #[test]
    fn a_coarse_clock_hides_no_known_rate() {
        let ntsc = |scale: i64| (0..2000).map(move |k| (k * 1001 * scale + 15000) / 30000);
        assert_eq!(rate(ntsc(1000), 1000), ("30000/1001".into(), false));
        assert_eq!(rate(ntsc(600), 600), ("30000/1001".into(), false));
        let second = |n: i64, d: i64| (0..20).map(move |k| (k * d * 1000 + n / 2) / n);
        assert_eq!(rate(second(30000, 1001), 1000), ("30000/1001".into(), false));
        assert_eq!(rate(second(30, 1), 1000), ("30/1".into(), false));
        assert_eq!(rate((0..2000).map(|k| k * 1000 / 24), 1000), ("24/1".into(), false));
    }

    #[test]
    fn a_varying_rate_is_said_and_its_grid_is_the_commonest_step() {
        let mut at = 0;
        let times: Vec<i64> = (0..300)
            .map(|k| {
                at += if k % 7 == 0 { 90 } else { 40 };
                at
            })
            .collect();
        assert_eq!(rate(times, 1000), ("25/1".into(), true));
        assert_eq!(rate([0, 0, 0], 1000), ("none".into(), true));
    }
}
