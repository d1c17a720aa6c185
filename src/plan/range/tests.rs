//! The rules of ranges, a row each; then the whole parser against one that marks every byte.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn select_one(field: &[u8], length: u64) -> Ranges {
    let value = HeaderValue::from_bytes(field).expect("a header value");
    select(&HeaderMap::from_iter([(RANGE, value)]), length)
}

fn several(spans: &[Range<u64>]) -> Ranges {
    Ranges::Several(spans.to_vec())
}

#[test]
fn the_rules() {
    use Ranges::{None, One, Unsatisfiable};
    let table = [
        ("the first bytes", "bytes=0-499", 10_000, One(0..500)),
        ("one byte", "bytes=0-0", 10_000, One(0..1)),
        ("the last byte", "bytes=9999-9999", 10_000, One(9_999..10_000)),
        ("an open end", "bytes=9500-", 10_000, One(9_500..10_000)),
        ("from zero, the whole is still a range", "bytes=0-", 10_000, One(0..10_000)),
        ("a suffix", "bytes=-500", 10_000, One(9_500..10_000)),
        ("a suffix longer than the file is the whole", "bytes=-10001", 10_000, One(0..10_000)),
        ("a suffix of nothing", "bytes=-0", 10_000, Unsatisfiable),
        ("a suffix of nothing beside a range", "bytes=-0,5-6", 10_000, One(5..7)),
        ("a last position past the end is cut", "bytes=9999-20000", 10_000, One(9_999..10_000)),
        ("a first position at the end", "bytes=10000-", 10_000, Unsatisfiable),
        ("a first position past the end", "bytes=10001-10002", 10_000, Unsatisfiable),
        ("one of two past the end", "bytes=10000-,0-0", 10_000, One(0..1)),
        ("all of several past the end", "bytes=10000-,-0", 10_000, Unsatisfiable),
        ("leading zeros", "bytes=007-0008", 10_000, One(7..9)),
        // numbers without end
        ("2^64 as last", "bytes=0-18446744073709551616", 10_000, One(0..10_000)),
        ("23 digits as last", "bytes=0-99999999999999999999999", 10_000, One(0..10_000)),
        ("23 digits as first", "bytes=99999999999999999999999-", 10_000, Unsatisfiable),
        ("23 digits as suffix", "bytes=-99999999999999999999999", 10_000, One(0..10_000)),
        (
            "past 2^64 backwards is backwards",
            "bytes=99999999999999999999999-99999999999999999999998",
            10_000,
            None,
        ),
        (
            "past 2^64 forwards, behind zeros",
            "bytes=099999999999999999999998-99999999999999999999999",
            10_000,
            Unsatisfiable,
        ),
        ("the largest file", "bytes=18446744073709551614-", u64::MAX, One(u64::MAX - 1..u64::MAX)),
        (
            "a gap at the end of numbers",
            "bytes=18446744073709551600-18446744073709551601,18446744073709551603-",
            u64::MAX,
            One(u64::MAX - 15..u64::MAX),
        ),
        // the empty file
        ("empty file: from zero", "bytes=0-", 0, Unsatisfiable),
        ("empty file: a suffix of nothing", "bytes=-0", 0, Unsatisfiable),
        ("empty file: a suffix is the whole", "bytes=-5", 0, None),
        ("empty file: a suffix among others", "bytes=0-,-5", 0, None),
        // ignored
        ("backwards", "bytes=2-1", 10_000, None),
        ("backwards spoils the set", "bytes=0-1,5-4", 10_000, None),
        ("backwards spoils the set, past the end too", "bytes=20000-,5-4", 10_000, None),
        ("another unit", "seconds=0-1", 10_000, None),
        ("a unit that begins alike", "bytesx=0-1", 10_000, None),
        ("no unit", "0-1", 10_000, None),
        ("no set", "bytes=", 10_000, None),
        ("a set of nothing", "bytes= , ,", 10_000, None),
        ("no dash", "bytes=5", 10_000, None),
        ("a dash alone", "bytes=-", 10_000, None),
        ("two dashes", "bytes=1-2-3", 10_000, None),
        ("a negative suffix", "bytes=--5", 10_000, None),
        ("a plus sign", "bytes=+1-2", 10_000, None),
        ("a letter", "bytes=0-1x", 10_000, None),
        ("a space inside a spec", "bytes=0 -1", 10_000, None),
        ("a space before the equals sign", "bytes =0-1", 10_000, None),
        ("a semicolon", "bytes=0-1;5-6", 10_000, None),
        // tolerated
        ("the unit in capitals", "BYTES=0-1", 10_000, One(0..2)),
        ("the unit in both", "Bytes=0-1", 10_000, One(0..2)),
        (
            "white space around commas",
            "bytes=0-1 \t,\t 5000-5000",
            10_000,
            several(&[0..2, 5_000..5_001]),
        ),
        ("empty elements", "bytes=,,0-1,,", 10_000, One(0..2)),
        // coalesced
        ("overlapping", "bytes=0-500,400-600", 10_000, One(0..601)),
        ("one inside another", "bytes=0-900,400-600", 10_000, One(0..901)),
        ("adjacent", "bytes=0-499,500-999", 10_000, One(0..1_000)),
        ("twice the same", "bytes=0-9,0-9", 10_000, One(0..10)),
        ("a gap that costs less than a head", "bytes=0-0,100-100", 10_000, One(0..101)),
        ("a gap that costs as much", "bytes=0-0,101-101", 10_000, several(&[0..1, 101..102])),
        ("from the end to the start", "bytes=500-999,0-499", 10_000, One(0..1_000)),
        (
            "the order of the request stays",
            "bytes=9000-9000,0-0,5000-5000",
            10_000,
            several(&[9_000..9_001, 0..1, 5_000..5_001]),
        ),
        (
            "a merged span stands where its first piece stood",
            "bytes=5000-5000,9000-9000,0-0,8990-8999",
            10_000,
            several(&[5_000..5_001, 8_990..9_001, 0..1]),
        ),
        (
            "one span may bridge two others",
            "bytes=0-0,4000-4000,1-3999,9000-",
            10_000,
            several(&[0..4_001, 9_000..10_000]),
        ),
        ("the whole, in pieces", "bytes=-1,0-9998", 10_000, One(0..10_000)),
    ];
    for (rule, field, length, expected) in table {
        assert_eq!(select_one(field.as_bytes(), length), expected, "{rule}: {field}");
    }
}

#[test]
fn no_field_and_a_doubled_field_are_none() {
    let mut request = HeaderMap::new();
    assert_eq!(select(&request, 10), Ranges::None);
    request.append(RANGE, HeaderValue::from_static("bytes=0-1"));
    request.append(RANGE, HeaderValue::from_static("bytes=0-1"));
    assert_eq!(select(&request, 10), Ranges::None);
}

/// `count` single bytes, far enough apart to stay single.
fn scattered(count: u64) -> Ranges {
    let apart = PART_HEAD + 1;
    let specs: Vec<_> = (0..count).map(|i| format!("{0}-{0}", i * apart)).collect();
    select_one(format!("bytes={}", specs.join(",")).as_bytes(), count * apart)
}

#[test]
fn too_many_parts_are_ignored() {
    assert!(
        matches!(scattered(MAX_PARTS as u64), Ranges::Several(spans) if spans.len() == MAX_PARTS)
    );
    assert_eq!(scattered(MAX_PARTS as u64 + 1), Ranges::None);
}

#[test]
fn what_counts_is_the_parts_that_remain() {
    let field = format!("bytes={}", "0-,1-,-1,77777-,".repeat(10_000));
    assert_eq!(select_one(field.as_bytes(), 10_000), Ranges::One(0..10_000));
}

#[test]
fn inclusive_ends_are_written_back() {
    assert_eq!(content_range(&(0..500), 10_000), "bytes 0-499/10000");
    assert_eq!(content_range(&(9_999..10_000), 10_000), "bytes 9999-9999/10000");
    assert_eq!(unsatisfied(0), "bytes */0");
}

/// Marks every byte that is asked for, fills the short gaps, and reads the spans off.
fn oracle(field: &str, length: usize) -> Ranges {
    let Some((unit, set)) = field.split_once('=') else { return Ranges::None };
    if unit.to_lowercase() != "bytes" {
        return Ranges::None;
    }
    // Which spec was the first to ask for a byte.
    let mut asked: Vec<Option<usize>> = vec![None; length];
    let mut specs = 0;
    for spec in set.split(',').map(|spec| spec.trim_matches([' ', '\t'])) {
        if spec.is_empty() {
            continue;
        }
        specs += 1;
        let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        let number = |text: &str| text.parse::<u128>().expect("at most 38 digits");
        let (first, last) = match spec.split_once('-') {
            Some(("", n)) if digits(n) && number(n) > 0 && length == 0 => return Ranges::None,
            Some(("", n)) if digits(n) => ((length as u128).saturating_sub(number(n)), u128::MAX),
            Some((a, "")) if digits(a) => (number(a), u128::MAX),
            Some((a, b)) if digits(a) && digits(b) && number(a) <= number(b) => {
                (number(a), number(b))
            }
            _ => return Ranges::None,
        };
        for (at, mark) in asked.iter_mut().enumerate() {
            if first <= at as u128 && at as u128 <= last {
                mark.get_or_insert(specs);
            }
        }
    }
    if specs == 0 {
        return Ranges::None;
    }
    let mut runs: Vec<(usize, Range<u64>)> = Vec::new();
    for (at, place) in asked.iter().enumerate() {
        let (Some(place), at) = (*place, at as u64) else { continue };
        match runs.last_mut() {
            Some((first, run)) if at - run.end < PART_HEAD => {
                run.end = at + 1;
                *first = place.min(*first);
            }
            _ => runs.push((place, at..at + 1)),
        }
    }
    runs.sort_by_key(|(first, _)| *first);
    let spans: Vec<_> = runs.into_iter().map(|(_, run)| run).collect();
    match spans.as_slice() {
        [] => Ranges::Unsatisfiable,
        [span] => Ranges::One(span.clone()),
        _ if spans.len() > MAX_PARTS => Ranges::None,
        _ => Ranges::Several(spans),
    }
}

fn position() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0..4_000_u32).prop_map(|n| n.to_string()),
        1 => (0..4_000_u32).prop_map(|n| format!("00{n}")),
        1 => "1844674407370955161[4-7]",
        1 => "[0-9]{18,30}",
    ]
}

fn spec() -> impl Strategy<Value = String> {
    prop_oneof![
        40 => (0..4_000_u32, 0..60_u32).prop_map(|(a, n)| format!("{a}-{}", a + n)),
        5 => position().prop_map(|a| format!("{a}-")),
        5 => position().prop_map(|n| format!("-{n}")),
        5 => Just("-0".to_owned()),
        2 => (position(), position()).prop_map(|(a, b)| format!("{a}-{b}")),
        2 => "[ \t]{0,3}",
        1 => "[0-9 \t=x-]{0,6}",
    ]
}

fn field() -> impl Strategy<Value = String> {
    let unit = prop_oneof![20 => Just("bytes="), 2 => Just("bYtEs="), 1 => Just("bytes ="), 1 => Just("byte="), 1 => Just("")];
    let comma = prop_oneof![5 => Just(","), 1 => Just(" ,"), 1 => Just(",\t "), 1 => Just(",,")];
    let specs = prop::collection::vec((spec(), comma), 0..12);
    (unit, specs, spec()).prop_map(|(unit, specs, last)| {
        let specs: String = specs.into_iter().map(|(spec, comma)| spec + comma).collect();
        format!("{unit}{specs}{last}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_parser_is_the_oracle(field in field(), length in prop_oneof![1 => Just(0), 9 => 0..4_500_usize]) {
        prop_assert_eq!(select_one(field.as_bytes(), length as u64), oracle(&field, length));
    }

    #[test]
    fn the_parser_is_the_oracle_on_soup(set in "[0-9, \t-]{0,30}", length in 0..200_usize) {
        let field = format!("bytes={set}");
        prop_assert_eq!(select_one(field.as_bytes(), length as u64), oracle(&field, length));
    }

    /// In files too large to mark: every byte asked for is in a span, and spans keep their law.
    #[test]
    fn spans_keep_their_law(
        asked in prop::collection::vec((any::<u64>(), 0..1_u64 << 40), 1..150),
        length in any::<u64>(),
    ) {
        let specs: Vec<_> = asked.iter().map(|(a, n)| format!("{a}-{}", a.saturating_add(*n))).collect();
        let spans = match select_one(format!("bytes={}", specs.join(",")).as_bytes(), length) {
            Ranges::None => return Ok(()),
            Ranges::Unsatisfiable => vec![],
            Ranges::One(span) => vec![span],
            Ranges::Several(spans) => spans,
        };
        for (a, n) in asked {
            let end = a.saturating_add(n).saturating_add(1).min(length);
            prop_assert!(a >= end || spans.iter().any(|span| span.start <= a && end <= span.end));
        }
        let mut sorted = spans;
        sorted.sort_by_key(|span| span.start);
        for span in &sorted {
            prop_assert!(span.start < span.end && span.end <= length);
        }
        for pair in sorted.windows(2) {
            prop_assert!(pair[1].start - pair[0].end >= PART_HEAD);
        }
    }

    #[test]
    fn nothing_panics(field in prop::collection::vec(32..=126_u8, 0..40), length in any::<u64>()) {
        select_one(&field, length);
        select_one(&[b"bytes=".as_slice(), &field].concat(), length);
    }
}

fn asking(range: &str) -> HeaderMap {
    HeaderMap::from_iter([(RANGE, range.parse().unwrap())])
}

#[test]
fn a_range_of_a_growing_file_is_fixed_or_follows() {
    use Growing::{AtEdge, Bounded, Open, Unsatisfiable};
    let ever = "9007199254740991";
    let cases = [
        ("bytes=0-", Open(0)),
        ("bytes=40-", Open(40)),
        ("bytes=99-", Open(99)),
        ("bytes=100-", AtEdge { open: true }),
        ("bytes=100-149", AtEdge { open: false }),
        ("bytes=101-", Unsatisfiable),
        ("bytes=101-200", Unsatisfiable),
        ("bytes=0-0", Bounded(0..1)),
        ("bytes=10-99", Bounded(10..100)),
        ("bytes=10-500", Bounded(10..100)),
        ("bytes=-10", Bounded(90..100)),
        ("bytes=-500", Bounded(0..100)),
        ("bytes=-0", Unsatisfiable),
        (&format!("bytes=7-{ever}"), Open(7)),
        (&format!("BYTES=7-1{ever}"), Open(7)),
        ("bytes=9-8", Growing::None),
        ("bytes=0-1,3-4", Growing::None),
        ("bytes=", Growing::None),
        ("frames=0-1", Growing::None),
        ("bytes=a-b", Growing::None),
    ];
    for (range, expected) in cases {
        assert_eq!(follow(&asking(range), 100), expected, "{range}");
    }
    assert_eq!(follow(&HeaderMap::new(), 100), Growing::None);
    for (range, expected) in [
        ("bytes=0-", AtEdge { open: true }),
        ("bytes=0-9007199254740991", AtEdge { open: true }),
        ("bytes=0-99", AtEdge { open: false }),
        ("bytes=-5", AtEdge { open: false }),
        ("bytes=-0", Unsatisfiable),
        ("bytes=-", Growing::None),
        ("bytes=1-", Unsatisfiable),
    ] {
        assert_eq!(follow(&asking(range), 0), expected, "{range}");
    }
}

#[test]
fn only_one_number_means_whatever_will_come() {
    for (range, expected) in [
        ("bytes=5-9007199254740991", true),
        ("bytes=5-9007199254740990", false),
        ("bytes=5-", false),
        // The last bytes of those that are there.
        ("bytes=-9007199254740991", false),
        ("bits=5-9007199254740991", false),
    ] {
        assert_eq!(asks_for_ever(&asking(range)), expected, "{range}");
    }
}

#[test]
fn a_content_range_is_read_or_refused() {
    let cases = [
        ("bytes 0-4/5", Some(Sent::Part(0..5, Some(5)))),
        ("bytes 2-3/*", Some(Sent::Part(2..4, None))),
        ("BYTES 2-3/10", Some(Sent::Part(2..4, Some(10)))),
        ("bytes */10", Some(Sent::Nothing(Some(10)))),
        ("bytes */*", Some(Sent::Nothing(None))),
        ("bytes 0-5/5", None),
        ("bytes 3-2/5", None),
        ("bytes=0-4/5", None),
        ("bytes 0-4", None),
        ("bytes -4/5", None),
        ("bytes 0-/5", None),
        ("bits 0-4/5", None),
        ("bytes 0-4/18446744073709551616", None),
        ("bytes 0-18446744073709551615/*", None),
        ("", None),
    ];
    for (field, expected) in cases {
        assert_eq!(sent(field.as_bytes()), expected, "{field}");
    }
}
