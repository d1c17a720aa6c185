//! The index of a stream that is still being written: what has come since the last look is read, and no more.

use super::open::File;
use super::pes::HERTZ;
use super::{Core, TransportStream};
use crate::media::{Error, Source, Time};
use std::sync::{Arc, OnceLock};

/// A stream that was named and has not come after so much of the file, or after so long, is waited for no more: where
/// time begins is taken to be known.
const WAIT: (u64, i64) = (8 << 20, 5 * HERTZ as i64);

/// A value of this type is what is known of such a stream.
#[derive(Debug, Default)]
pub struct Growing(Option<Arc<TransportStream>>);

impl Growing {
    /// The index of what is there, and up to when more can't change it; none while that is too little. Where it fails
    /// nothing has happened.
    pub fn advance(
        &mut self,
        source: &dyn Source,
    ) -> Result<Option<(Arc<TransportStream>, Time)>, Error> {
        let stream = match &self.0 {
            Some(known) => known.grown(source)?,
            None => {
                let file = File { growing: true, ..File::new(source)? };
                let Some(core) = file.begun()? else { return Ok(None) };
                TransportStream { core, read_whole: OnceLock::new() }
            }
        };
        let stream = self.0.insert(Arc::new(stream)).clone();
        let core = stream.core();
        let edge = core.time(core.end);
        Ok((is_settled(core) && core.end > core.first).then_some((stream, edge)))
    }
}

/// Whether it is known where time begins: every stream has come.
fn is_settled(core: &Core) -> bool {
    let lasts = core.end.saturating_sub(core.first);
    let there = core.length.saturating_sub(core.begin);
    core.progress.pass.has_all() || there >= WAIT.0 || lasts >= WAIT.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Index;
    use crate::media::mpegts::core::Frames;
    use crate::media::mpegts::sparse;
    use crate::media::mpegts::testing::{Mux, SOUND, film};
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    const FRAME: i64 = 3600;

    /// The first bytes of a film, and how many were read.
    struct Part<'a>(&'a [u8], AtomicUsize);

    impl Source for Part<'_> {
        fn length(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let rest = self.0.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            self.1.fetch_add(count, Relaxed);
            Ok(count)
        }
    }

    /// A film that is taken to be long grows: what is told of it, held against the film as a whole.
    fn grows(bytes: &Vec<u8>, begun: impl Fn(&File<'_>) -> Core) {
        let whole = crate::media::mpegts::open(bytes).unwrap();
        let part = |length: usize| Part(&bytes[..length], AtomicUsize::new(0));
        let (first, tenth) = (part(bytes.len() * 3 / 10), bytes.len() / 10);
        let core = begun(&File { growing: true, ..File::new(&first).unwrap() });
        assert!(matches!(core.frames, Frames::Search(_)));
        let begun = TransportStream { core, read_whole: OnceLock::new() };
        let mut growing = Growing(Some(Arc::new(begun)));
        let mut length = first.0.len();
        for more in [1000, 50_000, tenth, 3 * tenth, bytes.len() - length - 4 * tenth - 51_000] {
            length += more;
            let part = part(length);
            let (stream, edge) = growing.advance(&part).unwrap().unwrap();
            assert!(matches!(stream.core.frames, Frames::Search(_)));
            let read = part.1.load(Relaxed);
            assert!(read <= more + (256 << 10), "{read} bytes of {more} new ones");
            for k in 0..60 {
                let time = Time::new(edge.ticks / 60 * k, edge.scale);
                let (here, there) = (stream.find(&part, time), whole.find(bytes, time));
                assert_eq!(here.unwrap(), there.unwrap(), "{time} of {edge}");
            }
            assert_eq!(stream.find(&part, edge).unwrap(), None);
        }
    }

    #[test]
    fn a_long_stream_is_looked_at_where_it_has_grown() {
        let mut mux = Mux::new(188);
        film(&mut mux, 90_000, FRAME, 600, 9000);
        grows(&mux.bytes, |file| sparse::index(file, &file.survey().unwrap()).unwrap().unwrap());
    }

    #[test]
    fn a_stream_whose_time_went_back_is_read_on() {
        let mut mux = Mux::new(188);
        film(&mut mux, 9_000_000, FRAME, 100, 9000);
        film(&mut mux, 90_000, FRAME, 600, 9000);
        grows(&mux.bytes, |file| {
            let (progress, gathered) = file.read(&file.survey().unwrap()).unwrap();
            file.runs(progress, gathered, None).unwrap()
        });
    }

    #[test]
    fn the_sound_named_first_is_waited_for_where_another_comes_before_it() {
        let mut mux = Mux::new(188);
        mux.tables(&[(0x03, SOUND, &[]), (0x03, SOUND + 1, &[])]);
        for k in 0..60 {
            let pid = if k >= 20 && k % 2 == 0 { SOUND } else { SOUND + 1 };
            mux.pes(pid, Some(90_000 + k * FRAME), None, &[0x55; 900]);
        }
        let mut growing = Growing::default();
        for length in (8192..mux.bytes.len()).step_by(1000) {
            let part = Part(&mux.bytes[..length], AtomicUsize::new(0));
            let extended = growing.advance(&part).unwrap();
            let anew = Growing::default().advance(&part).unwrap();
            let [extended, anew] =
                [extended, anew].map(|it| it.map(|(stream, edge)| (stream.main_track().id, edge)));
            assert_eq!(extended, anew, "of {length} bytes");
        }
        assert_eq!(growing.0.unwrap().main_track().id, u64::from(SOUND));
    }

    #[test]
    fn a_stream_that_has_moved_to_another_pid_is_not_waited_for() {
        let mut mux = Mux::new(188);
        for k in 0..60 {
            let pid = if k < 20 { SOUND } else { SOUND + 1 };
            if k % 20 == 0 {
                mux.tables(&[(0x03, pid, &[])]);
            }
            mux.pes(pid, Some(90_000 + k * FRAME), None, &[0x55; 900]);
        }
        let (stream, _) = Growing::default().advance(&mux.bytes).unwrap().unwrap();
        assert_eq!(stream.main_track().id, u64::from(SOUND + 1));
    }

    #[test]
    fn where_the_step_was_lost_it_is_found_again_by_what_more_bytes_prove() {
        let mut mux = Mux::new(188);
        let written = film(&mut mux, 90_000, FRAME, 60, 600);
        let mut bytes = mux.bytes;
        // Before pictures what looks like the beginning of a packet of the one before, and is none.
        for picture in written.iter().skip(10).step_by(5).rev() {
            let at = picture.span.start as usize;
            bytes.splice(at..at, [&[0; 9][..], &[0x47, 1, 0, 0x10], &[0; 44]].concat());
        }
        let mut growing = Growing::default();
        for length in (8192..bytes.len()).step_by(61).chain([bytes.len()]) {
            let part = Part(&bytes[..length], AtomicUsize::new(0));
            let extended = growing.advance(&part).unwrap();
            let anew = Growing::default().advance(&part).unwrap();
            let [(extended, edge), (anew, other)] = [extended, anew].map(Option::unwrap);
            assert_eq!(edge, other, "of {length} bytes");
            let last = Time::new(edge.ticks - 1, edge.scale);
            for time in [Time::new(edge.ticks / 2, edge.scale), last] {
                let [here, there] = [&extended, &anew].map(|it| it.find(&part, time).unwrap());
                assert_eq!(here, there, "of {length} bytes at {time}");
            }
        }
    }
}
