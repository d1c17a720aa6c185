//! The wait before the last byte of an answer that `sendfile` lent: until all bytes before it are beyond change. A
//! receiver on this machine is asked what it has read; of another machine, the socket what it has sent.

use super::{
    Transport, let_others,
    outgoing::{UNSENT, is_writable},
    receiver::{Receiver, Sockets, Turn, Waits},
};
use crate::serve::ledger::Loan;
use socket2::SockRef;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// A receiver on this machine that has not read to the end is asked so often with nothing but the turns
/// of others in between, and then after pauses of so long, at first and at last; one that stands still
/// in the end more seldom.
const EAGER: u32 = 12;
const SOON: Duration = Duration::from_millis(1);
const LATE: Duration = Duration::from_millis(50);
const SELDOM: Duration = Duration::from_secs(1);

/// So long the turn to ask is kept at most, however steadily the receiver reads.
const KEPT: Duration = Duration::from_millis(20);

/// A value of this type is how far a connection is with that wait.
#[derive(Default)]
pub(super) struct LastByte {
    /// Whether the socket was told to take bytes only when none wait in it.
    draining: bool,
    /// What the receiver had not read when it was last asked.
    unread: Option<Unread>,
    /// The wait for a turn to ask it, and then the turn.
    waits: Option<Pin<Box<Waits>>>,
    turn: Option<Turn>,
}

/// A value of this type is what a receiver on this machine had not read when it was last asked.
struct Unread {
    bytes: u64,
    /// When it was first asked.
    begun: Instant,
    /// Since when it has read nothing.
    since: Instant,
    /// How often it was asked.
    asked: u32,
    /// How long until it is asked again.
    pause: Duration,
}

impl Transport {
    /// Ready when no rewrite of the file can show in what was sent, if all that is left is the last
    /// byte.
    pub(super) fn poll_beyond_change(
        &mut self,
        cx: &mut Context<'_>,
        next: &Loan,
    ) -> Poll<io::Result<()>> {
        if !is_last_byte(next) || !self.outgoing.lent {
            return Poll::Ready(Ok(()));
        }
        let receiver = self.outgoing.receiver.unwrap_or(Receiver::Elsewhere);
        let sockets = &next.exchange.app().sockets;
        loop {
            ready!(self.poll_pause(cx));
            ready!(self.poll_turn(cx, receiver, sockets));
            match receiver.unread(self.given, sockets)? {
                Some(0) => break,
                Some(bytes) => ready!(self.poll_reader(cx, bytes))?,
                None => {
                    ready!(self.poll_drained(cx))?;
                    break;
                }
            }
        }
        self.outgoing.last_byte.turn = None;
        self.outgoing.lent = false;
        self.outgoing.last_byte.unread = None;
        Poll::Ready(Ok(()))
    }

    /// Ready when `receiver` may be asked how much it has read.
    ///
    /// Those of this machine come to the ends of their answers about in the order in which they were
    /// sent to, so one is asked until it has, and the others wait for their turn. Whoever stops
    /// reading loses its turn, and is asked from time to time.
    fn poll_turn(&mut self, cx: &mut Context<'_>, of: Receiver, sockets: &Sockets) -> Poll<()> {
        let last = &mut self.outgoing.last_byte;
        if of == Receiver::Elsewhere || last.turn.is_some() || last.unread.is_some() {
            return Poll::Ready(());
        }
        let Some(waits) = &mut last.waits else {
            last.waits = Some(Box::pin(sockets.turn()));
            // What was sent a moment ago has not been read; others may be sent to meanwhile.
            let_others(cx);
            return Poll::Pending;
        };
        last.turn = Some(ready!(waits.as_mut().poll(cx)));
        last.waits = None;
        Poll::Ready(())
    }

    /// Has a receiver on this machine asked again: soon, then after pauses, and after longer ones once it
    /// has stopped reading. Fails if it has not read for the write time-out.
    fn poll_reader(&mut self, cx: &mut Context<'_>, bytes: u64) -> Poll<io::Result<()>> {
        let now = Instant::now();
        let first = Unread { bytes, begun: now, since: now, asked: 0, pause: SOON };
        let last = self.outgoing.last_byte.unread.take().unwrap_or(first);
        let stands = last.bytes == bytes;
        let mut unread = Unread { bytes, asked: last.asked + 1, ..last };
        if !stands {
            unread.since = now;
        }
        if unread.asked > EAGER && (stands || now - unread.begun > KEPT) {
            self.outgoing.last_byte.turn = None;
            let most = if stands { ((now - unread.since) / 4).clamp(LATE, SELDOM) } else { LATE };
            unread.pause = (unread.pause * 2).min(most);
        }
        if now - unread.since > self.limits.write_timeout {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let Unread { asked, pause, .. } = *self.outgoing.last_byte.unread.insert(unread);
        if asked < EAGER {
            let_others(cx);
            return Poll::Pending;
        }
        self.outgoing.pause = Some(Box::pin(sleep(pause)));
        Poll::Ready(Ok(()))
    }

    /// Ready when all bytes given to the socket are on their way.
    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.outgoing.last_byte.draining {
            self.outgoing.last_byte.draining = true;
            // Of TCP_NOTSENT_LOWAT, 1 means that the socket is writable when nothing is unsent.
            SockRef::from(&self.stream).set_tcp_notsent_lowat(1)?;
        }
        ready!(self.poll_try(cx, 0, |stream| is_writable(stream).map(|()| 0)))?;
        self.outgoing.last_byte.draining = false;
        SockRef::from(&self.stream).set_tcp_notsent_lowat(UNSENT)?;
        Poll::Ready(Ok(()))
    }
}

/// Whether `next` has come down to the byte that its answer held back.
pub(super) fn is_last_byte(next: &Loan) -> bool {
    next.last && next.left() == 1
}
