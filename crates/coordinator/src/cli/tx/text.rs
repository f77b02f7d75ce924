//! Transactions as text for people, line by line. What others have written stands in it as it is;
//! whoever prints a line sees to it that it stays one.

use std::time::Duration;

use tercet_wire::{
    BranchView, EventView, Gid, LastAnswerView, Op, PendingResolutionView, Status, SummaryView,
    TransactionView, Wall,
};

use crate::cli::tx::table::Table;

/// A page of a list.
pub(super) fn list(items: &[SummaryView], next: Option<&str>, now: Wall) -> Vec<String> {
    if items.is_empty() {
        return vec![match next {
            // It was looked through only so many.
            Some(cursor) => format!("none so far, and there are more: --cursor {cursor}"),
            None => "no transactions".to_owned(),
        }];
    }
    let mut table = Table::new(&["GID", "STATUS", "PARKED", "AGE", "BRANCHES", "REASON"]);
    for item in items {
        table.row([
            item.gid.to_string(),
            item.status.to_string(),
            if item.parked { "parked".to_owned() } else { String::new() },
            ago(now, item.created_at),
            item.branch_count.map(|count| count.to_string()).unwrap_or_default(),
            [reason(item), item.mixed.then(|| "mixed".to_owned())]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(", "),
        ]);
    }
    let mut lines = table.lines();
    if let Some(cursor) = next {
        lines.extend([String::new(), format!("There are more: --cursor {cursor}")]);
    }
    lines
}

/// One transaction with its branches.
pub(super) fn transaction(view: &TransactionView, now: Wall) -> Vec<String> {
    let TransactionView { summary, trace_id, branches } = view;
    let mut lines = vec![headline(summary), String::new()];
    let mut facts = Table::default();
    let mut fact = |name: &str, value: String| facts.row([format!("  {name}"), value]);
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
    if summary.mixed {
        let what = "an operator resolved a branch as the opposite of what was decided";
        fact("mixed", what.to_owned());
    }
    lines.extend(facts.lines());
    lines.push(String::new());
    lines.extend(table_of(branches, now));
    lines.extend(words(branches));
    lines.extend(advice(summary, branches));
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
pub(super) fn history(events: &[EventView], more: bool) -> Vec<String> {
    let mut table = Table::new(&["AT", "WHAT", "BRANCH", "CALL", "DETAIL"]);
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
    let mut lines = vec![String::new()];
    lines.extend(table.lines());
    if more {
        lines.push("(there is more: -o json and GET …/events)".to_owned());
    }
    lines
}

fn headline(summary: &SummaryView) -> String {
    let parked = if summary.parked { ", parked" } else { "" };
    let mixed = if summary.mixed { ", mixed" } else { "" };
    format!("{}  {}{parked}{mixed}", summary.gid, summary.status)
}

fn reason(summary: &SummaryView) -> Option<String> {
    let reason = summary.reason?;
    Some(match &summary.reason_detail {
        Some(detail) => format!("{reason}: {detail}"),
        None => reason.to_string(),
    })
}

fn table_of(branches: &[BranchView], now: Wall) -> Vec<String> {
    if branches.is_empty() {
        return vec!["no branches".to_owned()];
    }
    let headings = ["BRANCH", "STATUS", "", "PARTICIPANT", "CALLS", "NEXT CALL", "LAST ERROR"];
    let mut table = Table::new(&headings);
    for branch in branches {
        let note = match (branch.resolved_as, branch.parked) {
            (Some(_), _) => "by hand",
            (None, true) => "PARKED",
            (None, false) => "",
        };
        let calls = Op::ALL.iter().filter(|op| *branch.attempts.get(**op) > 0);
        let calls: Vec<String> =
            calls.map(|op| format!("{op} {}", branch.attempts.get(*op))).collect();
        table.row([
            branch.id.to_string(),
            branch.status.to_string(),
            note.to_owned(),
            branch.participant.clone(),
            calls.join(", "),
            branch.next_attempt_at.map(|at| until(now, at)).unwrap_or_default(),
            branch.last_error.clone().unwrap_or_default(),
        ]);
    }
    table.lines()
}

/// What can be done about what does not get on.
fn advice(summary: &SummaryView, branches: &[BranchView]) -> Vec<String> {
    let gid = &summary.gid;
    let Some(parked) = branches.iter().find(|branch| branch.parked) else {
        return if summary.parked { advice_about_the_initiator(gid) } else { Vec::new() };
    };
    let branch = &parked.id;
    if summary.status == Status::Trying {
        return vec![
            String::new(),
            "A parked step does not get on by itself, and is still called.".to_owned(),
            format!("  when its participant is repaired:  tercet tx retry {gid}"),
            format!("  to undo what was done:             tercet tx cancel {gid}"),
        ];
    }
    vec![
        String::new(),
        "A parked branch does not get on by itself, and is still called.".to_owned(),
        format!("  when its participant is repaired:  tercet tx retry {gid}"),
        format!(
            "  if it can never acknowledge:       tercet tx resolve {gid} {branch} \
             --as confirmed|cancelled --note WHY"
        ),
    ]
}

/// No branch is parked, and the transaction is: its initiator does not say what became of it.
fn advice_about_the_initiator(gid: &Gid) -> Vec<String> {
    vec![
        String::new(),
        "Its initiator does not say what became of it, and is still asked.".to_owned(),
        format!("  when it is repaired:  tercet tx retry {gid}"),
        format!("  if it never will:     tercet tx confirm {gid}, or tercet tx cancel {gid}"),
    ]
}

fn moment(now: Wall, at: Wall) -> String {
    format!("{at}  ({} ago)", ago(now, at))
}

fn until(now: Wall, at: Wall) -> String {
    match at.since(now) {
        Duration::ZERO => "now".to_owned(),
        wait => format!("in {}", lasting(wait)),
    }
}

fn ago(now: Wall, at: Wall) -> String {
    lasting(now.since(at))
}

/// A time in its two largest units; nobody needs more at a glance.
fn lasting(time: Duration) -> String {
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
