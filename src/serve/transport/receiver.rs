//! Where a connection's bytes are read. On this machine the kernel tells how many of them the
//! receiver has not read yet; it matters for pages that `sendfile` lent, which wait there unchanged
//! by the network, and show what is written to the file meanwhile.

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, TCP_LISTEN},
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags, nlas::Nla},
};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
        socket_with,
    },
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// A value of this type is the kernel's table of TCP sockets, as far as this process may see it: its
/// network namespace (sock_diag(7)); and the turns of those who ask it again and again.
pub(in crate::serve) struct Sockets {
    table: io::Result<Mutex<Asking>>,
    turns: Arc<Semaphore>,
}

/// A value of this type is a connection's turn to ask, until it is dropped.
pub(super) type Turn = Option<OwnedSemaphorePermit>;

/// The wait for a turn; those who began to wait first have theirs first.
pub(super) type Waits = dyn Future<Output = Turn> + Send;

/// The socket that questions are asked through, one at a time.
struct Asking {
    socket: OwnedFd,
    /// The number of the last question.
    number: u32,
}

/// A value of this type says who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    /// A process of this machine, whose socket can be seen.
    Here { own: SocketAddr, peer: SocketAddr },
    /// The same, but its socket can't be seen.
    Hidden,
    /// Another machine, as far as can be known.
    Elsewhere,
}

impl Receiver {
    /// Finds out who receives what is sent to `stream`.
    pub(super) fn of(stream: &TcpStream, sockets: &Sockets) -> Receiver {
        let addresses = stream.local_addr().and_then(|own| Ok((own, stream.peer_addr()?)));
        let Ok((own, peer)) = addresses else { return Receiver::Hidden };
        let (own, peer) = (canonical(own), canonical(peer));
        match sockets.read(peer, own) {
            Ok(Some(_)) => Receiver::Here { own, peer },
            _ if own.ip() == peer.ip() || peer.ip().is_loopback() => Receiver::Hidden,
            _ => Receiver::Elsewhere,
        }
    }

    /// How many of the `given` bytes that the connection's socket has taken so far the receiver has not
    /// read. `None` where only the receiver's machine knows.
    pub(super) fn unread(&self, given: u64, sockets: &Sockets) -> io::Result<Option<u64>> {
        let Receiver::Here { own, peer } = *self else { return Ok(None) };
        // A socket that is gone takes nothing more: what is sent next will fail.
        let read = sockets.read(peer, own)?.unwrap_or(given);
        Ok(Some(given.saturating_sub(read)))
    }
}

impl Sockets {
    pub(in crate::serve) fn open() -> Sockets {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = Some(netlink::SOCK_DIAG);
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol);
        let asking = socket.map(|socket| Mutex::new(Asking { socket, number: 0 }));
        Sockets { table: asking.map_err(io::Error::from), turns: Arc::new(Semaphore::new(1)) }
    }

    pub(super) fn turn(&self) -> impl Future<Output = Turn> + Send + use<> {
        let turns = self.turns.clone();
        async move { turns.acquire_owned().await.ok() }
    }

    /// How many bytes were read from the socket at `from` that is connected with `to`; `None` if there
    /// is none.
    ///
    /// The kernel answers while it takes the question, so nothing waits here.
    fn read(&self, from: SocketAddr, to: SocketAddr) -> io::Result<Option<u64>> {
        let asking = self.table.as_ref().map_err(|error| io::Error::from(error.kind()))?;
        let answer = asking.lock().unwrap_or_else(PoisonError::into_inner).ask(from, to)?;
        match answer {
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => {
                // Where no connected socket is found, a listening one is as good to the kernel; of one
                // that was closed, and only waits for its time to be over, it tells no counts.
                let received = found.nlas.iter().find_map(|attribute| match attribute {
                    Nla::TcpInfo(info) if found.header.state != TCP_LISTEN => {
                        Some(info.bytes_received)
                    }
                    _ => None,
                });
                let unread = u64::from(found.header.recv_queue);
                Ok(received.map(|received| received.saturating_sub(unread)))
            }
            NetlinkPayload::Error(error) if error.raw_code() == -Errno::NOENT.raw_os_error() => {
                Ok(None)
            }
            NetlinkPayload::Error(error) => Err(error.to_io()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Asking {
    fn ask(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
    ) -> io::Result<NetlinkPayload<SockDiagMessage>> {
        self.number = self.number.wrapping_add(1);
        send(&self.socket, &question(from, to, self.number), SendFlags::empty())?;
        loop {
            let mut answer = [0; 1024];
            let (length, _) = recv(&self.socket, &mut answer, RecvFlags::empty())?;
            let answer = NetlinkMessage::<SockDiagMessage>::deserialize(&answer[..length]);
            let answer = answer.map_err(io::Error::other)?;
            // One to an older question, whose asker could not take it.
            if answer.header.sequence_number == self.number {
                return Ok(answer.payload);
            }
        }
    }
}

fn question(from: SocketAddr, to: SocketAddr, number: u32) -> Vec<u8> {
    let socket_id = SocketId {
        source_port: from.port(),
        destination_port: to.port(),
        source_address: from.ip(),
        destination_address: to.ip(),
        interface_id: 0,
        cookie: [0xff; 8],
    };
    let request = InetRequest {
        family: if from.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::INFO,
        states: StateFlags::all(),
        socket_id,
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    header.sequence_number = number;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The address that the other end knows: a client that speaks IPv4 to a socket of both is not at an
/// address of IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = address.ip().to_canonical();
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[tokio::test]
    async fn what_waits_at_either_end_is_unread_until_it_is_read() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut reader = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let sockets = Sockets::open();
        let receiver = Receiver::of(&stream, &sockets);
        assert!(matches!(receiver, Receiver::Here { .. }), "{receiver:?}");
        assert_eq!(receiver.unread(0, &sockets).unwrap(), Some(0));
        // More than the reader's socket takes: the rest waits in the sender's.
        let mut given = 0;
        stream.writable().await.unwrap();
        while let Ok(taken) = stream.try_write(&[7; 64 * 1024]) {
            given += taken;
        }
        assert_eq!(receiver.unread(given as u64, &sockets).unwrap(), Some(given as u64));
        let mut read = vec![0; given];
        reader.read_exact(&mut read[..given - 1]).unwrap();
        assert_eq!(receiver.unread(given as u64, &sockets).unwrap(), Some(1));
        reader.read_exact(&mut read[given - 1..]).unwrap();
        assert_eq!(receiver.unread(given as u64, &sockets).unwrap(), Some(0));
        assert_eq!(Receiver::Elsewhere.unread(given as u64, &sockets).unwrap(), None);
    }

    #[tokio::test]
    async fn an_answer_to_an_older_question_is_passed_over() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let reader = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let sockets = Sockets::open();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let asking = sockets.table.as_ref().unwrap().lock().unwrap();
        send(&asking.socket, &question(nobody, nobody, 0), SendFlags::empty()).unwrap();
        drop(asking);
        assert!(matches!(Receiver::of(&stream, &sockets), Receiver::Here { .. }));
        drop(reader);
    }
}
