//! reelmap serves video files by byte range out of memory-mapped slices.

pub mod media;
pub mod plan;
