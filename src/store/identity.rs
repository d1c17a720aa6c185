//! What tells one state of a file from another, and what became of a file since it was opened.
//! It goes by what the file system says, and never reads a file.

use rustix::fs::{FileType, Statx, StatxFlags};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A value of this type names one state of one file: two equal ones mean the same bytes, as far as
/// size (bytes) and modification time (nanoseconds) can tell.
///
/// The change time (`ctime`) is left out on purpose: a rename or an unlink changes it and no byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    /// Seconds since 1970, negative before.
    seconds: i64,
    /// 0..1_000_000_000, counted upwards from `seconds` (POSIX `st_mtim.tv_nsec`).
    nanoseconds: u32,
}

/// A value of this type says what happened to a file between two looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Nothing that can be seen.
    None,
    /// It is longer: bytes were appended, those that were there are trusted to stand.
    Grew,
    /// Its time changed and its size did not, or it is longer and its first bytes are others:
    /// rewritten in place, or an append that has just begun.
    Touched,
    /// It is shorter: bytes that were promised are gone.
    Shrank,
}

/// What must be asked of `statx(2)` for an identity and a file's kind.
pub(crate) const WANTED: StatxFlags =
    StatxFlags::TYPE.union(StatxFlags::INO).union(StatxFlags::SIZE).union(StatxFlags::MTIME);

impl Identity {
    pub(crate) fn of(stat: &Statx) -> Identity {
        Identity {
            device: (u64::from(stat.stx_dev_major) << 32) | u64::from(stat.stx_dev_minor),
            inode: stat.stx_ino,
            size: stat.stx_size,
            seconds: stat.stx_mtime.tv_sec,
            nanoseconds: stat.stx_mtime.tv_nsec,
        }
    }

    /// The same file as one that grows from `now` on, whatever its states: no file is as long as this one says.
    pub fn growing_since(&self, now: SystemTime) -> Identity {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Identity { size: u64::MAX, seconds, nanoseconds: now.subsec_nanos(), ..*self }
    }

    /// When the bytes were last written.
    pub fn modified(&self) -> SystemTime {
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let at = if self.seconds < 0 {
            UNIX_EPOCH.checked_sub(whole)
        } else {
            UNIX_EPOCH.checked_add(whole)
        };
        at.and_then(|at| at.checked_add(Duration::from_nanos(self.nanoseconds.into())))
            .unwrap_or(UNIX_EPOCH)
    }

    /// What became of the file that was `self` and is `now`.
    pub fn drift(&self, now: &Identity) -> Drift {
        if self == now {
            Drift::None
        } else if now.size < self.size {
            Drift::Shrank
        } else if now.size > self.size {
            Drift::Grew
        } else {
            Drift::Touched
        }
    }
}

/// What kind of file `stat` is of.
pub(crate) fn kind(stat: &Statx) -> FileType {
    FileType::from_raw_mode(stat.stx_mode.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(size: u64, seconds: i64, nanoseconds: u32) -> Identity {
        Identity { device: 1, inode: 2, size, seconds, nanoseconds }
    }

    #[test]
    fn drift_tells_growth_from_harm() {
        let before = state(100, 5, 5);
        let cases = [
            (state(100, 5, 5), Drift::None),
            (state(101, 5, 5), Drift::Grew),
            (state(101, 6, 0), Drift::Grew),
            (state(100, 5, 6), Drift::Touched),
            (state(100, 4, 5), Drift::Touched),
            (state(99, 5, 5), Drift::Shrank),
            (state(0, 9, 0), Drift::Shrank),
        ];
        for (now, expected) in cases {
            assert_eq!(before.drift(&now), expected, "{now:?}");
        }
    }

    #[test]
    fn times_before_1970_count_their_nanoseconds_upwards() {
        let before = state(0, -1, 250_000_000).modified();
        assert_eq!(UNIX_EPOCH.duration_since(before).unwrap(), Duration::from_millis(750));
        assert!(state(0, i64::MAX, 999_999_999).modified() >= UNIX_EPOCH);
        assert!(state(0, i64::MIN, 0).modified() <= UNIX_EPOCH);
    }
}
