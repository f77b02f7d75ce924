//! Asks name servers, as resolv.conf(5) says whom and how.
//!
//! The C library's resolver blocks a thread for each name, for as long as a silent name server
//! likes; a few names that do not resolve would use up the threads for all others. This one waits
//! without a thread.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::parse_resolv_conf;
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::hosts::Hosts;
use super::shortage::{self, Shortage};

/// Longest time for one question, asked again twice; a server that knows answers in a fraction.
const QUESTION: Duration = Duration::from_secs(1);
/// When addresses of one family are there, those of the other are waited for so much longer.
/// Source: RFC 8305, 3.
const OTHER_FAMILY: Duration = Duration::from_millis(50);
/// How long what the hosts file says is good.
const HOSTS_GOOD_FOR: Duration = Duration::from_secs(1);

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Why a name has no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Unresolved {
    /// Whoever should know says that there is none.
    #[error("could not resolve host")]
    NoSuchName,
    /// Nobody says anything, or nothing of use.
    #[error("could not resolve host: the name servers do not answer")]
    NoAnswer,
    /// This process lacked what it takes to ask.
    #[error(transparent)]
    Shortage(#[from] Shortage),
}

/// Addresses, in the order in which they are to be tried, and for how long they are good.
pub(super) type Found = (Vec<IpAddr>, Duration);

/// Whom to ask, as the system's files said when they were last read.
#[derive(Debug, Default)]
pub(super) struct NameServers {
    loaded: Mutex<Option<Arc<Loaded>>>,
}

/// What is known of a file without reading it.
type Stamp = Option<(SystemTime, u64)>;

struct Loaded {
    stamps: [Stamp; 2],
    hosts: Hosts,
    asked: Asked,
}

struct Asked {
    resolver: TokioResolver,
    search: Vec<Name>,
    ndots: usize,
}

impl NameServers {
    /// The addresses of a name: the hosts file's, else those that a name server says.
    pub(super) async fn addresses(self: &Arc<Self>, name: &str) -> Result<Found, Unresolved> {
        let servers = Arc::clone(self);
        let loaded = spawn_blocking(move || servers.loaded()).await;
        let loaded = loaded.map_err(|_| Unresolved::NoAnswer)??;
        let known = loaded.hosts.addresses(name);
        if !known.is_empty() {
            return Ok((known, HOSTS_GOOD_FOR));
        }
        loaded.asked.addresses(name).await
    }

    /// Reads the files again where they are others than they were.
    fn loaded(&self) -> Result<Arc<Loaded>, Unresolved> {
        let stamps = [stamp(Path::new(HOSTS)), stamp(Path::new(RESOLV_CONF))];
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = loaded.as_ref().filter(|loaded| loaded.stamps == stamps) {
            return Ok(Arc::clone(loaded));
        }
        let texts = read(HOSTS).and_then(|hosts| Ok((hosts, read(RESOLV_CONF)?)));
        let (hosts, resolv_conf) = match (texts, loaded.as_ref()) {
            (Ok(texts), _) => texts,
            // What was known is better than nothing.
            (Err(_), Some(before)) => return Ok(Arc::clone(before)),
            (Err(short), None) => return Err(short.into()),
        };
        let hosts = Hosts::parse(&String::from_utf8_lossy(&hosts));
        let new = Arc::new(Loaded { stamps, hosts, asked: Asked::new(&resolv_conf)? });
        *loaded = Some(Arc::clone(&new));
        Ok(new)
    }
}

/// What a file says: nothing, if it is not there or may not be read.
fn read(path: &str) -> Result<Vec<u8>, Shortage> {
    match fs::read(path) {
        Ok(text) => Ok(text),
        Err(error) if shortage::is_ours(&error) => Err(Shortage::OpenFiles),
        Err(_) => Ok(Vec::new()),
    }
}

fn stamp(path: &Path) -> Stamp {
    let about = fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

impl Asked {
    fn new(resolv_conf: &[u8]) -> Result<Self, Unresolved> {
        // Without the file, or without a name server in it, this machine is asked; so does the C library.
        let (config, options) = parse_resolv_conf(resolv_conf).unwrap_or_else(|_| {
            let here = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
            (ResolverConfig::from_parts(None, Vec::new(), vec![here]), ResolverOpts::default())
        });
        Self::of(config, options)
    }

    fn of(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, Unresolved> {
        let search = match (config.search(), config.domain()) {
            ([], domain) => domain.into_iter().cloned().collect(),
            (search, _) => search.to_vec(),
        };
        let ndots = options.ndots;
        options.timeout = options.timeout.min(QUESTION);
        options.attempts = options.attempts.min(2);
        // Both are done here: what is known is kept by name, over all its candidates.
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        let provider = TokioRuntimeProvider::default();
        let builder = TokioResolver::builder_with_config(config, provider).with_options(options);
        let resolver = builder.build().map_err(|error| why(&error))?;
        Ok(Self { resolver, search, ndots })
    }

    /// The first of the name's candidates that has addresses has them all: those of another are
    /// another machine's.
    async fn addresses(&self, name: &str) -> Result<Found, Unresolved> {
        let mut worst = Unresolved::NoSuchName;
        for candidate in self.candidates(name)? {
            match self.addresses_of(candidate).await {
                Err(Unresolved::NoSuchName) => {}
                Err(Unresolved::NoAnswer) => worst = Unresolved::NoAnswer,
                found_or_short => return found_or_short,
            }
        }
        Err(worst)
    }

    /// What a name may mean, in turn. Source: resolv.conf(5), "search" and "ndots".
    fn candidates(&self, name: &str) -> Result<Vec<Name>, Unresolved> {
        let parsed = Name::from_ascii(name).map_err(|_| Unresolved::NoSuchName)?;
        if parsed.is_fqdn() {
            return Ok(vec![parsed]);
        }
        let mut itself = parsed.clone();
        itself.set_fqdn(true);
        // One that is too long for a domain is none of it.
        let within = |domain: &Name| parsed.clone().append_domain(domain).ok();
        let mut candidates: Vec<Name> = self.search.iter().filter_map(within).collect();
        if usize::from(parsed.num_labels()) > self.ndots {
            candidates.insert(0, itself);
        } else {
            candidates.push(itself);
        }
        Ok(candidates)
    }

    /// Both families are asked for at once; whichever is there first does not wait long for the
    /// other, of which a name server may know nothing and say so.
    async fn addresses_of(&self, name: Name) -> Result<Found, Unresolved> {
        let four = Box::pin(self.resolver.ipv4_lookup(name.clone()));
        let six = Box::pin(self.resolver.ipv6_lookup(name));
        let (first, second) = match select(four, six).await {
            Either::Left((four, six)) if has_any(&four) => {
                (four, timeout(OTHER_FAMILY, six).await.ok())
            }
            Either::Right((six, four)) if has_any(&six) => {
                (six, timeout(OTHER_FAMILY, four).await.ok())
            }
            Either::Left((four, six)) => (four, Some(six.await)),
            Either::Right((six, four)) => (six, Some(four.await)),
        };
        let mut good_for = Duration::MAX;
        let (mut sixes, mut fours) = (Vec::new(), Vec::new());
        let mut failed = None;
        for lookup in [Some(first), second].into_iter().flatten() {
            match lookup {
                Ok(lookup) => {
                    for record in lookup.answers() {
                        let Some(address) = record.data.ip_addr() else { continue };
                        good_for = good_for.min(Duration::from_secs(u64::from(record.ttl)));
                        match address {
                            IpAddr::V4(_) => fours.push(address),
                            IpAddr::V6(_) => sixes.push(address),
                        }
                    }
                }
                // One family's "there is none" is no failure beside the other's silence.
                Err(error) => match (why(&error), failed) {
                    (Unresolved::NoSuchName, Some(_)) => {}
                    (failure, _) => failed = Some(failure),
                },
            }
        }
        match in_turn(sixes, fours) {
            none if none.is_empty() => Err(failed.unwrap_or(Unresolved::NoSuchName)),
            addresses => Ok((addresses, good_for)),
        }
    }
}

fn has_any(lookup: &Result<Lookup, NetError>) -> bool {
    lookup.as_ref().is_ok_and(|lookup| !lookup.answers().is_empty())
}

/// One of each family in turn, so that a family that does not work costs one attempt. Source: RFC 8305, 4.
fn in_turn(sixes: Vec<IpAddr>, fours: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut addresses = Vec::with_capacity(sixes.len() + fours.len());
    let (mut sixes, mut fours) = (sixes.into_iter(), fours.into_iter());
    loop {
        let before = addresses.len();
        addresses.extend(sixes.next());
        addresses.extend(fours.next());
        if addresses.len() == before {
            return addresses;
        }
    }
}

fn why(error: &NetError) -> Unresolved {
    match error {
        // That a server has failed, or refuses to say, does not mean that there is no such name.
        NetError::Dns(DnsError::NoRecordsFound(none))
            if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
        {
            Unresolved::NoSuchName
        }
        NetError::Io(error) if shortage::is_ours(error) => {
            Unresolved::Shortage(Shortage::OpenFiles)
        }
        _ => Unresolved::NoAnswer,
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("stamps", &self.stamps).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv6Addr;

    use tercet_testing::soon;
    use tokio::net::UdpSocket;

    use super::*;

    fn asked(resolv_conf: &str) -> Asked {
        Asked::new(resolv_conf.as_bytes()).expect("a resolver")
    }

    fn candidates(resolv_conf: &str, name: &str) -> Vec<String> {
        let candidates = asked(resolv_conf).candidates(name).expect("a name");
        candidates.iter().map(Name::to_string).collect()
    }

    #[tokio::test]
    async fn search_domains_and_ndots_are_as_the_file_says() {
        let conf = "nameserver 127.0.0.1\nsearch a.test b.test\noptions ndots:2\n";
        assert_eq!(candidates(conf, "pay"), ["pay.a.test.", "pay.b.test.", "pay."]);
        assert_eq!(candidates(conf, "pay.x"), ["pay.x.a.test.", "pay.x.b.test.", "pay.x."]);
        assert_eq!(candidates(conf, "pay.x.y"), ["pay.x.y.", "pay.x.y.a.test.", "pay.x.y.b.test."]);
        assert_eq!(candidates(conf, "pay."), ["pay."]);
        assert_eq!(candidates("search c.test\n", "pay.x")[0], "pay.x.", "here is asked, once");
        let too_long = asked(conf).candidates(&"x".repeat(64)).expect_err("a label of 64");
        assert_eq!(too_long, Unresolved::NoSuchName);
    }

    #[test]
    fn families_take_turns() {
        let four = |n| IpAddr::from([10, 0, 0, n]);
        let six = |n| IpAddr::V6(Ipv6Addr::from(u128::from(n)));
        let (one, two, three) = (1_u8, 2_u8, 3_u8);
        let turns = in_turn(vec![six(one)], vec![four(one), four(two), four(three)]);
        assert_eq!(turns, [six(1_u8), four(1), four(2), four(3)]);
        assert!(in_turn(Vec::new(), Vec::new()).is_empty());
    }

    /// A name server on a port of its own, that knows these names' IPv4 addresses, knows that
    /// those that begin with `no` are not there, and is silent about all others; and a resolver
    /// that asks it.
    async fn name_server(known: &[(&str, [u8; 4])], search: &[&str]) -> Asked {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let port = socket.local_addr().expect("an address").port();
        let known: BTreeMap<String, [u8; 4]> =
            known.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
        tokio::spawn(async move {
            let mut heard = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut heard).await {
                if let Some(answer) = answer(&heard[..len], &known) {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        let mut server = NameServerConfig::udp(IpAddr::V4(Ipv4Addr::LOCALHOST));
        server.connections.iter_mut().for_each(|connection| connection.port = port);
        let search = search.iter().map(|name| Name::from_ascii(name).expect("a name")).collect();
        let config = ResolverConfig::from_parts(None, search, vec![server]);
        Asked::of(config, ResolverOpts::default()).expect("a resolver")
    }

    /// Source: RFC 1035, 4.
    fn answer(question: &[u8], known: &BTreeMap<String, [u8; 4]>) -> Option<Vec<u8>> {
        let (mut labels, mut at) = (Vec::new(), 12);
        while question[at] > 0 {
            let len = usize::from(question[at]);
            labels.push(String::from_utf8_lossy(&question[at + 1..=at + len]).into_owned());
            at += len + 1;
        }
        let name = labels.join(".");
        let is_of_four = question[at + 1..at + 3] == [0, 1];
        let (flags, address) = match known.get(&name) {
            Some(address) => ([0x85, 0x80], is_of_four.then_some(address)),
            None if name.starts_with("no") => ([0x85, 0x83], None),
            None => return None,
        };
        let mut answer = question[..2].to_vec();
        answer.extend(flags);
        answer.extend([0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
        answer.extend(&question[12..at + 5]);
        if let Some(address) = address {
            answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4]);
            answer.extend(address);
        }
        Some(answer)
    }

    #[tokio::test]
    async fn a_name_server_is_asked_for_each_meaning_of_a_name_in_turn() {
        let known = [("well.test", [10, 0, 0, 7]), ("pay.b.test", [10, 0, 0, 8])];
        let asked = name_server(&known, &["no.test.", "b.test."]).await;
        let (addresses, good_for) =
            soon("an answer", asked.addresses("well.test")).await.expect("it");
        assert_eq!(addresses, [IpAddr::from([10, 0, 0, 7])]);
        assert_eq!(good_for, Duration::from_secs(30));
        let asked = name_server(&known, &["b.test."]).await;
        let found = soon("an answer", asked.addresses("pay")).await.expect("it is of the domain");
        assert_eq!(found.0, [IpAddr::from([10, 0, 0, 8])]);
        let asked = name_server(&known, &[]).await;
        let gone = soon("an answer", asked.addresses("nobody.test")).await;
        assert_eq!(gone.expect_err("nobody"), Unresolved::NoSuchName);
        let silent = soon("an end", asked.addresses("silent.test")).await;
        assert_eq!(silent.expect_err("no answer"), Unresolved::NoAnswer);
    }

    /// Keeps P6.
    #[tokio::test]
    async fn a_thousand_names_that_nobody_answers_for_delay_no_other() {
        let asked = Arc::new(name_server(&[("well.test", [10, 0, 0, 7])], &[]).await);
        let silent: Vec<_> = (0..1_000)
            .map(|n| {
                let asked = Arc::clone(&asked);
                tokio::spawn(async move { asked.addresses(&format!("silent-{n}.test")).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let well = soon("an answer", asked.addresses("well.test")).await;
        assert_eq!(well.expect("it is known").0, [IpAddr::from([10, 0, 0, 7])]);
        assert!(silent.iter().any(|look_up| !look_up.is_finished()), "it did not wait for them");
    }
}
