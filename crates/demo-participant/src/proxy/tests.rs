//! Calls through the proxy to a participant that writes down what arrives.

use std::sync::Mutex;

use axum::http::HeaderMap;
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::*;

/// The proxy before a participant, and what has arrived there: path, attempt and body of each call.
struct Rig {
    router: Router,
    proxy: Arc<Proxy>,
    arrived: Arc<Mutex<Vec<String>>>,
}

impl Rig {
    async fn start() -> Self {
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let note = {
            let arrived = Arc::clone(&arrived);
            move |uri: Uri, headers: HeaderMap, body: String| {
                let attempt = headers.get("tercet-attempt").and_then(|value| value.to_str().ok());
                let line = format!("{uri} {} {body}", attempt.unwrap_or("-"));
                arrived.lock().expect("arrived").push(line);
                std::future::ready((StatusCode::CONFLICT, "sold out"))
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let to = format!("http://{}", listener.local_addr().expect("an address"));
        let participant = Router::new().fallback(note);
        tokio::spawn(async move { axum::serve(listener, participant).await });
        let proxy = Arc::new(Proxy::new(&to.parse().expect("a URL"), 1).expect("a proxy"));
        Self { router: router(Arc::clone(&proxy)), proxy, arrived }
    }

    /// A call of a branch.
    async fn call(&self, gid: &str, op: &str, attempt: u32) -> (u16, String) {
        let call = Request::post(format!("/payment/{op}?x=1"))
            .header("tercet-gid", gid)
            .header("tercet-branch", "payment")
            .header("tercet-op", op)
            .header("tercet-attempt", attempt)
            .body(Body::from("paid"))
            .expect("a call");
        let Ok(answer) = self.router.clone().oneshot(call).await;
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), BODY_LIMIT_BYTES).await.expect("a body");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    fn arrived(&self) -> Vec<String> {
        self.arrived.lock().expect("arrived").clone()
    }

    /// Waits until nothing is held back any more.
    async fn quiet(&self) {
        let quiet = async {
            while serde_json::json!(self.proxy.counts)["under_way"] != 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), quiet).await.expect("nothing is held back");
    }
}

/// The gid of a Try that meets such a fate, and whose repeat and Cancel meet none.
fn gid_of(wanted: impl Fn(Fate) -> bool) -> String {
    let fate_of = |gid: &str, op: &str, attempt: &str| {
        let mut headers = HeaderMap::new();
        let named = [("gid", gid), ("branch", "payment"), ("op", op), ("attempt", attempt)];
        for (name, value) in named {
            let name = header::HeaderName::try_from(format!("tercet-{name}")).expect("a name");
            headers.insert(name, value.parse().expect("a value"));
        }
        fate(1, &CallName::read(&headers).expect("a call"))
    };
    (0..100_000)
        .map(|number| format!("g{number}"))
        .find(|gid| {
            wanted(fate_of(gid, "try", "1"))
                && fate_of(gid, "try", "2") == Fate::Passed
                && fate_of(gid, "cancel", "1") == Fate::Passed
        })
        .expect("one of so many")
}

const TRY: &str = "/payment/try?x=1 1 paid";
const CANCEL: &str = "/payment/cancel?x=1 1 paid";

#[tokio::test]
async fn a_call_that_is_spared_and_its_answer_pass_as_they_are() {
    let rig = Rig::start().await;
    let gid = gid_of(|fate| fate == Fate::Passed);
    assert_eq!(rig.call(&gid, "try", 1).await, (409, "sold out".to_owned()));
    assert_eq!(rig.arrived(), [TRY]);
    assert_eq!(rig.proxy.counts.to_string(), counted("1 calls: 0, 0, 0, 0"));
}

#[tokio::test]
async fn a_doubled_call_arrives_twice_and_is_answered_once() {
    let rig = Rig::start().await;
    let gid = gid_of(|fate| matches!(fate, Fate::Doubled { .. }));
    assert_eq!(rig.call(&gid, "try", 1).await, (409, "sold out".to_owned()));
    rig.quiet().await;
    assert_eq!(rig.arrived(), [TRY, TRY]);
    assert_eq!(rig.proxy.counts.to_string(), counted("1 calls: 1, 0, 0, 0"));
}

#[tokio::test]
async fn a_delayed_call_arrives_although_its_caller_has_given_up() {
    let rig = Rig::start().await;
    let gid = gid_of(|fate| matches!(fate, Fate::Delayed { by } if by.as_millis() > 5));
    let impatient = tokio::time::timeout(Duration::ZERO, rig.call(&gid, "try", 1));
    assert!(impatient.await.is_err());
    rig.quiet().await;
    assert_eq!(rig.arrived(), [TRY]);
    assert_eq!(rig.proxy.counts.to_string(), counted("1 calls: 0, 1, 0, 0"));
}

#[tokio::test]
async fn a_try_that_its_cancel_overtakes_arrives_after_it() {
    let rig = Rig::start().await;
    let gid = gid_of(|fate| fate == Fate::Overtaken);
    assert_eq!(rig.call(&gid, "try", 1).await.0, 503);
    assert_eq!(rig.call(&gid, "cancel", 1).await.0, 409);
    rig.quiet().await;
    assert_eq!(rig.arrived(), [CANCEL, TRY]);
    assert_eq!(rig.proxy.counts.to_string(), counted("2 calls: 0, 0, 1, 0"));
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_has_arrived() {
    let rig = Rig::start().await;
    let gid = gid_of(|fate| fate == Fate::AnswerLost);
    let call = rig.call(&gid, "try", 1);
    let arrival = async {
        while rig.arrived().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        rig.quiet().await;
    };
    tokio::select! {
        answer = call => panic!("it was answered: {answer:?}"),
        () = arrival => {}
    }
    assert_eq!(rig.arrived(), [TRY]);
    assert_eq!(rig.proxy.counts.to_string(), counted("1 calls: 0, 0, 0, 1"));
}

#[tokio::test]
async fn what_is_no_call_of_a_branch_is_never_troubled() {
    let rig = Rig::start().await;
    for _ in 0..100 {
        let read = Request::get("/accounts").body(Body::empty()).expect("a request");
        let Ok(answer) = rig.router.clone().oneshot(read).await;
        assert_eq!(answer.status(), 409);
    }
    assert_eq!(rig.arrived().len(), 100);
    assert_eq!(rig.proxy.counts.to_string(), counted("0 calls: 0, 0, 0, 0"));
}

#[test]
fn it_is_told_where_to_and_nothing_more() {
    for wrong in ["https://127.0.0.1:1", "http://127.0.0.1:1/payment", "127.0.0.1:1", "/payment"] {
        let to = wrong.parse().expect("a URI");
        let Err(error) = Proxy::new(&to, 1) else { panic!("{wrong} will do") };
        assert_eq!(error.to_string(), format!("--to {to}: only http://HOST:PORT will do"));
    }
}

/// The line that is printed in the end, from its numbers.
fn counted(numbers: &str) -> String {
    let (calls, rest) = numbers.split_once(": ").expect("two parts");
    let rest: Vec<&str> = rest.split(", ").collect();
    format!(
        "{calls}: {} doubled, {} delayed, {} overtaken, {} answers lost",
        rest[0], rest[1], rest[2], rest[3]
    )
}
