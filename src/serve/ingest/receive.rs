//! A body's frames on their way to the disk: a batch of them is written while the next comes in.

use super::{
    batch::Batch,
    told::{Progress, Unfit, failed, refusal},
};
use crate::{
    live::{Asked, Refused, Stored, Upload, Writer},
    serve::{App, answer::Answer, body::Body, off_runtime::OffRuntime, service::Service},
};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::{future::pending, io, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until, timeout},
};

/// How long a byte waits for others to be written with. So readers are woken no more often than that.
const GATHER: Duration = Duration::from_millis(20);

const MORE: &str = "400 bad request: there are more bytes than Content-Range says.\n";
const FEWER: &str =
    "400 bad request: there are fewer bytes than Content-Range says; those are kept.\n";

/// A value of this type is a writer that leaves in any case: if the request's own task is gone, on a
/// thread that may wait, for leaving waits for the disk.
pub(super) struct Held {
    app: Arc<App>,
    upload: Arc<Upload>,
    /// There until it leaves.
    writer: Option<Writer>,
    /// All has come that was to come.
    clean: bool,
}

impl Held {
    pub(super) fn new(app: Arc<App>, writer: Writer) -> Held {
        Held { app, upload: writer.upload().clone(), writer: Some(writer), clean: false }
    }

    fn write(&mut self, frames: &mut [Bytes]) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(frames))
    }

    /// Waits for the disk.
    fn leave(mut self) -> io::Result<Stored> {
        let writer = self.writer.take();
        writer.map_or(Ok(Stored::Partly), |writer| leave(&self.app, writer, self.clean))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(writer) = self.writer.take() else { return };
        // Where the runtime is gone, so is the process: the next one finds what was received.
        if let Ok(runtime) = Handle::try_current() {
            let (app, clean) = (self.app.clone(), self.clean);
            let share = self.app.threads.keeping(self.upload.is_remote());
            let left = OffRuntime::start_within(share, move || leave(&app, writer, clean));
            runtime.spawn(async move {
                if let Err(error) = left.await {
                    tracing::error!("an upload that was cut off could not be kept well: {error}");
                }
            });
        }
    }
}

/// Lets the writer leave; of the file in whose place it put another the server lets go. Waits for the disk.
fn leave(app: &App, writer: Writer, clean: bool) -> io::Result<Stored> {
    let upload = writer.upload().clone();
    let stored = app.streams.leave(writer, clean)?;
    if stored == Stored::Replaced {
        app.cache.forget(upload.place());
    }
    Ok(stored)
}

/// Frames under way to the disk, and what became of them.
type Writing = OffRuntime<(Held, Batch, io::Result<()>)>;

fn write(mut held: Held, mut batch: Batch) -> Writing {
    let app = held.app.clone();
    OffRuntime::start_within(app.threads.writing(held.upload.is_remote()), move || {
        let outcome = held.write(batch.frames());
        Ok((held, batch, outcome))
    })
}

/// Why receiving ended.
enum Ended {
    AsItShould,
    /// The client left, or what it sent was no body.
    Broken,
    Idle,
    /// The server ends.
    Stopped,
    /// It sent more than it may, or than it said.
    TooLong(Unfit),
    Failed(io::Error),
}

/// Receives the body, a batch of frames being written while the next comes in.
pub(super) async fn receive(
    service: Service,
    answer: Answer,
    held: Held,
    asked: Asked,
    mut body: Incoming,
) -> Response<Body> {
    let config = &service.app.config.ingest;
    let most = match &asked {
        Asked::Whole(_) => config.most_bytes,
        Asked::Part(span, _) => span.end - span.start,
    };
    let over = || match asked {
        Asked::Whole(_) => Unfit::too_large(config.most_bytes),
        Asked::Part(..) => Unfit::new(StatusCode::BAD_REQUEST, MORE),
    };
    let place = held.upload.place().clone();
    let room = service.app.receiving.of(held.upload.is_remote());
    let empty = || Batch::new(room);
    let (mut batch, mut received) = (empty(), 0_u64);
    let (mut here, mut writing) = (Some(held), None::<Writing>);
    let (mut due, mut ended) = (None, None);
    // Held until the writer has left: the server's end waits for that.
    let mut stopping = service.app.stopping.subscribe();
    let (held, ended) = loop {
        if let Some(held) = here.take() {
            let is_due = due.is_none() || ended.is_some() || !batch.takes_more(false);
            if !batch.is_empty() && is_due {
                writing = Some(write(held, std::mem::replace(&mut batch, empty())));
            } else if let Some(ended) = ended.take() {
                break (held, ended);
            } else {
                here = Some(held);
            }
        }
        let takes_more = batch.takes_more(writing.is_some());
        tokio::select! {
            biased;
            written = written(&mut writing) => {
                writing = None;
                match written {
                    Ok((held, outcome)) => {
                        here = Some(held);
                        if let Err(error) = outcome {
                            batch = empty();
                            ended = Some(Ended::Failed(error));
                        }
                    }
                    // The writer is gone with the thread that had it.
                    Err(error) => return failed(answer, &place, &error),
                }
            }
            () = at(due) => due = None,
            _ = stopping.wait_for(|stopping| *stopping), if ended.is_none() => {
                ended = Some(Ended::Stopped);
            }
            frame = timeout(config.idle, body.frame()), if ended.is_none() && takes_more => match frame {
                Ok(Some(Ok(frame))) => {
                    // Trailers say nothing that is kept.
                    let Ok(mut data) = frame.into_data() else { continue };
                    if received + data.len() as u64 > most {
                        data.truncate(usize::try_from(most - received).unwrap_or(0));
                        ended = Some(Ended::TooLong(over()));
                    }
                    received += data.len() as u64;
                    service.app.metrics.received.inc_by(data.len() as u64);
                    if !data.is_empty() {
                        if batch.is_empty() {
                            due = Some(Instant::now() + GATHER);
                        }
                        batch.push(data);
                    }
                }
                Ok(Some(Err(_))) => ended = Some(Ended::Broken),
                Ok(None) => ended = Some(Ended::AsItShould),
                Err(_) => ended = Some(Ended::Idle),
            }
        }
    };
    let short = matches!(&asked, Asked::Part(span, _) if received < span.end - span.start);
    conclude(service, answer, held, ended, short).await
}

/// Waits for what is being written; for ever, if nothing is.
async fn written(writing: &mut Option<Writing>) -> io::Result<(Held, io::Result<()>)> {
    match writing {
        Some(writing) => {
            let (held, _batch, outcome) = writing.await?;
            Ok((held, outcome))
        }
        None => pending().await,
    }
}

/// Waits until then; for ever, where there is no such moment.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// Lets the writer leave, and answers.
async fn conclude(
    service: Service,
    answer: Answer,
    mut held: Held,
    ended: Ended,
    short: bool,
) -> Response<Body> {
    let clean = matches!(ended, Ended::AsItShould) && !short;
    held.clean = clean;
    let (upload, place) = (held.upload.clone(), held.upload.place().clone());
    let share = service.app.threads.keeping(upload.is_remote());
    let left = OffRuntime::start_within(share, move || {
        let stored = held.leave()?;
        Ok((Progress::of(upload), stored))
    });
    let (progress, stored) = match left.await {
        Ok(left) => left,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return refusal(answer, &place, &Refused::Taken, None);
        }
        Err(error) => return failed(answer, &place, &error),
    };
    log(&progress.upload, &ended, stored, clean);
    if stored == Stored::Partly && clean {
        let (upload, patience) = (Arc::downgrade(&progress.upload), service.app.config.ingest.idle);
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            if let Some(upload) = upload.upgrade() {
                upload.cut_if_idle(patience);
            }
        });
    }
    match ended {
        Ended::AsItShould if short => answer.last_words(StatusCode::BAD_REQUEST, FEWER),
        Ended::AsItShould => match stored {
            Stored::Created => progress.told(answer, StatusCode::CREATED),
            Stored::Replaced => progress.told(answer, StatusCode::NO_CONTENT),
            Stored::Partly => progress.told(answer, StatusCode::ACCEPTED),
        },
        Ended::Broken => answer.last_message(StatusCode::BAD_REQUEST),
        Ended::Idle => answer.last_message(StatusCode::REQUEST_TIMEOUT),
        Ended::Stopped => answer.last_message(StatusCode::SERVICE_UNAVAILABLE),
        Ended::TooLong(unfit) => unfit.told(answer),
        Ended::Failed(error) => failed(answer, &place, &error),
    }
}

fn log(upload: &Upload, ended: &Ended, stored: Stored, clean: bool) {
    let place = upload.place();
    let bytes = upload.channel().state().length;
    let why = match ended {
        Ended::AsItShould if clean => "it ended as it should".into(),
        Ended::AsItShould => "it ended short of the length it gave".into(),
        Ended::Broken => "the writer left or sent what could not be understood".into(),
        Ended::Idle => "the writer fell silent".into(),
        Ended::Stopped => "the server was stopped".into(),
        Ended::TooLong(_) => "the writer sent more than it may".into(),
        Ended::Failed(error) => format!("it could not be written: {error}"),
    };
    match (clean, stored) {
        (true, Stored::Partly) => {
            tracing::debug!("{place}: a part arrived, {bytes} bytes from the start")
        }
        (true, _) => tracing::info!("{place}: {bytes} bytes arrived; {why}"),
        (false, Stored::Partly) => {
            tracing::warn!("{place}: incomplete, {bytes} bytes are kept to go on with; {why}");
        }
        (false, _) => tracing::warn!("{place}: incomplete, finished with {bytes} bytes; {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Cli, Command, Config},
        store::{Disks, root::Place},
        telemetry::AccessLog,
    };
    use clap::Parser;
    use std::fs;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn who_leaves_when_all_has_come_leaves_a_whole_file_and_nothing_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let film = folder.path().join("film");
        fs::write(&film, "the old one").unwrap();
        let root = folder.path().to_str().unwrap();
        let line = ["reelmap", "serve", root, "--ingest", root];
        let Command::Serve(typed) = Cli::try_parse_from(line).unwrap().command else { panic!() };
        let app = App::new(Config::new(typed, None).unwrap(), AccessLog::Off).unwrap();
        let (app, place) = (Arc::new(app), Place::new([&b"film"[..]]).unwrap());
        app.cache.find(&place, Disks::Own).unwrap();
        let writer = app.streams.write(&place, &Asked::Whole(None), Disks::Own, || Ok(true));
        let mut held = Held::new(app.clone(), writer.unwrap());
        held.write(&mut ["the new one".into()]).unwrap();
        held.clean = true;
        drop(held);
        let gone = async {
            while app.cache.census().mappings() > 0 {
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), gone).await.expect("nothing is mapped");
        assert_eq!(fs::read(&film).unwrap(), b"the new one");
    }
}
