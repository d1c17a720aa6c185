//! The body of an answer: bytes that the server composed, or windows of a film, each resident
//! before it is lent, none copied.

use super::{
    exchange::{Cut, Exchange},
    ledger::{Ledger, Loan},
    live::Live,
    off_runtime::OffRuntime,
};
use crate::{
    plan::{Part, Parts},
    store::{Asset, Drift, residency},
    telemetry::metrics::SentBy,
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    future::Future,
    io,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// The largest span that is lent at once, in bytes.
pub(super) const WINDOW: u64 = 512 * 1024;

/// The largest span that is fetched from a disk before any of it is sent; the window behind it is
/// read ahead meanwhile.
pub(super) const FETCH: u64 = 128 * 1024;

/// A value of this type is an answer's body, of exactly the length that was promised, if one was.
pub(super) enum Body {
    Composed(Option<Bytes>, Arc<Exchange>),
    Film(Box<Film>),
    Live(Box<Live>),
}

/// A value of this type walks the parts of a plan over an asset.
pub(super) struct Film {
    asset: Arc<Asset>,
    parts: Parts,
    /// What is left of the part that is being sent.
    span: Range<u64>,
    /// Spans after that one.
    spans_to_come: usize,
    /// What is left of the body, in bytes.
    left: u64,
    fetch: Option<(Range<u64>, OffRuntime<()>)>,
    exchange: Arc<Exchange>,
    ledger: Arc<Ledger>,
}

impl Body {
    pub(super) fn composed(bytes: Bytes, exchange: Arc<Exchange>) -> Body {
        Body::Composed((!bytes.is_empty()).then_some(bytes), exchange)
    }

    /// A body of `parts`, whose spans lie in `asset`.
    pub(super) fn film(
        asset: Arc<Asset>,
        parts: Parts,
        length: u64,
        exchange: Arc<Exchange>,
        ledger: Arc<Ledger>,
    ) -> Body {
        let spans_to_come = parts.clone().filter(|part| matches!(part, Part::Span(_))).count();
        let span = 0..0;
        let film =
            Film { asset, parts, span, spans_to_come, left: length, fetch: None, exchange, ledger };
        Body::Film(Box::new(film))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Body::Composed(bytes, exchange) => Poll::Ready(bytes.take().map(|bytes| {
                exchange.sent(bytes.len() as u64, SentBy::Composed);
                Ok(Frame::data(bytes))
            })),
            Body::Live(live) => live.poll_next(cx).map(|next| next.map(|b| b.map(Frame::data))),
            Body::Film(film) => film.poll_next(cx).map(|next| {
                next.map(|bytes| {
                    film.left =
                        film.left.saturating_sub(bytes.as_ref().map_or(0, Bytes::len) as u64);
                    bytes.map(Frame::data)
                })
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Composed(bytes, _) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Body::Film(film) => SizeHint::with_exact(film.left),
            Body::Live(live) => live.left().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Film {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some((window, fetch)) = &mut self.fetch {
                let outcome = ready!(Pin::new(fetch).poll(cx));
                let window = window.clone();
                self.fetch = None;
                return Poll::Ready(Some(outcome.and_then(|()| {
                    self.exchange.app().metrics.windows_fetched.inc();
                    self.lend(window)
                })));
            }
            if !self.span.is_empty() {
                let window = self.window(WINDOW);
                if !self.asset.remote() && residency::resident(&self.asset, window.clone()) {
                    self.exchange.app().metrics.windows_resident.inc();
                    return Poll::Ready(Some(self.lend(window)));
                }
                self.fetch = Some(self.start_fetch());
                continue;
            }
            match self.parts.next() {
                None => return Poll::Ready(None),
                Some(Part::Bytes(bytes)) => {
                    self.exchange.sent(bytes.len() as u64, SentBy::Composed);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Part::Span(span)) => {
                    self.span = span;
                    self.spans_to_come -= 1;
                }
            }
        }
    }

    /// The next window of at most `size` bytes, which ends where a multiple of it lies in the file.
    fn window(&self, size: u64) -> Range<u64> {
        let boundary = (self.span.start / size + 1).saturating_mul(size);
        self.span.start..self.span.end.min(boundary)
    }

    /// Has the next window read on a thread that may wait.
    fn start_fetch(&self) -> (Range<u64>, OffRuntime<()>) {
        let window = self.window(FETCH);
        let next = window.end..self.span.end.min(window.end.saturating_add(WINDOW));
        let (asset, exchange, wanted) = (self.asset.clone(), self.exchange.clone(), window.clone());
        let fetch = OffRuntime::start(move || {
            residency::fetch(&asset, wanted, next).inspect_err(|_| {
                let shrank = matches!(asset.drift(), Ok(Drift::Shrank));
                exchange.cut(if shrank { Cut::Shrank } else { Cut::Unreadable });
            })?;
            // Asked after the bytes were read: they are the file's if it has not changed until now.
            // What was learned of another change than this one is seen before the bytes are sent.
            if asset.remote() {
                let drift = asset.drift_synced().inspect_err(|_| exchange.cut(Cut::Unreadable))?;
                if drift == Drift::Shrank {
                    exchange.cut(Cut::Shrank);
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Ok(())
        });
        (window, fetch)
    }

    /// The slice of `window`, entered in the ledger.
    fn lend(&mut self, window: Range<u64>) -> io::Result<Bytes> {
        let Some(slice) = self.asset.slice(window.clone()) else {
            self.exchange.cut(Cut::Shrank);
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        self.span.start = window.end;
        let last = self.span.is_empty() && self.spans_to_come == 0;
        let (asset, exchange) = (self.asset.clone(), self.exchange.clone());
        self.ledger.lend(Loan::new(slice.clone(), window.start, asset, exchange, last));
        Ok(slice)
    }
}
