//! Bringing a span into memory before it is sent, so that no runtime thread waits for a disk.

use super::Asset;
use rustix::{
    fs::Advice,
    io::{Errno, ReadWriteFlags},
};
use std::{io, num::NonZeroU64, ops::Range};

/// How far apart the bytes are that are probed: Linux reads ahead 128 KiB by default, so that
/// pages come and go in runs of that size.
const STRIDE: u64 = 128 * 1024;

/// The least that is read at once: the kernel's smallest readahead.
const RUN: u64 = 16 * 1024;

/// Whether the pages of `span` are in memory, as far as probes of one byte in each `STRIDE` and
/// of the last byte tell. Never waits. `false` where the file system can't say
/// (`preadv2(RWF_NOWAIT)` is refused) or the file no longer reaches.
///
/// `mincore(2)` and `cachestat(2)` would need one call, but answer "resident" and EPERM for files
/// that the process may not write.
pub fn resident(asset: &Asset, span: Range<u64>) -> bool {
    let Some(last) = span.end.checked_sub(1).filter(|last| *last >= span.start) else {
        return true;
    };
    // A short span lies in one run, or in two neighbours that came together.
    let within_one = usize::from(last - span.start < RUN);
    let strides = (span.start..last).step_by(STRIDE as usize).skip(within_one);
    std::iter::once(last).chain(strides).all(|at| probe(asset, at))
}

fn probe(asset: &Asset, at: u64) -> bool {
    let mut byte = [0];
    let mut slices = [io::IoSliceMut::new(&mut byte)];
    rustix::io::preadv2(asset.file(), &mut slices, at, ReadWriteFlags::NOWAIT) == Ok(1)
}

/// Brings `span` into memory, waiting for the disk, and asks for `next` to be read ahead.
/// For a thread that may wait.
///
/// Fails where the file can't be read, or no longer reaches to the end of `span`.
pub fn fetch(asset: &Asset, span: Range<u64>, next: Range<u64>) -> io::Result<()> {
    if let Some(length) = NonZeroU64::new(next.end.saturating_sub(next.start)) {
        // Advice alone: where it is refused, the next fetch simply takes longer.
        let _ = rustix::fs::fadvise(asset.file(), next.start, Some(length), Advice::WillNeed);
    }
    match asset.mapping().populate(span.clone()) {
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
            read(asset, span)
        }
        outcome => outcome,
    }
}

/// The same for a kernel or file system that can't populate a mapping.
fn read(asset: &Asset, span: Range<u64>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    let mut at = span.start;
    while at < span.end {
        let wanted = usize::try_from(span.end - at).map_or(buffer.len(), |n| n.min(buffer.len()));
        match rustix::io::pread(asset.file(), &mut buffer[..wanted], at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => at += read as u64,
        }
    }
    Ok(())
}
