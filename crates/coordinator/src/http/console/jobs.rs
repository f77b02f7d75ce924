//! Jobs: what is being done to many transactions, and how far it is.

use askama::Template;
use axum::Extension;
use axum::extract::Path;
use axum::response::Response;
use http::{Method, Uri};
use serde::Deserialize;
use serde_json::{Map, Value};
use tercet_wire::{Page, Wall};

use crate::escape::for_people;
use crate::http::console::act::{said, went_well};
use crate::http::console::ask::Refused;
use crate::http::console::error_page;
use crate::http::console::form::Form;
use crate::http::console::link;
use crate::http::console::moment::{Moment, grouped};
use crate::http::console::operations::Part;
use crate::http::console::shell::{Shell, Tab, page};
use crate::http::console::visit::Visitor;
use crate::http::console::words::{Pill, Tone};

const AT: &str = "/console/operations/jobs";

#[derive(Template)]
#[template(path = "console/jobs.html")]
struct JobsPage {
    shell: Shell,
    part: Part,
    jobs: Vec<Shown>,
}

#[derive(Template)]
#[template(path = "console/job.html")]
struct JobPage {
    shell: Shell,
    part: Part,
    job: Shown,
    failed: Vec<(String, String, String)>,
    is_running: bool,
}

/// A job as the API tells it.
#[derive(Debug, Deserialize)]
struct Job {
    id: String,
    action: String,
    #[serde(default, rename = "as")]
    as_: Option<String>,
    #[serde(default)]
    filter: Map<String, Value>,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    who: String,
    state: String,
    matched: u64,
    done: u64,
    #[serde(default)]
    failed_total: u64,
    #[serde(default)]
    created_at: Option<Wall>,
    #[serde(default)]
    failed: Vec<Failure>,
}

/// A transaction to which it could not be done.
#[derive(Debug, Deserialize)]
struct Failure {
    gid: String,
    code: String,
}

/// A job as it is shown.
struct Shown {
    id: String,
    href: String,
    action: String,
    filter: String,
    note: Option<String>,
    who: String,
    state: Pill,
    matched: String,
    done: String,
    failed: String,
    has_failed: bool,
    /// Those that it will not come to any more, where there are some.
    not_tried: Option<String>,
    resolves: bool,
    /// How much of it is over, in percents.
    percent: u64,
    begun: Option<Moment>,
}

fn shown(job: &Job, now: Wall) -> Shown {
    let tone = match job.state.as_str() {
        "done" if job.failed_total > 0 => Tone::Warn,
        "done" => Tone::Good,
        "stopping" | "stopped" => Tone::Paused,
        _ => Tone::Busy,
    };
    let filter = job.filter.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name} {text}")
    });
    let filter = filter.collect::<Vec<_>>().join(" · ");
    let over = job.done.saturating_add(job.failed_total);
    Shown {
        href: format!("{AT}/{}", link::segment(&job.id)),
        id: job.id.clone(),
        action: match &job.as_ {
            Some(as_) => format!("{} as {as_}", job.action),
            None => job.action.clone(),
        },
        filter: for_people(&filter).into_owned(),
        note: job.note.as_deref().map(|note| for_people(note).into_owned()),
        who: for_people(&job.who).into_owned(),
        state: Pill::new(tone, job.state.clone()),
        matched: grouped(job.matched),
        done: grouped(job.done),
        failed: grouped(job.failed_total),
        has_failed: job.failed_total > 0,
        not_tried: not_tried(job).map(grouped),
        resolves: job.action == "resolve",
        percent: over.saturating_mul(100).checked_div(job.matched).unwrap_or(100).min(100),
        begun: job.created_at.map(|at| Moment::new(at, now)),
    }
}

/// How many a job will not come to any more: it was stopped before.
fn not_tried(job: &Job) -> Option<u64> {
    let left = job.matched.saturating_sub(job.done.saturating_add(job.failed_total));
    (left > 0 && job.state == "stopped").then_some(left)
}

/// All of them.
pub(super) async fn jobs(Extension(visitor): Extension<Visitor>) -> Response {
    match visitor.ask().get::<Page<Job>>("/v1/jobs").await {
        Ok(found) => {
            let jobs = found.items.iter().map(|job| shown(job, visitor.now())).collect();
            let shell = Shell::new(&visitor, Tab::Operations, "Jobs");
            page(&JobsPage { shell, part: Part::Jobs, jobs })
        }
        Err(problem) => refused(&visitor, problem),
    }
}

/// One.
pub(super) async fn job(
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    uri: Uri,
) -> Response {
    match visitor.ask().get::<Job>(&format!("/v1/jobs/{}", link::segment(&id))).await {
        Ok(job) => {
            let failed = job.failed.iter().map(|failure| {
                (failure.gid.clone(), link::transaction(&failure.gid), failure.code.clone())
            });
            page(&JobPage {
                shell: Shell::new(&visitor, Tab::Operations, "Job").saying(said(&uri)),
                part: Part::Jobs,
                is_running: matches!(job.state.as_str(), "queued" | "running"),
                failed: failed.collect(),
                job: shown(&job, visitor.now()),
            })
        }
        Err(problem) => refused(&visitor, problem),
    }
}

/// Stops it.
pub(super) async fn stop(
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    _: Form,
) -> Response {
    let uri = format!("/v1/jobs/{}", link::segment(&id));
    match visitor.ask().send(Method::DELETE, &uri, None).await {
        Ok(_) => went_well(&format!("{AT}/{}", link::segment(&id)), "stopped", None),
        Err(problem) => refused(&visitor, problem),
    }
}

fn refused(visitor: &Visitor, problem: Refused) -> Response {
    error_page::refused(visitor, Tab::Operations, "/console/operations", problem)
}
