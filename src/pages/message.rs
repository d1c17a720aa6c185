//! The sentence under an error. It names neither the path nor the cause: those go to the log.

use http::StatusCode;

/// The body of an answer that has nothing else to say: the status in words, then what to do
/// about it where there is something to do.
pub fn message(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "400 bad request: the request could not be understood.\n",
        401 => "401 unauthorized: show the token that writers have.\n",
        403 => "403 forbidden: this is not yours to read or write.\n",
        404 => "404 not found: there is nothing here by that name.\n",
        405 => "405 method not allowed: see the Allow header for those that are.\n",
        408 => "408 request timeout: the request took too long to arrive, send it again.\n",
        409 => "409 conflict: this can't be written there now.\n",
        412 => {
            "412 precondition failed: what is there is not what you know of it, ask for it anew.\n"
        }
        413 => "413 content too large: send fewer bytes.\n",
        414 => "414 URI too long: shorten the path or the query.\n",
        417 => "417 expectation failed: only 100-continue may be expected, once.\n",
        431 => "431 request header fields too large: send fewer, or shorter ones.\n",
        500 => "500 internal server error: the log of the server says more.\n",
        501 => "501 not implemented: this transfer coding is not understood, only chunked.\n",
        503 => "503 service unavailable: busy or closing, come back later.\n",
        507 => "507 insufficient storage: the disk is full; what arrived is kept.\n",
        _ if status.is_server_error() => "The server could not answer.\n",
        _ if status.is_client_error() => "The request was refused.\n",
        _ => "",
    }
}

/// The body of a 409 where a reader wants the live edge of a stream that can only be read from its start.
pub const NOT_JOINED: &str = "409 conflict: this stream can't be joined in its middle, for the offsets in its fragments \
    count from its first byte. Read it from its start, or have it sent with ffmpeg's -movflags +default_base_moof.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_one_line_that_begins_with_its_status() {
        for code in 400..600 {
            let status = StatusCode::from_u16(code).unwrap();
            let text = message(status);
            assert!(text.ends_with(".\n") && text.lines().count() == 1, "{code}: {text:?}");
            let named = text.starts_with(|c: char| c.is_ascii_digit());
            assert!(!named || text.starts_with(&format!("{code} ")), "{code}: {text:?}");
        }
    }

    #[test]
    fn what_is_no_error_says_nothing() {
        assert_eq!(message(StatusCode::NOT_MODIFIED), "");
    }
}
