//! A question about a film's time -> its answer, the same for a request and for the command line.
//!
//! ```text
//! ?at= ?tc= ?info ── question ─┐
//! AT, INFO arguments ──────────┼─> film (an index, its bytes) ─> answer, info ─> JSON, text
//! Range: t:npt=10-20 ── span ──┘                              └> refusal: a sentence
//! ```
//!
//! Knows no HTTP and keeps nothing: where an index comes from is the caller's affair.

mod answer;
pub mod command;
mod film;
mod human;
mod info;
mod question;
mod refusal;
mod span;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Moment, Reply};
pub use film::Film;
pub use info::Info;
pub use question::{Meaning, Question};
pub use refusal::Refusal;
pub use span::{Sent, TimeRange, Unsent};
