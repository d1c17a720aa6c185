//! Asks a running server whether it is well: what a container's health check calls.

use anyhow::{Context, Result, bail, ensure};
use http::Uri;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `url`, and where it has no path `/-/health`; an error says why the server isn't well.
pub fn ask(url: &str) -> Result<()> {
    let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
    ensure!(uri.scheme().is_some(), "{url} does not begin with http://: write http://{url}");
    ensure!(uri.scheme_str() == Some("http"), "{url} does not begin with http://");
    let authority = uri.authority().with_context(|| format!("{url} names no host"))?;
    let host = authority.host().trim_matches(['[', ']']);
    let addresses: Vec<_> = (host, authority.port_u16().unwrap_or(80))
        .to_socket_addrs()
        .with_context(|| format!("cannot find {host}"))?
        .collect();
    let target = match uri.path_and_query().map(|target| target.as_str()) {
        None | Some("/") => "/-/health",
        Some(target) => target,
    };
    let status = exchange(&addresses, authority.as_str(), target)
        .with_context(|| format!("no answer from {url}"))?;
    if status != "200" {
        bail!("{url} answered {status}");
    }
    Ok(())
}

/// Asks at the first of `addresses` that takes the connection: of a name such as `localhost` there may be several, and
/// the server listens at one.
fn exchange(addresses: &[SocketAddr], host: &str, target: &str) -> Result<String> {
    let mut stream = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in addresses {
        stream = TcpStream::connect_timeout(address, PATIENCE);
        if stream.is_ok() {
            break;
        }
    }
    let mut stream = stream?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut head = Vec::new();
    stream.take(4096).read_to_end(&mut head)?;
    let line = String::from_utf8_lossy(&head);
    let mut words = line.lines().next().unwrap_or_default().split(' ');
    ensure!(words.next().is_some_and(|word| word.starts_with("HTTP/1.")), "that is not HTTP");
    Ok(words.next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        net::{Shutdown, TcpListener},
        thread,
    };

    #[test]
    fn a_server_is_found_at_whichever_address_of_its_name() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        // Nobody listens there, as at ::1 beside a server at 127.0.0.1.
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let addresses = [gone, server.local_addr().unwrap()];
        let answers = thread::spawn(move || {
            let (mut client, _) = server.accept().unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            client.read_to_end(&mut Vec::new()).unwrap();
        });
        assert_eq!(exchange(&addresses, "localhost", "/-/health").unwrap(), "200");
        answers.join().unwrap();
        assert!(exchange(&[gone], "localhost", "/-/health").is_err());
    }
}
