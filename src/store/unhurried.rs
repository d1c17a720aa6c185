//! Letting go of what may take long to be let go of.

use super::asset::is_remote;
use std::{
    fs::File,
    ops::Deref,
    os::fd::AsFd,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A film of at least so many bytes takes long to be freed, once it is deleted.
const LARGE: u64 = 16 * 1024 * 1024;

/// A value of this type is an open file or its mapping, and nobody waits for its end, since the last to
/// hold it may be a thread that must not: `close(2)` asks a remote file system (FUSE's `flush`) and waits
/// for the answer, and the last way to a large deleted file gives back all of its pages.
#[derive(Debug)]
pub(crate) struct Unhurried<T: Send + 'static> {
    /// There until it is dropped.
    value: Option<T>,
    slow: bool,
    remote: bool,
}

impl<T: Send + 'static> Unhurried<T> {
    /// `value`, of a file of `length` bytes, which lies on another machine or in another process, or not.
    pub(crate) fn new(value: T, length: u64, remote: bool) -> Unhurried<T> {
        Unhurried { value: Some(value), slow: remote || length >= LARGE, remote }
    }
}

impl Unhurried<File> {
    /// A file of `length` bytes, wherever it lies. Waits for its disk.
    pub(crate) fn file(file: File, length: u64) -> Unhurried<File> {
        let remote = is_remote(file.as_fd());
        Unhurried::new(file, length, remote)
    }
}

impl<T: Send + 'static> Unhurried<T> {
    /// From now on its end is waited for, unless that may wait for another machine or process.
    pub(crate) fn hurry(&mut self) {
        self.slow = self.remote;
    }
}

impl<T: Send + 'static> Deref for Unhurried<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send + 'static> Drop for Unhurried<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take().filter(|_| self.slow) {
            let ends = if self.remote { &REMOTE } else { &LOCAL };
            ends.take(Box::new(value));
        }
    }
}

/// Those of this machine's disks, and those that may wait for another machine, which hold only each other up.
static LOCAL: Ends = Ends::new(1);
static REMOTE: Ends = Ends::new(4);

/// A value of this type is what is being let go of, by so many threads at most, which are there while there
/// is anything.
struct Ends {
    most: usize,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    values: Vec<Box<dyn Send>>,
    threads: usize,
}

impl Ends {
    const fn new(most: usize) -> Ends {
        Ends { most, waiting: Mutex::new(Waiting { values: Vec::new(), threads: 0 }) }
    }

    fn take(&'static self, value: Box<dyn Send>) {
        let mut waiting = self.waiting();
        waiting.values.push(value);
        if waiting.threads == self.most {
            return;
        }
        waiting.threads += 1;
        drop(waiting);
        if std::thread::Builder::new().spawn(|| self.work()).is_err() {
            // Where no thread can be had, it ends here after all.
            self.work();
        }
    }

    fn work(&self) {
        loop {
            let mut waiting = self.waiting();
            let Some(value) = waiting.values.pop() else {
                waiting.threads -= 1;
                return;
            };
            drop(waiting);
            drop(value);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};

    struct Told(mpsc::Sender<thread::ThreadId>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn what_takes_long_ends_on_another_thread() {
        for (length, remote, elsewhere) in
            [(0, false, false), (LARGE - 1, false, false), (LARGE, false, true), (0, true, true)]
        {
            let (told, tells) = mpsc::channel();
            drop(Unhurried::new(Told(told), length, remote));
            let here = tells.recv().unwrap() == thread::current().id();
            assert_eq!(here, !elsewhere, "{length} bytes, remote: {remote}");
        }
    }

    #[test]
    fn many_that_end_at_once_end_on_one_thread() {
        let (told, tells) = mpsc::channel();
        for _ in 0..100 {
            drop(Unhurried::new(Told(told.clone()), LARGE, false));
            assert!(LOCAL.waiting().threads <= 1);
        }
        assert_eq!((0..100).filter(|_| tells.recv().is_ok()).count(), 100);
    }
}
