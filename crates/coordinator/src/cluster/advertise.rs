//! Where other nodes reach this one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;
use url::{Host, Url};

use crate::config::Settings;

/// How long the database's host may take to be looked up.
const WITHIN: Duration = Duration::from_secs(2);

/// The URL that this node's row says: what the settings say, else where it listens. Where that is
/// every address of the machine it is the one that leads to the database, since the others reach
/// the same; where there is none, loopback.
pub async fn advertised(settings: &Settings, listens_on: SocketAddr) -> String {
    if let Some(url) = &settings.cluster.advertise_url {
        return url.as_str().trim_end_matches('/').to_owned();
    }
    let mut address = listens_on;
    if address.ip().is_unspecified() && settings.is_shared() {
        let found = timeout(WITHIN, towards(settings.database.url.expose())).await;
        address.set_ip(found.ok().flatten().unwrap_or_else(|| loopback(listens_on.ip())));
    }
    format!("{}://{address}", settings.server.tls.scheme())
}

/// This machine's address on the way to the database's. A datagram socket that is connected has
/// one, and no packet is sent for it.
async fn towards(database_url: &str) -> Option<IpAddr> {
    let url: Url = database_url.parse().ok()?;
    let host = match url.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    // Which port does not matter to the route.
    for database in lookup_host((host.as_str(), url.port().unwrap_or(1))).await.ok()? {
        let any: IpAddr = match database {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let Ok(socket) = UdpSocket::bind((any, 0)).await else { continue };
        if socket.connect(database).await.is_ok()
            && let Ok(own) = socket.local_addr()
        {
            return Some(own.ip());
        }
    }
    None
}

fn loopback(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Layers};

    fn settings(given: &[(&'static str, &str)]) -> Settings {
        let flags: Flags =
            given.iter().map(|(key, value)| ("--flag", *key, (*value).to_owned())).collect();
        Layers::gather(None, [], &flags).and_then(|layers| layers.settings()).expect("they fit")
    }

    #[tokio::test]
    async fn a_node_says_an_address_that_others_can_use() {
        let given = ("cluster.advertise_url", "https://node-1.example:7200/");
        let postgres = |host| ("database.url", host);
        let local = postgres("postgres://u:p@127.0.0.1:5432/t");
        let (cert, key) = (("server.tls.cert_file", "a.pem"), ("server.tls.key_file", "a.key"));
        let socket = postgres("postgres:///t?host=/run/postgresql");
        for (given, listens_on, expected) in [
            (vec![given, local], "0.0.0.0:7200", "https://node-1.example:7200"),
            (vec![local], "10.0.0.7:7200", "http://10.0.0.7:7200"),
            (vec![local, cert, key], "10.0.0.7:7200", "https://10.0.0.7:7200"),
            // The way to a database on this machine is loopback.
            (vec![local], "0.0.0.0:7200", "http://127.0.0.1:7200"),
            (vec![local], "[::]:7200", "http://127.0.0.1:7200"),
            (vec![socket], "0.0.0.0:7200", "http://127.0.0.1:7200"),
            (vec![socket], "[::]:7200", "http://[::1]:7200"),
            // Nobody reads it there.
            (vec![], "0.0.0.0:7200", "http://0.0.0.0:7200"),
        ] {
            let listens_on = listens_on.parse().expect("an address");
            let found = advertised(&settings(&given), listens_on).await;
            assert_eq!(found, expected, "{given:?} {listens_on}");
        }
    }
}
