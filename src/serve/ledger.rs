//! What was lent of mappings to hyper and has not left yet: the body puts in, the transport takes
//! out. It tells a slice of a film from other bytes, without a look at either.

use super::exchange::Exchange;
use crate::{store::Asset, telemetry::metrics::SentBy};
use bytes::{Buf, Bytes};
use std::{
    collections::VecDeque,
    io::IoSlice,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A value of this type is a span of an asset on its way out, for one exchange.
pub(super) struct Loan {
    /// What of it has not left.
    slice: Bytes,
    /// Where what has not left begins in the file.
    offset: u64,
    pub(super) asset: Arc<Asset>,
    pub(super) exchange: Arc<Exchange>,
    /// It is of an answer of so many bytes.
    pub(super) answer: u64,
    /// No byte of any asset follows it in its answer.
    pub(super) last: bool,
    /// What follows it in its answer may not be there yet: it is not held back to leave with that.
    pub(super) live: bool,
    /// Up to where the file is known to be in memory, until the connection has to wait.
    pub(super) resident: u64,
}

impl Loan {
    /// A loan of `slice`, which begins at `offset` in `asset`; `last` if no byte of an asset follows
    /// it in its answer.
    pub(super) fn new(
        slice: Bytes,
        offset: u64,
        asset: Arc<Asset>,
        exchange: Arc<Exchange>,
        last: bool,
    ) -> Loan {
        let answer = exchange.promised();
        Loan { slice, offset, asset, exchange, answer, last, live: false, resident: offset }
    }

    /// A loan of a file that grows. It leaves as its own length says, since that of its answer isn't
    /// known; what follows a file's last byte tells its readers that it was the last.
    pub(super) fn growing(
        slice: Bytes,
        offset: u64,
        asset: Arc<Asset>,
        exchange: Arc<Exchange>,
    ) -> Loan {
        let answer = slice.len() as u64;
        let (last, live) = (false, true);
        Loan { slice, offset, asset, exchange, answer, last, live, resident: offset }
    }

    /// Whether `bytes`, which hyper wants to be written, is this slice.
    fn is(&self, bytes: &[u8]) -> bool {
        std::ptr::eq(self.slice.as_ptr(), bytes.as_ptr()) && self.slice.len() == bytes.len()
    }

    /// How many bytes of it have not left.
    pub(super) fn left(&self) -> usize {
        self.slice.len()
    }

    /// The next `length` bytes of it, for a system call.
    pub(super) fn bytes(&self, length: usize) -> &[u8] {
        &self.slice[..length]
    }

    /// Where its next `length` bytes lie in the file.
    pub(super) fn span(&self, length: usize) -> Range<u64> {
        self.offset..self.offset + length as u64
    }
}

/// A value of this type holds one connection's loans, in the order they will leave.
#[derive(Default)]
pub(super) struct Ledger(Mutex<VecDeque<Loan>>);

impl Ledger {
    pub(super) fn lend(&self, loan: Loan) {
        self.lock().push_back(loan);
    }

    /// The loans; for the moment of a write.
    pub(super) fn lock(&self) -> MutexGuard<'_, VecDeque<Loan>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the slices that hyper wants to be written is the next loan.
pub(super) fn position(loans: &VecDeque<Loan>, slices: &[IoSlice<'_>]) -> Option<usize> {
    let next = loans.front()?;
    slices.iter().position(|slice| next.is(slice))
}

/// Notes that the kernel took `sent` bytes of the next loan.
pub(super) fn settle(loans: &mut VecDeque<Loan>, sent: usize, by: SentBy) {
    if let Some(next) = loans.front_mut() {
        next.slice.advance(sent);
        next.offset += sent as u64;
        next.exchange.sent(sent as u64, by);
        if next.slice.is_empty() {
            loans.pop_front();
        }
    }
}
