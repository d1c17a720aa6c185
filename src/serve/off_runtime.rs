//! Work that may wait for a disk, on a thread that may wait.

use rustix::process::nice;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, spawn_blocking},
};

/// How many threads of the runtime may wait for disks at once.
pub const WAITING_THREADS: usize = 128;

/// How many of them may wait for disks that may never answer. The rest is always there for those of this
/// machine.
const FAR: usize = WAITING_THREADS / 2;

/// How far a thread that waits for disks goes behind one that serves, where both want the processor (`nice(2)`).
const BEHIND: i32 = 5;

thread_local! {
    /// Made at a thread's first work, for it stays behind.
    static IS_BEHIND: () = {
        // Where that is forbidden they are equals.
        let _ = nice(BEHIND);
    };
}

/// Work on a thread that may wait, and that goes behind those that serve.
fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    spawn_blocking(|| {
        IS_BEHIND.with(|()| ());
        work()
    })
}

/// A value of this type lets so much work begin at once that may wait for another machine or another process.
pub(super) struct Far(Arc<Semaphore>);

impl Default for Far {
    fn default() -> Far {
        Far(Arc::new(Semaphore::new(FAR)))
    }
}

/// A value of this type is such work under way. Dropped before it has begun, it never begins, so
/// that clients who come and go leave no queue behind.
pub(super) enum OffRuntime<T> {
    /// Until it may begin, which takes no thread.
    Queued(Pin<Box<dyn Future<Output = JoinHandle<io::Result<T>>> + Send>>),
    Begun(JoinHandle<io::Result<T>>),
}

impl<T: Send + 'static> OffRuntime<T> {
    pub(super) fn start(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> OffRuntime<T> {
        OffRuntime::Begun(begin(work))
    }

    /// Work that may wait for another machine or another process: begun when little of its kind waits.
    #[expect(clippy::async_yields_async, reason = "the two are waited for one after the other")]
    pub(super) fn start_far(
        far: &Far,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> OffRuntime<T> {
        let permit = far.0.clone().acquire_owned();
        OffRuntime::Queued(Box::pin(async move {
            let permit = permit.await;
            begin(move || {
                let _permit = permit;
                work()
            })
        }))
    }

    /// One or the other.
    pub(super) fn start_where(
        remote: bool,
        far: &Far,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> OffRuntime<T> {
        if remote { OffRuntime::start_far(far, work) } else { OffRuntime::start(work) }
    }
}

impl<T> Future for OffRuntime<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let OffRuntime::Queued(queued) = &mut *self {
            let begun = ready!(queued.as_mut().poll(cx));
            *self = OffRuntime::Begun(begun);
        }
        match &mut *self {
            OffRuntime::Queued(_) => Poll::Pending,
            OffRuntime::Begun(work) => {
                let joined = Pin::new(work).poll(cx);
                joined.map(|joined| joined.map_err(io::Error::other).and_then(|outcome| outcome))
            }
        }
    }
}

impl<T> Drop for OffRuntime<T> {
    fn drop(&mut self) {
        if let OffRuntime::Begun(work) = self {
            work.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;
    use tokio::runtime::Builder;

    #[test]
    fn who_waits_for_disks_goes_behind_who_serves() {
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let serves = getpriority_process(None).unwrap();
        for _ in 0..2 {
            let waits = async { OffRuntime::start(|| Ok(getpriority_process(None)?)).await };
            assert_eq!(runtime.block_on(waits).unwrap(), (serves + BEHIND).min(19));
        }
        assert_eq!(getpriority_process(None).unwrap(), serves);
    }
}
