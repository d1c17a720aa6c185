//! Requests by time: `?at=`, `?tc=`, `?info`, and `Range: t:npt=...`. From an index to a response.

use super::{
    answer::{Answer, With},
    body::Body,
    growth,
    indexed::{self, NoIndex},
    indexes, live,
    service::{Answering, Detail, Service},
};
use crate::{
    live::Channel,
    media::{Costly, Error},
    pages::{self, Problem},
    plan::{self, BYTES_AND_TIMES, Growing, Part, Translated, plan, plan_times},
    seek::{Film, Moment, Question, Refusal, TimeRange, Unsent},
    store::cache::Opened,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;
use std::{sync::Arc, time::SystemTime};

/// What marks the tag of an answer off from that of its film. Another version may answer in other words.
const MARK: &str = concat!("seek-", env!("CARGO_PKG_VERSION"));

/// A value of this type is a request to a film that was found.
pub(super) struct ToFilm {
    pub(super) answer: Answer,
    pub(super) method: plan::Method,
    pub(super) headers: HeaderMap,
    pub(super) film: Arc<Opened<Detail>>,
}

impl Service {
    /// What a request asks of a film's time, answered; the request again, where it asks nothing of it.
    pub(super) fn seek(
        &self,
        answer: Answer,
        method: plan::Method,
        request: &Request<()>,
        film: &Arc<Opened<Detail>>,
    ) -> Result<Answering, Answer> {
        let to_film = |answer| {
            let headers = request.headers().clone();
            ToFilm { answer, method, headers, film: film.clone() }
        };
        match Question::of(request.uri().query().unwrap_or_default()) {
            Ok(None) => {}
            Ok(Some(question)) => {
                return Ok(match live::followed(&self.app, film) {
                    Some((channel, growing)) => {
                        self.ask_so_far(answer, request.clone(), channel, growing, question)
                    }
                    None => self.question(to_film(answer), question),
                });
            }
            Err(refusal) => return Ok(refused(answer, &refusal).into()),
        }
        let range = plan::times(method, request.headers()).and_then(TimeRange::parse);
        match range {
            Some(range) => Ok(self.times(to_film(answer), range)),
            None => Err(answer),
        }
    }

    fn question(&self, to: ToFilm, question: Question) -> Answering {
        self.told(
            to,
            move |film| reply(film, &question),
            |service, to, told| match told {
                Ok(reply) => service.say(to, reply),
                Err(no) => without_index(to.answer, &no),
            },
        )
    }

    fn times(&self, to: ToFilm, range: TimeRange) -> Answering {
        self.told(
            to,
            move |film| translated(film, &range),
            |service, to, told| service.send(to, told.ok().flatten()),
        )
    }

    /// The response that `respond` makes of what the film's index tells: now where that is in memory.
    fn told<T: Send + 'static>(
        &self,
        to: ToFilm,
        question: impl Fn(Film<'_>) -> T + Send + Sync + 'static,
        respond: fn(&Service, ToFilm, Result<T, NoIndex>) -> Response<Body>,
    ) -> Answering {
        let asset = &to.film.asset;
        let told = match self.app.indexes.known(asset) {
            Some(Ok(indexed)) => indexed.at_once(asset.length(), &question).map(Ok),
            Some(Err(no)) => Some(Err(no)),
            None => None,
        };
        if let Some(told) = told {
            if told.is_ok() {
                to.film.detail.note_times();
            }
            return respond(self, to, told).into();
        }
        let service = self.clone();
        Answering::later(async move {
            let told = service.ask(&to.film, question).await;
            respond(&service, to, told)
        })
    }

    /// Asks a film's index, which is made where there is none.
    async fn ask<T: Send + 'static>(
        &self,
        film: &Opened<Detail>,
        question: impl Fn(Film<'_>) -> T + Send + Sync + 'static,
    ) -> Result<T, NoIndex> {
        let indexed = indexes::of(&self.app, &film.asset).await?;
        film.detail.note_times();
        indexed::ask(&self.app, &film.asset, &indexed, question).await
    }

    /// The answer to a question, with the validators of its film.
    fn say(&self, to: ToFilm, reply: Result<Bytes, Refusal>) -> Response<Body> {
        let ToFilm { answer, method, headers, film } = to;
        let reply = match reply {
            Ok(reply) => reply,
            Err(refusal) => return refused(answer, &refusal),
        };
        let json = HeaderValue::from_static(pages::JSON);
        let length = reply.len() as u64;
        let of = film.detail.representation.derived(length, MARK, json);
        let mut plan = plan(method, &headers, &of, SystemTime::now());
        let parts = plan.parts.map(|part| match part {
            Part::Span(span) => Part::Bytes(reply.slice(span.start as usize..span.end as usize)),
            composed => composed,
        });
        plan.parts = parts.collect::<Vec<_>>().into();
        let fresh = HeaderValue::from_static("no-cache");
        answer.film(plan, film.asset.clone(), &self.ledger).with(CACHE_CONTROL, fresh)
    }

    /// What is asked of the time of a file that grows, answered of what is there.
    pub(super) fn ask_so_far(
        &self,
        answer: Answer,
        request: Request<()>,
        channel: Arc<Channel>,
        growing: Growing,
        question: Question,
    ) -> Answering {
        let app = self.app.clone();
        Answering::later(async move {
            let told = growth::ask(&app, &channel, move |film| reply(film, &question)).await;
            let fresh = HeaderValue::from_static("no-store");
            let (reply, length) = match told {
                Ok((Ok(reply), length)) => (reply, length),
                Ok((Err(refusal), _)) => {
                    return refused(answer, &refusal).with(CACHE_CONTROL, fresh);
                }
                Err(no) => return without_index(answer, &no).with(CACHE_CONTROL, fresh),
            };
            let growing = Growing { length, ..growing };
            match growing.told(request.headers(), SystemTime::now()) {
                Ok(headers) => answer.json(reply, headers),
                Err(plan) => answer.planned(*plan),
            }
        })
    }

    /// The bytes of a range of times; the whole film, as if none had been asked for, where it gives none.
    fn send(&self, to: ToFilm, sent: Option<Translated>) -> Response<Body> {
        let ToFilm { answer, method, headers, film } = to;
        let (of, now) = (&film.detail.representation, SystemTime::now());
        let why = match &sent {
            Some(Translated::Nothing(why)) => Some(why.clone()),
            _ => None,
        };
        let mut plan = match sent {
            Some(times) => plan_times(method, &headers, of, now, times),
            None => plan(method, &headers, of, now),
        };
        if let Some(why) = why.filter(|_| plan.status == StatusCode::RANGE_NOT_SATISFIABLE) {
            let said = Problem::new(plan.status, why, More::default()).json();
            plan.headers.insert(CONTENT_TYPE, HeaderValue::from_static(pages::PROBLEM));
            plan.headers.insert(CONTENT_LENGTH, said.len().into());
            plan.length = said.len() as u64;
            plan.parts = vec![Part::Bytes(said)].into();
        }
        if film.detail.has_times() {
            plan.headers.insert(ACCEPT_RANGES, BYTES_AND_TIMES);
        }
        answer.film(plan, film.asset.clone(), &self.ledger)
    }
}

/// The answer to a question as JSON.
fn reply(film: Film<'_>, question: &Question) -> Result<Bytes, Refusal> {
    Ok(match question {
        Question::Info => pages::json(&film.info()?),
        Question::Moments { meaning, asked, size } => {
            pages::json(&film.moments(*meaning, asked, *size)?)
        }
    })
}

/// What a range of times is in bytes; none where the film can't tell.
fn translated(film: Film<'_>, range: &TimeRange) -> Option<Translated> {
    let length = film.source.length();
    match film.span(range) {
        Ok(mut sent) => {
            sent.bytes.end = sent.bytes.end.min(length);
            let mapping = HeaderValue::try_from(sent.mapping(length)).ok()?;
            (!sent.bytes.is_empty()).then_some(Translated::Bytes { span: sent.bytes, mapping })
        }
        Err(Unsent::Unsatisfiable(why)) => Some(Translated::Nothing(why)),
        Err(Unsent::Film(_)) => None,
    }
}

/// What a problem of this kind says beside its sentence.
#[derive(Default, Serialize)]
struct More {
    /// Where in the file it is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    byte_offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Moment>,
    /// More of the film may come.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    growing: bool,
}

fn problem(answer: Answer, status: StatusCode, detail: String, more: More) -> Response<Body> {
    answer.composed(status, pages::PROBLEM, Problem::new(status, detail, more).json())
}

/// Why a request for a folder has no answer, where it asks of a film's time.
pub(super) fn of_folder(request: &Request<()>) -> Option<Refusal> {
    match Question::of(request.uri().query().unwrap_or_default()) {
        Ok(None) => None,
        Ok(Some(_)) => {
            let why = "this is a folder: name the film in it that is asked";
            Some(Refusal::Malformed(why.to_owned()))
        }
        Err(refusal) => Some(refusal),
    }
}

pub(super) fn refused(answer: Answer, refusal: &Refusal) -> Response<Body> {
    let (detail, more) = (refusal.to_string(), More::default());
    match refusal {
        Refusal::Malformed(_) => problem(answer, StatusCode::BAD_REQUEST, detail, more),
        Refusal::PastTheEnd { growing, .. } | Refusal::NoSuchLabel { growing, .. } => {
            let more = More { duration: refusal.duration(), growing: *growing, ..more };
            problem(answer, StatusCode::RANGE_NOT_SATISFIABLE, detail, more)
        }
        Refusal::Film(error) => match &**error {
            Error::Unknown | Error::NoTrack => {
                problem(answer, StatusCode::UNSUPPORTED_MEDIA_TYPE, detail, more)
            }
            Error::Broken { offset, .. } => {
                let more = More { byte_offset: Some(*offset), ..more };
                problem(answer, StatusCode::UNPROCESSABLE_ENTITY, detail, more)
            }
            Error::NotYet(_) => {
                let more = More { growing: true, ..more };
                problem(answer, StatusCode::CONFLICT, detail, more)
            }
            Error::Costly(Costly::Bytes(_)) => {
                problem(answer, StatusCode::UNPROCESSABLE_ENTITY, detail, more)
            }
            Error::Costly(Costly::Time(time)) => {
                let detail = format!(
                    "{detail}. Or ask again later, for fewer moments at once; the server's --index-time bounds it"
                );
                come_back(answer, detail, time.as_secs().max(1))
            }
            Error::Io(error) => {
                tracing::error!("a film could not be read: {error}");
                // The cause is the operator's to know.
                come_back(answer, "the film can't be read now: come back later".into(), 1)
            }
        },
    }
}

fn without_index(answer: Answer, no: &NoIndex) -> Response<Body> {
    match no {
        NoIndex::Film(error) => refused(answer, &Refusal::Film(error.clone())),
        NoIndex::Changed => {
            come_back(answer, "the film was written to while it was read: ask again".into(), 1)
        }
    }
}

fn come_back(answer: Answer, why: String, seconds: u64) -> Response<Body> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    problem(answer, status, why, More::default()).with(RETRY_AFTER, HeaderValue::from(seconds))
}
