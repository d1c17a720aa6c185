//! Where one can join a stream that is being received. Kept from one reader to the next, and read on
//! from where the last one stopped.

use super::{App, growth::Committed};
use crate::{
    live::Upload,
    media::{self, Source, mp4, mpegts},
    store::root::Place,
};
use std::{
    collections::HashMap,
    io,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// Where a reader begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    At(u64),
    /// After what a decoder needs first.
    After(Range<u64>, u64),
}

/// A value of this type holds what is known of each stream that was joined.
#[derive(Default)]
pub(super) struct Edges(Mutex<HashMap<Place, Arc<Mutex<Known>>>>);

/// What is known of one, by its tag.
struct Known {
    tag: String,
    container: Container,
}

enum Container {
    Unknown,
    TransportStream(Box<mpegts::TransportStream>),
    Mp4(mp4::live::Edge),
}

impl Edges {
    /// Where to begin with `upload` now; at its start where there is no better place yet. Waits for the
    /// disk.
    pub(super) fn of(&self, upload: &Upload) -> io::Result<Start> {
        let mut edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = edges.entry(upload.place().clone()).or_insert_with(|| {
            Arc::new(Mutex::new(Known { tag: upload.tag(), container: Container::Unknown }))
        });
        let known = known.clone();
        drop(edges);
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.tag != upload.tag() {
            *known = Known { tag: upload.tag(), container: Container::Unknown };
        }
        let channel = upload.channel();
        let source = Committed { file: channel.file(), length: channel.state().length };
        known.container.edge(&source).or_else(|error| match error {
            media::Error::Io(error) => Err(error),
            // What can't be understood is sent from its start.
            _ => Ok(Start::At(0)),
        })
    }

    /// Forgets streams that are no longer received.
    pub(super) fn sweep(&self, app: &App) {
        let mut edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        edges.retain(|place, _| app.streams.at(place).is_some());
    }
}

impl Container {
    fn edge(&mut self, source: &dyn Source) -> Result<Start, media::Error> {
        if let Container::Unknown = self {
            let mut head = [0; 4096];
            let filled = media::read_up_to(source, &mut head, 0)?;
            let head = head.get(..filled).unwrap_or_default();
            if mp4::recognises(head) {
                *self = Container::Mp4(mp4::live::Edge::default());
            } else if mpegts::recognises(head) {
                *self = Container::TransportStream(Box::new(mpegts::open(source)?));
            }
        }
        Ok(match self {
            Container::Unknown => Start::At(0),
            Container::Mp4(edge) => {
                edge.advance(source)?;
                edge.spans().map_or(Start::At(0), |(init, at)| Start::After(init, at))
            }
            Container::TransportStream(stream) => {
                **stream = stream.grown(source)?;
                let edge = stream.latest_sync(source, source.length())?;
                // The tables are repeated a few times a second: what lies between them and the picture is
                // little, and players pass it over.
                let start = edge.map(|edge| {
                    let tables = edge.programs.into_iter().chain(edge.streams);
                    tables.fold(edge.sync.span.start, u64::min)
                });
                Start::At(start.unwrap_or(0))
            }
        })
    }
}
