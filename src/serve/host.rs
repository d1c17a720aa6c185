//! The form of a `Host` header's value (RFC 9110 §7.2: `uri-host [ ":" port ]`). Nothing is looked up
//! by it: a server that is reached serves, whatever it is called.

use std::net::Ipv6Addr;

/// Whether `value` has that form. It may be empty: a target may have no authority.
pub(super) fn is_well_formed(value: &[u8]) -> bool {
    let host = value.trim_ascii();
    let (name_is_fine, after) = match host.strip_prefix(b"[") {
        Some(inside) => {
            let end = inside.iter().position(|byte| *byte == b']').unwrap_or(inside.len());
            (is_ip_literal(&inside[..end]), inside.get(end + 1..))
        }
        None => {
            let end = host.iter().position(|byte| *byte == b':').unwrap_or(host.len());
            (is_name(&host[..end]), Some(&host[end..]))
        }
    };
    let port_is_fine = match after {
        Some([]) => true,
        Some([b':', port @ ..]) => port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    name_is_fine && port_is_fine
}

/// What may stand in brackets: an IPv6 address, or one of a version to come (RFC 3986 §3.2.2).
fn is_ip_literal(literal: &[u8]) -> bool {
    if let [b'v' | b'V', future @ ..] = literal {
        let mut halves = future.splitn(2, |byte| *byte == b'.');
        let version = halves.next().unwrap_or_default();
        let address = halves.next().unwrap_or_default();
        let is_fine = |byte: &u8| *byte == b':' || is_plain(*byte);
        return [version, address].iter().all(|half| !half.is_empty())
            && version.iter().all(u8::is_ascii_hexdigit)
            && address.iter().all(is_fine);
    }
    std::str::from_utf8(literal).is_ok_and(|literal| literal.parse::<Ipv6Addr>().is_ok())
}

/// A registered name or an IPv4 address (RFC 3986 §3.2.2): the one's form takes the other in.
fn is_name(name: &[u8]) -> bool {
    let mut pieces = name.split(|byte| *byte == b'%');
    pieces.next().is_none_or(|first| first.iter().copied().all(is_plain))
        && pieces.all(|piece| {
            piece.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
                && piece[2..].iter().copied().all(is_plain)
        })
}

/// An unreserved character or a sub-delimiter (RFC 3986 §2.2, §2.3).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for good in [
            "",
            "a",
            "film.example",
            "film.example:8080",
            "film.example:",
            "127.0.0.1:80",
            "a_b",
            "-",
            "[::1]",
            "[::1]:8080",
            "[::ffff:1.2.3.4]",
            "[v1.a:b]",
            "%41.b",
            ":80",
            " a ",
            "a:99999",
        ] {
            assert!(is_well_formed(good.as_bytes()), "{good:?}");
        }
        for bad in [
            "a b",
            "a/b",
            "a,b/",
            "user@a",
            "a:b",
            "a:80:80",
            "a:-1",
            "::1",
            "[::1",
            "::1]",
            "[::1]80",
            "[]",
            "[1.2.3.4]",
            "[v1]",
            "[v.a]",
            "[::1%25eth0]",
            "a%4",
            "a%zz",
            "a\"",
            "<a>",
            "a?b",
            "a#",
            "a\\b",
            "http://a",
            "a\u{e9}",
            "[::1]:8o",
        ] {
            assert!(!is_well_formed(bad.as_bytes()), "{bad:?}");
        }
    }
}
