//! One request, top to bottom: checked, routed, found, planned, answered.

use super::{
    App,
    answer::{Answer, With},
    body::Body,
    exchange::{Connection, Exchange},
    ingest,
    ledger::Ledger,
    live,
    off_runtime::OffRuntime,
};
use crate::{
    pages::{self, Listing, Node},
    plan::{self, Representation, content_type, plan},
    route::{Route, Stray},
    store::{Asset, Found, cache::Opened, root::Place},
    telemetry::metrics,
};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, LOCATION, VARY},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    future::Future,
    io,
    os::fd::OwnedFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};
use tokio::sync::OwnedSemaphorePermit;

/// The longest body of a request that means nothing which is read and forgotten, so that the next
/// request on the connection is understood. A longer one ends the connection.
const IDLE_BODY: usize = 64 * 1024;

/// The most names that a folder's listing shows.
const MOST_NAMES: usize = 10_000;

/// A value of this type answers the requests of one connection.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) app: Arc<App>,
    pub(super) connection: Arc<Connection>,
    pub(super) ledger: Arc<Ledger>,
}

/// A value of this type is an answer: there at once, as nearly all are, or after a wait for a disk
/// or for the client. The wait's state is on the heap, so that an idle connection holds none of it.
pub(super) enum Answering {
    Now(Option<Response<Body>>),
    Later(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl From<Response<Body>> for Answering {
    fn from(response: Response<Body>) -> Answering {
        Answering::Now(Some(response))
    }
}

impl Answering {
    pub(super) fn later(
        answer: impl Future<Output = Response<Body>> + Send + 'static,
    ) -> Answering {
        Answering::Later(Box::pin(answer))
    }
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            // A future is not polled again once it was ready.
            Answering::Now(response) => {
                response.take().map_or(Poll::Pending, |r| Poll::Ready(Ok(r)))
            }
            Answering::Later(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}

impl Service {
    pub(super) fn call(&self, request: Request<Incoming>) -> Answering {
        let number = self.connection.next_request();
        let exchange = Exchange::begin(&self.app, &self.connection, &request);
        let head_only = request.method() == Method::HEAD;
        let answer = Answer { exchange, head_only };
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, ());
        if let Err(status) = self.check(number, &request) {
            return answer.last_message(status).into();
        }
        if ingest::is_writing(request.method()) && self.app.streams.are_allowed() {
            return Answering::later(ingest::answer(self.clone(), answer, request, body));
        }
        if http_body::Body::is_end_stream(&body) {
            return self.answer(answer, request);
        }
        let service = self.clone();
        Answering::later(async move {
            if let Err(status) = forgotten(body, service.app.config.limits.header_timeout).await {
                return answer.last_message(status);
            }
            match service.answer(answer, request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        })
    }

    /// The answer to a request whose body, if it had one, has been read.
    fn answer(&self, answer: Answer, request: Request<()>) -> Answering {
        let method = match *request.method() {
            Method::GET => plan::Method::Get,
            Method::HEAD => plan::Method::Head,
            Method::OPTIONS => return answer.options().into(),
            _ => return answer.method_not_allowed().into(),
        };
        match Route::of(request.uri().path()) {
            Ok(Route::Health) => answer.composed(StatusCode::OK, pages::TEXT, "ok\n").into(),
            Ok(Route::Metrics) => {
                let census = self.app.cache.census();
                let streams = live::shown(&self.app);
                let page = self.app.metrics.page(census.mappings(), census.bytes(), &streams);
                answer.composed(StatusCode::OK, metrics::CONTENT_TYPE, page).into()
            }
            Ok(Route::Media { place, folder: false })
                if let Some(upload) = live::watched(&self.app, &place, &request) =>
            {
                live::answer(self, answer, method, request, upload)
            }
            Ok(Route::Media { place, folder }) => match self.app.cache.get(&place) {
                Some(film) if !folder && live::is_following(method, &request, &film) => {
                    Answering::later(live::follow(self.clone(), answer, request, film))
                }
                Some(opened) => self.film(answer, method, &request, &opened, folder).into(),
                None => {
                    let found = self.clone().find(answer, method, request, place, folder);
                    Answering::later(found)
                }
            },
            Err(Stray::Malformed) => answer.message(StatusCode::BAD_REQUEST).into(),
            Err(Stray::Nothing) => answer.message(StatusCode::NOT_FOUND).into(),
        }
    }

    /// What makes a request one that is not answered (RFC 9112 §3.2, §6.3; RFC 9110 §4.1).
    fn check(&self, number: u64, request: &Request<()>) -> Result<(), StatusCode> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let host_is_missing = hosts.next().is_none() && request.version() == Version::HTTP_11;
        let host_is_doubled = hosts.next().is_some();
        if host_is_missing || host_is_doubled || self.connection.has_two_lengths(number) {
            return Err(StatusCode::BAD_REQUEST);
        }
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if target > self.app.config.limits.target {
            return Err(StatusCode::URI_TOO_LONG);
        }
        Ok(())
    }

    fn film(
        &self,
        answer: Answer,
        method: plan::Method,
        request: &Request<()>,
        film: &Opened<Representation>,
        folder: bool,
    ) -> Response<Body> {
        if folder {
            return answer.message(StatusCode::NOT_FOUND);
        }
        let plan = plan(method, request.headers(), &film.detail, SystemTime::now());
        answer.film(plan, film.asset.clone(), &self.ledger)
    }

    async fn find(
        self,
        answer: Answer,
        method: plan::Method,
        request: Request<()>,
        place: Place,
        folder: bool,
    ) -> Response<Body> {
        let (app, at) = (self.app.clone(), place.clone());
        match OffRuntime::start(move || app.cache.find(&at)).await {
            Ok(Found::File(film)) if !folder && live::is_following(method, &request, &film) => {
                live::follow(self, answer, request, film).await
            }
            Ok(Found::File(opened)) => self.film(answer, method, &request, &opened, folder),
            Ok(Found::Folder(_)) if !self.app.config.listing => {
                answer.message(StatusCode::NOT_FOUND)
            }
            Ok(Found::Folder(_)) if !folder => to_folder(answer, &place, request.uri().query()),
            Ok(Found::Folder(found)) => self.listing(answer, &request, place, found).await,
            Err(error) => failed(answer, &error),
        }
    }

    async fn listing(
        &self,
        answer: Answer,
        request: &Request<()>,
        place: Place,
        folder: OwnedFd,
    ) -> Response<Body> {
        let json = prefers_json(request);
        // Composing a long page takes as much time as a slow disk does.
        let app = self.app.clone();
        let Ok(permit) = app.listings.clone().acquire_owned().await else {
            return answer.message(StatusCode::SERVICE_UNAVAILABLE);
        };
        let turn = self.app.composing.acquire().await;
        let composed = OffRuntime::start(move || {
            let listing = list(&app, &place, folder)?;
            let page = if json { listing.json() } else { listing.html() };
            Ok(Bytes::from_owner(Page { page, _permit: permit }))
        });
        let vary = HeaderValue::from_static("Accept");
        let fresh = HeaderValue::from_static("no-cache");
        let composed = composed.await;
        drop(turn);
        match composed {
            Ok(bytes) if json => answer.composed(StatusCode::OK, pages::JSON, bytes),
            Ok(bytes) => {
                let policy = HeaderValue::from_static(pages::content_security_policy());
                let page = answer.composed(StatusCode::OK, pages::HTML, bytes);
                page.with(CONTENT_SECURITY_POLICY, policy)
            }
            Err(error) => failed(answer, &error),
        }
        .with(VARY, vary)
        .with(CACHE_CONTROL, fresh)
    }
}

/// A value of this type is a listing that counts as one until it has been sent.
struct Page {
    page: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.page
    }
}

/// What the cache keeps beside an asset: all that its answers have in common.
pub(super) fn describe(place: &Place, asset: &Asset) -> Representation {
    let identity = asset.identity();
    let content_type = content_type(place.name());
    let representation = Representation::new(identity.size, identity.modified(), content_type);
    match asset.tag() {
        Some(tag) => representation.tagged(tag),
        None => representation,
    }
}

/// Reads and forgets a body that the request's method gives no meaning; fails if it is too long,
/// too slow or broken.
async fn forgotten(body: Incoming, patience: std::time::Duration) -> Result<(), StatusCode> {
    // Said before hyper asks a client that waits for `100 Continue` to send it.
    if http_body::Body::size_hint(&body).lower() > IDLE_BODY as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let read = async {
        let mut body = Limited::new(body, IDLE_BODY);
        while let Some(frame) = body.frame().await {
            frame.map_err(|error| match error.is::<LengthLimitError>() {
                true => StatusCode::PAYLOAD_TOO_LARGE,
                false => StatusCode::BAD_REQUEST,
            })?;
        }
        Ok(())
    };
    tokio::time::timeout(patience, read).await.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
}

/// Whether the client would rather have JSON than HTML: it names it, and not `text/html` before it.
fn prefers_json(request: &Request<()>) -> bool {
    let accept = request.headers().get_all(ACCEPT);
    let mut types = accept
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter(|item| !item.replace(' ', "").ends_with(";q=0"))
        .filter_map(|item| item.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase());
    types.find(|essence| essence == "text/html" || essence == "application/json")
        == Some("application/json".into())
}

/// A folder's relative links need the slash at the end of its URL.
fn to_folder(answer: Answer, place: &Place, query: Option<&str>) -> Response<Body> {
    let segments: Vec<_> = place.segments().collect();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::try_from(format!("/{}/{query}", pages::href(&segments))) {
        Ok(location) => answer.message(StatusCode::MOVED_PERMANENTLY).with(LOCATION, location),
        Err(_) => answer.message(StatusCode::BAD_REQUEST),
    }
}

fn list(app: &App, place: &Place, folder: OwnedFd) -> io::Result<Listing> {
    let (names, truncated) = app.cache.root().names(place, folder, MOST_NAMES)?;
    let file = |name: &OsStr, length| {
        let value = content_type(name);
        Node::File { length, content_type: value.to_str().unwrap_or_default().to_owned().into() }
    };
    let mut entries: Vec<_> = names
        .into_iter()
        .map(|name| {
            let node = name.length.map_or(Node::Folder, |length| file(&name.name, length));
            pages::Entry { name: name.name, node, modified: name.modified, stream: None }
        })
        .collect();
    let now = SystemTime::now();
    for upload in app.streams.all().iter().filter(|upload| upload.place().parent() == *place) {
        let age = now.duration_since(upload.begun()).unwrap_or_default();
        let stream = Some(pages::Stream { age, live: upload.is_busy() });
        let name = upload.place().name();
        match entries.iter_mut().find(|entry| entry.name == name) {
            Some(entry) => entry.stream = stream,
            None => {
                let node = file(name, upload.channel().state().length);
                let name = name.to_owned();
                entries.push(pages::Entry { name, node, modified: now, stream });
            }
        }
    }
    let path = place.segments().map(OsString::from).collect();
    let mut listing = Listing { path, entries, truncated };
    listing.sort();
    Ok(listing)
}

/// The answer to a file that can't be opened. The cause is the operator's to know.
fn failed(answer: Answer, error: &io::Error) -> Response<Body> {
    match error.kind() {
        io::ErrorKind::NotFound => answer.message(StatusCode::NOT_FOUND),
        io::ErrorKind::PermissionDenied => answer.message(StatusCode::FORBIDDEN),
        _ if is_shortage(error) => {
            tracing::error!("out of resources: {error}");
            answer.message(StatusCode::SERVICE_UNAVAILABLE)
        }
        _ => {
            tracing::error!("a file could not be opened: {error}");
            answer.message(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Whether there are too many files open, or too little memory: it passes.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        let cases = [
            (None, false),
            (Some("*/*"), false),
            (Some("application/json"), true),
            (Some("Application/JSON; q=0.9"), true),
            (Some("text/html,application/xhtml+xml,application/json"), false),
            (Some("application/json, text/html"), true),
            (Some("text/plain"), false),
            (Some("application/json; q=0"), false),
        ];
        for (accept, expected) in cases {
            let mut request = Request::new(());
            if let Some(accept) = accept {
                request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(prefers_json(&request), expected, "{accept:?}");
        }
    }
}
