//! The live edge of fragmented MP4: what a decoder needs first, and the newest fragment that it can begin with.
//! Reads each box at the top once, however often it is asked.
//!
//! Offsets in a fragment count from its moof or from the start of the file (§8.8.7). Those that count from the file
//! are wrong once bytes before them are left out, so no reader can begin there.

use super::{
    Top,
    boxes::{Place, Window},
    fragments::NOT_SYNC,
    moov::{Defaults, Moov},
};
use crate::media::{Error, Kind, Source};
use std::ops::Range;

/// `base-data-offset-present` (ISO/IEC 14496-12 §8.8.7.1).
const FROM_THE_FILE: u32 = 1;

/// A value of this type is what is known of a file up to where it was read.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    /// The first box that was not read, since it was not there or not whole.
    next: u64,
    /// The first byte after the moov, and the track that tells where one can begin.
    init: Option<(u64, Defaults)>,
    fragment: Option<u64>,
    /// A fragment was read whose offsets count from the start of the file.
    absolute: bool,
}

/// A value of this type is what was found of one fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    WithSync,
    Within,
    /// Its offsets count from the start of the file, in some track.
    FromTheFile,
}

impl Edge {
    /// Reads on, as far as the file reaches now.
    pub fn advance(&mut self, source: &dyn Source) -> Result<(), Error> {
        let mut top = Top::new(source);
        top.at = self.next;
        while let Some(place) = top.next()? {
            // Of media that is still coming in only the header need be there; it ends where the next
            // box begins.
            if place.cut {
                break;
            }
            match (&place.kind, &self.init) {
                (b"moov", None) => {
                    let moov = Moov::read(source, &place)?;
                    self.init = leading(&moov).map(|track| (place.end, track));
                }
                (b"moof", Some((_, track))) => match begins(source, &place, track)? {
                    Begins::WithSync => self.fragment = Some(place.start),
                    Begins::Within => {}
                    Begins::FromTheFile => (self.fragment, self.absolute) = (None, true),
                },
                _ => {}
            }
            self.next = place.end;
        }
        Ok(())
    }

    /// The init part, and where the newest fragment begins that starts with a sync sample.
    pub fn spans(&self) -> Option<(Range<u64>, u64)> {
        let (init, _) = self.init?;
        Some((0..init, self.fragment?))
    }

    /// Whether there is no such fragment, and may never be, since offsets count from the start of the file.
    pub fn is_absolute(&self) -> bool {
        self.absolute && self.fragment.is_none()
    }
}

/// The track whose sync samples count: the first video track, else the first of any kind.
fn leading(moov: &Moov) -> Option<Defaults> {
    let video = moov.tracks.iter().find(|trak| trak.facts.kind == Kind::Video);
    let id = video.or(moov.tracks.first())?.id;
    moov.fragments.iter().flatten().find(|defaults| defaults.track == id).copied()
}

/// Whether the first sample of `track` in the fragment is a sync sample, and can be found (§8.8.7, §8.8.8).
fn begins(source: &dyn Source, moof: &Place, track: &Defaults) -> Result<Begins, Error> {
    let mut window = Window::new(source, moof.end);
    let (mut first, mut absolute) = (None, false);
    window.children(moof, |window, traf| {
        if !traf.is(b"traf") {
            return Ok(());
        }
        let (mut ours, mut flags) = (false, track.flags);
        window.children(&traf, |window, child| {
            let (_, has) = match &child.kind {
                b"tfhd" | b"trun" => window.version(&child)?,
                _ => return Ok(()),
            };
            let mut at = child.body + 8;
            if child.is(b"tfhd") {
                absolute |= has & FROM_THE_FILE != 0;
                ours = window.u32(child.body + 4)? == track.track;
                let before = [(1, 8), (2, 4), (8, 4), (0x10, 4)];
                at +=
                    before.iter().filter(|(flag, _)| has & flag != 0).map(|(_, n)| n).sum::<u64>();
                if has & 0x20 != 0 {
                    flags = window.u32(at)?;
                }
            } else if ours && first.is_none() && window.u32(child.body + 4)? > 0 {
                at += if has & 1 != 0 { 4 } else { 0 };
                if has & 4 != 0 {
                    flags = window.u32(at)?;
                } else if has & 0x400 != 0 {
                    let before = u64::from((has & 0x300).count_ones()) * 4;
                    flags = window.u32(at + before)?;
                }
                first = Some(flags & NOT_SYNC == 0);
            }
            Ok(())
        })
    })?;
    Ok(match first {
        _ if absolute => Begins::FromTheFile,
        Some(true) => Begins::WithSync,
        _ => Begins::Within,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/fragmented.mp4")).unwrap()
    }

    /// Where the boxes of that kind begin.
    fn boxes(film: &Vec<u8>, kind: &[u8; 4]) -> Vec<Place> {
        let mut top = Top::new(film);
        let places = std::iter::from_fn(|| top.next().unwrap());
        places.filter(|place| place.is(kind)).collect()
    }

    #[test]
    fn the_edge_is_a_fragment_that_is_there_and_reading_on_finds_the_same() {
        let film = film();
        let (moov, moofs) = (boxes(&film, b"moov"), boxes(&film, b"moof"));
        assert!(moofs.len() > 2);
        let mut grown = Edge::default();
        for end in (0..film.len()).step_by(997).chain([film.len()]) {
            let now = film[..end].to_vec();
            grown.advance(&now).unwrap();
            let mut anew = Edge::default();
            anew.advance(&now).unwrap();
            assert_eq!(grown.spans(), anew.spans(), "at {end}");
            let Some((init, fragment)) = grown.spans() else { continue };
            assert_eq!(init, 0..moov[0].end);
            assert!(moofs.iter().any(|moof| moof.start == fragment && moof.end <= end as u64));
        }
        // Fragments of this film begin with sync samples, all of them (see its README).
        assert_eq!(grown.spans().unwrap().1, moofs.last().unwrap().start);
    }

    #[test]
    fn a_fragment_without_a_sync_sample_is_no_place_to_begin() {
        let film = film();
        let last = *boxes(&film, b"moof").last().unwrap();
        let mut window = Window::new(&film, last.end);
        // Of its pictures, this film says it of a run's first sample.
        let mut flags = Vec::new();
        window
            .children(&last, |window, traf| {
                window.children(&traf, |window, child| {
                    if child.is(b"trun") && window.version(&child)?.1 & 4 != 0 {
                        flags.push(child.body as usize + 12);
                    }
                    Ok(())
                })
            })
            .unwrap();
        drop(window);
        // It is none, or it depends on others.
        for says in [[0, 1, 0, 0], [1, 0, 0, 0]] {
            let mut film = film.clone();
            flags.iter().for_each(|&at| film[at..at + 4].copy_from_slice(&says));
            let mut edge = Edge::default();
            edge.advance(&film).unwrap();
            assert!(edge.spans().unwrap().1 < last.start, "{says:?}");
        }
    }

    #[test]
    fn a_fragment_whose_offsets_count_from_the_file_is_no_place_to_begin() {
        let film = film();
        let moofs = boxes(&film, b"moof");
        // A tfhd of its own before the one that is there; of another track, for any counts.
        let absolute = |moof: &Place| {
            let tfhd = [&[0, 0, 0, 24][..], b"tfhd", &[0, 0, 0, 1, 0, 0, 0, 9], &[0; 8]].concat();
            let traf = [&32_u32.to_be_bytes()[..], b"traf", &tfhd].concat();
            let (start, end) = (moof.start as usize, moof.end as usize);
            let size = u32::try_from(end - start + traf.len()).unwrap().to_be_bytes();
            [&size[..], &film[start + 4..end], &traf, &film[end..]].concat()
        };
        let up_to = |moof: &Place| &film[..moof.start as usize];
        let at = |film: &Vec<u8>| {
            let mut edge = Edge::default();
            edge.advance(film).unwrap();
            (edge.spans().map(|(_, at)| at), edge.is_absolute())
        };
        let (second, last) = (moofs[1], *moofs.last().unwrap());
        // What follows it can't be sent on from a fragment before it.
        assert_eq!(at(&[up_to(&last), &absolute(&last)].concat()), (None, true));
        // Those after it are places, where their offsets are their own.
        let grown = [up_to(&second), &absolute(&second)].concat();
        assert_eq!(at(&grown), (Some(last.start + 32), false));
    }

    #[test]
    fn nothing_that_it_reads_makes_it_panic() {
        let film = film();
        for seed in 0..200_u64 {
            let mut broken = film[..20_000.min(film.len())].to_vec();
            let mut state = seed * 0x9E37_79B9 + 1;
            for _ in 0..20 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 33) as usize % broken.len();
                broken[at] = (state >> 20) as u8;
            }
            let _ = Edge::default().advance(&broken);
        }
    }
}
