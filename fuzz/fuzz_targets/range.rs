//! Any `Range` and `If-Range` fields, for any length: an answer whose spans lie in the file, do not touch, and add
//! up to the length it promises.
#![no_main]

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, IF_RANGE, RANGE},
};
use libfuzzer_sys::fuzz_target;
use reelmap::plan::{Method, Part, Representation, plan};
use std::time::{Duration, UNIX_EPOCH};

fuzz_target!(|asked: (u64, &[u8], Option<&[u8]>)| {
    let (length, range, condition) = asked;
    let mut request = HeaderMap::new();
    for (name, value) in [(RANGE, Some(range)), (IF_RANGE, condition)] {
        let Some(value) = value else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        request.insert(name, value);
    }
    let modified = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let film = Representation::new(length, modified, HeaderValue::from_static("video/mp4"));
    let plan = plan(Method::Get, &request, &film, modified + Duration::from_secs(3600));

    let promised = plan.headers[CONTENT_LENGTH].to_str().unwrap().parse();
    assert_eq!(promised, Ok(plan.length));
    let (mut sent, mut spans) = (0, Vec::new());
    for part in plan.parts {
        sent += part.length();
        if let Part::Span(span) = part {
            spans.push(span);
        }
    }
    assert_eq!(sent, plan.length);
    assert!(spans.iter().all(|span| span.start < span.end && span.end <= length));
    spans.sort_by_key(|span| span.start);
    assert!(spans.is_sorted_by(|a, b| a.end < b.start));
    let parts = match plan.status {
        StatusCode::OK => u64::from(length > 0)..=1,
        StatusCode::PARTIAL_CONTENT => 1..=100,
        StatusCode::RANGE_NOT_SATISFIABLE => 0..=0,
        other => panic!("{other}"),
    };
    assert!(parts.contains(&(spans.len() as u64)));
});
