//! `tercet jobs`: what is done to many transactions, and how far it is.

use clap::{Args, Subcommand};
use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::{JobState, JobView, ListedJobView, Page};

use crate::cli::exit::Exit;
use crate::cli::line::Line;
use crate::cli::terminal::width;
use crate::cli::tx::arguments::{Output, Where};
use crate::cli::tx::bulk::came_of;
use crate::cli::tx::client::{Answered, ClientError};
use crate::cli::tx::table::Table;
use crate::cli::tx::{Desk, on_runtime, refused};

/// Characters of a time up to its seconds.
const SECONDS: usize = 19;

/// `tercet jobs`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Jobs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    at: Where,
    /// How the answer looks; json is the coordinator's own
    #[arg(short, long, value_name = "FORMAT", default_value = "text", global = true)]
    output: Output,
    /// Taken by every command; none of these asks
    #[arg(long, global = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List jobs, those begun last first
    List {
        /// At most this many: 1 to 500
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Go on after an earlier page
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<String>,
    },
    /// Show how far one is, and what failed
    Show {
        /// Which job
        id: String,
    },
    /// Stop one; what it has done stays done
    Stop {
        /// Which job
        id: String,
    },
}

pub(in crate::cli) fn jobs(flags: Jobs) -> Exit {
    let Jobs { what, at, output, yes } = flags;
    let now = SystemClock::start().now().wall;
    let done = on_runtime(&at, async |client| Desk { client, output, now, yes }.jobs(what).await);
    match done {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => refused(&error, output),
        Err(exit) => exit,
    }
}

impl Desk {
    async fn jobs(&self, what: What) -> Result<Exit, ClientError> {
        match what {
            What::List { limit, cursor } => {
                let limit = limit.map(|limit| ("limit", limit.to_string()));
                let cursor = cursor.map(|cursor| ("cursor", cursor));
                let query: Vec<_> = limit.into_iter().chain(cursor).collect();
                let Answered { body, .. } = self.client.get(&["v1", "jobs"], &query).await?;
                self.print(&body, |page| list(page, width()));
            }
            What::Show { id } => {
                let path = ["v1", "jobs", &id];
                let Answered { body, .. } =
                    self.client.get(&path, crate::cli::tx::client::NO_QUERY).await?;
                self.print(&body, show);
            }
            What::Stop { id } => {
                let Answered { body, .. } = self.client.delete(&["v1", "jobs", &id]).await?;
                self.print(&body, show);
                if body["state"] == JobState::Stopping.as_str() {
                    self.remark("it stops within a second");
                }
            }
        }
        Ok(Exit::Well)
    }
}

/// Who began each and how far it is stand below it where there is no room beside it.
fn list(page: &Page<ListedJobView>, width: usize) -> Vec<Line> {
    if page.items.is_empty() {
        return vec!["no jobs".into()];
    }
    let mut table = Table::with_words(&["ID", "ACTION", "STATE", "BEGUN", "WHO, AND HOW FAR"]);
    for job in &page.items {
        let ListedJobView { done, matched, failed_total, who, .. } = job;
        let begun: String = job.created_at.to_string().chars().take(SECONDS).collect();
        let failed = match failed_total {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        table.row([
            job.id.to_string(),
            job.action.to_string(),
            job.state.to_string(),
            format!("{begun}Z").replace('T', " "),
            format!("by {who}: {done} of {matched} done{failed}"),
        ]);
    }
    let mut lines = table.fitted(width);
    if let Some(cursor) = &page.next_cursor {
        lines.push(format!("more with --cursor {cursor}").into());
    }
    lines
}

fn show(view: &JobView) -> Vec<String> {
    let job = &view.job;
    let as_ = job.as_.map(|as_| format!(" as {as_}")).unwrap_or_default();
    let mut lines = vec![
        format!("{}{as_}, begun {} by {}", job.action, job.created_at, job.who),
        format!("filter {}", serde_json::Value::Object(job.filter.clone())),
    ];
    lines.extend(job.note.iter().map(|note| format!("note {note}")));
    lines.extend(job.ended_at.iter().map(|at| format!("ended {at}")));
    lines.extend(came_of(view));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_says_who_began_each_and_when_in_eighty_columns() {
        let page = json!({
            "items": [{
                "id": "01980000-0000-7000-8000-000000000007", "action": "resolve",
                "as": "confirmed", "filter": {}, "note": null,
                "who": "somebody.with.a.long.name@example.org", "state": "stopping",
                "matched": 50_000, "done": 12_345, "failed_total": 17,
                "created_at": "2026-11-20T12:05:00.120Z", "ended_at": null,
            }],
            "next_cursor": null,
        });
        let page: Page<ListedJobView> = serde_json::from_value(page).expect("a page");
        let shown = |width| -> Vec<String> {
            list(&page, width).iter().map(|line| line.shown(false)).collect()
        };
        let words = "by somebody.with.a.long.name@example.org: 12345 of 50000 done, 17 failed";
        let row = "01980000-0000-7000-8000-000000000007  resolve  stopping  2026-11-20 12:05:00Z";
        let headings = "ID                                    ACTION   STATE     BEGUN";
        assert_eq!(shown(80), [headings, row, &format!("    {words}")]);
        let beside = shown(200);
        assert_eq!(beside.get(1), Some(&format!("{row}  {words}")));
        assert!(beside[0].ends_with("BEGUN                 WHO, AND HOW FAR"), "{}", beside[0]);
    }
}
