//! What operators look at from the command line: live views, exports, counts, and what is wrong.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tercet_testing::{Gate, Participant, RawParticipant, Reaction, Tercet, program, soon};
use tercet_wire::Op;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::access::{as_variable, made};
use crate::bodies::{begin, begin_open, branch};
use crate::ran::{Ran, directory, run};

async fn ran(tercet: &Tercet, arguments: &[&str]) -> Ran {
    let place = directory();
    let url = format!("http://{}", tercet.address());
    run(place.path(), arguments, &[("TERCET_URL", &url)]).await
}

async fn well(tercet: &Tercet, arguments: &[&str]) -> String {
    let ran = ran(tercet, arguments).await;
    assert_eq!(ran.code, Some(0), "{arguments:?}: {} {}", ran.stdout, ran.stderr);
    ran.stdout
}

#[tokio::test]
async fn a_view_into_a_pipe_tells_what_changes_until_the_end() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let gate = Gate::closed();
    participant.next("stock", Op::Confirm, [Reaction::status(200).behind(&gate)]);
    let body = begin("order-1", &[branch(&participant, "stock")]);
    tercet.client().begin("?wait=decided", &body).await;
    let (place, url) = (directory(), format!("http://{}", tercet.address()));
    let mut watching = program(place.path());
    watching.args(["tx", "show", "order-1", "--watch", "--url", &url]).stdout(Stdio::piped());
    let mut watching = watching.spawn().expect("it starts");
    let mut lines = BufReader::new(watching.stdout.take().expect("it is piped")).lines();
    let mut told = async |words: &str| loop {
        let line = soon(words, lines.next_line()).await.expect("it can be read");
        let line = line.unwrap_or_else(|| panic!("it ended without {words}"));
        if line.contains(words) {
            return;
        }
    };
    told("order-1  confirming").await;
    told("order-1 stock  tried").await;
    gate.open();
    told("order-1  confirmed").await;
    told("order-1 stock  confirmed").await;
    let ended = soon("the view ends", watching.wait()).await.expect("it ends");
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn an_export_has_all_that_a_filter_finds_with_its_history() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    // More than a page of them.
    for number in 0..103 {
        client.begin("", &begin_open(&format!("open-{number:03}"), &[])).await;
    }
    client.begin("", &begin("done", &[branch(&participant, "stock")])).await;
    client.finished("done").await;
    let place = directory();
    let file = place.path().join("all.jsonl");
    let to = file.to_str().expect("UTF-8");
    let said = ran(&tercet, &["tx", "export", "--to", to]).await;
    assert!(said.code == Some(0) && said.stderr.contains("104 transactions"), "{}", said.stderr);
    let lines = std::fs::read_to_string(&file).expect("it is there");
    let all: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    let gids: Vec<&str> = all.iter().filter_map(|one| one["gid"].as_str()).collect();
    let mut expected: Vec<String> = (0..103).map(|number| format!("open-{number:03}")).collect();
    expected.push("done".to_owned());
    assert_eq!(gids, expected, "oldest first");
    let done = &all[103];
    assert_eq!(done["branches"][0]["id"], "stock");
    let kinds: Vec<&Value> =
        done["events"].as_array().expect("events").iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, [&json!("begun"), &json!("decided"), &json!("finished")]);
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "nobody else may read it");
    // What is there is not overwritten, and it is said what that is.
    let again = ran(&tercet, &["tx", "export", "--to", to]).await;
    assert!(again.code == Some(1) && again.stderr.contains(to), "{}", again.stderr);
    let confirmed = well(&tercet, &["tx", "export", "--status", "confirmed"]).await;
    assert_eq!(confirmed.lines().count(), 1, "{confirmed}");
}

#[tokio::test]
async fn counts_and_lists_come_as_text_json_and_lines() {
    let tercet = Tercet::start().await;
    for gid in ["order-1", "order-2"] {
        tercet.client().begin("", &begin_open(gid, &[])).await;
    }
    let stats = well(&tercet, &["stats"]).await;
    assert!(stats.contains("trying               2") && stats.contains("live"), "{stats}");
    let json: Value =
        serde_json::from_str(&well(&tercet, &["stats", "-o", "json"]).await).expect("json");
    assert_eq!(json["by_status"]["trying"], 2);
    let lines = well(&tercet, &["tx", "list", "-o", "jsonl"]).await;
    let gids: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("json")["gid"].clone())
        .collect();
    assert_eq!(gids, [json!("order-2"), json!("order-1")]);
    assert!(!stats.contains('\u{1b}'), "a pipe has no colours");
}

#[tokio::test]
async fn every_command_takes_yes_and_shells_complete_them_all() {
    let place = directory();
    for command in [
        &["tx", "list"][..],
        &["serve"],
        &["backup", "x"],
        &["restored", "release"],
        &["config", "check"],
        &["saga", "list"],
        &["audit"],
        &["doctor"],
        &["reconcile", "http://h/x"],
    ] {
        let arguments = [command, &["--yes", "--help"]].concat();
        let help = run(place.path(), &arguments, &[]).await;
        assert_eq!(help.code, Some(0), "{arguments:?}: {}", help.stderr);
        assert!(help.stdout.contains("--yes"), "{arguments:?}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(place.path(), &["completions", shell], &[]).await;
        assert_eq!(script.code, Some(0), "{}", script.stderr);
        for word in ["restored", "doctor", "--watch"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.stdout.contains(word), "{word} for {shell}");
        }
    }
}

/// What a doctor says of a thing: its verdicts, worst last, and its words.
fn found(ran: &Ran, check: &str) -> (String, String) {
    let said: Value = serde_json::from_str(&ran.stdout).expect("json");
    let items = said["items"].as_array().expect("items").clone();
    let mut items = items.into_iter().filter(|item| item["check"] == check);
    let item = items.next().unwrap_or_else(|| panic!("no {check} in {said}"));
    assert_eq!(items.next(), None, "of {check} there is one line");
    let text = |name: &str| item[name].as_str().expect("a text").to_owned();
    (text("verdict"), text("found"))
}

#[tokio::test]
async fn a_doctor_asks_the_daemon_where_its_settings_have_it_listen() {
    let tercet = Tercet::start().await;
    let (listen, place) = (tercet.address().to_string(), directory());
    let database = format!("sqlite://{}", tercet.database().display());
    let doctor = async |listen: &str, more: &[(&str, &str)]| {
        let mut environment =
            vec![("TERCET_SERVER__LISTEN", listen), ("TERCET_DATABASE__URL", &*database)];
        // What comes later stands.
        environment.extend(more);
        run(place.path(), &["doctor", "-o", "json"], &environment).await
    };
    let well = doctor(&listen, &[]).await;
    assert_eq!(found(&well, "daemon"), ("ok".into(), format!("http://{listen} is ready")));
    assert_eq!(
        found(&well, "ports"),
        ("ok".into(), format!("{listen} is in use, by a daemon of Tercet"))
    );

    // It has another database than these settings.
    let other = doctor(&listen, &[("TERCET_DATABASE__URL", "sqlite://other.db")]).await;
    assert_eq!(
        (other.code, found(&other, "ports").0.as_str()),
        (Some(1), "fail"),
        "{}",
        other.stdout
    );

    // Another program has the port, and answers all that it is asked.
    let mut stranger = RawParticipant::start().await;
    let taken = stranger.host_port().to_owned();
    let url = format!("http://{listen}");
    let elsewhere = [("TERCET_URL", url.as_str()), ("TERCET_TOKEN", "a-secret")];
    let answer = async {
        let arrival = stranger.arrival().await;
        let token = arrival.header("authorization").map(str::to_owned);
        arrival.answer("200 OK", b"welcome").await;
        token
    };
    let (ill, token) = tokio::join!(doctor(&taken, &elsewhere), answer);
    assert_eq!(token, None, "whoever is no daemon is shown no token");
    let (verdict, words) = found(&ill, "ports");
    assert!(verdict == "fail" && words.contains("by another program"), "{words}");
    assert_eq!(found(&ill, "daemon").0, "ok", "the one at --url");
    let answers = async {
        for _ in 0..2 {
            stranger.arrival().await.answer("200 OK", b"welcome").await;
        }
    };
    let (ill, ()) = tokio::join!(doctor(&taken, &[]), answers);
    for check in ["ports", "daemon"] {
        assert_eq!(found(&ill, check).0, "fail", "{check} in {}", ill.stdout);
    }
    let nowhere = doctor("127.0.0.1:0", &[]).await;
    assert_eq!(nowhere.code, Some(0), "{}", nowhere.stdout);
    assert!(found(&nowhere, "daemon").1.contains("--url"), "{}", nowhere.stdout);
}

#[tokio::test]
async fn a_doctor_says_what_is_so_of_its_token() {
    let tokens = as_variable(&[&made("ann", "operator").await]);
    let tercet = Tercet::start_with(&[("AUTH__TOKENS", &tokens)]).await;
    for (given, words) in [
        (None, "it takes a token, and none was given"),
        (Some("no-such-token"), "the token that was given is none that the daemon knows"),
    ] {
        let place = directory();
        let (listen, database) = (tercet.address().to_string(), tercet.database());
        let database = format!("sqlite://{}", database.display());
        let mut environment =
            vec![("TERCET_SERVER__LISTEN", &*listen), ("TERCET_DATABASE__URL", &*database)];
        environment.extend(given.map(|given| ("TERCET_TOKEN", given)));
        let ran = run(place.path(), &["doctor", "-o", "json"], &environment).await;
        assert_eq!(ran.code, Some(0), "{}", ran.stdout);
        for check in ["transactions", "retention"] {
            let (verdict, found) = found(&ran, check);
            assert!(verdict == "warn" && found.contains(words), "{check}: {found}");
        }
    }
}

#[tokio::test]
async fn a_doctor_fails_for_what_keeps_a_daemon_from_starting() {
    let tercet = Tercet::start().await;
    let (listen, url) = (tercet.address().to_string(), format!("http://{}", tercet.address()));
    let database = format!("sqlite://{}", tercet.database().display());
    let place = directory();
    let doctor = async |listen: &str, url: &str, database: &str| {
        let environment = [
            ("TERCET_URL", url),
            ("TERCET_SERVER__LISTEN", listen),
            ("TERCET_DATABASE__URL", database),
        ];
        run(place.path(), &["doctor", "-o", "json"], &environment).await
    };
    // It takes no lock: the daemon has it.
    let well = doctor(&listen, &url, &database).await;
    assert_eq!(well.code, Some(0), "{} {}", well.stdout, well.stderr);
    for check in [
        "settings",
        "ports",
        "durability",
        "fsync",
        "pages",
        "schema",
        "daemon",
        "clock",
        "retention",
    ] {
        assert_eq!(found(&well, check).0, "ok", "{check} in {}", well.stdout);
    }
    // Another program has the port, and nobody answers at the URL.
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("an address").to_string();
    let ill = doctor(&taken, "http://127.0.0.1:9", &database).await;
    assert_eq!((ill.code, found(&ill, "ports").0.as_str()), (Some(1), "fail"), "{}", ill.stdout);
    assert_eq!(found(&ill, "daemon").0, "fail", "it was named: {}", ill.stdout);
    std::fs::write(place.path().join("text.db"), "no database ".repeat(100)).expect("a file");
    let ill = doctor("127.0.0.1:0", &url, "sqlite://text.db").await;
    assert_eq!((ill.code, found(&ill, "database").0.as_str()), (Some(1), "fail"), "{}", ill.stdout);
    assert!(!place.path().join("text.db.lock").exists(), "nothing is left behind");
}
