//! Whole plans: the rules a client sees, a row each; then what holds for any request whatever.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderName, header};
use proptest::prelude::*;

use super::*;

const LENGTH: u64 = 10_000;
const MODIFIED: u64 = 784_111_777;
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const OLD: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const TAG: &str = "\"2710-ae1b981bc490a00\"";

/// How long the sentences of 416 and 412 are.
const BEYOND: u64 = "none of the range asked for lies within the file's 10000 bytes\n".len() as u64;
const REFUSED: u64 = "the file is not in the state that the request demands\n".len() as u64;

fn film(length: u64) -> Representation {
    let modified = UNIX_EPOCH + Duration::from_secs(MODIFIED);
    Representation::new(length, modified, HeaderValue::from_static("video/mp4"))
}

fn later(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(MODIFIED + seconds)
}

fn ask(method: Method, of: &Representation, fields: &[(HeaderName, &str)]) -> Plan {
    let fields = fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
    plan(method, &HeaderMap::from_iter(fields), of, later(3_600))
}

/// A plan's parts over a file whose bytes count up, one by one, modulo a prime.
fn body(plan: &Plan) -> Vec<u8> {
    let bytes = plan.parts.clone().map(|part| match part {
        Part::Bytes(bytes) => bytes.to_vec(),
        Part::Span(span) => span.map(byte).collect(),
    });
    bytes.collect::<Vec<_>>().concat()
}

fn byte(at: u64) -> u8 {
    (at % 251) as u8
}

fn text<'a>(plan: &'a Plan, name: &HeaderName) -> &'a str {
    plan.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn times_are_asked_by_get_in_one_line() {
    let asked = |method, lines: &[&str]| {
        let lines = lines.iter().map(|line| (header::RANGE, line.parse().unwrap()));
        times(method, &HeaderMap::from_iter(lines)).map(str::to_owned)
    };
    for (line, expected) in [
        ("t:npt=5-6", Some("npt=5-6")),
        ("T:", Some("")),
        ("bytes=0-1", None),
        ("t=5-6", None),
        ("t", None),
        ("\u{e9}:npt=5", None),
        ("", None),
    ] {
        assert_eq!(asked(Method::Get, &[line]).as_deref(), expected, "{line}");
        assert_eq!(asked(Method::Head, &[line]), None, "{line}");
    }
    assert_eq!(asked(Method::Get, &["t:npt=5-6", "t:npt=7-8"]), None);
}

#[test]
fn times_are_weighed_like_bytes() {
    use header::{IF_NONE_MATCH, IF_RANGE};
    let film = film(LENGTH);
    let mapping = HeaderValue::from_static("a mapping");
    for (fields, nothing, status, says) in [
        (&[][..], false, 206, "bytes 100-199/10000"),
        (&[], true, 416, "bytes */10000"),
        (&[(IF_RANGE, TAG)], false, 206, "bytes 100-199/10000"),
        (&[(IF_RANGE, "\"another\"")], false, 200, ""),
        (&[(IF_RANGE, "\"another\"")], true, 200, ""),
        (&[(IF_NONE_MATCH, TAG)], true, 304, ""),
    ] {
        let times = match nothing {
            true => Translated::Nothing("nothing is shown then".into()),
            false => Translated::Bytes { span: 100..200, mapping: mapping.clone() },
        };
        let fields = fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let request = HeaderMap::from_iter(fields);
        let plan = plan_times(Method::Get, &request, &film, later(3_600), times);
        assert_eq!((plan.status.as_u16(), text(&plan, &header::CONTENT_RANGE)), (status, says));
        let mapped = plan.headers.contains_key("content-range-mapping");
        assert_eq!(mapped, status == 206);
        if status == 416 {
            assert_eq!(body(&plan), b"nothing is shown then\n");
        }
    }
}

#[test]
fn the_rules() {
    use Method::{Get, Head};
    use header::{
        IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
    };
    type Row<'a> = (&'a str, Method, &'a [(HeaderName, &'a str)], u16, &'a str, u64);
    let table: &[Row] = &[
        ("the whole", Get, &[], 200, "", LENGTH),
        ("a range", Get, &[(RANGE, "bytes=0-499")], 206, "bytes 0-499/10000", 500),
        ("all as a range", Get, &[(RANGE, "bytes=0-")], 206, "bytes 0-9999/10000", LENGTH),
        ("the last byte", Get, &[(RANGE, "bytes=-1")], 206, "bytes 9999-9999/10000", 1),
        ("two that merge", Get, &[(RANGE, "bytes=0-9,5-19")], 206, "bytes 0-19/10000", 20),
        ("malformed is ignored", Get, &[(RANGE, "bytes=5-4")], 200, "", LENGTH),
        ("beyond the end", Get, &[(RANGE, "bytes=10000-")], 416, "bytes */10000", BEYOND),
        ("a suffix of nothing", Get, &[(RANGE, "bytes=-0")], 416, "bytes */10000", BEYOND),
        ("HEAD has no body", Head, &[], 200, "", 0),
        ("HEAD knows no range", Head, &[(RANGE, "bytes=0-499")], 200, "", 0),
        ("HEAD knows no 416", Head, &[(RANGE, "bytes=10000-")], 200, "", 0),
        ("HEAD knows 304", Head, &[(IF_NONE_MATCH, TAG)], 304, "", 0),
        ("HEAD knows 412", Head, &[(IF_MATCH, "\"x\"")], 412, "", 0),
        ("a known tag", Get, &[(IF_NONE_MATCH, TAG)], 304, "", 0),
        ("a known date", Get, &[(IF_MODIFIED_SINCE, DATE)], 304, "", 0),
        ("an old date", Get, &[(IF_MODIFIED_SINCE, OLD)], 200, "", LENGTH),
        ("a lost tag", Get, &[(IF_MATCH, "\"x\"")], 412, "", REFUSED),
        ("a lost date", Get, &[(IF_UNMODIFIED_SINCE, OLD)], 412, "", REFUSED),
        (
            "If-None-Match before Range",
            Get,
            &[(IF_NONE_MATCH, TAG), (RANGE, "bytes=0-499")],
            304,
            "",
            0,
        ),
        (
            "If-None-Match before an unsatisfiable Range",
            Get,
            &[(IF_NONE_MATCH, TAG), (RANGE, "bytes=10000-")],
            304,
            "",
            0,
        ),
        (
            "If-Match before Range",
            Get,
            &[(IF_MATCH, "\"x\""), (RANGE, "bytes=0-499")],
            412,
            "",
            REFUSED,
        ),
        (
            "preconditions that hold leave the range",
            Get,
            &[(IF_MATCH, TAG), (IF_NONE_MATCH, "\"x\""), (RANGE, "bytes=0-0")],
            206,
            "bytes 0-0/10000",
            1,
        ),
        (
            "If-Range holds",
            Get,
            &[(IF_RANGE, TAG), (RANGE, "bytes=0-0")],
            206,
            "bytes 0-0/10000",
            1,
        ),
        (
            "If-Range holds by date",
            Get,
            &[(IF_RANGE, DATE), (RANGE, "bytes=0-0")],
            206,
            "bytes 0-0/10000",
            1,
        ),
        ("If-Range fails", Get, &[(IF_RANGE, "\"x\""), (RANGE, "bytes=0-0")], 200, "", LENGTH),
        (
            "If-Range fails where the range would too",
            Get,
            &[(IF_RANGE, "\"x\""), (RANGE, "bytes=10000-")],
            200,
            "",
            LENGTH,
        ),
        (
            "If-Range holds where the range does not",
            Get,
            &[(IF_RANGE, TAG), (RANGE, "bytes=10000-")],
            416,
            "bytes */10000",
            BEYOND,
        ),
        ("If-Range alone means nothing", Get, &[(IF_RANGE, "\"x\"")], 200, "", LENGTH),
    ];
    for (rule, method, fields, status, content_range, length) in table {
        let plan = ask(*method, &film(LENGTH), fields);
        assert_eq!(plan.status.as_u16(), *status, "{rule}");
        assert_eq!(text(&plan, &CONTENT_RANGE), *content_range, "{rule}");
        assert_eq!(plan.length, *length, "{rule}");
        assert_eq!(body(&plan).len() as u64, *length, "{rule}");
    }
}

#[test]
fn every_answer_names_the_version_and_that_ranges_are_known() {
    let fields: [(HeaderName, &str); 4] = [
        (header::RANGE, "bytes=10000-"),
        (header::RANGE, "bytes=0-0,5000-"),
        (header::IF_NONE_MATCH, "*"),
        (header::IF_MATCH, "\"x\""),
    ];
    for field in fields {
        let plan = ask(Method::Get, &film(LENGTH), &[field]);
        assert_eq!(text(&plan, &ETAG), TAG);
        assert_eq!(text(&plan, &LAST_MODIFIED), DATE);
        assert_eq!(text(&plan, &ACCEPT_RANGES), "bytes");
    }
}

#[test]
fn a_body_has_the_type_of_what_it_holds() {
    let table = [
        ("bytes=0-0", "video/mp4"),
        ("nothing known", "video/mp4"),
        ("bytes=0-0,5000-", "multipart/byteranges; boundary=reelmap-2710-ae1b981bc490a00"),
        ("bytes=10000-", "text/plain; charset=utf-8"),
    ];
    for (range, content_type) in table {
        let plan = ask(Method::Get, &film(LENGTH), &[(header::RANGE, range)]);
        assert_eq!(text(&plan, &CONTENT_TYPE), content_type);
    }
}

#[test]
fn not_modified_says_nothing_of_content() {
    let plan = ask(Method::Get, &film(LENGTH), &[(header::IF_NONE_MATCH, "*")]);
    let mut names: Vec<_> = plan.headers.keys().map(HeaderName::as_str).collect();
    names.sort();
    assert_eq!(names, ["accept-ranges", "etag", "last-modified"]);
}

#[test]
fn a_multipart_is_this_to_the_byte() {
    let plan = ask(Method::Get, &film(LENGTH), &[(header::RANGE, "bytes=9000-9001,65-67")]);
    let expected = "--reelmap-2710-ae1b981bc490a00\r\n\
        Content-Type: video/mp4\r\n\
        Content-Range: bytes 9000-9001/10000\r\n\
        \r\n\
        \u{d7}\u{d8}\r\n\
        --reelmap-2710-ae1b981bc490a00\r\n\
        Content-Type: video/mp4\r\n\
        Content-Range: bytes 65-67/10000\r\n\
        \r\n\
        ABC\r\n\
        --reelmap-2710-ae1b981bc490a00--\r\n";
    let read: String = body(&plan).into_iter().map(char::from).collect();
    assert_eq!(read, expected);
    assert_eq!(text(&plan, &CONTENT_LENGTH), body(&plan).len().to_string());
    assert_eq!(text(&plan, &CONTENT_RANGE), "", "it belongs to the parts");
}

#[test]
fn a_boundary_keeps_the_rules_of_mime() {
    let long_ago = UNIX_EPOCH - Duration::new(1 << 62, 999_999_999);
    let film = Representation::new(u64::MAX, long_ago, HeaderValue::from_static("video/mp4"));
    let boundary = multipart::boundary(&film.etag);
    assert!(boundary.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-'));
    assert!(boundary.len() <= 70, "{}", boundary.len());
}

#[test]
fn a_head_of_a_film_costs_more_than_the_longest_gap_that_is_sent() {
    let film = film(1 << 20);
    let parts =
        multipart::parts(vec![0..1, 900_000..900_001], &film, &multipart::boundary(&film.etag));
    let head = parts[2].length();
    assert!(head >= range::PART_HEAD, "a head costs {head}");
}

#[test]
fn an_empty_file_is_never_partial() {
    let table = [
        ("", 200, ""),
        ("bytes=0-", 416, "bytes */0"),
        ("bytes=0-0", 416, "bytes */0"),
        ("bytes=-0", 416, "bytes */0"),
        ("bytes=-5", 200, ""),
        ("bytes=0-,-5", 200, ""),
    ];
    for (range, status, content_range) in table {
        let plan = ask(Method::Get, &film(0), &[(header::RANGE, range)]);
        assert_eq!(plan.status.as_u16(), status, "{range}");
        assert_eq!(text(&plan, &CONTENT_RANGE), content_range, "{range}");
        if status == 200 {
            assert_eq!(text(&plan, &CONTENT_LENGTH), "0");
            assert_eq!(plan.parts.count(), 0, "there is nothing to send");
        }
    }
}

#[test]
fn a_time_in_the_future_is_said_to_be_now() {
    let ahead = Representation::new(1, later(60), HeaderValue::from_static("video/mp4"));
    let request = HeaderMap::new();
    let plan = plan(Method::Get, &request, &ahead, later(0));
    assert_eq!(text(&plan, &LAST_MODIFIED), DATE);
}

#[test]
fn the_date_of_a_file_changed_within_this_second_proves_nothing() {
    let request = HeaderMap::from_iter([
        (header::IF_RANGE, HeaderValue::from_static(DATE)),
        (header::RANGE, HeaderValue::from_static("bytes=0-0")),
    ]);
    let status = |now| plan(Method::Get, &request, &film(LENGTH), now).status.as_u16();
    assert_eq!((status(later(0)), status(later(1))), (200, 206));
}

#[test]
fn one_span_is_one_part() {
    let plan = ask(Method::Get, &film(LENGTH), &[(header::RANGE, "bytes=5-6")]);
    assert_eq!(plan.parts.collect::<Vec<_>>(), [Part::Span(5..7)]);
}

/// Reads a multipart body as a client would: the boundary parts it, Content-Range places each part.
fn read_multipart(plan: &Plan) -> Vec<(Range<u64>, Vec<u8>)> {
    let latin: String = body(plan).into_iter().map(char::from).collect();
    let (_, boundary) = text(plan, &CONTENT_TYPE).split_once("boundary=").expect("a boundary");
    let inside = latin.strip_prefix(&format!("--{boundary}\r\n")).expect("an opening");
    let inside = inside.strip_suffix(&format!("\r\n--{boundary}--\r\n")).expect("a close");
    let delimiter = format!("\r\n--{boundary}\r\n");
    let parts = inside.split(&delimiter).map(|part| {
        let (head, data) = part.split_once("\r\n\r\n").expect("a head");
        let (_, range) = head.split_once("Content-Range: bytes ").expect("a Content-Range");
        let (ends, _) = range.split_once('/').expect("a length");
        let (first, last) = ends.split_once('-').expect("two ends");
        let span = first.parse().unwrap()..last.parse::<u64>().unwrap() + 1;
        (span, data.chars().map(|letter| letter as u8).collect())
    });
    parts.collect()
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![Just(Method::Get), Just(Method::Head)]
}

/// A well-formed set of ranges, of one to more than are answered in parts.
fn ranges() -> impl Strategy<Value = String> {
    let few_or_many = prop_oneof![1..5_usize, 1..250_usize];
    let specs = few_or_many
        .prop_flat_map(|count| prop::collection::vec((0..100_000_u64, 0..300_u64), count));
    specs.prop_map(|specs| {
        let specs: Vec<_> =
            specs.iter().map(|(first, more)| format!("{first}-{}", first + more)).collect();
        format!("bytes={}", specs.join(", "))
    })
}

/// A line of a field the plan reads: sense, near sense, or any bytes a header may hold.
fn line() -> impl Strategy<Value = (HeaderName, Vec<u8>)> {
    let name = prop::sample::select(vec![
        header::RANGE,
        header::RANGE,
        header::IF_RANGE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![TAG, "*", "\"x\"", "W/\"", DATE, OLD, "bytes=-0", "bytes=0-"])
            .prop_map(|text| text.as_bytes().to_vec()),
        ranges().prop_map(String::into_bytes),
        "(bytes=|W/|\")?[0-9,\" W/*-]{0,20}".prop_map(String::into_bytes),
        "[MTWFS][a-z]{2,8},? [0-9A-Za-z :-]{15,24}( GMT)?".prop_map(String::into_bytes),
        prop::collection::vec(prop_oneof![Just(9_u8), 32..=126_u8, 128..=255_u8], 0..40),
    ];
    (name, value)
}

fn time() -> impl Strategy<Value = SystemTime> {
    let around = prop_oneof![any::<i64>(), -2..2_i64, (MODIFIED as i64 - 2)..(MODIFIED as i64 + 2)];
    (around, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| {
        let distance = Duration::new(seconds.unsigned_abs(), 0);
        let whole = if seconds < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        let whole = whole.unwrap_or(UNIX_EPOCH);
        whole.checked_add(Duration::new(0, nanos)).unwrap_or(whole)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_request_gets_an_answer_that_adds_up(
        method in method(),
        lines in prop::collection::vec(line(), 0..5),
        length in prop_oneof![Just(0), 0..100_000_u64, any::<u64>()],
        modified in time(),
        now in time(),
    ) {
        let mut request = HeaderMap::new();
        for (name, value) in lines {
            request.append(name, HeaderValue::from_bytes(&value).unwrap());
        }
        let film = Representation::new(length, modified, HeaderValue::from_static("video/mp4"));
        let plan = plan(method, &request, &film, now);

        let parts: Vec<_> = plan.parts.clone().collect();
        prop_assert_eq!(parts.iter().map(Part::length).sum::<u64>(), plan.length);
        let content_length = plan.headers.get(CONTENT_LENGTH);
        if plan.status == StatusCode::NOT_MODIFIED {
            prop_assert!(content_length.is_none() && parts.is_empty());
        } else if method == Method::Get {
            prop_assert_eq!(content_length.unwrap(), &plan.length.to_string());
        } else {
            prop_assert!(content_length.is_some() && parts.is_empty());
        }
        let mut spans = 0;
        for part in &parts {
            if let Part::Span(span) = part {
                prop_assert!(span.start < span.end && span.end <= length);
                spans += span.end - span.start;
            }
        }
        prop_assert!(spans <= length);
        prop_assert!(plan.length - spans <= 24 * 1024, "{} bytes of heads", plan.length - spans);
        let partial = plan.status == StatusCode::PARTIAL_CONTENT;
        prop_assert!(!partial || (length > 0 && request.contains_key(header::RANGE)));
    }

    #[test]
    fn head_is_get_without_range_and_without_a_body(lines in prop::collection::vec(line(), 0..5)) {
        let mut request = HeaderMap::new();
        for (name, value) in lines {
            request.append(name, HeaderValue::from_bytes(&value).unwrap());
        }
        let head = plan(Method::Head, &request, &film(LENGTH), later(9));
        request.remove(header::RANGE);
        let get = plan(Method::Get, &request, &film(LENGTH), later(9));
        prop_assert_eq!((head.status, head.headers), (get.status, get.headers));
        prop_assert_eq!((head.parts.count(), head.length), (0, 0));
    }

    #[test]
    fn the_bytes_that_arrive_are_those_asked_for(
        asked in prop::collection::vec((0..LENGTH, 0..300_u64), 1..20),
    ) {
        let specs: Vec<_> = asked.iter().map(|(first, more)| format!("{first}-{}", first + more)).collect();
        let range = format!("bytes={}", specs.join(", "));
        let plan = ask(Method::Get, &film(LENGTH), &[(header::RANGE, &range)]);
        prop_assert_eq!(plan.status, StatusCode::PARTIAL_CONTENT);
        let parts = match text(&plan, &CONTENT_RANGE) {
            "" => read_multipart(&plan),
            _ => match plan.parts.clone().next() {
                Some(Part::Span(span)) => vec![(span, body(&plan))],
                other => panic!("{other:?} is no span"),
            },
        };
        let mut sent = vec![false; LENGTH as usize];
        for (span, data) in parts {
            prop_assert!(data.iter().copied().eq(span.clone().map(byte)), "{span:?}");
            for at in span {
                prop_assert!(!std::mem::replace(&mut sent[at as usize], true), "{at} is sent twice");
            }
        }
        for (first, more) in asked {
            prop_assert!((first..LENGTH.min(first + more + 1)).all(|at| sent[at as usize]));
        }
    }
}
