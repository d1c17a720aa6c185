//! The live edge of fragmented MP4: what a decoder needs first, and the newest fragment that it can begin with.
//! Reads each box at the top once, however often it is asked.

use super::{
    Top,
    boxes::{Place, Window},
    moov::{Defaults, Moov},
};
use crate::media::{Error, Kind, Source};
use std::ops::Range;

/// `sample_is_non_sync_sample` (ISO/IEC 14496-12 §8.8.3.1).
const NOT_SYNC: u32 = 0x1_0000;

/// A value of this type is what is known of a file up to where it was read.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    /// The first box that was not read, since it was not there or not whole.
    next: u64,
    /// The first byte after the moov, and the track that tells where one can begin.
    init: Option<(u64, Defaults)>,
    fragment: Option<u64>,
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
                (b"moof", Some((_, track))) if begins_with_sync(source, &place, track)? => {
                    self.fragment = Some(place.start);
                }
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
}

/// The track whose sync samples count: the first video track, else the first of any kind.
fn leading(moov: &Moov) -> Option<Defaults> {
    let video = moov.tracks.iter().find(|trak| trak.facts.kind == Kind::Video);
    let id = video.or(moov.tracks.first())?.id;
    moov.fragments.iter().flatten().find(|defaults| defaults.track == id).copied()
}

/// Whether the first sample of `track` in the fragment is one (§8.8.7, §8.8.8).
fn begins_with_sync(source: &dyn Source, moof: &Place, track: &Defaults) -> Result<bool, Error> {
    let mut window = Window::new(source, moof.end);
    let mut first = None;
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
    Ok(first.unwrap_or(false))
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
        let mut film = film();
        let last = *boxes(&film, b"moof").last().unwrap();
        let mut window = Window::new(&film, last.end);
        // Of its pictures, this film says it of a run's first sample.
        let mut flags = Vec::new();
        window
            .children(&last, |window, traf| {
                window.children(&traf, |window, child| {
                    if child.is(b"trun") && window.version(&child)?.1 & 4 != 0 {
                        flags.push(child.body + 12);
                    }
                    Ok(())
                })
            })
            .unwrap();
        drop(window);
        flags.into_iter().for_each(|at| film[at as usize + 1] |= 1);
        let mut edge = Edge::default();
        edge.advance(&film).unwrap();
        assert!(edge.spans().unwrap().1 < last.start);
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
