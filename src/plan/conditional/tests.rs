//! The preconditions, all against all, beside the steps of RFC 9110 §13.2.2 spelled out.

use std::{
    cmp::Ordering,
    time::{Duration, UNIX_EPOCH},
};

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const TAG: &str = "\"1a2b-17f3\"";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
const MODIFIED_SECONDS: u64 = 784_111_777;

/// The file was modified nine tenths into its second; the request comes so much later.
fn current(later: Duration) -> Current<'static> {
    let modified = UNIX_EPOCH + Duration::from_millis(MODIFIED_SECONDS * 1_000 + 900);
    Current { etag: TAG.as_bytes(), modified: modified.into(), now: (modified + later).into() }
}

fn request(fields: &[(HeaderName, &[&str])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, lines) in fields {
        for line in *lines {
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).expect("a header value"));
        }
    }
    headers
}

/// The lines of a field, and whether they match by strong and by weak comparison; none if absent.
type Tags = (&'static [&'static str], Option<(bool, bool)>);

const TAGS: &[Tags] = &[
    (&[], None),
    (&["*"], Some((true, true))),
    (&[TAG], Some((true, true))),
    (&["W/\"1a2b-17f3\""], Some((false, true))),
    (&["w/\"1a2b-17f3\""], Some((false, false))),
    (&["\"other\""], Some((false, false))),
    (&["\"other\", \"1a2b-17f3\""], Some((true, true))),
    (&["\"other\" ,\t,W/\"1a2b-17f3\","], Some((false, true))),
    (&["\"a,b\",\"1a2b-17f3\""], Some((true, true))),
    (&["\"other\"", "\"1a2b-17f3\""], Some((true, true))),
    (&["rubbish", "\"1a2b-17f3\""], Some((true, true))),
    (&["\"x,\"1a2b-17f3\",y\""], Some((false, false))),
    (&["\"x , \"1a2b-17f3\""], Some((false, false))),
    (&["\"1a2b-17f3\"x"], Some((false, false))),
    (&["1a2b-17f3"], Some((false, false))),
    (&["\"1a2b-17f3"], Some((false, false))),
    (&["*", "\"other\""], Some((false, false))),
    (&["\"*\""], Some((false, false))),
    (&["*x"], Some((false, false))),
    (&[""], Some((false, false))),
    (&[","], Some((false, false))),
];

/// The lines of a field, and how Last-Modified compares with them; none if absent or no date.
type Dates = (&'static [&'static str], Option<Ordering>);

const DATES: &[Dates] = &[
    (&[], None),
    (&[BEFORE], Some(Ordering::Greater)),
    (&[MODIFIED], Some(Ordering::Equal)),
    (&[AFTER], Some(Ordering::Less)),
    (&["Sunday, 06-Nov-94 08:49:37 GMT"], Some(Ordering::Equal)),
    (&["Sun Nov  6 08:49:37 1994"], Some(Ordering::Equal)),
    (&["last Sunday"], None),
    (&[""], None),
    (&[AFTER, AFTER], None),
    (&[BEFORE, BEFORE], None),
];

/// The steps 1 to 4 as the standard tells them, of what the fields mean.
fn oracle(
    if_match: Option<(bool, bool)>,
    if_unmodified_since: Option<Ordering>,
    if_none_match: Option<(bool, bool)>,
    if_modified_since: Option<Ordering>,
) -> Outcome {
    match (if_match, if_unmodified_since) {
        (Some((false, _)), _) => return Outcome::PreconditionFailed,
        (None, Some(Ordering::Greater)) => return Outcome::PreconditionFailed,
        _ => {}
    }
    match (if_none_match, if_modified_since) {
        (Some((_, true)), _) => Outcome::NotModified,
        (None, Some(Ordering::Less | Ordering::Equal)) => Outcome::NotModified,
        _ => Outcome::Proceed,
    }
}

#[test]
fn all_preconditions_against_all() {
    let current = current(Duration::from_secs(3_600));
    for (match_lines, if_match) in TAGS {
        for (unmodified_lines, unmodified) in DATES {
            for (none_lines, if_none) in TAGS {
                for (modified_lines, modified) in DATES {
                    let headers = request(&[
                        (IF_MATCH, match_lines),
                        (IF_UNMODIFIED_SINCE, unmodified_lines),
                        (IF_NONE_MATCH, none_lines),
                        (IF_MODIFIED_SINCE, modified_lines),
                    ]);
                    let expected = oracle(*if_match, *unmodified, *if_none, *modified);
                    assert_eq!(evaluate(&headers, &current), expected, "{headers:?}");
                }
            }
        }
    }
}

#[test]
fn if_range_names_just_this_version() {
    let hour = Duration::from_secs(3_600);
    // The mtime is nine tenths into its second, so a tenth later that second is over.
    let (too_soon, soon) = (Duration::from_millis(99), Duration::from_millis(100));
    let table: &[(&str, &[&str], Duration, bool)] = &[
        ("absent", &[], hour, true),
        ("the tag", &[TAG], hour, true),
        ("the tag, at once", &[TAG], Duration::ZERO, true),
        ("the tag, weak", &["W/\"1a2b-17f3\""], hour, false),
        ("another tag", &["\"other\""], hour, false),
        ("a list, though it begins with the tag", &["\"1a2b-17f3\", \"other\""], hour, false),
        ("the tag without quotes", &["1a2b-17f3"], hour, false),
        ("a star", &["*"], hour, false),
        ("the date", &[MODIFIED], hour, true),
        ("the date in the form of RFC 850", &["Sunday, 06-Nov-94 08:49:37 GMT"], hour, true),
        ("the date in the form of asctime", &["Sun Nov  6 08:49:37 1994"], hour, true),
        ("the date within its second", &[MODIFIED], too_soon, false),
        ("the date as soon as its second is over", &[MODIFIED], soon, true),
        ("an earlier date", &[BEFORE], hour, false),
        ("a later date", &[AFTER], hour, false),
        ("rubbish", &["rubbish"], hour, false),
        ("nothing", &[""], hour, false),
        ("two lines", &[TAG, TAG], hour, false),
    ];
    for (rule, lines, later, expected) in table {
        let headers = request(&[(IF_RANGE, lines)]);
        assert_eq!(if_range(&headers, &current(*later)), *expected, "{rule}");
    }
}

#[test]
fn a_tag_may_hold_bytes_past_ascii() {
    let headers = request(&[(IF_NONE_MATCH, &["\"é\", \"1a2b-17f3\""])]);
    assert_eq!(evaluate(&headers, &current(Duration::ZERO)), Outcome::NotModified);
}

proptest! {
    /// Tags are generated, then written down; so nothing has to be parsed to know what matches.
    #[test]
    fn a_list_matches_if_it_holds_the_tag(
        tags in prop::collection::vec((any::<bool>(), prop_oneof!["[!#-~]{0,5}", Just("1a2b-17f3".to_owned())]), 0..6),
        comma in prop_oneof![Just(","), Just(", "), Just(" \t,"), Just(",,")],
    ) {
        let line: Vec<_> = tags.iter().map(|(weak, text)| format!("{}\"{text}\"", if *weak { "W/" } else { "" })).collect();
        let line = line.join(comma);
        let weak = tags.iter().any(|(_, text)| text == "1a2b-17f3");
        let strong = tags.iter().any(|(weak, text)| !weak && text == "1a2b-17f3");
        let current = current(Duration::ZERO);
        let none_match = evaluate(&request(&[(IF_NONE_MATCH, &[&line])]), &current);
        prop_assert_eq!(none_match == Outcome::NotModified, weak);
        let if_match = evaluate(&request(&[(IF_MATCH, &[&line])]), &current);
        prop_assert_eq!(if_match == Outcome::Proceed, strong);
    }
}

#[test]
fn what_is_written_over_must_be_what_the_writer_knows() {
    let there = current(Duration::ZERO);
    for (name, line, over_it, over_nothing) in [
        (IF_MATCH, TAG, true, false),
        (IF_MATCH, "*", true, false),
        (IF_MATCH, "\"other\"", false, false),
        (IF_MATCH, "W/\"1a2b-17f3\"", false, false),
        (IF_NONE_MATCH, "*", false, true),
        (IF_NONE_MATCH, TAG, false, true),
        (IF_NONE_MATCH, "\"other\"", true, true),
        (IF_UNMODIFIED_SINCE, BEFORE, false, true),
        (IF_UNMODIFIED_SINCE, MODIFIED, true, true),
    ] {
        let request = request(&[(name.clone(), &[line])]);
        assert!(guards_writing(&request));
        assert_eq!(lets_write(&request, Some(&there)), over_it, "{name}: {line}");
        assert_eq!(lets_write(&request, None), over_nothing, "{name}: {line}");
    }
    let unheard = request(&[(IF_MODIFIED_SINCE, &[AFTER])]);
    assert!(!guards_writing(&unheard) && lets_write(&unheard, Some(&there)));
}
