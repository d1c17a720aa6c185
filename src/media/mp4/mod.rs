//! MP4, MOV, M4V, M4A, 3GP: the ISO base media file format and the QuickTime one it came from.
//!
//! ```text
//! ftyp  moov [ mvhd  trak [ tkhd edts mdia [ mdhd hdlr minf [ stbl: the tables ] ] ] ...  mvex ]
//! mdat  the samples' bytes: never read here        moof mdat moof mdat ...  fragments, if any
//! ```
//! Tables are read where they lie, a window at a time, and leave one table of frames in presentation order.
//! ISO/IEC 14496-12; the sections are named where they are read.

mod boxes;
mod codec;
mod edits;
mod fragments;
mod growing;
pub mod live;
mod moov;
mod rate;
mod samples;
mod shown;
mod tables;
#[cfg(test)]
mod tests;
mod tmcd;

pub use growing::Growing;

use super::{
    Error, Kind, Layout, Presentation, Source, StartTimecode, Time, Track, frames::Frames,
    index::Container, listed::Listed,
};
use boxes::Place;
use edits::Edits;
use fragments::Fragments;
use moov::{Moov, Trak};
use shown::{Ends, Shown};
use tables::Tables;

/// More boxes at the top than any recording has: a day of fragments of one frame each.
const MOST_BOXES: u64 = 8 << 20;

/// More tracks without a sample than any file has before the first with one.
const MOST_CANDIDATES: usize = 8;

/// Whether a file that begins so is one of this family.
pub fn recognises(head: &[u8]) -> bool {
    let kind = head.get(4..8).unwrap_or_default();
    let kinds: [&[u8]; 12] = [
        b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"sidx", b"moof",
        b"uuid", b"hoov",
    ];
    kinds.contains(&kind)
}

/// Reads what a file's index takes. The mdat is not touched but for a timecode track's one sample.
pub fn open(source: &dyn Source) -> Result<Listed, Error> {
    let mut top = Top::new(source);
    let (mut brand, mut pictures) = (None, false);
    let place = loop {
        let Some(place) = top.next()? else {
            if pictures {
                return Err(Error::NoTrack);
            }
            let what = "there is no moov: the file was not finished, or its beginning is elsewhere";
            return Err(Error::broken(top.at, what));
        };
        match &place.kind {
            b"ftyp" if place.length() >= 4 => brand = Some(major_brand(source, &place)?),
            b"moov" => break place,
            // Still pictures (HEIF, AVIF) have this in a moov's place.
            b"meta" => pictures = true,
            _ => {}
        }
    };
    let mut moov = Moov::read(source, &place)?;
    let mut chosen = None;
    for (main, trak) in candidates(&moov) {
        let (frames, ends, fragments) = frames_of(source, &moov, trak, top.clone())?;
        if !frames.is_empty() {
            chosen = Some((main, trak, frames, ends, fragments));
            break;
        }
    }
    let (main, trak, frames, ends, fragments) = chosen.ok_or_else(|| match place.cut {
        true => Error::broken(place.end, "the file ends in the middle of its moov"),
        false => Error::NoTrack,
    })?;
    let start = start_timecode(source, &moov, trak)?;
    let scale = trak.scale;
    let last = frames.times().last().map_or(0, |last| ends.media.saturating_sub(last));
    let (rate, variable) = rate::of(frames.times(), scale, last);
    let layout = Layout {
        container: Container::Mp4,
        brand,
        fragmented: fragments.is_some(),
        tables: Some(place.start..place.end),
        frames: Some(frames.len() as u64),
        sync_samples: Some(frames.sync_count() as u64),
    };
    for trak in &mut moov.tracks {
        let end = fragments.as_ref().and_then(|fragments| fragments.end_of(trak.id));
        if let (Some(end), Ok(edits)) = (end, &trak.edits) {
            let length = Time::new(edits.clone().open().length(end), trak.scale);
            trak.facts.duration = trak.facts.duration.max(Some(length));
        }
    }
    let mut tracks: Vec<Track> =
        moov.tracks.iter_mut().map(|trak| std::mem::take(&mut trak.facts)).collect();
    let facts = tracks.get_mut(main).ok_or(Error::NoTrack)?;
    if facts.kind == Kind::Video {
        (facts.frame_rate, facts.variable_rate) = (rate, variable);
    }
    facts.duration = Some(Time::new(ends.presentation, scale));
    let timed = tracks.iter().filter(|track| matches!(track.kind, Kind::Video | Kind::Audio));
    let duration = timed.filter_map(|track| track.duration).max();
    let presentation = Presentation { tracks, main, start, layout, duration };
    Ok(Listed { presentation, frames })
}

/// The boxes at the top of the file, one after the other.
#[derive(Clone)]
struct Top<'a> {
    source: &'a dyn Source,
    at: u64,
    left: u64,
}

impl<'a> Top<'a> {
    fn new(source: &'a dyn Source) -> Self {
        Top { source, at: 0, left: MOST_BOXES }
    }

    fn next(&mut self) -> Result<Option<Place>, Error> {
        let Some(place) = Place::read(self.source, self.at, self.source.length())? else {
            return Ok(None);
        };
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Error::broken(place.start, "more boxes than are read lie at the top of the file")
        })?;
        self.at = place.end;
        Ok(Some(place))
    }
}

/// The tracks that times may be looked up in, best first: video, then audio, then chapters' pictures. The first
/// that has anything to show is it.
fn candidates(moov: &Moov) -> Vec<(usize, &Trak)> {
    let promised =
        |trak: &Trak| moov.fragments.iter().flatten().any(|defaults| defaults.track == trak.id);
    let fits = |trak: &Trak| {
        let timed = matches!(trak.facts.kind, Kind::Video | Kind::Audio);
        let blank = trak.edits.as_ref().is_ok_and(Edits::is_blank);
        timed && !blank && (promised(trak) || trak.tables.has_samples())
    };
    let mut list: Vec<_> = moov.tracks.iter().enumerate().filter(|(_, trak)| fits(trak)).collect();
    // One whose edits have no length is taken where no other tells how long it is shown.
    let vague = |trak: &Trak| {
        moov.fragments.is_none() && trak.edits.as_ref().is_ok_and(Edits::have_no_length)
    };
    list.sort_by_cached_key(|(_, trak)| {
        (moov.chapters.contains(&trak.id), vague(trak), trak.facts.kind != Kind::Video)
    });
    list.truncate(MOST_CANDIDATES);
    list
}

/// What the ftyp at `place` calls the file first (§4.3).
fn major_brand(source: &dyn Source, place: &Place) -> Result<String, Error> {
    let mut kind = [0; 4];
    super::read_exact(source, &mut kind, place.body)?;
    Ok(codec::name(kind))
}

/// What the timecode track says that the main one refers to; else the only one there is.
fn start_timecode(
    source: &dyn Source,
    moov: &Moov,
    main: &Trak,
) -> Result<Option<StartTimecode>, Error> {
    let mut all =
        moov.tracks.iter().filter(|trak| trak.entry.is_some_and(|entry| entry.is(b"tmcd")));
    let track = match main.timecode {
        Some(id) => all.find(|trak| trak.id == id),
        None => all.next().filter(|_| all.next().is_none()),
    };
    track.map_or(Ok(None), |track| tmcd::start(source, track))
}

/// What a track shows, when that ends, and what was read of the fragments if there are any.
fn frames_of(
    source: &dyn Source,
    moov: &Moov,
    trak: &Trak,
    mut top: Top,
) -> Result<(Frames, Ends, Option<Fragments>), Error> {
    let promised = moov.fragments.as_deref();
    let mut shown = Shown::new(trak, source.length(), promised.is_some())?;
    let decode = match shown.take_tables(source, &trak.tables)? {
        Some(decode) => decode,
        None => {
            shown = Shown::new(trak, source.length(), promised.is_some())?;
            let tables = Tables { ctts: None, ..trak.tables };
            shown.take_tables(source, &tables)?.unwrap_or(0)
        }
    };
    let mut met = None;
    if let Some(list) = promised {
        let mut fragments = Fragments::new(trak, list, decode);
        let mut fragmented = false;
        while let Some(place) = top.next()? {
            match &place.kind {
                b"sidx" if !place.cut => fragments.take_index(source, &place, trak.scale)?,
                b"moof" => {
                    fragmented = true;
                    match fragments.take(source, &place, &mut shown) {
                        // The file ends within it, and nothing of its media is there.
                        Err(Error::Broken { .. }) if place.cut => break,
                        taken => taken?,
                    }
                }
                _ => {}
            }
        }
        met = fragmented.then_some(fragments);
    }
    let (frames, ends) = shown.finish()?;
    Ok((frames, ends, met))
}
