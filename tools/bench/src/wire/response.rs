//! What the coordinator answers.

use super::{HEADERS, Malformed, body_length, header};

/// An answer that has come in whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    /// The status code.
    pub(crate) code: u16,
    /// The transaction's status.
    pub(crate) status: Option<&'a str>,
    /// Where the transaction is.
    pub(crate) location: Option<&'a str>,
    /// The body.
    pub(crate) body: &'a [u8],
    /// Bytes of the whole answer.
    pub(crate) length: usize,
}

/// Reads the first answer; none if it has not come in whole.
///
/// # Errors
/// It is no answer, or does not say how long it is.
pub(crate) fn response(bytes: &[u8]) -> Result<Option<Response<'_>>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = parsed.parse(bytes)? else { return Ok(None) };
    let length = head + body_length(parsed.headers, None)?;
    let Some(body) = bytes.get(head..length) else { return Ok(None) };
    Ok(Some(Response {
        code: parsed.code.unwrap_or(0),
        status: header(parsed.headers, "tercet-status"),
        location: header(parsed.headers, "location"),
        body,
        length,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 201 Created\r\ntercet-status: confirmed\r\n\
        location: transactions/x\r\ncontent-length: 2\r\n\r\n{}HTTP";

    #[test]
    fn an_answer_is_read_when_it_is_whole_and_not_before() {
        let whole = ANSWER.len() - "HTTP".len();
        let expected = Response {
            code: 201,
            status: Some("confirmed"),
            location: Some("transactions/x"),
            body: b"{}",
            length: whole,
        };
        assert_eq!(response(ANSWER).expect("HTTP"), Some(expected));
        for cut in 0..whole {
            assert_eq!(response(&ANSWER[..cut]).expect("HTTP so far"), None, "{cut} bytes");
        }
    }

    #[test]
    fn an_answer_without_a_length_is_an_error_and_not_waited_for() {
        assert!(response(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
