//! A file that grows, as an answer: decided, waited for at its edge, and lent span by span as it comes.

use super::{
    App,
    answer::{Answer, With},
    body::Body,
    exchange::{Cut, Exchange},
    ledger::{Ledger, Loan},
    off_runtime::OffRuntime,
    seeking,
    service::{Answering, Detail, Service},
};
use crate::{
    live::{Channel, Tail, Upload, tail::Next},
    pages::{Entry, Listing, Node, Stream},
    plan::{self, Decision, Growing, asks_for_ever, content_type},
    seek::Question,
    store::{Asset, Identity, cache::Opened, root::Place},
    telemetry::metrics,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::RETRY_AFTER};
use std::{
    io,
    ops::Range,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};
use tokio::time::timeout;

/// The most that is lent at once, in bytes: so far may a reader be behind what it is said to have.
const WINDOW: u64 = 1024 * 1024;

/// The upload at `place`, if the request is for it: a whole file of that name goes before one that is
/// still to take its place, unless the request says where in the stream it begins.
pub(super) fn watched(app: &App, place: &Place, request: &Request<()>) -> Option<Arc<Upload>> {
    let upload = app.streams.at(place)?;
    (!upload.replaces() || from(request).is_some()).then_some(upload)
}

/// Shows the streams of the folder at `place` in its listing.
pub(super) fn list(app: &App, place: &Place, listing: &mut Listing) {
    let now = SystemTime::now();
    for upload in app.streams.all().iter().filter(|upload| upload.place().parent() == *place) {
        let age = now.duration_since(upload.begun()).unwrap_or_default();
        let stream = Some(Stream { age, live: upload.is_busy() });
        let name = upload.place().name();
        if let Some(entry) = listing.entries.iter_mut().find(|entry| entry.name == name) {
            entry.stream = stream;
            continue;
        }
        let content_type = content_type(name).to_str().unwrap_or_default().to_owned().into();
        let node = Node::File { length: upload.channel().state().length, content_type };
        listing.entries.push(Entry { name: name.to_owned(), node, modified: now, stream });
    }
    listing.sort();
}

/// Whether a file of that identity grows: it is received, or followed.
pub(super) fn grows(app: &App, identity: &Identity) -> bool {
    let mut uploads = app.streams.all().into_iter();
    uploads.any(|upload| upload.channel().identity() == identity) || app.follower.follows(identity)
}

/// The streams that are open, for the metrics page.
pub(super) fn shown(app: &App) -> Vec<metrics::Stream> {
    let stream = |upload: &Arc<Upload>| metrics::Stream {
        path: upload.place().to_string(),
        distances: upload.channel().distances(),
    };
    app.streams.all().iter().map(stream).collect()
}

/// The answer to a request for a file that is being received.
pub(super) fn answer(
    service: &Service,
    answer: Answer,
    method: plan::Method,
    request: Request<()>,
    upload: Arc<Upload>,
) -> Answering {
    let channel = upload.channel().clone();
    let content_type = content_type(upload.place().name());
    let length = channel.state().length;
    let growing = Growing { length, tag: upload.tag(), content_type, received: true };
    match Question::of(request.uri().query().unwrap_or_default()) {
        Ok(None) => {}
        Ok(Some(question)) => {
            return service.ask_so_far(answer, request, channel, growing, question);
        }
        Err(refusal) => return seeking::refused(answer, &refusal).into(),
    }
    if from(&request) == Some(From::Live) {
        let stretch = growing.from_edge();
        let (app, ledger) = (service.app.clone(), service.ledger.clone());
        return Answering::later(async move {
            let turns = app.turns.to_make(&channel.asset());
            match app.edges.of(upload, turns, &app.threads.far).await {
                Ok(start) => answer.joining(stretch, &channel, start, &ledger),
                Err(error) => {
                    tracing::warn!("the live edge of a stream could not be read: {error}");
                    answer.message(StatusCode::SERVICE_UNAVAILABLE)
                }
            }
        });
    }
    decide(service, answer, method, request, channel, growing)
}

/// The answer to a request for a file of which more may come.
fn decide(
    service: &Service,
    answer: Answer,
    method: plan::Method,
    request: Request<()>,
    channel: Arc<Channel>,
    growing: Growing,
) -> Answering {
    match growing.plan(method, request.headers(), SystemTime::now(), false) {
        Decision::Send(stretch) => answer.live(stretch, &channel, &service.ledger).into(),
        Decision::Plan(plan) => answer.planned(plan).into(),
        Decision::Wait => {
            let (ledger, patience) = (service.ledger.clone(), service.app.config.live_wait);
            Answering::later(async move {
                let _ = timeout(patience, Tail::grown(&channel, growing.length)).await;
                let growing = Growing { length: channel.state().length, ..growing };
                match growing.plan(method, request.headers(), SystemTime::now(), true) {
                    Decision::Send(stretch) => answer.live(stretch, &channel, &ledger),
                    Decision::Plan(plan) => answer.planned(plan),
                    Decision::Wait => answer.message(StatusCode::SERVICE_UNAVAILABLE),
                }
            })
        }
    }
}

/// Whether the request is for all that will come to a file that another program writes.
pub(super) fn is_following(method: plan::Method, request: &Request<()>, asset: &Asset) -> bool {
    // What happens to a file on another machine is not told here.
    method == plan::Method::Get && asks_for_ever(request.headers()) && !asset.remote()
}

/// The answer to such a request.
pub(super) async fn follow(
    service: Service,
    answer: Answer,
    request: Request<()>,
    film: Arc<Opened<Detail>>,
) -> Response<Body> {
    let (app, asset) = (service.app.clone(), film.asset.clone());
    let followed = OffRuntime::start(move || {
        let idle = app.config.follow_idle;
        app.follower.follow(asset.reopened()?, asset.identity(), idle, app.cache.census())
    });
    let channel = match followed.await {
        Ok(channel) => channel,
        Err(error) => {
            // That clients follow as many as may be is no fault, and passes.
            if error.kind() != io::ErrorKind::QuotaExceeded {
                tracing::error!("a file cannot be followed: {error}");
            }
            let seconds = service.app.config.follow_idle.as_secs();
            let refused = answer.message(StatusCode::SERVICE_UNAVAILABLE);
            return refused.with(RETRY_AFTER, seconds.into());
        }
    };
    let growing = appended(&film, &channel);
    decide(&service, answer, plan::Method::Get, request, channel, growing).response().await
}

/// What is known of a file that another program appends to.
fn appended(film: &Opened<Detail>, channel: &Channel) -> Growing {
    let etag = film.detail.representation.etag().to_str().unwrap_or_default();
    Growing {
        length: channel.state().length,
        tag: etag.trim_matches('"').to_owned(),
        content_type: film.detail.representation.content_type().clone(),
        received: false,
    }
}

/// A film that somebody follows, as a file of which more may come.
pub(super) fn followed(app: &App, film: &Opened<Detail>) -> Option<(Arc<Channel>, Growing)> {
    let channel = app.follower.channel(film.asset.identity())?;
    let growing = appended(film, &channel);
    Some((channel, growing))
}

/// Where in a stream a reader begins (`?from=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Start,
    Live,
}

fn from(request: &Request<()>) -> Option<From> {
    let query = request.uri().query()?;
    query.split('&').find_map(|pair| match pair {
        "from=start" => Some(From::Start),
        "from=live" => Some(From::Live),
        _ => None,
    })
}

/// A value of this type walks a file that grows, from the answer's first byte on.
pub(super) struct Live {
    tail: Tail,
    status: StatusCode,
    /// Bytes that are still to come; `None` where the answer follows the file.
    left: Option<u64>,
    /// Bytes that were lent.
    lent: u64,
    /// hyper was made to ask, rather than asked of its own.
    asked_again: bool,
    exchange: Arc<Exchange>,
    ledger: Arc<Ledger>,
}

impl Live {
    pub(super) fn new(
        tail: Tail,
        status: StatusCode,
        length: Option<u64>,
        exchange: Arc<Exchange>,
        ledger: Arc<Ledger>,
    ) -> Live {
        // One that follows is whole when the file is: its length is told then.
        exchange.promise(status.as_u16(), length.unwrap_or(u64::MAX));
        exchange.follow();
        Live { tail, status, left: length, lent: 0, asked_again: false, exchange, ledger }
    }

    pub(super) fn left(&self) -> Option<u64> {
        self.left
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match ready!(self.tail.poll_next(cx, WINDOW)) {
            Next::Span(span, asset) => Poll::Ready(Some(self.lend(span, asset))),
            Next::End if self.left.is_none_or(|left| left == 0) => {
                self.exchange.promise(self.status.as_u16(), self.lent);
                Poll::Ready(None)
            }
            Next::End | Next::Cut => {
                self.exchange.cut(Cut::Incomplete);
                ready!(self.poll_sent(cx));
                Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())))
            }
        }
    }

    /// Waits until all that was lent has left: hyper forgets what it holds when the body fails.
    ///
    /// hyper sends after it has asked for more, and asks again when the socket has room. So each time
    /// it asks of its own, it is made to ask once more, to see whether that sent the last of it.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.asked_again && self.ledger.lock().is_empty() {
            return Poll::Ready(());
        }
        self.asked_again = !self.asked_again;
        if self.asked_again {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// The slice of `span`, entered in the ledger.
    fn lend(&mut self, span: Range<u64>, asset: Arc<Asset>) -> io::Result<Bytes> {
        let Some(slice) = asset.slice(span.clone()) else {
            self.exchange.cut(Cut::Shrank);
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let length = span.end - span.start;
        self.tail.advance(span.end);
        self.left = self.left.map(|left| left.saturating_sub(length));
        self.lent += length;
        let exchange = self.exchange.clone();
        self.ledger.lend(Loan::growing(slice.clone(), span.start, asset, exchange));
        Ok(slice)
    }
}
