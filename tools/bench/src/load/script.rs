//! What is asked of the coordinator, request by request, and what it must answer.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::sink::Profile;
use crate::wire::Response;

/// Where transactions begin.
const TRANSACTIONS: &str = "/v1/transactions";

/// What a transaction is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Branches of each.
    pub(crate) branches: u32,
    /// Bytes of each branch's payload.
    pub(crate) payload_bytes: usize,
    /// How participants answer.
    pub(crate) profile: Profile,
    /// Of so many transactions one is refused by its last branch.
    pub(crate) refused_of: Option<u64>,
    /// Who drives it.
    pub(crate) driven: Driven,
}

/// Who drives a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driven {
    /// The coordinator: one request, answered when all is finished.
    Coordinator,
    /// The same, answered when it is accepted: what comes of it is not waited for.
    Unattended,
    /// The initiator: begin, a request for each branch, confirm.
    Initiator,
}

/// The requests of every transaction of one shape, written once.
#[derive(Debug)]
pub(crate) struct Script {
    shape: Shape,
    host: SocketAddr,
    begin: Vec<u8>,
    /// The begin of one that is refused.
    refused: Vec<u8>,
    /// The bodies by which branches are registered.
    registered: Vec<String>,
    /// The line by which each request shows its token, if it has one.
    authorization: Option<String>,
}

impl Script {
    /// The requests for a coordinator, whose branches lead to a sink.
    pub(crate) fn new(shape: Shape, coordinator: SocketAddr, sink: SocketAddr) -> Self {
        let branch = |number: u32, profile: Profile| {
            // Who is held must not stand in the way of the others: a service of its own.
            let service = if profile == Profile::Hold { "held" } else { "b" };
            let mut branch = json!({
                "id": format!("b{number}"),
                "endpoint": format!("http://{sink}/{service}{number}/{profile}"),
                "payload": payload(shape.payload_bytes),
            });
            if profile == Profile::Hold {
                branch["timeout_ms"] = json!(HELD_CALL_MS);
            }
            branch
        };
        let accepted = |number| branch(number, shape.profile);
        let all = |last: Profile| -> Vec<Value> {
            let before = (1..shape.branches).map(accepted);
            before.chain([branch(shape.branches, last)]).collect()
        };
        let (path, begin, refused) = match shape.driven {
            Driven::Coordinator => {
                let refused = json!({ "branches": all(Profile::Refuse) });
                (TRANSACTIONS, json!({ "branches": all(shape.profile) }), refused)
            }
            Driven::Unattended => {
                let begin = json!({ "branches": all(shape.profile), "timeout_ms": HELD_MS });
                ("/v1/transactions?wait=accepted", begin, Value::Null)
            }
            Driven::Initiator => (TRANSACTIONS, json!({}), Value::Null),
        };
        let registered = match shape.driven {
            Driven::Coordinator | Driven::Unattended => Vec::new(),
            Driven::Initiator => {
                (1..=shape.branches).map(|number| accepted(number).to_string()).collect()
            }
        };
        Self {
            shape,
            host: coordinator,
            begin: post(coordinator, path, &begin.to_string()),
            refused: post(coordinator, path, &refused.to_string()),
            registered,
            authorization: None,
        }
    }

    /// The same requests, each with this token.
    pub(crate) fn with_token(self, token: &str) -> Self {
        let line = format!("authorization: Bearer {token}\r\n");
        Self {
            begin: with_line(&self.begin, &line),
            refused: with_line(&self.refused, &line),
            authorization: Some(line),
            ..self
        }
    }

    /// How many requests a transaction takes.
    pub(crate) fn steps(&self) -> usize {
        match self.shape.driven {
            Driven::Coordinator | Driven::Unattended => 1,
            Driven::Initiator => self.registered.len() + 2,
        }
    }

    /// The path that a `Location` names: it may be relative to that of the request.
    pub(crate) fn resolved(location: &str) -> String {
        if location.starts_with('/') {
            return location.to_owned();
        }
        let (folder, _) = TRANSACTIONS.rsplit_once('/').unwrap_or_default();
        format!("{folder}/{location}")
    }

    /// Writes the request of one step.
    pub(crate) fn request(&self, number: u64, step: usize, location: &str, to: &mut Vec<u8>) {
        to.clear();
        if step == 0 {
            let begin = if self.is_refused(number) { &self.refused } else { &self.begin };
            to.extend_from_slice(begin);
        } else if let Some(branch) = self.registered.get(step - 1) {
            to.extend(self.post(&format!("{location}/branches"), branch));
        } else {
            to.extend(self.post(&format!("{location}/confirm"), ""));
        }
    }

    fn post(&self, path: &str, body: &str) -> Vec<u8> {
        let request = post(self.host, path, body);
        match &self.authorization {
            Some(line) => with_line(&request, line),
            None => request,
        }
    }

    /// Whether this is the answer that this step must get; if not, what it must be.
    pub(crate) fn check(
        &self,
        number: u64,
        step: usize,
        response: &Response<'_>,
    ) -> Result<(), String> {
        let (code, status) = match self.shape.driven {
            Driven::Coordinator if self.is_refused(number) => (201, Some("cancelled")),
            Driven::Coordinator => (201, Some("confirmed")),
            Driven::Unattended => (201, Some("trying")),
            Driven::Initiator if step == 0 => (201, Some("trying")),
            Driven::Initiator if step + 1 < self.steps() => (201, None),
            Driven::Initiator => (200, Some("confirmed")),
        };
        if response.code == code && (status.is_none() || response.status == status) {
            return Ok(());
        }
        let Response { code: found, status: is, body, .. } = response;
        let body = String::from_utf8_lossy(body);
        Err(format!("wanted {code} {status:?}, got {found} {is:?}: {body}"))
    }

    fn is_refused(&self, number: u64) -> bool {
        self.shape.refused_of.is_some_and(|of| number.is_multiple_of(of))
    }
}

/// Longer than any measurement: what is held stays.
const HELD_MS: u64 = 86_400_000;
const HELD_CALL_MS: u64 = 600_000;

/// A JSON object of so many bytes, if that is enough for one.
fn payload(bytes: usize) -> Value {
    let around = json!({ "note": "" }).to_string().len();
    json!({ "note": "x".repeat(bytes.saturating_sub(around)) })
}

fn post(host: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A request with one more line in its head.
fn with_line(request: &[u8], line: &str) -> Vec<u8> {
    let end = request.windows(2).position(|two| two == b"\r\n").map_or(0, |at| at + 2);
    [&request[..end], line.as_bytes(), &request[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_the_bytes_it_is_to_have() {
        assert_eq!(payload(200).to_string().len(), 200);
        assert_eq!(payload(16_384).to_string().len(), 16_384);
    }

    #[test]
    fn a_location_is_relative_to_where_transactions_begin() {
        assert_eq!(Script::resolved("transactions/x"), "/v1/transactions/x");
        assert_eq!(Script::resolved("/v1/transactions/x"), "/v1/transactions/x");
    }

    #[test]
    fn a_wrong_answer_is_told_from_a_right_one() {
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        let shape = Shape {
            branches: 2,
            payload_bytes: 200,
            profile: Profile::Accept,
            refused_of: Some(10),
            driven: Driven::Coordinator,
        };
        let script = Script::new(shape, here, here);
        let response = |code, status| Response {
            code,
            status: Some(status),
            location: None,
            body: b"",
            length: 0,
        };
        assert!(script.check(1, 0, &response(201, "confirmed")).is_ok());
        assert!(script.check(10, 0, &response(201, "cancelled")).is_ok());
        assert!(script.check(1, 0, &response(201, "cancelled")).is_err());
        assert!(script.check(10, 0, &response(201, "confirmed")).is_err());
        assert!(script.check(1, 0, &response(202, "confirming")).is_err());
        assert!(script.check(1, 0, &response(429, "confirmed")).is_err());
    }
}
