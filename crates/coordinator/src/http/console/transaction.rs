//! Screen 3, *One transaction*: what happened, what comes next, and what can be done.

use std::collections::BTreeSet;

use askama::Template;
use axum::Extension;
use axum::extract::Path;
use axum::response::Response;
use http::Uri;
use tercet_wire::{
    BranchView, BreakerState, EventKind, EventView, Op, Page, ParticipantsView, ResolvedAs, Status,
    TransactionView, Wall,
};

use crate::access::Role;
use crate::escape::{for_people, lines_for_people};
use crate::http::console::act::said;
use crate::http::console::ask::{Ask, Refused};
use crate::http::console::commands::{curl, tercet};
use crate::http::console::error_page;
use crate::http::console::link;
use crate::http::console::moment::{Moment, lasting};
use crate::http::console::resolve::Way;
use crate::http::console::shell::{Shell, Tab, page};
use crate::http::console::timeline::Timeline;
use crate::http::console::visit::Visitor;
use crate::http::console::words::{LastWords, Pill, Tone, is_done};

/// Letters of a payload or a result that are shown.
const SHOWN: usize = 8_192;

#[derive(Template)]
#[template(path = "console/transaction.html")]
struct TransactionPage {
    shell: Shell,
    gid: String,
    path: String,
    status: Pill,
    pattern: &'static str,
    view: TransactionView,
    created: Moment,
    deadline: Moment,
    is_trying: bool,
    is_finished: bool,
    /// Whether nothing of it is called or decided since the database was restored.
    is_held: bool,
    can_confirm: bool,
    trace: Option<String>,
    decided: Option<Moment>,
    finished: Option<Moment>,
    ran: String,
    metadata: Vec<(String, String)>,
    timeline: Timeline,
    branches: Vec<Card>,
    events: Vec<Line>,
    commands: Vec<String>,
}

/// A branch.
struct Card {
    id: String,
    participant: String,
    href: String,
    status: Pill,
    is_parked: bool,
    is_paused: bool,
    after: Option<String>,
    calls: Vec<(&'static str, u32)>,
    urls: Vec<(&'static str, String)>,
    next: Option<Moment>,
    finished: Option<Moment>,
    words: Option<LastWords>,
    result: Option<String>,
    payload: Option<String>,
    resolved_as: Option<&'static str>,
    pending: Option<String>,
    /// Whether it can be called elsewhere.
    can_readdress: bool,
    /// Whether it can be ended by hand, and how.
    can_resolve: bool,
    resolutions: Vec<Way>,
    command: String,
}

/// A line of the history.
struct Line {
    at: Moment,
    when: Wall,
    kind: EventKind,
    tone: Tone,
    branch: Option<String>,
    call: Option<String>,
    detail: Option<String>,
}

pub(super) async fn transaction(
    Extension(visitor): Extension<Visitor>,
    Path(gid): Path<String>,
    uri: Uri,
) -> Response {
    let path = link::transaction(&gid);
    match looked(&visitor, &gid).await {
        Ok(looked) => {
            let shell = Shell::new(&visitor, Tab::Transactions, gid).saying(said(&uri));
            page(&filled(&visitor, shell, looked))
        }
        Err(problem) => error_page::refused(&visitor, Tab::Transactions, &path, problem),
    }
}

/// What there is of one.
struct Looked {
    view: TransactionView,
    events: Vec<EventView>,
    /// Participants that do not answer.
    unreachable: BTreeSet<String>,
}

async fn looked(visitor: &Visitor, gid: &str) -> Result<Looked, Refused> {
    let ask = visitor.ask();
    let at = format!("/v1/transactions/{}", link::segment(gid));
    // What branches are sent is for operators alone.
    let include = if visitor.may(Role::Operator) { "?include=payload" } else { "" };
    let view = format!("{at}{include}");
    let (view, events, participants) = tokio::join!(
        ask.get::<TransactionView>(&view),
        all_events(&ask, &at),
        ask.get::<ParticipantsView>("/v1/participants"),
    );
    let unreachable = participants.map(|all| {
        let open = all.items.into_iter().filter(|it| it.breaker == BreakerState::Open);
        open.map(|it| it.participant).collect()
    });
    Ok(Looked { view: view?, events: events?, unreachable: unreachable.unwrap_or_default() })
}

/// Its whole history, which is bounded.
async fn all_events(ask: &Ask, at: &str) -> Result<Vec<EventView>, Refused> {
    let page = ask.get::<Page<EventView>>(&format!("{at}/events?limit=500")).await?;
    Ok(page.items)
}

fn filled(
    visitor: &Visitor,
    shell: Shell,
    Looked { view, events, unreachable }: Looked,
) -> TransactionPage {
    let now = visitor.now();
    let summary = &view.summary;
    let moment = |at: Wall| Moment::new(at, now);
    let gid = summary.gid.to_string();
    let has_rules = visitor.console().access.has_rules();
    let ends = summary.finished_at.unwrap_or(now);
    let metadata = summary.metadata.as_ref().and_then(|metadata| metadata.as_object());
    let metadata = metadata.into_iter().flatten().map(|(key, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (for_people(key).into_owned(), for_people(&text).into_owned())
    });
    let at = format!("/v1/transactions/{}", link::segment(&gid));
    let mut commands = vec![tercet(&["tx", "show", &gid]), curl(has_rules, "GET", &at, None)];
    if visitor.may(Role::Operator) && view.summary.held {
        commands.push(tercet(&["tx", "cancel", &gid, "--despite-hold"]));
        let cancel = format!("{at}/cancel?despite_hold=true");
        commands.push(curl(has_rules, "POST", &cancel, None));
    } else if visitor.may(Role::Operator) && !summary.status.is_finished() {
        commands.push(tercet(&["tx", "retry", &gid]));
        commands.push(curl(has_rules, "POST", &format!("{at}/retry"), None));
    }
    let branches = view.branches.iter().map(|branch| card(branch, &view, now));
    TransactionPage {
        status: Pill::of_status(summary.status, summary.parked),
        pattern: summary.pattern.as_str(),
        path: link::transaction(&gid),
        gid,
        created: moment(summary.created_at),
        deadline: moment(summary.deadline_at),
        is_trying: summary.status == Status::Trying,
        is_finished: summary.status.is_finished(),
        is_held: summary.held,
        can_confirm: summary.status == Status::Trying && summary.open,
        trace: view.trace_id.map(|id| id.to_string()),
        decided: summary.decided_at.map(moment),
        finished: summary.finished_at.map(moment),
        ran: lasting(ends.since(summary.created_at)),
        metadata: metadata.collect(),
        timeline: Timeline::of(&view, &events, &unreachable, now),
        branches: branches.collect(),
        events: events.iter().map(|event| line(event, now)).collect(),
        commands,
        shell,
        view,
    }
}

/// Where its calls go, each with its leg.
fn urls(branch: &BranchView) -> Vec<(&'static str, String)> {
    let all = branch.urls.iter().flat_map(|urls| urls.iter());
    all.map(|(op, url)| (op.as_str(), for_people(url).into_owned())).collect()
}

fn card(branch: &BranchView, view: &TransactionView, now: Wall) -> Card {
    let gid = view.summary.gid.as_str();
    let calls = Op::ALL.iter().map(|op| (op.as_str(), *branch.attempts.get(*op)));
    let words = LastWords::of(branch, now);
    let after = branch.after.as_ref().map(|after| match after.is_empty() {
        true => "at once".to_owned(),
        false => after.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", "),
    });
    let pending = branch.pending_resolution.as_ref().map(|pending| {
        format!("as {} by {}, once the call under way ends", pending.as_, pending.by)
    });
    let decided = view.summary.status.decided_op();
    let can_resolve = decided.is_some() && !is_done(branch) && branch.pending_resolution.is_none();
    let word = if decided == Some(Op::Cancel) { "cancelled" } else { "confirmed" };
    Card {
        id: branch.id.to_string(),
        participant: branch.participant.clone(),
        href: link::participant(&branch.participant),
        status: Pill::of_branch(branch),
        is_parked: branch.parked,
        is_paused: branch.paused,
        after,
        calls: calls.filter(|(_, count)| *count > 0).collect(),
        urls: urls(branch),
        next: branch.next_attempt_at.map(|at| Moment::new(at, now)),
        finished: branch.finished_at.map(|at| Moment::new(at, now)),
        words,
        result: branch.result.as_ref().map(json),
        payload: branch.payload.as_ref().map(json),
        resolved_as: branch.resolved_as.map(ResolvedAs::as_str),
        pending,
        can_readdress: !is_done(branch),
        can_resolve,
        resolutions: Way::all(&branch.participant, view.summary.status),
        command: tercet(&["tx", "resolve", gid, branch.id.as_str(), "--as", word]),
    }
}

/// JSON as it may be shown, with line breaks where it is an object or a list.
fn json(text: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(text).unwrap_or_default();
    let text = serde_json::to_string_pretty(&value).unwrap_or_default();
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push_str(" …");
    }
    lines_for_people(&shown).into_owned()
}

fn line(event: &EventView, now: Wall) -> Line {
    let tone = match event.kind {
        EventKind::CallFailed | EventKind::TryRefused => Tone::Warn,
        EventKind::Parked | EventKind::Contradicted => Tone::Bad,
        EventKind::Retried | EventKind::Resolved => Tone::Paused,
        EventKind::Finished | EventKind::StepDone => Tone::Good,
        EventKind::Decided | EventKind::Begun => Tone::Busy,
        _ => Tone::Quiet,
    };
    let call = event.op.map(|op| match event.attempt {
        Some(attempt) => format!("{op} {attempt}"),
        None => op.to_string(),
    });
    Line {
        at: Moment::new(event.at, now),
        when: event.at,
        kind: event.kind,
        tone,
        branch: event.branch.as_ref().map(ToString::to_string),
        call,
        detail: event.detail.as_deref().map(|detail| lines_for_people(detail).into_owned()),
    }
}
