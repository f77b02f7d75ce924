//! Says in a few words why no answer came. Only our own words and those of the
//! operating system: never a URL, a header's value, or anything a participant sent.

use std::error::Error;
use std::io;

use super::connect::NotInTime;
use super::connections::CallError;

/// Why a call got no status line.
pub(super) fn why(error: &CallError) -> String {
    if causes(error).any(|cause| cause.is::<NotInTime>()) {
        return NotInTime.to_string();
    }
    // The resolver's error has no type of its own to go by.
    if causes(error).any(|cause| cause.to_string() == "dns error") {
        return "could not resolve host".to_owned();
    }
    if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return format!("TLS failed: {tls}");
    }
    let connecting = matches!(error, CallError::Connect(_));
    // The innermost is the operating system's.
    if let Some(io) = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last() {
        return io_failure(io.kind(), connecting);
    }
    if let Some(http) = causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>()) {
        return if http.is_parse() {
            "the answer is not HTTP".to_owned()
        } else {
            "connection lost before an answer".to_owned()
        };
    }
    match connecting {
        true => "no connection".to_owned(),
        false => "no answer".to_owned(),
    }
}

/// What caused an error, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| within(*cause))
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
