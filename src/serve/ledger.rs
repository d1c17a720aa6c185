//! What was lent of mappings to hyper and has not left yet: the body puts in, the transport takes
//! out. It tells a slice of a film from other bytes, without a look at either.

use super::exchange::{Cut, Exchange};
use crate::{
    store::{Asset, Drift},
    telemetry::metrics::SentBy,
};
use bytes::{Buf, Bytes};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A value of this type is a slice of an asset on its way out, for one exchange.
pub(super) struct Loan {
    /// What of it has not left.
    slice: Bytes,
    /// Where what has not left begins in the file.
    offset: u64,
    asset: Arc<Asset>,
    exchange: Arc<Exchange>,
    /// It is of a long answer.
    long: bool,
    /// No byte of any asset follows it in its answer.
    last: bool,
}

/// An answer longer than this is a long one: it leaves by `sendfile`, and its last byte by itself
/// after another look at the file. A shorter one leaves by vectored writes, which copy into the
/// socket, the head with the first: by `sendfile` a whole short answer could wait there in pages of
/// the file, for later writes to show in.
const LONG: u64 = 256 * 1024;

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
        let long = exchange.promised() > LONG;
        Loan { slice, offset, asset, exchange, long, last }
    }

    /// A loan of a file that grows. It leaves as its own length says, since that of its answer isn't
    /// known; what follows a file's last byte tells its readers that it was the last.
    pub(super) fn growing(
        slice: Bytes,
        offset: u64,
        asset: Arc<Asset>,
        exchange: Arc<Exchange>,
    ) -> Loan {
        let long = slice.len() as u64 > LONG;
        Loan { slice, offset, asset, exchange, long, last: false }
    }

    /// Whether `bytes`, which hyper wants to be written, is this slice.
    fn is(&self, bytes: &[u8]) -> bool {
        std::ptr::eq(self.slice.as_ptr(), bytes.as_ptr()) && self.slice.len() == bytes.len()
    }

    /// What of it may leave now.
    ///
    /// The last byte of a long answer is held back until all before it has been taken
    /// by the kernel: then the file is looked at once more, and a client whose file was rewritten
    /// or cut short under it never gets the byte that would make its answer seem whole.
    pub(super) fn sendable(&self) -> &[u8] {
        let held_back = usize::from(self.long && self.last && self.slice.len() > 1);
        &self.slice[..self.slice.len() - held_back]
    }

    /// Whether it has come down to the byte that was held back.
    pub(super) fn is_last_byte(&self) -> bool {
        self.long && self.last && self.slice.len() == 1
    }

    /// Whether it leaves by `sendfile`: it is of a long answer, and its file system has it and need
    /// not ask another machine whether what it holds is still true, as NFS does at each call.
    pub(super) fn sends(&self) -> bool {
        self.long && !self.asset.remote() && self.asset.sends()
    }

    /// Sends what may leave now by `sendfile`; how many bytes the socket took.
    pub(super) fn send(&self, to: impl AsFd) -> io::Result<usize> {
        match self.asset.send(to, self.offset, self.sendable().len())? {
            0 => {
                self.exchange.cut(Cut::Shrank);
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            sent => Ok(sent),
        }
    }

    /// What became of the file; a failed look counts as a file that is gone.
    pub(super) fn drift(&self) -> Drift {
        self.asset.drift().unwrap_or(Drift::Shrank)
    }

    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
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
