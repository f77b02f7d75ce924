//! What a participant's answer means: every row of the contract's table, for every call.
//!
//! A branch's id says what its participant is told to answer, so one participant and one
//! daemon do for a whole table.

use serde_json::json;
use tercet_testing::{Client, Gate, Participant, Reaction, Response, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// Tried, or done.
    Done,
    /// The transaction is cancelled.
    Refused,
    /// Called again; uses up no attempt.
    InProgress,
    /// Called again; of a Try three times at most.
    Again,
    /// Called again; three in a row are shown to people.
    Wrong,
    /// Called again; shown to people at once.
    Gone,
}
use Means::{Again, Done, Gone, InProgress, Refused, Wrong};

/// Status, `Retry-After`, and what it means for Try, Confirm and Cancel.
const TABLE: [(u16, Option<&str>, [Means; 3]); 35] = [
    (200, None, [Done, Done, Done]),
    (201, None, [Done, Done, Done]),
    (203, None, [Done, Done, Done]),
    (204, None, [Done, Done, Done]),
    (206, None, [Done, Done, Done]),
    (299, None, [Done, Done, Done]),
    (202, Some("0"), [InProgress, InProgress, InProgress]),
    (409, Some("0"), [InProgress, InProgress, InProgress]),
    (409, None, [Refused, Wrong, Wrong]),
    (400, None, [Refused, Wrong, Wrong]),
    (401, None, [Refused, Wrong, Wrong]),
    (403, None, [Refused, Wrong, Wrong]),
    (404, None, [Refused, Wrong, Wrong]),
    (404, Some("0"), [Refused, Wrong, Wrong]),
    (405, None, [Refused, Wrong, Wrong]),
    (413, None, [Refused, Wrong, Wrong]),
    (422, None, [Refused, Wrong, Wrong]),
    (451, None, [Refused, Wrong, Wrong]),
    (410, None, [Refused, Gone, Done]),
    (408, None, [Again, Again, Again]),
    (425, None, [Again, Again, Again]),
    (429, None, [Again, Again, Again]),
    (429, Some("0"), [Again, Again, Again]),
    (500, None, [Again, Again, Again]),
    (501, None, [Again, Again, Again]),
    (502, None, [Again, Again, Again]),
    (503, None, [Again, Again, Again]),
    (503, Some("0"), [Again, Again, Again]),
    (504, None, [Again, Again, Again]),
    (599, None, [Again, Again, Again]),
    (300, None, [Again, Again, Again]),
    (301, None, [Again, Again, Again]),
    (304, None, [Again, Again, Again]),
    (307, None, [Again, Again, Again]),
    (308, None, [Again, Again, Again]),
];

/// Pauses short enough that four failures in a row take no time.
const QUICK: [(&str, &str); 1] = [("RETRY__MAX_BACKOFF_MS", "50")];

fn id(status: u16, retry_after: Option<&str>) -> String {
    format!("says-{status}{}", retry_after.map(|_| "-later").unwrap_or_default())
}

fn reaction(status: u16, retry_after: Option<&str>) -> Reaction {
    let reaction = Reaction::status(status);
    match retry_after {
        Some(value) => reaction.header("retry-after", value),
        None => reaction,
    }
}

/// Keeps P7.
#[tokio::test]
async fn every_answer_to_a_try_means_what_the_contract_says() {
    let (tercet, participant) = (Tercet::start_with(&QUICK).await, Participant::start().await);
    let client = tercet.client();
    for (status, retry_after, [means, ..]) in TABLE {
        let id = id(status, retry_after);
        let times = match means {
            Done | Refused => 1,
            // One more would use up the attempts.
            Again => 2,
            InProgress => 4,
            Wrong | Gone => panic!("no Try is answered so"),
        };
        participant.next(&id, Op::Try, vec![reaction(status, retry_after); times]);
        let body = begin(&id, &[branch(&participant, &id)]);
        assert_eq!(client.begin("?wait=accepted", &body).await.status, 201, "{id}");
    }
    for (status, retry_after, [means, ..]) in TABLE {
        let id = id(status, retry_after);
        let ended = client.finished(&id).await;
        let (outcome, attempts) = match means {
            Done => ("confirmed", json!({"try": 1, "confirm": 1, "cancel": 0})),
            Refused => ("cancelled", json!({"try": 1, "confirm": 0, "cancel": 1})),
            Again => ("confirmed", json!({"try": 3, "confirm": 1, "cancel": 0})),
            InProgress => ("confirmed", json!({"try": 5, "confirm": 1, "cancel": 0})),
            Wrong | Gone => panic!("no Try is answered so"),
        };
        assert_eq!(ended.word("status"), outcome, "{id}: {}", ended.text);
        assert_eq!(ended.branch(&id)["attempts"], attempts, "{id}: {}", ended.text);
        if means == Refused {
            assert_eq!(ended.word("reason"), "try-refused", "{id}: {}", ended.text);
            assert_eq!(ended.branch(&id)["answer"]["status"], status, "{id}: {}", ended.text);
        }
        for op in Op::ALL {
            let calls = participant.calls_of(&id, op).len();
            assert_eq!(json!(calls), attempts[op.as_str()], "{id}: calls of {op}");
        }
    }
}

#[tokio::test]
async fn a_try_in_doubt_three_times_cancels_the_transaction_and_is_cancelled_too() {
    let (tercet, participant) = (Tercet::start_with(&QUICK).await, Participant::start().await);
    let client = tercet.client();
    let doubts = || TABLE.into_iter().filter(|(.., [on_try, _, _])| *on_try == Again);
    for (status, retry_after, _) in doubts() {
        let id = id(status, retry_after);
        participant.always(&id, Op::Try, reaction(status, retry_after).body("not today"));
        let body = begin(&id, &[branch(&participant, &id)]);
        assert_eq!(client.begin("?wait=accepted", &body).await.status, 201, "{id}");
    }
    for (status, retry_after, _) in doubts() {
        let id = id(status, retry_after);
        let ended = client.finished(&id).await;
        assert_eq!(ended.word("status"), "cancelled", "{id}: {}", ended.text);
        assert_eq!(ended.word("reason"), "try-failed", "{id}: {}", ended.text);
        assert_eq!(ended.branch(&id)["answer"]["status"], status, "{id}: {}", ended.text);
        let calls = Op::ALL.map(|op| participant.calls_of(&id, op).len());
        assert_eq!(calls, [3, 0, 1], "{id}: calls of Try, Confirm, Cancel");
    }
}

#[tokio::test]
async fn every_answer_to_a_confirm_means_what_the_contract_says() {
    second_phase(Op::Confirm).await;
}

#[tokio::test]
async fn every_answer_to_a_cancel_means_what_the_contract_says() {
    second_phase(Op::Cancel).await;
}

/// Each branch is answered so a few times, then its next call is held, so that one can look
/// at it before it ends.
async fn second_phase(op: Op) {
    let (tercet, participant) = (Tercet::start_with(&QUICK).await, Participant::start().await);
    let (client, gate) = (tercet.client(), Gate::closed());
    let on = |row: &(u16, Option<&str>, [Means; 3])| row.2[op as usize];
    let (telling, told) = match op {
        Op::Confirm => ("confirming", "confirmed"),
        Op::Cancel => ("cancelling", "cancelled"),
        Op::Try => panic!("Try is the first phase"),
    };
    for row in &TABLE {
        let (id, means) = (id(row.0, row.1), on(row));
        let answers = vec![reaction(row.0, row.1); before_the_end(means)];
        participant.next(&id, op, answers);
        if means != Done {
            participant.next(&id, op, [Reaction::status(200).behind(&gate)]);
        }
        let asked = ask(&client, &participant, &id, op).await;
        assert!(matches!(asked.status, 200 | 202), "{id}: {}", asked.text);
    }
    for row in TABLE.iter().filter(|row| on(row) != Done) {
        let (id, means) = (id(row.0, row.1), on(row));
        let calls = before_the_end(means) + 1;
        participant.called(&id, op, calls).await;
        let shown = client.get(&id).await;
        assert_eq!(shown.word("status"), telling, "{id}: {}", shown.text);
        let parked = matches!(means, Wrong | Gone);
        assert_eq!(shown.branch(&id)["parked"], parked, "{id}: {}", shown.text);
        assert_eq!(shown.field("parked"), parked, "{id}: {}", shown.text);
        assert_eq!(shown.branch(&id)["attempts"][op.as_str()], calls, "{id}: {}", shown.text);
    }
    gate.open();
    for row in &TABLE {
        let (id, means) = (id(row.0, row.1), on(row));
        let ended = client.finished(&id).await;
        assert_eq!(ended.word("status"), told, "{id}: {}", ended.text);
        assert_eq!(ended.field("parked"), false, "{id}: {}", ended.text);
        let calls = before_the_end(means) + usize::from(means != Done);
        assert_eq!(participant.calls_of(&id, op).len(), calls, "{id}: calls of {op}");
    }
    let other = if op == Op::Confirm { Op::Cancel } else { Op::Confirm };
    let wrong: Vec<_> = participant.calls().into_iter().filter(|call| call.op == other).collect();
    assert!(wrong.is_empty(), "the decision was {op}: {wrong:?}");
}

/// How often it is answered so before it is looked at.
fn before_the_end(means: Means) -> usize {
    match means {
        Done | Gone => 1,
        Wrong => 3,
        // More than a Try would be given.
        Again | InProgress => 4,
        Refused => panic!("only a Try is refused"),
    }
}

async fn ask(client: &Client, participant: &Participant, id: &str, op: Op) -> Response {
    let body = begin_open(id, &[branch(participant, id)]);
    assert_eq!(client.begin("", &body).await.status, 201, "{id}");
    if op == Op::Cancel {
        return client.cancel(id, "?wait=accepted", None).await;
    }
    // Confirm is refused until the Try was answered, and a repeat waits for just that.
    let tried = client.register(id, "", &branch(participant, id).to_string()).await;
    assert_eq!(tried.word("status"), "tried", "{id}: {}", tried.text);
    client.confirm(id, "?wait=accepted").await
}
