//! Frames a second, from the times at which frames are shown: an exact fraction where the times lie on
//! its grid, else what the stream says of itself and the word "variable".

use super::pes::HERTZ;
use crate::media::{Rate, time::USUAL};

/// Stamps rounded to ticks, and stamps rounded to milliseconds first.
const EXACT: i64 = 1;
const MILLISECOND: i64 = 91;

/// The rate of frames shown at these times (in order), and whether it varies. `told` is what the stream
/// says of itself.
pub fn measure(times: &[i64], told: Option<Rate>) -> (Option<Rate>, bool) {
    let mut steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.retain(|&step| step > 0);
    if steps.is_empty() {
        return (told, false);
    }
    let mut sorted = steps.clone();
    let (_, &mut middle, _) = sorted.select_nth_unstable(steps.len() / 2);
    // A frame of a rate, and the middle step, in ticks times the rate's numerator, which may be any 32 bits.
    let lengths = |rate: &Rate| {
        let frame = i128::from(HERTZ) * i128::from(rate.denominator);
        (frame, i128::from(middle) * i128::from(rate.numerator))
    };
    let candidates: Vec<Rate> = told.into_iter().chain(USUAL).collect();
    for slack in [EXACT, MILLISECOND] {
        let near = |rate: &&Rate| {
            let (frame, step) = lengths(rate);
            (frame - step).abs() <= i128::from(slack + 1) * i128::from(rate.numerator)
        };
        if let Some(rate) = candidates.iter().filter(near).find(|rate| fits(&steps, **rate, slack))
        {
            return (Some(*rate), false);
        }
    }
    let (sum, count) =
        steps.iter().take(10_000).fold((0i64, 0u32), |(sum, n), step| (sum + step, n + 1));
    let average = u32::try_from(sum).ok().and_then(|sum| Rate::new(HERTZ.checked_mul(count)?, sum));
    if let Some(rate) = average.filter(|&rate| fits(&steps, rate, EXACT)) {
        return (Some(rate), false);
    }
    let close = |rate: &Rate| {
        let (frame, step) = lengths(rate);
        (frame - step).abs() * 50 <= step
    };
    let nominal = candidates.iter().copied().find(close);
    (nominal.or(told).or(average), true)
}

/// Whether all but one step in fifty lie on the rate's grid. A run of steps must not drift from it either.
fn fits(steps: &[i64], rate: Rate, slack: i64) -> bool {
    let (n, d) = (i128::from(rate.numerator), i128::from(rate.denominator));
    let frame = i128::from(HERTZ) * d;
    let (mut off, mut run) = (0, 0i128);
    for &step in steps {
        // How far the run is from the grid, in ticks times the numerator.
        run += i128::from(step) * n - frame;
        if run.abs() > (i128::from(slack) + 1) * n {
            (off, run) = (off + 1, 0);
        }
    }
    off * 50 <= steps.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(rate: (i64, i64), frames: i64, tick: i64) -> Vec<i64> {
        // Times rounded to `tick` of 90 kHz, as writers do.
        (0..frames)
            .map(|k| (k * 90_000 * rate.1 + rate.0 * tick / 2) / (rate.0 * tick) * tick)
            .collect()
    }

    #[test]
    fn rates_of_the_field_are_recognised() {
        for rate in USUAL {
            let times = grid((rate.numerator.into(), rate.denominator.into()), 300, 1);
            assert_eq!(measure(&times, None), (Some(rate), false));
        }
        for (n, d) in [(25, 1), (30000, 1001), (24000, 1001), (24, 1), (30, 1)] {
            let times = grid((n, d), 300, 90);
            assert_eq!(measure(&times, None).0, Rate::new(n as u32, d as u32), "{n}/{d} in ms");
        }
    }

    #[test]
    fn three_frames_suffice_on_an_exact_clock() {
        assert_eq!(measure(&[129_003, 132_006, 135_009], None), (Rate::new(30000, 1001), false));
        assert_eq!(measure(&[0, 3000, 6000], Rate::new(30000, 1001)), (Rate::new(30, 1), false));
        assert_eq!(measure(&[0, 3754, 7508, 11261], None).0, Rate::new(24000, 1001));
    }

    #[test]
    fn an_odd_rate_is_still_a_rate() {
        let times = grid((7, 1), 100, 1);
        let (rate, variable) = measure(&times, None);
        let rate = rate.unwrap();
        assert!(!variable);
        assert!((f64::from(rate.numerator) / f64::from(rate.denominator) - 7.0).abs() < 1e-3);
    }

    #[test]
    fn a_stream_may_tell_any_rate_and_stand_still_for_hours() {
        let told = Rate::new(u32::MAX, 1);
        assert_eq!(measure(&[0, 1 << 33], told), (told, true));
        let told = Rate::new(1, u32::MAX);
        assert_eq!(measure(&[0, 1 << 33], told), (told, true));
    }

    #[test]
    fn what_is_not_constant_is_variable() {
        let times: Vec<i64> = (0..100).map(|k| k * 3000 + (k % 7) * 400).collect();
        assert!(measure(&times, None).1);
        // One gap in a hundred is a cut, not a rate.
        let times: Vec<i64> =
            (0..100).map(|k| k * 3600 + if k > 50 { 90_000 } else { 0 }).collect();
        assert_eq!(measure(&times, None), (Rate::new(25, 1), false));
        assert_eq!(measure(&[], Rate::new(25, 1)), (Rate::new(25, 1), false));
        assert_eq!(measure(&[5, 5, 5], None), (None, false));
    }
}
