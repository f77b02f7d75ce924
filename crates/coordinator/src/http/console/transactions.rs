//! Screen 2, *Transactions*: found by what is known of them, the oldest first.

use askama::Template;
use axum::Extension;
use axum::response::Response;
use futures_util::future::join_all;
use http::Uri;
use serde_json::Value;
use tercet_wire::{Page, Reason, StatsView, SummaryView, TransactionView, Wall};

use crate::http::console::act::{invalid, said};
use crate::http::console::ask::{Ask, Refused};
use crate::http::console::error_page;
use crate::http::console::facets::{Group, facets};
use crate::http::console::filters::Filters;
use crate::http::console::link;
use crate::http::console::moment::Moment;
use crate::http::console::shell::{Shell, Tab, page};
use crate::http::console::visit::Visitor;
use crate::http::console::words::{LastWords, Pill, Tone, is_done};

#[derive(Template)]
#[template(path = "console/transactions.html")]
struct TransactionsPage {
    shell: Shell,
    filters: Filters,
    groups: Vec<Group>,
    reasons: &'static [Reason],
    columns: Vec<String>,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
    problem: Option<Refused>,
}

/// A transaction in the list.
struct Row {
    gid: String,
    href: String,
    pattern: &'static str,
    saga: Option<String>,
    status: Pill,
    is_parked: bool,
    is_held: bool,
    is_mixed: bool,
    reason: Option<&'static str>,
    created: Moment,
    /// How many branches have done what was decided, of how many.
    done: Option<usize>,
    branches: Option<usize>,
    held_by: Vec<HeldBy>,
    words: Option<LastWords>,
    metadata: Vec<String>,
}

/// Whom it waits for.
struct HeldBy {
    participant: String,
    href: String,
    is_parked: bool,
}

pub(super) async fn transactions(Extension(visitor): Extension<Visitor>, uri: Uri) -> Response {
    let filters = Filters::of(uri.query().unwrap_or_default());
    let ask = visitor.ask();
    let (stats, list) = tokio::join!(ask.get::<StatsView>("/v1/stats"), list(&visitor, &filters));
    let stats = match stats {
        Ok(stats) => stats,
        Err(problem) => {
            return error_page::refused(&visitor, Tab::Transactions, "/console", problem);
        }
    };
    // A filter that makes no sense is said beside the filters, where it can be mended.
    let (rows, next, problem) = match list {
        Ok((rows, next)) => (rows, next, None),
        Err(problem) => (Vec::new(), None, Some(problem)),
    };
    let groups = facets(&ask, &filters, &stats, visitor.now()).await;
    let shell = Shell::new(&visitor, Tab::Transactions, "Transactions").saying(said(&uri));
    page(&TransactionsPage {
        shell,
        groups,
        reasons: Reason::ALL,
        columns: filters.columns(),
        rows,
        next: next.map(|cursor| filters.next(&cursor)),
        is_first: filters.get("cursor").is_empty(),
        problem,
        filters,
    })
}

async fn list(visitor: &Visitor, filters: &Filters) -> Result<(Vec<Row>, Option<String>), Refused> {
    if let Some(word) = filters.no_pair() {
        let word: String = word.chars().take(64).collect();
        let what =
            format!("metadata: {word:?} is no pair: write key=value, several with commas between");
        return Err(invalid(&what));
    }
    let (ask, now) = (visitor.ask(), visitor.now());
    let query = filters.query(now);
    let query = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let uri = link::with_query("/v1/transactions", query);
    let Page { items, next_cursor } = ask.get::<Page<SummaryView>>(&uri).await?;
    let columns = filters.columns();
    let rows = items.into_iter().map(|summary| {
        let (ask, columns) = (&ask, &columns);
        async move {
            let branches = branches(ask, &summary, now).await;
            let metadata = columns.iter().map(|key| shown(summary.metadata.as_ref(), key));
            Row {
                href: link::transaction(summary.gid.as_str()),
                gid: summary.gid.to_string(),
                pattern: summary.pattern.as_str(),
                saga: summary.saga.as_ref().map(|saga| saga.name.to_string()),
                status: Pill::of_status(summary.status, summary.parked),
                is_parked: summary.parked,
                is_held: summary.held,
                is_mixed: summary.mixed,
                reason: summary.reason.map(Reason::as_str),
                created: Moment::new(summary.created_at, now),
                metadata: metadata.collect(),
                ..branches
            }
        }
    });
    Ok((join_all(rows).await, next_cursor))
}

/// What is known of its branches; of one that has ended no more than the list says.
async fn branches(ask: &Ask, summary: &SummaryView, now: Wall) -> Row {
    let count = summary.branch_count.and_then(|count| usize::try_from(count).ok());
    let mut row = Row {
        gid: String::new(),
        href: String::new(),
        pattern: "",
        saga: None,
        status: Pill::new(Tone::Quiet, ""),
        is_parked: false,
        is_held: false,
        is_mixed: false,
        reason: None,
        created: Moment::new(summary.created_at, summary.created_at),
        done: None,
        branches: count,
        held_by: Vec::new(),
        words: None,
        metadata: Vec::new(),
    };
    if summary.status.is_finished() {
        row.done = count;
        return row;
    }
    let uri = format!("/v1/transactions/{}", link::segment(summary.gid.as_str()));
    let Ok(view) = ask.get::<TransactionView>(&uri).await else { return row };
    row.branches = Some(view.branches.len());
    row.done = Some(view.branches.iter().filter(|branch| is_done(branch)).count());
    let mut waiting: Vec<_> = view.branches.iter().filter(|branch| !is_done(branch)).collect();
    waiting.sort_by_key(|branch| (!branch.parked, branch.last_error.is_none()));
    row.words = waiting.iter().find_map(|branch| LastWords::of(branch, now));
    for branch in waiting {
        if row.held_by.iter().all(|held| held.participant != branch.participant) {
            row.held_by.push(HeldBy {
                participant: branch.participant.clone(),
                href: link::participant(&branch.participant),
                is_parked: branch.parked,
            });
        }
    }
    row
}

/// A value of somebody's metadata.
fn shown(metadata: Option<&Value>, key: &str) -> String {
    let value = metadata.and_then(|metadata| metadata.get(key));
    let text = match value {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let text: String = text.chars().take(80).collect();
    crate::escape::for_people(&text).into_owned()
}

impl TransactionsPage {
    /// Whether somebody who is asked (`check`) may be meant, who has no branch to be found by.
    fn is_of_a_participant(&self) -> bool {
        !self.filters.get("participant").is_empty()
    }

    /// Whether there is something that could be done to those of the list.
    fn can_choose(&self) -> bool {
        self.shell.may_act() && self.filters.is_of_unfinished()
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.problem.is_none()
    }
}
