//! Any text as a timecode, for any reel: refused or placed, and a label that a frame bears leads back to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelmap::media::{Counting, Place, Rate, Reel, StartTimecode, Time, Timecode};

fuzz_target!(|typed: (&str, u32, u32, u64, bool, bool, i64, u32)| {
    let (text, numerator, denominator, frames, drop_frame, variable_rate, ticks, scale) = typed;
    let timecode = text.parse::<Timecode>();
    let known = [(24, 1), (25, 1), (24000, 1001), (30000, 1001), (60000, 1001), (120_000, 1001)];
    let (numerator, denominator) =
        known.get(numerator as usize).copied().unwrap_or((numerator, denominator));
    let rate = Rate::new(numerator, denominator);
    let start = rate.map(|rate| StartTimecode { frames, rate, drop_frame });
    for start in [None, start.as_ref()] {
        let reel = Reel { rate, variable_rate, start };
        let time = Time::new(ticks, scale.max(1));
        let _ = (reel.elapsed_label(frames, time, drop_frame), reel.own_label(frames, time));
        let Ok(timecode) = timecode else { continue };
        let _ = (reel.at(timecode), reel.tc(timecode));
        let Some(label) = reel.own_label(frames, time).filter(|_| !variable_rate) else { continue };
        if let Ok(Place::Frame(number)) = reel.tc(Timecode::Label(label)) {
            let day = Counting::new(rate.unwrap(), drop_frame).unwrap().day();
            assert_eq!(number % day, frames % day, "{label}");
        }
    }
});
