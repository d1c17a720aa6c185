//! The index of a fragmented film that is still being written: each box at the top is read once, and a frame is in the
//! table when its last byte is there.
//!
//! ```text
//! ftyp moov  moof mdat  moof mdat  moof mda
//!            '- frames in the table     |  '- the length now: frames before it are in the table, the
//!                                       '- next: not whole, and read again       others wait their turn
//! ```

use super::{
    boxes::Place,
    candidates,
    fragments::Fragments,
    major_brand,
    moov::Moov,
    rate,
    samples::{Raw, Samples, Taker},
    shown::Shown,
    start_timecode,
};
use crate::media::{
    Error, Kind, Layout, Presentation, Source, StartTimecode, Time, Track, index::Container,
    listed::Listed, read_exact,
};
use std::collections::VecDeque;

/// Samples of one fragment, at most: hours of a film.
const MOST_WAITING: usize = 1 << 18;

/// A value of this type is what is known of such a film.
#[derive(Default)]
pub struct Growing {
    /// The first box at the top that was not read, since it wasn't there or not whole.
    next: u64,
    brand: Option<String>,
    film: Option<Film>,
}

/// What is known once the moov has come.
struct Film {
    tracks: Vec<Track>,
    /// The one whose frames these are, and its clock.
    main: usize,
    scale: u32,
    start: Option<StartTimecode>,
    /// Where the moov lies.
    tables: Place,
    fragmented: bool,
    fragments: Fragments,
    waiting: Waiting,
    shown: Shown,
}

/// A value of this type is samples that were told of and whose bytes may not be there, in decode order.
#[derive(Default)]
struct Waiting {
    samples: VecDeque<Raw>,
    /// Samples of the fragment that is read, those included that are not shown again.
    told: usize,
    /// How far before its decoding a sample was shown, at most (never positive): some writers shift all times so.
    ahead: i64,
}

impl Taker for Waiting {
    fn take(&mut self, raw: Raw) -> Result<(), Error> {
        self.count(raw.offset)?;
        if !raw.unseen {
            self.ahead = self.ahead.min(raw.time.saturating_sub(raw.decode));
        }
        self.samples.push_back(raw);
        Ok(())
    }

    fn count(&mut self, offset: u64) -> Result<(), Error> {
        self.told += 1;
        if self.told.max(self.samples.len()) > MOST_WAITING {
            return Err(Error::broken(offset, "a fragment tells of more samples than are read"));
        }
        Ok(())
    }
}

impl Growing {
    /// The index of what is there, and up to when more can't change it; none while nothing is shown. What was read of it
    /// when it fails isn't read again by the next call.
    pub fn advance(&mut self, source: &dyn Source) -> Result<Option<(Listed, Time)>, Error> {
        let length = source.length();
        while let Some(place) = Place::read(source, self.next, length)? {
            // The bytes of a frame may still come: of media only the frames' own places count.
            if place.cut || is_endless(source, &place)? {
                break;
            }
            match (&place.kind, &mut self.film) {
                (b"ftyp", _) if place.length() >= 4 => {
                    self.brand = Some(major_brand(source, &place)?);
                }
                (b"moov", None) => self.film = Some(Film::begin(source, place)?),
                (b"sidx", Some(film)) => {
                    film.fragments.take_index(source, &place, film.scale)?;
                }
                (b"moof", Some(film)) => film.fragment(source, &place)?,
                _ => {}
            }
            self.next = place.end;
        }
        let Some(film) = &mut self.film else {
            let what = "the table of its frames, the moov, has not come: in such a film it may be the last to come";
            return Err(Error::NotYet(what));
        };
        film.arrive(length)?;
        film.so_far(&self.brand)
    }

    /// Heap bytes held.
    pub fn weight(&self) -> usize {
        self.film.as_ref().map_or(0, |film| {
            film.shown.weight()
                + film.fragments.weight()
                + film.waiting.samples.capacity() * size_of::<Raw>()
                + film.tracks.capacity() * size_of::<Track>()
        })
    }
}

/// Whether it is a box without a size, which reaches to the file's end (§4.2.2), wherever that will be.
fn is_endless(source: &dyn Source, place: &Place) -> Result<bool, Error> {
    let mut size = [0; 4];
    if place.end == source.length() {
        read_exact(source, &mut size, place.start)?;
        return Ok(size == [0; 4]);
    }
    Ok(false)
}

impl Film {
    fn begin(source: &dyn Source, place: Place) -> Result<Film, Error> {
        let mut moov = Moov::read(source, &place)?;
        let Some(list) = &moov.fragments else {
            return Err(Error::NotYet(
                "its frames stand in one table for the whole film, and are told when all of it is there",
            ));
        };
        let (main, trak) = candidates(&moov).into_iter().next().ok_or(Error::NoTrack)?;
        let mut waiting = Waiting::default();
        let mut decode = 0;
        if let Some(mut samples) = Samples::new(source, &trak.tables)? {
            while let Some(raw) = samples.next()? {
                waiting.take(raw)?;
            }
            decode = samples.decode_end();
        }
        let start = start_timecode(source, &moov, trak)?;
        let (fragments, scale) = (Fragments::new(trak, list, decode), trak.scale);
        let shown = Shown::new(trak, source.length(), true)?;
        let tracks = moov.tracks.iter_mut().map(|trak| std::mem::take(&mut trak.facts)).collect();
        Ok(Film {
            tracks,
            main,
            scale,
            start,
            tables: place,
            fragmented: false,
            fragments,
            waiting,
            shown,
        })
    }

    /// Takes the samples that the moof at `place` tells of: all, or none where that fails.
    fn fragment(&mut self, source: &dyn Source, place: &Place) -> Result<(), Error> {
        self.fragmented = true;
        self.waiting.told = 0;
        let (stand, ahead) = (self.fragments.stand(), self.waiting.ahead);
        let waited = self.waiting.samples.len();
        self.fragments.take(source, place, &mut self.waiting).inspect_err(|_| {
            self.fragments.back_to(stand);
            self.waiting.samples.truncate(waited);
            self.waiting.ahead = ahead;
        })
    }

    /// Puts the samples into the table that are there, up to `length`.
    fn arrive(&mut self, length: u64) -> Result<(), Error> {
        self.shown.grow(length);
        let waiting = &mut self.waiting.samples;
        while let Some(raw) = waiting.front() {
            if raw.offset.saturating_add(raw.size.into()) > length {
                break;
            }
            self.shown.take(*raw)?;
            waiting.pop_front();
        }
        Ok(())
    }

    fn so_far(&self, brand: &Option<String>) -> Result<Option<(Listed, Time)>, Error> {
        let waiting = &self.waiting;
        let first = waiting.samples.iter().find(|raw| !raw.unseen);
        let next = first.map_or(self.fragments.decode(), |raw| raw.decode);
        let end = self.shown.shown_at(next.saturating_add(waiting.ahead));
        let frames = self.shown.so_far(end)?;
        let Some(last) = frames.times().last() else { return Ok(None) };
        let (rate, variable) = rate::of(frames.times(), self.scale, end.saturating_sub(last));
        let mut tracks = self.tracks.clone();
        if let Some(facts) = tracks.get_mut(self.main).filter(|facts| facts.kind == Kind::Video) {
            (facts.frame_rate, facts.variable_rate) = (rate, variable);
        }
        let layout = Layout {
            container: Container::Mp4,
            brand: brand.clone(),
            fragmented: self.fragmented,
            tables: Some(self.tables.start..self.tables.end),
            frames: Some(frames.len() as u64),
            sync_samples: Some(frames.sync_count() as u64),
        };
        let edge = Time::new(end, self.scale);
        let (main, start, duration) = (self.main, self.start.clone(), Some(edge));
        let presentation = Presentation { tracks, main, start, layout, duration };
        Ok(Some((Listed { presentation, frames }, edge)))
    }
}
