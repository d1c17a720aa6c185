//! reelmap serves video files by byte range out of memory-mapped slices.

pub mod pages;
pub mod plan;
