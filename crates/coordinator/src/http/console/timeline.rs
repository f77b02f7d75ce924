//! The picture of a transaction: a lane for each branch, with its Try, the decision, its Confirm or
//! Cancel, each call that failed, and the next one to come. Drawn here as SVG, in percents of its width,
//! so that it needs no script and its letters are as large on a phone as on a wall.
//!
//! Time before the decision, since then, and to come have a scale each: a Try of milliseconds and a Confirm
//! that has been tried for hours are both seen.

use std::collections::BTreeSet;
use std::fmt;

use askama::filters::{Html, escape};
use tercet_wire::{
    BranchStatus, BranchView, CallOp, EventKind, EventView, Op, Status, TransactionView, Wall,
};

use crate::http::console::moment::lasting;
use crate::http::console::words::is_done;

/// Where the drawing begins and ends, in percents of its width.
const LEFT: f64 = 0.6;
const RIGHT: f64 = 99.4;
/// Where now is, if something is to come.
const NOW: f64 = 86.0;
/// Between these the decision lies.
const EARLIEST_DECISION: f64 = 16.0;
const LATEST_DECISION: f64 = 55.0;
/// Heights, in pixels.
const TOP: u32 = 26;
const LANE: u32 = 50;
const BAR: u32 = 12;

/// One, as it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timeline {
    scale: Scale,
    lanes: Vec<Lane>,
    decision: Option<Status>,
    is_finished: bool,
    words: String,
}

/// Where each moment is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    began: Wall,
    decided: Option<Wall>,
    /// Now, or when it ended.
    until: Wall,
    /// The last moment to come.
    horizon: Option<Wall>,
}

/// A branch.
#[derive(Debug, Clone, PartialEq)]
struct Lane {
    id: String,
    participant: String,
    spans: Vec<Span>,
    ticks: Vec<Tick>,
    next: Option<(Wall, String)>,
    done: Option<(Wall, String)>,
}

/// Some time in which one thing went on.
#[derive(Debug, Clone, PartialEq)]
struct Span {
    class: &'static str,
    from: Wall,
    to: Wall,
    words: String,
}

/// One moment.
#[derive(Debug, Clone, PartialEq)]
struct Tick {
    class: &'static str,
    at: Wall,
    words: String,
}

impl Timeline {
    /// Of a transaction and its history, as they are now. `unreachable`: participants that do not
    /// answer, behind whose breakers calls wait.
    pub(super) fn of(
        view: &TransactionView,
        events: &[EventView],
        unreachable: &BTreeSet<String>,
        now: Wall,
    ) -> Self {
        let summary = &view.summary;
        let until = summary.finished_at.unwrap_or(now);
        let to_come = view.branches.iter().filter_map(|branch| branch.next_attempt_at);
        let deadline = (summary.status == Status::Trying).then_some(summary.deadline_at);
        let horizon = to_come.chain(deadline).filter(|at| *at > now).max();
        let scale = Scale {
            began: summary.created_at,
            decided: summary.decided_at,
            until,
            horizon: horizon.filter(|_| summary.finished_at.is_none()),
        };
        let lanes = view.branches.iter();
        let lanes = lanes.map(|branch| lane(view, branch, events, unreachable, until));
        let count = view.branches.len();
        let words = format!(
            "{} branches, {} of them done; the history below says the same in words",
            count,
            view.branches.iter().filter(|branch| is_done(branch)).count()
        );
        Self {
            scale,
            lanes: lanes.collect(),
            decision: summary.status.is_decided().then_some(summary.status),
            is_finished: summary.status.is_finished(),
            words,
        }
    }

    fn height(&self) -> u32 {
        TOP + LANE * u32::try_from(self.lanes.len()).unwrap_or(0) + 4
    }
}

impl Scale {
    /// Where the decision is.
    fn decision(&self) -> Option<f64> {
        let decided = self.decided?;
        let whole = self.until.since(self.began).as_secs_f64().max(0.001);
        let share = decided.since(self.began).as_secs_f64() / whole;
        let at = LEFT + (self.now() - LEFT) * share;
        Some(at.clamp(EARLIEST_DECISION, LATEST_DECISION))
    }

    /// Where now is, or the end.
    fn now(&self) -> f64 {
        if self.horizon.is_some() { NOW } else { RIGHT }
    }

    fn x(&self, at: Wall) -> f64 {
        let between = |(from, left): (Wall, f64), (to, right): (Wall, f64)| {
            let whole = to.since(from).as_secs_f64();
            let share = if whole > 0.0 { at.since(from).as_secs_f64() / whole } else { 1.0 };
            left + (right - left) * share.clamp(0.0, 1.0)
        };
        let began = (self.began, LEFT);
        let until = (self.until, self.now());
        match (self.decided.zip(self.decision()), self.horizon) {
            (_, Some(horizon)) if at > self.until => between(until, (horizon, RIGHT)),
            (Some(decision), _) if at < decision.0 => between(began, decision),
            (Some(decision), _) => between(decision, until),
            (None, _) => between(began, until),
        }
    }
}

fn lane(
    view: &TransactionView,
    branch: &BranchView,
    events: &[EventView],
    unreachable: &BTreeSet<String>,
    until: Wall,
) -> Lane {
    let own: Vec<&EventView> =
        events.iter().filter(|event| event.branch.as_ref() == Some(&branch.id)).collect();
    let step = |kind: EventKind, op: Op| {
        let of = own.iter().find(|event| event.kind == kind && event.op == Some(CallOp::Leg(op)));
        of.map(|event| event.at)
    };
    let summary = &view.summary;
    let mut spans = Vec::new();
    let was_called = branch.attempts.try_ > 0 || branch.status != BranchStatus::Skipped;
    let try_ends = summary.decided_at.unwrap_or(until);
    if was_called {
        let from = step(EventKind::StepCalled, Op::Try).unwrap_or(summary.created_at);
        let to = step(EventKind::StepDone, Op::Try).unwrap_or(try_ends).min(try_ends);
        let refused = own.iter().find(|event| event.kind == EventKind::TryRefused);
        let (class, to, word) = match (refused, branch.status) {
            (Some(refused), _) => ("bad", refused.at, "refused"),
            (None, BranchStatus::Registered) if summary.status == Status::Trying => {
                ("busy", until, "under way")
            }
            (None, BranchStatus::Registered) => ("warn", to, "not answered"),
            (None, _) => ("good", to, "done"),
        };
        let words = format!("Try: {word}, {} calls", branch.attempts.try_);
        spans.push(Span { class, from, to: to.max(from), words });
    }
    if let (Some(decided), Some(op)) = (summary.decided_at, summary.status.decided_op()) {
        let skipped = branch.status == BranchStatus::Skipped;
        let from = step(EventKind::StepCalled, op).unwrap_or(decided);
        let to = branch.finished_at.unwrap_or(until);
        let name = if op == Op::Confirm { "Confirm" } else { "Cancel" };
        let calls = branch.attempts.get(op);
        let class = match branch {
            _ if is_done(branch) && op == Op::Cancel => "undone",
            _ if is_done(branch) => "good",
            branch if branch.parked => "bad",
            branch if branch.last_error.is_some() => "warn",
            _ => "busy",
        };
        let is_behind_breaker = unreachable.contains(&branch.participant);
        let state = match branch {
            _ if is_done(branch) => "acknowledged",
            branch if branch.parked => "parked",
            _ if is_behind_breaker => "waits until the participant answers again",
            _ => "under way",
        };
        if !skipped {
            let words = format!("{name}: {state}, {calls} calls");
            spans.push(Span { class, from, to: to.max(from), words });
        }
        // What has passed since the last call is time in which nobody was called.
        let last = own.iter().filter(|event| event.kind == EventKind::CallFailed).map(|it| it.at);
        if let Some(last) = last.max().filter(|_| is_behind_breaker && !is_done(branch)) {
            let words = "waits: the participant does not answer, and is probed".to_owned();
            spans.push(Span { class: "held", from: last, to: until.max(last), words });
        }
    }
    let ticks = own.iter().filter_map(|event| tick(event)).collect();
    let next = branch.next_attempt_at.filter(|at| *at > until && !is_done(branch));
    let done = branch.finished_at.map(|at| {
        let how = match branch.resolved_as {
            Some(how) => format!("resolved by hand as {how}"),
            None => branch.status.to_string(),
        };
        (at, format!("{how} at {at}"))
    });
    Lane {
        id: branch.id.to_string(),
        participant: branch.participant.clone(),
        spans,
        ticks,
        next: next.map(|at| (at, format!("next call in {}, at {at}", lasting(at.since(until))))),
        done,
    }
}

fn tick(event: &EventView) -> Option<Tick> {
    let detail = event.detail.as_deref().unwrap_or_default();
    let class = match event.kind {
        EventKind::CallFailed => verdict(detail),
        EventKind::TryRefused => "refused",
        EventKind::Parked => "parked",
        EventKind::Retried | EventKind::Resolved => "hand",
        EventKind::Contradicted => "refused",
        EventKind::StepDone => "answered",
        // The history has the others; in the picture they would be in the way.
        _ => return None,
    };
    let op = event.op.map(|op| format!(" {op}")).unwrap_or_default();
    let attempt = event.attempt.map(|attempt| format!(", call {attempt}")).unwrap_or_default();
    let detail: String = crate::escape::for_people(detail).chars().take(160).collect();
    let words = format!("{}{op}{attempt}: {detail} ({})", event.kind, event.at);
    Some(Tick { class, at: event.at, words })
}

/// What an answer meant, by the status that its line begins with.
fn verdict(detail: &str) -> &'static str {
    let status = detail.strip_prefix("answered ");
    match status.and_then(|status| status.as_bytes().first()) {
        Some(b'4') => "refused",
        Some(_) => "faulty",
        None => "silent",
    }
}

/// As markup; what others have written is escaped.
impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (height, scale) = (self.height(), &self.scale);
        write!(
            f,
            r#"<svg class="timeline" width="100%" height="{height}" role="img" aria-label="{}">"#,
            safe(&self.words)
        )?;
        for (lane, top) in self.lanes.iter().zip((TOP..).step_by(LANE as usize)) {
            lane.draw(f, scale, top)?;
        }
        self.axis(f)?;
        f.write_str("</svg>")
    }
}

impl Timeline {
    /// The lines through all lanes, and what they are.
    fn axis(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = &self.scale;
        // Through the bars, and not through the names between them.
        let tops = (0..self.lanes.len()).zip((TOP..).step_by(LANE as usize));
        let line = |f: &mut fmt::Formatter<'_>, class: &str, x: f64| -> fmt::Result {
            for (_, top) in tops.clone() {
                let (above, below) = (top + 18, top + 26 + BAR);
                write!(
                    f,
                    r#"<line class="{class}" x1="{x:.2}%" x2="{x:.2}%" y1="{above}" y2="{below}"/>"#
                )?;
            }
            Ok(())
        };
        let text = |f: &mut fmt::Formatter<'_>, class: &str, x: f64, anchor: &str, words: &str| {
            write!(
                f,
                r#"<text class="axis {class}" x="{x:.2}%" y="12" text-anchor="{anchor}">{}</text>"#,
                safe(words)
            )
        };
        // Where the screen is narrow there is no room for both.
        let begun = if self.decision.is_some() { "begun" } else { "" };
        text(f, begun, LEFT, "start", "begun")?;
        let ran = scale.until.since(scale.began);
        if let (Some(decision), Some(x), Some(decided)) =
            (self.decision, scale.decision(), scale.decided)
        {
            let (class, word) = match decision.decided_op() {
                Some(Op::Confirm) => ("confirm", "confirm"),
                _ => ("cancel", "cancel"),
            };
            line(f, &format!("decision {class}"), x)?;
            let took = lasting(decided.since(scale.began));
            text(f, class, x, "middle", &format!("{word} +{took}"))?;
        }
        let x = scale.now();
        let (word, anchor) = match (self.is_finished, scale.horizon) {
            (true, _) => (format!("ended +{}", lasting(ran)), "end"),
            (false, Some(_)) => (format!("now +{}", lasting(ran)), "end"),
            (false, None) => (format!("now +{}", lasting(ran)), "end"),
        };
        line(f, "now", x)?;
        text(f, "", x, anchor, &word)
    }
}

impl Lane {
    fn draw(&self, f: &mut fmt::Formatter<'_>, scale: &Scale, top: u32) -> fmt::Result {
        let (label, bar) = (top + 14, top + 22);
        write!(
            f,
            r#"<text class="lane" x="{LEFT}%" y="{label}"><tspan class="id">{}</tspan><tspan class="at" dx="8">{}</tspan></text>"#,
            safe(&self.id),
            safe(&self.participant)
        )?;
        let width = RIGHT - LEFT;
        write!(
            f,
            r#"<rect class="track" x="{LEFT}%" y="{bar}" width="{width}%" height="{BAR}" rx="3"/>"#
        )?;
        for span in &self.spans {
            let (from, to) = (scale.x(span.from), scale.x(span.to));
            let width = (to - from).max(0.5);
            let words = safe(&span.words);
            let class = span.class;
            write!(
                f,
                r#"<rect class="span {class}" x="{from:.2}%" y="{bar}" width="{width:.2}%" height="{BAR}" rx="3"><title>{words}</title></rect>"#
            )?;
        }
        let (above, below) = (bar - 4, bar + BAR + 4);
        for Tick { class, at, words } in &self.ticks {
            let x = scale.x(*at);
            write!(
                f,
                r#"<line class="tick {class}" x1="{x:.2}%" x2="{x:.2}%" y1="{above}" y2="{below}"><title>{}</title></line>"#,
                safe(words)
            )?;
        }
        let middle = bar + BAR / 2;
        for (mark, class) in [(&self.done, "done"), (&self.next, "next")] {
            if let Some((at, words)) = mark {
                let x = scale.x(*at);
                write!(
                    f,
                    r#"<circle class="{class}" cx="{x:.2}%" cy="{middle}" r="5"><title>{}</title></circle>"#,
                    safe(words)
                )?;
            }
        }
        Ok(())
    }
}

/// Text that others have written, as it may stand in markup.
fn safe(text: &str) -> String {
    let Ok(escaped) = escape(text, Html);
    escaped.to_string()
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
