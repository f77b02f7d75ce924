//! A branch ended by hand, as was decided or, by whoever types the gid, against it.

use askama::Template;
use axum::Extension;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use serde_json::{Map, Value};
use tercet_wire::{Op, Problem, ProblemCode, ResolvedAs, Status, TransactionView};

use crate::http::console::act::{invalid, went_well};
use crate::http::console::ask::{Acted, Refused};
use crate::http::console::error_page;
use crate::http::console::form::Form;
use crate::http::console::link;
use crate::http::console::shell::{Shell, Tab, page};
use crate::http::console::visit::Visitor;

/// A way to end a branch by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) as_: ResolvedAs,
    /// Whether it is the opposite of what was decided.
    pub(super) is_opposite: bool,
    pub(super) consequence: String,
}

impl Way {
    fn of(participant: &str, as_: ResolvedAs, is_opposite: bool) -> Self {
        let (call, done) = match as_ {
            ResolvedAs::Confirmed => ("Confirm", "has taken what was reserved"),
            ResolvedAs::Cancelled => ("Cancel", "has given back what was reserved"),
        };
        let consequence = match is_opposite {
            false => format!(
                "{participant} is not called any more. The branch counts as if it had acknowledged \
                 {call}: be sure that {participant} {done}, or make it so by hand."
            ),
            true => format!(
                "This is the opposite of what was decided. {participant} is not called any more, the \
                 branch counts as {as_}, and the transaction is marked as mixed for good: its other \
                 branches went the other way."
            ),
        };
        Self { as_, is_opposite, consequence }
    }

    /// The ways to end a branch of a transaction of this status, what was decided first; none before
    /// that.
    pub(super) fn all(participant: &str, status: Status) -> Vec<Self> {
        let (first, second) = match status.decided_op() {
            Some(Op::Confirm) => (ResolvedAs::Confirmed, ResolvedAs::Cancelled),
            Some(Op::Cancel) => (ResolvedAs::Cancelled, ResolvedAs::Confirmed),
            Some(Op::Try) | None => return Vec::new(),
        };
        vec![Self::of(participant, first, false), Self::of(participant, second, true)]
    }
}

/// Whether this is the opposite of what was decided; none before that.
pub(super) fn is_opposite(as_: ResolvedAs, status: Status) -> Option<bool> {
    status.decided_op().map(|decided| decided != as_.op())
}

/// As the API says it, which is not asked: the decision could come in between, and be the other one.
pub(super) fn not_decided(gid: &str) -> Refused {
    let detail = format!("{gid} is trying: nothing is decided that could be resolved");
    Box::new(Problem::new(ProblemCode::NotDecided, detail))
}

/// Asks for the gid.
#[derive(Template)]
#[template(path = "console/opposite.html")]
struct OppositePage {
    shell: Shell,
    gid: String,
    branch: String,
    status: Status,
    way: Way,
    note: String,
    /// Where the form is sent.
    path: String,
    back: String,
}

/// Ends a branch by hand.
pub(super) async fn resolve(
    Extension(visitor): Extension<Visitor>,
    Path((gid, id)): Path<(String, String)>,
    form: Form,
) -> Response {
    match resolved(&visitor, (&gid, &id), &form).await {
        Ok(answer) => answer,
        Err(problem) => {
            error_page::refused(&visitor, Tab::Transactions, &link::transaction(&gid), problem)
        }
    }
}

async fn resolved(
    visitor: &Visitor,
    (gid, id): (&str, &str),
    form: &Form,
) -> Result<Response, Refused> {
    let (ask, to) = (visitor.ask(), link::transaction(gid));
    let at = format!("/v1/transactions/{}", link::segment(gid));
    let as_ = form.get("as").and_then(|word| word.parse::<ResolvedAs>().ok());
    let as_ = as_.ok_or_else(|| invalid("as: must be confirmed or cancelled; nothing was done"))?;
    // What cannot be taken back is not done by a slip of the hand; and whether it is the opposite is
    // for the transaction to say, not for the form.
    let view = ask.get::<TransactionView>(&at).await?;
    let status = view.summary.status;
    let Some(is_opposite) = is_opposite(as_, status) else {
        return Err(not_decided(gid));
    };
    if is_opposite && form.get("typed") != Some(gid) {
        let branch = view.branches.iter().find(|branch| branch.id.as_str() == id);
        let participant = branch.map_or(id, |branch| branch.participant.as_str());
        let filled = OppositePage {
            shell: Shell::new(visitor, Tab::Transactions, "The gid must be typed"),
            gid: gid.to_owned(),
            branch: id.to_owned(),
            status,
            way: Way::of(participant, as_, true),
            note: form.get("note").unwrap_or_default().to_owned(),
            path: format!("{to}/branches/{}/resolve", link::segment(id)),
            back: to,
        };
        return Ok((StatusCode::BAD_REQUEST, page(&filled)).into_response());
    }
    let mut body = Map::new();
    body.insert("as".to_owned(), Value::from(as_.as_str()));
    if let Some(note) = form.get("note") {
        body.insert("note".to_owned(), Value::from(note));
    }
    let uri = format!("{at}/branches/{}/resolve", link::segment(id));
    let said = match ask.act(Method::POST, &uri, Some(&Value::Object(body))).await? {
        Acted::Done => "resolved",
        Acted::AskedFor => "resolves-soon",
    };
    Ok(went_well(&to, said, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_comes_first_and_its_opposite_says_so() {
        for (status, first) in [
            (Status::Confirming, ResolvedAs::Confirmed),
            (Status::Confirmed, ResolvedAs::Confirmed),
            (Status::Cancelling, ResolvedAs::Cancelled),
        ] {
            let ways = Way::all("pay:80", status);
            let of: Vec<_> = ways.iter().map(|way| (way.as_ == first, way.is_opposite)).collect();
            assert_eq!(of, [(true, false), (false, true)], "{status}");
            for way in ways {
                assert_eq!(is_opposite(way.as_, status), Some(way.is_opposite), "{status}");
                assert_eq!(way.consequence.contains("mixed for good"), way.is_opposite);
            }
        }
        assert_eq!(Way::all("pay:80", Status::Trying), []);
        assert_eq!(is_opposite(ResolvedAs::Confirmed, Status::Trying), None);
    }
}
