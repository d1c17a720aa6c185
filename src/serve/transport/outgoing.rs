//! Films on their way out. Each system call sends bytes that are in memory, of a file that was looked
//! at a moment before.

use super::{
    Transport,
    last_byte::{LastByte, is_last_byte},
    let_others,
    receiver::Receiver,
};
use crate::{
    serve::{
        exchange::Cut,
        ledger::{Loan, settle},
        off_runtime::OffRuntime,
    },
    store::{Drift, residency},
    telemetry::metrics::SentBy,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{SendAncillaryBuffer, SendFlags, sendmsg},
};
use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::Interest,
    net::TcpStream,
    time::{Sleep, sleep},
};

/// Slices written by one call; hyper hands over no more.
pub(super) const SLICES: usize = 64;

/// The most of a film that one system call is given, and that a connection sends before others have
/// their turn, in bytes. While one connection's reader takes in
/// what it was sent, the others are sent to: longer pieces have the two contend for one socket.
pub(super) const PIECE: usize = 256 * 1024;

/// The largest span that is fetched from a disk before any of it is sent, and how much behind it is
/// read ahead meanwhile, in bytes.
const FETCH: u64 = 128 * 1024;
const AHEAD: u64 = 512 * 1024;

/// What waits unsent in a socket before it takes more, in bytes: enough to have more at hand when the
/// client makes room, and not megabytes of kernel memory for each that is slow.
pub(in crate::serve) const UNSENT: u32 = 128 * 1024;

/// An answer longer than this leaves by `sendfile`, a shorter one by vectored writes, which copy into
/// the socket, the head with the first. Where the two cost the same was measured (`versus`).
const LENT: u64 = 256 * 1024;

/// An answer of so many bytes is one copy of some microseconds: nothing of it is held back.
const SHORT: u64 = 16 * 1024;

/// A file that was looked at so lately, for whichever answer, is not looked at again before a piece is
/// sent; but before the byte that was held back it is.
const LATELY: Duration = Duration::from_millis(1);
const JUST_NOW: Duration = Duration::from_micros(20);

/// A file whose time has changed and whose length has not is looked at again after this long, so
/// often: an append sets the time a moment before the length.
const SECOND_LOOK: Duration = Duration::from_millis(20);
const SECOND_LOOKS: u8 = 3;

/// A value of this type is how far a connection is with what it sends of films.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) receiver: Option<Receiver>,
    /// Whether `sendfile` lent the socket pages of a file that may still wait there, or at the
    /// receiver: what is written to the file shows in them.
    pub(super) lent: bool,
    /// A fetch under way, and then the end of what it fetched in the file.
    fetch: Option<OffRuntime<u64>>,
    pub(super) pause: Option<Pin<Box<Sleep>>>,
    /// How often a file that may be about to grow was looked at again.
    second_looks: u8,
    pub(super) last_byte: LastByte,
}

impl Transport {
    /// Sends of `slices`, the one at `at` being the next loan, what one system call takes.
    pub(super) fn poll_lent(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        at: usize,
    ) -> Poll<io::Result<usize>> {
        let ledger = self.ledger.clone();
        let mut loans = ledger.lock();
        let next = &mut loans[0];
        ready!(self.stream.poll_write_ready(cx))?;
        let by = self.way(next);
        ready!(self.poll_beyond_change(cx, next))?;
        ready!(self.poll_resident(cx, next))?;
        ready!(self.poll_unharmed(cx, next))?;
        let before: usize = slices[..at].iter().map(|slice| slice.len()).sum();
        if by == SentBy::Sendfile {
            if at > 0 {
                return self.poll_try(cx, before, |stream| write(stream, &slices[..at], true));
            }
            let length = self.sendable(next);
            let (asset, offset) = (next.asset.clone(), next.span(0).start);
            match ready!(self.poll_try(cx, length, |stream| asset.send(stream, offset, length))) {
                Ok(0) => {
                    next.exchange.cut(Cut::Shrank);
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(sent) => {
                    self.outgoing.lent = true;
                    settle(&mut loans, sent, by);
                    return Poll::Ready(Ok(sent));
                }
                Err(_) if !asset.sends() => next.exchange.note_fallback(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let length = self.sendable(next);
        let mut gathered = [IoSlice::new(&[]); SLICES];
        gathered[..at].copy_from_slice(&slices[..at]);
        gathered[at] = IoSlice::new(next.bytes(length));
        let more = length < next.left() || !(next.last || next.live);
        let slices = &gathered[..=at];
        let sent = ready!(self.poll_try(cx, before + length, |to| write(to, slices, more)))?;
        let of_loan = sent.saturating_sub(before);
        if next.answer > LENT {
            next.asset.mapping().forget(next.span(of_loan));
        }
        settle(&mut loans, of_loan, SentBy::Writev);
        Poll::Ready(Ok(sent))
    }

    /// How the next bytes of `next` leave.
    fn way(&mut self, next: &Loan) -> SentBy {
        let lends = self.sendfile
            && next.answer > LENT
            && !is_last_byte(next)
            // A remote file system may be asked at each call whether what it holds is still true.
            && !next.asset.remote()
            && next.asset.sends();
        if !lends {
            return SentBy::Writev;
        }
        let sockets = &next.exchange.app().sockets;
        let receiver =
            *self.outgoing.receiver.get_or_insert_with(|| Receiver::of(&self.stream, sockets));
        if receiver == Receiver::Hidden { SentBy::Writev } else { SentBy::Sendfile }
    }

    /// How many bytes of `next` may leave now.
    ///
    /// The last byte of an answer that is not short is held back until all before it was taken by the
    /// kernel: then the file is looked at once more, and a client whose file was rewritten or cut short
    /// under it never gets the byte that would make its answer seem whole.
    fn sendable(&self, next: &Loan) -> usize {
        let held_back = usize::from(next.last && next.left() > 1 && next.answer > SHORT);
        let in_memory = next.resident.saturating_sub(next.span(0).start);
        let in_memory = usize::try_from(in_memory).unwrap_or(usize::MAX);
        (next.left() - held_back).min(PIECE).min(in_memory)
    }

    /// Ready when the next bytes of `next` are in memory.
    fn poll_resident(&mut self, cx: &mut Context<'_>, next: &mut Loan) -> Poll<io::Result<()>> {
        let metrics = &next.exchange.app().metrics;
        if self.outgoing.fetch.is_none() {
            let piece = next.span(next.left().min(PIECE));
            if next.resident > piece.start {
                return Poll::Ready(Ok(()));
            }
            if !next.asset.remote() && residency::resident(&next.asset, piece.clone()) {
                metrics.windows_resident.inc();
                next.resident = piece.end;
                return Poll::Ready(Ok(()));
            }
        }
        let fetch = self.outgoing.fetch.get_or_insert_with(|| fetch(next));
        let fetched = ready!(Pin::new(fetch).poll(cx));
        self.outgoing.fetch = None;
        metrics.windows_fetched.inc();
        next.resident = fetched?;
        Poll::Ready(Ok(()))
    }

    /// Looks at the file behind `next`: ready when it may be sent, or must not be.
    fn poll_unharmed(&mut self, cx: &mut Context<'_>, next: &Loan) -> Poll<io::Result<()>> {
        if next.asset.was_looked_at(lately(next)) {
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.poll_pause(cx));
            if let Some(soon) = next.asset.settles_in() {
                self.outgoing.pause = Some(Box::pin(sleep(soon)));
                continue;
            }
            // A failed look counts as a file that is gone.
            let why = match next.asset.drift().unwrap_or(Drift::Shrank) {
                Drift::None | Drift::Grew => {
                    self.outgoing.second_looks = 0;
                    return Poll::Ready(Ok(()));
                }
                Drift::Touched if self.outgoing.second_looks < SECOND_LOOKS => {
                    self.outgoing.second_looks += 1;
                    self.outgoing.pause = Some(Box::pin(sleep(SECOND_LOOK)));
                    continue;
                }
                Drift::Touched => Cut::Rewritten,
                Drift::Shrank => Cut::Shrank,
            };
            next.exchange.cut(why);
            return Poll::Ready(Err(io::Error::other("the file changed while it was sent")));
        }
    }

    pub(super) fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.outgoing.pause {
            ready!(pause.as_mut().poll(cx));
            self.outgoing.pause = None;
        }
        Poll::Ready(())
    }

    /// Does `work`, which gives `wanted` bytes to the socket, once: when it took less, the next
    /// attempt waits until it has room again.
    pub(super) fn poll_try(
        &self,
        cx: &mut Context<'_>,
        wanted: usize,
        work: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        match self.stream.try_io(Interest::WRITABLE, || work(&self.stream)) {
            Ok(taken) => {
                if taken < wanted {
                    let _ = self.stream.try_io(Interest::WRITABLE, || is_writable(&self.stream));
                }
                Poll::Ready(Ok(taken))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // All that comes before the attempt is due again before the next one.
                if self.stream.poll_write_ready(cx)?.is_ready() {
                    let_others(cx);
                }
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// How old a look at the file may be that the next bytes of `next` are sent upon. The last byte says
/// that all before it is true.
fn lately(next: &Loan) -> Duration {
    match next.left() {
        _ if next.answer <= SHORT => JUST_NOW,
        1 => Duration::ZERO,
        _ => LATELY,
    }
}

/// Has the next bytes of `next` read on a thread that may wait; it tells where they end in the file.
fn fetch(next: &Loan) -> OffRuntime<u64> {
    let all = next.span(next.left());
    let boundary = (all.start / FETCH + 1).saturating_mul(FETCH);
    let wanted = all.start..all.end.min(boundary);
    let ahead = wanted.end..all.end.min(wanted.end.saturating_add(AHEAD));
    let (asset, exchange, viewed) =
        (next.asset.clone(), next.exchange.clone(), next.answer <= LENT);
    let far = &next.exchange.app().threads.far;
    OffRuntime::start_where(asset.remote(), far, move || {
        residency::fetch(&asset, wanted.clone(), ahead).inspect_err(|_| {
            let shrank = matches!(asset.drift(), Ok(Drift::Shrank));
            exchange.cut(if shrank { Cut::Shrank } else { Cut::Unreadable });
        })?;
        if asset.remote() {
            // Asked after the bytes were read: they are the file's if it has not changed until now.
            // What was learned of another change than this one is seen before the bytes are sent.
            let drift = asset.drift_synced().inspect_err(|_| exchange.cut(Cut::Unreadable))?;
            if drift == Drift::Shrank {
                exchange.cut(Cut::Shrank);
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        } else if !viewed {
            asset.mapping().forget(wanted.clone());
        }
        Ok(wanted.end)
    })
}

/// Asks the kernel itself, since a write that fits into the last segment is taken in any case.
pub(super) fn is_writable(stream: &TcpStream) -> io::Result<()> {
    let mut polled = [PollFd::new(stream, PollFlags::OUT)];
    match poll(&mut polled, Some(&Timespec::default()))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// Whether the client has said that it will send no more, as one does that leaves, or the connection is lost.
pub(super) fn has_hung_up(stream: &TcpStream) -> io::Result<bool> {
    let mut polled = [PollFd::new(stream, PollFlags::RDHUP)];
    Ok(poll(&mut polled, Some(&Timespec::default()))? > 0)
}

/// Writes `slices`, which leave with the bytes that follow at once if there are `more` (MSG_MORE).
fn write(stream: &TcpStream, slices: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
    let more = if more { SendFlags::MORE } else { SendFlags::empty() };
    let flags = more | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    Ok(sendmsg(stream, slices, &mut SendAncillaryBuffer::default(), flags)?)
}
