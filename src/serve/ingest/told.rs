//! What a writer is told: how much is there, or why it was not taken.

use crate::{
    live::{Refused, Upload, parts::Spans},
    pages,
    plan::{UPLOAD_COMPLETE, UPLOAD_OFFSET},
    serve::{
        answer::{Answer, With},
        body::Body,
        service::is_shortage,
    },
    store::root::Place,
};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, ETAG, LOCATION, RETRY_AFTER},
};
use rustix::io::Errno;
use serde::Serialize;
use std::{borrow::Cow, io, sync::Arc};

/// Seconds after which who was one too many may find room: nobody knows when an encoder ends.
const COME_BACK: u64 = 5;

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

/// A value of this type is how much of an upload is there.
pub(super) struct Progress {
    pub(super) upload: Arc<Upload>,
    held: Spans,
    total: Option<u64>,
    tag: Option<String>,
}

impl Progress {
    /// That of `upload` now.
    pub(super) fn of(upload: Arc<Upload>) -> Progress {
        let ((held, total), tag) = (upload.held(), upload.told_tag());
        Progress { upload, held, total, tag }
    }

    /// The answer that tells it.
    pub(super) fn told(self, answer: Answer, status: StatusCode) -> Response<Body> {
        let Progress { upload, held, total, tag } = self;
        // Where all is there, but not kept under its name yet, that may still fail.
        let complete =
            status != StatusCode::ACCEPTED && total.is_some_and(|total| held.prefix() >= total);
        let spans = held.iter().map(|span| format!("{}-{}", span.start, span.end - 1)).collect();
        let told = Told { length: held.prefix(), total, held: spans };
        let json = pages::json(&told);
        let answer = match status {
            StatusCode::NO_CONTENT => answer.empty(status, HeaderMap::new()),
            _ => answer.composed(status, pages::JSON, json),
        };
        let segments: Vec<_> = upload.place().segments().collect();
        let location = HeaderValue::try_from(format!("/{}", pages::href(&segments)));
        let etag = tag.map(|tag| HeaderValue::try_from(format!("\"{tag}\"")));
        let answer = answer
            .with(UPLOAD_OFFSET, held.prefix().into())
            .with(UPLOAD_COMPLETE, HeaderValue::from_static(if complete { "?1" } else { "?0" }))
            .with(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let named = [(LOCATION, Some(location)), (ETAG, etag)].into_iter();
        named.fold(answer, |answer, (name, value)| match value {
            Some(Ok(value)) => answer.with(name, value),
            _ => answer,
        })
    }
}

/// A value of this type is why a request is not taken at all: a status, and the sentence under it.
pub(super) struct Unfit {
    pub(super) status: StatusCode,
    words: Cow<'static, str>,
}

impl From<StatusCode> for Unfit {
    fn from(status: StatusCode) -> Unfit {
        Unfit::new(status, pages::message(status))
    }
}

impl Unfit {
    pub(super) fn new(status: StatusCode, words: &'static str) -> Unfit {
        Unfit { status, words: words.into() }
    }

    /// It is more than `most` bytes.
    pub(super) fn too_large(most: u64) -> Unfit {
        let words = format!(
            "413 content too large: a file may have {most} bytes here, as --ingest-max-bytes says.\n"
        );
        Unfit { status: StatusCode::PAYLOAD_TOO_LARGE, words: words.into() }
    }

    /// The answer, after which the connection is closed: what is left of the body is not read.
    pub(super) fn told(self, answer: Answer) -> Response<Body> {
        match self.words {
            Cow::Borrowed(words) => answer.last_words(self.status, words),
            Cow::Owned(words) => answer.last_words(self.status, words),
        }
    }
}

/// The answer to an upload to `place` that is not taken, where so many bytes are `there` from the start.
pub(super) fn refusal(
    answer: Answer,
    place: &Place,
    refused: &Refused,
    there: Option<u64>,
) -> Response<Body> {
    let text = match refused {
        Refused::Forbidden => {
            let text = "403 forbidden: a link leads out of the folder that may be written into.\n";
            return answer.composed(StatusCode::FORBIDDEN, pages::TEXT, text);
        }
        Refused::NotThat => return answer.message(StatusCode::PRECONDITION_FAILED),
        Refused::TooMany => {
            let text = "503 service unavailable: as many files and streams as may be are being received.\n";
            let answer = answer.composed(StatusCode::SERVICE_UNAVAILABLE, pages::TEXT, text);
            return answer.with(RETRY_AFTER, HeaderValue::from(COME_BACK));
        }
        Refused::Missing => {
            tracing::error!("{place}: the folder that --ingest names is not there");
            let words =
                "503 service unavailable: the folder that may be written to is not there now.\n";
            let answer = answer.last_words(StatusCode::SERVICE_UNAVAILABLE, words);
            return answer.with(RETRY_AFTER, HeaderValue::from(COME_BACK));
        }
        Refused::Io(error) => return failed(answer, place, error),
        Refused::Elsewhere => {
            return failed(answer, place, &io::ErrorKind::CrossesDevices.into());
        }
        Refused::Busy => "409 conflict: somebody is writing to it.\n",
        Refused::Overlap => {
            let text = match there {
                Some(there) => format!(
                    "409 conflict: some of these bytes are there already; go on from byte {there}.\n"
                ),
                None => "409 conflict: some of these bytes are there already.\n".into(),
            };
            return answer.composed(StatusCode::CONFLICT, pages::TEXT, text);
        }
        Refused::OtherTotal => "409 conflict: the whole was said to have another length.\n",
        Refused::Finished => "409 conflict: the file is whole; delete it to send it in parts.\n",
        Refused::Taken => {
            "409 conflict: another program has made a file of that name; what you sent is kept.\n"
        }
        Refused::InTheWay => "409 conflict: a folder has that name, or a file that of a folder.\n",
        Refused::Scattered => "409 conflict: too many separate parts; send those between them.\n",
    };
    answer.composed(StatusCode::CONFLICT, pages::TEXT, text)
}

/// The answer to an upload that the system could not take. The cause is the operator's to know.
pub(super) fn failed(answer: Answer, place: &Place, error: &io::Error) -> Response<Body> {
    let is =
        |errnos: &[Errno]| errnos.iter().any(|e| error.raw_os_error() == Some(e.raw_os_error()));
    let status = if is(&[Errno::ISDIR, Errno::NOTEMPTY]) {
        return refusal(answer, place, &Refused::InTheWay, None);
    } else if is(&[Errno::NOSPC, Errno::DQUOT, Errno::FBIG]) {
        tracing::error!("there is no room for an upload: {error}");
        StatusCode::INSUFFICIENT_STORAGE
    } else if error.kind() == io::ErrorKind::InvalidData {
        let words = "409 conflict: another program has cut short what was received of it; delete it, or send all of it \
            anew.\n";
        return answer.last_words(StatusCode::CONFLICT, words);
    } else if error.kind() == io::ErrorKind::TimedOut {
        tracing::error!("{place}: its disk does not answer");
        let words = "503 service unavailable: the disk that this belongs on does not answer.\n";
        let answer = answer.last_words(StatusCode::SERVICE_UNAVAILABLE, words);
        return answer.with(RETRY_AFTER, HeaderValue::from(COME_BACK));
    } else if is(&[Errno::NAMETOOLONG, Errno::INVAL]) {
        let words = "400 bad request: no file can be made here by that name: it has more than 239 bytes, or more than 64 of its \
            folders are missing.\n";
        return answer.last_words(StatusCode::BAD_REQUEST, words);
    } else if is(&[Errno::ROFS, Errno::ACCESS, Errno::PERM]) {
        answer.exchange.app().denials.note(place, error);
        let words = "403 forbidden: the server itself is not let write here; its log says more.\n";
        return answer.last_words(StatusCode::FORBIDDEN, words);
    } else if is_shortage(error) {
        tracing::error!("out of resources: {error}");
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        tracing::error!("an upload failed: {error}");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    answer.last_message(status)
}
