//! The same done to many transactions: to those that were chosen in the list one by one, to all that match
//! its filters by a job. Either way it is said first how many there are, and why is asked.

use askama::Template;
use axum::Extension;
use axum::response::{IntoResponse, Redirect, Response};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tercet_wire::{Problem, SummaryView, TransactionView};

use crate::http::console::act::{back, invalid, went_well};
use crate::http::console::ask::{Ask, Refused};
use crate::http::console::error_page;
use crate::http::console::filters::Filters;
use crate::http::console::form::Form;
use crate::http::console::link;
use crate::http::console::moment::{Moment, grouped};
use crate::http::console::shell::{Shell, Tab, page};
use crate::http::console::visit::Visitor;
use crate::http::console::words::{Pill, is_done};

/// Chosen ones at a time: as many as a page of the list has, at most.
const CHOSEN: usize = 500;
/// Those that are named before it is done.
const SAMPLE: usize = 5;
const LIST: &str = "/console/transactions";

#[derive(Template)]
#[template(path = "console/review.html")]
struct ReviewPage {
    shell: Shell,
    action: &'static str,
    as_: Option<&'static str>,
    consequence: &'static str,
    count: String,
    is_none: bool,
    sample: Vec<Sampled>,
    /// Of chosen ones; else all that match are meant.
    gids: Vec<String>,
    filter: String,
    conditions: Vec<(String, String)>,
    needs_note: bool,
    back: String,
}

/// One of those it would be done to.
struct Sampled {
    gid: String,
    href: String,
    status: Option<Pill>,
    begun: Option<Moment>,
}

#[derive(Template)]
#[template(path = "console/came_of_it.html")]
struct CameOfIt {
    shell: Shell,
    done: usize,
    failed: Vec<(String, String, Box<Problem>)>,
    back: String,
}

/// What a job would find.
#[derive(Debug, Deserialize)]
struct Matched {
    matched: u64,
    sample: Vec<SummaryView>,
}

/// What can be done to many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Retry,
    Cancel,
    ResolveConfirmed,
    ResolveCancelled,
}

impl Deed {
    fn of(word: &str) -> Option<Self> {
        match word {
            "retry" => Some(Self::Retry),
            "cancel" => Some(Self::Cancel),
            "resolve-confirmed" => Some(Self::ResolveConfirmed),
            "resolve-cancelled" => Some(Self::ResolveCancelled),
            _ => None,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::ResolveConfirmed | Self::ResolveCancelled => "resolve",
        }
    }

    fn as_(self) -> Option<&'static str> {
        match self {
            Self::Retry | Self::Cancel => None,
            Self::ResolveConfirmed => Some("confirmed"),
            Self::ResolveCancelled => Some("cancelled"),
        }
    }

    fn consequence(self) -> &'static str {
        match self {
            Self::Retry => {
                "What waits in each is called at once, without a second call beside one under way."
            }
            Self::Cancel => {
                "Each that is not decided is cancelled for good: its branches get their Cancel. Those that are \
                 decided stay as they are."
            }
            Self::ResolveConfirmed => {
                "Every branch of theirs that is not done counts as if it had acknowledged Confirm, and is called no \
                 more: be sure that the participants have done so, or make it so by hand. Where cancel was \
                 decided, the transaction is mixed for good."
            }
            Self::ResolveCancelled => {
                "Every branch of theirs that is not done counts as if it had acknowledged Cancel, and is called no \
                 more: be sure that the participants have done so, or make it so by hand. Where confirm was \
                 decided, the transaction is mixed for good."
            }
        }
    }
}

fn deed(form: &Form) -> Result<Deed, Refused> {
    let named = form.get("deed").and_then(Deed::of);
    named.ok_or_else(|| invalid("nothing was chosen that could be done; nothing was done"))
}

/// Says what would be done, and to how many.
pub(super) async fn review(Extension(visitor): Extension<Visitor>, form: Form) -> Response {
    let to = back(&form, LIST).to_owned();
    match reviewed(&visitor, &form, &to).await {
        Ok(filled) => page(&filled),
        Err(problem) => error_page::refused(&visitor, Tab::Transactions, &to, problem),
    }
}

async fn reviewed(visitor: &Visitor, form: &Form, to: &str) -> Result<ReviewPage, Refused> {
    let deed = deed(form)?;
    let is_of_all = form.get("whom") == Some("all");
    let filter = form.get("filter").unwrap_or_default().to_owned();
    let mut filled = ReviewPage {
        shell: Shell::new(visitor, Tab::Transactions, "To many"),
        action: deed.action(),
        as_: deed.as_(),
        consequence: deed.consequence(),
        count: String::new(),
        is_none: false,
        sample: Vec::new(),
        gids: Vec::new(),
        conditions: Filters::of(&filter).query(visitor.now()),
        filter,
        needs_note: deed.as_().is_some(),
        back: to.to_owned(),
    };
    if !is_of_all {
        let mut gids = form.all("gid");
        gids.truncate(CHOSEN);
        if gids.is_empty() {
            return Err(invalid("no transaction was chosen; nothing was done"));
        }
        filled.count = grouped(u64::try_from(gids.len()).unwrap_or(u64::MAX));
        filled.sample = gids
            .iter()
            .take(SAMPLE)
            .map(|gid| Sampled {
                gid: gid.clone(),
                href: link::transaction(gid),
                status: None,
                begun: None,
            })
            .collect();
        filled.gids = gids;
        return Ok(filled);
    }
    let body = of_job(deed, &filled.conditions, form.get("note"), true);
    let found = visitor.ask().post("/v1/jobs", Some(&body)).await?;
    let found: Matched = serde_json::from_value(found)
        .map_err(|_| invalid("what the job would find could not be read"))?;
    filled.count = grouped(found.matched);
    filled.is_none = found.matched == 0;
    filled.sample = found
        .sample
        .iter()
        .map(|summary| Sampled {
            gid: summary.gid.to_string(),
            href: link::transaction(summary.gid.as_str()),
            status: Some(Pill::of_status(summary.status, summary.parked)),
            begun: Some(Moment::new(summary.created_at, visitor.now())),
        })
        .collect();
    Ok(filled)
}

/// What the API is sent. Nothing is done by a dry run, which takes any note.
fn of_job(deed: Deed, conditions: &[(String, String)], note: Option<&str>, is_dry: bool) -> Value {
    let conditions = conditions
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "order" | "limit" | "cursor"));
    let filter = conditions.map(|(name, value)| {
        let value = match (name.as_str(), value.as_str()) {
            ("parked" | "open", "true") => Value::Bool(true),
            ("parked" | "open", "false") => Value::Bool(false),
            (_, value) => Value::from(value),
        };
        (name.clone(), value)
    });
    let mut body = json!({
        "action": deed.action(),
        "filter": filter.collect::<Map<String, Value>>(),
        "dry_run": is_dry,
    });
    if let Some(as_) = deed.as_() {
        body["as"] = as_.into();
    }
    match note {
        Some(note) => body["note"] = note.into(),
        None if is_dry => body["note"] = "to see how many there are".into(),
        None => {}
    }
    body
}

/// Begins a job.
pub(super) async fn job(Extension(visitor): Extension<Visitor>, form: Form) -> Response {
    let to = back(&form, LIST).to_owned();
    let begun = async {
        let deed = deed(&form)?;
        let conditions = Filters::of(form.get("filter").unwrap_or_default()).query(visitor.now());
        let body = of_job(deed, &conditions, form.get("note"), false);
        visitor.ask().post("/v1/jobs", Some(&body)).await
    };
    match begun.await {
        Ok(begun) => {
            let id = begun["id"].as_str().unwrap_or_default();
            let to = format!("/console/operations/jobs/{}", link::segment(id));
            Redirect::to(&to).into_response()
        }
        Err(problem) => error_page::refused(&visitor, Tab::Transactions, &to, problem),
    }
}

/// Does it to each that was chosen.
pub(super) async fn chosen(Extension(visitor): Extension<Visitor>, form: Form) -> Response {
    let to = back(&form, LIST).to_owned();
    let deed = match deed(&form) {
        Ok(deed) => deed,
        Err(problem) => return error_page::refused(&visitor, Tab::Transactions, &to, problem),
    };
    let (ask, note) = (visitor.ask(), form.get("note"));
    let (mut done, mut failed) = (0, Vec::new());
    for gid in form.all("gid").into_iter().take(CHOSEN) {
        match to_one(&ask, &gid, deed, note).await {
            Ok(()) => done += 1,
            Err(problem) => failed.push((link::transaction(&gid), gid, problem)),
        }
    }
    if failed.is_empty() {
        return went_well(&to, "chosen", Some(done));
    }
    let shell = Shell::new(&visitor, Tab::Transactions, "What came of it");
    let done = usize::try_from(done).unwrap_or(usize::MAX);
    page(&CameOfIt { shell, done, failed, back: to })
}

async fn to_one(ask: &Ask, gid: &str, deed: Deed, note: Option<&str>) -> Result<(), Refused> {
    let at = format!("/v1/transactions/{}", link::segment(gid));
    match deed {
        Deed::Retry => ask.send(Method::POST, &format!("{at}/retry"), None).await.map(drop),
        Deed::Cancel => {
            let body = note.map(|note| json!({ "reason": note }));
            let uri = format!("{at}/cancel?wait=decided");
            ask.send(Method::POST, &uri, body.as_ref()).await.map(drop)
        }
        Deed::ResolveConfirmed | Deed::ResolveCancelled => {
            let view = ask.get::<TransactionView>(&at).await?;
            let body = json!({ "as": deed.as_(), "note": note });
            for branch in view.branches.iter().filter(|branch| !is_done(branch)) {
                let uri = format!("{at}/branches/{}/resolve", link::segment(branch.id.as_str()));
                ask.send(Method::POST, &uri, Some(&body)).await?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_asked_for_what_the_list_shows() {
        let pairs = [("status", "trying,confirming"), ("parked", "true"), ("order", "oldest")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = of_job(Deed::ResolveConfirmed, &pairs, Some("ticket 4711"), false);
        let filter = json!({"status": "trying,confirming", "parked": true});
        let expected = json!({
            "action": "resolve", "as": "confirmed", "note": "ticket 4711", "dry_run": false, "filter": filter,
        });
        assert_eq!(body, expected);
        let dry = of_job(Deed::Retry, &[], None, true);
        assert_eq!((&dry["dry_run"], &dry["as"]), (&json!(true), &Value::Null));
    }
}
