//! Files that clients send: who may, and where; then the body is received, and its sender told.

mod batch;
mod placing;
mod receive;
mod told;

pub(super) use batch::Rooms;
pub(super) use placing::Placing;

use self::{
    placing::place_by_place,
    receive::{Held, receive},
    told::{Progress, Unfit, refusal},
};
use super::{
    App,
    answer::{Answer, Methods, With},
    body::Body,
    off_runtime::OffRuntime,
    service::Service,
};
use crate::{
    config,
    live::{Asked, Refused, Streams, Upload},
    pages,
    plan::{Representation, Sent, UPLOAD_OFFSET, content_type, guards_writing, lets_write, sent},
    route::{Route, Stray},
    store::{Census, Disks, Found, Root, root::Place},
};
use anyhow::{Context, Result};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_RANGE, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE,
    },
};
use hyper::body::Incoming;
use std::{
    io,
    os::unix::ffi::OsStrExt,
    sync::{Arc, Weak, mpsc},
    thread,
    time::{Duration, SystemTime},
};
use subtle::ConstantTimeEq;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

/// The uploads that `config` allows, with those that another process left. Waits for disks that may not answer for as
/// long as a writer may be silent.
pub(super) fn streams(
    config: &config::Ingest,
    root: &Root,
    census: &Arc<Census>,
) -> Result<Arc<Streams>> {
    let mut folders = Vec::new();
    for folder in &config.folders {
        let segments = folder.inside.iter().map(|segment| segment.as_bytes());
        let place = Place::new(segments).with_context(|| {
            format!("cannot write into {}: its name is hidden", folder.path.display())
        })?;
        folders.push(place);
    }
    let streams = root
        .below(&Place::default(), Disks::All)
        .and_then(|root| Streams::new(root, &folders, config.most_streams, census.clone()));
    let streams = Arc::new(streams.context("cannot open a folder to write into")?);
    streams.recover(Disks::Own);
    let (tell, told) = mpsc::channel();
    let far = streams.clone();
    let looks = move || {
        far.recover(Disks::All);
        // Nobody hears it who has waited for too long.
        let _ = tell.send(());
    };
    thread::Builder::new().spawn(looks).context("cannot look for uploads that were left")?;
    if told.recv_timeout(config.idle).is_err() {
        tracing::warn!(
            "a disk doesn't answer: uploads that were left there are missing until it does"
        );
    }
    Ok(streams)
}

/// Makes what arrives outlast a loss of power, every now and then, on threads that may wait.
pub(super) async fn sync(app: Arc<App>, every: Duration) {
    let mut rounds = interval(every);
    let mut under_way: Vec<(Weak<Upload>, JoinHandle<()>)> = Vec::new();
    loop {
        rounds.tick().await;
        // A disk that doesn't answer is asked once.
        under_way.retain(|(_, sync)| !sync.is_finished());
        for upload in app.streams.all() {
            let is_upload = |(other, _): &(Weak<Upload>, _)| other.as_ptr() == Arc::as_ptr(&upload);
            if under_way.iter().any(is_upload) {
                continue;
            }
            let (asked, place) = (Arc::downgrade(&upload), upload.place().clone());
            let share = app.threads.keeping(upload.is_remote());
            let synced = OffRuntime::start_within(share, move || upload.sync());
            let told = tokio::spawn(async move {
                if let Err(error) = synced.await {
                    tracing::error!("{place}: what arrived can not be kept, {error}");
                }
            });
            under_way.push((asked, told));
        }
    }
}

/// Removes what waits to be gone on with for longer than it is kept, on a thread that may wait.
pub(super) async fn expire(app: Arc<App>, every: Duration) {
    let Some(keep) = app.config.ingest.keep else { return };
    let mut rounds = interval(every);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut far: Option<JoinHandle<_>> = None;
    loop {
        rounds.tick().await;
        let expire = |disks| {
            let streams = app.streams.clone();
            move || {
                streams.expire(keep, disks);
                Ok(())
            }
        };
        // One round ends before the next begins; one that failed has said so.
        let _ = OffRuntime::start(expire(Disks::Own)).await;
        // That of disks that don't answer may never end.
        if far.as_ref().is_none_or(JoinHandle::is_finished) {
            far =
                Some(tokio::spawn(OffRuntime::start_within(&app.threads.far, expire(Disks::All))));
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
        Err(Unfit { status: StatusCode::UNAUTHORIZED, .. }) => {
            let scheme = HeaderValue::from_static("Bearer realm=\"reelmap\"");
            return answer.last_message(StatusCode::UNAUTHORIZED).with(WWW_AUTHENTICATE, scheme);
        }
        Err(Unfit { status: StatusCode::METHOD_NOT_ALLOWED, .. }) => {
            let refused = not_allowed(&service, answer, &request);
            return refused.with(CONNECTION, HeaderValue::from_static("close"));
        }
        Err(unfit) => return unfit.told(answer),
    };
    let (app, headers, at) = (service.app.clone(), request.headers().clone(), place.clone());
    let preconditions_hold = move |disks| preconditions_hold(&app, &headers, &at, disks);
    let streams = service.app.streams.clone();
    if request.method() == Method::DELETE {
        let (app, at) = (service.app.clone(), place.clone());
        let deleted = place_by_place(&service, move |disks| {
            let deleted = streams.delete(&at, disks, || preconditions_hold(disks))?;
            app.cache.forget(&at);
            Ok(deleted)
        });
        return match deleted.await {
            Ok(true) => answer.empty(StatusCode::NO_CONTENT, HeaderMap::new()),
            Ok(false) => answer.message(StatusCode::NOT_FOUND),
            Err(refused) => refusal(answer, &place, &refused, None),
        };
    }
    let asked = match what(&request, &body, service.app.config.ingest.most_bytes) {
        Ok(What::Write(asked)) => asked,
        Ok(What::Ask) => {
            let at = place.clone();
            let progress = move |disks| match streams.ask(&at, disks) {
                Ok(Some(_)) if !preconditions_hold(disks)? => Err(Refused::NotThat),
                asked => asked.map(|upload| upload.map(Progress::of)),
            };
            return match place_by_place(&service, progress).await {
                Ok(Some(progress)) => progress.told(answer, StatusCode::OK),
                Ok(None) => answer.message(StatusCode::NOT_FOUND),
                Err(refused) => refusal(answer, &place, &refused, None),
            };
        }
        Err(unfit) => return unfit.told(answer),
    };
    let (app, at, wanted) = (service.app.clone(), place.clone(), asked.clone());
    let opened = place_by_place(&service, move |disks| {
        let writer = app.streams.write(&at, &wanted, disks, || preconditions_hold(disks));
        writer.map(|writer| Held::new(app.clone(), writer))
    });
    match opened.await {
        Ok(held) => receive(service, answer, held, asked, body).await,
        Err(refused) => {
            let there = streams.at(&place).map(|upload| upload.channel().state().length);
            let answer = refusal(answer, &place, &refused, there);
            let answer = match there {
                Some(offset) => answer.with(UPLOAD_OFFSET, offset.into()),
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

/// 405, with the methods that are understood there; who would write is told how that is switched on.
pub(super) fn not_allowed(
    service: &Service,
    answer: Answer,
    request: &Request<()>,
) -> Response<Body> {
    let route = is_writing(request.method()).then(|| Route::of(request.uri().path()));
    let words = match route {
        Some(Ok(Route::Media { folder: true, .. })) if service.app.streams.are_allowed() => {
            "405 method not allowed: a folder is not written, name a file in it.\n"
        }
        Some(Ok(Route::Media { .. })) if service.app.streams.are_allowed() => {
            "405 method not allowed: writing is on in other folders only, those of --ingest.\n"
        }
        Some(Ok(Route::Media { .. })) => {
            "405 method not allowed: writing is off, --ingest DIR switches it on in a folder.\n"
        }
        _ => pages::message(StatusCode::METHOD_NOT_ALLOWED),
    };
    answer.method_not_allowed(methods(service, request), words)
}

/// Where the request may write; else why it may not.
fn may_write(service: &Service, request: &Request<()>) -> Result<Place, Unfit> {
    let forbidden = |words| Err(Unfit::new(StatusCode::FORBIDDEN, words));
    let place = match Route::of(request.uri().path()) {
        Ok(Route::Media { place, folder: false }) => place,
        Ok(_) => return Err(StatusCode::METHOD_NOT_ALLOWED.into()),
        Err(Stray::Malformed) => return Err(StatusCode::BAD_REQUEST.into()),
        Err(Stray::Nothing) => {
            return forbidden("403 forbidden: a name begins with a dot or holds a slash.\n");
        }
    };
    if !service.app.streams.may_be_at(&place) {
        return Err(StatusCode::METHOD_NOT_ALLOWED.into());
    }
    match &service.app.config.ingest.token {
        Some(token) if !shows(request.headers(), token.as_bytes()) => {
            Err(StatusCode::UNAUTHORIZED.into())
        }
        // Without a token, any page that a browser on this machine shows could post here.
        None if is_of_another_site(request.headers()) => forbidden(
            "403 forbidden: pages of another origin write only with a token (--ingest-token-file).\n",
        ),
        _ => Ok(place),
    }
}

/// Whether what GET would find at `place` is what the request says that it writes over. Waits for these disks.
fn preconditions_hold(
    app: &App,
    headers: &HeaderMap,
    place: &Place,
    disks: Disks,
) -> io::Result<bool> {
    let now = SystemTime::now();
    if !guards_writing(headers) {
        return Ok(true);
    }
    if let Some(upload) = app.streams.at(place).filter(|upload| !upload.replaces()) {
        let stream = Representation::new(0, now, content_type(place.name())).tagged(&upload.tag());
        return Ok(lets_write(headers, Some(&stream), now));
    }
    let there = match app.cache.find(place, disks) {
        Ok(Found::File(film)) => Some(film),
        Ok(Found::Folder(_)) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(lets_write(headers, there.as_ref().map(|film| &film.detail.representation), now))
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

fn what(request: &Request<()>, body: &Incoming, most: u64) -> Result<What, Unfit> {
    let not_so = |words| Err(Unfit::new(StatusCode::BAD_REQUEST, words));
    if is_form(request.headers()) {
        return Err(Unfit::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "415 unsupported media type: multipart/form-data wraps the file in a form: send the file itself, as \
             curl -T does.\n",
        ));
    }
    let length = http_body::Body::size_hint(body).exact();
    let mut ranges = request.headers().get_all(CONTENT_RANGE).iter();
    let asked = match (ranges.next(), ranges.next()) {
        (None, _) => Asked::Whole(length),
        (Some(range), None) => match sent(range.as_bytes()) {
            Some(Sent::Part(span, total)) => {
                if length.is_some_and(|length| length != span.end - span.start) {
                    return not_so(
                        "400 bad request: Content-Range and Content-Length differ in how many bytes come.\n",
                    );
                }
                Asked::Part(span, total)
            }
            Some(Sent::Nothing(_)) if length == Some(0) => return Ok(What::Ask),
            Some(Sent::Nothing(_)) => {
                return not_so(
                    "400 bad request: Content-Range: bytes */* only asks, without a body.\n",
                );
            }
            None => {
                return not_so(
                    "400 bad request: Content-Range is to be bytes FIRST-LAST/LENGTH, such as bytes 0-99/1000, \
                     with * for a LENGTH that is not known.\n",
                );
            }
        },
        _ => return not_so("400 bad request: Content-Range is there twice.\n"),
    };
    let reaches = match &asked {
        Asked::Whole(length) => length.unwrap_or(0),
        Asked::Part(span, total) => total.unwrap_or(0).max(span.end),
    };
    if reaches > most { Err(Unfit::too_large(most)) } else { Ok(What::Write(asked)) }
}

/// Whether the body is a form with a file in it (RFC 7578), as browsers and `curl -F` send it.
fn is_form(headers: &HeaderMap) -> bool {
    let form = b"multipart/form-data";
    let mut types = headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes);
    types.any(|of| of.get(..form.len()).is_some_and(|essence| essence.eq_ignore_ascii_case(form)))
}
