//! The order people expect of names: `take 2` before `take 10`, `a` beside `A`. It never fails: a
//! name that isn't UTF-8 has its place too.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A piece of a name is a letter, or a whole run of digits standing where `0` stands.
type Piece = (char, usize, String);

/// A natural key is a name's place among its neighbours. Keys of two names are equal only when
/// the names are, since the bytes themselves settle what case and leading zeros leave open.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Natural {
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
}

impl Natural {
    pub(super) fn of(name: &OsStr) -> Natural {
        let text = name.to_string_lossy();
        let mut pieces = Vec::new();
        let mut rest = text.as_ref();
        while let Some(first) = rest.chars().next() {
            if first.is_ascii_digit() {
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                // Fewer digits are less, equally many compare as text: no number is too long.
                let digits = rest[..end].trim_start_matches('0');
                pieces.push(('0', digits.len(), digits.to_owned()));
                rest = &rest[end..];
            } else {
                pieces.extend(first.to_lowercase().map(|c| (c, 0, String::new())));
                rest = &rest[first.len_utf8()..];
            }
        }
        Natural { pieces, bytes: name.as_bytes().to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_name_comes_first() {
        let pairs: &[(&[u8], &[u8])] = &[
            (b"take 2", b"take 10"),
            (b"take 2.mp4", b"take 2a.mp4"),
            (b"take 02", b"take 3"),
            (b"take 02", b"take 2"),
            (b"a", b"B"),
            (b"B", b"c"),
            (b"A", b"a"),
            (b"a1b9", b"a1b10"),
            (b"9", b"18446744073709551616"),
            (b"18446744073709551616", b"18446744073709551617"),
            (b"0", b"1"),
            (b"1.mp4", b"a.mp4"),
            (b"-1", b"1"),
            (b"", b"a"),
            ("가".as_bytes(), "나".as_bytes()),
            (b"z", "\u{e9}".as_bytes()),
            (b"a\xfe", b"a\xff"),
        ];
        for (less, more) in pairs {
            let [l, m] = [less, more].map(|name| Natural::of(OsStr::from_bytes(name)));
            assert!(l < m, "{} < {}", less.escape_ascii(), more.escape_ascii());
        }
    }
}
