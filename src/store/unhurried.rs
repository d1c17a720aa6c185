//! Letting go of what may take long to be let go of.

use std::ops::Deref;

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
}

impl<T: Send + 'static> Unhurried<T> {
    /// `value`, of a file of `length` bytes, which lies on another machine or in another process, or not.
    pub(crate) fn new(value: T, length: u64, remote: bool) -> Unhurried<T> {
        Unhurried { value: Some(value), slow: remote || length >= LARGE }
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
            // Where no thread can be had, it ends here after all.
            let _ = std::thread::Builder::new().spawn(move || drop(value));
        }
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
}
