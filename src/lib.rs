//! reelmap serves video files by byte range out of memory-mapped slices.

pub mod config;
pub mod health;
pub mod media;
pub mod pages;
pub mod plan;
pub mod route;
pub mod serve;
pub mod store;
pub mod telemetry;
