//! Any bytes as a file of Matroska and WebM: an index or an error, and answers that hold together.
#![no_main]

#[path = "../../tests/support/questions.rs"]
mod questions;

use libfuzzer_sys::fuzz_target;
use reelmap::media::matroska;

fuzz_target!(|bytes: &[u8]| {
    let bytes = bytes.to_vec();
    if let Ok(index) = matroska::open(&bytes) {
        questions::ask(index.as_ref(), &bytes);
    }
});
