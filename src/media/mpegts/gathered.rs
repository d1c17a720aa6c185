//! What is kept of samples while they come in file order: all of them while they are few, and always the
//! runs in which time does not go back.

use super::codec::Codec;
use super::pes::HERTZ;
use super::pictures::Unit;
use super::samples::MOST;

/// Runs kept at most; time that goes back more often than this is none.
pub const RUNS: usize = 1 << 16;
/// Decoding times that go back by less belong to the same run: writers that leave decoding times out.
const SLACK: i64 = HERTZ as i64;
/// Samples kept to tell the rate, where they are too many to keep.
const SOME: usize = 4096;

/// A value of this type is part of a file in which one stream's decoding time never goes back.
#[derive(Clone, Debug)]
pub struct Run<C = ()> {
    pub start: u64,
    pub end: u64,
    pub pid: u16,
    /// What its stream is coded in, where all tables of the file have been met.
    pub codec: C,
    /// The smallest and the greatest decoding time.
    pub decoded: (i64, i64),
    /// The smallest and the greatest presentation time.
    pub shown: (i64, i64),
}

impl Run {
    /// The same, of a stream that is coded so.
    pub fn coded(&self, codec: Codec) -> Run<Codec> {
        let Run { start, end, pid, codec: (), decoded, shown } = *self;
        Run { start, end, pid, codec, decoded, shown }
    }
}

/// A value of this type is what is kept.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    pub units: Vec<Unit>,
    pub count: usize,
    pub runs: Vec<Run>,
    /// How far decoding times went back within a run.
    pub jitter: i64,
    /// How long after its decoding a sample was shown, at most.
    pub delay: i64,
    /// The sample with the greatest presentation time.
    pub last: Option<Unit>,
}

impl Gathered {
    pub fn take(&mut self, unit: Unit) {
        self.count += 1;
        if self.count <= MOST {
            self.units.push(unit);
        } else if self.units.len() > SOME {
            self.units.truncate(SOME);
            self.units.shrink_to_fit();
        }
        if self.last.is_none_or(|last| last.shown <= unit.shown) {
            self.last = Some(unit);
        }
        self.delay = self.delay.max(unit.shown - unit.decoded);
        let full = self.runs.len() == RUNS;
        match self.runs.last_mut() {
            Some(run) if full || run.pid == unit.pid && unit.decoded >= run.decoded.1 - SLACK => {
                self.jitter = self.jitter.max(run.decoded.1 - unit.decoded);
                run.decoded.0 = run.decoded.0.min(unit.decoded);
                run.decoded.1 = run.decoded.1.max(unit.decoded);
                run.shown = (run.shown.0.min(unit.shown), run.shown.1.max(unit.shown));
                run.end = unit.end;
            }
            before => {
                if let Some(before) = before {
                    before.end = unit.start;
                }
                let (decoded, shown) = ((unit.decoded, unit.decoded), (unit.shown, unit.shown));
                let Unit { start, end, pid, .. } = unit;
                self.runs.push(Run { start, end, pid, codec: (), decoded, shown });
            }
        }
    }

    /// Takes over how a run ends from samples that were gathered further on in it.
    pub fn follow(&mut self, further: &Gathered) {
        self.delay = self.delay.max(further.delay);
        self.jitter = self.jitter.max(further.jitter);
        self.last = further.last.or(self.last);
        if let (Some(run), Some(further)) = (self.runs.last_mut(), further.runs.last()) {
            run.decoded.1 = run.decoded.1.max(further.decoded.1);
            run.shown.1 = run.shown.1.max(further.shown.1);
        }
    }

    /// All samples are here.
    pub fn complete(&self) -> bool {
        self.count <= MOST
    }

    /// When frames are shown, in order: of the samples that were kept, those before which none is missing.
    pub fn times(&self) -> Vec<i64> {
        let reached = self.units.iter().map(|unit| unit.decoded).max().unwrap_or(0) - self.jitter;
        let frames = self.units.iter().filter(|unit| !unit.second && unit.shown <= reached);
        let mut times: Vec<_> = frames.map(|unit| unit.shown).collect();
        times.sort_unstable();
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(place: u64, decoded: i64, pid: u16) -> Unit {
        let start = place * 188;
        Unit {
            start,
            end: start + 188,
            shown: decoded + 3,
            decoded,
            sync: true,
            second: false,
            pid,
        }
    }

    #[test]
    fn runs_end_where_time_goes_back() {
        let mut gathered = Gathered::default();
        let times = [0, 100, 50, 200_000, 1000, 2000];
        for (place, time) in times.into_iter().enumerate() {
            gathered.take(unit(place as u64, time, 1));
        }
        gathered.take(unit(6, 3000, 2));
        let runs: Vec<_> =
            gathered.runs.iter().map(|run| (run.start / 188, run.end / 188)).collect();
        assert_eq!(runs, [(0, 4), (4, 6), (6, 7)]);
        assert_eq!((gathered.jitter, gathered.delay), (50, 3));
        assert_eq!(gathered.runs[0].shown, (3, 200_003));
        assert_eq!(gathered.last.map(|last| last.decoded), Some(200_000));
    }

    #[test]
    fn times_end_where_one_may_be_missing() {
        let mut gathered = Gathered::default();
        // Decoded first, the second one is shown after two that have not come.
        for (place, (decoded, shown)) in [(0, 10), (10, 40), (20, 20)].into_iter().enumerate() {
            gathered.take(Unit { shown, ..unit(place as u64, decoded, 1) });
        }
        assert_eq!(gathered.times(), [10, 20]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut gathered = Gathered::default();
        for k in 0..MOST as i64 + 10 {
            gathered.take(unit(k as u64, (k % 2) * 1_000_000, 1));
        }
        assert!(gathered.units.len() <= SOME + 1 && gathered.runs.len() <= RUNS);
        assert!(!gathered.complete());
    }
}
