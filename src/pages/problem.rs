//! What went wrong, for programs: `application/problem+json` (RFC 9457).

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

/// A value of this type is one problem. It has no `type`, so that `title` is the status in words (§4.2.1).
#[derive(Debug, Serialize)]
pub struct Problem<T: Serialize> {
    title: &'static str,
    status: u16,
    /// A sentence for whoever asked.
    detail: String,
    /// Members of this kind of problem.
    #[serde(flatten)]
    more: T,
}

impl<T: Serialize> Problem<T> {
    pub fn new(status: StatusCode, detail: String, more: T) -> Problem<T> {
        let title = status.canonical_reason().unwrap_or_default();
        Problem { title, status: status.as_u16(), detail, more }
    }

    pub fn json(&self) -> Bytes {
        super::json(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Place {
        byte_offset: u64,
    }

    #[test]
    fn a_problem_says_its_status_a_sentence_and_more() {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let problem = Problem::new(status, "a box ends".into(), Place { byte_offset: 7 });
        let text =
            r#"{"title":"Unprocessable Entity","status":422,"detail":"a box ends","byte_offset":7}"#
                .to_owned() + "\n";
        assert_eq!(problem.json(), text);
    }
}
