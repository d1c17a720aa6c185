//! A file's name -> its Content-Type. Never looks inside the file.

use std::{ffi::OsStr, path::Path};

use http::HeaderValue;

use super::header;

/// The type of a file, told by its extension in any case; of an unknown one, that it is bytes.
pub fn content_type(name: &OsStr) -> HeaderValue {
    let extension = Path::new(name).extension().and_then(OsStr::to_str).unwrap_or_default();
    let extension = extension.to_ascii_lowercase();
    match media(&extension) {
        Some(known) => HeaderValue::from_static(known),
        None => guess(&extension),
    }
}

/// Where the common table is silent or out of date; that it is right about the rest, the tests watch.
fn media(extension: &str) -> Option<&'static str> {
    Some(match extension {
        // Segments too: no player looks for video/iso.segment, and Safari's HLS wants video/mp4.
        "m4v" | "m4s" => "video/mp4",
        "m4a" => "audio/mp4",
        "ts" | "mts" | "m2ts" => "video/mp2t",
        "m3u8" => "application/vnd.apple.mpegurl",
        _ => return None,
    })
}

/// The rest of the world; text is taken for UTF-8, as browsers would else read it as Windows-1252.
fn guess(extension: &str) -> HeaderValue {
    match mime_guess::from_ext(extension).first_raw() {
        Some(text) if text.starts_with("text/") => header(format!("{text}; charset=utf-8")),
        Some(other) => HeaderValue::from_static(other),
        None => HeaderValue::from_static("application/octet-stream"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_name_has_its_type() {
        let table = [
            ("film.mp4", "video/mp4"),
            ("film.m4v", "video/mp4"),
            ("seg-1.m4s", "video/mp4"),
            ("film.mov", "video/quicktime"),
            ("film.webm", "video/webm"),
            // RFC 9559 registers video/matroska, but players have long known only the x- name
            ("film.mkv", "video/x-matroska"),
            ("cam.ts", "video/mp2t"),
            ("cam.mts", "video/mp2t"),
            ("cam.m2ts", "video/mp2t"),
            ("list.m3u8", "application/vnd.apple.mpegurl"),
            ("list.mpd", "application/dash+xml"),
            ("film.vtt", "text/vtt; charset=utf-8"),
            ("film.srt", "application/x-subrip"),
            ("song.mp3", "audio/mpeg"),
            ("song.m4a", "audio/mp4"),
            ("song.aac", "audio/aac"),
            // RFC 5334 keeps .ogg for sound; moving pictures are .ogv
            ("song.ogg", "audio/ogg"),
            ("song.oga", "audio/ogg"),
            ("song.opus", "audio/ogg"),
            ("film.ogv", "video/ogg"),
            ("song.wav", "audio/wav"),
            ("song.flac", "audio/flac"),
            ("poster.jpg", "image/jpeg"),
            ("poster.jpeg", "image/jpeg"),
            ("poster.png", "image/png"),
            // the rest by the common table, text as UTF-8
            ("poster.webp", "image/webp"),
            ("notes.txt", "text/plain; charset=utf-8"),
            ("page.html", "text/html; charset=utf-8"),
            ("page.js", "text/javascript; charset=utf-8"),
            ("logo.svg", "image/svg+xml"),
            ("page.json", "application/json"),
            // in any case, and by the last extension alone
            ("FILM.MP4", "video/mp4"),
            ("Cam.M2ts", "video/mp2t"),
            ("PAGE.HTML", "text/html; charset=utf-8"),
            ("film.mp4.vtt", "text/vtt; charset=utf-8"),
            // no extension, or none that is known
            ("film", "application/octet-stream"),
            ("film.", "application/octet-stream"),
            (".mp4", "application/octet-stream"),
            ("", "application/octet-stream"),
            ("film.reelmap", "application/octet-stream"),
        ];
        for (name, expected) in table {
            assert_eq!(content_type(name.as_ref()), expected, "{name}");
        }
    }

    #[test]
    fn a_name_that_is_no_text_still_has_an_extension() {
        assert_eq!(content_type(OsStr::from_bytes(b"\xff\xfe.mp4")), "video/mp4");
        let unreadable = content_type(OsStr::from_bytes(b"film.\xff\xfe"));
        assert_eq!(unreadable, "application/octet-stream");
    }
}
