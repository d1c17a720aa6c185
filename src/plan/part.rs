//! What a body is made of: bytes composed here, and spans of the file. Holds none of the file's bytes.

use std::{ops::Range, vec};

use bytes::Bytes;

/// A piece of a body: bytes composed here, or a half-open span of the representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Bytes(Bytes),
    Span(Range<u64>),
}

impl Part {
    pub fn length(&self) -> u64 {
        match self {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::Span(span) => span.end - span.start,
        }
    }
}

/// The pieces of a body in the order they are sent; none or one of them take no heap.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    first: Option<Part>,
    rest: vec::IntoIter<Part>,
}

impl From<Part> for Parts {
    fn from(part: Part) -> Self {
        Self { first: Some(part), rest: vec::IntoIter::default() }
    }
}

impl From<Vec<Part>> for Parts {
    fn from(parts: Vec<Part>) -> Self {
        Self { first: None, rest: parts.into_iter() }
    }
}

impl Iterator for Parts {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        self.first.take().or_else(|| self.rest.next())
    }
}
