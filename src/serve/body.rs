//! The body of an answer: bytes that the server composed, or spans of a film, lent whole and never
//! copied or looked at here: the transport brings them into memory, piece by piece, as they leave.

use super::{
    exchange::{Cut, Exchange},
    ledger::{Ledger, Loan},
    live::Live,
};
use crate::{
    plan::{Part, Parts},
    store::Asset,
    telemetry::metrics::SentBy,
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    io,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

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
    /// Spans that have not been lent.
    spans_to_come: usize,
    /// What is left of the body, in bytes.
    left: u64,
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
        let film = Film { asset, parts, spans_to_come, left: length, exchange, ledger };
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
            Body::Film(film) => Poll::Ready(film.next().map(|next| {
                let bytes = next?;
                film.left = film.left.saturating_sub(bytes.len() as u64);
                Ok(Frame::data(bytes))
            })),
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
    fn next(&mut self) -> Option<io::Result<Bytes>> {
        Some(match self.parts.next()? {
            Part::Bytes(bytes) => {
                self.exchange.sent(bytes.len() as u64, SentBy::Composed);
                Ok(bytes)
            }
            Part::Span(span) => self.lend(span),
        })
    }

    /// The slice of `span`, entered in the ledger.
    fn lend(&mut self, span: Range<u64>) -> io::Result<Bytes> {
        let Some(slice) = self.asset.slice(span.clone()) else {
            self.exchange.cut(Cut::Shrank);
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        self.spans_to_come -= 1;
        let last = self.spans_to_come == 0;
        let (asset, exchange) = (self.asset.clone(), self.exchange.clone());
        self.ledger.lend(Loan::new(slice.clone(), span.start, asset, exchange, last));
        Ok(slice)
    }
}
