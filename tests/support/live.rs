//! Both ends of a stream: an encoder that sends chunk by chunk, and a reader that takes an answer apart
//! as it comes.
#![allow(dead_code)] // Each test uses a part.

use super::{Client, Server};
use std::collections::HashMap;

/// A value of this type sends a stream.
pub struct Encoder(pub Client);

impl Encoder {
    /// Begins a chunked upload.
    pub fn begin(server: &Server, path: &str) -> Encoder {
        Encoder::with(server.connect(), path)
    }

    /// The same on a connection that is there.
    pub fn with(mut client: Client, path: &str) -> Encoder {
        client.request(&format!("PUT {path} HTTP/1.1\nTransfer-Encoding: chunked"));
        Encoder(client)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat());
    }

    /// Ends the stream; the status of the answer.
    pub fn end(mut self) -> u16 {
        self.0.send("0\r\n\r\n");
        self.0.response("PUT").status
    }
}

/// A value of this type receives one answer's body as it comes.
pub struct Reader {
    client: Client,
    pub status: u16,
    pub headers: HashMap<String, String>,
    chunked: bool,
    /// What came and was not taken.
    raw: Vec<u8>,
    body: Vec<u8>,
    /// It ended, and said so.
    whole: bool,
    /// It ended.
    over: bool,
}

impl Reader {
    /// Asks, and receives the head of the answer.
    pub fn ask(server: &Server, head: &str) -> Reader {
        Reader::with(server.connect(), head)
    }

    pub fn with(mut client: Client, head: &str) -> Reader {
        client.request(head);
        let (status, headers) = client.head().expect("an answer");
        let chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
        let raw = client.take_ahead();
        let mut reader = Reader {
            client,
            status,
            headers,
            chunked,
            raw,
            body: Vec::new(),
            whole: false,
            over: false,
        };
        reader.decode();
        reader
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The next `count` bytes of the body.
    #[track_caller]
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.body.len() < count {
            assert!(!self.over, "it ended {} bytes early", count - self.body.len());
            self.receive();
        }
        self.body.drain(..count).collect()
    }

    /// What is left of the body, and whether its end was said to be the end.
    pub fn rest(mut self) -> (Vec<u8>, bool) {
        while !self.over {
            self.receive();
        }
        (self.body, self.whole)
    }

    fn receive(&mut self) {
        let mut chunk = vec![0; 64 * 1024];
        match self.client.receive(&mut chunk) {
            Ok(0) => {
                self.over = true;
                self.whole |= !self.chunked;
            }
            Ok(read) => self.raw.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => self.over = true,
            Err(error) => panic!("after {} bytes: {error}", self.body.len()),
        }
        self.decode();
    }

    fn decode(&mut self) {
        if !self.chunked {
            self.body.append(&mut self.raw);
            return;
        }
        while let Some(line) = self.raw.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&self.raw[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if self.raw.len() < line + 2 + size + 2 {
                return;
            }
            self.body.extend_from_slice(&self.raw[line + 2..line + 2 + size]);
            self.raw.drain(..line + 2 + size + 2);
            if size == 0 {
                (self.whole, self.over) = (true, true);
            }
        }
    }
}
