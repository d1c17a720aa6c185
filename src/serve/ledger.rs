//! What was lent of mappings to hyper and has not left yet: the body puts in, the transport takes
//! out. It tells a slice of a film from other bytes, without a look at either.

use super::exchange::{Cut, Exchange};
use crate::store::{Asset, Drift};
use bytes::{Buf, Bytes};
use std::{
    collections::VecDeque,
    io::IoSlice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A value of this type is a slice of an asset on its way out, for one exchange.
pub(super) struct Loan {
    /// What of it has not left.
    slice: Bytes,
    /// The length that it had, in bytes.
    length: usize,
    asset: Arc<Asset>,
    exchange: Arc<Exchange>,
    /// No byte of any asset follows it in its answer.
    last: bool,
}

/// A last slice longer than this leaves in two pieces, so that the file is looked at again between
/// the bulk of it and its last byte.
const LAST_IN_ONE: usize = 64 * 1024;

impl Loan {
    pub(super) fn new(
        slice: Bytes,
        asset: Arc<Asset>,
        exchange: Arc<Exchange>,
        last: bool,
    ) -> Loan {
        Loan { length: slice.len(), slice, asset, exchange, last }
    }

    /// Whether `bytes`, which hyper wants to be written, is this slice.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        std::ptr::eq(self.slice.as_ptr(), bytes.as_ptr()) && self.slice.len() == bytes.len()
    }

    /// What of it may leave now.
    ///
    /// The last byte of an answer's last slice is held back until all before it has been taken
    /// by the kernel: then the file is looked at once more, and a client whose file was rewritten
    /// or cut short under it never gets the byte that would make its answer seem whole.
    pub(super) fn sendable(&self) -> &[u8] {
        match self.slice.len() {
            left if self.last && left > 1 && self.length > LAST_IN_ONE => &self.slice[..left - 1],
            _ => &self.slice,
        }
    }

    /// What became of the file; a failed look counts as a file that is gone.
    pub(super) fn drift(&self) -> Drift {
        self.asset.drift().unwrap_or(Drift::Shrank)
    }

    pub(super) fn cut(&self, why: Cut) {
        self.exchange.cut(why);
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
pub(super) fn settle(loans: &mut VecDeque<Loan>, sent: usize) {
    if let Some(next) = loans.front_mut() {
        next.slice.advance(sent);
        next.exchange.sent_mapped(sent as u64);
        if next.slice.is_empty() {
            loans.pop_front();
        }
    }
}
