//! Any bytes as a file of MPEG-TS and M2TS: an index or an error, and answers that hold together.
#![no_main]

#[path = "../../tests/support/questions.rs"]
mod questions;

use libfuzzer_sys::fuzz_target;
use reelmap::media::mpegts;

fuzz_target!(|bytes: &[u8]| {
    let bytes = bytes.to_vec();
    if let Ok(index) = mpegts::open(&bytes) {
        questions::ask(&index, &bytes);
    }
});
