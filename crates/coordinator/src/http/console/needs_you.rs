//! Screen 1, *Needs you*: whose fault it is, since when, how many wait, and what the participant said.

use askama::Template;
use axum::Extension;
use axum::response::Response;
use futures_util::future::join_all;
use http::Uri;
use tercet_wire::{
    Page, ParticipantView, ParticipantsView, PausedView, ProblemCode, StatsView, Status,
    SummaryView, TransactionView, Wall, metric,
};

use crate::http::console::act::said;
use crate::http::console::ask::{Ask, Refused};
use crate::http::console::error_page;
use crate::http::console::gauges::Gauges;
use crate::http::console::link;
use crate::http::console::moment::{Moment, grouped, lasting};
use crate::http::console::shell::{Shell, Tab, page};
use crate::http::console::trend::Trend;
use crate::http::console::visit::Visitor;
use crate::http::console::words::{LastWords, Pill, Tone, is_done};

/// Destinations whose last words are looked for: those in most trouble.
const LOOKED_INTO: usize = 12;

#[derive(Template)]
#[template(path = "console/needs_you.html")]
struct NeedsYou {
    shell: Shell,
    pulse: Pulse,
    rows: Vec<Row>,
    well: Vec<Row>,
}

/// How it stands with all of it.
pub(super) struct Pulse {
    /// Why the node that is asked takes no work, where it does not.
    pub(super) not_ready: Option<Refused>,
    /// What the database says; none while it cannot write, since nobody is told then how it stands.
    pub(super) counts: Option<Counts>,
    pub(super) journal: JournalPulse,
}

/// How many there are, and the nodes that drive them.
pub(super) struct Counts {
    pub(super) unfinished: Vec<Count>,
    pub(super) finished: Vec<Count>,
    pub(super) parked: String,
    pub(super) has_parked: bool,
    pub(super) quarantined: u64,
    pub(super) oldest: Option<String>,
    pub(super) nodes: Vec<NodePulse>,
}

/// How many there are of something, and where they are listed.
pub(super) struct Count {
    pub(super) word: &'static str,
    pub(super) count: String,
    pub(super) href: String,
}

/// How the journal keeps up.
pub(super) struct JournalPulse {
    pub(super) queue: String,
    pub(super) commit: Option<String>,
    pub(super) slowest: Option<String>,
    pub(super) failures: u64,
}

/// A node.
pub(super) struct NodePulse {
    pub(super) id: String,
    pub(super) state: Pill,
    pub(super) owned: String,
    pub(super) url: String,
    pub(super) since: Moment,
}

/// A destination.
pub(super) struct Row {
    pub(super) participant: String,
    pub(super) href: String,
    pub(super) list: String,
    /// As filter of what waits for it.
    pub(super) filter: String,
    pub(super) state: Pill,
    pub(super) since: Option<Moment>,
    pub(super) waiting: String,
    pub(super) parked: String,
    pub(super) in_flight: u64,
    pub(super) rate: String,
    pub(super) failing: String,
    pub(super) trend: Trend,
    pub(super) paused: Option<PausedView>,
    pub(super) paused_at: Option<Moment>,
    pub(super) parked_count: u64,
    pub(super) waiting_count: u64,
    pub(super) held: HeldUp,
}

/// The oldest that waits for a destination, and what was said to it.
#[derive(Default)]
pub(super) struct HeldUp {
    pub(super) oldest: Option<Moment>,
    pub(super) gid: Option<String>,
    pub(super) href: String,
    pub(super) words: Option<LastWords>,
}

pub(super) async fn needs_you(Extension(visitor): Extension<Visitor>, uri: Uri) -> Response {
    match looked(&visitor).await {
        Ok((pulse, rows)) => {
            let (rows, well) = rows.into_iter().partition(|row: &Row| row.state.tone != Tone::Good);
            let shell = Shell::new(&visitor, Tab::NeedsYou, "Needs you").saying(said(&uri));
            page(&NeedsYou { shell, pulse, rows, well })
        }
        Err(problem) => error_page::refused(&visitor, Tab::NeedsYou, "/console", problem),
    }
}

async fn looked(visitor: &Visitor) -> Result<(Pulse, Vec<Row>), Refused> {
    let ask = visitor.ask();
    let participants = async { ask.get::<ParticipantsView>("/v1/participants").await };
    let (pulse, all) = tokio::join!(pulse(visitor), participants);
    let pulse = pulse?;
    let mut rows: Vec<Row> =
        all?.items.into_iter().map(|participant| row(visitor, participant)).collect();
    rows.sort_by(|a, b| {
        let of = |row: &Row| (row.state.tone, std::cmp::Reverse(row.trouble()));
        of(a).cmp(&of(b)).then_with(|| a.participant.cmp(&b.participant))
    });
    // Lists are not told either while counts are not.
    let most = if pulse.counts.is_some() { LOOKED_INTO } else { 0 };
    let held = rows.iter().take(most).map(|row| held_up(&ask, row, visitor.now()));
    let held = join_all(held).await;
    for (row, held) in rows.iter_mut().zip(held) {
        row.held = held;
    }
    Ok((pulse, rows))
}

impl Row {
    /// How much waits, what needs people first.
    fn trouble(&self) -> (u64, u64) {
        (self.parked_count, self.waiting_count)
    }
}

/// A destination, without what waits for it.
pub(super) fn row(visitor: &Visitor, view: ParticipantView) -> Row {
    let recent = visitor.console().own.recent.of(&view.participant);
    let trend = Trend::of(&recent);
    let failing = trend.failing();
    let state = Pill::of_participant(&view, failing, recent.is_silent);
    let since = recent.unwell_since.filter(|_| state.tone < Tone::Busy);
    let list = [("participant", view.participant.as_str()), ("order", "oldest")];
    Row {
        href: link::participant(&view.participant),
        list: link::with_query("/console/transactions", list),
        filter: link::query([list[0]]),
        state,
        since: since.map(|since| Moment::new(since, visitor.now())),
        waiting: grouped(view.waiting),
        waiting_count: view.waiting,
        parked_count: view.parked,
        parked: grouped(view.parked),
        in_flight: view.in_flight,
        rate: rate(trend.rate()),
        failing: failing.map(|percent| format!("{percent:.0} %")).unwrap_or_default(),
        trend,
        paused_at: view.paused.as_ref().map(|paused| Moment::new(paused.at, visitor.now())),
        paused: view.paused,
        participant: view.participant,
        held: HeldUp::default(),
    }
}

/// Calls a second, in as many digits as say something.
fn rate(of: f64) -> String {
    match of {
        of if of >= 10.0 => format!("{of:.0}/s"),
        of if of >= 0.1 => format!("{of:.1}/s"),
        of if of > 0.0 => format!("{:.0}/min", (of * 60.0).max(1.0)),
        _ => "no calls".to_owned(),
    }
}

/// What waits for a destination that does not do as it should.
async fn held_up(ask: &Ask, row: &Row, now: Wall) -> HeldUp {
    if row.state.tone == Tone::Good && row.waiting_count == 0 {
        return HeldUp::default();
    }
    let looked = async |more: &[(&str, &str)]| {
        let of_all =
            [("participant", row.participant.as_str()), ("order", "oldest"), ("limit", "5")];
        let uri = link::with_query("/v1/transactions", of_all.iter().chain(more).copied());
        let page = ask.get::<Page<SummaryView>>(&uri).await.ok()?;
        for summary in page.items {
            let uri = format!("/v1/transactions/{}", link::segment(summary.gid.as_str()));
            let Ok(view) = ask.get::<TransactionView>(&uri).await else { continue };
            // It may have a branch of this participant that is done, and wait for another.
            if let Some(held) = held_by(&row.participant, &view, now) {
                return Some(held);
            }
        }
        None
    };
    // What people must look at says more than what only waits.
    let parked = match row.parked_count {
        0 => None,
        _ => looked(&[("parked", "true")]).await,
    };
    match parked {
        Some(parked) => parked,
        None => looked(&[]).await.unwrap_or_default(),
    }
}

/// A transaction that waits for this participant.
fn held_by(participant: &str, view: &TransactionView, now: Wall) -> Option<HeldUp> {
    let own = view.branches.iter();
    let own = own.filter(|branch| branch.participant == participant && !is_done(branch));
    let mut own: Vec<_> = own.collect();
    own.sort_by_key(|branch| !branch.parked);
    own.first()?;
    Some(HeldUp {
        oldest: Some(Moment::new(view.summary.created_at, now)),
        href: link::transaction(view.summary.gid.as_str()),
        gid: Some(view.summary.gid.to_string()),
        words: own.into_iter().find_map(|branch| LastWords::of(branch, now)),
    })
}

/// How it stands with all of it.
pub(super) async fn pulse(visitor: &Visitor) -> Result<Pulse, Refused> {
    let ask = visitor.ask();
    let (metrics, ready) = tokio::join!(ask.text("/metrics"), ask.text("/readyz"));
    let not_ready = ready.err();
    // Who asks then waits for as long as one may, and is told nothing.
    let is_silent =
        not_ready.as_ref().is_some_and(|why| why.code == ProblemCode::JournalUnavailable);
    let counts = match is_silent {
        true => None,
        false => Some(counts(&ask.get("/v1/stats").await?, visitor.now())),
    };
    let names =
        [metric::JOURNAL_QUEUE_RECORDS, metric::JOURNAL_COMMIT_DURATION, metric::JOURNAL_FAILURES];
    // Metrics may be closed to somebody to whom all else is open.
    let gauges = Gauges::read(&metrics.unwrap_or_default(), &names);
    let took = |share| {
        let seconds = gauges.quantile(metric::JOURNAL_COMMIT_DURATION, &[], share)?;
        Some(seconds_shown(seconds))
    };
    let journal = JournalPulse {
        queue: grouped(gauges.count(metric::JOURNAL_QUEUE_RECORDS, &[])),
        commit: took(0.5),
        slowest: took(0.99),
        failures: gauges.count(metric::JOURNAL_FAILURES, &[]),
    };
    Ok(Pulse { not_ready, counts, journal })
}

fn counts(stats: &StatsView, now: Wall) -> Counts {
    let count = |status: Status| Count {
        word: status.as_str(),
        count: grouped(stats.by_status.get(&status).copied().unwrap_or(0)),
        href: link::with_query("/console/transactions", [("status", status.as_str())]),
    };
    let nodes = stats.nodes.iter().map(|node| NodePulse {
        id: node.id.clone(),
        state: match node.state.as_str() {
            "live" => Pill::new(Tone::Good, "live"),
            other => Pill::new(Tone::Warn, other),
        },
        owned: grouped(node.owned),
        url: node.url.clone(),
        since: Moment::new(node.since, now),
    });
    Counts {
        unfinished: [Status::Trying, Status::Confirming, Status::Cancelling].map(count).into(),
        finished: [Status::Confirmed, Status::Cancelled].map(count).into(),
        parked: grouped(stats.parked),
        has_parked: stats.parked > 0,
        quarantined: stats.quarantined,
        oldest: stats
            .oldest_unfinished_seconds
            .map(|seconds| lasting(std::time::Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))),
        nodes: nodes.collect(),
    }
}

/// Seconds as people write short times.
pub(super) fn seconds_shown(seconds: f64) -> String {
    match seconds {
        seconds if seconds >= 10.0 => format!("{seconds:.0} s"),
        seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
        seconds if seconds >= 0.01 => format!("{:.0} ms", seconds * 1_000.0),
        seconds => format!("{:.1} ms", seconds * 1_000.0),
    }
}
