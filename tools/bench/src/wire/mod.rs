//! HTTP/1.1, as little of it as two programs that know each other need.

mod connection;
mod request;
mod response;

pub(crate) use connection::Connection;
pub(crate) use request::request;
pub(crate) use response::{Response, response};
use thiserror::Error;

/// What came is not what this little HTTP understands.
#[derive(Debug, Error)]
pub(crate) enum Malformed {
    /// It is no HTTP.
    #[error("not HTTP: {0}")]
    Syntax(#[from] httparse::Error),
    /// It does not say how long its body is.
    #[error("no usable content-length")]
    Length,
}

/// Most headers that are looked at.
const HEADERS: usize = 32;

/// The value of a header, if it is text.
fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok()
}

/// The length of the body that follows these headers; `absent` where they do not say.
fn body_length(
    headers: &[httparse::Header<'_>],
    absent: Option<usize>,
) -> Result<usize, Malformed> {
    match header(headers, "content-length") {
        Some(length) => length.parse().map_err(|_| Malformed::Length),
        None => absent.ok_or(Malformed::Length),
    }
}
