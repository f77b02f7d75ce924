//! Transactions as text for people, line by line. What others have written stands in it as it is;
//! whoever prints a line sees to it that it stays one.

use std::time::Duration;

use tercet_wire::{
    BranchStatus, BranchView, EventView, LastAnswerView, Op, PendingResolutionView, Status,
    SummaryView, TransactionView, Wall,
};
use unicode_width::UnicodeWidthStr as _;

use crate::cli::line::{Line, Tone, hanging, wrapped};
use crate::cli::tx::table::{Cell, Table};
use crate::escape::for_people;

/// A page of a list, in so many columns.
pub(super) fn list(
    items: &[SummaryView],
    next: Option<&str>,
    now: Wall,
    width: usize,
) -> Vec<Line> {
    if items.is_empty() {
        return vec![match next {
            // It was looked through only so many.
            Some(cursor) => format!("none so far, and there are more: --cursor {cursor}").into(),
            None => "no transactions".into(),
        }];
    }
    // What most lists have nothing to say in takes no room.
    let reasons: Vec<String> = items.iter().map(reasons).collect();
    let columns = if reasons.iter().all(String::is_empty) { 5 } else { 6 };
    let mut table = Table::new(&["GID", "STATUS", "NOTE", "AGE", "BRANCHES", "REASON"][..columns]);
    for (item, reasons) in items.iter().zip(reasons) {
        let cells: [Cell; 6] = [
            item.gid.to_string().into(),
            Cell::toned(tone(item.status), item.status.as_str()),
            Cell::toned(Tone::Bad, note(item)),
            ago(now, item.created_at).into(),
            item.branch_count.map(|count| count.to_string()).unwrap_or_default().into(),
            reasons.into(),
        ];
        table.row(cells.into_iter().take(columns));
    }
    let mut lines = table.fitted(width);
    if let Some(cursor) = next {
        lines.extend([Line::default(), format!("There are more: --cursor {cursor}").into()]);
    }
    lines
}

/// Why it needs people.
fn note(item: &SummaryView) -> &'static str {
    match (item.held, item.parked) {
        (true, _) => "held",
        (false, true) => "parked",
        (false, false) => "",
    }
}

fn reasons(item: &SummaryView) -> String {
    let why = [reason(item), item.mixed.then(|| "mixed".to_owned())];
    why.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn tone(status: Status) -> Tone {
    match status {
        Status::Trying | Status::Confirming | Status::Cancelling => Tone::Warn,
        Status::Confirmed => Tone::Good,
        Status::Cancelled => Tone::Dim,
    }
}

/// One transaction with its branches, in so many columns.
pub(super) fn transaction(view: &TransactionView, now: Wall, width: usize) -> Vec<Line> {
    let TransactionView { summary, trace_id, branches } = view;
    let mut lines = vec![headline(summary), Line::default()];
    let mut facts: Vec<(&str, String)> = Vec::new();
    let mut fact = |name: &'static str, value: String| facts.push((name, value));
    fact("instance", summary.instance.to_string());
    if let Some(trace_id) = trace_id {
        fact("trace", trace_id.to_string());
    }
    fact("begun", moment(now, summary.created_at));
    if let Some(decided_at) = summary.decided_at {
        fact("decided", moment(now, decided_at));
    } else {
        fact("deadline", summary.deadline_at.to_string());
    }
    if let Some(saga) = &summary.saga {
        fact("saga", format!("{} version {}", saga.name, saga.version));
    }
    if let Some(check) = &summary.check {
        fact("check", check.clone());
    }
    if let Some(finished_at) = summary.finished_at {
        fact("finished", moment(now, finished_at));
    }
    if let Some(reason) = reason(summary) {
        fact("reason", reason);
    }
    if let Some(metadata) = &summary.metadata {
        fact("metadata", metadata.to_string());
    }
    if summary.held {
        let what = "undecided in the backup that the database was restored from: nothing of it is called, cancelled \
                    or expires";
        fact("held", what.to_owned());
    }
    if summary.mixed {
        let what = "an operator resolved a branch as the opposite of what was decided";
        fact("mixed", what.to_owned());
    }
    lines.extend(beside_their_names(&facts, width));
    lines.push(Line::default());
    lines.extend(table_of(branches, now, width));
    lines.extend(words(branches).iter().flat_map(|said| hanging(said, width)));
    lines.extend(told(&advice(summary, branches), width));
    lines
}

/// The same in a line for each branch, and nothing else.
pub(super) fn in_brief(view: &TransactionView, now: Wall, width: usize) -> Vec<Line> {
    let TransactionView { summary, branches, .. } = view;
    let mut first = headline(summary);
    first.push(Tone::Dim, &format!("  begun {} ago", ago(now, summary.created_at)));
    if summary.status == Status::Trying {
        first.push(Tone::Dim, &format!(", deadline {}", until(now, summary.deadline_at)));
    }
    let mut lines = vec![first, Line::default()];
    let headings = ["BRANCH", "STATUS", "", "CALLS", "NEXT CALL", "LAST ERROR"];
    let mut table = Table::new(&headings);
    for branch in branches {
        let [id, status, note, _, calls, next, error] = cells(branch, now);
        table.row([id, status, note, calls, next, error]);
    }
    lines.extend(table.fitted(width));
    lines
}

/// Facts beside what they are called; those that are long go on in further lines.
fn beside_their_names(facts: &[(&str, String)], width: usize) -> Vec<Line> {
    let names = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (name, value) in facts {
        let parts = wrapped(&for_people(value), width.saturating_sub(names + 4));
        for (place, part) in parts.iter().enumerate() {
            let mut line = Line::toned(Tone::Dim, "  ");
            line.push(Tone::Dim, &format!("{:names$}  ", if place == 0 { name } else { "" }));
            line.push(Tone::Plain, part);
            lines.push(line);
        }
    }
    lines
}

/// What branches are sent, and what participants and operators have said of them.
fn words(branches: &[BranchView]) -> Vec<String> {
    let mut lines = Vec::new();
    for branch in branches {
        let id = &branch.id;
        if let Some(said) = &branch.pending_resolution {
            let PendingResolutionView { as_, by, note, at } = said;
            let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
            lines.push(format!("{id}: will be resolved as {as_} by {by} at {at}{note}"));
        }
        for (op, url) in branch.urls.iter().flat_map(|urls| urls.iter()) {
            lines.push(format!("{id}: {op} goes to {url}"));
        }
        if let Some(payload) = &branch.payload {
            lines.push(format!("{id}: is sent {}", payload.as_str()));
        }
        let of_try = branch.answer.as_ref().map(|answer| (answer.status, answer.body.as_str()));
        if let Some((status, body)) = of_try {
            let status = status.map(|status| format!("answered {status}: ")).unwrap_or_default();
            lines.push(format!("{id}: try {status}{body}"));
        }
        if let Some(result) = &branch.result {
            lines.push(format!("{id}: answered with {}", result.as_str()));
        }
        if let Some(LastAnswerView { op, status, body, at }) = &branch.last_answer
            && (*op != Op::Try || of_try != Some((Some(*status), body)))
        {
            lines.push(format!("{id}: {op} answered {status} at {at}: {body}"));
        }
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

/// A transaction's history.
pub(super) fn history(events: &[EventView], more: bool, width: usize) -> Vec<Line> {
    let mut table = Table::with_words(&["AT", "WHAT", "BRANCH", "CALL", "DETAIL"]);
    for event in events {
        let call = event.op.map(|op| match event.attempt {
            Some(attempt) => format!("{op} {attempt}"),
            None => op.to_string(),
        });
        table.row([
            event.at.to_string(),
            event.kind.to_string(),
            event.branch.as_ref().map(ToString::to_string).unwrap_or_default(),
            call.unwrap_or_default(),
            event.detail.clone().unwrap_or_default(),
        ]);
    }
    let mut lines = vec![Line::default()];
    lines.extend(table.fitted(width));
    if more {
        lines.push("(there is more: tercet tx export, and GET …/events)".into());
    }
    lines
}

fn headline(summary: &SummaryView) -> Line {
    let mut line = Line::toned(Tone::Strong, summary.gid.as_str());
    line.push(Tone::Plain, "  ");
    line.push(tone(summary.status), summary.status.as_str());
    if summary.parked {
        line.push(Tone::Bad, ", parked");
    }
    if summary.mixed {
        line.push(Tone::Bad, ", mixed");
    }
    if summary.held {
        line.push(Tone::Bad, ", held");
    }
    line
}

fn reason(summary: &SummaryView) -> Option<String> {
    let reason = summary.reason?;
    Some(match &summary.reason_detail {
        Some(detail) => format!("{reason}: {detail}"),
        None => reason.to_string(),
    })
}

fn table_of(branches: &[BranchView], now: Wall, width: usize) -> Vec<Line> {
    if branches.is_empty() {
        return vec!["no branches".into()];
    }
    let headings = ["BRANCH", "STATUS", "", "PARTICIPANT", "CALLS", "NEXT CALL", "LAST ERROR"];
    let mut table = Table::with_words(&headings);
    for branch in branches {
        table.row(cells(branch, now));
    }
    table.fitted(width)
}

fn cells(branch: &BranchView, now: Wall) -> [Cell; 7] {
    let (note, loud) = match (branch.resolved_as, branch.parked, branch.paused) {
        (Some(_), ..) => ("by hand", Tone::Dim),
        (None, true, _) => ("PARKED", Tone::Bad),
        (None, false, true) => ("paused", Tone::Warn),
        (None, false, false) => ("", Tone::Plain),
    };
    [
        branch.id.to_string().into(),
        Cell::toned(tone_of(branch.status), branch.status.as_str()),
        Cell::toned(loud, note),
        branch.participant.clone().into(),
        calls(branch).into(),
        branch.next_attempt_at.map(|at| until(now, at)).unwrap_or_default().into(),
        Cell::toned(Tone::Warn, branch.last_error.clone().unwrap_or_default()),
    ]
}

/// How often a branch was called for what.
pub(super) fn calls(branch: &BranchView) -> String {
    let calls = Op::ALL.iter().filter(|op| *branch.attempts.get(**op) > 0);
    let calls: Vec<String> = calls.map(|op| format!("{op} {}", branch.attempts.get(*op))).collect();
    calls.join(", ")
}

fn tone_of(status: BranchStatus) -> Tone {
    match status {
        BranchStatus::Registered | BranchStatus::Tried => Tone::Plain,
        BranchStatus::Refused => Tone::Warn,
        BranchStatus::Confirmed => Tone::Good,
        BranchStatus::Cancelled | BranchStatus::Skipped => Tone::Dim,
    }
}

/// What can be done about what does not get on: words, or what a command is for and the command.
enum Advice {
    Words(&'static str),
    Command(&'static str, String),
}

fn advice(summary: &SummaryView, branches: &[BranchView]) -> Vec<Advice> {
    use Advice::{Command, Words};
    let gid = &summary.gid;
    let retry = format!("tercet tx retry {gid}");
    if summary.held {
        return advice_about_what_is_held(summary);
    }
    let Some(parked) = branches.iter().find(|branch| branch.parked) else {
        if !summary.parked {
            return Vec::new();
        }
        // It is its initiator that does not say what became of it.
        let decide = format!("tercet tx confirm {gid}, or tercet tx cancel {gid}");
        return vec![
            Words("Its initiator does not say what became of it, and is still asked."),
            Command("when it is repaired:", retry),
            Command("if it never will:", decide),
        ];
    };
    if summary.status == Status::Trying {
        return vec![
            Words("A parked step does not get on by itself, and is still called."),
            Command("when its participant is repaired:", retry),
            Command("to undo what was done:", format!("tercet tx cancel {gid}")),
        ];
    }
    let branch = &parked.id;
    let resolve = format!("tercet tx resolve {gid} {branch} --as confirmed|cancelled --note WHY");
    vec![
        Words("A parked branch does not get on by itself, and is still called."),
        Command("when its participant is repaired:", retry),
        Command("if it can never acknowledge, say what became of it:", resolve),
    ]
}

/// It was undecided in a backup, and may have been decided since.
fn advice_about_what_is_held(summary: &SummaryView) -> Vec<Advice> {
    use Advice::{Command, Words};
    let gid = &summary.gid;
    let decide = |decision: &str| format!("tercet tx {decision} {gid} --despite-hold");
    let mut advice = vec![
        Words("It may have been decided after the backup."),
        Command("what its participants have of it:", "tercet reconcile ENDPOINT".to_owned()),
    ];
    // Nobody but its coordinator confirms one that is not open.
    if summary.open {
        advice.push(Command("if they confirmed it:", decide("confirm")));
    }
    advice.push(Command("if they cancelled it:", decide("cancel")));
    advice.push(Command("to let all that is held go on:", "tercet restored release".to_owned()));
    advice
}

/// Commands beside what they are for, if all of them fit, else below it. A command is not broken.
fn told(advice: &[Advice], width: usize) -> Vec<Line> {
    if advice.is_empty() {
        return Vec::new();
    }
    let commands = || {
        advice.iter().filter_map(|it| match it {
            Advice::Words(_) => None,
            Advice::Command(what_for, command) => Some((*what_for, command)),
        })
    };
    let names = commands().map(|(what_for, _)| what_for.len()).max().unwrap_or(0);
    let fits = commands().all(|(_, command)| 2 + names + 2 + command.width() <= width);
    let mut lines = vec![Line::default()];
    for it in advice {
        match it {
            Advice::Words(words) => lines.push((*words).into()),
            Advice::Command(what_for, command) if fits => {
                lines.push(format!("  {what_for:names$}  {command}").into());
            }
            Advice::Command(what_for, command) => {
                lines.extend([format!("  {what_for}").into(), format!("    {command}").into()]);
            }
        }
    }
    lines
}

fn moment(now: Wall, at: Wall) -> String {
    format!("{at}  ({} ago)", ago(now, at))
}

pub(super) fn until(now: Wall, at: Wall) -> String {
    match at.since(now) {
        Duration::ZERO => "now".to_owned(),
        wait => format!("in {}", lasting(wait)),
    }
}

pub(super) fn ago(now: Wall, at: Wall) -> String {
    lasting(now.since(at))
}

/// A time in its two largest units; nobody needs more at a glance.
pub(in crate::cli) fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min {} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
