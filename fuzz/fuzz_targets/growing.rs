//! Any bytes as a file that grows: the index that was extended piece by piece says what the one says that is made of
//! the same bytes at once. The last bytes tell where the pieces end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelmap::media::{Error, Found, Growing, Index, SoFar, Time};

/// Places at which the file is looked at, two bytes each.
const PIECES: usize = 6;

fuzz_target!(|bytes: &[u8]| {
    let Some((film, cuts)) = bytes.split_last_chunk::<{ 2 * PIECES }>() else { return };
    let length = |cut: &[u8; 2]| film.len() * usize::from(u16::from_le_bytes(*cut)) >> 16;
    let mut lengths: Vec<usize> = cuts.as_chunks().0.iter().map(length).collect();
    lengths.push(film.len());
    lengths.sort_unstable();
    let mut growing = Growing::default();
    for length in lengths {
        let part = film[..length].to_vec();
        let extended = growing.advance(&part);
        let anew = Growing::default().advance(&part);
        match (&extended, &anew) {
            (Ok(extended), Ok(anew)) => same(extended, anew, &part),
            (Err(Error::NotYet(_)), Err(Error::NotYet(_))) => {}
            // It is asked no more.
            (Err(_), Err(_)) => return,
            _ => panic!("{:?} of {length} bytes, made anew {:?}", told(&extended), told(&anew)),
        }
    }
});

fn told(so_far: &Result<SoFar, Error>) -> Result<Option<Time>, &Error> {
    so_far.as_ref().map(Index::duration)
}

fn same(extended: &SoFar, anew: &SoFar, part: &Vec<u8>) {
    let end = anew.duration();
    assert_eq!(extended.duration(), end);
    let end = end.unwrap_or(Time::new(10, 1));
    for k in -1..=16 {
        let time = Time::new(((i128::from(end.ticks) * k) >> 4) as i64, end.scale.max(1));
        let [extended, anew] = [extended, anew].map(|index| found(index, part, time));
        assert_eq!(extended, anew, "at {time}");
    }
}

/// What is found, or only that there was an error.
fn found(index: &SoFar, part: &Vec<u8>, time: Time) -> Result<Option<Found>, ()> {
    index.find(part, time).map_err(drop)
}
