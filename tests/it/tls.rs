//! TLS on the own port: who is spoken with, who they are, and what is read again.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use http::Method;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tempfile::TempDir;
use tercet_clock::Stopwatch;
use tercet_participant::{NewBranch, NewTransaction, Outcome};
use tercet_testing::{Authority, Client, Issued, Participant, Tercet, eventually, program, soon};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::access::{as_variable, made};
use crate::bodies::{begin, begin_open, branch};
use crate::expected::{problem, transaction};
use crate::operator::{in_a_minute, waits};
use crate::ran::{directory, run};
use crate::raw::Raw;

/// An authority, and the files of a port that it has issued a certificate for.
struct Files {
    authority: Authority,
    directory: TempDir,
    cert: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

impl Files {
    fn new() -> Self {
        let (authority, directory) = (Authority::new(), directory());
        let (cert, key) = authority.issue_for_loopback().write(directory.path(), "port");
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, authority.pem()).expect("written");
        Self { authority, directory, cert, key, ca }
    }

    fn settings(&self) -> [(&str, &str); 2] {
        [("SERVER__TLS__CERT_FILE", text(&self.cert)), ("SERVER__TLS__KEY_FILE", text(&self.key))]
    }

    fn client_ca(&self) -> (&str, &str) {
        ("SERVER__TLS__CLIENT_CA_FILE", text(&self.ca))
    }

    /// As a process is told, beside what these tests' own daemon is.
    fn variables(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let settings = self.settings();
        let all = settings.iter().chain(more);
        all.map(|(key, value)| (format!("TERCET_{key}"), (*value).to_owned())).collect()
    }

    /// Puts another certificate in the place of the first.
    fn replace(&self, issued: &Issued) {
        std::fs::write(&self.cert, &issued.cert).expect("written");
        std::fs::write(&self.key, &issued.key).expect("written");
    }
}

async fn status(client: &Client, path: &str) -> Option<u16> {
    let answer = soon("an answer or none", client.try_send(Method::GET, path, None)).await;
    answer.ok().map(|answer| answer.status)
}

#[tokio::test]
async fn https_is_spoken_with_whoever_knows_the_authority() {
    let files = Files::new();
    let (tercet, participant) =
        (Tercet::start_with(&files.settings()).await, Participant::start().await);
    let client = Client::by_tls(tercet.address(), &files.authority, None);
    let body = begin("order-1", &[branch(&participant, "payment")]);
    transaction(&client.begin("", &body).await, 201, "confirmed");
    assert_eq!(status(&client, "/readyz").await, Some(200));
    assert!(tercet.log().contains(&format!("https://{}", tercet.address())), "{}", tercet.log());

    let stranger = Client::by_tls(tercet.address(), &Authority::new(), None);
    assert_eq!(status(&stranger, "/readyz").await, None, "it does not know the authority");
    for version in [reqwest::tls::Version::TLS_1_2, reqwest::tls::Version::TLS_1_3] {
        let pem = files.authority.pem().as_bytes();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([reqwest::Certificate::from_pem(pem).expect("a certificate")])
            .tls_version_min(version)
            .tls_version_max(version)
            .build()
            .expect("a client");
        let answer = soon("an answer", http.get(client.url("/readyz")).send()).await;
        assert_eq!(answer.expect("an answer").status(), 200, "{version:?}");
    }
    // A page's own origin is the one that people see.
    for (origin, status) in [("https", 201), ("http", 403)] {
        let origin = format!("{origin}://{}", tercet.address());
        let url = client.url("/v1/transactions");
        let asked = client.http().post(url).header("origin", &origin).json(&json!({"open":true}));
        let answer = soon("an answer", asked.send()).await.expect("an answer");
        assert_eq!(answer.status(), status, "{origin}");
    }
}

/// Keeps P9.
#[tokio::test]
async fn plain_http_is_turned_away_and_told_of_once_a_second() {
    let files = Files::new();
    let tercet = Tercet::start_with(&files.settings()).await;
    let watch = Stopwatch::start();
    const MANY: usize = 200;
    for _ in 0..MANY {
        let mut raw = Raw::connect(tercet.address()).await;
        raw.send("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        let answer = raw.until_closed().await;
        assert!(!answer.contains("HTTP/"), "{answer}");
    }
    let line = tercet.logged("tls_handshake_failed").await;
    assert!(line.contains("plain HTTP") && line.contains("127.0.0.1"), "{line}");
    let client = Client::by_tls(tercet.address(), &files.authority, None);
    let metrics = client.send(Method::GET, "/metrics", None).await.text;
    let line = format!("tercet_tls_handshakes_failed_total {MANY}");
    assert!(metrics.contains(&line), "{line} in {metrics}");
    let lines = tercet.log().matches("event=\"tls_handshake_failed\"").count();
    let most = usize::try_from(watch.elapsed().as_secs()).expect("few") + 1;
    assert!((1..=most).contains(&lines), "{lines} lines in {:?}", watch.elapsed());
}

const NAMES: &str = r#"{"orders.internal":{"name":"orders","role":"client"},
    "spiffe://shop/ops":{"name":"ops","role":"operator"},"eve":{"name":"eve","role":"viewer"}}"#;

#[tokio::test]
async fn a_certificate_gives_a_role_and_a_token_decides() {
    let files = Files::new();
    let [admin, reader] = [made("admin", "operator").await, made("reader", "viewer").await];
    let tokens = as_variable(&[&admin, &reader]);
    let names = ("SERVER__TLS__CLIENT_NAMES", NAMES);
    let more = [files.client_ca(), names, ("AUTH__TOKENS", &tokens)];
    let settings = [&files.settings()[..], &more].concat();
    let (tercet, participant) = (Tercet::start_with(&settings).await, Participant::start().await);
    let with = |shows: Option<&Issued>| Client::by_tls(tercet.address(), &files.authority, shows);
    let issued = |common: &str, others: &[&str]| files.authority.issue(common, others);

    assert_eq!(status(&with(None), "/livez").await, None, "without a certificate");
    let forged = Authority::new().issue("eve", &[]);
    assert_eq!(status(&with(Some(&forged)), "/livez").await, None, "of another authority");

    let eve = with(Some(&issued("eve", &["somewhere.internal"])));
    let orders = with(Some(&issued("whoever", &["orders.internal"])));
    let ops = with(Some(&issued("whoever", &["spiffe://shop/ops"])));
    participant.always("slow", tercet_wire::Op::Confirm, in_a_minute());
    let body = begin("order-1", &[branch(&participant, "slow")]);
    problem(&eve.begin("", &body).await, "forbidden", None);
    assert_eq!(orders.begin("?wait=decided", &body).await.status, 201);
    waits(&eve, "order-1").await;
    let retry = "/v1/transactions/order-1/retry";
    problem(&orders.send(Method::POST, retry, None).await, "forbidden", None);
    assert_eq!(ops.send(Method::POST, retry, None).await.status, 200);
    assert_eq!(eve.event("order-1", "retried").await["detail"], "by ops");

    // The authority knows it, and nobody here does.
    let unknown = with(Some(&issued("Eve", &["orders.internal.example", "EVE"])));
    let refused = unknown.send(Method::GET, "/v1/stats", None).await;
    problem(&refused, "unauthorized", None);
    assert!(refused.word("detail").contains("client_names"), "{}", refused.text);
    assert_eq!(status(&unknown, "/livez").await, Some(200));
    let by_token = unknown.with_token(&admin.token);
    assert_eq!(by_token.begin("", &begin_open("order-2", &[])).await.status, 201);
    // What is shown by hand counts more than what is shown by every request.
    let less = ops.with_token(&reader.token);
    problem(&less.begin("", &begin_open("order-3", &[])).await, "forbidden", None);
    problem(&ops.with_token("guessed").get("order-1").await, "unauthorized", None);

    let metrics = ops.send(Method::GET, "/metrics", None).await.text;
    let line = "tercet_logins_failed_total{why=\"certificate\"} 1";
    assert!(metrics.contains(line), "{line} in {metrics}");
}

#[tokio::test]
async fn probes_go_by_a_plain_port_where_clients_need_certificates() {
    let files = Files::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let admin = port.local_addr().expect("its address").to_string();
    drop(port);
    let more = [files.client_ca(), ("SERVER__ADMIN_LISTEN", admin.as_str())];
    let _tercet = Tercet::start_with(&[&files.settings()[..], &more].concat()).await;
    let probes = Client::new(admin.parse::<SocketAddr>().expect("an address"));
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(status(&probes, path).await, Some(200), "{path}");
    }
}

#[tokio::test]
async fn tls_lets_nobody_in_and_names_of_clients_do() {
    let files = Files::new();
    let ca = files.client_ca();
    let names = ("SERVER__TLS__CLIENT_NAMES", NAMES);
    let anybody = ("AUTH__ALLOW_ANONYMOUS", "true");
    for (more, said) in [
        (&[][..], Some(["auth.tokens", "server.tls.client_names"])),
        (&[ca], Some(["auth.tokens", "server.tls.client_names"])),
        (&[ca, names, anybody], Some(["auth.allow_anonymous", "server.tls.client_names"])),
        (&[ca, names], None),
    ] {
        let variables = files.variables(more);
        let variables: Vec<_> =
            variables.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let directory = directory();
        let serve = ["serve", "--listen", "0.0.0.0:0", "--database-url", "sqlite://t.db"];
        let Some(said) = said else {
            let mut serve_it = program(directory.path());
            serve_it.args(serve).envs(variables).stderr(Stdio::piped());
            let mut child = serve_it.spawn().expect("it starts");
            let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
            let ready = async {
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.contains("ready") {
                        return line.contains("https://0.0.0.0:");
                    }
                }
                false
            };
            assert!(soon("it is ready", ready).await);
            child.kill().await.expect("it runs");
            continue;
        };
        let ran = run(directory.path(), &serve, &variables).await;
        assert_eq!(ran.code, Some(1), "{more:?}: {}", ran.stderr);
        assert!(said.iter().all(|said| ran.stderr.contains(said)), "{}", ran.stderr);
        assert!(!directory.path().join("t.db").exists(), "nothing was begun");
    }
}

#[tokio::test]
async fn a_daemon_whose_files_cannot_be_used_does_not_start() {
    let files = Files::new();
    let other = files.authority.issue_for_loopback();
    let (other, _) = other.write(files.directory.path(), "other");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database-url", "sqlite://t.db"];
    let cert = ("TERCET_SERVER__TLS__CERT_FILE", text(&files.cert));
    let key = ("TERCET_SERVER__TLS__KEY_FILE", text(&files.key));
    for (variables, mode, code, said) in [
        (&[cert, key][..], 0o644, 1, ["server.tls.key_file", "644"]),
        (&[(cert.0, text(&other)), key], 0o600, 1, ["server.tls.cert_file", "together"]),
        (&[(cert.0, "/nowhere/a.pem"), key], 0o600, 1, ["server.tls.cert_file", "/nowhere/a.pem"]),
        (&[cert], 0o600, 2, ["server.tls.key_file", "is missing"]),
        (&[key], 0o600, 2, ["server.tls.cert_file", "is missing"]),
        (
            &[("TERCET_SERVER__TLS__CLIENT_CA_FILE", text(&files.ca))],
            0o600,
            2,
            ["server.tls.cert_file", "is missing"],
        ),
        (
            &[cert, key, ("TERCET_SERVER__TLS__CLIENT_NAMES", NAMES)],
            0o600,
            2,
            ["server.tls.client_ca_file", "is missing"],
        ),
    ] {
        std::fs::set_permissions(&files.key, Permissions::from_mode(mode)).expect("its mode");
        let directory = directory();
        let ran = run(directory.path(), &serve, variables).await;
        assert_eq!(ran.code, Some(code), "{variables:?}: {}", ran.stderr);
        assert!(said.iter().all(|said| ran.stderr.contains(said)), "{said:?}: {}", ran.stderr);
        assert!(!directory.path().join("t.db").exists(), "nothing was begun");
    }
}

/// A connection that is kept.
struct Kept(TlsStream<TcpStream>);

impl Kept {
    async fn open(address: SocketAddr, authority: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        let pem = CertificateDer::from_pem_slice(authority.pem().as_bytes());
        roots.add(pem.expect("a certificate")).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(address).await.expect("somebody listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let connecting = TlsConnector::from(Arc::new(client)).connect(name, tcp);
        Self(soon("TLS", connecting).await.expect("TLS"))
    }

    /// Asks by it, and says whether that was answered.
    async fn answers(&mut self) -> bool {
        let asked = async {
            self.0.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.ok()?;
            let mut heard = String::new();
            while !heard.contains("\r\n\r\n") {
                let mut buffer = [0; 4_096];
                let read = self.0.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
                heard.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
            Some(heard.starts_with("HTTP/1.1 200 OK"))
        };
        soon("an answer or an end", asked).await.unwrap_or(false)
    }
}

#[tokio::test]
async fn certificates_are_read_again_and_open_connections_go_on() {
    let files = Files::new();
    let tercet = Tercet::start_with(&files.settings()).await;
    let mut kept = Kept::open(tercet.address(), &files.authority).await;
    assert!(kept.answers().await);
    let second = Authority::new();
    files.replace(&second.issue_for_loopback());
    let shows = async |authority: &Authority| {
        // Each by a connection of its own.
        let client = Client::by_tls(tercet.address(), authority, None);
        status(&client, "/livez").await == Some(200)
    };
    // Nobody has to ask for it.
    eventually("the new certificate is shown", async || shows(&second).await.then_some(())).await;
    assert!(!shows(&files.authority).await, "and the old one is not");
    assert!(kept.answers().await, "by the connection that was there");

    let third = Authority::new();
    let issued = third.issue_for_loopback();
    std::fs::write(&files.cert, &issued.cert).expect("written");
    tercet.signal("HUP").await;
    let line = tercet.logged("tls_files_not_read").await;
    assert!(line.contains("server.tls.cert_file"), "{line}");
    assert!(shows(&second).await, "a certificate without its key changes nothing");
    std::fs::write(&files.key, &issued.key).expect("written");
    tercet.signal("HUP").await;
    let shown = async || shows(&third).await.then_some(());
    eventually("it is shown once its key is there", shown).await;
    assert!(kept.answers().await, "by the connection that was there");
    tercet.logged("tls_files_read").await;
}

#[tokio::test]
async fn whose_authority_is_taken_away_gets_in_no_more() {
    let files = Files::new();
    let more = [files.client_ca(), ("SERVER__TLS__CLIENT_NAMES", NAMES)];
    let tercet = Tercet::start_with(&[&files.settings()[..], &more].concat()).await;
    let other = Authority::new();
    let get_in = async |of: &Authority| {
        let eve = of.issue("eve", &[]);
        let client = Client::by_tls(tercet.address(), &files.authority, Some(&eve));
        status(&client, "/v1/stats").await == Some(200)
    };
    assert!(get_in(&files.authority).await && !get_in(&other).await);
    std::fs::write(&files.ca, format!("{}{}", files.authority.pem(), other.pem()))
        .expect("written");
    tercet.signal("HUP").await;
    eventually("both get in", async || get_in(&other).await.then_some(())).await;
    assert!(get_in(&files.authority).await);
    std::fs::write(&files.ca, other.pem()).expect("written");
    tercet.signal("HUP").await;
    eventually("the first is out", async || (!get_in(&files.authority).await).then_some(())).await;
    assert!(get_in(&other).await);
}

/// Keeps P9.
#[tokio::test]
async fn silent_handshakes_hold_no_place_and_keep_no_probe_out() {
    let files = Files::new();
    let more = [("SERVER__MAX_CONNECTIONS", "2"), ("SERVER__HEADER_READ_TIMEOUT_MS", "3000")];
    let tercet = Tercet::start_with(&[&files.settings()[..], &more].concat()).await;
    let client = || Client::by_tls(tercet.address(), &files.authority, None);
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(Raw::connect(tercet.address()).await);
    }
    assert_eq!(status(&client(), "/livez").await, Some(200), "a probe has a seat");
    for raw in &mut silent {
        assert_eq!(raw.until_closed().await, "");
    }
    assert_eq!(status(&client(), "/v1/stats").await, Some(200), "their places are free");
}

#[tokio::test]
async fn the_command_line_asks_by_tls() {
    let files = Files::new();
    let more = [files.client_ca(), ("SERVER__TLS__CLIENT_NAMES", NAMES)];
    let tercet = Tercet::start_with(&[&files.settings()[..], &more].concat()).await;
    let at = files.directory.path();
    let (cert, key) = files.authority.issue("eve", &[]).write(at, "eve");
    let (strange, of_strange) = files.authority.issue("nobody", &[]).write(at, "nobody");
    let url = format!("https://{}", tercet.address());
    let ca = text(&files.ca);
    let ca_and_eve = ["--ca", ca, "--cert", text(&cert), "--key", text(&key)];
    let ca_and_nobody = ["--ca", ca, "--cert", text(&strange), "--key", text(&of_strange)];
    for (flags, variable, code, said) in [
        (&ca_and_eve[..], None, 0, ""),
        (&ca_and_eve[2..], Some(("TERCET_CA", ca)), 0, ""),
        (&ca_and_nobody, None, 5, "client_names"),
        (&ca_and_eve[2..], None, 6, "UnknownIssuer"),
        (&ca_and_eve[..2], None, 6, ""),
        (&["--ca", "/nowhere/ca.pem"], None, 2, "--ca: /nowhere/ca.pem"),
        (&ca_and_eve[..4], None, 2, "--key"),
        (&["--ca", text(&key)], None, 2, "no certificate"),
    ] {
        let arguments = [&["tx", "list"][..], flags].concat();
        let environment: Vec<_> =
            [("TERCET_URL", url.as_str())].into_iter().chain(variable).collect();
        let ran = run(at, &arguments, &environment).await;
        assert_eq!(ran.code, Some(code), "{flags:?} {variable:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{said:?} in {}", ran.stderr);
    }
}

#[tokio::test]
async fn the_sdk_asks_by_tls() {
    let files = Files::new();
    let more = [files.client_ca(), ("SERVER__TLS__CLIENT_NAMES", NAMES)];
    let (tercet, participant) = (
        Tercet::start_with(&[&files.settings()[..], &more].concat()).await,
        Participant::start().await,
    );
    let orders = files.authority.issue("whoever", &["orders.internal"]);
    let client = tercet_participant::Client::builder(&format!("https://{}", tercet.address()))
        .ca(files.authority.pem())
        .identity(orders.identity())
        .build()
        .expect("a client");
    let payment = NewBranch::new("payment").endpoint(participant.url("/payment"));
    let order = NewTransaction::new().branch(payment);
    let outcome = soon("an outcome", client.begin(order)).await.expect("an answer");
    assert!(matches!(outcome, Outcome::Confirmed(_)), "{outcome:?}");
}
