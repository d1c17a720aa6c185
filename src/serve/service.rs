//! One request, top to bottom: checked, routed, found, planned, answered.

use super::{
    App,
    answer::{Answer, With},
    body::Body,
    exchange::{Connection, Exchange},
    host, ingest,
    ledger::Ledger,
    listing, live,
    off_runtime::OffRuntime,
    seeking,
};
use crate::{
    pages,
    plan::{self, BYTES_AND_TIMES, Representation, content_type, plan},
    route::{Route, Stray},
    store::{Asset, Disks, Found, cache::Opened, root::Place},
    telemetry::metrics,
};
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ACCEPT_RANGES, CONNECTION, EXPECT, HOST, TRANSFER_ENCODING},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::SystemTime,
};

/// The longest body of a request that means nothing which is read and forgotten, so that the next
/// request on the connection is understood. A longer one ends the connection.
const IDLE_BODY: usize = 64 * 1024;

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

    pub(super) async fn response(self) -> Response<Body> {
        match self.await {
            Ok(response) => response,
            Err(never) => match never {},
        }
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
                // Who would write is told that it is off, not how much a body that means nothing may have.
                if status == StatusCode::PAYLOAD_TOO_LARGE && ingest::is_writing(request.method()) {
                    let close = HeaderValue::from_static("close");
                    let refused = ingest::not_allowed(&service, answer, &request);
                    return refused.with(CONNECTION, close);
                }
                return answer.last_message(status);
            }
            service.answer(answer, request).response().await
        })
    }

    /// The answer to a request whose body, if it had one, has been read.
    fn answer(&self, answer: Answer, request: Request<()>) -> Answering {
        let method = match *request.method() {
            Method::GET => plan::Method::Get,
            Method::HEAD => plan::Method::Head,
            Method::OPTIONS => return answer.options(ingest::methods(self, &request)).into(),
            _ => return ingest::not_allowed(self, answer, &request).into(),
        };
        match Route::of(request.uri().path()) {
            Ok(Route::Health) => answer.composed(StatusCode::OK, pages::TEXT, "ok\n").into(),
            Ok(Route::Metrics) => {
                let census = self.app.cache.census();
                self.app.metrics.note_indexes(self.app.indexes.census());
                let streams = live::shown(&self.app);
                let page = self.app.metrics.page(census.mappings(), census.bytes(), &streams);
                answer.composed(StatusCode::OK, metrics::CONTENT_TYPE, page).into()
            }
            Ok(Route::Media { place, folder }) => {
                self.media(answer, method, request, place, folder)
            }
            Err(Stray::Malformed) => answer.message(StatusCode::BAD_REQUEST).into(),
            Err(Stray::Nothing) => answer.message(StatusCode::NOT_FOUND).into(),
        }
    }

    /// The answer to a request for what is below the root.
    fn media(
        &self,
        answer: Answer,
        method: plan::Method,
        request: Request<()>,
        place: Place,
        folder: bool,
    ) -> Answering {
        let upload = live::watched(&self.app, &place, &request).filter(|_| !folder);
        if let Some(upload) = upload {
            return live::answer(self, answer, method, request, upload);
        }
        match self.app.cache.get(&place) {
            Some(opened) => self.film(answer, method, &request, &opened, folder),
            None => {
                let found = self.clone().find(answer, method, request, place, folder);
                Answering::later(found)
            }
        }
    }

    /// What makes a request one that is not answered (RFC 9112 §3.2, §6.3; RFC 9110 §4.1, §10.1.1).
    fn check(&self, number: u64, request: &Request<()>) -> Result<(), StatusCode> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let host_is_fine = match hosts.next() {
            Some(host) => host::is_well_formed(host.as_bytes()) && hosts.next().is_none(),
            None => request.version() != Version::HTTP_11,
        };
        if !host_is_fine || self.connection.has_two_lengths(number) {
            return Err(StatusCode::BAD_REQUEST);
        }
        // What a body in another coding stands for is not known here (RFC 9112 §6.1).
        let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
        if !codings.all(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked")) {
            return Err(StatusCode::NOT_IMPLEMENTED);
        }
        // Who waits for more than leave to go on would do so in vain; HTTP/1.0 waits for nothing.
        let mut expected = request.headers().get_all(EXPECT).iter();
        if request.version() == Version::HTTP_11
            && !expected.all(|what| what.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        {
            return Err(StatusCode::EXPECTATION_FAILED);
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
        film: &Arc<Opened<Detail>>,
        folder: bool,
    ) -> Answering {
        if folder {
            return answer.message(StatusCode::NOT_FOUND).into();
        }
        if live::is_following(method, request, &film.asset) {
            let following = live::follow(self.clone(), answer, request.clone(), film.clone());
            return Answering::later(following);
        }
        let answer = match self.seek(answer, method, request, film) {
            Ok(answering) => return answering,
            Err(answer) => answer,
        };
        let Detail { representation, .. } = &film.detail;
        let mut plan = plan(method, request.headers(), representation, SystemTime::now());
        if film.detail.has_times() {
            plan.headers.insert(ACCEPT_RANGES, BYTES_AND_TIMES);
        }
        answer.film(plan, film.asset.clone(), &self.ledger).into()
    }

    /// What `look` finds on the root's own disk, or on others, which may not answer.
    pub(super) fn look<T: Send + 'static>(
        &self,
        disks: Disks,
        look: impl FnOnce(&App, Disks) -> io::Result<T> + Send + 'static,
    ) -> OffRuntime<T> {
        let app = self.app.clone();
        let far = disks == Disks::All;
        OffRuntime::start_where(far, &self.app.threads.far, move || look(&app, disks))
    }

    async fn find(
        self,
        answer: Answer,
        method: plan::Method,
        request: Request<()>,
        place: Place,
        folder: bool,
    ) -> Response<Body> {
        let (near, far) = (place.clone(), place.clone());
        let mut on = Disks::Own;
        let mut found = self.look(on, move |app, disks| app.cache.find(&near, disks)).await;
        if found.as_ref().is_err_and(is_elsewhere) {
            on = Disks::All;
            found = self.look(on, move |app, disks| app.cache.find(&far, disks)).await;
        }
        match found {
            Ok(Found::File(opened)) => {
                self.film(answer, method, &request, &opened, folder).response().await
            }
            Ok(Found::Folder(_)) if !self.app.config.listing => {
                answer.message(StatusCode::NOT_FOUND)
            }
            Ok(Found::Folder(_)) if !folder => {
                listing::to_folder(answer, &place, request.uri().query())
            }
            Ok(Found::Folder(found)) => match seeking::of_folder(&request) {
                Some(refusal) => seeking::refused(answer, &refusal),
                None => self.listing(answer, &request, place, found, on).await,
            },
            Err(error) => failed(answer, &place, &error),
        }
    }
}

/// What the cache keeps beside an asset: all that its answers have in common.
pub(super) struct Detail {
    pub(super) representation: Representation,
    /// It has an index, or had one: ranges of times are answered.
    times: AtomicBool,
}

impl Detail {
    pub(super) fn of(place: &Place, asset: &Asset) -> Detail {
        let identity = asset.identity();
        let content_type = content_type(place.name());
        let representation = Representation::new(identity.size, identity.modified(), content_type);
        let representation = match asset.tag() {
            Some(tag) => representation.tagged(tag),
            None => representation,
        };
        Detail { representation, times: AtomicBool::new(false) }
    }

    pub(super) fn note_times(&self) {
        self.times.store(true, Relaxed);
    }

    pub(super) fn has_times(&self) -> bool {
        self.times.load(Relaxed)
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

/// The answer to a file that can't be opened. The cause is the operator's to know.
pub(super) fn failed(answer: Answer, place: &Place, error: &io::Error) -> Response<Body> {
    match error.kind() {
        io::ErrorKind::NotFound => answer.message(StatusCode::NOT_FOUND),
        io::ErrorKind::PermissionDenied => {
            answer.exchange.app().denials.note(place, error);
            let words =
                "403 forbidden: the server itself is not let read this; its log says more.\n";
            answer.composed(StatusCode::FORBIDDEN, pages::TEXT, words)
        }
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

/// Whether the root's own disk is not enough to tell.
pub(super) fn is_elsewhere(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::CrossesDevices
}

/// Whether there are too many files open, or too little memory: it passes.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
