//! Which of the things that a server has is meant by a request's target.

use crate::store::root::Place;
use percent_encoding::percent_decode_str;

/// A value of this type is what a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/-/health`: whether the server is well.
    Health,
    /// `/-/metrics`: its counters.
    Metrics,
    /// `/any/other/path`: a file, or with a slash at its end (`folder`) a folder.
    Media { place: Place, folder: bool },
}

/// A value of this type is why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// It is not a path: a broken percent-encoding, a NUL.
    Malformed,
    /// It is one that names nothing that is served: a hidden name, a way out of the root.
    Nothing,
}

impl Route {
    /// The route of a target's path (RFC 3986 §3.3), as it was sent: percent-encoded.
    ///
    /// Empty segments are passed over, as most servers do.
    pub fn of(path: &str) -> Result<Route, Stray> {
        match path {
            "/-/health" => return Ok(Route::Health),
            "/-/metrics" => return Ok(Route::Metrics),
            _ => {}
        }
        let inside = path.strip_prefix('/').ok_or(Stray::Malformed)?;
        let mut segments = Vec::new();
        for segment in inside.split('/').filter(|segment| !segment.is_empty()) {
            segments.push(decode(segment)?);
        }
        let place = Place::new(segments.iter().map(Vec::as_slice)).ok_or(Stray::Nothing)?;
        Ok(Route::Media { place, folder: inside.is_empty() || inside.ends_with('/') })
    }
}

/// The bytes that a percent-encoded segment stands for. What follows a `%` must be two hexadecimal
/// digits, and a NUL is no part of a name (RFC 3986 §2.1, §7.3).
fn decode(segment: &str) -> Result<Vec<u8>, Stray> {
    let escapes = segment.split('%').skip(1);
    let whole = |escape: &str| {
        escape.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    if !escapes.into_iter().all(whole) {
        return Err(Stray::Malformed);
    }
    let bytes: Vec<u8> = percent_decode_str(segment).collect();
    if bytes.contains(&0) { Err(Stray::Malformed) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(segments: &[&[u8]], folder: bool) -> Result<Route, Stray> {
        let place = Place::new(segments.iter().copied()).unwrap();
        Ok(Route::Media { place, folder })
    }

    #[test]
    fn paths_lead_to_routes() {
        let cases: [(&str, Result<Route, Stray>); 20] = [
            ("/", media(&[], true)),
            ("/film.mp4", media(&[b"film.mp4"], false)),
            ("/a/b/", media(&[b"a", b"b"], true)),
            ("//a///b", media(&[b"a", b"b"], false)),
            ("/a%20b%23%25%3F", media(&[b"a b#%?"], false)),
            ("/%ED%95%9C", media(&["한".as_bytes()], false)),
            ("/%ff", media(&[b"\xff"], false)),
            ("/-/health", Ok(Route::Health)),
            ("/-/metrics", Ok(Route::Metrics)),
            ("/-/health/", media(&[b"-", b"health"], true)),
            ("/..", Err(Stray::Nothing)),
            ("/a/../b", Err(Stray::Nothing)),
            ("/%2e%2e/secret", Err(Stray::Nothing)),
            ("/.git/config", Err(Stray::Nothing)),
            ("/a%2fb", Err(Stray::Nothing)),
            ("/a%00b", Err(Stray::Malformed)),
            ("/a%", Err(Stray::Malformed)),
            ("/a%4", Err(Stray::Malformed)),
            ("/a%zz", Err(Stray::Malformed)),
            ("*", Err(Stray::Malformed)),
        ];
        for (path, expected) in cases {
            assert_eq!(Route::of(path), expected, "{path}");
        }
    }
}
