//! A transaction as it is kept and handed over later, by whoever comes to do it.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use tercet_wire::{
    Arrival, BeginRequest, CallRules, Gid, Instance, Limits, Problem, ProblemCode, Status,
    check_begin,
};

use super::http::{Failed, Sent};
use super::request::NewTransaction;
use super::{Client, WaitFor};
use crate::clock;
use crate::outbox::NotSent;
use crate::outbox::relay_rules::Told;

/// What begins a transaction, the same to the byte whenever it is sent.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) gid: Gid,
    pub(crate) body: String,
    pub(crate) traceparent: Option<String>,
}

impl NewTransaction {
    /// What a coordinator would refuse at any time is refused here, where somebody can be told.
    pub(crate) fn into_message(self) -> Result<Message, NotSent> {
        let (gid, sent) = self.into_sent(false)?;
        let body = sent.body.unwrap_or_default();
        check(&body)?;
        let traceparent = sent.traceparent.as_ref().and_then(|value| value.to_str().ok());
        Ok(Message { gid, traceparent: traceparent.map(str::to_owned), body })
    }
}

/// By the coordinator's own rules, but for what its settings may say otherwise: sizes, and who may be called.
fn check(body: &str) -> Result<(), NotSent> {
    let invalid = |field: &str, what: String| NotSent::Invalid { field: field.to_owned(), what };
    let request: BeginRequest =
        serde_json::from_str(body).map_err(|error| invalid("transaction", error.to_string()))?;
    if request.branches.is_empty() || request.open == Some(true) {
        return Err(NotSent::Open);
    }
    let limits = Limits {
        branches: usize::MAX,
        url_bytes: usize::MAX,
        headers: usize::MAX,
        header_bytes: usize::MAX,
        metadata_bytes: usize::MAX,
        payload_bytes: usize::MAX,
        call_rules: CallRules::new(Vec::new(), Vec::new(), false).into(),
        ..Limits::default()
    };
    let arrival =
        Arrival { instance: Instance::new(clock::new_id()), at: clock::now(), traceparent: None };
    match check_begin(request, &limits, &arrival) {
        Ok(_) => Ok(()),
        Err(error) => Err(invalid(&error.field, error.what)),
    }
}

impl Client {
    /// Begins it, or finds it begun; once, without a second attempt: who comes later has it in the same row.
    pub(crate) async fn hand_over(
        &self,
        body: &str,
        traceparent: Option<&str>,
        patience: Duration,
    ) -> Told {
        // One that cannot be sent is worth less than the message.
        let traceparent = traceparent.and_then(|given| HeaderValue::try_from(given).ok());
        let sent = Sent { body: Some(body.to_owned()), traceparent };
        let path = format!("/v1/transactions?wait={}&wait_ms=0", WaitFor::Accepted.as_str());
        told(self.http.once(&Method::POST, &path, &sent, patience).await)
    }

    /// Asks how it stands.
    pub(crate) async fn standing(&self, gid: &str, patience: Duration) -> Told {
        let path = format!("/v1/transactions/{gid}");
        told(self.http.once(&Method::GET, &path, &Sent::default(), patience).await)
    }
}

fn told(answer: Result<(StatusCode, String), Failed>) -> Told {
    #[derive(Deserialize)]
    struct Standing {
        status: Status,
    }
    let (status, body) = match answer {
        Ok(answered) => answered,
        Err(Failed { why, asked }) => return Told::Away { why, asked },
    };
    let excerpt = || body.chars().take(200).collect::<String>();
    if status.is_success() {
        return match serde_json::from_str::<Standing>(&body) {
            Ok(Standing { status }) => Told::Has(status),
            Err(_) => Told::Odd(format!("answered {status}: {}", excerpt())),
        };
    }
    // Whoever has no code to give is no coordinator, but something before it.
    let Ok(problem) = serde_json::from_str::<Problem>(&body) else {
        return Told::Away { why: format!("answered {status}: {}", excerpt()), asked: None };
    };
    let why = format!("{}: {}", problem.code, problem.detail);
    match status.as_u16() {
        400 | 409 | 413 | 415 | 422 => Told::Refused(why),
        404 if problem.code == ProblemCode::TransactionNotFound => Told::Unknown,
        // Of these the next message would be told the same: who we are, where we ask, a node that owns it not.
        401 | 403 | 404 | 405 | 421 => Told::Away { why, asked: None },
        _ => Told::Odd(why),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::NewBranch;

    #[test]
    fn what_is_said_of_a_message_is_of_it_alone_or_of_all() {
        let problem = |code: &str| {
            json!({"type": "/problems/x", "code": code, "title": "t", "status": 400, "detail": "d"})
                .to_string()
        };
        let away = |why: &str| Told::Away { why: why.to_owned(), asked: None };
        let table = [
            (201, r#"{"status":"confirming"}"#.to_owned(), Told::Has(Status::Confirming)),
            (200, r#"{"status":"confirmed"}"#.to_owned(), Told::Has(Status::Confirmed)),
            (200, "hello".to_owned(), Told::Odd("answered 200 OK: hello".to_owned())),
            (400, problem("invalid-request"), Told::Refused("invalid-request: d".to_owned())),
            (409, problem("gid-reused"), Told::Refused("gid-reused: d".to_owned())),
            (413, problem("payload-too-large"), Told::Refused("payload-too-large: d".to_owned())),
            (404, problem("transaction-not-found"), Told::Unknown),
            (401, problem("unauthorized"), away("unauthorized: d")),
            (404, problem("not-found"), away("not-found: d")),
            (500, problem("internal"), Told::Odd("internal: d".to_owned())),
            (400, "<html>".to_owned(), away("answered 400 Bad Request: <html>")),
        ];
        for (status, body, expected) in table {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(told(Ok((status, body.clone()))), expected, "{status} {body}");
        }
    }

    #[test]
    fn what_no_coordinator_would_take_is_refused_while_somebody_can_be_told() {
        let sent = |transaction: NewTransaction| match transaction.into_message() {
            Ok(message) => message.gid.to_string(),
            Err(error) => error.to_string(),
        };
        let branch = |id: &str| NewBranch::new(id).confirm_url("http://127.0.0.1:1/confirm");
        let table = [
            (NewTransaction::new().gid("m-1").branch(branch("a")), "m-1"),
            (NewTransaction::new().gid("m-1"), "a message needs branches, and is not open"),
            (
                NewTransaction::new().branch(branch("a")).branch(branch("a")),
                "branches[1].id: a is the id of an earlier branch",
            ),
            (
                NewTransaction::new().branch(NewBranch::new("a")),
                "branches[0]: a branch needs at least one URL: give `endpoint`, `try`, `confirm` or `cancel`",
            ),
        ];
        for (transaction, expected) in table {
            assert_eq!(sent(transaction), expected);
        }
    }
}
