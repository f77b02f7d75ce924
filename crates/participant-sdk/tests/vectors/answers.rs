//! What answers of a coordinator mean to a client.

use std::collections::BTreeMap;

use serde::Deserialize;
use tercet_participant::{Client, ClientError, NewTransaction, Outcome};

use crate::cases;
use crate::coordinator::{Coordinator, Told};

#[derive(Debug, Deserialize)]
struct Case {
    request: String,
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    outcome: String,
    code: Option<String>,
    why: Option<String>,
    reason: Option<String>,
}

/// A transaction that went well, for whoever asks again.
fn confirmed(cases: &[Case]) -> Told {
    let well = cases.iter().find(|case| case.outcome == "confirmed").expect("one");
    Told { status: 200, headers: BTreeMap::new(), body: well.body.clone() }
}

#[tokio::test]
async fn answers_are_read_as_they_are_meant() {
    let all = cases::<Case>("answers.json");
    for case in &all {
        let told =
            Told { status: case.status, headers: case.headers.clone(), body: case.body.clone() };
        let coordinator = Coordinator::start(vec![told, confirmed(&all)]).await;
        let client = Client::new(&coordinator.url).expect("a client");
        let open = client.resume("order-1".parse().expect("a gid"));
        let answered = match case.request.as_str() {
            "begin" => client.begin(NewTransaction::new().gid("order-1")).await,
            "confirm" => open.confirm().await,
            "cancel" => open.cancel("changed my mind").await,
            other => panic!("there is no {other}"),
        };
        let asked: Vec<String> = coordinator.asked().into_iter().map(|(how, _)| how).collect();
        let code = |error: &ClientError| match error {
            ClientError::Refused(problem) => {
                let code = serde_json::to_value(problem.code).expect("a word");
                code.as_str().map(str::to_owned)
            }
            _ => None,
        };
        let (outcome, said, repeats) = match (&answered, asked.as_slice()) {
            (Ok(Outcome::Confirmed(_)), [_]) => ("confirmed", None, false),
            (Ok(Outcome::Confirmed(_)), [first, second]) if first == second => {
                ("again", None, true)
            }
            (Ok(Outcome::Confirmed(_)), [_, second]) if second == "GET" => ("ask", None, true),
            (Ok(Outcome::Pending(_)), [_]) => ("pending", None, false),
            (Ok(Outcome::Cancelled(cancellation)), [_]) => {
                assert_eq!(Some(cancellation.why()), case.why, "{case:?}");
                ("cancelled", None, false)
            }
            (Err(error @ ClientError::Refused(_)), [_]) => ("refused", code(error), false),
            (Err(ClientError::Unexpected { .. }), [_]) => ("unexpected", None, false),
            (other, asked) => panic!("{other:?} after {asked:?}, of {case:?}"),
        };
        // What this library does not know of a newer coordinator is told as something unexpected, or by its kind.
        let newer = |text: &Option<String>| text.as_deref().is_some_and(|t| t.contains("tomorrow"));
        if newer(&case.code) || newer(&case.reason) {
            continue;
        }
        assert_eq!(outcome, case.outcome, "{case:?}");
        assert_eq!(said, case.code, "{case:?}");
        assert_eq!(repeats, matches!(case.outcome.as_str(), "again" | "ask"), "{case:?}");
    }
}
