//! `tercet reconcile`: a participant's books beside the coordinator's, with a real participant in whose books something
//! is changed by hand.

use std::process::Stdio;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use serde_json::{Value, json};
use tercet_testing::{Participant, Reaction, Tercet, daemon, soon};
use tercet_wire::Op;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::bodies::{begin, begin_open, branch};
use crate::expected::transaction;
use crate::operator::{in_a_minute, waits};
use crate::ran::{Ran, directory, run};

/// The demo's payment service, which is on the SDK.
pub(crate) struct Payment {
    endpoint: String,
    books: DatabaseConnection,
    directory: tempfile::TempDir,
    _process: Child,
}

impl Payment {
    pub(crate) async fn start(more: &[&str]) -> Self {
        let directory = directory();
        let file = directory.path().join("payment.db");
        let mut process = Command::new(daemon().with_file_name("tercet-demo"))
            .args(["payment", "--listen", "127.0.0.1:0", "--db"])
            .arg(&file)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let line = soon("it listens", lines.next_line()).await.expect("a line").expect("a line");
        let url = line.strip_prefix("listening on ").expect("the ready line");
        let books = Database::connect(format!("sqlite://{}", file.display())).await;
        Self {
            endpoint: format!("{url}/payment"),
            books: books.expect("its file"),
            directory,
            _process: process,
        }
    }

    /// A branch that takes some of alice's money.
    pub(crate) fn branch(&self) -> Value {
        let debit = json!({"account": "alice", "amount": 1});
        json!({"id": "payment", "endpoint": self.endpoint, "payload": debit})
    }

    /// Writes in its books.
    async fn write(&self, sql: &str) {
        let written = self.books.execute_unprepared(sql).await.expect("it is written");
        assert!(written.rows_affected() > 0, "{sql}");
    }

    async fn insert(&self, gid: &str, branch: &str, instance: &str) {
        self.write(&format!(
            "INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at) VALUES \
             ('{gid}', '{branch}', '{instance}', 'try,confirm,cancel', 'tried', 1767225600000)"
        ))
        .await;
    }

    /// Compares it with this coordinator.
    pub(crate) async fn reconcile(&self, tercet: &Tercet, more: &[&str]) -> Ran {
        let url = format!("http://{}", tercet.address());
        let arguments = [&["reconcile", self.endpoint.as_str()][..], more].concat();
        let secret = ("TERCET_SIGNING_SECRET", SECRET);
        run(self.directory.path(), &arguments, &[("TERCET_URL", &url), secret]).await
    }
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STRANGE_LIFE: &str = "0193b6a0-0000-7000-8000-000000000001";

#[tokio::test]
async fn books_that_agree_are_told_so() {
    let (tercet, payment) = (Tercet::start().await, Payment::start(&[]).await);
    let client = tercet.client();
    for n in 0..3 {
        let begun = client.begin("", &begin(&format!("order-{n}"), &[payment.branch()])).await;
        transaction(&begun, 201, "confirmed");
    }
    client.begin("", &begin_open("open-1", &[])).await;
    client.register("open-1", "", &payment.branch().to_string()).await;
    client.begin("", &begin_open("open-2", &[])).await;
    client.register("open-2", "", &payment.branch().to_string()).await;
    transaction(&client.cancel("open-2", "", None).await, 200, "cancelled");
    let ran = payment.reconcile(&tercet, &[]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "5 branches compared: 0 differ, 0 wait\n");
    let ran = payment.reconcile(&tercet, &["--since", "2999-01-01T00:00:00Z"]).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "0 branches compared: 0 differ, 0 wait\n")
    );
}

/// Keeps P7.
#[tokio::test]
async fn what_differs_is_printed_and_ends_with_one() {
    let (tercet, payment) = (Tercet::start().await, Payment::start(&[]).await);
    let client = tercet.client();
    for gid in ["fine", "reserved", "opposite", "undecided"] {
        match gid {
            "undecided" => {
                client.begin("", &begin_open(gid, &[])).await;
                client.register(gid, "", &payment.branch().to_string()).await;
            }
            _ => transaction(
                &client.begin("", &begin(gid, &[payment.branch()])).await,
                201,
                "confirmed",
            ),
        }
    }
    for (gid, state) in
        [("reserved", "tried"), ("opposite", "cancelled"), ("undecided", "confirmed")]
    {
        payment
            .write(&format!("UPDATE tercet_guard SET state = '{state}' WHERE gid = '{gid}'"))
            .await;
    }
    payment.insert("unknown", "payment", STRANGE_LIFE).await;
    payment.insert("fine", "another", STRANGE_LIFE).await;
    let ran = payment.reconcile(&tercet, &[]).await;
    assert_eq!(ran.code, Some(1), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(
        ran.stdout.lines().collect::<Vec<_>>(),
        [
            "WHAT       HERE       THERE       TRANSACTION AND BRANCH",
            "unknown    tried      -           fine another",
            "opposite   cancelled  confirmed   opposite payment",
            "reserved   tried      confirmed   reserved payment",
            "undecided  confirmed  trying      undecided payment",
            "unknown    tried      -           unknown payment",
            "6 branches compared: 5 differ, 0 wait",
        ]
    );
    let ran = payment.reconcile(&tercet, &["-o", "json"]).await;
    let told: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((ran.code, &told["compared"], &told["differ"]), (Some(1), &json!(6), &json!(5)));
    let reserved = &told["items"][2];
    assert_eq!(
        (&reserved["what"], &reserved["gid"], &reserved["here"], &reserved["there"]),
        (&json!("reserved"), &json!("reserved"), &json!("tried"), &json!("confirmed")),
    );
    let ran = payment.reconcile(&tercet, &["-o", "jsonl"]).await;
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(1), 5), "{}", ran.stdout);
    // What was written by hand is from the beginning of 2026.
    let ran = payment.reconcile(&tercet, &["--since", "2026-02-01T00:00:00Z"]).await;
    assert!(ran.stdout.ends_with("4 branches compared: 3 differ, 0 wait\n"), "{}", ran.stdout);
}

#[tokio::test]
async fn what_only_waits_is_no_difference_and_is_called_when_asked_for() {
    let (tercet, payment) = (Tercet::start().await, Payment::start(&[]).await);
    let (client, slow) = (tercet.client(), Participant::start().await);
    slow.always("slow", Op::Confirm, in_a_minute());
    let begun = begin("order-1", &[branch(&slow, "slow"), payment.branch()]);
    let begun = client.begin("?wait=decided", &begun).await;
    waits(&client, "order-1").await;
    // As if the slow one were on the same books: they have its Try, and its Confirm is yet to come.
    payment.insert("order-1", "slow", begun.word("instance")).await;
    let ran = payment.reconcile(&tercet, &[]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("waits      tried      confirming  order-1 slow"),
        "{}",
        ran.stdout
    );
    slow.always("slow", Op::Confirm, Reaction::status(200));
    let ran = payment.reconcile(&tercet, &["--retry"]).await;
    assert!(ran.stdout.ends_with(", 1 wait, 1 called now\n"), "{}", ran.stdout);
    transaction(&client.finished("order-1").await, 200, "confirmed");
}

#[tokio::test]
async fn signed_books_are_read_with_the_secret_and_what_has_none_is_told() {
    let (tercet, signed) = (Tercet::start().await, Payment::start(&["--secret", SECRET]).await);
    signed.insert("unknown", "payment", STRANGE_LIFE).await;
    let ran = signed.reconcile(&tercet, &[]).await;
    assert_eq!(ran.code, Some(1), "{} {}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("unknown payment"), "{}", ran.stdout);

    let (elsewhere, url) = (directory(), format!("http://{}", tercet.address()));
    let environment = [("TERCET_URL", url.as_str())];
    let ran = run(elsewhere.path(), &["reconcile", &signed.endpoint], &environment).await;
    assert!(ran.stderr.contains("answered 401"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(1));
    let ran = run(elsewhere.path(), &["reconcile", &url], &environment).await;
    assert!(ran.stderr.contains("answered 404, and not with a page of branches"), "{}", ran.stderr);
    let ran = run(elsewhere.path(), &["reconcile", "ftp://h/x"], &environment).await;
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}
