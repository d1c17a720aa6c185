//! The system's allocator with counts beside it, and a thread's own time: for tests and benchmarks
//! of what something takes. Whoever includes this file has its memory counted.
#![allow(dead_code)] // Each uses a part.

use rustix::time::{ClockId, clock_gettime};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

/// Bytes that were asked for since the start, whichever thread asked.
pub static ASKED: AtomicUsize = AtomicUsize::new(0);
/// Bytes that are held now.
pub static HELD: AtomicUsize = AtomicUsize::new(0);
/// The most that were held at once since this was last set.
pub static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn took(bytes: usize) {
    ASKED.fetch_add(bytes, Relaxed);
    PEAK.fetch_max(HELD.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; only numbers are kept beside it.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size.saturating_sub(layout.size()));
        HELD.fetch_sub(layout.size().saturating_sub(size), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How long this thread has run: what other programs take of the machine isn't counted.
pub fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
