//! Nodes that speak TLS: with clients, who come with tokens, and with each other, by certificates.

use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tercet_testing::{Authority, Client, Participant, Tercet, soon};
use tercet_wire::Op;

use crate::bodies::{begin_open, branch};
use crate::database::ServerDatabase;
use crate::nodes::nodes;

/// A lease that no test waits for.
const NEVER: (&str, &str) = ("CLUSTER__LEASE_MS", "600000");

fn token(name: &str, role: &str) -> Value {
    let sha256 = tercet_wire::hex(&Sha256::digest(format!("token-of-{name}")));
    json!({ "name": name, "role": role, "sha256": sha256 })
}

/// The files that all nodes have, and their authority.
struct Files {
    authority: Authority,
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        let (authority, directory) = (Authority::new(), TempDir::new().expect("a directory"));
        authority.issue_for_loopback().write(directory.path(), "node");
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).expect("written");
        Self { authority, directory }
    }

    fn at(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

/// Keeps P4.
#[tokio::test]
async fn nodes_pass_on_by_https_what_came_with_a_token() {
    let (database, participant) = (ServerDatabase::on_postgres().await, Participant::start().await);
    let files = Files::new();
    let [cert, key, ca] = ["node.pem", "node.key", "ca.pem"].map(|name| files.at(name));
    let tokens = json!([token("orders", "client"), token("ops", "operator")]).to_string();
    let of_port = [
        NEVER,
        ("AUTH__TOKENS", tokens.as_str()),
        ("SERVER__TLS__CERT_FILE", &cert),
        ("SERVER__TLS__KEY_FILE", &key),
        ("SERVER__TLS__CLIENT_CA_FILE", &ca),
        ("LOG__FILTER", "trace"),
    ];
    let of_nodes = [
        ("CLUSTER__CA_FILE", ca.as_str()),
        ("CLUSTER__CERT_FILE", &cert),
        ("CLUSTER__KEY_FILE", &key),
    ];
    let both: [Tercet; 2] = nodes(&database, &[&of_port[..], &of_nodes].concat()).await;
    // Everybody shows a certificate of the authority, by a name that nobody here has heard of.
    let anybody = files.authority.issue("anybody", &[]);
    let clients =
        [0, 1].map(|node| Client::by_tls(both[node].address(), &files.authority, Some(&anybody)));
    let as_ = |node: usize, name: &str| clients[node].with_token(&format!("token-of-{name}"));
    assert_eq!(clients[0].begin("", &begin_open("tour", &[])).await.status, 401);
    let told = as_(0, "orders").begin("", &begin_open("tour", &[])).await;
    assert_eq!(told.status, 201, "{}", told.text);
    let seat = branch(&participant, "seat").to_string();
    let told = as_(1, "orders").register("tour", "", &seat).await;
    assert_eq!((told.status, told.word("status")), (201, "tried"), "{}", told.text);
    let told = as_(1, "orders").send(Method::POST, "/v1/transactions/tour/retry", None).await;
    assert_eq!((told.status, told.word("code")), (403, "forbidden"), "{}", told.text);
    let told = as_(1, "ops").confirm("tour", "").await;
    assert_eq!((told.status, told.word("status")), (200, "confirmed"), "{}", told.text);
    assert_eq!(participant.calls_of("seat", Op::Confirm).len(), 1);
    let stats = as_(0, "ops").send(Method::GET, "/v1/stats", None).await;
    assert_eq!(stats.status, 200, "{}", stats.text);

    // A certificate makes no node.
    for name in ["anybody", "ops"] {
        let told = as_(1, name).send(Method::POST, "/internal/v1/left", None).await;
        assert_eq!(told.status, 404, "{}", told.text);
    }
    let forged = ("tercet-node", "v2;1;2;3;AAAA");
    let url = clients[1].url("/v1/transactions/tour/confirm");
    let asked = clients[1].http().post(url).header(forged.0, forged.1).send();
    assert_eq!(soon("an answer", asked).await.expect("an answer").status(), 401);
    for node in &both {
        assert!(!node.log().contains("token-of-"), "a token in a log");
    }
}

/// Keeps P4.
#[tokio::test]
async fn a_node_that_does_not_know_the_others_authority_asks_nobody() {
    let database = ServerDatabase::on_postgres().await;
    let files = Files::new();
    let [cert, key] = ["node.pem", "node.key"].map(|name| files.at(name));
    let settings = [
        NEVER,
        ("JOURNAL__REQUEST_TIMEOUT_MS", "1000"),
        ("SERVER__TLS__CERT_FILE", &cert),
        ("SERVER__TLS__KEY_FILE", &key),
    ];
    let both: [Tercet; 2] = nodes(&database, &settings).await;
    let [first, second] =
        [0, 1].map(|node: usize| Client::by_tls(both[node].address(), &files.authority, None));
    first.begin("", &begin_open("open", &[])).await;
    let told = second.confirm("open", "?wait_ms=0").await;
    assert_eq!((told.status, told.word("code")), (503, "owner-unreachable"), "{}", told.text);
    let line = both[1].logged("event=\"owner_unreachable\"").await;
    assert!(line.contains("UnknownIssuer"), "{line}");
    let told = first.confirm("open", "").await;
    assert_eq!((told.status, told.word("status")), (200, "confirmed"), "{}", told.text);
}
