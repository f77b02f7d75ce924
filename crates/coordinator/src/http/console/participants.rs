//! Screen 4, *Participants*: how each answers, how fast, and what it has said.

use askama::Template;
use axum::Extension;
use axum::extract::Path;
use axum::response::Response;
use futures_util::future::join_all;
use http::Uri;
use tercet_wire::{
    AnswersView, BreakerState, Page, ParticipantsView, Problem, ProblemCode, SummaryView,
    TransactionView, Wall, metric,
};

use crate::http::console::act::said;
use crate::http::console::ask::{Ask, Refused};
use crate::http::console::error_page;
use crate::http::console::gauges::Gauges;
use crate::http::console::link;
use crate::http::console::moment::{Moment, grouped};
use crate::http::console::needs_you::{Row, row, seconds_shown};
use crate::http::console::shell::{Shell, Tab, page};
use crate::http::console::visit::Visitor;
use crate::http::console::words::{LastWords, is_done};

/// Settings that say how a participant is called.
const LIMITS: [&str; 11] = [
    "dispatcher.per_destination_concurrency",
    "dispatcher.per_destination_queue",
    "dispatcher.per_destination_queue_bytes",
    "dispatcher.breaker_threshold",
    "dispatcher.probe_interval_ms",
    "dispatcher.call_timeout_ms",
    "dispatcher.connect_timeout_ms",
    "retry.initial_backoff_ms",
    "retry.max_backoff_ms",
    "retry.park_after_permanent_errors",
    "retry.park_after_ms",
];

/// Transactions that wait for one participant and are looked into.
const LOOKED_INTO: usize = 40;
/// Of those, so many are shown.
const SHOWN: usize = 10;

#[derive(Template)]
#[template(path = "console/participants.html")]
struct ParticipantsPage {
    shell: Shell,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "console/participant.html")]
struct ParticipantPage {
    shell: Shell,
    row: Row,
    breaker: BreakerState,
    calls: String,
    failures: String,
    answers: Vec<(&'static str, String)>,
    ops: Vec<OfOp>,
    /// Whether its calls are counted under a label that it shares.
    shares_a_label: bool,
    failed: Vec<Failed>,
    limits: Vec<Limit>,
}

/// How one kind of call goes.
struct OfOp {
    op: String,
    calls: String,
    half: String,
    most: String,
    answers: Vec<(String, String)>,
}

/// A transaction that waits for it.
struct Failed {
    gid: String,
    href: String,
    begun: Moment,
    is_parked: bool,
    words: Option<LastWords>,
}

/// A setting that holds for it.
struct Limit {
    name: &'static str,
    value: String,
    origin: String,
}

pub(super) async fn participants(Extension(visitor): Extension<Visitor>, uri: Uri) -> Response {
    match visitor.ask().get::<ParticipantsView>("/v1/participants").await {
        Ok(all) => {
            let rows = all.items.into_iter().map(|participant| row(&visitor, participant));
            let shell = Shell::new(&visitor, Tab::Participants, "Participants").saying(said(&uri));
            page(&ParticipantsPage { shell, rows: rows.collect() })
        }
        Err(problem) => error_page::refused(&visitor, Tab::Participants, "/console", problem),
    }
}

pub(super) async fn participant(
    Extension(visitor): Extension<Visitor>,
    Path(name): Path<String>,
    uri: Uri,
) -> Response {
    match looked(&visitor, &name).await {
        Ok(filled) => {
            let shell = Shell::new(&visitor, Tab::Participants, name).saying(said(&uri));
            page(&ParticipantPage { shell, ..filled })
        }
        Err(problem) => {
            error_page::refused(&visitor, Tab::Participants, "/console/participants", problem)
        }
    }
}

async fn looked(visitor: &Visitor, name: &str) -> Result<ParticipantPage, Refused> {
    let ask = visitor.ask();
    let (all, metrics, failed) = tokio::join!(
        ask.get::<ParticipantsView>("/v1/participants"),
        ask.text("/metrics"),
        failed(visitor, name),
    );
    let found = all?.items.into_iter().find(|it| it.participant == name);
    let Some(found) = found else {
        let detail = format!(
            "this node has not called {name} lately; whatever waits for it is in the list of transactions"
        );
        return Err(Box::new(Problem::new(ProblemCode::NotFound, detail)));
    };
    let names = [metric::BRANCH_CALLS, metric::BRANCH_CALL_DURATION];
    let gauges = Gauges::read(&metrics.unwrap_or_default(), &names);
    let view = &found;
    let is_named = gauges.values(metric::BRANCH_CALLS, "participant").contains(&name);
    Ok(ParticipantPage {
        shell: Shell::new(visitor, Tab::Participants, name),
        breaker: view.breaker,
        calls: grouped(view.calls),
        failures: grouped(view.failures),
        answers: answers(view.answers),
        ops: ops(&gauges, name),
        shares_a_label: !is_named && view.calls > 0,
        failed: failed?,
        limits: limits(visitor),
        row: row(visitor, found),
    })
}

fn answers(answers: AnswersView) -> Vec<(&'static str, String)> {
    let AnswersView {
        done,
        refused,
        in_progress,
        transient_error,
        permanent_error,
        reservation_lost,
        unanswered,
    } = answers;
    let all = [
        ("done", done),
        ("refused", refused),
        ("in progress", in_progress),
        ("transient error", transient_error),
        ("permanent error", permanent_error),
        ("reservation lost", reservation_lost),
        ("unanswered", unanswered),
    ];
    all.into_iter().map(|(word, count)| (word, grouped(count))).collect()
}

fn ops(gauges: &Gauges, name: &str) -> Vec<OfOp> {
    let of = |op: &'static str| {
        let labels = [("participant", name), ("op", op)];
        let calls = gauges.count(metric::BRANCH_CALLS, &labels);
        let took = |share| {
            let seconds = gauges.quantile(metric::BRANCH_CALL_DURATION, &labels, share);
            seconds.map_or_else(|| "–".to_owned(), seconds_shown)
        };
        let answers =
            gauges.values(metric::BRANCH_CALLS, "result").into_iter().filter_map(|result| {
                let labels = [("participant", name), ("op", op), ("result", result)];
                let count = gauges.count(metric::BRANCH_CALLS, &labels);
                (count > 0).then(|| (result.replace('_', " "), grouped(count)))
            });
        (calls > 0).then(|| OfOp {
            op: op.to_owned(),
            calls: grouped(calls),
            half: took(0.5),
            most: took(0.99),
            answers: answers.collect(),
        })
    };
    ["try", "confirm", "cancel", "check"].into_iter().filter_map(of).collect()
}

/// The oldest that wait for it, with what it has said to each. Those of whose branches it has done its own
/// wait for somebody else.
async fn failed(visitor: &Visitor, name: &str) -> Result<Vec<Failed>, Refused> {
    let (ask, now) = (visitor.ask(), visitor.now());
    let limit = LOOKED_INTO.to_string();
    let query = [("participant", name), ("order", "oldest"), ("limit", limit.as_str())];
    let uri = link::with_query("/v1/transactions", query);
    let page = ask.get::<Page<SummaryView>>(&uri).await?;
    let looked = page.items.iter().map(|summary| waiting(&ask, summary, name, now));
    Ok(join_all(looked).await.into_iter().flatten().take(SHOWN).collect())
}

async fn waiting(ask: &Ask, summary: &SummaryView, name: &str, now: Wall) -> Option<Failed> {
    let uri = format!("/v1/transactions/{}", link::segment(summary.gid.as_str()));
    let view = ask.get::<TransactionView>(&uri).await.ok()?;
    let own = view.branches.iter().filter(|branch| branch.participant == name && !is_done(branch));
    let own: Vec<_> = own.collect();
    own.first()?;
    Some(Failed {
        href: link::transaction(summary.gid.as_str()),
        gid: summary.gid.to_string(),
        begun: Moment::new(summary.created_at, now),
        is_parked: own.iter().any(|branch| branch.parked),
        words: own.into_iter().find_map(|branch| LastWords::of(branch, now)),
    })
}

fn limits(visitor: &Visitor) -> Vec<Limit> {
    let all = &visitor.console().own.settings;
    let of = |name: &'static str| {
        let (section, key) = name.rsplit_once('.')?;
        let found = all.iter().find(|shown| shown.section == section && shown.key == key)?;
        Some(Limit { name, value: found.value.clone(), origin: found.origin.clone() })
    };
    LIMITS.into_iter().filter_map(of).collect()
}
