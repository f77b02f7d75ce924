//! How many files the process may have open, and who may have how many of them: clients never so
//! many that the journal cannot be read or a participant not be called.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

/// For the runtime, the standard streams, signals, the listener and its reserve, and the journal
/// without the connections that read lists.
const OURS: usize = 56;
/// Of each connection that reads lists: the database, its log and its index.
const OF_A_READER: usize = 3;
/// Sockets that a look-up may take at a time: for each of two families two name servers, each asked
/// again, and by TCP where the answer does not fit.
const OF_A_LOOK_UP: usize = 12;
/// Requests that may be passed on to other nodes at a time, at least. Of each its client has a
/// connection here, so that more than those are of no use.
const LEAST_FORWARDS: usize = 8;
/// Calls and clients want so many at least, or nothing can be done.
const LEAST: usize = 40;
/// Calls may have at least so many before clients have all that they may have.
const CALLS: usize = 512;
/// More look-ups at a time are of no use.
const LOOK_UPS: usize = 1_024;

/// There are so few that the daemon could not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the limit of open files is {limit}: at least {least} are needed, and {wanted} for \
     server.max_connections = {max_connections}; raise it (LimitNOFILE, ulimit -n)"
)]
pub struct TooFew {
    limit: usize,
    least: usize,
    wanted: usize,
    max_connections: usize,
}

/// Who may have how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Connections of clients.
    pub connections: usize,
    /// Connections to participants and to the receiver of alerts.
    pub sockets: usize,
    /// Look-ups of names under way.
    pub look_ups: usize,
    /// Requests passed on to other nodes at a time. Half as many connections to them may be kept unused.
    pub forwards: usize,
}

/// Raises the limit as far as the system lets us, shares it out, and tells people where clients
/// may have fewer connections than the settings say.
///
/// # Errors
/// There are too few to work with.
pub(crate) fn raise_and_share(
    max_connections: usize,
    readers: u32,
    has_others: bool,
) -> Result<Shares, TooFew> {
    let limit = raised();
    let readers = usize::try_from(readers).unwrap_or(usize::MAX);
    let shares = share(limit, max_connections, readers, has_others)?;
    if shares.connections < max_connections {
        tracing::warn!(
            event = "few_open_files",
            open_files = limit,
            max_connections,
            connections = shares.connections,
            "the limit of open files is too low for server.max_connections: clients may have \
             fewer connections, so that calls and the journal keep some. Raise it (LimitNOFILE, \
             ulimit -n), or lower server.max_connections"
        );
    }
    Ok(shares)
}

/// Whether there are enough for a daemon with these settings, as far as the limit may be raised.
///
/// # Errors
/// There are too few to work with.
pub(crate) fn check(max_connections: usize, readers: u32, has_others: bool) -> Result<(), TooFew> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let limit = maximum.or(current).and_then(|limit| usize::try_from(limit).ok());
    let readers = usize::try_from(readers).unwrap_or(usize::MAX);
    share(limit.unwrap_or(usize::MAX), max_connections, readers, has_others).map(drop)
}

/// The limit, which whoever starts us has often left at its low default for old programs.
fn raised() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

fn share(
    limit: usize,
    max_connections: usize,
    readers: usize,
    has_others: bool,
) -> Result<Shares, TooFew> {
    let ours = OURS.saturating_add(readers.saturating_mul(OF_A_READER));
    let left = limit.saturating_sub(ours);
    let (fewest, most) = match has_others {
        true => (with_kept(LEAST_FORWARDS), with_kept(max_connections.max(LEAST_FORWARDS))),
        false => (0, 0),
    };
    if left < LEAST + fewest {
        let least = ours.saturating_add(LEAST + fewest);
        let wanted = ours.saturating_add(CALLS).saturating_add(max_connections);
        let wanted = wanted.saturating_add(most);
        return Err(TooFew { limit, least, wanted, max_connections });
    }
    let of_others = ((left - LEAST) / 4).clamp(fewest, most);
    let (forwards, left) = (of_others * 2 / 3, left - of_others);
    // Half for each, unless one of them wants less.
    let of_calls = CALLS.min(left / 2).max(left.saturating_sub(max_connections));
    let connections = max_connections.min(left - of_calls);
    // Half of theirs at most is for finding out where to connect.
    let look_ups = (of_calls / 2 / OF_A_LOOK_UP).clamp(1, LOOK_UPS);
    let sockets = of_calls - look_ups * OF_A_LOOK_UP;
    Ok(Shares { connections, sockets, look_ups, forwards })
}

/// The sockets for so many requests at a time, and those that are kept unused.
const fn with_kept(forwards: usize) -> usize {
    forwards.saturating_add(forwards / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps P9.
    #[test]
    fn whatever_the_limit_is_nobody_has_more_than_there_are() {
        let mut few = 0;
        let cases = [(1, 1), (64, 4), (4_096, 4), (100_000, 64)];
        let cases = || cases.into_iter().flat_map(|case| [(case, false), (case, true)]);
        for limit in (0..20_000).chain([1 << 20, 1 << 30, usize::MAX]) {
            for ((max_connections, readers), has_others) in cases() {
                let ours = OURS + readers * OF_A_READER;
                let Ok(shares) = share(limit, max_connections, readers, has_others) else {
                    few += 1;
                    assert!(limit < ours + LEAST + 12 * usize::from(has_others), "{limit}");
                    continue;
                };
                let Shares { connections, sockets, look_ups, forwards } = shares;
                let of_calls = sockets + look_ups * OF_A_LOOK_UP;
                let all = ours + connections + of_calls + with_kept(forwards);
                assert!(all <= limit, "{shares:?} of {limit}");
                assert!(connections <= max_connections && connections > 0, "{shares:?}");
                assert!(sockets >= 8 && look_ups >= 1, "{shares:?} of {limit}");
                assert_eq!(forwards >= 8, has_others, "{shares:?} of {limit}");
                let of_others = max_connections.max(LEAST_FORWARDS);
                let wanted = CALLS + if has_others { with_kept(of_others) } else { 0 };
                let enough = limit >= ours.saturating_add(wanted).saturating_add(max_connections);
                assert!(!enough || connections == max_connections, "{shares:?} of {limit}");
            }
        }
        assert!(few > 0);
    }

    #[test]
    fn too_few_are_told_with_what_is_needed() {
        let error = share(64, 4_096, 4, false).expect_err("too few").to_string();
        for part in ["open files is 64", "at least 108", "4676", "server.max_connections = 4096"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
