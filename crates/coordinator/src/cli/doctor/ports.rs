//! Whether the daemon could listen where its settings say, and who does.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use url::Url;

use super::daemon::{Who, is_about_certificates, unheard, who};
use super::{Findings, Verdict};
use crate::cli::tx::{Where, client_of};
use crate::config::Settings;
use crate::tls::TlsFiles;

const PORTS: &str = "ports";

/// Where the daemon of these settings is asked; none where the system is to give it a port.
pub(super) fn url(settings: &Settings) -> Option<Url> {
    let server = &settings.server;
    let scheme = match TlsFiles::of_server(&server.tls) {
        Some(_) => "https",
        None => "http",
    };
    url_of(scheme, server.listen)
}

/// Who listens everywhere is asked on this machine.
fn url_of(scheme: &str, address: SocketAddr) -> Option<Url> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(ip, address.port());
    (address.port() != 0).then(|| Url::parse(&format!("{scheme}://{address}")).ok()).flatten()
}

pub(super) async fn look(settings: &Settings, at: &Where, findings: &mut Findings) {
    let server = &settings.server;
    let database = tercet_journal::database_file(settings.database.url.expose());
    let database = database.as_deref();
    port(server.listen, url(settings), at, database, findings).await;
    if let Some(address) = server.admin_listen {
        port(address, url_of("http", address), at, database, findings).await;
    }
}

async fn port(
    address: SocketAddr,
    url: Option<Url>,
    at: &Where,
    database: Option<&Path>,
    findings: &mut Findings,
) {
    match TcpListener::bind(address) {
        Ok(_) => return findings.ok(PORTS, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {}
        Err(error) => return findings.fail(PORTS, format!("{address}: {error}")),
    }
    let client = match client_of(at, url) {
        Ok(client) => client,
        Err(why) => return findings.warn(PORTS, format!("{address} is in use; by whom: {why}")),
    };
    match who(&client).await {
        Who::Daemon { .. } => {
            let (verdict, whose) = whose(database);
            findings.add(
                PORTS,
                verdict,
                format!("{address} is in use, by a daemon of Tercet{whose}"),
            );
        }
        Who::Stranger { status } => {
            let found = format!(
                "{address} is in use by another program: it answers {status}, and not as a daemon of Tercet does"
            );
            findings.fail(PORTS, found);
        }
        Who::Nobody(error) if is_about_certificates(&error) => {
            let found = format!("{address} is in use; by whom is not known: {}", unheard(&error));
            findings.warn(PORTS, found);
        }
        Who::Nobody(error) => {
            let found = format!(
                "{address} is in use, and no daemon of Tercet answers there: {}",
                unheard(&error)
            );
            findings.fail(PORTS, found);
        }
    }
}

/// Whether the daemon that has the port has this database, too.
fn whose(database: Option<&Path>) -> (Verdict, String) {
    let Some(database) = database else { return (Verdict::Ok, String::new()) };
    let name = database.display();
    match (database.exists(), is_locked(database)) {
        (false, _) => (Verdict::Fail, format!(", which has another database: {name} is not there")),
        (true, Some(false)) => (
            Verdict::Warn,
            format!(", which seems to have another database: nobody has {name} open"),
        ),
        (true, Some(true) | None) => (Verdict::Ok, String::new()),
    }
}

/// Whether a process has locked a file, as Linux tells in its list of locks; none where that is not told. Source:
/// proc_locks(5).
fn is_locked(file: &Path) -> Option<bool> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let inode = format!(":{}", fs::metadata(file).ok()?.ino());
    let of_file =
        |line: &str| line.split_whitespace().nth(5).is_some_and(|it| it.ends_with(&inode));
    Some(locks.lines().any(of_file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_asked_where_it_listens() {
        for (scheme, listen, expected) in [
            ("http", "127.0.0.1:7300", Some("http://127.0.0.1:7300/")),
            ("https", "0.0.0.0:7443", Some("https://127.0.0.1:7443/")),
            ("http", "[::]:7200", Some("http://[::1]:7200/")),
            ("http", "10.0.0.7:7200", Some("http://10.0.0.7:7200/")),
            ("http", "127.0.0.1:0", None),
        ] {
            let url = url_of(scheme, listen.parse().expect("an address"));
            assert_eq!(url.as_ref().map(Url::as_str), expected);
        }
    }
}
