//! `tercet tx bulk`: the same for all that a filter finds, as a job of the coordinator.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use tercet_wire::{JobAction, JobFailureView, JobState, JobView, MatchedView};

use crate::cli::exit::{Exit, complain, remark, say_json, say_line};
use crate::cli::line::Line;
use crate::cli::terminal::width;
use crate::cli::tx::Desk;
use crate::cli::tx::arguments::{As, Filter, Output};
use crate::cli::tx::asking::{Asks, is_meant};
use crate::cli::tx::client::{Answered, ClientError, Kind, NO_QUERY};
use crate::cli::tx::table::Table;
use crate::cli::tx::text;

/// How often is looked how far the job is.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks in a row that may find nobody there: a coordinator that restarts is waited for.
const MOST_MISSED: u32 = 120;
/// Looks between two lines where nobody sees a bar.
const LINE_EVERY: u32 = 10;
/// How wide the bar is.
const BAR: u64 = 30;

#[derive(Debug, Args)]
pub(super) struct Bulk {
    /// What is done to each: call now what waits, cancel what is not decided, end its branches by hand
    action: BulkAction,
    #[command(flatten)]
    filter: Filter,
    /// What branches are to count as; of resolve alone
    #[arg(long = "as", value_name = "confirmed|cancelled")]
    as_: Option<As>,
    /// Why, for the audit and the histories; resolve needs it, and so does a filter that all match
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Only say what would be found
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BulkAction {
    Retry,
    Cancel,
    Resolve,
}

impl BulkAction {
    fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Resolve => "resolve",
        }
    }

    fn of_job(self) -> JobAction {
        match self {
            Self::Retry => JobAction::Retry,
            Self::Cancel => JobAction::Cancel,
            Self::Resolve => JobAction::Resolve,
        }
    }

    /// What is said of those that it leaves as they are.
    fn why_not(self, left_out: u64) -> Option<String> {
        let why = match self {
            Self::Retry => return None,
            Self::Cancel => {
                "decided to be confirmed: those cannot be cancelled, and stay as they are"
            }
            Self::Resolve => "not decided: those cannot be resolved, and stay as they are",
        };
        let are = if left_out == 1 { "is" } else { "are" };
        (left_out > 0).then(|| format!("{left_out} of them {are} {why}"))
    }

    /// What is asked before it is done.
    fn question(self) -> &'static str {
        match self {
            Self::Retry => "Call what waits in all of them now",
            Self::Cancel => "Cancel all of them",
            Self::Resolve => "End their branches by hand",
        }
    }
}

impl Desk {
    pub(super) async fn bulk(&self, bulk: Bulk) -> Result<Exit, ClientError> {
        let action = bulk.action;
        let dry_run = bulk.dry_run;
        let mut request = request(bulk);
        let Answered { body, .. } = self
            .client
            .post(&["v1", "jobs"], NO_QUERY, Some(Value::Object(request.clone())))
            .await?;
        let matched = body["matched"].as_u64().unwrap_or_default();
        if dry_run || self.output == Output::Text {
            self.print(&body, |view: &MatchedView| found(view, action, self.now));
        }
        if dry_run || matched == 0 {
            return Ok(Exit::Well);
        }
        let left_out = MatchedView::deserialize(&body).map_or(0, |it| it.left_out(action.of_job()));
        let why_not = action.why_not(left_out).map(|why| format!("; {why}")).unwrap_or_default();
        let what = format!("{matched} transactions{why_not}");
        let meant = || is_meant(Asks::Bulk, &what, &format!("{}?", action.question()));
        if !self.yes && !meant() {
            return Ok(Exit::Usage);
        }
        request.insert("dry_run".to_owned(), false.into());
        let Answered { body, .. } =
            self.client.post(&["v1", "jobs"], NO_QUERY, Some(Value::Object(request))).await?;
        let id = body["id"].as_str().unwrap_or_default().to_owned();
        tokio::select! {
            ended = self.follow(&id) => ended,
            // Where that cannot be heard nobody is left without the way to stop it.
            Ok(()) = tokio::signal::ctrl_c() => {
                end_bar();
                complain(format_args!("job {id} goes on. See how far it is: tercet jobs show {id}. \
                    Stop it: tercet jobs stop {id}"));
                Ok(Exit::Failed)
            }
        }
    }

    /// Shows how far a job is until it has ended, and then what came of it.
    async fn follow(&self, id: &str) -> Result<Exit, ClientError> {
        let (mut missed, mut looks) = (0, 0);
        loop {
            let body = match self.client.get(&["v1", "jobs", id], NO_QUERY).await {
                Ok(Answered { body, .. }) => body,
                Err(error) if error.kind() == Kind::Unreachable && missed < MOST_MISSED => {
                    missed += 1;
                    tokio::time::sleep(LOOK_EVERY).await;
                    continue;
                }
                Err(error) => {
                    complain(format_args!("job {id} goes on: tercet jobs show {id}"));
                    return Err(error);
                }
            };
            missed = 0;
            let Ok(view) = JobView::deserialize(&body) else {
                say_json(&body);
                return Ok(Exit::Failed);
            };
            if matches!(view.job.state, JobState::Done | JobState::Stopped) {
                return Ok(self.ended(&view, &body));
            }
            if io::stderr().is_terminal() {
                draw_bar(&view);
            } else if looks % LINE_EVERY == 0 {
                remark(&progress(&view));
            }
            looks += 1;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn ended(&self, view: &JobView, body: &Value) -> Exit {
        end_bar();
        match self.output {
            Output::Json | Output::Jsonl => say_json(body),
            Output::Text => came_of(view).iter().for_each(|line| say_line(line)),
        }
        match (view.job.state, view.job.failed_total) {
            (JobState::Done, 0) => Exit::Well,
            _ => Exit::Failed,
        }
    }
}

fn request(bulk: Bulk) -> Map<String, Value> {
    let Bulk { action, filter, as_, note, dry_run: _ } = bulk;
    let filter =
        filter.parameters().into_iter().map(|(name, value)| (name.into_owned(), value.into()));
    let mut request = Map::new();
    request.insert("action".to_owned(), action.as_str().into());
    request.insert("filter".to_owned(), Value::Object(filter.collect()));
    if let Some(as_) = as_ {
        request.insert("as".to_owned(), as_.as_str().into());
    }
    if let Some(note) = note {
        request.insert("note".to_owned(), note.into());
    }
    request.insert("dry_run".to_owned(), json!(true));
    request
}

fn found(view: &MatchedView, action: BulkAction, now: tercet_wire::Wall) -> Vec<Line> {
    let MatchedView { matched, by_status: _, sample } = view;
    if *matched == 0 {
        return vec!["no unfinished transaction matches".into()];
    }
    let shown = sample.len();
    let more = u64::try_from(shown).is_ok_and(|shown| shown < *matched);
    let of_them = if more { format!("; the oldest {shown} of them:") } else { ":".to_owned() };
    let mut lines = vec![format!("{matched} unfinished transactions match{of_them}").into()];
    lines.extend(text::list(sample, None, now, width()));
    lines.extend(action.why_not(view.left_out(action.of_job())).map(Line::from));
    lines
}

/// How far a job is, in a line.
fn progress(JobView { job, .. }: &JobView) -> String {
    let failed = match job.failed_total {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    format!("{}: {} of {} done{failed}", job.state, job.done, job.matched)
}

fn draw_bar(view: &JobView) {
    let come_to = view.job.done + view.job.failed_total;
    let full = (come_to * BAR).checked_div(view.job.matched).unwrap_or(0).min(BAR);
    let bar: String = (0..BAR).map(|place| if place < full { '#' } else { '.' }).collect();
    // Whoever has closed it does not want to know. The rest of an older, longer line goes.
    let _ = write!(io::stderr(), "\r[{bar}] {}\u{1b}[K", progress(view));
    let _ = io::stderr().flush();
}

fn end_bar() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\u{1b}[K");
    }
}

/// What came of a job: its counts, and what failed.
pub(super) fn came_of(view: &JobView) -> Vec<String> {
    let mut lines = vec![format!("job {} {}", view.job.id, progress(view))];
    if view.failed.is_empty() {
        return lines;
    }
    let mut table = Table::new(&["FAILED", "WHY"]);
    for JobFailureView { gid, code } in &view.failed {
        table.row([gid.to_string(), code.clone()]);
    }
    lines.extend(table.lines());
    let shown = u64::try_from(view.failed.len()).unwrap_or(u64::MAX);
    if let Some(more @ 1..) = view.job.failed_total.checked_sub(shown) {
        lines.push(format!("and {more} more"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_action_leaves_as_it_is_is_said_before() {
        let found = |action, by_status: Value| {
            let view = json!({ "matched": 12, "by_status": by_status, "sample": [] });
            let view = MatchedView::deserialize(view).expect("what matched");
            let lines = found(&view, action, tercet_wire::Wall(0));
            lines.last().map(|line| line.shown(false)).unwrap_or_default()
        };
        let all = json!({ "trying": 7, "confirming": 3, "cancelling": 2 });
        let said = found(BulkAction::Cancel, all.clone());
        assert!(said.starts_with("3 of them are decided to be confirmed"), "{said}");
        let said = found(BulkAction::Resolve, all.clone());
        assert!(said.starts_with("7 of them are not decided"), "{said}");
        for (action, by_status) in
            [(BulkAction::Retry, all), (BulkAction::Cancel, json!({ "trying": 12 }))]
        {
            let said = found(action, by_status);
            assert!(!said.contains("of them are"), "{action:?}: {said}");
        }
    }

    #[test]
    fn what_failed_is_told_with_how_many_there_are() {
        let view = json!({
            "id": "01980000-0000-7000-8000-000000000007", "action": "cancel", "as": null,
            "filter": {}, "note": null, "who": "alice", "state": "done", "matched": 10, "done": 7,
            "failed_total": 3, "created_at": "2026-11-20T12:00:00.000Z", "ended_at": null,
            "failed": [{"gid": "order-1", "code": "already-confirmed"}],
        });
        let view = JobView::deserialize(view).expect("a job");
        assert_eq!(
            came_of(&view),
            [
                "job 01980000-0000-7000-8000-000000000007 done: 7 of 10 done, 3 failed",
                "FAILED   WHY",
                "order-1  already-confirmed",
                "and 2 more",
            ]
        );
    }
}
