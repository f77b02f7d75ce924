//! `tercet reconcile`: a participant's books beside the coordinator's.
//!
//! ```text
//!   participant: GET {endpoint}/branches ── a page ──▶ coordinator: each of its transactions
//!                     ▲                                     │ differs?
//!                     └──── the page once more ◀────────────┘  and the transaction: does it still?
//! ```
//!
//! Both go on while they are compared, so what seems to differ is looked at twice: a row that was read before its
//! Confirm came differs from a transaction that was read after it, and neither is wrong.

mod books;
mod compare;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, ValueEnum};
use serde_json::json;
use tercet_wire::{BookEntry, Gid, Page, TransactionView, Wall};
use tokio::task::JoinSet;
use url::Url;

use self::books::Books;
use self::compare::{Difference, Finding, compare};
use crate::cli::exit::{Exit, say_json, say_line};
use crate::cli::tx::arguments::{Output, Where};
use crate::cli::tx::client::{Client, ClientError, Kind, NO_QUERY};
use crate::cli::tx::{on_runtime, refused};

/// Transactions asked for at once.
const AT_ONCE: usize = 16;
/// Findings that `-o json` holds until the end; beyond that there are more, which `-o jsonl` tells as it finds them.
const MOST_KEPT: usize = 10_000;

/// `tercet reconcile`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reconcile {
    /// The participant's endpoint: {ENDPOINT}/branches is read
    #[arg(value_name = "ENDPOINT")]
    endpoint: Url,
    /// Only what was called at this RFC 3339 time or later, give or take a day
    #[arg(long, value_name = "TIME")]
    since: Option<Wall>,
    /// Call now what only waits: what is decided there, and not acknowledged from here
    #[arg(long)]
    retry: bool,
    #[command(flatten)]
    at: Where,
    /// How it looks; json is one document at the end, jsonl a line for each finding
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    Jsonl,
}

pub(in crate::cli) fn reconcile(flags: Reconcile) -> Exit {
    let output = if flags.output == Form::Text { Output::Text } else { Output::Json };
    let asked = on_runtime(&flags.at, async |client| {
        let books = Books::at(&client, flags.endpoint.clone())?;
        Comparison::new(&flags, client, books).run().await
    });
    match asked {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => refused(&error, output),
        Err(exit) => exit,
    }
}

/// A comparison under way.
struct Comparison<'a> {
    flags: &'a Reconcile,
    coordinator: Client,
    books: Books,
    compared: u64,
    differ: u64,
    wait: u64,
    retried: u64,
    /// What `-o json` will tell.
    kept: Vec<Finding>,
}

impl<'a> Comparison<'a> {
    fn new(flags: &'a Reconcile, coordinator: Client, books: Books) -> Self {
        let kept = Vec::new();
        Self { flags, coordinator, books, compared: 0, differ: 0, wait: 0, retried: 0, kept }
    }

    async fn run(mut self) -> Result<Exit, ClientError> {
        let mut after = None;
        loop {
            let Page { items, next_cursor } = self.books.page(after.as_deref()).await?;
            self.page(after.as_deref(), items).await?;
            if next_cursor.is_none() {
                break;
            }
            if next_cursor == after {
                return Err(self.books.strange("a page that leads to itself"));
            }
            after = next_cursor;
        }
        self.close();
        Ok(if self.differ > 0 { Exit::Failed } else { Exit::Well })
    }

    async fn page(&mut self, after: Option<&str>, rows: Vec<BookEntry>) -> Result<(), ClientError> {
        let since = self.flags.since;
        let is_meant = |row: &BookEntry| since.is_none_or(|since| row.at >= since);
        let rows: Vec<BookEntry> = rows.into_iter().filter(is_meant).collect();
        self.compared += rows.len() as u64;
        let there = self.transactions(&rows).await?;
        let known = |row: &BookEntry| there.get(&row.gid).and_then(Option::as_ref);
        let suspects: Vec<BookEntry> =
            rows.into_iter().filter(|row| compare(row, known(row)).is_some()).collect();
        if suspects.is_empty() {
            return Ok(());
        }
        // The same page once more, by the cursor that the participant gave: it need not know any other.
        let again = self.books.page(after).await?.items;
        let mut found = Vec::new();
        for suspect in suspects {
            let is_it = |row: &&BookEntry| row.gid == suspect.gid && row.branch == suspect.branch;
            let row = match again.iter().find(is_it) {
                Some(row) => Some(row.clone()),
                // It has gone, or so much came before it that it is on the next page.
                None => self.books.row(&suspect.gid, &suspect.branch).await?,
            };
            let Some(row) = row else { continue };
            let known = look(self.coordinator.clone(), row.gid.clone()).await?;
            found.extend(compare(&row, known.as_ref()));
        }
        self.tell(found).await
    }

    /// Each transaction as the coordinator knows it, or that it does not.
    async fn transactions(
        &self,
        rows: &[BookEntry],
    ) -> Result<BTreeMap<Gid, Option<TransactionView>>, ClientError> {
        let gids: BTreeSet<&Gid> = rows.iter().map(|row| &row.gid).collect();
        let mut found = BTreeMap::new();
        let mut asked = JoinSet::new();
        let mut gids = gids.into_iter();
        loop {
            while asked.len() < AT_ONCE
                && let Some(gid) = gids.next().cloned()
            {
                let client = self.coordinator.clone();
                asked.spawn(async move { (gid.clone(), look(client, gid).await) });
            }
            match asked.join_next().await {
                Some(Ok((gid, known))) => found.insert(gid, known?),
                Some(Err(broken)) => std::panic::resume_unwind(broken.into_panic()),
                None => return Ok(found),
            };
        }
    }

    async fn tell(&mut self, found: Vec<Finding>) -> Result<(), ClientError> {
        let is_first = self.differ + self.wait == 0;
        let (wait, differ): (Vec<&Finding>, Vec<&Finding>) =
            found.iter().partition(|finding| finding.what == Difference::Waits);
        self.differ += differ.len() as u64;
        self.wait += wait.len() as u64;
        if self.flags.retry {
            let gids: BTreeSet<&Gid> = wait.iter().map(|finding| &finding.gid).collect();
            for gid in gids {
                self.retry(gid).await?;
            }
        }
        match self.flags.output {
            Form::Text => text::lines(&found, is_first).iter().for_each(|line| say_line(line)),
            Form::Jsonl => found.iter().for_each(|finding| say_json(&json!(finding))),
            Form::Json => {
                let room = MOST_KEPT.saturating_sub(self.kept.len());
                self.kept.extend(found.into_iter().take(room));
            }
        }
        Ok(())
    }

    async fn retry(&mut self, gid: &Gid) -> Result<(), ClientError> {
        let path = ["v1", "transactions", gid.as_str(), "retry"];
        match self.coordinator.post(&path, NO_QUERY, None).await {
            Ok(_) => self.retried += 1,
            // It has ended since.
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Conflict) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn close(&self) {
        let Self { compared, differ, wait, retried, .. } = self;
        match self.flags.output {
            Form::Text => {
                let retried = if self.flags.retry { Some(*retried) } else { None };
                say_line(&text::summary(*compared, *differ, *wait, retried));
            }
            Form::Json => say_json(&json!({
                "compared": compared, "differ": differ, "wait": wait, "retried": retried,
                "items": self.kept,
            })),
            Form::Jsonl => {}
        }
    }
}

/// A transaction as the coordinator knows it.
async fn look(client: Client, gid: Gid) -> Result<Option<TransactionView>, ClientError> {
    match client.get(&["v1", "transactions", gid.as_str()], NO_QUERY).await {
        Ok(answered) => match serde_json::from_value(answered.body) {
            Ok(view) => Ok(Some(view)),
            Err(_) => Err(client.strange(answered.status)),
        },
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
