//! Any bytes as a file of WAV, MP3, ADTS AAC or Ogg: an index or an error, and answers that hold together.
#![no_main]

#[path = "../../tests/support/questions.rs"]
mod questions;

use libfuzzer_sys::fuzz_target;
use reelmap::media::audio;

fuzz_target!(|bytes: &[u8]| {
    let bytes = bytes.to_vec();
    if let Ok(index) = audio::open(&bytes) {
        questions::ask(&index, &bytes);
    }
});
