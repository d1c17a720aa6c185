//! reelmap serves video files by byte range out of memory-mapped slices.

pub mod config;
pub mod pages;
pub mod plan;
pub mod store;
pub mod route;
pub mod serve;
pub mod telemetry;
