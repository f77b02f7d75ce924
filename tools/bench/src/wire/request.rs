//! What a participant is asked.

use super::{HEADERS, Malformed, body_length, header};

/// A call that has come in whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// What is called.
    pub(crate) path: &'a str,
    /// Which attempt the caller says it is; the first where it does not say.
    pub(crate) attempt: u32,
    /// Bytes of the whole request.
    pub(crate) length: usize,
}

/// Reads the first request; none if it has not come in whole.
///
/// # Errors
/// It is no request.
pub(crate) fn request(bytes: &[u8]) -> Result<Option<Request<'_>>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = parsed.parse(bytes)? else { return Ok(None) };
    let length = head + body_length(parsed.headers, Some(0))?;
    let attempt = header(parsed.headers, "tercet-attempt").and_then(|text| text.parse().ok());
    let path = parsed.path.unwrap_or("/");
    let whole = bytes.len() >= length;
    Ok(whole.then_some(Request { path, attempt: attempt.unwrap_or(1), length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &[u8] =
        b"POST /b1/accept/try HTTP/1.1\r\nTercet-Attempt: 2\r\nContent-Length: 2\r\n\r\n{}POST";

    #[test]
    fn a_call_is_read_when_it_is_whole_and_not_before() {
        let whole = CALL.len() - "POST".len();
        let expected = Request { path: "/b1/accept/try", attempt: 2, length: whole };
        assert_eq!(request(CALL).expect("HTTP"), Some(expected));
        for cut in 0..whole {
            assert_eq!(request(&CALL[..cut]).expect("HTTP so far"), None, "{cut} bytes");
        }
    }
}
