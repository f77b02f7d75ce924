//! TLS of calls: participants of an authority of one's own, and those who ask for a certificate.

use std::path::Path;

use tercet_testing::{Authority, Client, Participant, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, branch};
use crate::expected::transaction;
use crate::ran::{directory, run};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// What a branch says is wrong with its calls.
async fn last_error(client: &Client, gid: &str, id: &str) -> String {
    let look = async || {
        let shown = client.get(gid).await;
        shown.branch(id)["last_error"].as_str().map(str::to_owned)
    };
    eventually("an error of a call", look).await
}

#[tokio::test]
async fn participants_of_an_own_authority_are_called() {
    let (authority, directory) = (Authority::new(), directory());
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("written");
    let participant = Participant::start_by_tls(authority.issue_for_loopback().server(None)).await;
    let body = |gid: &str| begin(gid, &[branch(&participant, "payment")]);

    let strange = Tercet::start().await;
    let stranger = strange.client();
    stranger.begin("?wait=accepted", &body("order-1")).await;
    let error = last_error(&stranger, "order-1", "payment").await;
    assert!(error.starts_with("TLS failed: ") && error.contains("UnknownIssuer"), "{error}");
    transaction(&stranger.decided("order-1").await, 200, "cancelling");
    assert_eq!(participant.calls().len(), 0);

    let settings = [("DISPATCHER__TLS__CA_FILE", text(&ca))];
    let tercet = Tercet::start_with(&settings).await;
    transaction(&tercet.client().begin("", &body("order-1")).await, 201, "confirmed");
    assert_eq!(participant.calls_of("payment", Op::Confirm).len(), 1);
    // Beside the system's: what is plain is called as before.
    let plain = Participant::start().await;
    let body = begin("order-2", &[branch(&plain, "stock")]);
    transaction(&tercet.client().begin("", &body).await, 201, "confirmed");
}

#[tokio::test]
async fn participants_that_ask_for_a_certificate_are_shown_one() {
    let (authority, of_clients, directory) = (Authority::new(), Authority::new(), directory());
    let at = directory.path();
    let ca = at.join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("written");
    let tls = authority.issue_for_loopback().server(Some(&of_clients));
    let participant = Participant::start_by_tls(tls).await;
    let body = |gid: &str| begin(gid, &[branch(&participant, "payment")]);
    let trust = ("DISPATCHER__TLS__CA_FILE", text(&ca));

    let without = Tercet::start_with(&[trust]).await;
    let nobody = without.client();
    nobody.begin("?wait=accepted", &body("order-1")).await;
    let error = last_error(&nobody, "order-1", "payment").await;
    assert!(error.starts_with("TLS failed: ") && error.contains("CertificateRequired"), "{error}");
    transaction(&nobody.decided("order-1").await, 200, "cancelling");
    assert_eq!(participant.calls().len(), 0);

    // One of another authority's, until it is put in order: files are read again.
    let forged = authority.issue("tercet", &[]);
    let (cert, key) = forged.write(at, "tercet");
    let settings = [
        trust,
        ("DISPATCHER__TLS__CERT_FILE", text(&cert)),
        ("DISPATCHER__TLS__KEY_FILE", text(&key)),
        // It may fail often before that.
        ("RETRY__TRY_ATTEMPTS", "1000"),
    ];
    let tercet = Tercet::start_with(&settings).await;
    let client = tercet.client();
    client.begin("?wait=accepted", &body("order-1")).await;
    let error = last_error(&client, "order-1", "payment").await;
    assert!(error.starts_with("TLS failed: "), "{error}");
    of_clients.issue("tercet", &[]).write(at, "tercet");
    tercet.signal("HUP").await;
    transaction(&client.finished("order-1").await, 200, "confirmed");
    tercet.logged("tls_files_read").await;
}

#[tokio::test]
async fn a_daemon_whose_files_for_calls_cannot_be_used_does_not_start() {
    let directory = directory();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database-url", "sqlite://t.db"];
    for (variable, setting) in [
        ("TERCET_DISPATCHER__TLS__CA_FILE", "dispatcher.tls.ca_file"),
        ("TERCET_CLUSTER__CA_FILE", "cluster.ca_file"),
    ] {
        let ran = run(directory.path(), &serve, &[(variable, "/nowhere/ca.pem")]).await;
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        for said in [setting, "/nowhere/ca.pem"] {
            assert!(ran.stderr.contains(said), "{said} in {}", ran.stderr);
        }
    }
    for (variable, missing) in [
        ("TERCET_DISPATCHER__TLS__CERT_FILE", "dispatcher.tls.key_file is missing"),
        ("TERCET_CLUSTER__KEY_FILE", "cluster.cert_file is missing"),
    ] {
        let ran = run(directory.path(), &serve, &[(variable, "a.pem")]).await;
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(missing), "{missing} in {}", ran.stderr);
    }
}
