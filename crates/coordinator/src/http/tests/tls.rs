//! The server where TLS is spoken: clients that half-close, are gone, or never get as far as HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;
use tercet_engine::ReplyKind;
use tercet_testing::Authority;
use tercet_wire::Status;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connections::{GET, SETTINGS, Served, all};
use super::face::{Face, transaction};
use crate::config::{Flags, Layers, Settings};
use crate::http::{Admits, Entrance, Port, ServerSettings, serve};
use crate::tls::Tls;

async fn soon<F: Future>(event: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(120), event).await.expect("it comes")
}

/// A port of TLS, and whom its clients trust.
struct ByTls {
    served: Served,
    client: TlsConnector,
    _files: TempDir,
}

fn settings(cert: &str, key: &str) -> Settings {
    let flags = Flags::from([
        ("--flag", "server.tls.cert_file", cert.to_owned()),
        ("--flag", "server.tls.key_file", key.to_owned()),
    ]);
    Layers::gather(None, [], &flags).and_then(|layers| layers.settings()).expect("they fit")
}

impl ByTls {
    async fn new(face: &Face, settings_of_server: ServerSettings) -> Self {
        let authority = Authority::new();
        let files = TempDir::new().expect("a directory");
        let (cert, key) = authority.issue_for_loopback().write(files.path(), "port");
        let settings = settings(cert.to_str().expect("UTF-8"), key.to_str().expect("UTF-8"));
        let tls = Tls::begin(&settings).expect("files that can be used");
        let entrance = Entrance::closed(&face.readiness);
        entrance.open(face.router.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let server = serve(Port::new(listener, tls.server), entrance, settings_of_server, async {
            let _ = stopped.await;
            Duration::MAX
        });
        let served = Served { address, stop, server: tokio::spawn(server) };
        let mut roots = rustls::RootCertStore::empty();
        let pem = authority.pem().as_bytes();
        let root = rustls::pki_types::CertificateDer::from_pem_slice(pem).expect("a certificate");
        roots.add(root).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { served, client: TlsConnector::from(Arc::new(client)), _files: files }
    }

    fn address(&self) -> SocketAddr {
        self.served.address
    }

    async fn sent(&self, text: &str) -> TlsStream<TcpStream> {
        let tcp = TcpStream::connect(self.address()).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = soon(self.client.connect(name, tcp)).await.expect("TLS");
        stream.write_all(text.as_bytes()).await.expect("sent");
        stream.flush().await.expect("sent");
        stream
    }

    async fn is_served(&self) -> bool {
        let mut stream = self.sent(GET).await;
        let mut text = String::new();
        // It ends as TLS says, which is an error otherwise.
        soon(stream.read_to_string(&mut text)).await.expect("an end in order");
        text.starts_with("HTTP/1.1 200 OK")
    }
}

const READ: &str = "GET /v1/transactions/order-1 HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn a_client_of_tls_that_half_closes_gets_its_answer_whole() {
    let (face, mut lanes) = Face::unattended().await;
    let by_tls = ByTls::new(&face, SETTINGS).await;
    let mut client = by_tls.sent(READ).await;
    let asked = soon(lanes.requests.recv()).await.expect("it was asked");
    client.shutdown().await.expect("half-closed");
    // The first letter says that the server has noticed, and whether anybody is there.
    let mut first = [0];
    soon(client.read_exact(&mut first)).await.expect("the first letter");
    assert_eq!(&first, b"H");
    asked.reply.send(transaction(ReplyKind::Reached, Status::Confirmed)).expect("it waits");
    let mut rest = String::new();
    soon(client.read_to_string(&mut rest)).await.expect("an end in order");
    assert!(rest.starts_with("TTP/1.1 200 OK\r\n"), "{rest}");
    let (head, body) = rest.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
}

/// Keeps P9.
#[tokio::test]
async fn nobody_waits_in_the_engine_for_a_client_of_tls_that_is_gone() {
    let (face, mut lanes) = Face::unattended().await;
    let by_tls = ByTls::new(&face, SETTINGS).await;
    let client = by_tls.sent(READ).await;
    let mut asked = soon(lanes.requests.recv()).await.expect("it was asked");
    drop(client);
    soon(asked.reply.closed()).await;
    let hung_up = soon(lanes.hung_up.recv()).await.expect("the engine is told");
    assert_eq!((hung_up.gid, hung_up.reply_to), (asked.gid, asked.reply_to));
}

/// Keeps P9.
#[tokio::test]
async fn a_handshake_that_never_ends_keeps_nobody_out_and_is_closed() {
    let face = Face::gone().await;
    let header_read_timeout = Duration::from_secs(2);
    let settings = ServerSettings { header_read_timeout, max_connections: 2, ..SETTINGS };
    let by_tls = ByTls::new(&face, settings).await;
    let mut silent = TcpStream::connect(by_tls.address()).await.expect("a connection");
    // The head of a record that never comes whole.
    silent.write_all(b"\x16\x03\x01\x02\x00\x01").await.expect("sent");
    assert!(by_tls.is_served().await, "beside it");
    let another = TcpStream::connect(by_tls.address()).await.expect("a connection");
    // All places are taken by those who say nothing; and given back.
    assert!(by_tls.is_served().await, "after them");
    all(silent).await;
    all(another).await;
}

/// Keeps P9.
#[tokio::test]
async fn probes_are_answered_while_all_places_are_taken_by_handshakes() {
    let face = Face::gone().await;
    let admits = Admits::EverybodyAndProbes;
    let settings = ServerSettings { admits, max_connections: 1, ..SETTINGS };
    let by_tls = ByTls::new(&face, settings).await;
    let mut silent = Vec::new();
    // More than there are places and seats.
    for _ in 0..40 {
        silent.push(TcpStream::connect(by_tls.address()).await.expect("a connection"));
    }
    assert!(by_tls.is_served().await);
}

#[tokio::test]
async fn a_server_that_stops_waits_for_no_handshake() {
    let face = Face::gone().await;
    let by_tls = ByTls::new(&face, SETTINGS).await;
    let silent = TcpStream::connect(by_tls.address()).await.expect("a connection");
    // It was accepted before this one, which was served.
    assert!(by_tls.is_served().await);
    by_tls.served.stop.send(()).expect("the server runs");
    // Sooner than the time that a handshake or an answer may take.
    let ended = tokio::time::timeout(Duration::from_secs(20), by_tls.served.server).await;
    ended.expect("it ends").expect("it does not fail");
    assert_eq!(all(silent).await, "");
}

/// Keeps P9.
#[tokio::test]
async fn plain_http_on_a_port_of_tls_is_closed_with_an_alert() {
    let face = Face::gone().await;
    let by_tls = ByTls::new(&face, SETTINGS).await;
    let mut plain = TcpStream::connect(by_tls.address()).await.expect("a connection");
    let request = format!("{GET}{}", "x".repeat(30_000));
    plain.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    soon(plain.read_to_end(&mut answer)).await.expect("an end, and no reset");
    assert_eq!(answer.first(), Some(&0x15), "an alert: {answer:?}");
    assert!(by_tls.is_served().await);
}
