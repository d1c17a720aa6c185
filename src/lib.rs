//! reelmap serves video files by byte range out of memory-mapped slices.

pub mod config;
pub mod plan;
pub mod store;
pub mod telemetry;
