//! Who may do what: tokens, their roles, and what holds where there are none.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Participant, Response, Tercet, eventually, program, soon};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::bodies::{begin, begin_open, branch};
use crate::expected::{problem, transaction};
use crate::operator::{in_a_minute, waits};
use crate::ran::{directory, run};

/// A token, and the table by which the daemon knows it.
pub(crate) struct Made {
    pub(crate) token: String,
    table: String,
}

impl Made {
    /// As an item of `TERCET_AUTH__TOKENS`.
    pub(crate) fn json(&self) -> Value {
        let table: toml::Table = self.table.parse().expect("TOML");
        json!(table["auth"]["tokens"][0])
    }
}

/// Makes one as people do.
pub(crate) async fn made(name: &str, role: &str) -> Made {
    let directory = directory();
    let new = ["token", "new", "--name", name, "--role", role];
    let ran = run(directory.path(), &new, &[]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let (token, table) = ran.stdout.split_once("\n\n").expect("a token, and a table");
    assert!(!ran.stderr.contains(token) && !table.contains(token), "it is shown once: {ran:?}");
    Made { token: token.to_owned(), table: table.to_owned() }
}

/// These as `TERCET_AUTH__TOKENS`.
pub(crate) fn as_variable(tokens: &[&Made]) -> String {
    json!(tokens.iter().map(|made| made.json()).collect::<Vec<Value>>()).to_string()
}

async fn stats(client: &Client) -> Response {
    client.send(Method::GET, "/v1/stats", None).await
}

#[tokio::test]
async fn tokens_let_in_whom_they_were_made_for_and_are_shown_nowhere() {
    let [viewer, client, operator] = [
        made("eve", "viewer").await,
        made("orders", "client").await,
        made("ops", "operator").await,
    ];
    let tokens = as_variable(&[&viewer, &client, &operator]);
    // The most that there can be in a log.
    let settings = [("AUTH__TOKENS", tokens.as_str()), ("LOG__FILTER", "trace")];
    let (tercet, participant) = (Tercet::start_with(&settings).await, Participant::start().await);
    let stranger = tercet.client();
    let [as_viewer, as_client, as_operator] =
        [&viewer, &client, &operator].map(|made| stranger.with_token(&made.token));

    let refused = stats(&stranger).await;
    problem(&refused, "unauthorized", None);
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    problem(&stranger.begin("", &begin_open("order-1", &[])).await, "unauthorized", None);
    let guessed = "a-token-that-somebody-guessed";
    problem(&stats(&stranger.with_token(guessed)).await, "unauthorized", None);
    for open in ["/livez", "/readyz", "/docs", "/openapi.json", "/problems/forbidden"] {
        assert_eq!(stranger.send(Method::GET, open, None).await.status, 200, "{open}");
    }

    participant.always("slow", tercet_wire::Op::Confirm, in_a_minute());
    let body = begin("order-1", &[branch(&participant, "slow")]);
    let refused = as_viewer.begin("", &body).await;
    problem(&refused, "forbidden", None);
    assert!(refused.word("detail").contains("client"), "{}", refused.text);
    assert_eq!(as_client.begin("?wait=decided", &body).await.status, 201);
    waits(&as_viewer, "order-1").await;
    for path in ["/v1/transactions/order-1/retry", "/v1/transactions/order-1/branches/slow/resolve"]
    {
        let refused = as_client.send(Method::POST, path, Some(r#"{"as":"confirmed"}"#)).await;
        problem(&refused, "forbidden", None);
        assert!(refused.word("detail").contains("operator"), "{}", refused.text);
    }
    let path = "/v1/transactions/order-1/branches/slow/resolve";
    let resolved = as_operator.send(Method::POST, path, Some(r#"{"as":"confirmed"}"#)).await;
    transaction(&resolved, 200, "confirmed");
    let line = as_viewer.event("order-1", "resolved").await;
    assert!(line["detail"].as_str().is_some_and(|said| said.contains("by ops")), "{line}");

    let metrics = as_viewer.send(Method::GET, "/metrics", None).await.text;
    for line in [
        "tercet_logins_failed_total{why=\"missing\"} 2",
        "tercet_logins_failed_total{why=\"unknown\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    tercet.logged("login_failed").await;
    let (shown, stdout, _) = tercet.run(&["config", "show"]).await;
    assert!(shown.success() && stdout.contains("name = \"ops\"") && stdout.contains("***"));
    let history = as_viewer.events("order-1").await.text;
    for (what, text) in [("log", tercet.log()), ("config", stdout), ("history", history)] {
        for secret in [&viewer.token, &client.token, &operator.token, guessed] {
            assert!(!text.contains(secret), "a token in the {what}");
            let sha256 = viewer.json()["sha256"].as_str().expect("a text").to_owned();
            assert!(!text.contains(&sha256), "a digest in the {what}");
        }
    }
}

#[tokio::test]
async fn a_tokens_file_is_read_again_and_what_is_wrong_in_it_changes_nothing() {
    let [old, new] = [made("orders", "client").await, made("orders", "client").await];
    let directory = directory();
    let path = directory.path().join("tokens.toml");
    write(&path, &old.table, 0o600);
    let settings = [("AUTH__TOKENS_FILE", path.to_str().expect("UTF-8"))];
    let tercet = Tercet::start_with(&settings).await;
    let [by_old, by_new] = [&old, &new].map(|made| tercet.client().with_token(&made.token));
    assert_eq!((stats(&by_old).await.status, stats(&by_new).await.status), (200, 401));

    // Both for as long as it takes everybody to change over; nobody has to ask for it.
    write(&path, &format!("{}\n{}", old.table, new.table), 0o600);
    let is_let_in = async |client: &Client| (stats(client).await.status == 200).then_some(());
    eventually("the new token is let in", async || is_let_in(&by_new).await).await;
    assert_eq!(stats(&by_old).await.status, 200);

    write(&path, "[[auth.tokens]]\nname = 7", 0o600);
    tercet.signal("HUP").await;
    tercet.logged("tokens_not_read").await;
    assert_eq!((stats(&by_old).await.status, stats(&by_new).await.status), (200, 200));

    write(&path, &new.table, 0o600);
    tercet.signal("HUP").await;
    let is_out = async || (stats(&by_old).await.status == 401).then_some(());
    eventually("the old token is refused", is_out).await;
    assert_eq!(stats(&by_new).await.status, 200);
    assert!(tercet.log().contains("tokens_read"), "{}", tercet.log());
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
}

#[tokio::test]
async fn a_tokens_file_that_others_may_read_is_refused() {
    let made = made("orders", "client").await;
    let directory = directory();
    let path = directory.path().join("tokens.toml");
    let name = path.to_str().expect("UTF-8");
    write(&path, &made.table, 0o644);
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database-url", "sqlite://t.db"];
    let ran = run(directory.path(), &serve, &[("TERCET_AUTH__TOKENS_FILE", name)]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for said in ["auth.tokens_file", name, "644", "chmod 600"] {
        assert!(ran.stderr.contains(said), "{said} in {}", ran.stderr);
    }
    assert!(!directory.path().join("t.db").exists(), "nothing was begun");

    write(&path, &made.table, 0o640);
    let tercet = Tercet::start_with(&[("AUTH__TOKENS_FILE", name)]).await;
    tercet.logged("tokens_file_readable").await;
}

#[tokio::test]
async fn what_others_reach_starts_with_rules_or_the_word_that_there_are_none() {
    let tokens = as_variable(&[&made("ops", "operator").await]);
    let rules = [("TERCET_AUTH__TOKENS", tokens.as_str())];
    let anybody = [("TERCET_AUTH__ALLOW_ANONYMOUS", "true")];
    let both = [rules[0], anybody[0]];
    for (listen, environment, said) in [
        ("0.0.0.0:0", &[][..], Some(["auth.tokens", "auth.allow_anonymous"])),
        ("[::]:0", &[], Some(["auth.tokens", "auth.allow_anonymous"])),
        ("127.0.0.1:0", &both, Some(["auth.tokens", "auth.allow_anonymous"])),
        ("0.0.0.0:0", &both, Some(["auth.tokens", "auth.allow_anonymous"])),
        ("127.0.0.1:0", &[], None),
        ("0.0.0.0:0", &rules, None),
        ("0.0.0.0:0", &anybody, None),
    ] {
        let directory = directory();
        let serve = ["serve", "--listen", listen, "--database-url", "sqlite://t.db"];
        match said {
            Some(said) => {
                let ran = run(directory.path(), &serve, environment).await;
                assert_eq!(ran.code, Some(1), "{listen} {environment:?}: {}", ran.stderr);
                assert!(said.iter().all(|said| ran.stderr.contains(said)), "{}", ran.stderr);
                assert!(!directory.path().join("t.db").exists(), "nothing was begun");
                let check = ["config", "check"];
                let listens = ("TERCET_SERVER__LISTEN", listen);
                let environment = [environment, &[listens]].concat();
                let ran = run(directory.path(), &check, &environment).await;
                assert_eq!(ran.code, Some(2), "{listen} {environment:?}: {}", ran.stderr);
                assert!(said.iter().all(|said| ran.stderr.contains(said)), "{}", ran.stderr);
            }
            None => {
                let mut serve_it = program(directory.path());
                serve_it.args(serve).envs(environment.iter().copied());
                let mut child =
                    serve_it.stderr(std::process::Stdio::piped()).spawn().expect("it starts");
                let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
                let ready = async {
                    while let Ok(Some(line)) = lines.next_line().await {
                        if line.contains("ready") {
                            return true;
                        }
                    }
                    false
                };
                assert!(soon("it is ready", ready).await, "{listen} {environment:?}");
                child.kill().await.expect("it runs");
            }
        }
    }
}

#[tokio::test]
async fn probes_have_a_listener_where_metrics_need_a_token_beyond_loopback() {
    let operator = made("ops", "operator").await;
    let tokens = as_variable(&[&operator]);
    let port = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("its address").port()
    };
    for (host, environment, expected) in [
        ("127.0.0.1", &[("AUTH__TOKENS", tokens.as_str())][..], 200),
        ("0.0.0.0", &[("AUTH__TOKENS", tokens.as_str())], 401),
        ("0.0.0.0", &[("AUTH__TOKENS", &tokens), ("AUTH__OPEN_METRICS", "true")], 200),
        ("0.0.0.0", &[], 401),
        ("0.0.0.0", &[("AUTH__ALLOW_ANONYMOUS", "true")], 200),
        ("127.0.0.1", &[], 200),
    ] {
        let admin = format!("{host}:{}", port());
        let settings = [environment, &[("SERVER__ADMIN_LISTEN", admin.as_str())]].concat();
        let tercet = Tercet::start_with(&settings).await;
        let probes =
            Client::new(admin.replace("0.0.0.0", "127.0.0.1").parse().expect("an address"));
        for path in ["/livez", "/readyz"] {
            assert_eq!(probes.send(Method::GET, path, None).await.status, 200, "{settings:?}");
        }
        let metrics = probes.send(Method::GET, "/metrics", None).await;
        assert_eq!(metrics.status, expected, "{settings:?}: {}", metrics.text);
        if environment.iter().any(|(key, _)| *key == "AUTH__TOKENS") {
            let by_token = probes.with_token(&operator.token);
            assert_eq!(by_token.send(Method::GET, "/metrics", None).await.status, 200);
            let main = tercet.client().send(Method::GET, "/metrics", None).await;
            assert_eq!(main.status == 401, environment.len() == 1, "{settings:?}");
        }
    }
}

#[tokio::test]
async fn the_command_line_takes_its_token_from_a_variable_or_a_file() {
    let [eve, ops] = [made("eve", "viewer").await, made("ops", "operator").await];
    let tercet = Tercet::start_with(&[("AUTH__TOKENS", &as_variable(&[&eve, &ops]))]).await;
    tercet.client().with_token(&ops.token).begin("", &begin_open("order-1", &[])).await;
    let url = format!("http://{}", tercet.address());
    let directory = directory();
    let file = directory.path().join("token");
    // As `tercet token new` prints it: the token, and the table below.
    write(&file, &format!("{}\n\n{}\n", ops.token, ops.table), 0o600);
    let file = file.to_str().expect("UTF-8");
    let by_variable = ("TERCET_TOKEN", eve.token.as_str());
    let (list, cancel) = (&["tx", "list"][..], &["tx", "cancel", "order-1"][..]);
    for (arguments, token_file, variable, code) in [
        (list, None, None, 5),
        (list, None, Some(by_variable), 0),
        (cancel, None, Some(by_variable), 5),
        (list, Some("/nowhere/token"), Some(by_variable), 2),
        // What was asked for by hand counts more than what lies about.
        (cancel, Some(file), Some(by_variable), 0),
    ] {
        let flag = token_file.map(|file| ["--token-file", file]);
        let arguments = [arguments, flag.as_ref().map(<[_; 2]>::as_slice).unwrap_or_default()];
        let environment = [Some(("TERCET_URL", url.as_str())), variable];
        let environment: Vec<_> = environment.into_iter().flatten().collect();
        let ran = run(directory.path(), &arguments.concat(), &environment).await;
        assert_eq!(ran.code, Some(code), "{arguments:?} {variable:?}: {}", ran.stderr);
        for token in [&eve.token, &ops.token] {
            assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(token), "{arguments:?}");
        }
    }
}
