//! What hyper answers by itself, in the words of the house. To a head that it can't parse, or that is
//! too large, it writes an answer without a body and asks no one; here that answer gets a sentence
//! and what every answer carries. It changes nothing else, and never reads a slice of a film.
//!
//! ```text
//! HTTP/1.1 400 Bad Request        HTTP/1.1 400 Bad Request
//! connection: close               connection: close
//! content-length: 0          ->   content-length: 55, content-type, x-content-type-options, ...
//! date: ...                       date: ...
//!
//!                                 400 bad request: ...
//! ```

use super::{answer::carried_by_all, ledger::Ledger};
use crate::pages;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a bare answer ends in, its date aside (RFC 9110 §5.6.7: of fixed length).
const LENGTH: &[u8] = b"content-length: 0\r\n";
const DATE: &[u8] = b"date: ";
const TAIL: usize = LENGTH.len() + DATE.len() + "Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n".len();

/// A value of this type is a socket on which no refusal leaves bare.
pub(super) struct Refusing<S> {
    socket: S,
    ledger: Arc<Ledger>,
    /// Whether pages of other origins may read it.
    cors: bool,
    /// What leaves in the place of a bare answer, and how much of it has left.
    refusal: Option<(Vec<u8>, usize)>,
}

impl<S> Refusing<S> {
    pub(super) fn new(socket: S, ledger: Arc<Ledger>, cors: bool) -> Refusing<S> {
        Refusing { socket, ledger, cors, refusal: None }
    }
}

/// Where in `written` the bare answer begins that it ends with, and the answer's status.
fn bare(written: &[u8]) -> Option<(usize, StatusCode)> {
    let tail = written.len().checked_sub(TAIL)?;
    let (before, tail) = written.split_at(tail);
    if !tail.strip_prefix(LENGTH)?.starts_with(DATE) {
        return None;
    }
    let lines = before.strip_suffix(b"connection: close\r\n").unwrap_or(before);
    let line = lines.strip_suffix(b"\r\n")?;
    let start = line.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let status = line.get(start..)?.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let status = StatusCode::from_bytes(status).ok().filter(StatusCode::is_client_error)?;
    Some((start, status))
}

/// The answer that leaves in the place of `bare`.
fn worded(bare: &[u8], status: StatusCode, cors: bool) -> Vec<u8> {
    let message = pages::message(status);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LENGTH, message.len().into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(pages::TEXT));
    carried_by_all(&mut headers, cors);
    let (lines, date) = bare.split_at(bare.len() - TAIL);
    let mut answer = lines.to_vec();
    for (name, value) in &headers {
        answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    answer.extend([&date[LENGTH.len()..], message.as_bytes()].concat());
    answer
}

impl<S: AsyncRead + Unpin> AsyncRead for Refusing<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Refusing<S> {
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
        // It stands alone or behind other heads; a body would be a slice of its own. While nothing is
        // lent, what is written is the server's own memory, and may be read.
        if let [written] = slices
            && this.ledger.lock().is_empty()
            && let Some((start, status)) = bare(written)
        {
            if start > 0 {
                return Pin::new(&mut this.socket).poll_write(cx, &written[..start]);
            }
            let (answer, left) =
                this.refusal.get_or_insert_with(|| (worded(written, status, this.cors), 0));
            while *left < answer.len() {
                match ready!(Pin::new(&mut this.socket).poll_write(cx, &answer[*left..]))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    sent => *left += sent,
                }
            }
            return Poll::Ready(Ok(written.len()));
        }
        Pin::new(&mut this.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    const BARE: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
                        date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

    /// A socket that takes a few bytes of each write, and keeps them.
    struct Narrow(Vec<u8>);

    impl AsyncWrite for Narrow {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(7);
            self.get_mut().0.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// What leaves when hyper writes `bytes`.
    fn left(bytes: &str) -> String {
        let mut socket = Refusing::new(Narrow(Vec::new()), Arc::default(), true);
        let mut written = 0;
        while written < bytes.len() {
            let rest = &bytes.as_bytes()[written..];
            let mut cx = Context::from_waker(Waker::noop());
            let Poll::Ready(n) = Pin::new(&mut socket).poll_write(&mut cx, rest) else { panic!() };
            written += n.unwrap();
        }
        String::from_utf8(socket.socket.0).unwrap()
    }

    #[test]
    fn a_bare_answer_gets_a_sentence_behind_whatever_was_written_before() {
        let older = BARE.replace("connection: close\r\n", "").replace("/1.1", "/1.0");
        let large = BARE.replace("400 Bad Request", "431 Request Header Fields Too Large");
        let before = "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n";
        for (bare, status) in [(BARE, 400), (&older, 400), (&large, 431)] {
            for before in ["", before] {
                let answer = left(&format!("{before}{bare}"));
                let answer = answer.strip_prefix(before).unwrap();
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                assert_eq!(head.lines().next(), bare.lines().next());
                assert_eq!(body, pages::message(StatusCode::from_u16(status).unwrap()));
                let length = format!("content-length: {}", body.len());
                for line in
                    [&length, "x-content-type-options: nosniff", "access-control-allow-origin: *"]
                {
                    assert_eq!(head.lines().filter(|l| *l == line).count(), 1, "{line}: {head}");
                }
                assert!(!head.contains("content-length: 0") && head.contains("\r\ndate: Sun"));
            }
        }
    }

    #[test]
    fn all_else_is_left_as_it_is() {
        let empty_film = BARE.replace("400 Bad Request", "200 OK");
        let longer = BARE.replace("content-length: 0", "content-length: 10");
        let more = BARE.replace("connection", "x: y\r\nconnection");
        for bytes in [&empty_film, &longer, &more, &BARE[1..], &BARE[..BARE.len() - 1], ""] {
            assert_eq!(left(bytes), bytes);
        }
    }
}
