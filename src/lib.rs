//! reelmap serves video files by byte range out of memory-mapped slices.
//!
//! ```text
//!   socket ─ serve ──────────────────────────────────────────────── socket
//!              │ target       place        headers, length      ▲ slices
//!              ▼                ▼                ▼               │
//!            route ─────────► store ─────────► plan ───────► serve
//!            which thing     the file, open    what of it    spans, in memory
//!            is meant        and mapped once   is answered   before they leave
//! ```
//!
//! In reading order: [`config`], what was typed and what it means; [`serve`], sockets and one
//! request; [`route`], which thing is meant; [`store`], the file; [`plan`], what is answered;
//! [`pages`], what the server composes itself. A question about a film's time goes by [`seek`], which asks [`media`],
//! the readers that lead from times to bytes; what is still being written is [`live`]. Beside that way: [`telemetry`],
//! [`health`].
//!
//! Who may use whom is written in ARCHITECTURE.md and held by `tests/tidy.rs`.

pub mod config;
pub mod health;
pub mod live;
pub mod media;
pub mod pages;
pub mod plan;
pub mod route;
pub mod seek;
pub mod serve;
pub mod store;
pub mod telemetry;
