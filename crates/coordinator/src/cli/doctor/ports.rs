//! Whether the daemon could listen where its settings say, and who does.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use url::Url;

use super::Findings;
use super::daemon::{Who, unheard, who};
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
    port(server.listen, url(settings), at, findings).await;
    if let Some(address) = server.admin_listen {
        port(address, url_of("http", address), at, findings).await;
    }
}

async fn port(address: SocketAddr, url: Option<Url>, at: &Where, findings: &mut Findings) {
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
            findings.ok(PORTS, format!("{address} is in use, by a daemon of Tercet"));
        }
        Who::Stranger { status } => {
            let found = format!(
                "{address} is in use by another program: it answers {status}, and not as a daemon of Tercet does"
            );
            findings.fail(PORTS, found);
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
