//! Reads along with hyper, which doesn't tell all: where a request's head begins and ends, a head
//! with both Content-Length and Transfer-Encoding (RFC 9112 §6.3: an attack, to be refused), a
//! target so long that hyper would call the head too large, where 414 is the word for it, a body so long that
//! hyper would say the same of its head, and the preface of HTTP/2, at which hyper would hang up without a word.

/// A value of this type follows the bytes that one client sends, from its first request on.
#[derive(Debug)]
pub(super) struct Framing {
    at: At,
    /// The longest target that is let through, in bytes.
    target_limit: usize,
    /// Heads that have ended.
    heads: u64,
    /// Which of them, counted from 1, had two lengths.
    two_lengths: Option<u64>,
}

#[derive(Debug)]
enum At {
    /// In a head, or before its first byte.
    Head(Head),
    /// In a body of so many bytes to come.
    Body(u64),
    /// In the line that gives a chunk's size.
    ChunkSize { size: u64, digits_done: bool },
    /// In a chunk, its CRLF included.
    Chunk(u64),
    /// In the trailer section; so many bytes into a line.
    Trailers(usize),
    /// No more to follow: hyper answers what it has and closes.
    End,
    /// The same, and nothing that comes is passed on.
    Deaf,
}

#[derive(Debug, Default)]
struct Head {
    /// Whole lines so far.
    lines: usize,
    /// Bytes of the line so far.
    length: usize,
    /// Its first bytes, in lower case: enough for a name and a length.
    start: Vec<u8>,
    content_length: Option<u64>,
    /// It has a Transfer-Encoding, or a length that isn't understood.
    chunked: bool,
    /// It gave a length that is longer than the longest.
    too_long: bool,
}

/// How many of a line's first bytes are kept.
const START: usize = 48;

/// The longest body that hyper has a number for.
const LONGEST: u64 = u64::MAX - 2;

/// What hyper gets behind the line that gives a longer one: no name, so that the head can't be parsed.
const NO_NAME: &[u8] = b"\0\r\n\r\n";

/// What ends a request whose target was cut off. The host is never looked at.
const AFTER_CUT_TARGET: &[u8] = b" HTTP/1.1\r\nHost: -\r\nConnection: close\r\n\r\n";

/// The first line of an HTTP/2 connection (RFC 9113 §3.4), in lower case. Without the lines that
/// follow it is a request of an unknown version to hyper.
const PREFACE: &[u8] = b"pri * http/2.0";

/// Longer than any method and the space behind it.
const METHOD: usize = 32;

impl Framing {
    pub(super) fn new(target_limit: usize) -> Framing {
        Framing { at: At::Head(Head::default()), target_limit, heads: 0, two_lengths: None }
    }

    /// Whether a head has begun and not ended.
    pub(super) fn in_head(&self) -> bool {
        matches!(&self.at, At::Head(head) if head.lines > 0 || head.length > 0)
    }

    /// Which request, counted from 1, gave its length twice; it is the last that is followed.
    pub(super) fn two_lengths(&self) -> Option<u64> {
        self.two_lengths
    }

    /// Whether the client has more to send of a request that has begun, as far as is known.
    pub(super) fn in_request(&self) -> bool {
        !matches!(self.at, At::Head(_)) || self.in_head()
    }

    /// Follows `received`, and tells how much of it, from its start, hyper may have, and what it
    /// must have after that.
    pub(super) fn follow(&mut self, received: &[u8]) -> (usize, &'static [u8]) {
        let mut rest = received;
        while !rest.is_empty() {
            match &mut self.at {
                At::Head(head) => {
                    let line = rest.iter().position(|byte| *byte == b'\n');
                    let part = &rest[..line.unwrap_or(rest.len())];
                    if head.lines == 0 && head.length + part.len() > self.target_limit + 2 * METHOD
                    {
                        let kept = (self.target_limit + METHOD).saturating_sub(head.length);
                        let before = received.len() - rest.len();
                        self.at = At::Deaf;
                        return (before + kept.min(part.len()), AFTER_CUT_TARGET);
                    }
                    head.take(part);
                    rest = &rest[part.len()..];
                    if line.is_some() {
                        rest = &rest[1..];
                        if head.lines == 0 && head.start.trim_ascii() == PREFACE {
                            self.at = At::Deaf;
                        } else if head.end_line() {
                            self.end_head();
                        } else if head.too_long {
                            self.at = At::Deaf;
                            return (received.len() - rest.len(), NO_NAME);
                        }
                    }
                }
                At::Body(left) | At::Chunk(left) => {
                    let n = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    *left -= n as u64;
                    rest = &rest[n..];
                    if *left == 0 {
                        self.at = match self.at {
                            At::Chunk(_) => At::ChunkSize { size: 0, digits_done: false },
                            _ => At::Head(Head::default()),
                        };
                    }
                }
                At::ChunkSize { size, digits_done } => {
                    let byte = rest[0];
                    rest = &rest[1..];
                    match (byte, char::from(byte).to_digit(16)) {
                        (b'\n', _) if *size == 0 => self.at = At::Trailers(0),
                        (b'\n', _) => self.at = At::Chunk(size.saturating_add(2)),
                        (_, Some(digit)) if !*digits_done => {
                            *size = size.saturating_mul(16).saturating_add(digit.into());
                        }
                        _ => *digits_done = true,
                    }
                }
                At::Trailers(length) => {
                    match rest[0] {
                        b'\n' if *length == 0 => self.at = At::Head(Head::default()),
                        b'\n' => *length = 0,
                        b'\r' => {}
                        _ => *length += 1,
                    }
                    rest = &rest[1..];
                }
                At::End => break,
                At::Deaf => return (received.len() - rest.len(), &[]),
            }
        }
        (received.len(), &[])
    }

    fn end_head(&mut self) {
        let At::Head(head) = &self.at else { return };
        self.heads += 1;
        self.at = match (head.content_length, head.chunked) {
            (Some(_), true) => {
                self.two_lengths.get_or_insert(self.heads);
                At::End
            }
            (_, true) => At::ChunkSize { size: 0, digits_done: false },
            (Some(length), false) if length > 0 => At::Body(length),
            _ => At::Head(Head::default()),
        };
    }
}

impl Head {
    fn take(&mut self, part: &[u8]) {
        let room = START - self.start.len();
        let lower = part.iter().take(room).map(u8::to_ascii_lowercase);
        self.start.extend(lower);
        self.length += part.len();
    }

    /// Ends a line; whether it was the empty one that ends the head. Empty lines before a head are
    /// passed over (RFC 9112 §2.2).
    fn end_line(&mut self) -> bool {
        let line = self.start.trim_ascii();
        let ends_head = line.is_empty() && self.lines > 0;
        if let Some(length) = line.strip_prefix(b"content-length:") {
            let digits = std::str::from_utf8(length.trim_ascii()).unwrap_or_default();
            let length = digits.parse();
            self.too_long = length.as_ref().is_ok_and(|length| *length > LONGEST);
            self.content_length = Some(length.unwrap_or(u64::MAX));
            // A length padded past what is kept is not understood, and so refused as two would be.
            self.chunked |= self.length > START;
        }
        self.chunked |= line.starts_with(b"transfer-encoding:");
        self.lines += usize::from(!line.is_empty());
        self.length = 0;
        self.start.clear();
        ends_head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 100;

    /// Follows `stream` in pieces of `size` bytes.
    fn followed(stream: &[u8], size: usize) -> (Framing, Vec<u8>) {
        let mut framing = Framing::new(LIMIT);
        let mut passed = Vec::new();
        for piece in stream.chunks(size) {
            let (kept, more) = framing.follow(piece);
            passed.extend_from_slice(&piece[..kept]);
            passed.extend_from_slice(more);
        }
        (framing, passed)
    }

    #[test]
    fn two_lengths_are_noticed_in_the_request_that_has_them() {
        let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let sized = "POST / HTTP/1.1\r\ncontent-LENGTH:  5\r\n\r\nhello";
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3;x=5\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n";
        let both = "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n";
        let turned = "GET / HTTP/1.1\nContent-Length: 5\nTransfer-Encoding: chunked\n\n";
        let decoy = "POST / HTTP/1.1\r\nContent-Length: 48\r\n\r\n\
                     Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
        let padded = sized.replace(": ", &format!(": {}", " ".repeat(START)));
        let zeros = sized.replace("5", &format!("{}5", "0".repeat(START)));
        let cases = [
            (vec![plain, sized, chunked, decoy, plain], None),
            (vec![both], Some(1)),
            (vec![plain, turned], Some(2)),
            (vec![plain, sized, chunked, both, plain], Some(4)),
            (vec!["\r\n\r\n", plain, decoy, both], Some(3)),
            (vec![plain, &padded, both], Some(2)),
            (vec![plain, &zeros, both], Some(2)),
        ];
        for (requests, expected) in cases {
            let stream = requests.concat();
            for size in [1, 2, 7, stream.len()] {
                let (framing, passed) = followed(stream.as_bytes(), size);
                assert_eq!(framing.two_lengths, expected, "{stream:?} by {size}");
                assert_eq!(passed, stream.as_bytes());
            }
        }
    }

    #[test]
    fn a_head_is_open_from_its_first_byte_to_its_last() {
        let stream = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..=stream.len() {
            let (framing, _) = followed(&stream[..end], 5);
            assert_eq!(framing.in_head(), end > 0 && end < stream.len(), "after {end} bytes");
        }
    }

    #[test]
    fn a_target_over_the_limit_is_cut_and_the_rest_is_not_heard() {
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(1000));
        for size in [1, 10, 50, 2000] {
            let (_, passed) = followed(long.as_bytes(), size);
            let passed = String::from_utf8(passed).unwrap();
            let target = passed.split(' ').nth(1).unwrap();
            assert!(target.len() > LIMIT, "{passed}");
            assert!(passed.ends_with("Connection: close\r\n\r\n"), "{passed}");
            assert!(passed.len() < LIMIT + 200, "{passed}");
        }
        let short = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(LIMIT - 1));
        assert_eq!(followed(short.as_bytes(), 3).1, short.as_bytes());
    }

    #[test]
    fn behind_a_length_beyond_all_numbers_nothing_is_heard() {
        let request =
            |length: u64| format!("PUT /a HTTP/1.1\r\nContent-Length: {length}\r\nHost: a\r\n\r\n");
        for size in [1, 7, 200] {
            for length in [u64::MAX, u64::MAX - 1] {
                let (_, passed) = followed(request(length).as_bytes(), size);
                let passed = String::from_utf8(passed).unwrap();
                assert!(passed.ends_with(&format!("{length}\r\n\0\r\n\r\n")), "{passed}");
            }
            let known = request(u64::MAX - 2);
            assert_eq!(followed(known.as_bytes(), size).1, known.as_bytes());
        }
    }

    #[test]
    fn of_a_preface_of_http_2_the_first_line_is_passed_on() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04";
        for size in [1, 5, preface.len()] {
            assert_eq!(followed(preface, size).1, b"PRI * HTTP/2.0\r\n");
        }
    }
}
