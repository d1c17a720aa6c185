//! All that an index can be asked, and what must hold of the answers whatever the file is: for tests and fuzzing
//! of files that lie.

use reelmap::media::{Index, Source, Time};

pub fn ask(index: &dyn Index, bytes: &Vec<u8>) {
    let end = index.duration().unwrap_or(Time::new(10, 1));
    let _ = (
        index.tracks().len(),
        index.main_track(),
        index.start_timecode(),
        index.layout(),
        index.weight(),
    );
    for part in -1..=9 {
        let time = Time::new(((i128::from(end.ticks) * part) >> 3) as i64, end.scale.max(1));
        if let Ok(Some(found)) = index.find(bytes, time) {
            assert!(
                found.frame.span.start <= found.frame.span.end
                    && found.frame.span.end <= bytes.length()
            );
            assert!(found.later || found.sync.time <= time, "{found:?} at {time:?}");
            let _ = index.frame(bytes, found.number);
        }
        let later = time.checked_add(Time::new(1, 1));
        if let Ok(Some(span)) = index.span(bytes, time, later) {
            assert!(span.start < span.end && span.end <= bytes.length());
        }
    }
    for number in [0, 1, u64::from(u32::MAX), u64::MAX] {
        let _ = index.frame(bytes, number);
    }
    let _ = index.sync_samples(bytes, Time::ZERO, 100);
    let _ = index.find(bytes, Time::new(i64::MAX, 1));
}
