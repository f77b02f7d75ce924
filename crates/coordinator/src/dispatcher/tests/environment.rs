//! What the environment of the process may not change. Each test runs itself again in
//! a child process with that environment, since one's own cannot be changed safely.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tercet_wire::Answer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::inbox::Inbox;
use super::{call, dispatcher};
use tercet_testing::RawParticipant;

const CHILD: &str = "TERCET_TEST_CHILD";

/// Runs one test of this module in a child process with these variables set. `false` in
/// the child itself.
fn in_child(test: &str, environment: &[(&str, &str)]) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return false;
    }
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", &format!("dispatcher::tests::environment::{test}"), "--nocapture"])
        .env(CHILD, "1")
        .envs(environment.iter().copied())
        .output()
        .expect("a child");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "the child ran no test:\n{stdout}");
    true
}

/// A participant behind TLS, whose certificate is issued by an authority in the file at this path.
/// It answers each request with the number of its connection.
async fn behind_tls(authority_at: &Path) -> SocketAddr {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a certificate");
    std::fs::write(authority_at, root.pem()).expect("a file");
    let (issuer, key) = (Issuer::new(authority, authority_key), KeyPair::generate());
    let (names, key) = (["localhost".to_owned(), "127.0.0.1".to_owned()], key.expect("a key"));
    let leaf = CertificateParams::new(names).expect("names").signed_by(&key, &issuer);
    let secret = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls.expect("versions").with_no_client_auth();
    let tls = tls.with_single_cert(vec![leaf.expect("a certificate").der().clone()], secret);
    let acceptor = TlsAcceptor::from(Arc::new(tls.expect("a certificate and its key")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        for number in 1.. {
            let Ok((tcp, _)) = listener.accept().await else { return };
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let (mut heard, body) = (Vec::new(), format!("by connection {number}"));
                // The body of every request is {}.
                while let Ok(byte) = tls.read_u8().await {
                    heard.push(byte);
                    if heard.ends_with(b"\r\n\r\n{}") {
                        heard.clear();
                        let head =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                        let answered =
                            tls.write_all([head, body.clone()].concat().as_bytes()).await;
                        if answered.is_err() || tls.flush().await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_participant_with_a_certificate_is_called_by_tls() {
    const TEST: &str = "a_participant_with_a_certificate_is_called_by_tls";
    if let Some(port) = std::env::var_os("TERCET_TEST_TLS_PORT") {
        let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
        let port = port.to_str().expect("a number");
        for (host, connection) in [("127.0.0.1", 1), ("localhost", 2), ("127.0.0.1", 1)] {
            let url = format!("https://{host}:{port}/payment");
            let answer = inbox.ask(&dispatcher, call(&url, "a1")).await;
            let excerpt = format!("by connection {connection}");
            assert_eq!(answer, Answer::Status { code: 200, retry_after: None, excerpt }, "{url}");
        }
        // The certificate is another's.
        let url = format!("https://elsewhere.localhost:{port}/payment");
        let answer = inbox.ask(&dispatcher, call(&url, "a1")).await;
        let Answer::Nothing { why } = answer else { panic!("{answer:?}") };
        assert!(why.starts_with("TLS failed: "), "{why}");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let authority = directory.path().join("authority.pem");
    let port = behind_tls(&authority).await.port().to_string();
    let authority = authority.to_str().expect("a path in UTF-8").to_owned();
    let child = tokio::task::spawn_blocking(move || {
        in_child(TEST, &[("SSL_CERT_FILE", &authority), ("TERCET_TEST_TLS_PORT", &port)])
    });
    assert!(child.await.expect("no panic"));
}

/// Keeps P6, P9.
#[tokio::test]
async fn a_handshake_without_end_ends_by_its_size_or_its_time() {
    // Alerts that end nothing, each a record of its own; and a record that never comes whole.
    for record in [&b"\x15\x03\x03\x00\x02\x01\x5a"[..], b"\x16\x03\x03\x40\x00"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let saying = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let many = record.repeat(1_000);
            while stream.write_all(&many).await.is_ok() {}
        });
        let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
        let answer = inbox.ask(&dispatcher, call(&format!("https://{address}/pay"), "a1")).await;
        let Answer::Nothing { why } = answer else { panic!("{answer:?}") };
        assert!(why.starts_with("TLS failed: ") || why == "no connection in time", "{why}");
        super::soon("the end of the connection", saying).await.expect("no panic");
    }
}

async fn a_call_gets_through() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    inbox.send(&dispatcher, call(&participant.url("/payment"), "a1"));
    let answering = async { participant.arrival().await.answer("200 OK", b"").await };
    // The answer comes first if the call goes elsewhere.
    let answer = tokio::select! {
        answer = inbox.answer() => answer,
        () = answering => inbox.answer().await,
    };
    let ok = Answer::Status { code: 200, retry_after: None, excerpt: String::new() };
    assert_eq!(answer, ok);
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_not_used() {
    // Nobody listens there.
    let nobody = "http://127.0.0.1:1";
    let proxy =
        [("HTTP_PROXY", nobody), ("http_proxy", nobody), ("ALL_PROXY", nobody), ("NO_PROXY", "")];
    if !in_child("the_proxy_of_the_environment_is_not_used", &proxy) {
        a_call_gets_through().await;
    }
}

#[tokio::test]
async fn a_machine_without_certificate_authorities_still_calls_over_http() {
    let none = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
    if !in_child("a_machine_without_certificate_authorities_still_calls_over_http", &none) {
        a_call_gets_through().await;
    }
}
