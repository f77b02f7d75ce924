//! What is asked of the coordinator, request by request, and what it must answer.

use std::net::SocketAddr;
use std::ops::Range;

use serde_json::{Value, json};

use super::shape::{Driven, Gids, Kind, Shape};
use crate::clock;
use crate::sink::Profile;
use crate::wire::Response;

/// Where transactions begin.
const TRANSACTIONS: &str = "/v1/transactions";

/// The requests of every transaction of one shape, written once.
#[derive(Debug)]
pub(crate) struct Script {
    shape: Shape,
    host: SocketAddr,
    begin: Begin,
    /// The begin of one that is refused.
    refused: Begin,
    /// What tells its gids from those of every other load.
    salt: u64,
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
            let endpoint = format!("http://{sink}/{service}{number}/{profile}");
            let mut branch = json!({
                "id": format!("b{number}"),
                "payload": payload(shape.payload_bytes),
            });
            match shape.kind {
                Kind::Tcc | Kind::ConfirmedSaga => branch["endpoint"] = json!(endpoint),
                Kind::Saga => {
                    branch["action"] = json!(format!("{endpoint}/try"));
                    branch["compensate"] = json!(format!("{endpoint}/cancel"));
                }
                Kind::Message => branch["confirm"] = json!(format!("{endpoint}/confirm")),
            }
            if profile == Profile::Hold {
                branch["timeout_ms"] = json!(HELD_CALL_MS);
            }
            branch
        };
        let accepted = |number| branch(number, shape.profile);
        let with_all = |last: Profile| {
            let before = (1..shape.branches).map(accepted);
            let all: Vec<Value> = before.chain([branch(shape.branches, last)]).collect();
            match shape.kind {
                Kind::Tcc | Kind::Message => json!({ "branches": all }),
                Kind::Saga | Kind::ConfirmedSaga => json!({ "pattern": "saga", "branches": all }),
            }
        };
        let named = |mut begin: Value| {
            if shape.gids != Gids::Generated && !begin.is_null() {
                begin["gid"] = json!(NO_GID);
            }
            begin
        };
        let (path, begin, refused) = match shape.driven {
            Driven::Coordinator => {
                (TRANSACTIONS, with_all(shape.profile), with_all(Profile::Refuse))
            }
            Driven::Unattended => {
                let mut begin = with_all(shape.profile);
                if shape.profile == Profile::Hold {
                    begin["timeout_ms"] = json!(HELD_MS);
                    // What somebody may look for among those that wait.
                    begin["metadata"] = json!({ "shop": "north" });
                }
                ("/v1/transactions?wait=accepted", begin, Value::Null)
            }
            Driven::Initiator | Driven::InitiatorAtOnce => {
                let begin = match shape.kind {
                    Kind::Tcc | Kind::Message => json!({}),
                    Kind::Saga | Kind::ConfirmedSaga => json!({ "pattern": "saga", "open": true }),
                };
                (TRANSACTIONS, begin, Value::Null)
            }
        };
        let registered = match shape.driven {
            Driven::Coordinator | Driven::Unattended => Vec::new(),
            Driven::Initiator => {
                (1..=shape.branches).map(|number| accepted(number).to_string()).collect()
            }
            Driven::InitiatorAtOnce => {
                let all: Vec<Value> = (1..=shape.branches).map(accepted).collect();
                vec![Value::from(all).to_string()]
            }
        };
        Self {
            shape,
            host: coordinator,
            begin: Begin::new(post(coordinator, path, &named(begin).to_string())),
            refused: Begin::new(post(coordinator, path, &named(refused).to_string())),
            salt: clock::micros(),
            registered,
            authorization: None,
        }
    }

    /// The same requests, each with this token.
    pub(crate) fn with_token(self, token: &str) -> Self {
        let line = format!("authorization: Bearer {token}\r\n");
        Self {
            begin: Begin::new(with_line(&self.begin.request, &line)),
            refused: Begin::new(with_line(&self.refused.request, &line)),
            authorization: Some(line),
            ..self
        }
    }

    /// How many requests a transaction takes.
    pub(crate) fn steps(&self) -> usize {
        match self.shape.driven {
            Driven::Coordinator | Driven::Unattended => 1,
            Driven::Initiator | Driven::InitiatorAtOnce => self.registered.len() + 2,
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
            to.extend_from_slice(&begin.request);
            if let Some(place) = &begin.gid {
                to[place.clone()].copy_from_slice(self.gid(number).as_bytes());
            }
        } else if let Some(branch) = self.registered.get(step - 1) {
            to.extend(self.post(&format!("{location}/branches"), branch));
        } else {
            to.extend(self.post(&format!("{location}/confirm"), ""));
        }
    }

    /// The gid of a transaction, of as many bytes whatever it is.
    fn gid(&self, number: u64) -> String {
        match self.shape.gids {
            Gids::Generated | Gids::Sequential => format!("{:018}-{number:017}", self.salt),
            Gids::Random => {
                let [high, low] = [0, 1].map(|half| mixed(self.salt ^ mixed(number * 2 + half)));
                format!("{high:016x}-{low:016x}-{:02x}", self.salt % 256)
            }
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
            // With nothing to try it is decided as soon as it is there, and not yet delivered:
            // nobody is called before the answer is due.
            Driven::Unattended if self.shape.kind == Kind::Message => (201, Some("confirming")),
            Driven::Unattended => (201, Some("trying")),
            Driven::Initiator | Driven::InitiatorAtOnce => match step {
                0 => (201, Some("trying")),
                _ if step + 1 < self.steps() => (201, None),
                _ => (200, Some("confirmed")),
            },
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

/// Stands in the place of a gid, and has as many bytes as the gids that are generated.
const NO_GID: &str = "000000000000000000000000000000000000";

/// A begin, and where its gid stands, if it has one.
#[derive(Debug)]
struct Begin {
    request: Vec<u8>,
    gid: Option<Range<usize>>,
}

impl Begin {
    fn new(request: Vec<u8>) -> Self {
        let mut places = request.windows(NO_GID.len());
        let at = places.position(|bytes| bytes == NO_GID.as_bytes());
        Self { gid: at.map(|at| at..at + NO_GID.len()), request }
    }
}

/// A number that none of its neighbours is near (the finish of SplitMix64).
fn mixed(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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
    use std::collections::BTreeSet;

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

    fn script(kind: Kind, branches: u32, driven: Driven) -> Script {
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        let (profile, refused_of) = (Profile::Accept, Some(10));
        let gids = Gids::Generated;
        let shape = Shape { kind, branches, payload_bytes: 20, profile, refused_of, driven, gids };
        Script::new(shape, here, here)
    }

    fn response(code: u16, status: &str) -> Response<'_> {
        Response { code, status: Some(status), location: None, body: b"", length: 0 }
    }

    /// The path of a request, and its body.
    fn parts(request: &[u8]) -> (String, Value) {
        let text = String::from_utf8(request.to_vec()).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let path = head.split(' ').nth(1).expect("a path");
        (path.to_owned(), serde_json::from_str(body).expect("JSON"))
    }

    #[test]
    fn a_saga_is_steps_each_after_the_one_before() {
        let (path, body) = parts(&script(Kind::Saga, 3, Driven::Coordinator).begin.request);
        assert_eq!((path.as_str(), &body["pattern"]), ("/v1/transactions", &json!("saga")));
        let steps = body["branches"].as_array().expect("steps");
        assert_eq!(steps.len(), 3);
        for (step, number) in steps.iter().zip(1..) {
            let of = |leg: &str| json!(format!("http://127.0.0.1:1/b{number}/accept/{leg}"));
            assert_eq!((&step["action"], &step["compensate"]), (&of("try"), &of("cancel")));
            // What is called is the step alone: a saga is confirmed only where it says so.
            assert!(step.get("confirm").is_none() && step.get("endpoint").is_none(), "{step}");
        }
        // In the order of the list, which is what is meant where nothing is said.
        assert!(steps.iter().all(|step| step.get("after").is_none()), "{body}");
    }

    #[test]
    fn a_confirmed_saga_has_all_three_legs_of_each_step() {
        let (_, body) = parts(&script(Kind::ConfirmedSaga, 3, Driven::Coordinator).begin.request);
        assert_eq!(body["pattern"], "saga");
        let steps = body["branches"].as_array().expect("steps");
        let endpoints: Vec<&Value> = steps.iter().map(|step| &step["endpoint"]).collect();
        let expected = [1, 2, 3].map(|number| format!("http://127.0.0.1:1/b{number}/accept"));
        assert_eq!(endpoints, expected.each_ref().map(|url| Value::from(url.as_str())).each_ref());
    }

    #[test]
    fn a_message_has_a_confirm_alone_and_is_only_accepted() {
        let message = script(Kind::Message, 1, Driven::Unattended);
        let branch = json!({
            "id": "b1",
            "confirm": "http://127.0.0.1:1/b1/accept/confirm",
            "payload": payload(20),
        });
        let expected = json!({ "branches": [branch] });
        assert_eq!(
            parts(&message.begin.request),
            ("/v1/transactions?wait=accepted".to_owned(), expected)
        );
        assert!(message.check(1, 0, &response(201, "confirming")).is_ok());
        assert!(message.check(1, 0, &response(201, "trying")).is_err());
        assert!(message.check(1, 0, &response(202, "confirming")).is_err());
        assert!(message.shape.ends_later());
        assert!(!script(Kind::Saga, 3, Driven::Coordinator).shape.ends_later());
    }

    #[test]
    fn gids_of_the_initiators_are_never_the_same_twice() {
        let with = |gids| {
            let shape = Shape { gids, ..crate::run::USUAL };
            let here = SocketAddr::from(([127, 0, 0, 1], 1));
            Script::new(shape, here, here).with_token("t")
        };
        for gids in [Gids::Sequential, Gids::Random] {
            let script = with(gids);
            let gid = |number| {
                let mut request = Vec::new();
                script.request(number, 0, "", &mut request);
                parts(&request).1["gid"].as_str().expect("a gid").to_owned()
            };
            let some: Vec<String> = (1..=1_000).map(gid).collect();
            let distinct: BTreeSet<&String> = some.iter().collect();
            assert_eq!(distinct.len(), some.len(), "{gids:?}");
            assert!(some.iter().all(|gid| gid.len() == NO_GID.len()), "{some:?}");
            assert_eq!(some.is_sorted(), gids == Gids::Sequential);
        }
        let mut request = Vec::new();
        with(Gids::Generated).request(1, 0, "", &mut request);
        assert!(parts(&request).1.get("gid").is_none());
    }

    #[test]
    fn all_branches_are_registered_by_one_request_or_each_by_its_own() {
        for (driven, requests) in [(Driven::Initiator, 4), (Driven::InitiatorAtOnce, 3)] {
            let script = script(Kind::Tcc, 2, driven);
            assert_eq!(script.steps(), requests);
            let mut request = Vec::new();
            let ids = (1..requests - 1).flat_map(|step| {
                script.request(1, step, "/v1/transactions/x", &mut request);
                let (path, body) = parts(&request);
                assert_eq!(path, "/v1/transactions/x/branches");
                let branches = body.as_array().cloned().unwrap_or_else(|| vec![body]);
                branches.iter().map(|branch| branch["id"].clone()).collect::<Vec<_>>()
            });
            assert_eq!(ids.collect::<Vec<_>>(), ["b1", "b2"]);
        }
    }

    #[test]
    fn a_wrong_answer_is_told_from_a_right_one() {
        let script = script(Kind::Tcc, 2, Driven::Coordinator);
        assert!(script.check(1, 0, &response(201, "confirmed")).is_ok());
        assert!(script.check(10, 0, &response(201, "cancelled")).is_ok());
        assert!(script.check(1, 0, &response(201, "cancelled")).is_err());
        assert!(script.check(10, 0, &response(201, "confirmed")).is_err());
        assert!(script.check(1, 0, &response(202, "confirming")).is_err());
        assert!(script.check(1, 0, &response(429, "confirmed")).is_err());
    }
}
