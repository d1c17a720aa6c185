//! Why a question about a film's time has no answer: each is one sentence.

use super::answer::Moment;
use crate::media::{Error, Refused, Time};
use std::{fmt, sync::Arc};

/// A value of this type is why there is no answer.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The question can't be meant, or not of this film: a sentence says why.
    Malformed(String),
    /// The presentation ends before what was asked.
    PastTheEnd {
        asked: String,
        duration: Option<Time>,
        /// It may reach there later.
        growing: bool,
    },
    /// The film gives no index, or not this answer.
    Film(Arc<Error>),
}

impl Refusal {
    /// How long the film is, where that is why.
    pub fn duration(&self) -> Option<Moment> {
        match self {
            Refusal::PastTheEnd { duration, .. } => duration.map(Moment::from),
            _ => None,
        }
    }
}

impl From<Refused> for Refusal {
    fn from(Refused(why): Refused) -> Refusal {
        Refusal::Malformed(why)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Film(Arc::new(error))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Malformed(why) => f.write_str(why),
            Refusal::PastTheEnd { asked, duration: Some(end), growing: true } => write!(
                f,
                "{asked} is past what is there: the film is {end} s long so far, and is still growing"
            ),
            Refusal::PastTheEnd { asked, duration: Some(end), .. } => {
                write!(f, "{asked} is past the end: the film is {end} s long")
            }
            Refusal::PastTheEnd { asked, .. } => write!(f, "{asked} is past the end"),
            Refusal::Film(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}
