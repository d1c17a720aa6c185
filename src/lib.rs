//! reelmap serves video files by byte range out of memory-mapped slices.
//!
//! ```text
//!   socket ─ serve ──────────────────────────────────────────────── socket
//!              │ target       place        headers, length      ▲ slices
//!              ▼                ▼                ▼               │
//!            route ─────────► store ─────────► plan ───────► serve
//!            which thing     the file, open    what of it    windows, resident
//!            is meant        and mapped once   is answered   before they leave
//! ```
//!
//! In the order in which a request meets them, then what stands beside its way. Who may use whom is
//! written in ARCHITECTURE.md and held by `tests/tidy.rs`.

pub mod config;
pub mod serve;

pub mod route;
pub mod store;

pub mod plan;

pub mod media;
pub mod pages;

pub mod health;
pub mod telemetry;
