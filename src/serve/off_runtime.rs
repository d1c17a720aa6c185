//! Work that may wait for a disk, on a thread that may wait.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::task::{JoinHandle, spawn_blocking};

/// A value of this type is such work under way. Dropped before it has begun, it never begins, so
/// that clients who come and go leave no queue behind.
pub(super) struct OffRuntime<T>(JoinHandle<io::Result<T>>);

impl<T: Send + 'static> OffRuntime<T> {
    pub(super) fn start(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> OffRuntime<T> {
        OffRuntime(spawn_blocking(work))
    }
}

impl<T> Future for OffRuntime<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let joined = Pin::new(&mut self.0).poll(cx);
        joined.map(|joined| joined.map_err(io::Error::other).and_then(|outcome| outcome))
    }
}

impl<T> Drop for OffRuntime<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
