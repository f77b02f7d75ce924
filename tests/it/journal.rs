//! Nothing is told before it is durable, and nothing is lost while the journal cannot write.

use http::Method;
use serde_json::json;
use tercet_testing::{Gate, Participant, Reaction, Tercet, eventually, program, soon};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::{problem, transaction};
use crate::journal_hold::{Hold, until_ready_is};

/// Soon, for those who wait here, and late enough for a busy machine to write before.
const HASTY: [(&str, &str); 1] = [("JOURNAL__REQUEST_TIMEOUT_MS", "3000")];

/// Keeps P1.
#[tokio::test]
async fn while_the_journal_is_held_nobody_is_told_or_called_and_then_all_hear_the_same() {
    let (tercet, participant) = (Tercet::start_with(&HASTY).await, Participant::start().await);
    let client = tercet.client();
    let body = begin_open("order-1", &[branch(&participant, "stock")]);
    client.begin("", &body).await;
    let stock = branch(&participant, "stock").to_string();
    assert_eq!(client.register("order-1", "", &stock).await.word("status"), "tried");
    let hold = Hold::take(&tercet.database()).await;
    // From here on confirm is decided in memory, and nobody may hear of it.
    let first = client.confirm("order-1", "?wait=decided").await;
    problem(&first, "journal-unavailable", Some("order-1"));
    let late = branch(&participant, "late").to_string();
    let (again, accepted, cancel, read, wait, repeat, register, events, list) = tokio::join!(
        client.confirm("order-1", ""),
        client.confirm("order-1", "?wait=accepted"),
        client.cancel("order-1", "", None),
        client.get("order-1"),
        client.get("order-1?wait=decided"),
        client.begin("", &body),
        client.register("order-1", "", &late),
        client.events("order-1"),
        client.send(Method::GET, "/v1/transactions", None),
    );
    for response in [again, accepted, cancel, read, wait, repeat, register, events] {
        problem(&response, "journal-unavailable", Some("order-1"));
        assert!(!response.text.contains("confirming"), "{}", response.text);
    }
    // A list knows what is durable, or says that it cannot.
    assert!(list.status == 503 || list.text.contains(r#""trying""#), "{}", list.text);
    let called = Op::ALL.map(|op| participant.calls_of("stock", op).len());
    assert_eq!(called, [1, 0, 0], "Try, Confirm, Cancel");
    hold.release().await;
    until_ready_is(200, &client).await;
    transaction(&client.confirm("order-1", "").await, 200, "confirmed");
    problem(&client.cancel("order-1", "", None).await, "already-confirmed", Some("order-1"));
    let called = Op::ALL.map(|op| participant.calls_of("stock", op).len());
    assert_eq!(called, [1, 1, 0], "Try, Confirm, Cancel");
}

#[tokio::test]
async fn while_the_journal_cannot_write_begin_is_refused_and_reads_of_old_ones_go_on() {
    let (tercet, participant) = (Tercet::start_with(&HASTY).await, Participant::start().await);
    let client = tercet.client();
    let stock = [branch(&participant, "stock")];
    transaction(&client.begin("", &begin("before", &stock)).await, 201, "confirmed");
    transaction(&client.begin("", &begin_open("live", &[])).await, 201, "trying");
    until_ready_is(200, &client).await;
    let hold = Hold::take(&tercet.database()).await;
    // Something must be written for it to be noticed.
    let unknown = client.begin("?wait=accepted", &begin("unknown", &stock)).await;
    problem(&unknown, "journal-unavailable", Some("unknown"));
    until_ready_is(503, &client).await;
    let refused = client.begin("", &begin("refused", &stock)).await;
    problem(&refused, "not-accepted", Some("refused"));
    let generated = client.begin("", &json!({ "branches": stock }).to_string()).await;
    assert_eq!(generated.word("code"), "not-accepted", "{}", generated.text);
    assert_eq!(client.send(Method::GET, "/livez", None).await.status, 200);
    transaction(&client.get("before").await, 200, "confirmed");
    transaction(&client.get("live").await, 200, "trying");
    assert_eq!(participant.calls().len(), 2, "of the first transaction alone");
    hold.release().await;
    until_ready_is(200, &client).await;
    // What was refused was never there; what was unknown was, and has gone on.
    problem(&client.get("refused").await, "transaction-not-found", Some("refused"));
    transaction(&client.finished("unknown").await, 200, "confirmed");
    transaction(&client.begin("", &begin("refused", &stock)).await, 201, "confirmed");
    transaction(&client.confirm("live", "").await, 200, "confirmed");
}

#[tokio::test]
async fn a_begin_of_unknown_outcome_names_its_gid_also_a_generated_one_and_a_repeat_is_safe() {
    let (tercet, participant) = (Tercet::start_with(&HASTY).await, Participant::start().await);
    let client = tercet.client();
    let stock = [branch(&participant, "stock")];
    let hold = Hold::take(&tercet.database()).await;
    let body = begin("order-1", &stock);
    let nameless = json!({ "branches": stock }).to_string();
    let (named, generated) = tokio::join!(client.begin("", &body), client.begin("", &nameless));
    problem(&named, "journal-unavailable", Some("order-1"));
    let gid = generated.word("gid").to_owned();
    problem(&generated, "journal-unavailable", Some(&gid));
    assert_eq!(gid.len(), 36, "{}", generated.text);
    assert_eq!(participant.calls(), [], "no Try before its transaction is durable");
    hold.release().await;
    until_ready_is(200, &client).await;
    transaction(&client.begin("", &body).await, 200, "confirmed");
    transaction(&client.finished(&gid).await, 200, "confirmed");
    let tries = participant.calls_of("stock", Op::Try);
    assert_eq!(tries.len(), 2, "one for each: {tries:?}");
}

/// Keeps P3.
#[tokio::test]
async fn a_refused_try_is_not_told_before_the_decision_it_leads_to_is_durable() {
    let (tercet, participant) = (Tercet::start_with(&HASTY).await, Participant::start().await);
    let client = tercet.client();
    let gate = Gate::closed();
    participant.always("stock", Op::Try, Reaction::status(409).behind(&gate));
    client.begin("", &begin_open("order-1", &[])).await;
    let stock = branch(&participant, "stock").to_string();
    client.register("order-1", "?wait=accepted", &stock).await;
    participant.called("stock", Op::Try, 1).await;
    let hold = Hold::take(&tercet.database()).await;
    gate.open();
    // The answer arrives, is decided upon, and cannot be written: reading notices first.
    let noticing = async || {
        let read = client.get("order-1").await;
        if read.status != 200 {
            return Some(read);
        }
        assert_eq!(read.word("status"), "trying", "{}", read.text);
        assert_eq!(read.branch("stock")["status"], "registered", "{}", read.text);
        None
    };
    problem(&eventually("the refusal", noticing).await, "journal-unavailable", Some("order-1"));
    let registered = client.register("order-1", "", &stock).await;
    problem(&registered, "journal-unavailable", Some("order-1"));
    assert_eq!(participant.calls_of("stock", Op::Cancel), []);
    hold.release().await;
    until_ready_is(200, &client).await;
    let ended = client.finished("order-1").await;
    assert_eq!((ended.word("status"), ended.word("reason")), ("cancelled", "try-refused"));
}

#[tokio::test]
async fn a_deadline_that_passes_while_the_journal_is_held_is_told_only_afterwards() {
    let (tercet, participant) = (Tercet::start_with(&HASTY).await, Participant::start().await);
    let client = tercet.client();
    let stock = json!([{ "id": "stock", "cancel": participant.url("/cancel-it") }]);
    // On a busy machine the deadline may pass before the lock is taken: once more, then.
    let (gid, hold) = 'held: {
        for timeout_ms in [200, 1_000, 5_000, 20_000] {
            let gid = format!("order-{timeout_ms}");
            let body =
                json!({ "gid": gid, "open": true, "timeout_ms": timeout_ms, "branches": stock });
            client.begin("", &body.to_string()).await;
            let hold = Hold::take(&tercet.database()).await;
            if !client.get(&gid).await.word("status").starts_with("cancel") {
                break 'held (gid, hold);
            }
            hold.release().await;
        }
        panic!("the lock is never taken in time");
    };
    let calls_before = participant.calls().len();
    let waited = client.get(&format!("{gid}?wait=decided&wait_ms=25000")).await;
    problem(&waited, "journal-unavailable", Some(&gid));
    problem(&client.confirm(&gid, "").await, "journal-unavailable", Some(&gid));
    assert_eq!(participant.calls().len(), calls_before);
    hold.release().await;
    until_ready_is(200, &client).await;
    let ended = client.finished(&gid).await;
    assert_eq!((ended.word("status"), ended.word("reason")), ("cancelled", "deadline"));
    let told: Vec<_> = participant.calls().into_iter().filter(|call| call.gid == gid).collect();
    assert!(matches!(&told[..], [call] if call.op == Op::Cancel), "{told:?}");
}

#[tokio::test]
async fn the_last_acknowledgement_may_be_told_early_since_losing_it_loses_nothing() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let gate = Gate::closed();
    participant.always("stock", Op::Confirm, Reaction::status(200).behind(&gate));
    let body = begin("order-1", &[branch(&participant, "stock")]);
    tercet.client().begin("?wait=decided", &body).await;
    participant.called("stock", Op::Confirm, 1).await;
    let hold = Hold::take(&tercet.database()).await;
    gate.open();
    transaction(&tercet.client().finished("order-1").await, 200, "confirmed");
    // It stays so for every reader, and is so again after a crash that loses the row.
    transaction(&tercet.client().get("order-1").await, 200, "confirmed");
    tercet.kill().await;
    hold.release().await;
    tercet.restart().await;
    transaction(&tercet.client().finished("order-1").await, 200, "confirmed");
    let calls = Op::ALL.map(|op| participant.calls_of("stock", op).len());
    assert_eq!(calls, [1, 2, 0], "Try, Confirm, Cancel");
}

#[tokio::test]
async fn what_was_not_durable_when_the_power_went_was_told_and_done_to_nobody() {
    let (mut tercet, participant) = (Tercet::start_with(&HASTY).await, Participant::start().await);
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[branch(&participant, "stock")])).await;
    client.register("order-1", "", &branch(&participant, "stock").to_string()).await;
    let hold = Hold::take(&tercet.database()).await;
    let unborn = begin("order-2", &[branch(&participant, "unborn")]);
    let (confirm, begun) = tokio::join!(client.confirm("order-1", ""), client.begin("", &unborn));
    problem(&confirm, "journal-unavailable", Some("order-1"));
    problem(&begun, "journal-unavailable", Some("order-2"));
    tercet.kill().await;
    hold.release().await;
    tercet.restart().await;
    // Nobody was told of the confirm, so cancel may still win.
    transaction(&tercet.client().get("order-1").await, 200, "trying");
    transaction(&tercet.client().cancel("order-1", "", None).await, 200, "cancelled");
    assert_eq!(Op::ALL.map(|op| participant.calls_of("stock", op).len()), [1, 0, 1]);
    problem(&tercet.client().get("order-2").await, "transaction-not-found", Some("order-2"));
    assert_eq!(participant.calls_of("unborn", Op::Try), []);
    transaction(&tercet.client().begin("", &unborn).await, 201, "confirmed");
}

#[tokio::test]
async fn a_second_process_on_the_same_file_ends_and_says_why_and_the_first_goes_on() {
    let mut tercet = Tercet::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}", tercet.database().display());
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--database-url", &url];
    let second = program(directory.path()).args(arguments).output();
    let second = soon("the second process ends", second).await.expect("it starts");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success(), "{said}");
    assert!(said.contains("another") && said.contains("tercet.db"), "{said}");
    transaction(&tercet.client().begin("", &begin_open("order-1", &[])).await, 201, "trying");
    tercet.kill().await;
    tercet.restart().await;
    transaction(&tercet.client().get("order-1").await, 200, "trying");
}
