//! Says in a few words why no answer came. Only our own words and those of the
//! operating system: never a URL, a header's value, or anything a participant sent.

use std::error::Error;
use std::io;

use tercet_wire::NotAllowed;

use super::allowance::TooMuch;
use super::connect::ConnectError;
use super::connections::CallError;

/// Why a call got no status line.
pub(crate) fn why<E: Error + 'static>(error: &CallError<E>) -> String {
    let answer = match error {
        CallError::Connect(error) => return no_connection(error),
        CallError::Request(error) => return error.to_string(),
        CallError::TooMuch(too_much) => return too_much.to_string(),
        CallError::Answer(answer) => answer,
    };
    // With TLS 1.3 a certificate is refused only after the handshake.
    if let Some(tls) = of_tls(answer) {
        return tls;
    }
    // The innermost is the operating system's.
    if let Some(io) = chain(answer).filter_map(|cause| cause.downcast_ref::<io::Error>()).last() {
        return io_failure(io.kind(), false);
    }
    if answer.is_parse_too_large() {
        // As long as a head may be it is read, so it is their number.
        "the answer has more than 100 header lines".to_owned()
    } else if answer.is_parse() {
        "the answer is not HTTP".to_owned()
    } else {
        "connection lost before an answer".to_owned()
    }
}

/// By which rule nobody was called, if it was by one.
pub(crate) fn not_allowed<E>(error: &CallError<E>) -> Option<&NotAllowed> {
    match error {
        CallError::Connect(ConnectError::NotAllowed(not_allowed)) => Some(not_allowed),
        CallError::Connect(_)
        | CallError::Answer(_)
        | CallError::TooMuch(_)
        | CallError::Request(_) => None,
    }
}

fn no_connection(error: &ConnectError) -> String {
    match error {
        ConnectError::Unresolved(_)
        | ConnectError::NotInTime
        | ConnectError::Shortage(_)
        | ConnectError::NotAllowed(_)
        | ConnectError::Url => error.to_string(),
        ConnectError::Tcp(error) => io_failure(error.kind(), true),
        ConnectError::Tls(error) => {
            if let Some(tls) = of_tls(error) {
                return tls;
            }
            match chain(error).any(|cause| cause.is::<TooMuch>()) {
                true => "TLS failed: the handshake has no end".to_owned(),
                false => io_failure(error.kind(), true),
            }
        }
    }
}

/// What TLS says of it.
fn of_tls(error: &(dyn Error + 'static)) -> Option<String> {
    let tls = chain(error).find_map(|cause| cause.downcast_ref::<rustls::Error>())?;
    Some(format!("TLS failed: {tls}"))
}

/// An error and what caused it, outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn Error + 'static)| within(*cause))
}

/// An `io::Error` that wraps another error gives that one's source for its own, and so
/// hides the error itself.
fn within<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => cause.source(),
    }
}

fn io_failure(kind: io::ErrorKind, connecting: bool) -> String {
    match (kind, connecting) {
        (io::ErrorKind::ConnectionRefused, _) => "connection refused".to_owned(),
        (
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof,
            false,
        ) => "connection lost before an answer".to_owned(),
        (kind, true) => format!("no connection: {kind}"),
        (kind, false) => format!("no answer: {kind}"),
    }
}
