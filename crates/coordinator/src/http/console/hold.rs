//! What is held since the database was restored from a backup: said on every page until it is released, and
//! released here.

use axum::Extension;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use tercet_wire::{RestoredView, Status, SummaryView, Wall};

use crate::http::console::act::{invalid, went_well};
use crate::http::console::error_page;
use crate::http::console::form::Form;
use crate::http::console::link;
use crate::http::console::moment::{Moment, grouped};
use crate::http::console::shell::Tab;
use crate::http::console::visit::Visitor;

/// Where it is released.
pub(super) const RELEASE: &str = "/console/restored/release";
/// Where the form for it is.
const AT: &str = "/console";

/// That something is held, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Hold {
    since: Option<Wall>,
    count: Option<u64>,
}

/// The same for people.
#[derive(Debug, Clone)]
pub(super) struct ShownHold {
    pub(super) since: Option<Moment>,
    /// How many transactions; none where the database does not say.
    pub(super) count: Option<String>,
    pub(super) is_one: bool,
    pub(super) is_none: bool,
    /// Where they are listed.
    pub(super) list: String,
}

impl Hold {
    pub(super) fn of(held: &RestoredView) -> Self {
        Self { since: Some(held.held_since), count: Some(held.held) }
    }

    pub(super) fn shown(&self, now: Wall) -> ShownHold {
        // What was begun in the very millisecond of the hold is held too, and is not before it.
        let before = self.since.map(|since| Wall(since.0.saturating_add(1)).to_string());
        let list =
            [("status", Some(Status::Trying.as_str())), ("created_before", before.as_deref())];
        let list = list.into_iter().filter_map(|(name, value)| Some((name, value?)));
        ShownHold {
            since: self.since.map(|since| Moment::new(since, now)),
            count: self.count.map(grouped),
            is_one: self.count == Some(1),
            is_none: self.count == Some(0),
            list: link::with_query("/console/transactions", list),
        }
    }

    /// Whether a transaction is held, of which the API does not say so itself.
    pub(super) fn has(&self, summary: &SummaryView) -> bool {
        summary.status == Status::Trying
            && self.since.is_some_and(|since| summary.created_at <= since)
    }
}

/// What the API says of a transaction, where it does.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SaysHeld {
    #[serde(default)]
    held: Option<bool>,
}

/// Whether a transaction is held, as the API says, or by when it was begun.
pub(super) fn is_held(visitor: &Visitor, summary: &SummaryView, says: SaysHeld) -> bool {
    says.held.unwrap_or_else(|| visitor.hold.as_ref().is_some_and(|hold| hold.has(summary)))
}

/// Has what is held go on.
pub(super) async fn release(Extension(visitor): Extension<Visitor>, form: Form) -> Response {
    let refused = |problem| error_page::refused(&visitor, Tab::NeedsYou, AT, problem);
    if form.get("sure") != Some("yes") {
        return refused(invalid(
            "what is held is released only by whoever says that the books were compared; nothing was done",
        ));
    }
    let body = form.get("note").map(|note| json!({ "note": note }));
    match visitor.ask().post("/v1/restored/release", body.as_ref()).await {
        Ok(done) => went_well(AT, "released", done["released"].as_u64()),
        Err(problem) => refused(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_leads_to_the_list_of_what_it_holds() {
        let hold = Hold::of(&RestoredView { held_since: Wall(1_763_640_000_000), held: 1_200 });
        let shown = hold.shown(Wall(1_763_640_060_000));
        assert_eq!(shown.count.as_deref(), Some("1\u{202f}200"));
        assert_eq!(
            shown.list,
            "/console/transactions?status=trying&created_before=2025-11-20T12%3A00%3A00.001Z"
        );
        let unknown = Hold::default().shown(Wall(0));
        assert_eq!((unknown.count, unknown.is_none), (None, false));
        assert_eq!(unknown.list, "/console/transactions?status=trying");
    }
}
