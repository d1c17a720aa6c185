//! A few bytes of a file remembered, to tell one that only grew from one that was written anew and
//! came out longer.

use rustix::{
    fs::{Advice, fadvise},
    io::{Errno, ReadWriteFlags, preadv2},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, IoSliceMut},
    num::NonZeroU64,
    ops::Range,
    os::fd::AsFd,
};

/// Bytes looked at in each place.
const SAMPLE: u64 = 4096;

/// A value of this type stands for the first and the last bytes of the first `length` bytes of a
/// file: the head of a film, which is seldom that of another, and its end as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// That of `file` now. Waits for the disk.
    pub(crate) fn take(file: impl AsFd, length: u64) -> io::Result<Fingerprint> {
        Ok(take(file, length, ReadWriteFlags::empty())?)
    }

    /// The same from memory alone; `None` where the bytes are not there, or can't be had like that.
    pub(crate) fn recall(file: impl AsFd, length: u64) -> Option<Fingerprint> {
        take(file, length, ReadWriteFlags::NOWAIT).ok()
    }

    /// Has the bytes brought into memory, without a wait, so that they may be recalled a little later.
    pub(crate) fn ask_for(file: impl AsFd, length: u64) {
        for place in places(length) {
            if let Some(size) = NonZeroU64::new(place.end - place.start) {
                // Advice alone: where it is refused, they stay where they are.
                let _ = fadvise(file.as_fd(), place.start, Some(size), Advice::WillNeed);
            }
        }
    }
}

/// The first and the last bytes of `length`.
fn places(length: u64) -> [Range<u64>; 2] {
    [0..length.min(SAMPLE), length.saturating_sub(SAMPLE)..length]
}

fn take(file: impl AsFd, length: u64, how: ReadWriteFlags) -> Result<Fingerprint, Errno> {
    let mut hasher = DefaultHasher::new();
    for place in places(length) {
        hash(file.as_fd(), place, how, &mut hasher)?;
    }
    Ok(Fingerprint(hasher.finish()))
}

fn hash(
    file: impl AsFd,
    mut place: Range<u64>,
    how: ReadWriteFlags,
    hasher: &mut DefaultHasher,
) -> Result<(), Errno> {
    let mut buffer = [0; SAMPLE as usize];
    while place.start < place.end {
        let most = usize::try_from(place.end - place.start).unwrap_or(usize::MAX).min(buffer.len());
        let mut slices = [IoSliceMut::new(&mut buffer[..most])];
        match preadv2(file.as_fd(), &mut slices, place.start, how)? {
            0 => break,
            read => {
                buffer[..read].hash(hasher);
                place.start += read as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::unix::fs::FileExt};

    fn file(content: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(content, 0).unwrap();
        file
    }

    #[test]
    fn growth_leaves_it_as_it_was_and_a_rewrite_does_not() {
        for length in [0, 1, 100, 4096, 10_000] {
            let old = vec![7; length];
            let (first, last) = ([&b"!"[..], &old].concat(), [&old[..], b"more"].concat());
            let was = Fingerprint::take(file(&old), length as u64).unwrap();
            assert_eq!(Fingerprint::take(file(&last), length as u64).unwrap(), was, "{length}");
            let anew = Fingerprint::take(file(&first), length as u64).unwrap();
            assert_eq!(anew == was, length == 0, "{length}");
        }
    }

    #[test]
    fn the_end_as_it_was_counts_too() {
        let (mut old, mut new) = (vec![7; 10_000], vec![7; 20_000]);
        (old[9_999], new[9_999]) = (1, 2);
        let was = Fingerprint::take(file(&old), 10_000).unwrap();
        assert_ne!(Fingerprint::take(file(&new), 10_000).unwrap(), was);
    }
}
