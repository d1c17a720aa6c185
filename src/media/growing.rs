//! The index of a file that is still being written. It is read on from where the last look ended, never made anew, and
//! answers for what more of the file can't change any more: what it says stays true when the file has ended.

use super::{
    Error, Family, Found, HEAD, Index, Presentation, Sample, Source, Time, matroska, mp4, mpegts,
    read_up_to, recognised,
};
use std::{ops::Range, sync::Arc};

const TOO_LITTLE: Error = Error::NotYet("a few thousand bytes tell what it is");
const NO_FRAME: Error = Error::NotYet("no frame of it can be told for good");

/// A value of this type is what is known of a file that grows.
#[derive(Default)]
pub struct Growing {
    known: Known,
}

#[derive(Default)]
enum Known {
    #[default]
    Nothing,
    Mp4(Box<mp4::Growing>),
    Matroska(Box<matroska::Growing>),
    TransportStream(mpegts::Growing),
}

impl Growing {
    /// Reads on to where the file reaches now: [`Error::NotYet`] where that is too little. What is there may not change.
    ///
    /// Where a read fails it may be called again, and tells then what it would have told.
    pub fn advance(&mut self, source: &dyn Source) -> Result<SoFar, Error> {
        if let Known::Nothing = self.known {
            self.known = Known::of(source)?;
        }
        let (index, edge): (Arc<dyn Index>, Time) = match &mut self.known {
            Known::Nothing => return Err(TOO_LITTLE),
            Known::Mp4(film) => {
                film.advance(source)?.map(|(index, edge)| (Arc::new(index) as _, edge))
            }
            Known::Matroska(film) => {
                film.advance(source)?.map(|(index, edge)| (Arc::new(index) as _, edge))
            }
            Known::TransportStream(stream) => {
                stream.advance(source)?.map(|(index, edge)| (index as _, edge))
            }
        }
        .ok_or(NO_FRAME)?;
        SoFar::new(index, edge, source)
    }

    /// Heap bytes held, beside the index that was given last.
    pub fn weight(&self) -> usize {
        match &self.known {
            Known::Nothing | Known::TransportStream(_) => 0,
            Known::Mp4(film) => film.weight(),
            Known::Matroska(film) => film.weight(),
        }
    }
}

impl Known {
    fn of(source: &dyn Source) -> Result<Known, Error> {
        let mut head = [0; HEAD];
        let filled = read_up_to(source, &mut head, 0)?;
        Ok(match recognised(head.get(..filled).unwrap_or_default()) {
            Some(Family::Mp4) => Known::Mp4(Box::default()),
            Some(Family::Matroska) => Known::Matroska(Box::default()),
            // The first two packets may be any bytes.
            Some(Family::MpegTs) if filled == HEAD => Known::TransportStream(Default::default()),
            _ if filled < HEAD => return Err(TOO_LITTLE),
            Some(Family::Audio) => {
                return Err(Error::NotYet(
                    "WAV, MP3, ADTS and Ogg are asked when all is there; sound in MP4, MPEG-TS and WebM is told as it comes",
                ));
            }
            _ => return Err(Error::Unknown),
        })
    }
}

/// A value of this type is the index of what is there of a file that grows.
pub struct SoFar {
    index: Arc<dyn Index>,
    /// From here on more may change what is shown.
    edge: Time,
    presentation: Presentation,
}

impl SoFar {
    fn new(index: Arc<dyn Index>, edge: Time, source: &dyn Source) -> Result<SoFar, Error> {
        let mut presentation = index.presentation().clone();
        let Presentation { tracks, layout, duration, .. } = &mut presentation;
        if layout.frames.is_some() {
            let before = edge.checked_sub(Time::new(1, edge.scale)).filter(|at| !at.is_negative());
            let last = before.map(|before| index.find(source, before)).transpose()?.flatten();
            layout.frames = Some(last.map_or(0, |last| last.number.saturating_add(1)));
        }
        layout.sync_samples = None;
        *duration = Some(edge);
        for track in tracks {
            track.duration = track.duration.map(|duration| duration.min(edge));
        }
        Ok(SoFar { index, edge, presentation })
    }

    /// What is found, if that is so for good.
    fn settled(&self, found: Option<Found>) -> Result<Option<Found>, Error> {
        let Some(found) = found.filter(|found| found.frame.time < self.edge) else {
            return Ok(None);
        };
        if found.sync.time >= self.edge {
            return Err(Error::NotYet("no frame has come that a decoder can start with"));
        }
        Ok(Some(found))
    }
}

impl Index for SoFar {
    fn presentation(&self) -> &Presentation {
        &self.presentation
    }

    fn find(&self, source: &dyn Source, time: Time) -> Result<Option<Found>, Error> {
        if time >= self.edge {
            return Ok(None);
        }
        self.settled(self.index.find(source, time)?)
    }

    fn frame(&self, source: &dyn Source, number: u64) -> Result<Option<Found>, Error> {
        self.settled(self.index.frame(source, number)?)
    }

    fn sync_samples(
        &self,
        source: &dyn Source,
        from: Time,
        most: usize,
    ) -> Result<Vec<Sample>, Error> {
        let mut syncs = self.index.sync_samples(source, from, most)?;
        syncs.retain(|sync| sync.time < self.edge);
        Ok(syncs)
    }

    fn start(&self, source: &dyn Source, found: &Found) -> Result<u64, Error> {
        self.index.start(source, found)
    }

    fn span(
        &self,
        source: &dyn Source,
        from: Time,
        to: Option<Time>,
    ) -> Result<Option<Range<u64>>, Error> {
        if from >= self.edge {
            return Ok(None);
        }
        self.index.span(source, from, Some(to.map_or(self.edge, |to| to.min(self.edge))))
    }

    fn is_in_memory(&self) -> bool {
        self.index.is_in_memory()
    }

    fn remembers(&self) -> bool {
        self.index.remembers()
    }

    fn is_growing(&self) -> bool {
        true
    }

    fn weight(&self) -> usize {
        size_of::<SoFar>() + self.presentation.weight() + self.index.weight()
    }
}
