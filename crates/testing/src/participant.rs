//! A participant that writes down every call and does what the test says.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use rustls::ServerConfig;
use tercet_wire::{CallOp, Op, header};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::port::Port;
use crate::script::{Reaction, Script};
use crate::server::serve_by;
use crate::soon;

/// A participant on a port of its own. Unless told otherwise it answers every call with 200.
#[derive(Debug)]
pub struct Participant {
    port: Port,
    state: Arc<State>,
    /// What is spoken on its port, if it is not HTTP itself.
    tls: Option<Arc<ServerConfig>>,
    /// `None` while it is stopped.
    server: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    script: Mutex<Script>,
    calls: watch::Sender<Vec<Received>>,
}

/// A call as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// `Tercet-Op`.
    pub op: Op,
    /// `Tercet-Gid`.
    pub gid: String,
    /// `Tercet-Branch`.
    pub branch: String,
    /// `Tercet-Instance`.
    pub instance: String,
    /// `Tercet-Attempt`.
    pub attempt: u32,
    /// Path and query.
    pub path: String,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
    /// When it arrived, to compare with other calls.
    pub at: Instant,
}

impl Participant {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts one on a free port that speaks TLS.
    pub async fn start_by_tls(tls: Arc<ServerConfig>) -> Self {
        Self::start_with(Some(tls)).await
    }

    async fn start_with(tls: Option<Arc<ServerConfig>>) -> Self {
        let port = Port::free();
        let state = State { script: Mutex::default(), calls: watch::Sender::new(Vec::new()) };
        let state = Arc::new(state);
        let server = Some(serving(&port, tls.clone(), &state));
        Self { port, state, tls, server }
    }

    /// Its URL for this path, such as `/payment`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.port.address())
    }

    /// Its `host:port`.
    #[must_use]
    pub fn host_port(&self) -> String {
        self.port.address().to_string()
    }

    /// Says what it does with the next of these calls, one after the other.
    pub fn next(&self, branch: &str, op: Op, reactions: impl IntoIterator<Item = Reaction>) {
        self.script().next(branch, op, reactions);
    }

    /// Says what it does with these calls when nothing is said for the next one.
    pub fn always(&self, branch: &str, op: Op, reaction: Reaction) {
        self.script().always(branch, op, reaction);
    }

    /// Every call so far, in the order they arrived. A call is in it before it is answered.
    #[must_use]
    pub fn calls(&self) -> Vec<Received> {
        self.state.calls.borrow().clone()
    }

    /// These calls so far.
    #[must_use]
    pub fn calls_of(&self, branch: &str, op: Op) -> Vec<Received> {
        let mut calls = self.calls();
        calls.retain(|call| call.branch == branch && call.op == op);
        calls
    }

    /// Waits for the `nth` of these calls, from 1.
    ///
    /// # Panics
    /// It does not come.
    pub async fn called(&self, branch: &str, op: Op, nth: usize) -> Received {
        let mut calls = self.state.calls.subscribe();
        let is = |call: &&Received| call.branch == branch && call.op == op;
        let there = calls.wait_for(|calls| calls.iter().filter(is).count() >= nth);
        let what = format!("call {nth} of {op} to branch {branch} at {}", self.port.address());
        let calls = soon(&what, there).await.expect("the participant outlives the wait");
        calls.iter().filter(is).nth(nth - 1).cloned().expect("there are that many")
    }

    /// Ends it as a crash would: connections are closed, calls in flight are not answered,
    /// new connections are refused.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // Only its end says that the port is closed.
            let _ = server.await;
        }
    }

    /// Starts it again on the same port, with what was said and what it had written down.
    ///
    /// # Panics
    /// It runs already.
    pub async fn restart(&mut self) {
        assert!(self.server.is_none(), "it runs already");
        self.server = Some(serving(&self.port, self.tls.clone(), &self.state));
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.state.script.lock().expect("no test panics while it writes the script")
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

fn serving(port: &Port, tls: Option<Arc<ServerConfig>>, state: &Arc<State>) -> JoinHandle<()> {
    let state = Arc::clone(state);
    let answering = move |request| answer(request, Arc::clone(&state));
    tokio::spawn(serve_by(port.listen(), tls, answering))
}

/// An error closes the connection without an answer.
async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let headers: BTreeMap<String, String> = head
        .headers
        .iter()
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let Some(call) = received(&head.uri.to_string(), headers, &body) else {
        let wrong = Response::builder().status(400).body(Full::from("not a call of Tercet's"));
        return Ok(wrong.expect("a plain answer"));
    };
    let reaction = {
        let mut script = state.script.lock().expect("no test panics while it writes the script");
        script.take(&call.branch, call.op)
    };
    state.calls.send_modify(|calls| calls.push(call));
    reaction.act().await.ok_or_else(|| io::Error::other("closed as the script says"))
}

/// A call, if it has the headers of one. What asks an initiator is told as the Try of a branch
/// `check`: it names neither.
fn received(path: &str, headers: BTreeMap<String, String>, body: &[u8]) -> Option<Received> {
    let text = |name: &str| headers.get(name).cloned();
    let (op, branch) = match text(header::OP)?.parse().ok()? {
        CallOp::Leg(op) => (op, text(header::BRANCH)?),
        CallOp::Check => (Op::Try, CallOp::Check.to_string()),
    };
    Some(Received {
        op,
        gid: text(header::GID)?,
        branch,
        instance: text(header::INSTANCE)?,
        attempt: text(header::ATTEMPT)?.parse().ok()?,
        path: path.to_owned(),
        body: String::from_utf8_lossy(body).into_owned(),
        at: now(),
        headers,
    })
}

#[expect(clippy::disallowed_methods, reason = "pauses between calls are what some tests measure")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, Gate};

    /// Calls a participant as the daemon would; `None` is no answer.
    async fn call(participant: &Participant, op: Op, attempt: u32) -> Option<(u16, String)> {
        let request =
            Client::new(participant.port.address()).http().post(participant.url("/payment"));
        let response = request
            .header(header::GID, "order-1")
            .header(header::BRANCH, "payment")
            .header(header::INSTANCE, "0193a5f0-0000-7000-8000-00000000002a")
            .header(header::OP, op.as_str())
            .header(header::ATTEMPT, attempt)
            .body("{}")
            .send();
        let response = soon("an answer or none", response).await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    #[tokio::test]
    async fn a_participant_does_what_was_said_and_writes_down_what_came() {
        let participant = Participant::start().await;
        participant.always("payment", Op::Try, Reaction::status(503).header("retry-after", "1"));
        let refused = Reaction::status(409).body("no funds");
        participant.next("payment", Op::Try, [Reaction::close(), refused]);
        assert_eq!(call(&participant, Op::Try, 1).await, None);
        assert_eq!(call(&participant, Op::Try, 2).await, Some((409, "no funds".to_owned())));
        assert_eq!(call(&participant, Op::Try, 3).await, Some((503, String::new())));
        assert_eq!(call(&participant, Op::Confirm, 1).await, Some((200, String::new())));
        let attempts: Vec<u32> =
            participant.calls_of("payment", Op::Try).iter().map(|call| call.attempt).collect();
        assert_eq!(attempts, [1, 2, 3]);
        let last = participant.called("payment", Op::Confirm, 1).await;
        assert_eq!((last.gid.as_str(), last.body.as_str()), ("order-1", "{}"));
        assert_eq!(last.path, "/payment");
    }

    #[tokio::test]
    async fn an_answer_behind_a_gate_waits_for_it_and_the_call_is_seen_before() {
        let participant = Arc::new(Participant::start().await);
        let gate = Gate::closed();
        participant.next("payment", Op::Try, [Reaction::status(200).behind(&gate)]);
        let calling = tokio::spawn({
            let participant = Arc::clone(&participant);
            async move { call(&participant, Op::Try, 1).await }
        });
        participant.called("payment", Op::Try, 1).await;
        assert!(!calling.is_finished());
        gate.open();
        let answer = soon("the answer", calling).await.expect("no panic");
        assert_eq!(answer, Some((200, String::new())));
    }

    #[tokio::test]
    async fn a_stopped_participant_refuses_and_returns_on_the_same_port() {
        let mut participant = Participant::start().await;
        participant.stop().await;
        assert_eq!(call(&participant, Op::Try, 1).await, None);
        participant.restart().await;
        assert_eq!(call(&participant, Op::Try, 2).await, Some((200, String::new())));
        assert_eq!(participant.calls().len(), 1);
    }
}
