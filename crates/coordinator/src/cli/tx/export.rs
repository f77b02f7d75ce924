//! `tercet tx export`: transactions as JSON lines, whole.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;

use serde_json::Value;
use thiserror::Error;
use tokio::task::JoinHandle;

use crate::cli::exit::{Exit, complain, remark};
use crate::cli::tx::arguments::Export;
use crate::cli::tx::client::{Answered, Client, ClientError, Kind};
use crate::escape::in_json;

/// Transactions of a page.
const PAGE: u32 = 100;
/// Asked for at once; they are written in their order.
const AT_ONCE: usize = 8;
/// Lines of history of a page: as many as there may be.
const LINES: u32 = 500;

pub(super) async fn export(client: &Client, what: Export) -> Result<Exit, ClientError> {
    let out = match opened(&what) {
        Ok(out) => out,
        Err(cause) => return Ok(Exit::failed(&what.unwritten(cause))),
    };
    let mut export = Exporting { client, payload: what.payload, out, written: 0 };
    let mut cursor = what.cursor.clone();
    loop {
        let page = export.page(&what, cursor.as_deref()).await;
        match page {
            Ok(Some(next)) => cursor = Some(next),
            Ok(None) => {
                complain_of(&export, &what);
                return Ok(Exit::Well);
            }
            // Whoever reads it has heard enough.
            Err(Ended::Writing(error)) if error.kind() == ErrorKind::BrokenPipe => {
                return Ok(Exit::Well);
            }
            Err(ended) => {
                // What was written of the page that it ended in comes once more.
                if let Some(cursor) = cursor {
                    complain(format_args!(
                        "the export is not whole: go on with --cursor {cursor}, which begins with its last page"
                    ));
                }
                return match ended {
                    Ended::Asking(error) => Err(error),
                    Ended::Writing(cause) => Ok(Exit::failed(&what.unwritten(cause))),
                };
            }
        }
    }
}

fn complain_of(export: &Exporting<'_>, what: &Export) {
    if let Some(file) = &what.to {
        let written = export.written;
        remark(&format!("{written} transactions in {}", file.display()));
    }
}

fn opened(what: &Export) -> io::Result<Box<dyn Write>> {
    let Some(path) = &what.to else { return Ok(Box::new(io::stdout())) };
    let mut options = File::options();
    match what.append {
        true => options.append(true),
        false => options.write(true).create_new(true),
    };
    // Payloads, results and metadata are nobody else's to read.
    options.mode(0o600);
    Ok(Box::new(BufWriter::new(options.open(path)?)))
}

/// Why something was not written, and where.
#[derive(Debug, Error)]
#[error("{to} cannot be written")]
struct Unwritten {
    to: String,
    #[source]
    cause: io::Error,
}

impl Export {
    fn unwritten(&self, cause: io::Error) -> Unwritten {
        let to = self.to.as_ref().map(|file| file.display().to_string());
        Unwritten { to: to.unwrap_or_else(|| "standard output".to_owned()), cause }
    }
}

enum Ended {
    Asking(ClientError),
    Writing(io::Error),
}

impl From<ClientError> for Ended {
    fn from(error: ClientError) -> Self {
        Self::Asking(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Writing(error)
    }
}

struct Exporting<'a> {
    client: &'a Client,
    payload: bool,
    out: Box<dyn Write>,
    written: u64,
}

impl Exporting<'_> {
    /// Writes a page, and says where the next begins.
    async fn page(&mut self, what: &Export, cursor: Option<&str>) -> Result<Option<String>, Ended> {
        let mut query = what.filter.parameters();
        query.push(("order".into(), "oldest".to_owned()));
        query.push(("limit".into(), PAGE.to_string()));
        query.extend(cursor.map(|cursor| ("cursor".into(), cursor.to_owned())));
        let Answered { body, .. } = self.client.get(&["v1", "transactions"], &query).await?;
        let gids = body["items"].as_array().into_iter().flatten();
        let mut gids = gids.filter_map(|item| item["gid"].as_str().map(str::to_owned));
        let mut asked: VecDeque<JoinHandle<Result<Option<Value>, ClientError>>> = VecDeque::new();
        loop {
            while asked.len() < AT_ONCE
                && let Some(gid) = gids.next()
            {
                asked.push_back(tokio::spawn(whole(self.client.clone(), gid, self.payload)));
            }
            let Some(first) = asked.pop_front() else { break };
            let found = match first.await {
                Ok(found) => found?,
                Err(broken) => std::panic::resume_unwind(broken.into_panic()),
            };
            // It was forgotten between the two.
            let Some(found) = found else { continue };
            writeln!(self.out, "{}", in_json(&found.to_string()))?;
            self.written += 1;
        }
        self.out.flush()?;
        Ok(body["next_cursor"].as_str().map(str::to_owned))
    }
}

/// One as it stands, with its history as `events`.
async fn whole(client: Client, gid: String, payload: bool) -> Result<Option<Value>, ClientError> {
    let query = payload.then(|| ("include", "payload".to_owned()));
    let path = ["v1", "transactions", gid.as_str()];
    let mut body = match client.get(&path, query.as_slice()).await {
        Ok(answered) => answered.body,
        Err(error) if error.kind() == Kind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut events = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", LINES.to_string())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let path = ["v1", "transactions", gid.as_str(), "events"];
        let mut page = match client.get(&path, &query).await {
            Ok(answered) => answered.body,
            Err(error) if error.kind() == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Value::Array(lines) = page["items"].take() {
            events.extend(lines);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    body["events"] = Value::Array(events);
    Ok(Some(body))
}
