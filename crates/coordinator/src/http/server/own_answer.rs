//! What hyper answers itself, to what is no HTTP, as problems like all others.
//!
//! hyper gives nobody a say in it: it writes a bare status line and closes. So the bytes that it
//! writes are looked at. No answer of ours is taken for one of these: every error of ours has a
//! body.

use http::StatusCode;
use http::header;
use tercet_wire::{Problem, ProblemCode};

use crate::http::response::problem::PROBLEM_JSON;
use crate::http::server::{HEAD_BYTES, HEADER_LINES};

/// An answer that hyper gives itself.
#[derive(Debug)]
pub(super) struct OwnAnswer {
    pub(super) status: StatusCode,
    /// What is to be written in place of what hyper wrote.
    pub(super) text: Vec<u8>,
}

/// The answer of hyper's that these bytes end with, if it is a bare error. `head_bytes` were read
/// since the last request.
pub(super) fn in_place_of(bytes: &[u8], head_bytes: usize) -> Option<OwnAnswer> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let at = bytes.windows(7).rposition(|window| window == b"HTTP/1.")?;
    let (before, own) = bytes.split_at(at);
    let own = std::str::from_utf8(own).ok()?;
    let status = own.get(9..12)?.parse().ok().filter(StatusCode::is_client_error)?;
    let is_bare = own.to_ascii_lowercase().contains("\r\ncontent-length: 0\r\n");
    is_bare.then(|| {
        let text = [before, answer(own, status, head_bytes).as_bytes()].concat();
        OwnAnswer { status, text }
    })
}

fn answer(own: &str, status: StatusCode, head_bytes: usize) -> String {
    let problem = problem(status.as_u16(), head_bytes);
    // A problem is plain data and always becomes JSON.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut text = format!("{} {} {reason}\r\n", &own[..8], status.as_u16());
    let headers = own.lines().skip(1).take_while(|line| !line.is_empty());
    for line in headers.filter(|line| !line.to_ascii_lowercase().starts_with("content-length:")) {
        text.push_str(line);
        text.push_str("\r\n");
    }
    let (kind, length) = (header::CONTENT_TYPE, header::CONTENT_LENGTH);
    text.push_str(&format!("{kind}: {PROBLEM_JSON}\r\n{length}: {}\r\n\r\n{body}", body.len()));
    text
}

fn problem(status: u16, head_bytes: usize) -> Problem {
    match status {
        431 if head_bytes < HEAD_BYTES => {
            let detail = format!("the request has more than {HEADER_LINES} header lines");
            Problem::new(ProblemCode::HeadersTooLarge, detail)
        }
        431 => {
            let detail = format!(
                "the request's line and headers have more than {HEAD_BYTES} bytes, or more than \
                 {HEADER_LINES} header lines"
            );
            Problem::new(ProblemCode::HeadersTooLarge, detail)
        }
        414 => {
            let detail = format!("the request's path and query have more than {HEAD_BYTES} bytes");
            Problem::new(ProblemCode::UriTooLong, detail)
        }
        _ => {
            let detail = "head: this is not a request of HTTP/1.1: its line is malformed, or one \
                          of its headers has a name, a value, a length or an encoding that cannot \
                          be, a space before its colon, or goes on in the next line";
            Problem::new(ProblemCode::InvalidRequest, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
                        date: Thu, 20 Nov 2025 12:00:00 GMT\r\n\r\n";

    fn told(bytes: &str, head_bytes: usize) -> Option<String> {
        let own = in_place_of(bytes.as_bytes(), head_bytes);
        own.map(|own| String::from_utf8(own.text).expect("UTF-8"))
    }

    #[test]
    fn a_bare_error_becomes_a_problem_of_the_same_status() {
        for (status, code, what) in [
            ("400 Bad Request", "invalid-request", "head: this is not"),
            ("431 Request Header Fields Too Large", "headers-too-large", "than 100 header lines"),
            ("414 URI Too Long", "uri-too-long", "path and query"),
        ] {
            let bare = BARE.replace("400 Bad Request", status);
            let text = told(&bare, 9_000).expect("it is one");
            let (head, body) = text.split_once("\r\n\r\n").expect("a body");
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\nconnection: close\r\n")));
            assert!(head.contains("content-type: application/problem+json"), "{head}");
            assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
            assert_eq!(head.matches("content-length").count(), 1, "{head}");
            let problem: Problem = serde_json::from_str(body).expect("a problem");
            assert_eq!((problem.code.as_str(), &status[..3]), (code, &*problem.status.to_string()));
            assert!(problem.detail.contains(what), "{}", problem.detail);
        }
        let long = told(&BARE.replace("400", "431"), HEAD_BYTES).expect("it is one");
        assert!(long.contains("65536 bytes"), "{long}");
    }

    #[test]
    fn an_answer_before_it_in_the_same_piece_is_left_as_it_is() {
        let before = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";
        let text = told(&format!("{before}{BARE}"), 40).expect("it is one");
        assert!(text.starts_with(&format!("{before}HTTP/1.1 400 Bad Request\r\n")), "{text}");
        assert!(text.ends_with('}'), "{text}");
    }

    #[test]
    fn nothing_else_is_taken_for_one() {
        for other in [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 120\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nHTTP/1.1 ",
            "the rest of a body",
            "",
        ] {
            assert_eq!(told(other, 40), None, "{other:?}");
        }
    }
}
