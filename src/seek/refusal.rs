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
        /// What else it may have meant.
        hint: Option<String>,
    },
    /// No frame bears that label of the timecode track, which begins with `first`.
    NoSuchLabel {
        asked: String,
        duration: Option<Time>,
        first: String,
        growing: bool,
        hint: Option<String>,
    },
    /// The film gives no index, or not this answer.
    Film(Arc<Error>),
}

impl Refusal {
    /// How long the film is, where that is why.
    pub fn duration(&self) -> Option<Moment> {
        match self {
            Refusal::PastTheEnd { duration, .. } | Refusal::NoSuchLabel { duration, .. } => {
                duration.map(Moment::from)
            }
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
            Refusal::PastTheEnd { asked, duration, growing, hint } => {
                let end = if *growing { "what is there" } else { "the end" };
                write!(f, "{asked} is past {end}")?;
                if let Some(end) = duration {
                    write!(f, ": the film is {end} s long{}", so_far(*growing))?;
                }
                also(f, hint)
            }
            Refusal::NoSuchLabel { asked, duration, first, growing, hint } => {
                write!(
                    f,
                    "{asked} is no label of this film: its timecode track begins at {first}"
                )?;
                if let Some(end) = duration {
                    write!(f, " and is {end} s long{}", so_far(*growing))?;
                }
                also(f, hint)
            }
            Refusal::Film(error) => error.fmt(f),
        }
    }
}

fn so_far(growing: bool) -> &'static str {
    if growing { " so far, and is still growing" } else { "" }
}

fn also(f: &mut fmt::Formatter<'_>, hint: &Option<String>) -> fmt::Result {
    hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
}

impl std::error::Error for Refusal {}
