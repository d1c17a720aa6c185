//! The index of a stream that is still being written: what has come since the last look is read, and no more.

use super::open::{File, HEAD};
use super::pes::HERTZ;
use super::{Core, TransportStream};
use crate::media::{Error, Source, Time, once::Once};
use std::sync::Arc;

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
                let file = match File::new(source) {
                    // What looked like packets was none; some may still come.
                    Err(Error::Unknown) if source.length() < HEAD as u64 => return Ok(None),
                    file => File { growing: true, ..file? },
                };
                let Some(core) = file.begun()? else { return Ok(None) };
                TransportStream { core, read_whole: Once::default() }
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
    use crate::media::mpegts::testing::{Mux, PICTURES, SOUND, film, picture, twice};
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
        let begun = TransportStream { core, read_whole: Once::default() };
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

    /// What is told of a stream that was extended step by step, and at once, is the same; the last of these.
    fn grows_as_if_anew(bytes: &[u8], from: usize, step: usize) -> Growing {
        let mut growing = Growing::default();
        for length in (from..bytes.len()).step_by(step).chain([bytes.len()]) {
            let part = Part(&bytes[..length], AtomicUsize::new(0));
            let extended = growing.advance(&part).unwrap();
            let anew = Growing::default().advance(&part).unwrap();
            let told = |it: Option<(Arc<TransportStream>, Time)>| {
                let (stream, edge) = it?;
                let times =
                    [Time::new(edge.ticks / 2, edge.scale), Time::new(edge.ticks - 1, edge.scale)];
                let found = times.map(|time| stream.find(&part, time).unwrap());
                Some((stream.main_track().id, edge, found))
            };
            assert_eq!(told(extended), told(anew), "of {length} bytes");
        }
        growing
    }

    #[test]
    fn the_sound_named_first_is_waited_for_where_another_comes_before_it() {
        let mut mux = Mux::new(188);
        mux.tables(&[(0x03, SOUND, &[]), (0x03, SOUND + 1, &[])]);
        for k in 0..60 {
            let pid = if k >= 20 && k % 2 == 0 { SOUND } else { SOUND + 1 };
            mux.pes(pid, Some(90_000 + k * FRAME), None, &[0x55; 900]);
        }
        let growing = grows_as_if_anew(&mux.bytes, 8192, 1000);
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
        grows_as_if_anew(&bytes, 8192, 61);
    }

    #[test]
    fn pictures_that_turn_into_sound_are_told_further() {
        let mut mux = Mux::new(188);
        for (kind, first) in [(0x1b, 0), (0x11, 20)] {
            mux.tables(&[(kind, PICTURES, &[])]);
            for k in first..first + 20 {
                mux.pes(PICTURES, Some(90_000 + k * FRAME), None, &picture(k == 0, 900));
            }
        }
        let growing = grows_as_if_anew(&mux.bytes, 8192, 1000);
        assert!(growing.0.unwrap().core.end > 90_000 + 30 * FRAME);
    }

    #[test]
    fn tables_are_complete_where_more_bytes_prove_them() {
        let mut mux = Mux::new(188);
        mux.tables(&[(0x1b, PICTURES, &[])]);
        for k in 0..20 {
            mux.pes(PICTURES, Some(90_000 + k * FRAME), None, &picture(k == 0, 900));
        }
        let film = &mux.bytes;
        // What looks like tables for pictures whose own come later: three packets in step would prove it.
        let mut other = Mux::new(188);
        other.tables(&[(0x0f, PICTURES, &[])]);
        let begun = [&film[2 * 188..32 * 188], &[0; 99], &other.bytes].concat();
        grows_as_if_anew(&[&begun, &[0; 61][..], film].concat(), begun.len(), 47);
    }

    #[test]
    fn what_looks_like_packets_at_first_may_be_none() {
        let mut first = Mux::new(188);
        first.tables(&[(0x0f, SOUND, &[])]);
        for k in 0..2 {
            first.pes(SOUND, Some(k * FRAME), None, &[0x55; 100]);
        }
        let mut mux = Mux::new(188);
        film(&mut mux, 90_000, FRAME, 20, 900);
        let begin = first.bytes.len() + 61;
        let bytes = [&first.bytes, &[0; 61][..], &mux.bytes].concat();
        let growing = grows_as_if_anew(&bytes, first.bytes.len(), 37);
        assert_eq!(growing.0.unwrap().core.begin, begin as u64);
    }

    #[test]
    fn a_packet_is_waited_for_with_its_checksum() {
        let mut mux = Mux::new(204);
        film(&mut mux, 90_000, FRAME, 40, 600);
        grows_as_if_anew(&mux.bytes, 8192, 61);
    }

    #[test]
    fn packets_that_are_sent_twice_grow_too() {
        for stride in [188, 192, 204] {
            let mut mux = Mux::new(stride);
            film(&mut mux, 90_000, FRAME, 40, 600);
            let twice = twice(&mux.bytes, stride, 2);
            grows_as_if_anew(&twice.bytes, 8192, 61);
        }
    }
}
