//! What is sent to begin a transaction.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tercet_participant::{Client, ClientError, NewBranch, NewTransaction};

use crate::cases;
use crate::coordinator::{Coordinator, Told};

#[derive(Debug, Deserialize)]
struct Case {
    given: Value,
    open: bool,
    body: Option<Value>,
    error: Option<String>,
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().expect("a list");
    list.iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// Puts together what the words of the wire say.
fn branch(given: &Value) -> NewBranch {
    let fields = given.as_object().expect("a branch");
    let mut branch = NewBranch::new(given["id"].as_str().expect("an id"));
    for (name, value) in fields {
        let text = || value.as_str().expect("a text");
        branch = match name.as_str() {
            "id" => branch,
            "endpoint" => branch.endpoint(text()),
            "try" => branch.try_url(text()),
            "confirm" => branch.confirm_url(text()),
            "cancel" => branch.cancel_url(text()),
            "payload" => branch.payload(value).expect("JSON"),
            "after" => branch.after(texts(value)),
            "results" => branch.results(),
            "try_attempts" => branch.try_attempts(number(value).try_into().expect("small")),
            "confirm_after_ms" => branch.confirm_after(Duration::from_millis(number(value))),
            "timeout_ms" => branch.timeout(Duration::from_millis(number(value))),
            "headers" => {
                let headers = value.as_object().expect("headers");
                headers.iter().fold(branch, |branch, (name, value)| {
                    branch.header(name, value.as_str().expect("a text"))
                })
            }
            other => panic!("a branch has no {other}"),
        };
    }
    branch
}

fn transaction(given: &Value) -> NewTransaction {
    let mut transaction = NewTransaction::new();
    for (name, value) in given.as_object().expect("a transaction") {
        let text = || value.as_str().expect("a text");
        transaction = match name.as_str() {
            "gid" => transaction.gid(text()),
            "saga" => transaction.saga(),
            "check" => transaction.check(text()),
            "timeout_ms" => transaction.timeout(Duration::from_millis(number(value))),
            "metadata" => transaction.metadata(value).expect("an object"),
            "branches" => {
                let branches = value.as_array().expect("branches");
                branches.iter().map(branch).fold(transaction, NewTransaction::branch)
            }
            other => panic!("a transaction has no {other}"),
        };
    }
    transaction
}

#[tokio::test]
async fn what_is_sent_is_what_was_given() {
    for case in cases::<Case>("begins.json") {
        // Lost once, so that there is a repeat to compare.
        let told = |status| Told { status, headers: Default::default(), body: "{}".to_owned() };
        let coordinator = Coordinator::start(vec![told(503), told(200)]).await;
        let client = Client::new(&coordinator.url).expect("a client");
        let sent = match case.open {
            true => client.open(transaction(&case.given)).await.map(drop),
            false => client.begin(transaction(&case.given)).await.map(drop),
        };
        let asked = coordinator.asked();
        match (&case.error, sent) {
            (Some(field), Err(error @ ClientError::Id { .. })) => {
                assert!(error.to_string().starts_with(field.as_str()), "{error}");
                assert!(asked.is_empty(), "{asked:?}");
            }
            (None, _) => {
                let [first, second] = asked.as_slice() else { panic!("{asked:?}") };
                assert_eq!(first, second);
                assert_eq!(serde_json::from_str(&first.1).ok(), case.body, "{:?}", case.given);
            }
            (_, sent) => panic!("{sent:?} of {case:?}"),
        }
    }
}
