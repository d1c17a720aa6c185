//! Files that clients send: who may, and where; the body's frames on their way to the disk; the answer.

use super::{
    App,
    answer::{Answer, Methods, With},
    body::Body,
    off_runtime::OffRuntime,
    service::{Service, is_shortage},
};
use crate::{
    config,
    live::{Asked, Refused, Stored, Streams, Upload, Writer},
    pages,
    plan::{Sent, UPLOAD_COMPLETE, UPLOAD_OFFSET, sent},
    route::{Route, Stray},
    store::{Census, root::Place},
};
use anyhow::{Context, Result};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_RANGE, ETAG, HOST, LOCATION, ORIGIN,
        WWW_AUTHENTICATE,
    },
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rustix::io::Errno;
use serde::Serialize;
use std::{future::pending, io, os::unix::ffi::OsStrExt, sync::Arc, time::Duration};
use subtle::ConstantTimeEq;
use tokio::{
    task::spawn_blocking,
    time::{Instant, interval, sleep_until, timeout},
};

/// Bytes that are written at once, and taken from a client while those before them are being written.
/// Each write wakes a thread; with fewer bytes, that costs more than the write.
const BATCH: usize = 1024 * 1024;

/// How long a byte waits for others to be written with. So readers are woken no more often than that.
const GATHER: Duration = Duration::from_millis(20);

/// The uploads that `config` allows, with those that another process left.
pub(super) fn streams(config: &config::Ingest, census: &Arc<Census>) -> Result<Streams> {
    let mut folders = Vec::new();
    for folder in &config.folders {
        let segments = folder.inside.iter().map(|segment| segment.as_bytes());
        let place = Place::new(segments).with_context(|| {
            format!("cannot write into {}: its name is hidden", folder.path.display())
        })?;
        folders.push((place, folder.path.as_path()));
    }
    let folders = folders.iter().map(|(place, path)| (place, *path));
    let streams = Streams::new(folders, config.most_streams, census.clone());
    let streams = streams.context("cannot open a folder to write into")?;
    streams.recover();
    Ok(streams)
}

/// Makes what arrives outlast a loss of power, every now and then, on threads that may wait.
pub(super) async fn sync(app: Arc<App>, every: Duration) {
    let mut rounds = interval(every);
    loop {
        rounds.tick().await;
        for upload in app.streams.all().into_iter().filter(|upload| upload.is_busy()) {
            spawn_blocking(move || {
                if let Err(error) = upload.sync() {
                    let place = upload.place();
                    tracing::error!("{place}: what arrived can not be kept, {error}");
                }
            });
        }
    }
}

/// Whether `method` asks for something to be written or removed.
pub(super) fn is_writing(method: &Method) -> bool {
    matches!(*method, Method::PUT | Method::POST | Method::DELETE)
}

/// The answer to a request that writes or removes, where writing is switched on.
pub(super) async fn answer(
    service: Service,
    answer: Answer,
    request: Request<()>,
    body: Incoming,
) -> Response<Body> {
    let allowed = may_write(&service, &request);
    let place = match allowed {
        Ok(place) => place,
        Err(StatusCode::UNAUTHORIZED) => {
            let scheme = HeaderValue::from_static("Bearer realm=\"reelmap\"");
            return answer.last_message(StatusCode::UNAUTHORIZED).with(WWW_AUTHENTICATE, scheme);
        }
        Err(StatusCode::METHOD_NOT_ALLOWED) => {
            let refused = answer.method_not_allowed(Methods::Read);
            return refused.with(CONNECTION, HeaderValue::from_static("close"));
        }
        Err(status) => return answer.last_message(status),
    };
    let streams = service.app.streams.clone();
    if request.method() == Method::DELETE {
        let deleted = OffRuntime::start(move || Ok(streams.delete(&place)));
        return match deleted.await.map_err(Refused::Io).and_then(|outcome| outcome) {
            Ok(true) => answer.empty(StatusCode::NO_CONTENT, HeaderMap::new()),
            Ok(false) => answer.message(StatusCode::NOT_FOUND),
            Err(refused) => refusal(answer, &refused),
        };
    }
    let asked = match what(&request, &body, service.app.config.ingest.most_bytes) {
        Ok(What::Write(asked)) => asked,
        Ok(What::Ask) => {
            return match streams.at(&place) {
                Some(upload) => told(answer, StatusCode::OK, &upload),
                None => answer.message(StatusCode::NOT_FOUND),
            };
        }
        Err(status) => return answer.last_message(status),
    };
    let (opening, at, wanted) = (streams.clone(), place.clone(), asked.clone());
    let opened = OffRuntime::start(move || {
        let writer = opening.write(&at, &wanted);
        Ok(writer.map(|writer| Held { streams: opening, writer: Some(writer) }))
    });
    match opened.await.map_err(Refused::Io).and_then(|outcome| outcome) {
        Ok(held) => receive(service, answer, held, asked, body).await,
        Err(refused) => {
            let upload = streams.at(&place);
            let answer = refusal(answer, &refused);
            let answer = match upload {
                Some(upload) => answer.with(UPLOAD_OFFSET, upload.channel().state().length.into()),
                None => answer,
            };
            answer.with(CONNECTION, HeaderValue::from_static("close"))
        }
    }
}

/// What may be done where the request is for.
pub(super) fn methods(service: &Service, request: &Request<()>) -> Methods {
    match Route::of(request.uri().path()) {
        Ok(Route::Media { place, folder: false }) if service.app.streams.may_be_at(&place) => {
            match service.app.config.ingest.token {
                Some(_) => Methods::WriteWithToken,
                None => Methods::Write,
            }
        }
        _ => Methods::Read,
    }
}

/// Where the request may write; else the status that says why it may not.
fn may_write(service: &Service, request: &Request<()>) -> Result<Place, StatusCode> {
    let place = match Route::of(request.uri().path()) {
        Ok(Route::Media { place, folder: false }) => place,
        Ok(_) => return Err(StatusCode::METHOD_NOT_ALLOWED),
        Err(Stray::Malformed) => return Err(StatusCode::BAD_REQUEST),
        Err(Stray::Nothing) => return Err(StatusCode::FORBIDDEN),
    };
    if !service.app.streams.may_be_at(&place) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    match &service.app.config.ingest.token {
        Some(token) if !shows(request.headers(), token.as_bytes()) => Err(StatusCode::UNAUTHORIZED),
        // Without a token, any page that a browser on this machine shows could post here.
        None if is_of_another_site(request.headers()) => Err(StatusCode::FORBIDDEN),
        _ => Ok(place),
    }
}

/// Whether the request shows `token` (RFC 6750 §2.1). How much of a wrong one is right can't be told
/// from the time this takes.
fn shows(headers: &HeaderMap, token: &[u8]) -> bool {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let (scheme, shown) = line.as_bytes().split_at_checked(7).unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer ") && shown.trim_ascii().ct_eq(token).into()
}

/// Whether a browser sends this for a page of another origin (Fetch, "Origin header").
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let host = headers.get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let authority = origin.as_ref().and_then(Uri::authority);
    authority.is_none_or(|authority| authority.as_str().as_bytes() != host)
}

/// What a request that may write means.
enum What {
    Write(Asked),
    /// It asks how much is there (`Content-Range: bytes */*`, and no body).
    Ask,
}

fn what(request: &Request<()>, body: &Incoming, most: u64) -> Result<What, StatusCode> {
    let length = http_body::Body::size_hint(body).exact();
    let mut ranges = request.headers().get_all(CONTENT_RANGE).iter();
    let asked = match (ranges.next(), ranges.next()) {
        (None, _) => Asked::Whole(length),
        (Some(range), None) => match sent(range.as_bytes()) {
            Some(Sent::Part(span, total)) => {
                if length.is_some_and(|length| length != span.end - span.start) {
                    return Err(StatusCode::BAD_REQUEST);
                }
                Asked::Part(span, total)
            }
            Some(Sent::Nothing(_)) if length == Some(0) => return Ok(What::Ask),
            _ => return Err(StatusCode::BAD_REQUEST),
        },
        _ => return Err(StatusCode::BAD_REQUEST),
    };
    let reaches = match &asked {
        Asked::Whole(length) => length.unwrap_or(0),
        Asked::Part(span, total) => total.unwrap_or(0).max(span.end),
    };
    if reaches > most { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(What::Write(asked)) }
}

/// A value of this type is a writer that leaves in any case: if the request's own task is gone, on a
/// thread of its own, for leaving waits for the disk.
struct Held {
    streams: Arc<Streams>,
    writer: Option<Writer>,
}

impl Held {
    fn leave(mut self, clean: bool) -> io::Result<(Arc<Upload>, Stored)> {
        let Some(writer) = self.writer.take() else { return Err(io::ErrorKind::NotFound.into()) };
        let upload = writer.upload().clone();
        Ok((upload, self.streams.leave(writer, clean)?))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(writer) = self.writer.take() else { return };
        let streams = self.streams.clone();
        let left = std::thread::Builder::new().spawn(move || {
            if let Err(error) = streams.leave(writer, false) {
                tracing::error!("an upload that was cut off could not be kept well: {error}");
            }
        });
        if let Err(error) = left {
            tracing::error!(
                "an upload that was cut off is only finished at the next start: {error}"
            );
        }
    }
}

/// Frames under way to the disk, and what became of them.
type Writing = OffRuntime<(Held, Vec<Bytes>, io::Result<()>)>;

fn write(mut held: Held, mut frames: Vec<Bytes>) -> Writing {
    OffRuntime::start(move || {
        let Some(writer) = &mut held.writer else { return Err(io::ErrorKind::NotFound.into()) };
        let outcome = writer.write(&mut frames);
        Ok((held, frames, outcome))
    })
}

/// Why receiving ended.
enum Ended {
    AsItShould,
    /// The client left, or what it sent was no body.
    Broken,
    Idle,
    /// It sent more than it may, or than it said.
    TooLong(StatusCode),
    Failed(io::Error),
}

/// Receives the body, a batch of frames being written while the next comes in.
async fn receive(
    service: Service,
    answer: Answer,
    held: Held,
    asked: Asked,
    mut body: Incoming,
) -> Response<Body> {
    let config = &service.app.config.ingest;
    let room = match &asked {
        Asked::Whole(_) => config.most_bytes,
        Asked::Part(span, _) => span.end - span.start,
    };
    let over = match asked {
        Asked::Whole(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Asked::Part(..) => StatusCode::BAD_REQUEST,
    };
    let (mut frames, mut waiting, mut received) = (Vec::new(), 0, 0_u64);
    let (mut here, mut writing) = (Some(held), None::<Writing>);
    let (mut due, mut ended) = (None, None);
    let (held, ended) = loop {
        if let Some(held) = here.take() {
            let is_due = waiting >= BATCH || due.is_none() || ended.is_some();
            if waiting > 0 && is_due {
                writing = Some(write(held, std::mem::take(&mut frames)));
                waiting = 0;
            } else if let Some(ended) = ended.take() {
                break (held, ended);
            } else {
                here = Some(held);
            }
        }
        tokio::select! {
            biased;
            written = written(&mut writing) => {
                writing = None;
                match written {
                    Ok((held, outcome)) => {
                        here = Some(held);
                        if let Err(error) = outcome {
                            (frames, waiting) = (Vec::new(), 0);
                            ended = Some(Ended::Failed(error));
                        }
                    }
                    // The writer is gone with the thread that had it.
                    Err(error) => return failed(answer, &error),
                }
            }
            () = at(due) => due = None,
            frame = timeout(config.idle, body.frame()), if ended.is_none() && waiting < BATCH => match frame {
                Ok(Some(Ok(frame))) => {
                    // Trailers say nothing that is kept.
                    let Ok(mut data) = frame.into_data() else { continue };
                    if received + data.len() as u64 > room {
                        data.truncate(usize::try_from(room - received).unwrap_or(0));
                        ended = Some(Ended::TooLong(over));
                    }
                    received += data.len() as u64;
                    service.app.metrics.received.inc_by(data.len() as u64);
                    if !data.is_empty() {
                        if waiting == 0 {
                            due = Some(Instant::now() + GATHER);
                        }
                        waiting += data.len();
                        frames.push(data);
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
            let (held, _frames, outcome) = writing.await?;
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
    held: Held,
    ended: Ended,
    short: bool,
) -> Response<Body> {
    let clean = matches!(ended, Ended::AsItShould) && !short;
    let (upload, stored) = match OffRuntime::start(move || held.leave(clean)).await {
        Ok(left) => left,
        Err(error) => return failed(answer, &error),
    };
    log(&upload, &ended, stored, clean);
    if stored == Stored::Partly && clean {
        let (upload, patience) = (upload.clone(), service.app.config.ingest.idle);
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            upload.cut_if_idle(patience);
        });
    }
    match ended {
        Ended::AsItShould if short => answer.last_message(StatusCode::BAD_REQUEST),
        Ended::AsItShould => match stored {
            Stored::Created => told(answer, StatusCode::CREATED, &upload),
            Stored::Replaced => told(answer, StatusCode::NO_CONTENT, &upload),
            Stored::Partly => told(answer, StatusCode::ACCEPTED, &upload),
        },
        Ended::Broken => answer.last_message(StatusCode::BAD_REQUEST),
        Ended::Idle => answer.last_message(StatusCode::REQUEST_TIMEOUT),
        Ended::TooLong(status) => answer.last_message(status),
        Ended::Failed(error) => failed(answer, &error),
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

/// An upload in JSON: how much of it is there.
#[derive(Serialize)]
struct Told {
    /// Bytes that are there from the start, without a gap.
    length: u64,
    /// How many there will be, if that is known.
    total: Option<u64>,
    /// Which are there, as ranges are written: first and last.
    held: Vec<String>,
}

/// The answer that tells how much of `upload` is there.
fn told(answer: Answer, status: StatusCode, upload: &Upload) -> Response<Body> {
    let (held, total) = upload.held();
    let complete = total.is_some_and(|total| held.prefix() >= total);
    let held_spans = held.iter().map(|span| format!("{}-{}", span.start, span.end - 1)).collect();
    let told = Told { length: held.prefix(), total, held: held_spans };
    let json = serde_json::to_vec(&told).unwrap_or_default();
    let answer = match status {
        StatusCode::NO_CONTENT => answer.empty(status, HeaderMap::new()),
        _ => answer.composed(status, pages::JSON, json),
    };
    let segments: Vec<_> = upload.place().segments().collect();
    let location = HeaderValue::try_from(format!("/{}", pages::href(&segments)));
    let etag = HeaderValue::try_from(format!("\"{}\"", upload.tag()));
    let answer = answer
        .with(UPLOAD_OFFSET, held.prefix().into())
        .with(UPLOAD_COMPLETE, HeaderValue::from_static(if complete { "?1" } else { "?0" }))
        .with(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    [(LOCATION, location), (ETAG, etag)].into_iter().fold(answer, |answer, (name, value)| {
        match value {
            Ok(value) => answer.with(name, value),
            Err(_) => answer,
        }
    })
}

/// The answer to an upload that is not taken.
fn refusal(answer: Answer, refused: &Refused) -> Response<Body> {
    let text = match refused {
        Refused::Forbidden => return answer.message(StatusCode::FORBIDDEN),
        Refused::TooMany => return answer.message(StatusCode::SERVICE_UNAVAILABLE),
        Refused::Io(error) => return failed(answer, error),
        Refused::Busy => "409 conflict: somebody is writing to it.\n",
        Refused::Overlap => "409 conflict: some of these bytes are there already.\n",
        Refused::OtherTotal => "409 conflict: the whole was said to have another length.\n",
        Refused::Finished => "409 conflict: the file is whole; delete it to send it in parts.\n",
        Refused::InTheWay => "409 conflict: a folder has that name, or a file that of a folder.\n",
        Refused::Scattered => "409 conflict: too many separate parts; send those between them.\n",
    };
    answer.composed(StatusCode::CONFLICT, pages::TEXT, text)
}

/// The answer to an upload that the system could not take. The cause is the operator's to know.
fn failed(answer: Answer, error: &io::Error) -> Response<Body> {
    let is =
        |errnos: &[Errno]| errnos.iter().any(|e| error.raw_os_error() == Some(e.raw_os_error()));
    let status = if is(&[Errno::NOSPC, Errno::DQUOT, Errno::FBIG]) {
        tracing::error!("there is no room for an upload: {error}");
        StatusCode::INSUFFICIENT_STORAGE
    } else if is(&[Errno::NAMETOOLONG, Errno::INVAL]) {
        StatusCode::BAD_REQUEST
    } else if is(&[Errno::ROFS, Errno::ACCESS, Errno::PERM]) {
        tracing::error!("the system forbids to write: {error}");
        StatusCode::FORBIDDEN
    } else if is_shortage(error) {
        tracing::error!("out of resources: {error}");
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        tracing::error!("an upload failed: {error}");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    answer.last_message(status)
}
