//! What people do here: each form becomes a request to the API, and then the page that shows what came
//! of it.

use axum::Extension;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use http::{Method, Uri};
use serde_json::{Map, Value, json};
use tercet_wire::{Problem, ProblemCode};
use url::form_urlencoded;

use crate::http::console::ask::{Acted, Refused};
use crate::http::console::error_page;
use crate::http::console::filters::Filters;
use crate::http::console::form::Form;
use crate::http::console::link;
use crate::http::console::shell::Tab;
use crate::http::console::visit::Visitor;

/// What is said of one that was retried.
const RETRIED: &str = "Called: what was waiting is being called now. What waits for a paused participant is called \
    once that is resumed.";

/// What was done just before, as the address of the page after it says. Nothing that stands there is
/// shown but a number, so that nobody can put words into the console's mouth by a link.
pub(super) fn said(uri: &Uri) -> Option<String> {
    let query = uri.query().unwrap_or_default();
    let value = |name: &str| {
        let found = form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned())
    };
    let count: u64 = value("n").and_then(|count| count.parse().ok()).unwrap_or(0);
    let said = match value("said")?.as_str() {
        "retried" => RETRIED.to_owned(),
        "retried-all" if count == 1 => "1 transaction is being called now.".to_owned(),
        "retried-all" => format!("{count} transactions are being called now."),
        "confirm" => "Confirm is decided; the participants are being told.".to_owned(),
        "cancel" => "Cancel is decided; the participants are being told.".to_owned(),
        "decides-soon" => "Asked for, and not decided yet: this page shows when it is.".to_owned(),
        "paused" => "Paused: no calls are made until somebody resumes it.".to_owned(),
        "paused-before" => {
            "It was paused already. Who has paused it first, when and why stays: for another note, resume it first."
                .to_owned()
        }
        "resumed-before" => "It was not paused: nothing was changed.".to_owned(),
        "resumed" => "Resumed: what waited is being called.".to_owned(),
        "readdressed" => "Calls from now on go to the new address.".to_owned(),
        "stopped" => "The job stops after what is under way.".to_owned(),
        "chosen" if count == 1 => "Done to 1 transaction.".to_owned(),
        "chosen" => format!("Done to {count} transactions."),
        "resolved" => "Resolved by hand. The history says by whom and why.".to_owned(),
        "resolves-soon" => {
            "Asked for: it takes effect when the call under way ends, two seconds from now at \
                            most. The branch says so until then."
                .to_owned()
        }
        "released" if count == 1 => "Released: 1 transaction goes on.".to_owned(),
        "released" => format!("Released: {count} transactions go on."),
        _ => return None,
    };
    Some(said)
}

/// The page that shows what came of it.
pub(super) fn went_well(to: &str, said: &str, count: Option<u64>) -> Response {
    let count = count.map(|count| count.to_string());
    let pairs = [("said", Some(said)), ("n", count.as_deref())];
    let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let joint = if to.contains('?') { '&' } else { '?' };
    Redirect::to(&format!("{to}{joint}{query}")).into_response()
}

/// The page that a form was on.
pub(super) fn back<'a>(form: &'a Form, otherwise: &'a str) -> &'a str {
    form.get("back").filter(|back| link::is_own(back)).unwrap_or(otherwise)
}

/// Has all called that a filter finds.
pub(super) async fn retry_all(Extension(visitor): Extension<Visitor>, form: Form) -> Response {
    let to = back(&form, "/console").to_owned();
    let filters = Filters::of(form.get("filter").unwrap_or_default()).conditions();
    let pairs = filters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let uri = link::with_query("/v1/retry", pairs);
    match visitor.ask().post(&uri, None).await {
        Ok(done) => went_well(&to, "retried-all", done["retried"].as_u64()),
        Err(problem) => error_page::refused(&visitor, Tab::NeedsYou, &to, problem),
    }
}

/// Has what waits in one transaction called.
pub(super) async fn retry(
    Extension(visitor): Extension<Visitor>,
    Path(gid): Path<String>,
    _: Form,
) -> Response {
    one(&visitor, &gid, ("retry", None), ("retried", "retried")).await
}

/// Asks for confirm.
pub(super) async fn confirm(
    Extension(visitor): Extension<Visitor>,
    Path(gid): Path<String>,
    form: Form,
) -> Response {
    let ask = deciding("confirm", &form);
    one(&visitor, &gid, (&ask, None), ("confirm", "decides-soon")).await
}

/// What the API is asked for by a form that decides. What is held since a restore is decided by the form
/// alone that says so.
fn deciding(what: &str, form: &Form) -> String {
    let despite = if form.get("despite") == Some("hold") { "&despite_hold=true" } else { "" };
    format!("{what}?wait=decided{despite}")
}

/// Asks for cancel.
pub(super) async fn cancel(
    Extension(visitor): Extension<Visitor>,
    Path(gid): Path<String>,
    form: Form,
) -> Response {
    let body = form.get("note").map(|reason| json!({ "reason": reason }));
    let ask = deciding("cancel", &form);
    one(&visitor, &gid, (&ask, body), ("cancel", "decides-soon")).await
}

/// Has a branch called elsewhere from now on.
pub(super) async fn readdress(
    Extension(visitor): Extension<Visitor>,
    Path((gid, id)): Path<(String, String)>,
    form: Form,
) -> Response {
    let to = link::transaction(&gid);
    let mut body = Map::new();
    for field in ["endpoint", "try", "confirm", "cancel", "note"] {
        if let Some(value) = form.get(field) {
            body.insert(field.to_owned(), Value::from(value));
        }
    }
    if let Some(lines) = form.get("headers") {
        match headers(lines) {
            Ok(headers) => drop(body.insert("headers".to_owned(), Value::Object(headers))),
            Err(problem) => {
                return error_page::refused(&visitor, Tab::Transactions, &to, problem);
            }
        }
    }
    let at = format!("/v1/transactions/{}/branches/{}", link::segment(&gid), link::segment(&id));
    match visitor.ask().send(Method::PATCH, &at, Some(&Value::Object(body))).await {
        Ok(_) => went_well(&to, "readdressed", None),
        Err(problem) => error_page::refused(&visitor, Tab::Transactions, &to, problem),
    }
}

/// Headers as people write them, one a line. What stands in them is a secret: a line that is none is named by
/// its number.
fn headers(lines: &str) -> Result<Map<String, Value>, Refused> {
    let mut headers = Map::new();
    for (number, line) in (1..).zip(lines.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            let what =
                format!("headers: line {number} is not of the form Name: value; nothing was done");
            return Err(invalid(&what));
        };
        let name = name.trim().to_owned();
        if headers.contains_key(&name) {
            let what =
                format!("headers: line {number} names a header a second time; nothing was done");
            return Err(invalid(&what));
        }
        headers.insert(name, Value::from(value.trim()));
    }
    Ok(headers)
}

/// Stops calls to a participant.
pub(super) async fn pause(
    Extension(visitor): Extension<Visitor>,
    Path(participant): Path<String>,
    form: Form,
) -> Response {
    at_participant(&visitor, &participant, &form, ("pause", "paused")).await
}

/// Lets them go on.
pub(super) async fn resume(
    Extension(visitor): Extension<Visitor>,
    Path(participant): Path<String>,
    form: Form,
) -> Response {
    at_participant(&visitor, &participant, &form, ("resume", "resumed")).await
}

async fn at_participant(
    visitor: &Visitor,
    participant: &str,
    form: &Form,
    (what, said): (&str, &str),
) -> Response {
    let own = link::participant(participant);
    let to = back(form, &own);
    let body = form.get("note").map(|note| json!({ "note": note }));
    let uri = format!("/v1/participants/{}/{what}", link::segment(participant));
    match visitor.ask().post(&uri, body.as_ref()).await {
        Ok(done) if done["changed"] == false => went_well(to, &format!("{said}-before"), None),
        Ok(_) => went_well(to, said, None),
        Err(problem) => error_page::refused(visitor, Tab::Participants, to, problem),
    }
}

async fn one(
    visitor: &Visitor,
    gid: &str,
    (what, body): (&str, Option<Value>),
    (done, asked_for): (&str, &str),
) -> Response {
    let to = link::transaction(gid);
    let uri = format!("/v1/transactions/{}/{what}", link::segment(gid));
    match visitor.ask().act(Method::POST, &uri, body.as_ref()).await {
        Ok(Acted::Done) => went_well(&to, done, None),
        Ok(Acted::AskedFor) => went_well(&to, asked_for, None),
        Err(problem) => error_page::refused(visitor, Tab::Transactions, &to, problem),
    }
}

pub(super) fn invalid(detail: &str) -> Refused {
    Box::new(Problem::new(ProblemCode::InvalidRequest, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_lines_and_a_bad_one_is_named_by_its_number() {
        let read = |lines: &str| headers(lines).map_err(|problem| problem.detail);
        let two = read("Authorization: Bearer a:b=\r\n\n X-Shop :7 \n").expect("two headers");
        assert_eq!(Value::Object(two), json!({"Authorization": "Bearer a:b=", "X-Shop": "7"}));
        for (lines, expected) in [
            ("A: 1\n\nBearer s3cret", "line 3 is not of the form Name: value"),
            ("A: 1\nA: 2", "line 2 names a header a second time"),
        ] {
            let detail = read(lines).expect_err(lines);
            assert!(detail.contains(expected) && !detail.contains("s3cret"), "{lines}: {detail}");
        }
    }

    #[test]
    fn an_address_says_a_number_and_nothing_else() {
        let said = |query: &str| said(&format!("/console?{query}").parse().expect("an address"));
        assert_eq!(
            said("said=retried-all&n=17").as_deref(),
            Some("17 transactions are being called now.")
        );
        assert_eq!(
            said("said=retried-all&n=x").as_deref(),
            Some("0 transactions are being called now.")
        );
        for query in ["", "said=", "said=Call+0800", "n=3"] {
            assert_eq!(said(query), None, "{query}");
        }
    }
}
