//! `tercet tx`: what operators do, over the HTTP API. What is printed goes to stdout, why
//! something was not done to stderr; the exit code says which it was.

mod arguments;
mod audit;
mod client;
mod participants;
mod reconcile;
mod saga;
mod saga_text;
mod table;
mod text;
mod token;

use std::io::{self, IsTerminal as _};

pub(super) use arguments::Tx;
pub(super) use audit::{Audit, audit};
pub(super) use participants::{Participants, participants};
pub(super) use reconcile::{Reconcile, reconcile};
pub(super) use saga::{Saga, saga};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::{EventView, Page, RetriedView, Status, SummaryView, Wall};

use crate::cli::exit::{Exit, complain, say, say_json, say_line, with_causes};
use crate::cli::tx::arguments::{As, List, Output, Resolve, Retry, What, Where};
use crate::cli::tx::client::{Answered, Client, ClientError, Kind, NO_QUERY};
use crate::cli::tx::token::token;
use crate::tls::{self, TlsFiles};

/// The longest that a resolution waits for a call under way, in milliseconds.
const RESOLVE_WAIT_MS: u32 = 60_000;
/// Transactions counted before a question is asked about all of them; beyond it there are more.
const MOST_COUNTED: u32 = 500;
/// Lines of history shown; `-o json` and the API have all.
const HISTORY_LINES: u32 = 500;

pub(super) fn tx(flags: Tx) -> Exit {
    let Tx { what, at, output, yes } = flags;
    let now = SystemClock::start().now().wall;
    let done = on_runtime(&at, async |client| Desk { client, output, now, yes }.work(what).await);
    match done {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => refused(&error, output),
        Err(exit) => exit,
    }
}

/// Asks a coordinator whatever is to be asked, on a runtime made for it.
///
/// # Errors
/// Nobody could be asked; why was said.
fn on_runtime<T>(
    at: &Where,
    ask: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
) -> Result<Result<T, ClientError>, Exit> {
    let token = token(at.token_file.as_deref()).map_err(Exit::usage)?;
    let files = TlsFiles::of_flags(at.ca.as_ref(), at.cert.as_ref(), at.key.as_ref());
    let tls = files.read().and_then(tls::client);
    let tls = tls.map_err(|wrong| Exit::usage(with_causes(&wrong)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Exit::failed(&error))?;
    let client = Client::new(at.url.clone(), token, tls);
    Ok(client.and_then(|client| runtime.block_on(ask(client))))
}

/// Says why nothing was done. Scripts that asked for JSON get the problem as it came.
fn refused(error: &ClientError, output: Output) -> Exit {
    if let (Output::Json, ClientError::Refused(problem)) = (output, error) {
        say_json(&json!(problem));
    }
    let exit = Exit::failed(error);
    if let (Output::Text, ClientError::Refused(problem)) = (output, error) {
        complain(problem.code.what_to_do());
    }
    match error.kind() {
        Kind::Usage => Exit::Usage,
        Kind::NotFound => Exit::NotFound,
        Kind::Conflict => Exit::Conflict,
        Kind::Auth => Exit::Auth,
        Kind::Unreachable => Exit::Unreachable,
        Kind::Failed => exit,
    }
}

/// Where the operator's wishes are seen to.
struct Desk {
    client: Client,
    output: Output,
    now: Wall,
    /// Whether questions are answered with yes, unasked.
    yes: bool,
}

impl Desk {
    async fn work(&self, what: What) -> Result<Exit, ClientError> {
        match what {
            What::List(list) => self.list(list).await,
            What::Show { gid, payload } => self.show(&gid, payload).await,
            What::Retry(retry) => self.retry(retry).await,
            What::Confirm { gid } => self.decide(&gid, "confirm", None).await,
            What::Cancel { gid, reason } => {
                self.decide(&gid, "cancel", reason.map(|reason| json!({ "reason": reason }))).await
            }
            What::Resolve(resolve) => self.resolve(resolve).await,
            What::Readdress(word) => {
                let path = ["v1", "transactions", &word.gid, "branches", &word.branch];
                let Answered { body, .. } = self.client.patch(&path, &word.body()).await?;
                self.print(&body, |view| text::transaction(view, self.now));
                Ok(Exit::Well)
            }
        }
    }

    async fn list(&self, list: List) -> Result<Exit, ClientError> {
        let mut query = list.filter.parameters();
        query.extend(list.order.map(|order| ("order".into(), order)));
        query.extend(list.limit.map(|limit| ("limit".into(), limit.to_string())));
        query.extend(list.cursor.map(|cursor| ("cursor".into(), cursor)));
        let Answered { body, .. } = self.client.get(&["v1", "transactions"], &query).await?;
        self.print(&body, |page: &Page<SummaryView>| {
            text::list(&page.items, page.next_cursor.as_deref(), self.now)
        });
        Ok(Exit::Well)
    }

    async fn show(&self, gid: &str, payload: bool) -> Result<Exit, ClientError> {
        let path = ["v1", "transactions", gid];
        let query = payload.then(|| ("include", "payload".to_owned()));
        let Answered { body, .. } = self.client.get(&path, query.as_slice()).await?;
        self.print(&body, |view| text::transaction(view, self.now));
        if self.output == Output::Text {
            let path = ["v1", "transactions", gid, "events"];
            let query = [("limit", HISTORY_LINES.to_string())];
            let Answered { body, .. } = self.client.get(&path, &query).await?;
            self.print(&body, |page: &Page<EventView>| {
                text::history(&page.items, page.next_cursor.is_some())
            });
        }
        Ok(Exit::Well)
    }

    async fn retry(&self, retry: Retry) -> Result<Exit, ClientError> {
        let Some(gid) = retry.gid else {
            let parameters = retry.filter.parameters();
            if retry.filter.is_everything() && !self.yes && !self.is_meant().await? {
                return Ok(Exit::Usage);
            }
            let Answered { body, .. } = self.client.walk(&["v1", "retry"], &parameters).await?;
            self.print(&body, |RetriedView { retried }| {
                vec![format!("{retried} transactions: what was waiting is called now")]
            });
            return Ok(Exit::Well);
        };
        let path = ["v1", "transactions", &gid, "retry"];
        let Answered { body, .. } = self.client.post(&path, NO_QUERY, None).await?;
        self.print(&body, |view| text::transaction(view, self.now));
        Ok(Exit::Well)
    }

    /// Whether whoever named no filter means every transaction there is. Somebody at a terminal
    /// is asked; a script is told what to add.
    async fn is_meant(&self) -> Result<bool, ClientError> {
        let unfinished = Status::ALL.iter().filter(|status| !status.is_finished());
        let unfinished: Vec<&str> = unfinished.map(|status| status.as_str()).collect();
        let query = [("status", unfinished.join(",")), ("limit", MOST_COUNTED.to_string())];
        let Answered { body, .. } = self.client.get(&["v1", "transactions"], &query).await?;
        let found = body["items"].as_array().map_or(0, Vec::len);
        let more = if body["next_cursor"].is_null() { "" } else { "more than " };
        let all = format!("without a filter that is all of them: {more}{found} transactions");
        if !io::stdin().is_terminal() {
            complain(format_args!(
                "{all}. Add a filter (--participant, --parked, --status, --created-after, \
                 --created-before), or --yes if all are meant"
            ));
            return Ok(false);
        }
        complain(format_args!("{all}. Call what waits in all of them now? [y/N]"));
        let mut answer = String::new();
        // Whoever cannot be heard has not said yes.
        let _ = io::stdin().read_line(&mut answer);
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    async fn decide(
        &self,
        gid: &str,
        decision: &str,
        body: Option<Value>,
    ) -> Result<Exit, ClientError> {
        let path = ["v1", "transactions", gid, decision];
        let Answered { status, body } = self.client.post(&path, NO_QUERY, body).await?;
        self.print(&body, |view| text::transaction(view, self.now));
        if status == 202 {
            self.remark("not finished yet: it goes on by itself");
        }
        Ok(Exit::Well)
    }

    async fn resolve(&self, resolve: Resolve) -> Result<Exit, ClientError> {
        let Resolve { gid, branch, as_, note } = resolve;
        let as_ = match as_ {
            As::Confirmed => "confirmed",
            As::Cancelled => "cancelled",
        };
        let body = match note {
            Some(note) => json!({ "as": as_, "note": note }),
            None => json!({ "as": as_ }),
        };
        let path = ["v1", "transactions", &gid, "branches", &branch, "resolve"];
        let query = [("wait_ms", RESOLVE_WAIT_MS.to_string())];
        let Answered { status, body } = self.client.post(&path, &query, Some(body)).await?;
        self.print(&body, |view| text::transaction(view, self.now));
        if status == 202 {
            // It was asked for and has not happened: a script must not take it for done.
            self.remark(
                "NOT resolved yet: a call is under way. See what came of it with tercet tx show",
            );
            return Ok(Exit::Failed);
        }
        Ok(Exit::Well)
    }

    /// What the coordinator said: as it came, or as text if it is what we know.
    fn print<T: DeserializeOwned>(&self, body: &Value, text: impl Fn(&T) -> Vec<String>) {
        let read = match self.output {
            Output::Json => None,
            // Of a newer coordinator there may be words we do not know: then as it came.
            Output::Text => T::deserialize(body).ok(),
        };
        match read {
            Some(value) => text(&value).iter().for_each(|line| say_line(line)),
            None => say_json(body),
        }
    }

    fn remark(&self, what: &str) {
        match self.output {
            Output::Text => say(format_args!("\n{what}")),
            Output::Json => complain(what),
        }
    }
}
