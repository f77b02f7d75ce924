//! Jobs: what is done to all that a filter finds, once to each, whatever happens meanwhile.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Participant, Reaction, Response, Tercet, eventually};
use tercet_wire::Op;
use tokio::task::JoinSet;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::problem;
use crate::operator::{in_a_minute, waits};

/// Transactions that a job comes to while the daemon is killed.
const MANY: usize = 5_000;

pub(crate) async fn ask(client: &Client, body: &Value) -> Response {
    client.send(Method::POST, "/v1/jobs", Some(&body.to_string())).await
}

/// Begins a job, which says its id.
pub(crate) async fn begun(client: &Client, mut body: Value) -> String {
    body["dry_run"] = json!(false);
    let told = ask(client, &body).await;
    assert_eq!(told.status, 202, "{}", told.text);
    let id = told.word("id").to_owned();
    assert_eq!(told.header("location"), format!("/v1/jobs/{id}"));
    id
}

async fn shown(client: &Client, id: &str) -> Value {
    let told = client.send(Method::GET, &format!("/v1/jobs/{id}"), None).await;
    assert_eq!(told.status, 200, "{}", told.text);
    told.json
}

/// The job once it has ended.
pub(crate) async fn ended(client: &Client, id: &str) -> Value {
    let look = async || {
        let job = shown(client, id).await;
        matches!(job["state"].as_str(), Some("done" | "stopped")).then_some(job)
    };
    eventually(&format!("job {id} ends"), look).await
}

/// Its counts: found, done, failed.
fn counts(job: &Value) -> (u64, u64, u64) {
    let count = |name: &str| job[name].as_u64().unwrap_or_else(|| panic!("{name} of {job}"));
    (count("matched"), count("done"), count("failed_total"))
}

/// Begins open transactions without branches, which wait for their initiator for an hour.
async fn begin_many(client: &Client, prefix: &str, many: usize) {
    let mut begins = JoinSet::new();
    for lane in 0..32 {
        let (client, prefix) = (client.clone(), prefix.to_owned());
        begins.spawn(async move {
            for number in (lane..many).step_by(32) {
                let body = json!({ "gid": format!("{prefix}{number}"), "open": true,
                    "timeout_ms": 3_600_000 });
                let told = client.begin("", &body.to_string()).await;
                assert_eq!(told.status, 201, "{}", told.text);
            }
        });
    }
    begins.join_all().await;
}

/// The lines of this kind in a history.
async fn lines(client: &Client, gid: &str, kind: &str) -> Vec<Value> {
    let events = client.events(gid).await;
    let items = events.json["items"].as_array().cloned().unwrap_or_default();
    items.into_iter().filter(|line| line["kind"] == kind).collect()
}

/// Keeps exactly-once.
#[tokio::test]
async fn a_job_killed_twice_comes_to_each_of_5000_once() {
    let mut tercet = Tercet::start_with(&[("JOBS__PER_SECOND", "1000")]).await;
    let client = tercet.client();
    begin_many(&client, "tx-", MANY).await;
    begin_many(&client, "other-", 3).await;
    let filter = json!({ "gid_prefix": "tx-" });
    let body = json!({ "action": "retry", "filter": filter, "note": "payment is back" });
    let dry = ask(&client, &body).await;
    assert_eq!((dry.status, &dry.json["matched"]), (200, &json!(MANY)), "{}", dry.text);
    let id = begun(&client, body).await;
    for at_least in [500, 2_000] {
        let look = async || {
            let (_, done, _) = counts(&shown(&client, &id).await);
            (done >= at_least).then_some(done)
        };
        let done = eventually("it has come to some", look).await;
        assert!(done < 5_000, "it is at work: {done}");
        tercet.kill().await;
        tercet.restart().await;
    }
    let job = ended(&client, &id).await;
    assert_eq!((counts(&job), &job["state"]), ((5_000, 5_000, 0), &json!("done")), "{job}");
    let expected = format!("by 127.0.0.1 (act {id}): payment is back");
    let mut looks = JoinSet::new();
    for lane in 0..32 {
        let (client, expected) = (client.clone(), expected.clone());
        looks.spawn(async move {
            for number in (lane..MANY).step_by(32) {
                let gid = format!("tx-{number}");
                let retried = lines(&client, &gid, "retried").await;
                assert_eq!(retried.len(), 1, "{gid}: {retried:?}");
                assert_eq!(retried[0]["detail"], expected, "{gid}");
            }
        });
    }
    looks.join_all().await;
    assert_eq!(lines(&client, "other-0", "retried").await, Vec::<Value>::new());
    assert!(tercet.log().contains("job_taken_over") || tercet.log().contains("a job goes on here"));
}

#[tokio::test]
async fn a_dry_run_counts_shows_five_and_does_nothing() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    begin_many(&client, "tx-", 7).await;
    let body = json!({ "action": "cancel", "filter": { "gid_prefix": "tx-", "open": true } });
    let dry = ask(&client, &body).await;
    assert_eq!((dry.status, &dry.json["matched"]), (200, &json!(7)), "{}", dry.text);
    assert_eq!(dry.json["by_status"], json!({ "trying": 7 }));
    let sample = dry.json["sample"].as_array().expect("a sample");
    assert_eq!(sample.len(), 5);
    assert!(sample.iter().all(|one| one["status"] == "trying" && one["gid"].is_string()));
    let none = json!({ "action": "cancel", "filter": { "gid_prefix": "none-" }, "dry_run": true });
    let nothing = json!({ "matched": 0, "by_status": {}, "sample": [] });
    assert_eq!(ask(&client, &none).await.json, nothing);
    let jobs = client.send(Method::GET, "/v1/jobs", None).await;
    assert_eq!(jobs.json, json!({ "items": [], "next_cursor": null }));
    assert_eq!(client.get("tx-0").await.word("status"), "trying");
}

#[tokio::test]
async fn a_cancel_says_who_and_why_and_what_it_could_not_do() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.always("slow", Op::Confirm, in_a_minute());
    client.begin("?wait=decided", &begin("tx-late", &[branch(&participant, "slow")])).await;
    waits(&client, "tx-late").await;
    begin_many(&client, "tx-", 2).await;
    let body = json!({ "action": "cancel", "filter": { "gid_prefix": "tx-" }, "note": "a flood" });
    let id = begun(&client, body).await;
    let job = ended(&client, &id).await;
    assert_eq!((counts(&job), &job["state"]), ((3, 2, 1), &json!("done")), "{job}");
    assert_eq!(job["failed"], json!([{ "gid": "tx-late", "code": "already-confirmed" }]));
    for gid in ["tx-0", "tx-1"] {
        let shown = client.finished(gid).await;
        assert_eq!((shown.word("status"), shown.word("reason")), ("cancelled", "operator"));
        assert_eq!(shown.word("reason_detail"), format!("by 127.0.0.1 (act {id}): a flood"));
    }
    assert_eq!(client.get("tx-late").await.word("status"), "confirming");
    // It is one row of the audit, and stopping what has ended is none.
    let stopped = client.send(Method::DELETE, &format!("/v1/jobs/{id}"), None).await;
    assert_eq!((stopped.status, stopped.word("state")), (200, "done"), "{}", stopped.text);
    let audit = client.send(Method::GET, "/v1/audit", None).await;
    let rows = audit.json["items"].as_array().expect("rows");
    assert_eq!(rows.len(), 1, "{}", audit.text);
    assert_eq!((&rows[0]["id"], &rows[0]["action"]), (&json!(id), &json!("job-begin")));
    assert_eq!((&rows[0]["note"], &rows[0]["who"]), (&json!("a flood"), &json!("127.0.0.1")));
    let detail = json!({ "job": id, "action": "cancel", "filter": { "gid_prefix": "tx-" } });
    assert_eq!(rows[0]["detail"], detail);
}

#[tokio::test]
async fn a_resolve_ends_those_branches_alone_that_the_filter_means() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let other = Participant::start().await;
    let client = tercet.client();
    participant.always("stuck", Op::Confirm, Reaction::status(404));
    other.always("slow", Op::Confirm, in_a_minute());
    for gid in ["tx-0", "tx-1"] {
        let body = begin(gid, &[branch(&participant, "stuck"), branch(&other, "slow")]);
        client.begin("?wait=decided", &body).await;
        client.event(gid, "parked").await;
        waits(&client, gid).await;
    }
    client.begin("", &begin_open("tx-open", &[branch(&participant, "stuck")])).await;
    let filter = json!({ "participant": participant.host_port() });
    let body = json!({ "action": "resolve", "filter": filter, "as": "confirmed", "note": "seen" });
    let id = begun(&client, body).await;
    let job = ended(&client, &id).await;
    assert_eq!(counts(&job), (3, 2, 1), "{job}");
    assert_eq!(job["failed"], json!([{ "gid": "tx-open", "code": "not-decided" }]));
    for gid in ["tx-0", "tx-1"] {
        let line = client.event(gid, "resolved").await;
        assert_eq!(line["branch"], "stuck");
        assert_eq!(line["detail"], format!("as confirmed by 127.0.0.1 (act {id}): seen"));
        let shown = client.get(gid).await;
        assert_eq!(shown.branch("stuck")["resolved_as"], "confirmed");
        assert_eq!(shown.branch("slow")["resolved_as"], Value::Null);
    }
}

#[tokio::test]
async fn what_matches_is_fixed_when_the_job_begins() {
    let tercet = Tercet::start_with(&[("JOBS__PER_SECOND", "20")]).await;
    let client = tercet.client();
    begin_many(&client, "tx-", 40).await;
    let body = json!({ "action": "retry", "filter": { "gid_prefix": "tx-", "status": "trying" } });
    let id = begun(&client, body).await;
    let look = async || {
        let job = shown(&client, &id).await;
        (job["done"].as_u64() > Some(0)).then_some(job)
    };
    let job = eventually("it has found what there is", look).await;
    assert_eq!(job["matched"], 40, "{job}");
    // What comes now is not its affair, and what it has found it comes to whatever becomes of it.
    begin_many(&client, "tx-new-", 3).await;
    client.cancel("tx-39", "", None).await;
    let job = ended(&client, &id).await;
    assert_eq!(counts(&job), (40, 40, 0), "{job}");
    assert_eq!(lines(&client, "tx-new-0", "retried").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_stopped_job_comes_to_nothing_more() {
    let mut tercet = Tercet::start_with(&[("JOBS__PER_SECOND", "10")]).await;
    let client = tercet.client();
    begin_many(&client, "tx-", 500).await;
    let body = json!({ "action": "retry", "filter": { "gid_prefix": "tx-" } });
    let id = begun(&client, body).await;
    let look = async || (counts(&shown(&client, &id).await).1 > 0).then_some(());
    eventually("it is at work", look).await;
    let told = client.send(Method::DELETE, &format!("/v1/jobs/{id}"), None).await;
    assert_eq!((told.status, told.word("state")), (202, "stopping"), "{}", told.text);
    let job = ended(&client, &id).await;
    let (matched, done, failed) = counts(&job);
    assert_eq!((matched, failed, &job["state"]), (500, 0, &json!("stopped")), "{job}");
    assert!(done < 500 && job["ended_at"].is_string(), "{job}");
    // Also after a restart.
    tercet.kill().await;
    tercet.restart().await;
    assert_eq!(shown(&client, &id).await, job);
    let mut retried = 0;
    for number in 0..500 {
        retried += lines(&client, &format!("tx-{number}"), "retried").await.len() as u64;
    }
    assert_eq!(retried, done, "what it counts is what it did");
    let audit = client.send(Method::GET, "/v1/audit?action=job-stop", None).await;
    assert_eq!(audit.json["items"][0]["detail"], json!({ "job": id }), "{}", audit.text);
}

#[tokio::test]
async fn what_is_wrong_with_a_job_is_named() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    for (body, named) in [
        (json!({ "action": "confirm", "filter": {} }), "confirm"),
        (json!({ "filter": {} }), "action"),
        (json!({ "action": "retry", "filter": {} }), "note"),
        (json!({ "action": "cancel", "filter": {}, "dry_run": false }), "note"),
        (json!({ "action": "resolve", "filter": { "parked": true }, "as": "confirmed" }), "note"),
        (json!({ "action": "resolve", "filter": { "parked": true }, "note": "n" }), "as"),
        (json!({ "action": "retry", "filter": { "parked": true }, "as": "confirmed" }), "as"),
        (json!({ "action": "retry", "filter": { "status": "confirmed" } }), "filter.status"),
        (json!({ "action": "retry", "filter": { "limit": 5 } }), "filter.limit"),
        (json!({ "action": "retry", "filter": { "participant": "pay" } }), "filter.participant"),
        (json!({ "action": "retry", "filter": [], "note": "n" }), "filter"),
        (json!({ "action": "retry", "what": 1 }), "what"),
    ] {
        let refused = ask(&client, &body).await;
        problem(&refused, "invalid-request", None);
        assert!(refused.word("detail").contains(named), "{body}: {}", refused.text);
    }
    for id in ["01980000-0000-7000-8000-000000000007", "none"] {
        for method in [Method::GET, Method::DELETE] {
            let refused = client.send(method, &format!("/v1/jobs/{id}"), None).await;
            problem(&refused, "job-not-found", None);
        }
    }
    let internal = client.send(Method::POST, "/internal/v1/job-act", Some("{}")).await;
    problem(&internal, "not-found", None);
}

#[tokio::test]
async fn jobs_are_listed_newest_first_in_pages() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    begin_many(&client, "tx-", 1).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let body = json!({ "action": "retry", "filter": { "gid_prefix": "tx-" } });
        let id = begun(&client, body).await;
        ended(&client, &id).await;
        ids.insert(0, id);
    }
    let page = client.send(Method::GET, "/v1/jobs?limit=2", None).await;
    let of = |page: &Response| -> Vec<String> {
        let items = page.json["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|job| job["id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(of(&page), ids[..2], "{}", page.text);
    let cursor = page.word("next_cursor");
    let next = client.send(Method::GET, &format!("/v1/jobs?limit=2&cursor={cursor}"), None).await;
    assert_eq!((of(&next), next.field("next_cursor")), (ids[2..].to_vec(), &Value::Null));
}
