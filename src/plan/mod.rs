//! Facts about a request and a representation in, a decision out. Pure: no files, no async, no clock.
