//! Which samples matter for one time: the rule by which a search and what is remembered of one come to the same.

use super::pictures::Unit;

/// A value of this type is the samples that matter for one time, as far as they were met. They are met backwards: from
/// one before which all lie that are decoded at or before the time, to the first for which [`back`](Self::back) says
/// that it was enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    time: i64,
    /// Greatest presentation time at or before the time.
    pub frame: Option<Unit>,
    pub sync: Option<Unit>,
    /// The last one in the file that is shown at or before the time, and not before `floor`.
    pub last: Option<Unit>,
    floor: i64,
}

/// What tells how far back samples matter.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// How long a sample that comes before another may be shown after that one is decoded.
    pub slack: i64,
    /// Sync samples may be shown in another order than they come in.
    pub shuffled: bool,
    /// Before this offset there is no sync sample.
    pub barren: u64,
}

impl Around {
    pub fn new(time: i64, floor: i64) -> Self {
        Around { time, floor, ..Around::default() }
    }

    pub fn see(&mut self, unit: Unit) {
        let later = |than: Option<Unit>| {
            than.is_none_or(|than| (unit.shown, unit.start) >= (than.shown, than.start))
        };
        if unit.shown > self.time {
            return;
        }
        if later(self.frame) {
            self.frame = Some(unit);
        }
        if unit.sync && later(self.sync) {
            self.sync = Some(unit);
        }
        if unit.shown >= self.floor && self.last.is_none_or(|last| unit.start >= last.start) {
            self.last = Some(unit);
        }
    }

    /// The next sample backwards; true if none before it matters.
    ///
    /// No picture that comes before a sync sample is shown after it (for an IRAP of HEVC: ITU-T H.265 §7.4.2.2; for H.264 an
    /// IDR picture implies it), so the first sync sample that is met is the one.
    pub fn back(&mut self, unit: Unit, reach: Reach) -> bool {
        self.see(unit);
        let past = |of: Unit| unit.decoded.saturating_add(reach.slack) < of.shown;
        match (self.sync, self.frame) {
            (Some(sync), _) => !reach.shuffled || past(sync),
            (None, Some(frame)) => unit.start < reach.barren && past(frame),
            (None, None) => false,
        }
    }
}
