//! The same done to many transactions: to those that were chosen in the list one by one, to all that match
//! its filters by a job. Either way it is said first how many there are, and why is asked.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tercet_wire::{JobAction, MatchedView, ResolvedAs, Status, SummaryView, TransactionView, Wall};

use crate::http::console::act::{back, invalid};
use crate::http::console::ask::Refused;
use crate::http::console::came::AT_ONCE;
use crate::http::console::error_page;
use crate::http::console::filters::Filters;
use crate::http::console::form::Form;
use crate::http::console::link;
use crate::http::console::moment::{Moment, grouped};
use crate::http::console::resolve::is_opposite;
use crate::http::console::shell::{Shell, Tab, page};
use crate::http::console::visit::Visitor;
use crate::http::console::words::Pill;

/// Chosen ones at a time: as many as a page of the list has, at most.
pub(super) const CHOSEN: usize = 500;
/// Those that are named before it is done.
const SAMPLE: usize = 5;
pub(super) const LIST: &str = "/console/transactions";

#[derive(Template)]
#[template(path = "console/review.html")]
struct ReviewPage {
    shell: Shell,
    action: &'static str,
    as_: Option<ResolvedAs>,
    consequence: &'static str,
    count: String,
    is_one: bool,
    is_none: bool,
    /// Those that were decided the other way, and are left out unless somebody says that they are meant.
    against: Option<String>,
    /// Those that are decided to be confirmed, and are not cancelled.
    confirming: Option<String>,
    /// Those that were chosen beyond what is taken at a time.
    left_out: Option<String>,
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

/// What can be done to many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Retry,
    Cancel,
    Resolve(ResolvedAs),
}

impl Deed {
    fn of(word: &str) -> Option<Self> {
        match word {
            "retry" => Some(Self::Retry),
            "cancel" => Some(Self::Cancel),
            "resolve-confirmed" => Some(Self::Resolve(ResolvedAs::Confirmed)),
            "resolve-cancelled" => Some(Self::Resolve(ResolvedAs::Cancelled)),
            _ => None,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Resolve(_) => "resolve",
        }
    }

    fn as_(self) -> Option<ResolvedAs> {
        match self {
            Self::Retry | Self::Cancel => None,
            Self::Resolve(as_) => Some(as_),
        }
    }

    fn consequence(self) -> &'static str {
        match self {
            Self::Retry => {
                "What waits in each is called at once, without a second call beside one under way. What waits for a paused \
                 participant is called once that is resumed."
            }
            Self::Cancel => {
                "Each that is not decided is cancelled for good: its branches get their Cancel. Those that are \
                 decided stay as they are."
            }
            Self::Resolve(ResolvedAs::Confirmed) => {
                "Every branch of theirs that is not done counts as if it had acknowledged Confirm, and is called no \
                 more: be sure that the participants have done so, or make it so by hand. Those that are not \
                 decided stay as they are."
            }
            Self::Resolve(ResolvedAs::Cancelled) => {
                "Every branch of theirs that is not done counts as if it had acknowledged Cancel, and is called no \
                 more: be sure that the participants have done so, or make it so by hand. Those that are not \
                 decided stay as they are."
            }
        }
    }
}

/// The status of what is unfinished and was decided so, and of what was decided the other way.
fn decided(as_: ResolvedAs) -> (Status, Status) {
    match as_ {
        ResolvedAs::Confirmed => (Status::Confirming, Status::Cancelling),
        ResolvedAs::Cancelled => (Status::Cancelling, Status::Confirming),
    }
}

pub(super) fn deed(form: &Form) -> Result<Deed, Refused> {
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
    let filled = ReviewPage {
        shell: Shell::new(visitor, Tab::Transactions, "To many"),
        action: deed.action(),
        as_: deed.as_(),
        consequence: deed.consequence(),
        count: String::new(),
        is_one: false,
        is_none: false,
        against: None,
        confirming: None,
        left_out: None,
        sample: Vec::new(),
        gids: Vec::new(),
        conditions: Vec::new(),
        filter,
        needs_note: deed.as_().is_some(),
        back: to.to_owned(),
    };
    match is_of_all {
        true => all_that_match(visitor, form, deed, filled).await,
        false => those_chosen(visitor, form, deed, filled).await,
    }
}

async fn those_chosen(
    visitor: &Visitor,
    form: &Form,
    deed: Deed,
    mut filled: ReviewPage,
) -> Result<ReviewPage, Refused> {
    let mut gids = form.all("gid");
    if gids.is_empty() {
        return Err(invalid("no transaction was chosen; nothing was done"));
    }
    let left_out = gids.len().saturating_sub(CHOSEN);
    gids.truncate(CHOSEN);
    let against = match deed {
        Deed::Resolve(as_) => {
            let is_against = |status| is_opposite(as_, status) == Some(true);
            count_unfinished(visitor, &gids, is_against).await
        }
        Deed::Retry | Deed::Cancel => 0,
    };
    let confirming = match deed {
        Deed::Cancel => {
            count_unfinished(visitor, &gids, |status| JobAction::Cancel.leaves_out(status)).await
        }
        Deed::Retry | Deed::Resolve(_) => 0,
    };
    let sampled = |gid: &String| Sampled {
        gid: gid.clone(),
        href: link::transaction(gid),
        status: None,
        begun: None,
    };
    filled.count = counted(gids.len() - against);
    filled.is_one = gids.len() - against == 1;
    filled.against = (against > 0).then(|| counted(against));
    filled.confirming = (confirming > 0).then(|| counted(confirming));
    filled.left_out = (left_out > 0).then(|| counted(left_out));
    filled.sample = gids.iter().take(SAMPLE).map(sampled).collect();
    filled.gids = gids;
    Ok(filled)
}

/// How many of these have not ended and are of a status like that.
async fn count_unfinished(
    visitor: &Visitor,
    gids: &[String],
    is_meant: impl Fn(Status) -> bool,
) -> usize {
    let (ask, mut count) = (&visitor.ask(), 0);
    for chunk in gids.chunks(AT_ONCE) {
        let looked = chunk.iter().map(|gid| async move {
            let at = format!("/v1/transactions/{}", link::segment(gid));
            ask.get::<TransactionView>(&at).await
        });
        let looked = join_all(looked).await.into_iter().flatten();
        let statuses = looked.map(|view| view.summary.status);
        count += statuses.filter(|status| !status.is_finished() && is_meant(*status)).count();
    }
    count
}

async fn all_that_match(
    visitor: &Visitor,
    form: &Form,
    deed: Deed,
    mut filled: ReviewPage,
) -> Result<ReviewPage, Refused> {
    let filters = Filters::of(&filled.filter);
    filled.conditions = meant(deed, &filters, visitor.now(), false);
    let found = would_find(visitor, deed, &filled.conditions, form.get("note")).await?;
    if let Some(as_) = deed.as_() {
        let (_, against) = decided(as_);
        let others = only(filters.query(visitor.now()), &filters, &[against]);
        let others = would_find(visitor, deed, &others, form.get("note")).await?;
        filled.against = (others.matched > 0).then(|| grouped(others.matched));
    }
    if deed == Deed::Cancel {
        let confirming = found.left_out(JobAction::Cancel);
        filled.confirming = (confirming > 0).then(|| grouped(confirming));
    }
    filled.count = grouped(found.matched);
    filled.is_one = found.matched == 1;
    filled.is_none = found.matched == 0 && filled.against.is_none();
    let now = visitor.now();
    let sampled = |summary: &SummaryView| Sampled {
        gid: summary.gid.to_string(),
        href: link::transaction(summary.gid.as_str()),
        status: Some(Pill::of_status(summary.status, summary.parked)),
        begun: Some(Moment::new(summary.created_at, now)),
    };
    filled.sample = found.sample.iter().map(sampled).collect();
    Ok(filled)
}

fn counted(count: usize) -> String {
    grouped(u64::try_from(count).unwrap_or(u64::MAX))
}

/// What a dry run says. A filter of statuses among which there is none of these finds none.
async fn would_find(
    visitor: &Visitor,
    deed: Deed,
    conditions: &[(String, String)],
    note: Option<&str>,
) -> Result<MatchedView, Refused> {
    if conditions.iter().any(|(name, value)| name == "status" && value.is_empty()) {
        return Ok(MatchedView { matched: 0, by_status: BTreeMap::new(), sample: Vec::new() });
    }
    let found = visitor.ask().post("/v1/jobs", Some(&of_job(deed, conditions, note, true))).await?;
    serde_json::from_value(found).map_err(|_| invalid("what the job would find could not be read"))
}

/// Which transactions a job is about. One that resolves is about those that were decided so, and about
/// those that were decided the other way where somebody has said that they are meant.
fn meant(deed: Deed, filters: &Filters, now: Wall, is_mixed_meant: bool) -> Vec<(String, String)> {
    let asked = filters.query(now);
    let Some(as_) = deed.as_() else { return asked };
    let (so, against) = decided(as_);
    match is_mixed_meant {
        true => only(asked, filters, &[so, against]),
        false => only(asked, filters, &[so]),
    }
}

/// What is asked for, of these statuses alone.
fn only(
    mut asked: Vec<(String, String)>,
    filters: &Filters,
    statuses: &[Status],
) -> Vec<(String, String)> {
    let statuses = statuses.iter().filter(|status| filters.asks_for(**status));
    let statuses = statuses.map(|status| status.as_str()).collect::<Vec<_>>().join(",");
    asked.retain(|(name, _)| name != "status");
    asked.push(("status".to_owned(), statuses));
    asked
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
        body["as"] = as_.as_str().into();
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
        let filters = Filters::of(form.get("filter").unwrap_or_default());
        let conditions = meant(deed, &filters, visitor.now(), form.get("mixed") == Some("yes"));
        if conditions.iter().any(|(name, value)| name == "status" && value.is_empty()) {
            return Err(invalid("none that matches was decided so; nothing was done"));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_asked_for_what_the_list_shows() {
        let pairs = [("status", "trying,confirming"), ("parked", "true"), ("order", "oldest")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = of_job(Deed::Resolve(ResolvedAs::Confirmed), &pairs, Some("ticket 4711"), false);
        let filter = json!({"status": "trying,confirming", "parked": true});
        let expected = json!({
            "action": "resolve", "as": "confirmed", "note": "ticket 4711", "dry_run": false, "filter": filter,
        });
        assert_eq!(body, expected);
        let dry = of_job(Deed::Retry, &[], None, true);
        assert_eq!((&dry["dry_run"], &dry["as"]), (&json!(true), &Value::Null));
    }

    #[test]
    fn a_job_resolves_none_against_the_decision_unless_it_is_meant() {
        let statuses = |deed, query: &str, is_mixed_meant| {
            let asked = meant(deed, &Filters::of(query), Wall(0), is_mixed_meant);
            let found = asked.into_iter().find(|(name, _)| name == "status");
            found.map(|(_, value)| value)
        };
        let [confirmed, cancelled] =
            [ResolvedAs::Confirmed, ResolvedAs::Cancelled].map(Deed::Resolve);
        for (deed, query, is_mixed_meant, expected) in [
            (confirmed, "", false, Some("confirming")),
            (confirmed, "status=all", false, Some("confirming")),
            (confirmed, "parked=true", true, Some("confirming,cancelling")),
            (cancelled, "", false, Some("cancelling")),
            (cancelled, "status=confirming", false, Some("")),
            (cancelled, "status=confirming", true, Some("confirming")),
            (Deed::Retry, "", false, Some("trying,confirming,cancelling")),
            (Deed::Cancel, "status=all", false, None),
        ] {
            let found = statuses(deed, query, is_mixed_meant);
            assert_eq!(found.as_deref(), expected, "{deed:?} {query} {is_mixed_meant}");
        }
    }
}
