//! Files that change, one after the other and all at once.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rustls::ServerConfig;
use tempfile::TempDir;
use tercet_testing::{Authority, Issued};

use super::super::server::server;
use super::*;
use crate::config::{Flags, Layers};

/// A port's files, and what is made of them.
struct Port {
    _directory: TempDir,
    cert: PathBuf,
    key: PathBuf,
    held: Held<ServerConfig>,
    last: Arc<ServerConfig>,
}

impl Port {
    fn new(authority: &Authority) -> Self {
        let directory = TempDir::new().expect("a directory");
        let (cert, key) = authority.issue_for_loopback().write(directory.path(), "port");
        let held = Held::begin(files(&cert, &key), server).expect("they can be used");
        let last = held.get();
        Self { _directory: directory, cert, key, held, last }
    }

    /// Whether a look has changed what counts.
    fn has_changed(&mut self, at_once: bool) -> bool {
        self.held.read_again(at_once);
        let now = self.held.get();
        !Arc::ptr_eq(&std::mem::replace(&mut self.last, Arc::clone(&now)), &now)
    }

    fn write_cert(&self, issued: &Issued) {
        std::fs::write(&self.cert, &issued.cert).expect("written");
    }

    fn write_key(&self, issued: &Issued) {
        std::fs::write(&self.key, &issued.key).expect("written");
    }
}

fn files(cert: &std::path::Path, key: &std::path::Path) -> TlsFiles {
    let flags = Flags::from([
        ("--flag", "server.tls.cert_file", cert.display().to_string()),
        ("--flag", "server.tls.key_file", key.display().to_string()),
    ]);
    let settings = Layers::gather(None, [], &flags).and_then(|layers| layers.settings());
    TlsFiles::of_server(&settings.expect("they fit").server.tls).expect("TLS is on")
}

#[test]
fn files_that_change_are_taken_once_all_of_them_have() {
    let authority = Authority::new();
    let mut port = Port::new(&authority);
    assert!(!port.has_changed(false) && !port.has_changed(false), "nothing is new");

    let new = authority.issue_for_loopback();
    port.write_cert(&new);
    assert!(!port.has_changed(false), "its key is another's yet");
    port.write_key(&new);
    assert!(!port.has_changed(false), "it may still be written");
    assert!(port.has_changed(false));
    assert!(!port.has_changed(false), "once");

    // Whoever asks for it says that they are whole.
    let newer = authority.issue_for_loopback();
    port.write_cert(&newer);
    port.write_key(&newer);
    assert!(port.has_changed(true));
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let authority = Authority::new();
    let mut port = Port::new(&authority);
    let other = authority.issue_for_loopback();
    let holds = |port: &mut Port, what: &str| {
        for at_once in [false, false, false, true] {
            assert!(!port.has_changed(at_once), "{what}");
        }
    };
    port.write_cert(&other);
    holds(&mut port, "the key is another's");
    std::fs::write(&port.cert, &other.cert[..other.cert.len() / 2]).expect("written");
    holds(&mut port, "half a certificate");
    std::fs::write(&port.cert, "").expect("written");
    holds(&mut port, "none");
    port.write_cert(&other);
    std::fs::write(&port.key, &other.cert).expect("written");
    holds(&mut port, "no key");
    port.write_key(&other);
    std::fs::set_permissions(&port.key, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    holds(&mut port, "everybody may read it");
    std::fs::remove_file(&port.key).expect("removed");
    holds(&mut port, "it is gone");
    port.write_key(&other);
    std::fs::set_permissions(&port.key, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    assert!(port.has_changed(true));
}

#[test]
fn a_daemon_does_not_start_with_files_that_cannot_be_used() {
    let authority = Authority::new();
    let (one, other) = (authority.issue_for_loopback(), authority.issue_for_loopback());
    let directory = TempDir::new().expect("a directory");
    let begin = |cert: &str, key: &str, mode: u32| {
        let (at, of_key) = (directory.path().join("c.pem"), directory.path().join("c.key"));
        std::fs::write(&at, cert).expect("written");
        std::fs::write(&of_key, key).expect("written");
        std::fs::set_permissions(&of_key, std::fs::Permissions::from_mode(mode)).expect("its mode");
        Held::begin(files(&at, &of_key), server).map(|_| ())
    };
    assert!(begin(&one.cert, &one.key, 0o600).is_ok() && begin(&one.cert, &one.key, 0o640).is_ok());
    // What stands between it and its authority comes behind it.
    assert!(begin(&format!("{}{}", one.cert, authority.pem()), &one.key, 0o600).is_ok());
    for (cert, key, mode, said) in [
        (one.cert.as_str(), one.key.as_str(), 0o644, ["server.tls.key_file", "644"]),
        (&one.cert, &other.key, 0o600, ["server.tls.cert_file", "cannot be used together"]),
        (&one.cert, &one.cert, 0o600, ["server.tls.key_file", "no private key"]),
        (&one.key, &one.key, 0o600, ["server.tls.cert_file", "no certificate"]),
        ("", &one.key, 0o600, ["server.tls.cert_file", "no certificate"]),
        (&"#".repeat(1 << 21), &one.key, 0o600, ["server.tls.cert_file", "more than 1 MiB"]),
    ] {
        let error = begin(cert, key, mode).expect_err(said[1]);
        let error = with_cause(&error);
        assert!(said.iter().all(|said| error.contains(said)), "{said:?}: {error}");
        let secret = one.key.lines().nth(1).expect("a line of the key");
        assert!(!error.contains(secret), "{error}");
    }
    let missing = files(std::path::Path::new("/nowhere/a.pem"), std::path::Path::new("/nowhere/b"));
    let error = Held::begin(missing, server).map(|_| ()).expect_err("none");
    let error = with_cause(&error);
    assert!(error.contains("/nowhere/a.pem") && error.contains("No such file"), "{error}");
}
