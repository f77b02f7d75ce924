//! `tercet backup`, `restore` and `serve --restored`: what is decided goes on, what is not is held.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tercet_testing::{Client, Gate, Participant, Reaction, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::{problem, transaction};
use crate::operator::in_a_minute;
use crate::poison::by_hand;
use crate::ran::{Ran, directory, run};

/// Runs a command of the program against this daemon's database and URL.
async fn tercet_with(tercet: &Tercet, arguments: &[&str]) -> Ran {
    let place = directory();
    let url = format!("http://{}", tercet.address());
    let database = format!("sqlite://{}", tercet.database().display());
    let environment = [("TERCET_URL", url.as_str()), ("TERCET_DATABASE__URL", &database)];
    run(place.path(), arguments, &environment).await
}

async fn well(tercet: &Tercet, arguments: &[&str]) -> String {
    let ran = tercet_with(tercet, arguments).await;
    assert_eq!(ran.code, Some(0), "{arguments:?}: {} {}", ran.stdout, ran.stderr);
    ran.stdout
}

async fn failed(tercet: &Tercet, arguments: &[&str]) -> String {
    let ran = tercet_with(tercet, arguments).await;
    assert_eq!(ran.code, Some(1), "{arguments:?}: {} {}", ran.stdout, ran.stderr);
    ran.stderr
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

async fn stats(client: &Client) -> Value {
    client.send(Method::GET, "/v1/stats", None).await.json
}

/// A daemon with one transaction whose Try is under way for so long, an open one, and one that is confirming;
/// and a backup of that moment.
async fn backed_up(participant: &Participant, timeout_ms: u32) -> (Tercet, TempDir, PathBuf) {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    participant.always("slow", Op::Confirm, in_a_minute());
    client.begin("?wait=decided", &begin("decided", &[branch(participant, "slow")])).await;
    participant.called("slow", Op::Confirm, 1).await;
    participant.always("stock", Op::Try, Reaction::status(202));
    let mut undecided: Value =
        serde_json::from_str(&begin("undecided", &[branch(participant, "stock")])).expect("json");
    undecided["timeout_ms"] = json!(timeout_ms);
    client.begin("?wait=accepted", &undecided.to_string()).await;
    client.begin("", &begin_open("open", &[])).await;
    let place = directory();
    let backup = place.path().join("backup.db");
    let said = well(&tercet, &["backup", text(&backup)]).await;
    assert!(said.contains("3 transactions, 3 of them unfinished"), "{said}");
    (tercet, place, backup)
}

#[tokio::test]
async fn a_restored_database_is_held_until_it_is_released() {
    let participant = Participant::start().await;
    let (mut tercet, _place, backup) = backed_up(&participant, 6_000).await;
    // What happens after the backup is forgotten by it.
    let client = tercet.client();
    client.send(Method::POST, "/v1/transactions/open/confirm", None).await;
    transaction(&client.finished("undecided").await, 200, "cancelled");
    tercet.kill().await;
    let said = well(&tercet, &["restore", text(&backup)]).await;
    assert!(said.contains("--restored") && said.contains("before-restore"), "{said}");

    let (status, _, stderr) = tercet.run(&["serve"]).await;
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("--restored") && stderr.contains("tercet restored release"),
        "{stderr}"
    );

    tercet.set_flags(&["--restored"]);
    let tries = participant.calls_of("stock", Op::Try).len();
    tercet.restart().await;
    // What is decided goes on.
    participant.called("slow", Op::Confirm, 2).await;
    let ready = client.send(Method::GET, "/readyz", None).await;
    assert!(ready.status == 200 && ready.text.contains("held"), "{}", ready.text);
    assert_eq!(stats(&client).await["restored"]["held"], 2);
    // What was begun since is not held.
    transaction(
        &client.begin("", &begin("new", &[branch(&participant, "new")])).await,
        201,
        "confirmed",
    );
    for asked in ["open/confirm", "open/cancel", "undecided/cancel", "undecided/retry"] {
        let refused = client.send(Method::POST, &format!("/v1/transactions/{asked}"), None).await;
        problem(&refused, "held", asked.split('/').next());
    }
    // Its deadline was over before it was restored.
    transaction(&client.get("undecided").await, 200, "trying");
    // Wherever it is shown it says so, and nothing else does.
    let listed = client.send(Method::GET, "/v1/transactions", None).await.json;
    for item in listed["items"].as_array().expect("items") {
        let gid = item["gid"].as_str().expect("a gid");
        let held = ["open", "undecided"].contains(&gid).then_some(true);
        assert_eq!(item["held"].as_bool(), held, "{gid} in a list");
        assert_eq!(client.get(gid).await.json["held"].as_bool(), held, "{gid}");
    }
    let listed = well(&tercet, &["tx", "list"]).await;
    assert_eq!(listed.matches("  held  ").count(), 2, "{listed}");
    let shown = well(&tercet, &["tx", "show", "open"]).await;
    for words in ["open  trying, held", "tx confirm open --despite-hold", "restored release"] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    let doctor = tercet_with(&tercet, &["doctor"]).await;
    assert!(doctor.stdout.contains("warn  daemon"), "{} {}", doctor.stdout, doctor.stderr);

    tercet.kill().await;
    tercet.restart().await;
    assert_eq!(stats(&client).await["restored"]["held"], 2, "a restart releases nothing");
    assert_eq!(participant.calls_of("stock", Op::Try).len(), tries, "nobody was called");
    // An operator may decide one by name.
    let confirmed = well(&tercet, &["tx", "confirm", "open", "--despite-hold"]).await;
    assert!(confirmed.starts_with("open  confirmed"), "{confirmed}");

    participant.always("stock", Op::Try, Reaction::status(200));
    let release = ["restored", "release", "--note", "books compared", "--yes"];
    let released = well(&tercet, &release).await;
    assert!(released.starts_with("1 transactions were held"), "{released}");
    // It gets one more round of Try, and is not cancelled by a deadline that passed meanwhile.
    transaction(&client.finished("undecided").await, 200, "confirmed");
    assert_eq!(stats(&client).await["restored"], Value::Null);
    let audit = client.send(Method::GET, "/v1/audit?action=release", None).await.json;
    assert_eq!(audit["items"][0]["note"], "books compared");
    assert_eq!(audit["items"][0]["detail"], json!({ "held": 1 }));
    well(&tercet, &["restored", "release"]).await;
    let audit = client.send(Method::GET, "/v1/audit?action=release", None).await.json;
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(1), "a repeat does nothing");

    tercet.kill().await;
    tercet.set_flags(&[]);
    tercet.restart().await;
    let ready = client.send(Method::GET, "/readyz", None).await;
    assert_eq!(ready.text, "ready\n", "it is durable that it was released");
}

#[tokio::test]
async fn a_database_put_back_by_hand_is_held_where_that_is_said() {
    let participant = Participant::start().await;
    let mut tercet = Tercet::start().await;
    let gate = Gate::closed();
    participant.next("stock", Op::Try, [Reaction::status(200).behind(&gate)]);
    let body = begin("undecided", &[branch(&participant, "stock")]);
    tercet.client().begin("?wait=accepted", &body).await;
    participant.called("stock", Op::Try, 1).await;
    tercet.kill().await;
    gate.open();
    tercet.set_flags(&["--restored"]);
    tercet.restart().await;
    assert_eq!(stats(&tercet.client()).await["restored"]["held"], 1);
    transaction(&tercet.client().get("undecided").await, 200, "trying");
    well(&tercet, &["restored", "release", "--yes"]).await;
    transaction(&tercet.client().finished("undecided").await, 200, "confirmed");
    assert_eq!(participant.calls_of("stock", Op::Try).len(), 2);
}

#[tokio::test]
async fn a_release_says_first_what_it_cancels() {
    let participant = Participant::start().await;
    let mut tercet = Tercet::start().await;
    let client = tercet.client();
    let body = |begun: String, check: Option<&str>| {
        let mut body: Value = serde_json::from_str(&begun).expect("json");
        body["timeout_ms"] = 86_400_000.into();
        if let Some(check) = check {
            body["check"] = check.into();
        }
        body.to_string()
    };
    client.begin("", &body(begin_open("waits", &[]), None)).await;
    let check = format!("http://{}/check", participant.host_port());
    client.begin("", &body(begin_open("is-asked", &[]), Some(&check))).await;
    for number in 1..=6 {
        client.begin("", &body(begin_open(&format!("late-{number}"), &[]), None)).await;
    }
    participant.always("stock", Op::Try, Reaction::status(202));
    let driven = begin("driven", &[branch(&participant, "stock")]);
    client.begin("?wait=accepted", &body(driven, None)).await;
    // As if there were days until people have found what to restore.
    let pass = "UPDATE global_transactions SET deadline_at = created_at + 1 WHERE gid <> 'waits'";
    by_hand(&tercet, pass).await;
    tercet.kill().await;
    tercet.set_flags(&["--restored"]);
    tercet.restart().await;
    let restored = stats(&client).await["restored"].clone();
    assert_eq!((&restored["held"], &restored["open"]), (&json!(9), &json!(8)));
    assert_eq!(restored["past_deadline"], 8);
    assert_eq!(restored["release_cancels"], 6);
    let named = ["late-1", "late-2", "late-3", "late-4", "late-5"];
    assert_eq!(restored["sample"], json!(named));

    let unsaid = tercet_with(&tercet, &["restored", "release"]).await;
    assert_eq!(unsaid.code, Some(2), "{}", unsaid.stderr);
    let said = unsaid.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["9 undecided", "8 of them open", "6 of those", &named.join(", "), "--yes"] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert_eq!(stats(&client).await["restored"]["held"], 9, "nothing was released");
    client.send(Method::POST, "/v1/transactions/late-6/confirm?despite_hold=true", None).await;
    let audit = client.send(Method::GET, "/v1/audit?action=confirm-held", None).await;
    assert_eq!(audit.json["items"][0]["gid"], "late-6", "{audit:?}");
    participant.always("stock", Op::Try, Reaction::status(200));
    well(&tercet, &["restored", "release", "--yes"]).await;
    for gid in &named {
        transaction(&client.finished(gid).await, 200, "cancelled");
    }
    transaction(&client.finished("late-6").await, 200, "confirmed");
    transaction(&client.finished("driven").await, 200, "confirmed");
    transaction(&client.get("waits").await, 200, "trying");
}

#[tokio::test]
async fn a_backup_replaces_nothing_unasked_and_is_nobody_elses_to_read() {
    let tercet = Tercet::start().await;
    tercet.client().begin("", &begin_open("order-1", &[])).await;
    let place = directory();
    let backup = place.path().join("backup.db");
    fs::write(&backup, "precious").expect("it can be written");
    let said = failed(&tercet, &["backup", text(&backup)]).await;
    assert!(said.contains("is there already") && said.contains(text(&backup)), "{said}");
    assert_eq!(fs::read(&backup).expect("it is there"), b"precious");
    let said = failed(&tercet, &["backup", text(&tercet.database()), "--overwrite"]).await;
    assert!(said.contains("is the database itself"), "{said}");
    let said = well(&tercet, &["backup", text(&backup), "--overwrite", "-o", "json"]).await;
    let said: Value = serde_json::from_str(&said).expect("json");
    assert_eq!((&said["transactions"], &said["unfinished"]), (&json!(1), &json!(1)));
    let mode = fs::metadata(&backup).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let beside = fs::read_dir(place.path()).expect("it is there").count();
    assert_eq!(beside, 1, "nothing is left beside it");
}

#[tokio::test]
async fn a_restore_leaves_what_it_cannot_replace() {
    let participant = Participant::start().await;
    let (mut tercet, place, backup) = backed_up(&participant, 600_000).await;
    let said = failed(&tercet, &["restore", text(&backup)]).await;
    assert!(said.contains("another process is using"), "{said}");
    tercet.kill().await;
    let before = fs::read(tercet.database()).expect("it is there");
    // Half of it is overwritten, so that the tables are not what they say.
    let damaged = place.path().join("damaged.db");
    let mut bytes = fs::read(&backup).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(&damaged, &bytes).expect("it can be written");
    let strange = place.path().join("strange.db");
    fs::write(&strange, "no database ".repeat(100)).expect("it can be written");
    let truncated = place.path().join("truncated.db");
    fs::write(&truncated, &fs::read(&backup).expect("it is there")[..middle / 4_096 * 4_096])
        .expect("it can be written");
    let is_damaged = |file: &Path| format!("{} is damaged: ", file.display());
    for (file, words) in [
        (&damaged, is_damaged(&damaged)),
        (&truncated, is_damaged(&truncated)),
        (&strange, format!("{} is not Tercet's", strange.display())),
    ] {
        let said = failed(&tercet, &["restore", text(file)]).await;
        assert!(said.contains(&words), "{words} in {said}");
    }
    // Whoever backs up such a one, or looks what is wrong, hears which file it is.
    for file in [&damaged, &truncated] {
        let url = format!("sqlite://{}", file.display());
        let environment =
            [("TERCET_DATABASE__URL", &*url), ("TERCET_SERVER__LISTEN", "127.0.0.1:0")];
        let ran = run(place.path(), &["backup", "copy.db"], &environment).await;
        assert!(ran.code == Some(1) && ran.stderr.contains(&is_damaged(file)), "{}", ran.stderr);
        let ran = run(place.path(), &["doctor", "-o", "jsonl"], &environment).await;
        let pages = ran.stdout.lines().find(|line| line.contains("\"pages\""));
        let pages = pages.unwrap_or_else(|| panic!("no pages in {}", ran.stdout));
        assert!(ran.code == Some(1) && pages.contains(&is_damaged(file)), "{pages}");
    }
    assert_eq!(fs::read(tercet.database()).expect("it is there"), before);
    let directory = tercet.database().parent().expect("a directory").to_owned();
    let names =
        fs::read_dir(&directory).expect("it is there").map(|entry| entry.expect("one").file_name());
    let strays: Vec<_> = names
        .filter(|name| {
            let name = name.to_string_lossy();
            name.contains("part") || name.contains("before-restore")
        })
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
    // A damaged database is replaced all the same, and kept.
    fs::write(tercet.database(), &bytes).expect("it can be written");
    well(&tercet, &["restore", text(&backup)]).await;
    tercet.set_flags(&["--restored"]);
    tercet.restart().await;
    let held = async || (stats(&tercet.client()).await["restored"]["held"] == 2).then_some(());
    eventually("what is held", held).await;
}
