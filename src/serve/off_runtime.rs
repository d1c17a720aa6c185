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
pub const WAITING_THREADS: usize = 192;

/// How many of them may wait for disks that may never answer. The rest is always there for those of this
/// machine.
const FAR: usize = 64;

/// How many of them may write to those of this machine, and how many may wait until these keep what was written
/// (`fsync(2)`). A disk that takes nothing for a while can be read all the same: the rest is there for that.
const WRITING: usize = 32;
const KEEPING: usize = 64;

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

/// A value of this type lets so much work of one kind begin at once.
pub(super) struct Share(Arc<Semaphore>);

impl Share {
    fn of(threads: usize) -> Share {
        Share(Arc::new(Semaphore::new(threads)))
    }
}

/// A value of this type is what each kind of work may have of the threads that wait for disks.
pub(super) struct Threads {
    /// What may wait for another machine or another process.
    pub(super) far: Share,
    writing: Share,
    keeping: Share,
}

impl Default for Threads {
    fn default() -> Threads {
        Threads { far: Share::of(FAR), writing: Share::of(WRITING), keeping: Share::of(KEEPING) }
    }
}

impl Threads {
    /// For what writes to a disk, which may be a remote one.
    pub(super) fn writing(&self, remote: bool) -> &Share {
        if remote { &self.far } else { &self.writing }
    }

    /// For what waits until such a disk keeps what was written.
    pub(super) fn keeping(&self, remote: bool) -> &Share {
        if remote { &self.far } else { &self.keeping }
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

    /// Work of which only so much may wait: begun when little of its kind does.
    #[expect(clippy::async_yields_async, reason = "the two are waited for one after the other")]
    pub(super) fn start_within(
        share: &Share,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> OffRuntime<T> {
        let permit = share.0.clone().acquire_owned();
        OffRuntime::Queued(Box::pin(async move {
            let permit = permit.await;
            begin(move || {
                let _permit = permit;
                work()
            })
        }))
    }

    /// Work that looks or reads, where another machine or another process may have to answer or not.
    pub(super) fn start_where(
        remote: bool,
        far: &Share,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> OffRuntime<T> {
        if remote { OffRuntime::start_within(far, work) } else { OffRuntime::start(work) }
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
    use std::{sync::RwLock, time::Duration};
    use tokio::{runtime::Builder, task::yield_now, time::timeout};

    /// How long a test waits for a thread: far more than that takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn who_reads_has_a_thread_whatever_disks_answer_nothing_and_take_nothing() {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_time().max_blocking_threads(WAITING_THREADS).build().unwrap();
        let threads = Threads::default();
        let shares = [false, true].map(|remote| [threads.writing(remote), threads.keeping(remote)]);
        let disk = Arc::new(RwLock::new(()));
        let hold = disk.write().unwrap();
        let read = runtime.block_on(async {
            for share in shares.concat() {
                for _ in 0..2 * WAITING_THREADS {
                    let disk = disk.clone();
                    let work = OffRuntime::start_within(share, move || {
                        drop(disk.read());
                        Ok(())
                    });
                    tokio::spawn(work);
                }
            }
            while shares.iter().flatten().any(|share| share.0.available_permits() > 0) {
                yield_now().await;
            }
            timeout(PATIENCE, OffRuntime::start(|| Ok(()))).await
        });
        drop(hold);
        assert!(read.is_ok(), "all threads wait");
    }

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
