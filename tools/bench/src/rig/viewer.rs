//! Somebody who looks: fetches lists and pages of a daemon, one after the other.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::RigError;
use crate::clock;

/// Longest that a view may take before it is given up: far beyond what is bearable.
const PATIENCE: Duration = Duration::from_secs(30);

/// A view as it came: how long it took, and of what size it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) took: Duration,
    pub(crate) bytes: usize,
}

/// Fetches a path, on a connection of its own, and reads all of it.
///
/// # Errors
/// It is not answered with 200.
pub(crate) fn view(address: SocketAddr, path: &str) -> Result<View, RigError> {
    let begun = clock::now();
    let answer = answer(address, path)?;
    Ok(View { took: clock::now().saturating_duration_since(begun), bytes: answer.len() })
}

/// The gid of the newest transaction.
///
/// # Errors
/// There is none.
pub(crate) fn some_gid(address: SocketAddr) -> Result<String, RigError> {
    let path = "/v1/transactions?limit=1";
    let text = answer(address, path)?;
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let list: Value = serde_json::from_str(body).unwrap_or_default();
    let gid = list["items"][0]["gid"].as_str();
    let none = || RigError::View { path: path.to_owned(), answer: "no transaction".to_owned() };
    gid.map(str::to_owned).ok_or_else(none)
}

fn answer(address: SocketAddr, path: &str) -> Result<String, RigError> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A browser's words: pages are for these.
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/html,application/json\r\n\
         connection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(answer);
    }
    let first = answer.lines().next().unwrap_or_default().to_owned();
    Err(RigError::View { path: path.to_owned(), answer: first })
}
