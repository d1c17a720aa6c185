//! How much may be read of a film, and for how long, to answer one question: a file can be made so that looking
//! through it takes hours. Every reader reads through a [`Source`], so the end of the budget is a read that fails.

use super::{Error, Source};
use std::{
    fmt, io,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A film of any length may be read so often, and so many bytes more, before it is said to lead in circles.
const TIMES: u64 = 4;
const MORE: u64 = 64 << 20;

/// A value of this type is why the work on a film was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Costly {
    /// It went on for so long: the film's doing, or that of a slow disk or a busy machine.
    Time(Duration),
    /// It read more bytes than these: the film's doing alone.
    Bytes(u64),
}

/// A value of this type is a file that may be read for so long, and so much of it, and no more.
pub struct Budget<'a> {
    source: &'a dyn Source,
    began: Instant,
    time: Duration,
    bytes: u64,
    read: AtomicU64,
    over: OnceLock<Costly>,
}

impl<'a> Budget<'a> {
    /// For as long as `time`, from now on.
    pub fn new(source: &'a dyn Source, time: Duration) -> Budget<'a> {
        let bytes = source.length().saturating_mul(TIMES).saturating_add(MORE);
        Budget { time, ..Budget::of_bytes(source, bytes) }
    }

    /// For so many bytes, however long that takes.
    pub fn of_bytes(source: &'a dyn Source, bytes: u64) -> Budget<'a> {
        let time = Duration::MAX;
        let (began, read, over) = (Instant::now(), AtomicU64::new(0), OnceLock::new());
        Budget { source, began, time, bytes, read, over }
    }

    /// Why it ended, if it did. No answer that was made meanwhile is to be believed then: it may be one of a part.
    pub fn over(&self) -> Option<Costly> {
        self.over.get().copied()
    }

    /// What was made with it, or why that was given up.
    pub fn settle<T>(&self, made: Result<T, Error>) -> Result<T, Error> {
        self.over().map_or(made, |costly| Err(Error::Costly(costly)))
    }

    fn spend(&self, bytes: u64) -> io::Result<()> {
        let read = self.read.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if self.over.get().is_none() {
            if read > self.bytes {
                let _ = self.over.set(Costly::Bytes(self.bytes));
            } else if self.began.elapsed() >= self.time {
                let _ = self.over.set(Costly::Time(self.time));
            }
        }
        match self.over.get() {
            Some(costly) => Err(io::Error::other(costly.to_string())),
            None => Ok(()),
        }
    }
}

impl Source for Budget<'_> {
    fn length(&self) -> u64 {
        self.source.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.spend(buffer.len() as u64)?;
        self.source.read_at(buffer, offset)
    }

    fn stored_from(&self, offset: u64) -> u64 {
        self.source.stored_from(offset)
    }

    fn check(&self) -> io::Result<()> {
        self.spend(0)
    }
}

impl fmt::Display for Costly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Costly::Time(time) => {
                let seconds = time.as_secs_f64();
                write!(f, "the film was looked through for {seconds} s without an answer")?;
            }
            Costly::Bytes(bytes) => {
                let mebibytes = bytes >> 20;
                write!(
                    f,
                    "more than {mebibytes} MiB of the film would have to be read for an answer"
                )?;
            }
        }
        f.write_str(
            "; a copy with tables of its own is quickly answered: ffmpeg -i FILM -c copy COPY.mkv",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_with_its_bytes_and_stays_over() {
        let film = vec![0; 1 << 20];
        let budget = Budget::new(&film, Duration::MAX);
        let most = (TIMES << 20) + MORE;
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..most >> 20 {
            assert_eq!(budget.read_at(&mut buffer, 0).unwrap(), 1 << 20);
        }
        assert!(budget.over().is_none() && budget.settle(Ok(())).is_ok());
        assert!(budget.read_at(&mut [0], 0).is_err() && budget.check().is_err());
        assert_eq!(budget.over(), Some(Costly::Bytes(most)));
        // Whatever was made of what could be read.
        assert!(matches!(budget.settle(Ok(())), Err(Error::Costly(Costly::Bytes(_)))));
    }

    #[test]
    fn a_budget_ends_with_its_time_though_nothing_is_read() {
        let film = vec![0; 9];
        let budget = Budget::new(&film, Duration::ZERO);
        assert!(budget.check().is_err());
        assert_eq!(budget.over(), Some(Costly::Time(Duration::ZERO)));
    }

    /// A value of this type is a film that may be read, but whose reader is to end.
    struct Ended(Vec<u8>);

    impl Source for Ended {
        fn length(&self) -> u64 {
            self.0.length()
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            self.0.read_at(buffer, offset)
        }

        fn check(&self) -> io::Result<()> {
            Err(io::Error::other("enough"))
        }
    }

    #[test]
    fn tables_of_many_samples_in_few_bytes_are_left_where_the_reader_is_to_end() {
        let sample = |film: &str| {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(film);
            std::fs::read(path).unwrap()
        };
        let format =
            [&[1, 0, 1, 0][..], &8000_u32.to_le_bytes(), &8000_u32.to_le_bytes(), &[1, 0, 8, 0]];
        let chunks = [b"RIFF", &[0xff; 4][..], b"WAVEfmt ", &16_u32.to_le_bytes()];
        let data = [&b"data"[..], &4096_u32.to_le_bytes(), &[0; 4096]];
        let wav = [chunks.concat(), format.concat(), data.concat()].concat();
        for film in [sample("fragmented.mp4"), wav] {
            assert!(crate::media::open(&film).is_ok());
            let opened = crate::media::open(&Ended(film));
            assert!(matches!(opened, Err(Error::Io(_))));
        }
    }
}
