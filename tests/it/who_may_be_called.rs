//! The operator says who may be called: what is written is refused where it is written, and what a
//! name resolves to where it is connected to.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Participant, Tercet, eventually};
use tercet_wire::{Op, Signed, SigningKey, Unverified, call_id};

use crate::bodies::{begin, begin_open, branch};
use crate::expected::{problem, transaction};
use crate::ran::{directory, run};

/// Where clouds hand out the credentials of their machines.
const METADATA: [&str; 9] = [
    "169.254.169.254",
    "169.254.169.254.",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[fd00:ec2::254]",
];

/// A branch with these fields alone.
fn leg(field: &str, url: &str) -> Value {
    let mut leg = json!({ "id": "b1" });
    leg[field] = json!(url);
    leg
}

#[tokio::test]
async fn a_denied_literal_is_refused_by_name_in_every_spelling() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    client.begin("", &begin_open("open-1", &[])).await;
    for host in METADATA {
        let url = format!("http://{host}/latest/meta-data");
        for field in ["endpoint", "try", "confirm", "cancel"] {
            let refused = client.begin("", &begin("order-1", &[leg(field, &url)])).await;
            problem(&refused, "invalid-request", None);
            let detail = refused.word("detail");
            assert!(detail.contains(&format!("branches[0].{field}")), "{host}: {detail}");
            assert!(detail.contains("participants.deny_defaults"), "{host}: {detail}");
            let refused = client.register("open-1", "", &leg(field, &url).to_string()).await;
            problem(&refused, "invalid-request", None);
            let detail = refused.word("detail");
            assert!(detail.starts_with(field), "{host}: {detail}");
        }
    }
    assert_eq!(client.get("order-1").await.status, 404, "nothing was begun");
}

#[tokio::test]
async fn a_name_that_leads_to_a_denied_address_fails_when_called() {
    let settings = [("PARTICIPANTS__DENY", r#"["127.0.0.0/8", "::1/128"]"#)];
    let (tercet, participant) = (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();
    let url = |path: &str| participant.url(path).replace("127.0.0.1", "localhost");
    let literal = client.begin("", &begin("order-0", &[branch(&participant, "b1")])).await;
    problem(&literal, "invalid-request", None);
    assert!(literal.word("detail").contains("127.0.0.0/8"), "{}", literal.text);

    // A Try is refused by it, whatever retries are left.
    let body = begin("order-1", &[leg("try", &url("/b1/try"))]);
    let ended = client.begin("", &body).await;
    transaction(&ended, 201, "cancelled");
    assert_eq!(ended.word("reason"), "try-refused");
    let told = |shown: &Value| shown.as_str().unwrap_or_default().to_owned();
    let error = told(&ended.branch("b1")["last_error"]);
    assert!(error.starts_with("participant-not-allowed: leads to "), "{}", ended.text);
    assert!(error.ends_with("which participants.deny names"), "{}", ended.text);

    // A Confirm is parked at once: no time and no answer will mend it.
    client.begin("?wait=decided", &begin("order-2", &[leg("confirm", &url("/b1/confirm"))])).await;
    client.event("order-2", "parked").await;
    let parked = client.get("order-2").await;
    transaction(&parked, 200, "confirming");
    let stuck = parked.branch("b1");
    assert_eq!(stuck["parked"], true, "{}", parked.text);
    assert!(told(&stuck["last_error"]).starts_with("participant-not-allowed: "), "{}", parked.text);
    assert_eq!(stuck["last_answer"], Value::Null, "nobody has said anything");
    assert!(participant.calls().is_empty(), "{:?}", participant.calls());
    let metrics = client.send(Method::GET, "/metrics", None).await.text;
    assert!(metrics.contains("result=\"permanent_error\"} "), "{metrics}");
}

#[tokio::test]
async fn a_branch_denied_after_its_begin_is_not_called() {
    let (mut tercet, mut participant) = (Tercet::start().await, Participant::start().await);
    participant.stop().await;
    let confirm = leg("confirm", &participant.url("/b1/confirm"));
    tercet.client().begin("?wait=decided", &begin("order-1", &[confirm])).await;
    tercet.kill().await;
    tercet.set("PARTICIPANTS__DENY", r#"["127.0.0.1"]"#);
    participant.restart().await;
    tercet.restart().await;
    let client = tercet.client();
    client.event("order-1", "parked").await;
    assert!(participant.calls().is_empty());
    // The operator takes it back, and nothing else needs to be done.
    tercet.kill().await;
    tercet.set("PARTICIPANTS__DENY", "[]");
    tercet.restart().await;
    transaction(&tercet.client().finished("order-1").await, 200, "confirmed");
    assert_eq!(participant.calls_of("b1", Op::Confirm).len(), 1);
}

#[tokio::test]
async fn with_a_list_of_the_allowed_others_are_refused() {
    let participant = Participant::start().await;
    let port = participant.host_port().rsplit_once(':').expect("a port").1.to_owned();
    let allow = format!(r#"["*.localhost:{port}", "10.0.0.0/8"]"#);
    let tercet = Tercet::start_with(&[("PARTICIPANTS__ALLOW", &allow)]).await;
    let client = tercet.client();
    // A literal that is in no network of the list.
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "192.0.2.1"] {
        let url = format!("http://{host}:{port}/b1/confirm");
        let refused = client.begin("", &begin("order-0", &[leg("confirm", &url)])).await;
        problem(&refused, "invalid-request", None);
        let detail = refused.word("detail");
        assert!(detail.contains("branches[0].confirm"), "{detail}");
        assert!(detail.contains("participants.allow"), "{detail}");
    }
    let at = |host: &str| json!({ "id": "b1", "endpoint": format!("http://{host}:{port}/b1") });
    let allowed = client.begin("", &begin("order-1", &[at("payment.localhost")])).await;
    transaction(&allowed, 201, "confirmed");
    // A name that is not named, and leads to no network that is.
    client.begin("?wait=decided", &begin("order-2", &[at("localhost")])).await;
    let refused = async || {
        let shown = client.get("order-2").await;
        let error = shown.branch("b1")["last_error"].as_str().unwrap_or_default().to_owned();
        error.starts_with("participant-not-allowed: ").then_some(())
    };
    eventually("order-2 is refused", refused).await;
    assert_eq!(client.get("order-2").await.word("reason"), "try-refused");
}

#[tokio::test]
async fn without_the_defaults_what_the_operator_names_alone_is_denied() {
    let settings =
        [("PARTICIPANTS__DENY_DEFAULTS", "false"), ("PARTICIPANTS__DENY", r#"["*.internal:81"]"#)];
    let tercet = Tercet::start_with(&settings).await;
    let client = tercet.client();
    let open = |gid: &str, url: &str| begin_open(gid, &[leg("confirm", url)]);
    let taken = client.begin("", &open("order-1", "http://169.254.169.254/confirm")).await;
    transaction(&taken, 201, "trying");
    let taken = client.begin("", &open("order-2", "http://pay.internal/confirm")).await;
    transaction(&taken, 201, "trying");
    // A name that is denied itself need not be looked up to be refused.
    let refused = client.begin("", &open("order-3", "http://Pay.Internal.:81/confirm")).await;
    problem(&refused, "invalid-request", None);
    assert!(refused.word("detail").contains("*.internal:81"), "{}", refused.text);
}

#[tokio::test]
async fn an_entry_that_is_none_stops_the_start_and_is_named() {
    let directory = directory();
    for (setting, value, place) in [
        ("TERCET_PARTICIPANTS__ALLOW", r#"["10.0.0.0/8", "10.0.0.1/8"]"#, "participants.allow[1]"),
        ("TERCET_PARTICIPANTS__DENY", r#"["*"]"#, "participants.deny[0]"),
        ("TERCET_PARTICIPANTS__DENY", r#"["http://pay.internal"]"#, "participants.deny[0]"),
    ] {
        let serve = ["serve", "--listen", "127.0.0.1:0"];
        let ran = run(directory.path(), &serve, &[(setting, value)]).await;
        assert_ne!(ran.code, Some(0), "{value}");
        let entry = value.rsplit('"').nth(1).expect("an entry");
        assert!(ran.stderr.contains(place) && ran.stderr.contains(entry), "{}", ran.stderr);
    }
}

const NEW: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn calls_to_who_shares_a_secret_are_signed_by_the_first() {
    let (signed, other) = (Participant::start().await, Participant::start().await);
    let table = json!([{ "host": signed.host_port(), "secrets": [NEW, OLD] }]).to_string();
    let tercet = Tercet::start_with(&[("PARTICIPANTS__SIGNING", &table)]).await;
    let body = begin("order.1", &[branch(&signed, "pay.1"), branch(&other, "other")]);
    transaction(&tercet.client().begin("", &body).await, 201, "confirmed");
    let keys: Vec<SigningKey> = [NEW, OLD].map(|secret| secret.parse().expect("a secret")).into();
    for call in signed.calls() {
        let header = |name: &'static str| call.headers.get(name).map(String::as_str);
        let read = Signed::read(header).expect("all three headers");
        assert_eq!(read.id, call_id(header));
        assert!(read.id.starts_with("order%2E1/pay%2E1/"), "{}", read.id);
        let body = call.body.as_bytes();
        assert_eq!(read.check_signature(&keys[..1], body), Ok(()), "by the first");
        assert_eq!(read.check_signature(&keys[1..], body), Err(Unverified::Signature));
    }
    assert_eq!(signed.calls().len(), 2);
    assert!(other.calls().iter().all(|call| !call.headers.contains_key("webhook-signature")));
    assert!(!tercet.log().contains("whsec_"), "{}", tercet.log());
}

#[tokio::test]
async fn secrets_are_shown_nowhere_and_what_is_none_is_not_repeated() {
    let directory = directory();
    let table = |host: &str, secrets: &[&str]| json!({ "host": host, "secrets": secrets });
    let run = async |command: &str, tables: &[Value]| {
        let tables = json!(tables).to_string();
        let variable = [("TERCET_PARTICIPANTS__SIGNING", tables.as_str())];
        run(directory.path(), &["config", command], &variable).await
    };
    let shown = run("show", &[table("pay:1", &[NEW, OLD])]).await;
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.stdout.contains("pay:1") && shown.stdout.contains("***"), "{}", shown.stdout);
    assert!(!shown.stdout.contains("whsec_"), "{}", shown.stdout);
    for (tables, named) in [
        (
            vec![table("pay", &[NEW]), table("stock", &["whsec_s3cret"])],
            "participants.signing[1].secrets[0]",
        ),
        (vec![table("*.internal", &[NEW])], "participants.signing[0].host"),
        (vec![table("pay", &[])], "participants.signing"),
        (vec![table("pay:80", &[NEW]), table("PAY.:80", &[OLD])], "participants.signing"),
        (vec![json!({ "host": "pay" })], "participants.signing[0].secrets"),
    ] {
        let refused = run("check", &tables).await;
        assert_eq!(refused.code, Some(2), "{tables:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(named), "{}", refused.stderr);
        let told = [refused.stdout, refused.stderr].concat();
        assert!(!told.contains("s3cret") && !told.contains("whsec_MD"), "{told}");
    }
}
