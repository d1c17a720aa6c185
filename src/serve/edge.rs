//! Where one can join a stream that is being received. Kept from one reader to the next, and read on
//! from where the last one stopped, within bounds.

use super::{
    growth::Committed,
    off_runtime::{OffRuntime, Share},
    turns::TryAndLong,
};
use crate::{
    live::Upload,
    media::{self, Budget, Costly, Source, mp4, mpegts},
    store::root::Place,
};
use std::{
    collections::HashMap,
    io,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync;

/// Where a reader begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    At(u64),
    /// After what a decoder needs first.
    After(Range<u64>, u64),
    /// Nowhere but at the start of the file, from which the offsets in its fragments count.
    Nowhere,
}

/// A value of this type holds what is known of each stream that was joined.
#[derive(Default)]
pub(super) struct Edges(Mutex<HashMap<Place, Arc<sync::Mutex<Known>>>>);

/// What is known of one, by its tag.
struct Known {
    tag: String,
    container: Container,
    /// How far it was looked at, and where to begin so far.
    told: Option<(u64, Start)>,
    /// Until when it isn't looked at again, for its long turn has just come to nothing.
    rests: Option<Instant>,
}

enum Container {
    Unknown,
    TransportStream {
        stream: Box<mpegts::TransportStream>,
        /// Where a look ended that found no place to begin.
        none_before: u64,
    },
    Mp4(mp4::live::Edge),
}

impl Edges {
    /// Where to begin with `upload` now; at its start where there is no better place yet. One of those who ask looks at
    /// a time, on a thread that may wait and in turns that those who look at other streams and films have, too; the
    /// others wait without a thread. Where the turns don't suffice, what was known before is told, for as long as
    /// the last turn was.
    pub(super) async fn of(
        &self,
        upload: Arc<Upload>,
        turns: TryAndLong,
        far: &Share,
    ) -> io::Result<Start> {
        let mut known = self.known(&upload).lock_owned().await;
        if let Some(start) = known.at_once(&upload) {
            return Ok(start);
        }
        let mut last = Duration::ZERO;
        for (turns, time) in turns {
            let Ok(turn) = turns.acquire_owned().await else { break };
            let of = upload.clone();
            let looked = OffRuntime::start_where(upload.is_remote(), far, move || {
                let start = known.look(&of, time);
                drop(turn);
                Ok((start, known))
            });
            let (start, back) = looked.await?;
            known = back;
            if let Some(start) = start? {
                return Ok(start);
            }
            last = time;
        }
        known.rests = Some(Instant::now() + last);
        Ok(known.so_far())
    }

    fn known(&self, upload: &Upload) -> Arc<sync::Mutex<Known>> {
        let mut edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = edges.entry(upload.place().clone());
        known.or_insert_with(|| Arc::new(sync::Mutex::new(Known::of(upload)))).clone()
    }

    /// Forgets all but the streams at the places that `is_open` names.
    pub(super) fn sweep(&self, is_open: impl Fn(&Place) -> bool) {
        let mut edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        edges.retain(|place, _| is_open(place));
    }
}

impl Known {
    fn of(upload: &Upload) -> Known {
        Known { tag: upload.tag(), container: Container::Unknown, told: None, rests: None }
    }

    fn so_far(&self) -> Start {
        self.told.as_ref().map_or(Start::At(0), |(_, start)| start.clone())
    }

    /// Where to begin, if no look would tell it otherwise, or none is to be had now.
    fn at_once(&mut self, upload: &Upload) -> Option<Start> {
        if self.tag != upload.tag() {
            *self = Known::of(upload);
        }
        let length = upload.channel().state().length;
        let stands = self.told.as_ref().is_some_and(|(looked, _)| *looked == length);
        let rests = self.rests.is_some_and(|until| Instant::now() < until);
        (stands || rests).then(|| self.so_far())
    }

    /// Where to begin, if that is found in `time`. Waits for the disk.
    fn look(&mut self, upload: &Upload, time: Duration) -> io::Result<Option<Start>> {
        let channel = upload.channel();
        let length = channel.state().length;
        let source = Committed { file: channel.file(), length };
        let budget = Budget::new(&source, time);
        let start = match budget.settle(self.container.edge(&budget)) {
            Ok(start) => start,
            Err(media::Error::Io(error)) => return Err(error),
            Err(media::Error::Costly(Costly::Time(_))) => return Ok(None),
            // What can't be understood is sent from its start.
            Err(_) => Start::At(0),
        };
        self.told = Some((length, start.clone()));
        Ok(Some(start))
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
                let stream = Box::new(mpegts::open(source)?);
                *self = Container::TransportStream { stream, none_before: 0 };
            }
        }
        Ok(match self {
            Container::Unknown => Start::At(0),
            Container::Mp4(edge) => {
                edge.advance(source)?;
                if edge.is_absolute() {
                    return Ok(Start::Nowhere);
                }
                edge.spans().map_or(Start::At(0), |(init, at)| Start::After(init, at))
            }
            Container::TransportStream { stream, none_before } => {
                **stream = stream.grown(source)?;
                let edge = stream.latest_sync(source, source.length(), *none_before)?;
                if edge.is_none() {
                    *none_before = source.length();
                }
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
    use crate::{
        live::{Asked, Streams, Writer},
        serve::off_runtime::Threads,
        store::Disks,
    };
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Waker},
    };
    use tokio::{
        runtime::{Builder, Runtime},
        sync::Semaphore,
        task,
        time::timeout,
    };

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Where a stream lies, its writer, and a runtime with one thread that may wait.
    fn stream(name: &str, bytes: &[u8]) -> (tempfile::TempDir, Writer, Runtime) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new([name.as_bytes()]).unwrap();
        let streams = Streams::below(folder.path());
        let mut writer =
            streams.write(&place, &Asked::Whole(None), Disks::Own, || Ok(true)).unwrap();
        writer.write(&mut [bytes.to_vec().into()]).unwrap();
        let runtime = Builder::new_current_thread().enable_time().max_blocking_threads(1).build();
        (folder, writer, runtime.unwrap())
    }

    /// So many of either turn, each so long.
    fn turns(count: usize, time: Duration) -> TryAndLong {
        [(); 2].map(|()| (Arc::new(Semaphore::new(count)), time))
    }

    async fn of(edges: &Edges, upload: &Arc<Upload>, turns: TryAndLong) -> io::Result<Start> {
        edges.of(upload.clone(), turns, &Threads::default().far).await
    }

    fn film() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/fragmented.mp4")).unwrap()
    }

    #[test]
    fn who_waits_for_a_look_at_a_stream_keeps_no_thread() {
        let (_folder, writer, runtime) = stream("cam.ts", b"no film");
        let (edges, upload) = (Arc::new(Edges::default()), writer.upload().clone());
        runtime.block_on(async {
            let looks = edges.known(&upload).lock_owned().await;
            let ask = |_| {
                let (edges, upload) = (edges.clone(), upload.clone());
                task::spawn(async move { of(&edges, &upload, turns(1, PATIENCE)).await })
            };
            let waiting: Vec<_> = (0..3).map(ask).collect();
            task::yield_now().await;
            // The one thread that may wait is there for others.
            let other = task::spawn_blocking(|| ());
            timeout(PATIENCE, other).await.expect("a thread").unwrap();
            drop(looks);
            for asked in waiting {
                assert_eq!(asked.await.unwrap().unwrap(), Start::At(0));
            }
        });
    }

    #[test]
    fn a_stream_is_not_looked_at_again_where_nothing_has_come() {
        let (_folder, mut writer, runtime) = stream("cam.mp4", &film());
        let (edges, upload) = (Edges::default(), writer.upload().clone());
        runtime.block_on(async {
            let start = of(&edges, &upload, turns(1, PATIENCE)).await.unwrap();
            assert!(matches!(start, Start::After(..)));
            // There is no turn to be had.
            let again = timeout(PATIENCE, of(&edges, &upload, turns(0, PATIENCE))).await;
            assert_eq!(again.expect("an answer").unwrap(), start);
            writer.write(&mut ["more".into()]).unwrap();
            let mut look = pin!(of(&edges, &upload, turns(0, PATIENCE)));
            assert!(look.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        });
    }

    #[test]
    fn where_turns_do_not_suffice_what_is_known_is_told_until_the_stream_has_rested() {
        let (_folder, writer, runtime) = stream("cam.mp4", &film());
        let (edges, upload) = (Edges::default(), writer.upload().clone());
        runtime.block_on(async {
            let none = of(&edges, &upload, turns(1, Duration::ZERO)).await.unwrap();
            assert_eq!(none, Start::At(0));
            let known = edges.known(&upload);
            let rests = known.lock().await.rests.replace(Instant::now() + 100 * PATIENCE);
            assert!(rests.is_some());
            let resting = of(&edges, &upload, turns(1, PATIENCE)).await.unwrap();
            assert_eq!(resting, Start::At(0));
            known.lock().await.rests = rests;
            let start = of(&edges, &upload, turns(1, PATIENCE)).await.unwrap();
            assert!(matches!(start, Start::After(..)));
        });
    }
}
