//! What is held since the database was restored from a backup: said on every page until it is released, and
//! released here.

use axum::Extension;
use axum::response::Response;
use serde_json::json;
use tercet_wire::{RestoredView, Status, Wall};

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

/// That something is held, and what the database says of it, if it does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hold(Option<RestoredView>);

/// The same for people.
#[derive(Debug, Clone)]
pub(super) struct ShownHold {
    pub(super) since: Option<Moment>,
    /// How many transactions; none where the database does not say.
    pub(super) count: Option<String>,
    pub(super) is_one: bool,
    pub(super) is_none: bool,
    /// Those that a release cancels at once, and the first of them.
    pub(super) cancels: Option<(String, String)>,
    /// Where they are listed.
    pub(super) list: String,
}

impl Hold {
    pub(super) fn of(held: RestoredView) -> Self {
        Self(Some(held))
    }

    pub(super) fn shown(&self, now: Wall) -> ShownHold {
        let since = self.0.as_ref().map(|held| held.held_since);
        let count = self.0.as_ref().map(|held| held.held);
        let cancels = self.0.as_ref().filter(|held| held.release_cancels > 0).map(|held| {
            let first: Vec<&str> = held.sample.iter().map(|gid| gid.as_str()).collect();
            (grouped(held.release_cancels), first.join(", "))
        });
        // What was begun in the very millisecond of the hold is held too, and is not before it.
        let before = since.map(|since| Wall(since.0.saturating_add(1)).to_string());
        let list =
            [("status", Some(Status::Trying.as_str())), ("created_before", before.as_deref())];
        let list = list.into_iter().filter_map(|(name, value)| Some((name, value?)));
        ShownHold {
            since: since.map(|since| Moment::new(since, now)),
            count: count.map(grouped),
            is_one: count == Some(1),
            is_none: count == Some(0),
            cancels,
            list: link::with_query("/console/transactions", list),
        }
    }
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
        let hold = Hold::of(RestoredView {
            held_since: Wall(1_763_640_000_000),
            held: 1_200,
            open: 7,
            past_deadline: 6,
            release_cancels: 2,
            sample: ["order-1", "order-2"].map(|gid| gid.parse().expect("a gid")).to_vec(),
        });
        let shown = hold.shown(Wall(1_763_640_060_000));
        assert_eq!(shown.count.as_deref(), Some("1\u{202f}200"));
        assert_eq!(shown.cancels, Some(("2".to_owned(), "order-1, order-2".to_owned())));
        assert_eq!(
            shown.list,
            "/console/transactions?status=trying&created_before=2025-11-20T12%3A00%3A00.001Z"
        );
        let unknown = Hold::default().shown(Wall(0));
        assert_eq!((unknown.count, unknown.is_none), (None, false));
        assert_eq!(unknown.list, "/console/transactions?status=trying");
    }
}
