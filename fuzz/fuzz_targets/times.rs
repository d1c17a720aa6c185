//! Any text as a range of times (`Range: t:`) and as a question in a query, asked of three films: refused, or
//! bytes that lie in the film and show no time backwards.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelmap::{
    media::{self, Index},
    seek::{Film, Question, TimeRange},
};
use std::sync::LazyLock;

type Indexed = (Vec<u8>, Box<dyn Index>);

static FILMS: LazyLock<Vec<Indexed>> = LazyLock::new(|| {
    let films: [&[u8]; 3] = [
        include_bytes!("../../fixtures/drop-frame.mov"),
        include_bytes!("../../fixtures/no-cues.mkv"),
        include_bytes!("../../fixtures/wrap.ts"),
    ];
    let open = |film: &[u8]| (film.to_vec(), media::open(&film.to_vec()).unwrap());
    films.into_iter().map(open).collect()
});

fuzz_target!(|text: &str| {
    let _ = Question::of(text);
    let Some(range) = TimeRange::parse(text) else { return };
    for (bytes, index) in FILMS.iter() {
        let film = Film { index: index.as_ref(), source: bytes };
        let Ok(sent) = film.span(&range) else { continue };
        let length = bytes.len() as u64;
        assert!(sent.bytes.start < sent.bytes.end && sent.bytes.end <= length, "{sent:?}");
        assert!(sent.from <= sent.to, "{sent:?}");
        let _ = sent.mapping(length);
    }
});
