//! People who sign in elsewhere: tokens of an issuer that is played here.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Method;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tercet_clock::{Clock as _, SystemClock};
use tercet_testing::{Client, Participant, RawParticipant, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::problem;
use crate::operator::{in_a_minute, waits};
use crate::ran::{directory, run};

const ISSUER: &str = "https://login.example";

/// A key of the issuer's.
struct Signer {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        let made = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new());
        let pair = Ed25519KeyPair::from_pkcs8(made.expect("a key").as_ref());
        Self { kid, pair: pair.expect("a key") }
    }

    fn jwk(&self) -> Value {
        let x = base64(self.pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "x": x })
    }

    /// A token that is valid for five minutes from now on.
    fn token(&self, name: &str, role: &str) -> String {
        self.token_of(name, role, "tercet", 300)
    }

    fn token_of(&self, name: &str, role: &str, audience: &str, seconds: i64) -> String {
        let exp = SystemClock::start().now().wall.0 / 1_000 + seconds;
        let header = json!({ "alg": "EdDSA", "kid": self.kid });
        let claims = json!({ "iss": ISSUER, "aud": audience, "exp": exp, "email": name,
            "realm_access": { "roles": ["offline_access", role] } });
        let message = [header, claims].map(|part| base64(part.to_string().as_bytes())).join(".");
        let signature = base64(self.pair.sign(message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }
}

fn set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

const SETTINGS: [(&str, &str); 4] = [
    ("AUTH__JWT__ISSUER", ISSUER),
    ("AUTH__JWT__AUDIENCE", "tercet"),
    ("AUTH__JWT__ROLE_CLAIM", "realm_access.roles"),
    ("AUTH__JWT__NAME_CLAIM", "email"),
];

async fn status(client: &Client, token: &str) -> u16 {
    client.with_token(token).send(Method::GET, "/v1/stats", None).await.status
}

#[tokio::test]
async fn people_come_with_tokens_of_an_issuer_whose_keys_may_change() {
    let directory = directory();
    let path = directory.path().join("keys.json");
    let [old, new, stranger] = [Signer::new("k1"), Signer::new("k2"), Signer::new("k1")];
    std::fs::write(&path, set(&[&old])).expect("written");
    let file = ("AUTH__JWT__JWKS_FILE", path.to_str().expect("UTF-8"));
    let sha256 = "ab".repeat(32);
    let tokens = json!([{ "name": "deploy", "role": "viewer", "sha256": sha256 }]).to_string();
    let settings = [file, ("LOG__FILTER", "trace"), ("AUTH__TOKENS", &tokens)];
    let settings = [&SETTINGS[..], &settings].concat();
    let (tercet, participant) = (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();

    let eve = old.token("eve@example.com", "viewer");
    assert_eq!((status(&client, &eve).await, status(&client, "a.b.c").await), (200, 401));
    let refused = client.with_token(&eve).begin("", &begin_open("order-1", &[])).await;
    problem(&refused, "forbidden", None);
    let zoe = old.token("zoë@example.com", "operator");
    let as_zoe = client.with_token(&zoe);
    participant.always("slow", Op::Confirm, in_a_minute());
    let body = begin("order-1", &[branch(&participant, "slow")]);
    assert_eq!(as_zoe.begin("?wait=decided", &body).await.status, 201);
    waits(&as_zoe, "order-1").await;
    as_zoe.send(Method::POST, "/v1/transactions/order-1/retry", None).await;
    assert_eq!(as_zoe.event("order-1", "retried").await["detail"], "by zoë@example.com");
    for wrong in [
        stranger.token("eve@example.com", "operator"),
        old.token_of("eve@example.com", "operator", "another", 300),
        old.token_of("eve@example.com", "operator", "tercet", -61),
    ] {
        assert_eq!(status(&client, &wrong).await, 401);
    }
    let nobody = old.token("eve@example.com", "none");
    problem(&client.with_token(&nobody).get("order-1").await, "forbidden", None);

    let bob = new.token("bob", "viewer");
    assert_eq!(status(&client, &bob).await, 401);
    std::fs::write(&path, set(&[&old, &new])).expect("written");
    let is_in = async || (status(&client, &bob).await == 200).then_some(());
    eventually("the new key counts", is_in).await;
    assert_eq!(status(&client, &eve).await, 200, "and the old one does");
    let name_of_token = old.token("deploy", "operator");
    let refused = client.with_token(&name_of_token).send(Method::GET, "/v1/stats", None).await;
    problem(&refused, "unauthorized", None);
    assert!(refused.word("detail").contains("auth.jwt.name_claim"), "{}", refused.text);
    std::fs::write(&path, "{ half of").expect("written");
    tercet.signal("HUP").await;
    tercet.logged("issuer_keys_not_read").await;
    assert_eq!((status(&client, &eve).await, status(&client, &bob).await), (200, 200));

    std::fs::write(&path, set(&[])).expect("written");
    tercet.signal("HUP").await;
    tercet.logged("issuer_keys_gone").await;
    assert_eq!((status(&client, &eve).await, status(&client, &bob).await), (401, 401));

    let log = tercet.log();
    for token in [&eve, &zoe, &bob, &nobody] {
        let signature = token.rsplit('.').next().expect("a signature");
        assert!(!log.contains(signature), "a token in the log");
    }
}

#[tokio::test]
async fn the_issuers_keys_are_asked_for_and_hold_while_it_is_away() {
    let mut issuer = RawParticipant::start().await;
    let url = issuer.url("/keys");
    let settings = [&SETTINGS[..], &[("AUTH__JWT__JWKS_URL", url.as_str())]].concat();
    let tercet = Tercet::start_with(&settings).await;
    let client = tercet.client();
    let [old, new] = [Signer::new("k1"), Signer::new("k2")];
    let [eve, bob] = [old.token("eve", "viewer"), new.token("bob", "viewer")];
    let asked = issuer.arrival().await;
    assert!(asked.request_line.starts_with("GET /keys "), "{}", asked.request_line);
    assert_eq!(status(&client, &eve).await, 401, "no key is known yet");
    asked.answer("200 OK", set(&[&old]).as_bytes()).await;
    let is_in = async |token: &String| (status(&client, token).await == 200).then_some(());
    eventually("the first key counts", async || is_in(&eve).await).await;

    // One that is not known is asked for, and while nobody answers the known one holds.
    assert_eq!(status(&client, &bob).await, 401);
    issuer.arrival().await.answer("503 Service Unavailable", b"").await;
    tercet.logged("issuer_keys_not_read").await;
    assert_eq!((status(&client, &eve).await, status(&client, &bob).await), (200, 401));
    issuer.arrival().await.answer("200 OK", set(&[&new]).as_bytes()).await;
    eventually("the next key counts", async || is_in(&bob).await).await;
    assert_eq!(status(&client, &eve).await, 401, "the issuer has taken it back");
}

#[tokio::test]
async fn an_issuer_is_given_whole_or_the_daemon_does_not_start() {
    let directory = directory();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database-url", "sqlite://t.db"];
    let issuer = ("TERCET_AUTH__JWT__ISSUER", ISSUER);
    let audience = ("TERCET_AUTH__JWT__AUDIENCE", "tercet");
    let file = ("TERCET_AUTH__JWT__JWKS_FILE", "/nowhere/keys.json");
    let url = ("TERCET_AUTH__JWT__JWKS_URL", "https://login.example/keys");
    let plain = ("TERCET_AUTH__JWT__JWKS_URL", "http://login.example/keys");
    let anybody = ("TERCET_AUTH__ALLOW_ANONYMOUS", "true");
    for (environment, code, said) in [
        (&[issuer, file][..], 2, "auth.jwt.audience is missing"),
        (&[issuer, audience], 2, "auth.jwt.jwks_url is missing"),
        (&[issuer, audience, file, url], 2, "auth.jwt.jwks_url is given beside"),
        (&[audience, url], 2, "auth.jwt.issuer is missing"),
        (&[issuer, audience, plain], 2, "auth.jwt.jwks_url must be"),
        (&[issuer, audience, file], 1, "auth.jwt.jwks_file: /nowhere/keys.json cannot be read"),
        (&[issuer, audience, url, anybody], 1, "auth.allow_anonymous"),
    ] {
        let ran = run(directory.path(), &serve, environment).await;
        assert_eq!(ran.code, Some(code), "{environment:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{said} in {}", ran.stderr);
    }
}
