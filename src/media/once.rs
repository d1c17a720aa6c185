//! What is made by the first who needs it, while others who need it wait.

use std::sync::{Mutex, OnceLock, PoisonError};

/// A value of this type is a place for what is made once; where that fails, the next one tries again.
#[derive(Debug)]
pub struct Once<T> {
    made: OnceLock<T>,
    making: Mutex<()>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Once { made: OnceLock::new(), making: Mutex::new(()) }
    }
}

impl<T> Once<T> {
    /// What was made, if it was.
    pub fn get(&self) -> Option<&T> {
        self.made.get()
    }

    pub fn get_or_make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if let Some(made) = self.get() {
            return Ok(made);
        }
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        match self.get() {
            Some(made) => Ok(made),
            None => make().map(|made| self.made.get_or_init(|| made)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
        thread::{scope, yield_now},
    };

    #[test]
    fn it_is_made_once_and_tried_again_where_that_fails() {
        let (once, tries) = (Once::default(), AtomicUsize::new(0));
        let make = || match tries.fetch_add(1, Relaxed) {
            0 => Err("not yet"),
            tries => {
                // So that others come meanwhile.
                (0..1000).for_each(|_| yield_now());
                Ok(tries)
            }
        };
        assert_eq!((once.get_or_make(make), once.get()), (Err("not yet"), None));
        let all = Barrier::new(8);
        scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    all.wait();
                    assert_eq!(once.get_or_make(make), Ok(&1));
                });
            }
        });
        assert_eq!((once.get(), tries.into_inner()), (Some(&1), 2));
    }
}
