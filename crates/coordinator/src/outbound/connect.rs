//! Makes connections: the name looked up, TCP, and TLS where the URL says so, within one time.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tercet_clock::Clock;
use tercet_wire::{CallRules, Mono, NotAllowed};
use thiserror::Error;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::allowance::{Allowance, HEAD_BYTES};
use super::dial::{Connected, Dialled, dial};
use super::name_server::Unresolved;
use super::resolver::Resolver;
use super::shortage::{Shortage, Sockets, Told};
use super::stream::{Counted, Stream};
use crate::tls::Held;

/// An address that did not answer in its turn comes last for so long.
const LAST_FOR: Duration = Duration::from_secs(60);
/// So many of them are remembered.
const REMEMBERED: usize = 1_024;

/// Patience and bounds of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboundSettings {
    /// How long a connection may take to be made, look-up and TLS with it.
    pub connect_timeout: Duration,
    /// Sockets for connections at a time.
    pub sockets: usize,
    /// Look-ups of names under way at a time.
    pub look_ups: usize,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Unresolved(Unresolved),
    /// Look-up, connection and TLS together took too long.
    #[error("no connection in time")]
    NotInTime,
    #[error("no connection")]
    Tcp(#[source] io::Error),
    #[error("no TLS")]
    Tls(#[source] io::Error),
    /// This process lacked something for it.
    #[error(transparent)]
    Shortage(#[from] Shortage),
    /// The operator lets nobody call there.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The URL is none that can be connected to.
    #[error("the URL cannot be called")]
    Url,
}

/// Makes connections. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
    /// Whom it connects to; none: to whomever the operator's own settings name.
    rules: Option<Arc<CallRules>>,
}

struct Shared {
    resolver: Resolver,
    tls: Arc<Held<ClientConfig>>,
    timeout: Duration,
    sockets: Sockets,
    told: Told,
    clock: Arc<dyn Clock>,
    /// Addresses that come last, and until when.
    last: Mutex<HashMap<SocketAddr, Mono>>,
}

impl Connector {
    /// Makes connections within these bounds, those of TLS by what counts when each is made.
    pub(crate) fn new(
        settings: OutboundSettings,
        tls: Arc<Held<ClientConfig>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let OutboundSettings { connect_timeout, sockets, look_ups } = settings;
        let shared = Shared {
            resolver: Resolver::new(look_ups, Arc::clone(&clock)),
            tls,
            timeout: connect_timeout,
            sockets: Sockets::new(sockets),
            told: Told::default(),
            clock,
            last: Mutex::default(),
        };
        Self { shared: Arc::new(shared), rules: None }
    }

    /// The same for whoever is named by others: it connects to those alone whom the rules allow.
    #[must_use]
    pub fn within(&self, rules: Arc<CallRules>) -> Self {
        Self { shared: Arc::clone(&self.shared), rules: Some(rules) }
    }

    /// The same that trusts whom the system trusts.
    #[cfg(test)]
    pub(crate) fn plain(settings: OutboundSettings, clock: Arc<dyn Clock>) -> Self {
        let tls = Held::begin(crate::tls::TlsFiles::default(), crate::tls::client);
        Self::new(settings, Arc::new(tls.expect("no file is read")), clock)
    }

    pub(super) async fn connect(&self, url: &Url) -> Result<Stream, ConnectError> {
        let resolved = AtomicBool::new(false);
        let connecting = self.shared.connect(url, self.rules.as_deref(), &resolved);
        let connected = timeout(self.shared.timeout, connecting).await;
        connected.unwrap_or_else(|_| {
            Err(match resolved.load(Ordering::Relaxed) {
                true => ConnectError::NotInTime,
                false => ConnectError::Unresolved(Unresolved::NoAnswer),
            })
        })
    }

    /// Tells people what calls wait for.
    pub(super) fn tell(&self, shortage: Shortage) {
        self.shared.told.tell(shortage, self.shared.clock.mono());
    }

    #[cfg(test)]
    pub(super) fn exhaust_look_ups(&self) {
        self.shared.resolver.exhaust();
    }

    #[cfg(test)]
    pub(super) fn rebind(&self, name: &str, address: IpAddr) {
        self.shared.resolver.rebind(name, address);
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }
}

impl Shared {
    async fn connect(
        &self,
        url: &Url,
        rules: Option<&CallRules>,
        resolved: &AtomicBool,
    ) -> Result<Stream, ConnectError> {
        let host = url.host().ok_or(ConnectError::Url)?;
        let port = url.port_or_known_default().ok_or(ConnectError::Url)?;
        let addresses = match rules {
            Some(rules) => self.allowed_addresses(&host, port, rules).await?,
            None => self.addresses(&host).await?,
        };
        let addresses = self.in_turn(addresses, port);
        resolved.store(true, Ordering::Relaxed);
        let Dialled { connected, worse } = dial(&addresses, self.timeout, &self.sockets).await;
        self.remember(connected.as_ref().ok().map(|connected| connected.address), &worse);
        let Connected { tcp, socket, address: _ } = connected?;
        // It fails only on a connection that is gone already.
        let _ = tcp.set_nodelay(true);
        let allowance = Allowance::default();
        allowance.grant(HEAD_BYTES);
        let counted = Counted::new(tcp, allowance, socket);
        if url.scheme() != "https" {
            return Ok(Stream::plain(counted));
        }
        let name = match host {
            Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
                .map_err(|_| ConnectError::Url)?,
            Host::Ipv4(address) => ServerName::from(IpAddr::V4(address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::V6(address)),
        };
        let tls = TlsConnector::from(self.tls.get()).connect(name, counted).await;
        let tls = tls.map_err(ConnectError::Tls)?;
        Ok(Stream::tls(tls))
    }

    /// The addresses of a host that may be connected to. Whoever connects does so to these and looks
    /// nothing up again, so what was judged is what is called.
    async fn allowed_addresses(
        &self,
        host: &Host<&str>,
        port: u16,
        rules: &CallRules,
    ) -> Result<Arc<[IpAddr]>, ConnectError> {
        if let Host::Domain(name) = host {
            rules.check_name(name, port)?;
        }
        let addresses = self.addresses(host).await?;
        let check = |address: IpAddr| match host {
            Host::Domain(name) => rules.check_address(name, address, port),
            Host::Ipv4(_) | Host::Ipv6(_) => rules.check_literal(address, port),
        };
        let mut refused = None;
        let mut allowed = Vec::with_capacity(addresses.len());
        for address in addresses.iter() {
            match check(*address) {
                Ok(()) => allowed.push(*address),
                Err(why) => refused = Some(why),
            }
        }
        match refused {
            None => Ok(addresses),
            Some(why) if allowed.is_empty() => Err(why.into()),
            Some(_) => Ok(allowed.into()),
        }
    }

    async fn addresses(&self, host: &Host<&str>) -> Result<Arc<[IpAddr]>, ConnectError> {
        match host {
            Host::Ipv4(address) => Ok(Arc::new([IpAddr::V4(*address)])),
            Host::Ipv6(address) => Ok(Arc::new([IpAddr::V6(*address)])),
            Host::Domain(name) => match self.resolver.addresses(name).await {
                Ok(addresses) => Ok(addresses),
                Err(Unresolved::Shortage(shortage)) => Err(shortage.into()),
                Err(unresolved) => Err(ConnectError::Unresolved(unresolved)),
            },
        }
    }

    /// Those that did not answer the last time come last: of several that do, each has its turn as
    /// the name server says.
    fn in_turn(&self, addresses: Arc<[IpAddr]>, port: u16) -> Vec<SocketAddr> {
        let addresses = addresses.iter().map(|address| SocketAddr::new(*address, port));
        let last = self.last();
        if last.is_empty() {
            return addresses.collect();
        }
        let now = self.clock.mono();
        let comes_last = |address: &SocketAddr| last.get(address).is_some_and(|until| now < *until);
        let (after, mut addresses): (Vec<_>, Vec<_>) = addresses.partition(comes_last);
        addresses.extend(after);
        addresses
    }

    fn remember(&self, well: Option<SocketAddr>, worse: &[SocketAddr]) {
        let mut last = self.last();
        if let Some(well) = well
            && !last.is_empty()
        {
            last.remove(&well);
        }
        // Where nobody answers there is no better one to be tried before it.
        if well.is_none() || worse.is_empty() {
            return;
        }
        let now = self.clock.mono();
        if last.len() + worse.len() > REMEMBERED {
            last.retain(|_, until| now < *until);
        }
        if last.len() + worse.len() <= REMEMBERED {
            last.extend(worse.iter().map(|address| (*address, now.after(LAST_FOR))));
        }
    }

    fn last(&self) -> MutexGuard<'_, HashMap<SocketAddr, Mono>> {
        // Nothing done under this lock panics half-way, so a poisoned map is a whole one.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("timeout", &self.shared.timeout).finish_non_exhaustive()
    }
}
