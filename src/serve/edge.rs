//! Where one can join a stream that is being received. Kept from one reader to the next, and read on
//! from where the last one stopped.

use super::{App, growth::Committed, off_runtime::OffRuntime};
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
use tokio::sync;

/// Where a reader begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    At(u64),
    /// After what a decoder needs first.
    After(Range<u64>, u64),
}

/// A value of this type holds what is known of each stream that was joined.
#[derive(Default)]
pub(super) struct Edges(Mutex<HashMap<Place, Arc<sync::Mutex<Known>>>>);

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
    /// Where to begin with `upload` now; at its start where there is no better place yet. One of those who ask looks at
    /// a time, on a thread that may wait; the others wait without one.
    pub(super) async fn of(&self, upload: Arc<Upload>) -> io::Result<Start> {
        let mut known = self.known(&upload).lock_owned().await;
        OffRuntime::start(move || known.edge(&upload)).await
    }

    fn known(&self, upload: &Upload) -> Arc<sync::Mutex<Known>> {
        let mut edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = edges.entry(upload.place().clone());
        known.or_insert_with(|| Arc::new(sync::Mutex::new(Known::of(upload)))).clone()
    }

    /// Forgets streams that are no longer received.
    pub(super) fn sweep(&self, app: &App) {
        let mut edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        edges.retain(|place, _| app.streams.at(place).is_some());
    }
}

impl Known {
    fn of(upload: &Upload) -> Known {
        Known { tag: upload.tag(), container: Container::Unknown }
    }

    fn edge(&mut self, upload: &Upload) -> io::Result<Start> {
        if self.tag != upload.tag() {
            *self = Known::of(upload);
        }
        let channel = upload.channel();
        let source = Committed { file: channel.file(), length: channel.state().length };
        self.container.edge(&source).or_else(|error| match error {
            media::Error::Io(error) => Err(error),
            // What can't be understood is sent from its start.
            _ => Ok(Start::At(0)),
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{Asked, Streams};
    use std::time::Duration;
    use tokio::{runtime, task, time::timeout};

    #[test]
    fn who_waits_for_a_look_at_a_stream_keeps_no_thread() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new([&b"cam.ts"[..]]).unwrap();
        let ground = [(&Place::default(), folder.path())];
        let streams = Streams::new(ground, 1, Arc::default()).unwrap();
        let mut writer = streams.write(&place, &Asked::Whole(None), || Ok(true)).unwrap();
        writer.write(&mut ["no film".into()]).unwrap();
        let (edges, upload) = (Arc::new(Edges::default()), writer.upload().clone());
        let mut builder = runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let looks = edges.known(&upload).lock_owned().await;
            let ask = |_| {
                let (edges, upload) = (edges.clone(), upload.clone());
                task::spawn(async move { edges.of(upload).await })
            };
            let waiting: Vec<_> = (0..3).map(ask).collect();
            task::yield_now().await;
            // The one thread that may wait is there for others.
            let other = task::spawn_blocking(|| ());
            timeout(Duration::from_secs(30), other).await.expect("a thread").unwrap();
            drop(looks);
            for asked in waiting {
                assert_eq!(asked.await.unwrap().unwrap(), Start::At(0));
            }
        });
    }
}
