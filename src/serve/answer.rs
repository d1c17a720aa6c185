//! From a decision to the response that hyper sends, with what every answer carries.

use super::{body::Body, edge::Start, exchange::Exchange, ledger::Ledger, live::Live};
use crate::{
    live::{Channel, Tail},
    pages,
    plan::{Part, Plan, Stretch},
    store::Asset,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CONNECTION, CONTENT_LENGTH,
        CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
    },
};
use std::sync::Arc;

/// What may be done at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Methods {
    Read,
    /// By whoever is not a page of another origin, too.
    Write,
    /// By whoever shows the token, too.
    WriteWithToken,
}

impl Methods {
    /// The methods that are understood.
    fn understood(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Methods::Read => "GET, HEAD, OPTIONS",
            Methods::Write | Methods::WriteWithToken => "GET, HEAD, OPTIONS, PUT, POST, DELETE",
        })
    }

    /// Those that a page of another origin may use.
    fn of_other_origins(self) -> HeaderValue {
        let shared = if self == Methods::Write { Methods::Read } else { self };
        shared.understood()
    }

    /// What such a page may send. `Range` and the conditions are not on the list that browsers grant by
    /// themselves (Fetch, "CORS-safelisted request-header").
    fn request_headers(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Methods::Read | Methods::Write => {
                "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since"
            }
            Methods::WriteWithToken => {
                "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, \
                 Authorization, Content-Range, Content-Type"
            }
        })
    }
}

/// What it may read of an answer, beside what browsers grant by themselves.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "Content-Range, Content-Range-Mapping, Accept-Ranges, Content-Length, ETag, Last-Modified, Date, \
     Location, Upload-Offset, Upload-Complete",
);

/// A value of this type makes the answer of one exchange.
pub(super) struct Answer {
    pub(super) exchange: Arc<Exchange>,
    pub(super) head_only: bool,
}

impl Answer {
    /// A stretch of a file that grows.
    pub(super) fn live(
        self,
        stretch: Stretch,
        channel: &Arc<Channel>,
        ledger: &Arc<Ledger>,
    ) -> Response<Body> {
        let tail = channel.tail(stretch.start..stretch.end.unwrap_or(u64::MAX));
        self.following(stretch, tail, ledger)
    }

    /// A file that grows, from where a decoder can join it; 409 where it can nowhere.
    pub(super) fn joining(
        self,
        stretch: Stretch,
        channel: &Arc<Channel>,
        start: Start,
        ledger: &Arc<Ledger>,
    ) -> Response<Body> {
        let tail = match start {
            Start::At(offset) => channel.tail(offset..u64::MAX),
            Start::After(init, offset) => channel.tail(init).then_from(offset),
            Start::Nowhere => {
                return self.composed(
                    StatusCode::CONFLICT,
                    pages::TEXT,
                    pages::message::NOT_JOINED,
                );
            }
        };
        self.following(stretch, tail, ledger)
    }

    fn following(self, stretch: Stretch, tail: Tail, ledger: &Arc<Ledger>) -> Response<Body> {
        let Stretch { status, headers, start, end } = stretch;
        if self.head_only {
            return self.empty(status, headers);
        }
        let length = end.map(|end| end.saturating_sub(start));
        let live = Live::new(tail, status, length, self.exchange.clone(), ledger.clone());
        self.response(status, headers, Body::Live(Box::new(live)))
    }

    /// An answer that the head says all of.
    pub(super) fn empty(self, status: StatusCode, headers: HeaderMap) -> Response<Body> {
        self.exchange.promise(status.as_u16(), 0);
        let body = Body::composed(Bytes::new(), self.exchange.clone());
        self.response(status, headers, body)
    }

    /// A plan that needs no file.
    pub(super) fn planned(self, plan: Plan) -> Response<Body> {
        let Plan { status, headers, parts, .. } = plan;
        let text = parts.filter_map(|part| match part {
            Part::Bytes(bytes) => Some(bytes),
            Part::Span(_) => None,
        });
        let text = text.flatten().collect::<Bytes>();
        self.exchange.promise(status.as_u16(), text.len() as u64);
        let body = Body::composed(text, self.exchange.clone());
        self.response(status, headers, body)
    }

    /// What `plan` decided, with the spans of `asset`.
    pub(super) fn film(
        self,
        plan: Plan,
        asset: Arc<Asset>,
        ledger: &Arc<Ledger>,
    ) -> Response<Body> {
        let Plan { status, headers, parts, length } = plan;
        self.exchange.promise(status.as_u16(), length);
        let body = Body::film(asset, parts, length, self.exchange.clone(), ledger.clone());
        self.response(status, headers, body)
    }

    /// Bytes that the server composed.
    pub(super) fn composed(
        self,
        status: StatusCode,
        content_type: &'static str,
        bytes: impl Into<Bytes>,
    ) -> Response<Body> {
        let bytes = bytes.into();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_LENGTH, bytes.len().into());
        let bytes = if self.head_only { Bytes::new() } else { bytes };
        self.exchange.promise(status.as_u16(), bytes.len() as u64);
        let body = Body::composed(bytes, self.exchange.clone());
        self.response(status, headers, body)
    }

    /// An answer for programs, with those headers.
    pub(super) fn json(self, bytes: Bytes, headers: HeaderMap) -> Response<Body> {
        let mut response = self.composed(StatusCode::OK, pages::JSON, bytes);
        response.headers_mut().extend(headers);
        response
    }

    /// The sentence for `status`.
    pub(super) fn message(self, status: StatusCode) -> Response<Body> {
        self.composed(status, pages::TEXT, pages::message(status))
    }

    /// The same, after which the connection is closed: what follows the request can't be trusted.
    pub(super) fn last_message(self, status: StatusCode) -> Response<Body> {
        self.last_words(status, pages::message(status))
    }

    /// The same with a sentence of its own.
    pub(super) fn last_words(self, status: StatusCode, words: impl Into<Bytes>) -> Response<Body> {
        let close = HeaderValue::from_static("close");
        self.composed(status, pages::TEXT, words).with(CONNECTION, close)
    }

    /// 405, with the methods that are understood (RFC 9110 §15.5.6).
    pub(super) fn method_not_allowed(
        self,
        methods: Methods,
        words: &'static str,
    ) -> Response<Body> {
        let refused = self.composed(StatusCode::METHOD_NOT_ALLOWED, pages::TEXT, words);
        refused.with(ALLOW, methods.understood())
    }

    /// What `OPTIONS` gets: the methods, and what a page of another origin may do.
    pub(super) fn options(self, methods: Methods) -> Response<Body> {
        let cors = self.exchange.app().config.cors;
        let response = self.empty(StatusCode::NO_CONTENT, HeaderMap::new());
        let response = response.with(ALLOW, methods.understood());
        if !cors {
            return response;
        }
        response
            .with(ACCESS_CONTROL_ALLOW_METHODS, methods.of_other_origins())
            .with(ACCESS_CONTROL_ALLOW_HEADERS, methods.request_headers())
            .with(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"))
    }

    fn response(self, status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        carried_by_all(response.headers_mut(), self.exchange.app().config.cors);
        response
    }
}

/// Adds the headers that every answer carries.
pub(super) fn carried_by_all(headers: &mut HeaderMap, cors: bool) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if cors {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
    }
}

/// A response with one more header.
pub(super) trait With {
    fn with(self, name: HeaderName, value: HeaderValue) -> Self;
}

impl With for Response<Body> {
    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers_mut().insert(name, value);
        self
    }
}
