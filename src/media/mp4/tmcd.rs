//! The timecode track: one sample that says which label the first frame bears (QuickTime File Format,
//! "Timecode Media").
//!
//! ```text
//! tmcd entry: reserved:48 index:16 reserved:32 flags:32 scale:32 duration:32 frames:8 reserved:8
//! sample:     frames since 00:00:00:00, 32 bits, in the mdat
//! ```

use super::{boxes::Window, moov::Trak, samples::Samples};
use crate::media::{Counting, Error, Rate, Source, StartTimecode, read_up_to};

/// What the timecode track says of its first frame; none where it says nothing that could be meant.
pub fn start(source: &dyn Source, trak: &Trak) -> Result<Option<StartTimecode>, Error> {
    let Some(entry) = trak.entry.filter(|entry| entry.is(b"tmcd") && entry.length() >= 25) else {
        return Ok(None);
    };
    let mut window = Window::new(source, entry.end);
    let flags = window.u32(entry.body + 12)?;
    let (scale, duration) = (window.u32(entry.body + 16)?, window.u32(entry.body + 20)?);
    let Some(rate) = Rate::new(scale, duration) else { return Ok(None) };
    let sample = match Samples::new(source, &trak.tables)? {
        Some(mut samples) => samples.next()?,
        None => None,
    };
    let Some(sample) = sample.filter(|sample| sample.size >= 4) else { return Ok(None) };
    let mut bytes = [0; 4];
    if read_up_to(source, &mut bytes, sample.offset)? < 4 {
        return Ok(None);
    }
    // The flag is believed at the rates that have drop-frame.
    let drop_frame = flags & 1 != 0 && rate.dropped_a_minute().is_some();
    let day = Counting::new(rate, drop_frame).map_or(1, Counting::day);
    let frames = u64::from(u32::from_be_bytes(bytes)) % day.max(1);
    Ok(Some(StartTimecode { frames, rate, drop_frame }))
}
