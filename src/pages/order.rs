//! The order people expect of names: `take 2` before `take 10`, `a` beside `A`. It never fails: a
//! name that isn't UTF-8 has its place too.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A natural key is a name's place among its neighbours. Keys of two names are equal only when
/// the names are, since the bytes themselves settle what case and leading zeros leave open.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Natural {
    /// The letters in lower case, in UTF-8, whose bytes have the order of the letters. A run of
    /// digits stands where `0` stands: a zero, how many digits there are, the digits. Kept in one
    /// piece, since a folder may have many long names.
    letters: Vec<u8>,
    bytes: Vec<u8>,
}

impl Natural {
    pub(super) fn of(name: &OsStr) -> Natural {
        let text = name.to_string_lossy();
        let mut letters = Vec::with_capacity(text.len());
        let mut rest = text.as_ref();
        while let Some(first) = rest.chars().next() {
            if first.is_ascii_digit() {
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                // Fewer digits are less, equally many compare as text: no number is too long.
                let digits = rest[..end].trim_start_matches('0');
                letters.push(b'0');
                letters.extend(digits.len().to_be_bytes());
                letters.extend(digits.as_bytes());
                rest = &rest[end..];
            } else {
                let mut letter = [0; 4];
                for lower in first.to_lowercase() {
                    letters.extend(lower.encode_utf8(&mut letter).as_bytes());
                }
                rest = &rest[first.len_utf8()..];
            }
        }
        Natural { letters, bytes: name.as_bytes().to_vec() }
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
