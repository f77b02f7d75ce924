//! `tercet tx`: what operators do, over the HTTP API. What is printed goes to stdout, why
//! something was not done to stderr; the exit code says which it was.

mod arguments;
mod asking;
mod audit;
mod bulk;
mod client;
mod export;
mod jobs;
mod participants;
mod reconcile;
mod restored;
mod saga;
mod saga_text;
mod stats;
mod table;
mod text;
mod token;
mod watch;

pub(super) use arguments::{Output, Tx, Where};
pub(super) use asking::Asks;
pub(super) use audit::{Audit, audit};
pub(super) use jobs::{Jobs, jobs};
pub(super) use participants::{Participants, participants};
pub(super) use reconcile::{Reconcile, reconcile};
pub(super) use restored::{RestoredCommand, restored};
pub(super) use saga::{Saga, saga};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
pub(super) use stats::{Stats, stats};
use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::{
    EventView, Op, Page, PendingResolutionView, RetriedView, Status, SummaryView, Wall,
};
use url::Url;

use crate::cli::exit::{Exit, complain, remark, say, say_json, show, with_causes};
use crate::cli::line::{Line, wrapped};
use crate::cli::terminal::width;
use crate::cli::tx::arguments::{As, Filter, List, Resolve, Retry, What};
use crate::cli::tx::asking::is_meant;
use crate::cli::tx::client::Answered;
pub(super) use crate::cli::tx::client::{Client, ClientError, Kind, NO_QUERY};
pub(super) use crate::cli::tx::text::lasting;
use crate::cli::tx::token::token;
use crate::escape::for_people;
use crate::tls::{self, TlsFiles};

/// Who is asked where nobody says who.
const DEFAULT_URL: &str = "http://127.0.0.1:7200";
/// The longest that a resolution waits for a call under way, in milliseconds.
const RESOLVE_WAIT_MS: u32 = 60_000;
/// Transactions counted before a question is asked about all of them; beyond it there are more.
const MOST_COUNTED: u32 = 500;
/// Lines of history shown; `-o json` and the API have all.
const HISTORY_LINES: u32 = 500;

pub(super) fn tx(flags: Tx) -> Exit {
    let Tx { what, at, output, yes } = flags;
    let now = SystemClock::start().now().wall;
    ask(&at, output, async |client| Desk { client, output, now, yes }.work(what).await)
}

/// Asks a coordinator, and says how that ended.
fn ask(
    at: &Where,
    output: Output,
    work: impl AsyncFnOnce(Client) -> Result<Exit, ClientError>,
) -> Exit {
    match on_runtime(at, work) {
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
    let client = try_client_of(at, at.url.clone()).map_err(Exit::usage)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Exit::failed(&error))?;
    Ok(client.and_then(|client| runtime.block_on(ask(client))))
}

/// Who asks it at this URL; or why nobody can.
pub(super) fn client_of(at: &Where, url: Option<Url>) -> Result<Client, String> {
    try_client_of(at, url)?.map_err(|error| with_causes(&error))
}

/// The same; what is wrong with what was asked for is said in words, what is wrong else is an error.
fn try_client_of(at: &Where, url: Option<Url>) -> Result<Result<Client, ClientError>, String> {
    let token = token(at.token_file.as_deref()).map_err(|error| error.to_string())?;
    let files = TlsFiles::of_flags(at.ca.as_ref(), at.cert.as_ref(), at.key.as_ref());
    let tls = files.read().and_then(tls::client).map_err(|wrong| with_causes(&wrong))?;
    let url = match url {
        Some(url) => url,
        None => Url::parse(DEFAULT_URL).map_err(|error| error.to_string())?,
    };
    Ok(Client::new(url, token, tls))
}

/// Says why nothing was done. Scripts that asked for JSON get the problem as it came.
fn refused(error: &ClientError, output: Output) -> Exit {
    if let (Output::Json | Output::Jsonl, ClientError::Refused(problem)) = (output, error) {
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
            What::List(list) if list.watch => watch::list(self, list).await,
            What::List(list) => self.list(list).await,
            What::Show { gid, watch: true, .. } => watch::one(self, &gid).await,
            What::Show { gid, payload, watch: false } => self.show(&gid, payload).await,
            What::Export(what) => export::export(&self.client, what).await,
            What::Retry(retry) => self.retry(retry).await,
            What::Confirm { gid, despite_hold } => {
                self.decide(&gid, "confirm", despite_hold, None).await
            }
            What::Cancel { gid, reason, despite_hold } => {
                let reason = reason.map(|reason| json!({ "reason": reason }));
                self.decide(&gid, "cancel", despite_hold, reason).await
            }
            What::Resolve(resolve) => self.resolve(resolve).await,
            What::Bulk(bulk) => self.bulk(bulk).await,
            What::Readdress(word) => {
                let path = ["v1", "transactions", &word.gid, "branches", &word.branch];
                let Answered { body, .. } = self.client.patch(&path, &word.body()).await?;
                self.print(&body, |view| text::transaction(view, self.now, width()));
                Ok(Exit::Well)
            }
        }
    }

    async fn list(&self, list: List) -> Result<Exit, ClientError> {
        let query = list.query();
        let Answered { body, .. } = self.client.get(&["v1", "transactions"], &query).await?;
        self.print(&body, |page: &Page<SummaryView>| {
            text::list(&page.items, page.next_cursor.as_deref(), self.now, width())
        });
        Ok(Exit::Well)
    }

    async fn show(&self, gid: &str, payload: bool) -> Result<Exit, ClientError> {
        let path = ["v1", "transactions", gid];
        let query = payload.then(|| ("include", "payload".to_owned()));
        let Answered { body, .. } = self.client.get(&path, query.as_slice()).await?;
        self.print(&body, |view| text::transaction(view, self.now, width()));
        if self.output == Output::Text {
            let path = ["v1", "transactions", gid, "events"];
            let query = [("limit", HISTORY_LINES.to_string())];
            let Answered { body, .. } = self.client.get(&path, &query).await?;
            self.print(&body, |page: &Page<EventView>| {
                text::history(&page.items, page.next_cursor.is_some(), width())
            });
        }
        Ok(Exit::Well)
    }

    async fn retry(&self, retry: Retry) -> Result<Exit, ClientError> {
        let Some(gid) = retry.gid else {
            let parameters = retry.filter.parameters();
            if !self.yes && !self.is_meant(&retry.filter).await? {
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
        self.print(&body, |view| text::transaction(view, self.now, width()));
        for branch in body["branches"].as_array().into_iter().flatten() {
            if branch["paused"] == true {
                let id = branch["id"].as_str().unwrap_or_default();
                self.remark(&format!(
                    "NOT called: {id}, whose participant is paused. It is called once that is resumed: tercet \
                     participants"
                ));
            }
        }
        Ok(Exit::Well)
    }

    /// Whether all that the filter finds is meant.
    async fn is_meant(&self, filter: &Filter) -> Result<bool, ClientError> {
        let mut query = filter.parameters();
        if filter.status.is_none() {
            let unfinished = Status::ALL.iter().filter(|status| !status.is_finished());
            let unfinished: Vec<&str> = unfinished.map(|status| status.as_str()).collect();
            query.push(("status".into(), unfinished.join(",")));
        }
        query.push(("limit".into(), MOST_COUNTED.to_string()));
        let Answered { body, .. } = self.client.get(&["v1", "transactions"], &query).await?;
        let found = body["items"].as_array().map_or(0, Vec::len);
        let more = if body["next_cursor"].is_null() { "" } else { "more than " };
        let what = match filter.is_everything() {
            true => format!("without a filter that is all of them: {more}{found} transactions"),
            false => format!("that is {more}{found} transactions"),
        };
        Ok(is_meant(Asks::RetryAll, &what, "Call what waits in them now?"))
    }

    async fn decide(
        &self,
        gid: &str,
        decision: &str,
        despite_hold: bool,
        body: Option<Value>,
    ) -> Result<Exit, ClientError> {
        let path = ["v1", "transactions", gid, decision];
        let query = despite_hold.then(|| ("despite_hold", "true".to_owned()));
        let Answered { status, body } = self.client.post(&path, query.as_slice(), body).await?;
        self.print(&body, |view| text::transaction(view, self.now, width()));
        if status == 202 {
            self.remark("not finished yet: it goes on by itself");
        }
        Ok(Exit::Well)
    }

    async fn resolve(&self, resolve: Resolve) -> Result<Exit, ClientError> {
        let Resolve { gid, branch, as_, note } = resolve;
        if !self.yes {
            for warning in self.before_it_is_resolved(&gid, &branch, as_).await? {
                wrapped(&for_people(&warning), width()).iter().for_each(|part| remark(part));
            }
            let what = format!("{gid} {branch} will count as {}, for good", as_.as_str());
            if !is_meant(Asks::Resolve, &what, "Resolve it?") {
                return Ok(Exit::Usage);
            }
        }
        let as_ = as_.as_str();
        let body = match note {
            Some(note) => json!({ "as": as_, "note": note }),
            None => json!({ "as": as_ }),
        };
        let path = ["v1", "transactions", &gid, "branches", &branch, "resolve"];
        let query = [("wait_ms", RESOLVE_WAIT_MS.to_string())];
        let Answered { status, body } = self.client.post(&path, &query, Some(body)).await?;
        self.print(&body, |view| text::transaction(view, self.now, width()));
        if status == 202 {
            // It was asked for and has not happened: a script must not take it for done.
            self.remark(
                "NOT resolved yet: a call is under way. See what came of it with tercet tx show",
            );
            return Ok(Exit::Failed);
        }
        Ok(Exit::Well)
    }

    /// What is to be known before a branch is resolved: whose word is taken already, and whether it is the
    /// opposite of what was decided.
    async fn before_it_is_resolved(
        &self,
        gid: &str,
        branch: &str,
        as_: As,
    ) -> Result<Vec<String>, ClientError> {
        let Answered { body, .. } = self.client.get(&["v1", "transactions", gid], NO_QUERY).await?;
        let mut branches = body["branches"].as_array().into_iter().flatten();
        let pending = branches.find(|it| it["id"] == branch).map(|it| &it["pending_resolution"]);
        let pending = pending.and_then(|it| PendingResolutionView::deserialize(it).ok());
        let already = pending.map(|PendingResolutionView { as_, by, note, .. }| {
            let note = note.map_or_else(|| ", without a note".to_owned(), |note| format!(": {note}"));
            format!(
                "{branch} is already resolved as {as_} by {by}{note}. That stays, also if you say the same once more."
            )
        });
        // What is undecided is refused, and of a newer coordinator there may be words we do not know.
        let status = Status::deserialize(&body["status"]).ok();
        let is_against = |op: &Op| *op != as_.op();
        let decided = status.and_then(Status::decided_op).filter(is_against);
        let against = decided.map(|decided| {
            let as_ = as_.as_str();
            format!(
                "WARNING: the decision of {gid} is {decided}. With this branch {as_} it will be mixed: its other \
                 branches follow the decision, and this one does not."
            )
        });
        Ok(already.into_iter().chain(against).collect())
    }

    fn print<T: DeserializeOwned, L: Into<Line>>(&self, body: &Value, text: impl Fn(&T) -> Vec<L>) {
        print(self.output, body, text);
    }

    fn remark(&self, what: &str) {
        match self.output {
            Output::Text => say(format_args!("\n{what}")),
            Output::Json | Output::Jsonl => complain(what),
        }
    }
}

/// What the coordinator said: as it came, or as text if it is what we know.
fn print<T: DeserializeOwned, L: Into<Line>>(
    output: Output,
    body: &Value,
    text: impl Fn(&T) -> Vec<L>,
) {
    let read = match output {
        Output::Json => None,
        Output::Jsonl => return print_lines(body),
        // Of a newer coordinator there may be words we do not know: then as it came.
        Output::Text => T::deserialize(body).ok(),
    };
    match read {
        Some(value) => text(&value).into_iter().for_each(|line| show(&line.into())),
        None => say_json(body),
    }
}

/// A line for each thing in it.
fn print_lines(body: &Value) {
    match body["items"].as_array() {
        Some(items) => items.iter().for_each(say_json),
        None => say_json(body),
    }
    if let Some(cursor) = body["next_cursor"].as_str() {
        complain(format_args!("there are more: --cursor {cursor}"));
    }
}
