//! Any bytes as a file of MP4 and MOV: an index or an error, and answers that hold together.
#![no_main]

#[path = "../../tests/support/questions.rs"]
mod questions;

use libfuzzer_sys::fuzz_target;
use reelmap::media::mp4;

fuzz_target!(|bytes: &[u8]| {
    let bytes = bytes.to_vec();
    if let Ok(index) = mp4::open(&bytes) {
        questions::ask(&index, &bytes);
    }
});
