//! The socket under hyper. It knows which of the bytes that hyper writes are slices of a film, and
//! looks at the film's file before each system call that sends of it; it closes clients that are
//! too slow to ask, to read or to speak again.

mod last_byte;
mod outgoing;
mod receiver;

use self::outgoing::{Outgoing, PIECE, SLICES};
pub(super) use self::{outgoing::UNSENT, receiver::Sockets};
use super::{
    exchange::{Connection, Cut},
    framing::Framing,
    ledger::{Ledger, position},
};
use crate::config::{Config, Limits};
use socket2::{SockRef, TcpKeepalive};
use std::{
    future::Future,
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::{coop::has_budget_remaining, yield_now},
    time::{Instant, Sleep, sleep_until},
};

/// How long a closed connection may still send, so that the answer it was given isn't lost to a
/// reset (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);

/// The kernel asks no more seldom whether a client is there (tcp(7), TCP_KEEPIDLE).
const KEEPALIVE: Duration = Duration::from_secs(32_767);

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
    /// Bytes sent since this connection last let others have their turn.
    sent_in_turn: usize,
    /// Bytes that the socket took since the connection began.
    given: u64,
    /// Until when an answer that follows a file may be silent before it is asked whether its client is there.
    silent_until: Option<Instant>,
    outgoing: Outgoing,
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
            sent_in_turn: 0,
            given: 0,
            silent_until: None,
            outgoing: Outgoing::default(),
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

    /// Waits beside an answer that follows a file, while nothing comes: ready when the client is gone, or can't be told from
    /// one that is. hyper doesn't look, for who has said all (`nc -N`) may still listen; so it is looked only after as long a
    /// silence as a connection may be idle, and the kernel is told to ask for those who left without a word.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let idle = self.limits.idle_timeout;
        loop {
            let until = *self.silent_until.get_or_insert_with(|| Instant::now() + idle);
            ready!(self.poll_alarm(cx, until));
            let seldom = idle.clamp(Duration::from_secs(1), KEEPALIVE);
            let asks = TcpKeepalive::new().with_time(seldom).with_interval(seldom);
            let told = SockRef::from(&self.stream).set_tcp_keepalive(&asks);
            match told.and_then(|()| outgoing::has_hung_up(&self.stream)) {
                Ok(false) => self.silent_until = None,
                Ok(true) => return Poll::Ready(io::ErrorKind::BrokenPipe.into()),
                Err(error) => return Poll::Ready(error),
            }
        }
    }
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
        if this.sent_in_turn >= PIECE {
            this.sent_in_turn = 0;
            let_others(cx);
            return Poll::Pending;
        }
        let slices = &slices[..slices.len().min(SLICES)];
        let lent = position(&this.ledger.lock(), slices);
        let sent = match lent {
            Some(at) => this.poll_lent(cx, slices, at),
            None => Pin::new(&mut this.stream).poll_write_vectored(cx, slices),
        };
        match sent {
            Poll::Ready(Ok(sent)) => {
                this.sent_in_turn += sent;
                this.given += sent as u64;
                this.silent_until = None;
                Poll::Ready(Ok(sent))
            }
            Poll::Ready(Err(error)) => {
                if error.kind() == io::ErrorKind::TimedOut
                    && let Some(next) = this.ledger.lock().front()
                {
                    next.exchange.cut(Cut::Stalled);
                }
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                this.sent_in_turn = 0;
                // It may be long until it goes on, and memory may be taken for other things.
                if let Some(next) = this.ledger.lock().front_mut() {
                    next.resident = 0;
                }
                Poll::Pending
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.connection.follows()
            && let Poll::Ready(gone) = this.poll_gone(cx)
        {
            return Poll::Ready(Err(gone));
        }
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
            match poll_unheard(&mut this.stream, cx, &mut unheard) {
                Poll::Ready(Heard::Bytes) => {}
                Poll::Ready(Heard::Nothing) if this.framing.in_request() => {
                    return this.poll_alarm(cx, until).map(Ok);
                }
                Poll::Ready(Heard::Nothing | Heard::End) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Has the task polled again after all others that can go on, those too whose clients the runtime has yet to hear of: of itself
/// it listens for these after 61 turns of those it knows, which is milliseconds where they send as fast as their clients read.
fn let_others(cx: &mut Context<'_>) {
    assert!(pin!(yield_now()).poll(cx).is_pending());
}

/// What a client sends after its last answer.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Bytes,
    /// Nothing for now; the task is woken when there is something.
    Nothing,
    End,
}

/// Reads of it what fits into `room`. Pending only where others shall have their turn first: what is left unread when a
/// socket is closed costs the client the answer.
fn poll_unheard(stream: &mut TcpStream, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<Heard> {
    let mut buffer = ReadBuf::new(room);
    match Pin::new(stream).poll_read(cx, &mut buffer) {
        Poll::Ready(Ok(())) if !buffer.filled().is_empty() => Poll::Ready(Heard::Bytes),
        Poll::Ready(_) => Poll::Ready(Heard::End),
        Poll::Pending if has_budget_remaining() => Poll::Ready(Heard::Nothing),
        Poll::Pending => Poll::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::poll_fn,
        io::Write,
        sync::atomic::{AtomicU32, Ordering::Relaxed},
    };
    use tokio::{net::TcpListener, task::coop::consume_budget};

    #[tokio::test]
    async fn who_has_just_become_ready_is_let_before_who_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let turns = Arc::new(AtomicU32::new(0));
        let counted = turns.clone();
        tokio::spawn(poll_fn(move |cx| {
            if counted.fetch_add(1, Relaxed) == 0 {
                client.write_all(b"more").unwrap();
            }
            let_others(cx);
            Poll::<()>::Pending
        }));
        while stream.try_read(&mut [0; 4]).is_err() {
            stream.readable().await.unwrap();
        }
        assert!(turns.load(Relaxed) < 4, "{turns:?}");
    }

    #[tokio::test]
    async fn what_waits_is_not_taken_for_nothing_where_others_have_their_turn_first() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        client.write_all(b"more").unwrap();
        stream.readable().await.unwrap();
        let mut heard = |cx: &mut Context<'_>| poll_unheard(&mut stream, cx, &mut [0; 9]);
        let mut spent = false;
        poll_fn(|cx| {
            // Once with all of the task's turn used up.
            while !spent && has_budget_remaining() {
                assert!(std::pin::pin!(consume_budget()).poll(cx).is_ready());
            }
            match heard(cx) {
                Poll::Pending if !spent => spent = true,
                told => {
                    assert_eq!((told, spent), (Poll::Ready(Heard::Bytes), true));
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await;
        poll_fn(|cx| heard(cx).map(|told| assert_eq!(told, Heard::Nothing))).await;
        drop(client);
        poll_fn(|cx| match heard(cx) {
            Poll::Ready(Heard::End) => Poll::Ready(()),
            told => {
                assert_eq!(told, Poll::Ready(Heard::Nothing));
                Poll::Pending
            }
        })
        .await;
    }
}
