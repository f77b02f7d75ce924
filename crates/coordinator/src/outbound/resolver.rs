//! The addresses of names: one look-up a name at a time, whoever waits for it, and what is known
//! is kept for a moment.
//!
//! ```text
//!           ┌── known ───────────────────────────────▶ addresses
//!  a call ──┼── has just failed ─────────────────────▶ failure
//!           └── else: joins the look-up under way, or begins one ──▶ name servers
//!                     └── not answered soon, but known from before: those
//! ```

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tercet_clock::Clock;
use tercet_wire::Mono;
use tokio::sync::watch;
use tokio::time::timeout;

use super::name_server::{Found, NameServers, Unresolved};
use super::shortage::Shortage;

/// Whatever a name server says, a name is asked for again after so long, so that one that moved is
/// found; and not before so long, so that one that everybody calls is asked for once.
const GOOD_FOR: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// Who failed is not asked for again before.
const FAILED_FOR: Duration = Duration::from_secs(1);
/// A look-up is given up after so long; whoever waits for it has less patience.
const LOOK_UP: Duration = Duration::from_secs(5);
/// With name servers that do not answer, what was known is used for so long. Source: RFC 8767.
const STALE_FOR: Duration = Duration::from_secs(3_600);
/// And so long they have for an answer where something is known from before.
const STALE_AFTER: Duration = Duration::from_millis(250);
/// Names that are kept.
const NAMES: usize = 4_096;

/// What everybody who waits for a look-up is told.
type Told = watch::Receiver<Option<Result<Arc<[IpAddr]>, Unresolved>>>;

/// Finds the addresses of names. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    shared: Arc<Shared>,
}

struct Shared {
    servers: Arc<NameServers>,
    clock: Arc<dyn Clock>,
    names: Mutex<Names>,
    /// Look-ups under way at a time; each takes a few sockets.
    look_ups: usize,
}

#[derive(Debug, Default)]
struct Names {
    by_name: HashMap<Box<str>, Entry>,
    under_way: usize,
}

#[derive(Debug, Default)]
struct Entry {
    known: Option<Known>,
    failed: Option<(Unresolved, Mono)>,
    under_way: Option<Told>,
}

#[derive(Debug, Clone)]
struct Known {
    addresses: Arc<[IpAddr]>,
    until: Mono,
}

/// What is to be done for a name.
enum Next {
    Done(Result<Arc<[IpAddr]>, Unresolved>),
    Wait(Told, Option<Arc<[IpAddr]>>),
}

impl Resolver {
    pub(super) fn new(look_ups: usize, clock: Arc<dyn Clock>) -> Self {
        let (servers, names) = (Arc::default(), Mutex::default());
        Self { shared: Arc::new(Shared { servers, clock, names, look_ups: look_ups.max(1) }) }
    }

    /// From now on there is no room for a look-up.
    #[cfg(test)]
    pub(super) fn exhaust(&self) {
        self.shared.names().under_way = self.shared.look_ups;
    }

    /// From now on, for a moment, a name has this address.
    #[cfg(test)]
    pub(super) fn rebind(&self, name: &str, address: IpAddr) {
        let until = self.shared.clock.mono().after(GOOD_FOR.1);
        let known = Some(Known { addresses: Arc::new([address]), until });
        self.shared.names().by_name.insert(name.into(), Entry { known, ..Entry::default() });
    }

    /// The addresses of a name, in the order in which they are to be tried. Whoever asks limits
    /// how long it waits.
    pub(super) async fn addresses(&self, name: &str) -> Result<Arc<[IpAddr]>, Unresolved> {
        let ask = |servers: Arc<NameServers>, name: Box<str>| async move {
            servers.addresses(&name).await
        };
        self.addresses_by(name, ask).await
    }

    async fn addresses_by<F>(
        &self,
        name: &str,
        ask: impl FnOnce(Arc<NameServers>, Box<str>) -> F,
    ) -> Result<Arc<[IpAddr]>, Unresolved>
    where
        F: Future<Output = Result<Found, Unresolved>> + Send + 'static,
    {
        let (mut told, stale) = match self.next(name, ask) {
            Next::Done(result) => return result,
            Next::Wait(told, stale) => (told, stale),
        };
        let answer = async {
            let told = told.wait_for(Option::is_some).await;
            // A look-up that told nothing has met a bug of ours.
            told.ok().and_then(|told| told.clone()).unwrap_or(Err(Unresolved::NoAnswer))
        };
        match stale {
            None => answer.await,
            Some(stale) => match timeout(STALE_AFTER, answer).await {
                Ok(Err(Unresolved::NoAnswer | Unresolved::Shortage(_))) | Err(_) => Ok(stale),
                Ok(answer) => answer,
            },
        }
    }

    fn next<F>(&self, name: &str, ask: impl FnOnce(Arc<NameServers>, Box<str>) -> F) -> Next
    where
        F: Future<Output = Result<Found, Unresolved>> + Send + 'static,
    {
        let now = self.shared.clock.mono();
        let mut names = self.shared.names();
        let mut stale = None;
        if let Some(entry) = names.by_name.get(name) {
            match (&entry.known, &entry.failed) {
                (Some(known), _) if now < known.until => {
                    return Next::Done(Ok(Arc::clone(&known.addresses)));
                }
                (Some(known), _) if now < known.until.after(STALE_FOR) => {
                    stale = Some(Arc::clone(&known.addresses));
                }
                (Some(_) | None, _) => {}
            }
            match (entry.failed, &stale) {
                (Some((Unresolved::NoAnswer, until)), Some(stale)) if now < until => {
                    return Next::Done(Ok(Arc::clone(stale)));
                }
                (Some((failure, until)), _) if now < until => return Next::Done(Err(failure)),
                (Some(_) | None, _) => {}
            }
            if let Some(told) = entry.under_way.as_ref().filter(|told| told.has_changed().is_ok()) {
                return Next::Wait(told.clone(), stale);
            }
        }
        if names.under_way >= self.shared.look_ups || !names.has_room(name, now) {
            return Next::Done(stale.ok_or(Unresolved::Shortage(Shortage::LookUps)));
        }
        let (tell, told) = watch::channel(None);
        names.under_way += 1;
        names.by_name.entry(Box::from(name)).or_default().under_way = Some(told.clone());
        drop(names);
        let looking = ask(Arc::clone(&self.shared.servers), Box::from(name));
        let (shared, name) = (Arc::clone(&self.shared), Box::from(name));
        drop(tokio::spawn(look_up(shared, name, looking, tell)));
        Next::Wait(told, stale)
    }
}

/// Counts a look-up for as long as it lasts, however it ends.
struct UnderWay(Arc<Shared>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut names = self.0.names();
        names.under_way = names.under_way.saturating_sub(1);
    }
}

async fn look_up(
    shared: Arc<Shared>,
    name: Box<str>,
    looking: impl Future<Output = Result<Found, Unresolved>>,
    tell: watch::Sender<Option<Result<Arc<[IpAddr]>, Unresolved>>>,
) {
    let under_way = UnderWay(shared);
    let found = timeout(LOOK_UP, looking).await.unwrap_or(Err(Unresolved::NoAnswer));
    let now = under_way.0.clock.mono();
    let result = found.map(|(addresses, good_for)| {
        let until = now.after(good_for.clamp(GOOD_FOR.0, GOOD_FOR.1));
        Known { addresses: Arc::from(addresses), until }
    });
    let mut names = under_way.0.names();
    let entry = names.by_name.entry(name).or_default();
    entry.under_way = None;
    let result = match result {
        Ok(known) => {
            let addresses = Arc::clone(&known.addresses);
            (entry.known, entry.failed) = (Some(known), None);
            Ok(addresses)
        }
        // What this process lacked says nothing about the name.
        Err(Unresolved::Shortage(short)) => Err(Unresolved::Shortage(short)),
        Err(failure) => {
            entry.failed = Some((failure, now.after(FAILED_FOR)));
            if failure == Unresolved::NoSuchName {
                entry.known = None;
            }
            Err(failure)
        }
    };
    drop(names);
    // Nobody may be waiting any more.
    tell.send_replace(Some(result));
}

impl Names {
    /// Makes room for a name that is not known yet.
    fn has_room(&mut self, name: &str, now: Mono) -> bool {
        if self.by_name.len() < NAMES || self.by_name.contains_key(name) {
            return true;
        }
        let is_used = |entry: &Entry| {
            let is_good = entry.known.as_ref().is_some_and(|known| now < known.until);
            entry.under_way.is_some() || is_good
        };
        self.by_name.retain(|_, entry| is_used(entry));
        // All are used: those that are not asked for right now are asked for again.
        if self.by_name.len() >= NAMES {
            self.by_name.retain(|_, entry| entry.under_way.is_some());
        }
        self.by_name.len() < NAMES
    }
}

impl Shared {
    fn names(&self) -> MutexGuard<'_, Names> {
        // Nothing done under this lock panics half-way, so what is known is whole.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("look_ups", &self.look_ups).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tercet_testing::soon;
    use tokio::sync::Semaphore;

    use super::super::tests::Hand;
    use super::*;

    const LOOK_UPS: usize = 4;

    fn resolver() -> (Resolver, Arc<Hand>) {
        let clock = Arc::new(Hand::default());
        (Resolver::new(LOOK_UPS, Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    fn found(last: u8, good_for: u64) -> Result<Found, Unresolved> {
        Ok((vec![IpAddr::from([10, 0, 0, last])], Duration::from_secs(good_for)))
    }

    /// Asks for a name; whoever is asked says this.
    async fn ask(
        resolver: &Resolver,
        name: &str,
        said: Result<Found, Unresolved>,
    ) -> Result<u8, Unresolved> {
        let addresses = resolver.addresses_by(name, |_, _| async move { said });
        let addresses = soon("an answer", addresses).await?;
        let IpAddr::V4(address) = addresses[0] else { panic!("{addresses:?}") };
        Ok(address.octets()[3])
    }

    /// Has as many look-ups under way as there may be, each for a name of its own, without end.
    fn silent(resolver: &Resolver) {
        for n in 0..LOOK_UPS {
            let name = format!("silent-{n}");
            let never = |_, _| std::future::pending::<Result<Found, Unresolved>>();
            assert!(matches!(resolver.next(&name, never), Next::Wait(..)));
        }
    }

    /// Keeps P6, P9.
    #[tokio::test]
    async fn everybody_who_asks_for_a_name_waits_for_one_look_up() {
        let (resolver, _) = resolver();
        let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let callers = (0..100).map(|_| {
            let (resolver, asked, gate) = (resolver.clone(), Arc::clone(&asked), Arc::clone(&gate));
            tokio::spawn(async move {
                let look = |_, _| async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    let _opened = gate.acquire().await;
                    found(7, 1)
                };
                resolver.addresses_by("pay", look).await
            })
        });
        let callers: Vec<_> = callers.collect();
        while asked.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(100);
        for caller in callers {
            let told = soon("an answer", caller).await.expect("no panic").expect("an address");
            assert_eq!(told[0], IpAddr::from([10, 0, 0, 7]));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(resolver.shared.names().under_way, 0);
    }

    #[tokio::test]
    async fn what_is_known_is_good_for_as_long_as_was_said_within_bounds() {
        let (resolver, clock) = resolver();
        for (said, good_for_ms) in [(0, 1_000), (5, 5_000), (86_400, 10_000)] {
            assert_eq!(ask(&resolver, "pay", found(1, said)).await, Ok(1), "{said}");
            clock.forward(good_for_ms - 1);
            assert_eq!(ask(&resolver, "pay", found(2, said)).await, Ok(1), "{said}");
            clock.forward(1);
            assert_eq!(ask(&resolver, "pay", found(3, said)).await, Ok(3), "{said}");
            clock.forward(10_000);
        }
    }

    #[tokio::test]
    async fn a_failure_is_remembered_for_a_second() {
        let (resolver, clock) = resolver();
        for failure in [Unresolved::NoSuchName, Unresolved::NoAnswer] {
            let name = failure.to_string();
            assert_eq!(ask(&resolver, &name, Err(failure)).await, Err(failure));
            clock.forward(999);
            assert_eq!(ask(&resolver, &name, found(1, 9)).await, Err(failure));
            clock.forward(1);
            assert_eq!(ask(&resolver, &name, found(1, 9)).await, Ok(1));
        }
        // What this process lacks is no failure of the name.
        let short = Unresolved::Shortage(Shortage::OpenFiles);
        assert_eq!(ask(&resolver, "stock", Err(short)).await, Err(short));
        assert_eq!(ask(&resolver, "stock", found(1, 9)).await, Ok(1));
    }

    #[tokio::test]
    async fn name_servers_that_fall_silent_do_not_undo_what_they_said() {
        let (resolver, clock) = resolver();
        assert_eq!(ask(&resolver, "pay", found(1, 1)).await, Ok(1));
        clock.forward(1_000);
        assert_eq!(ask(&resolver, "pay", Err(Unresolved::NoAnswer)).await, Ok(1));
        assert_eq!(ask(&resolver, "pay", found(2, 1)).await, Ok(1), "nobody is asked again yet");
        clock.forward(1_000);
        let never = |_, _| std::future::pending::<Result<Found, Unresolved>>();
        let addresses = soon("what was known", resolver.addresses_by("pay", never)).await;
        assert_eq!(addresses.expect("an address")[0], IpAddr::from([10, 0, 0, 1]));
        // Nor does it that this process has no socket to ask them.
        let (resolver, clock) = self::resolver();
        assert_eq!(ask(&resolver, "pay", found(1, 1)).await, Ok(1));
        clock.forward(1_000);
        let short = Err(Unresolved::Shortage(Shortage::OpenFiles));
        assert_eq!(ask(&resolver, "pay", short).await, Ok(1));
        // That there is no such name any more is another matter.
        let (resolver, clock) = self::resolver();
        assert_eq!(ask(&resolver, "pay", found(1, 1)).await, Ok(1));
        clock.forward(1_000);
        let gone = Err(Unresolved::NoSuchName);
        assert_eq!(ask(&resolver, "pay", Err(Unresolved::NoSuchName)).await, gone);
    }

    /// Keeps P6, P9.
    #[tokio::test]
    async fn look_ups_are_bounded_and_beyond_it_is_our_own_shortage() {
        let (resolver, _) = resolver();
        assert_eq!(ask(&resolver, "known", found(1, 9)).await, Ok(1));
        silent(&resolver);
        let short = Err(Unresolved::Shortage(Shortage::LookUps));
        assert_eq!(ask(&resolver, "another", found(2, 9)).await, short);
        assert_eq!(ask(&resolver, "known", found(3, 9)).await, Ok(1));
    }

    /// Keeps P9.
    #[tokio::test]
    async fn so_many_names_are_kept_and_no_more() {
        let (resolver, _) = resolver();
        for n in 0..NAMES * 2 {
            assert_eq!(ask(&resolver, &format!("n{n}"), found(1, 9)).await, Ok(1));
            assert!(resolver.shared.names().by_name.len() <= NAMES);
        }
    }
}
