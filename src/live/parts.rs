//! Which bytes of an upload are there, and which are being written: spans of offsets. Holds no bytes.

use std::ops::Range;

/// More separate spans than an upload in parts has at once.
pub const MOST_SPANS: usize = 10_000;

/// A value of this type is a set of offsets: half-open spans in order, none empty, no two of them touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Range<u64>>);

impl Spans {
    /// Adds the offsets of `span`.
    pub fn insert(&mut self, span: Range<u64>) {
        if span.is_empty() {
            return;
        }
        // What of it overlaps or touches is between these two.
        let from = self.0.partition_point(|held| held.end < span.start);
        let to = self.0.partition_point(|held| held.start <= span.end);
        let touched = self.0.get(from..to).unwrap_or_default();
        let start = touched.first().map_or(span.start, |first| first.start.min(span.start));
        let end = touched.last().map_or(span.end, |last| last.end.max(span.end));
        self.0.splice(from..to, std::iter::once(start..end));
    }

    /// Whether any offset of `span` is in it.
    pub fn overlaps(&self, span: &Range<u64>) -> bool {
        let at = self.0.partition_point(|held| held.end <= span.start);
        !span.is_empty() && self.0.get(at).is_some_and(|held| held.start < span.end)
    }

    /// How many offsets from 0 on are in it without a gap.
    pub fn prefix(&self) -> u64 {
        self.0.first().filter(|first| first.start == 0).map_or(0, |first| first.end)
    }

    /// The first offset after all that are in it.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| last.end)
    }

    /// How many spans it is made of.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(of: &[(u64, u64)]) -> Spans {
        let mut spans = Spans::default();
        of.iter().for_each(|(start, end)| spans.insert(*start..*end));
        spans
    }

    #[test]
    fn spans_that_touch_are_one() {
        let whole = spans(&[(0, 10), (20, 30), (10, 20)]);
        assert_eq!((whole.prefix(), whole.end(), whole.count()), (30, 30, 1));
        let gap = spans(&[(5, 10), (20, 30)]);
        assert_eq!((gap.prefix(), gap.end(), gap.count()), (0, 30, 2));
    }

    #[test]
    fn what_is_empty_overlaps_nothing() {
        let held = spans(&[(5, 10)]);
        assert!(!held.overlaps(&(7..7)));
        assert!(!held.overlaps(&(10..12)) && !held.overlaps(&(0..5)));
        assert!(held.overlaps(&(9..10)) && held.overlaps(&(0..6)));
    }

    proptest! {
        #[test]
        fn they_hold_what_a_row_of_marks_holds(
            inserted in prop::collection::vec((0u64..40, 0u64..12), 0..20), asked in (0u64..50, 0u64..9),
        ) {
            let mut marks = [false; 64];
            let mut spans = Spans::default();
            for (start, length) in inserted {
                spans.insert(start..start + length);
                (start..start + length).for_each(|at| marks[at as usize] = true);
            }
            let span = asked.0..asked.0 + asked.1;
            prop_assert_eq!(spans.overlaps(&span), span.clone().any(|at| marks[at as usize]));
            prop_assert_eq!(spans.prefix(), marks.iter().take_while(|mark| **mark).count() as u64);
            let end = marks.iter().rposition(|mark| *mark).map_or(0, |last| last as u64 + 1);
            prop_assert_eq!(spans.end(), end);
            let held: Vec<u64> = spans.iter().flat_map(Clone::clone).collect();
            let marked: Vec<u64> = (0..64).filter(|at| marks[*at as usize]).collect();
            prop_assert_eq!(held, marked);
        }
    }
}
