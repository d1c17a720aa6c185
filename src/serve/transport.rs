//! The socket under hyper. It knows which of the bytes that hyper writes are slices of a film, and
//! looks at the film's file before each system call that sends of it; it closes clients that are
//! too slow to ask, to read or to speak again.

use super::{
    exchange::{Connection, Cut},
    framing::Framing,
    ledger::{Ledger, position, settle},
};
use crate::{
    config::{Config, Limits},
    store::Drift,
    telemetry::metrics::SentBy,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{SendAncillaryBuffer, SendFlags, sendmsg},
};
use socket2::SockRef;
use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep, sleep_until},
};

/// Slices written by one call; hyper hands over no more.
const SLICES: usize = 64;

/// A connection that has sent so much without having to wait lets others have their turn.
const TURN: usize = 1024 * 1024;

/// A file whose time has changed and whose length has not is looked at again after this long, so
/// often: an append sets the time a moment before the length.
const SECOND_LOOK: Duration = Duration::from_millis(20);
const SECOND_LOOKS: u8 = 3;

/// How long a closed connection may still send, so that the answer it was given isn't lost to a
/// reset (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);

/// A value of this type is one client's TCP connection.
pub(super) struct Transport {
    stream: TcpStream,
    connection: Arc<Connection>,
    ledger: Arc<Ledger>,
    framing: Framing,
    limits: Limits,
    sendfile: bool,
    /// When the head that is being received began.
    head_since: Option<Instant>,
    /// When the wait for a client that goes on sending after its last answer ends.
    lingers_until: Option<Instant>,
    /// Rings at the next of these.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whether the socket was told to take the last byte only when all before it are on their way.
    draining: bool,
    /// Bytes sent since this connection last let others have their turn.
    turn: usize,
    /// How often a file that may be about to grow was looked at again, and the wait for the next.
    second_looks: u8,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Transport {
    pub(super) fn new(
        stream: TcpStream,
        connection: Arc<Connection>,
        ledger: Arc<Ledger>,
        config: &Config,
    ) -> Transport {
        Transport {
            stream,
            connection,
            ledger,
            framing: Framing::new(config.limits.target),
            limits: config.limits,
            sendfile: config.sendfile,
            head_since: None,
            lingers_until: None,
            alarm: None,
            draining: false,
            turn: 0,
            second_looks: 0,
            pause: None,
        }
    }

    /// Waits until `deadline`; ready when it has passed.
    ///
    /// An alarm that is set too early is left as it is, and set anew when it rings: deadlines move
    /// with each request, and setting an alarm costs more than a look at the clock.
    fn poll_alarm(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        loop {
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
    }

    /// Waits for the client to send: ready when it has taken too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(idle) = self.connection.idle_since().map(Instant::from_std) else {
            return Poll::Pending;
        };
        match self.head_since {
            Some(head) => {
                ready!(self.poll_alarm(cx, head.max(idle) + self.limits.header_timeout));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            None => {
                ready!(self.poll_alarm(cx, idle + self.limits.idle_timeout));
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Looks at the file behind the next loan: ready when it may be sent, or must not be.
    fn poll_unharmed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let loans = self.ledger.lock();
            let Some(next) = loans.front() else { return Poll::Ready(Ok(())) };
            let why = match next.drift() {
                Drift::None | Drift::Grew => {
                    self.second_looks = 0;
                    return Poll::Ready(Ok(()));
                }
                Drift::Touched if self.second_looks < SECOND_LOOKS => {
                    self.second_looks += 1;
                    self.pause = Some(Box::pin(sleep(SECOND_LOOK)));
                    continue;
                }
                Drift::Touched => Cut::Rewritten,
                Drift::Shrank => Cut::Shrank,
            };
            next.exchange().cut(why);
            return Poll::Ready(Err(io::Error::other("the file changed while it was sent")));
        }
    }

    /// Sends of `slices` what one system call takes, up to the end of the first that is a loan.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut loans = self.ledger.lock();
        let Some(at) = position(&loans, slices) else {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        };
        let stream = &self.stream;
        if self.sendfile && loans[0].sends() && !loans[0].is_last_byte() {
            if at > 0 {
                return poll_try(stream, cx, || send_with_more_to_come(stream, &slices[..at]));
            }
            match ready!(poll_try(stream, cx, || loans[0].send(stream))) {
                Ok(sent) => {
                    settle(&mut loans, sent, SentBy::Sendfile);
                    return Poll::Ready(Ok(sent));
                }
                Err(_) if !loans[0].sends() => loans[0].exchange().note_fallback(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if self.sendfile && loans[0].is_last_byte() {
            if !self.draining {
                self.draining = true;
                take_when_drained(stream, true)?;
            }
            ready!(poll_try(stream, cx, || is_writable(stream)))?;
            self.draining = false;
            take_when_drained(stream, false)?;
        }
        let mut gathered = [IoSlice::new(&[]); SLICES];
        gathered[..at].copy_from_slice(&slices[..at]);
        gathered[at] = IoSlice::new(loans[0].sendable());
        let sent = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &gathered[..=at]))?;
        let before: usize = slices[..at].iter().map(|slice| slice.len()).sum();
        settle(&mut loans, sent.saturating_sub(before), SentBy::Writev);
        Poll::Ready(Ok(sent))
    }
}

/// Whether `stream` counts as writable only when all that it took before is on its way.
///
/// What `sendfile` hands over are the file's own pages: a rewrite shows in those that wait to be
/// sent. So an answer's last byte waits until none does; the look at the file before it then vouches
/// for all of them.
fn take_when_drained(stream: &TcpStream, on: bool) -> io::Result<()> {
    // Of TCP_NOTSENT_LOWAT, 1 means "nothing unsent", 0 the system's default.
    SockRef::from(stream).set_tcp_notsent_lowat(on.into())
}

/// Asks the kernel itself, since a write that fits into the last segment is taken in any case.
fn is_writable(stream: &TcpStream) -> io::Result<()> {
    let mut polled = [PollFd::new(stream, PollFlags::OUT)];
    match poll(&mut polled, Some(&Timespec::default()))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// Does `work` when the socket takes bytes.
fn poll_try<T>(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    work: impl Fn() -> io::Result<T>,
) -> Poll<io::Result<T>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        match stream.try_io(Interest::WRITABLE, &work) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return Poll::Ready(outcome),
        }
    }
}

/// Writes `slices` so that they leave with the bytes that follow at once (MSG_MORE).
fn send_with_more_to_come(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    Ok(sendmsg(stream, slices, &mut SendAncillaryBuffer::default(), flags)?)
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let before = buffer.filled().len();
            if Pin::new(&mut this.stream).poll_read(cx, buffer)?.is_pending() {
                return this.poll_silence(cx);
            }
            let received = &buffer.filled()[before..];
            if received.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let (kept, added) = this.framing.follow(received);
            buffer.set_filled(before + kept);
            if added.len() > buffer.remaining() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            buffer.put_slice(added);
            if let Some(number) = this.framing.two_lengths() {
                this.connection.note_two_lengths(number);
            }
            let head_since = this.head_since.take();
            if this.framing.in_head() {
                this.head_since = head_since.or_else(|| Some(Instant::now()));
            }
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.turn >= TURN {
            this.turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let slices = &slices[..slices.len().min(SLICES)];
        if position(&this.ledger.lock(), slices).is_some() {
            ready!(this.poll_unharmed(cx))?;
        }
        match this.poll_send(cx, slices) {
            Poll::Ready(Ok(sent)) => {
                this.turn += sent;
                Poll::Ready(Ok(sent))
            }
            Poll::Ready(Err(error)) => {
                if error.kind() == io::ErrorKind::TimedOut
                    && let Some(next) = this.ledger.lock().front()
                {
                    next.exchange().cut(Cut::Stalled);
                }
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                this.turn = 0;
                Poll::Pending
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingers_until.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let until = *this.lingers_until.get_or_insert_with(|| Instant::now() + LINGER);
        let mut unheard = [0; 4096];
        loop {
            // The alarm alone would not do: who goes on sending leaves it no turn to ring.
            if Instant::now() >= until {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut unheard);
            match Pin::new(&mut this.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending if this.framing.in_request() => {
                    return this.poll_alarm(cx, until).map(Ok);
                }
                Poll::Pending => return Poll::Ready(Ok(())),
            }
        }
    }
}
