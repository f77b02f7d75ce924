//! Requests whose token does not count: all are counted, some are logged.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, counter};
use tercet_wire::{Mono, metric};
use thiserror::Error;

use super::jwt::NoJwt;

/// From one log line to the next, at least: whoever tries tokens fills no disk.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Why a request has no caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Failed {
    /// It shows nothing.
    #[error("no token came; send one as Authorization: Bearer …")]
    Missing,
    /// What it shows is no bearer token, or more than one.
    #[error("Authorization: must be given once, as Bearer and a token")]
    Malformed,
    /// Nobody has such a token.
    #[error("nobody here has this token: it was mistyped, or taken away")]
    Unknown,
    /// It is a JWT that does not count.
    #[error("the token is a JWT: {0}")]
    Jwt(NoJwt),
    /// It shows a certificate alone, which stands for nobody.
    #[error(
        "no token came, and no name of the client's certificate is in server.tls.client_names; send \
         a token as Authorization: Bearer …"
    )]
    Certificate,
}

/// As they are counted.
const WHYS: [&str; 5] = ["missing", "malformed", "unknown", "jwt", "certificate"];

impl Failed {
    fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Jwt(_) => "jwt",
            Self::Certificate => "certificate",
        }
    }
}

/// Counts them.
pub(super) struct FailedLogins {
    counters: Vec<(&'static str, Counter)>,
    told: Mutex<Told>,
}

/// What was logged.
#[derive(Debug, Default)]
struct Told {
    at: Option<Mono>,
    /// How many came since.
    untold: u64,
}

impl FailedLogins {
    pub(super) fn register() -> Self {
        let counted = |why: &'static str| {
            let counter = counter!(metric::LOGINS_FAILED, "why" => why);
            counter.increment(0);
            (why, counter)
        };
        Self { counters: WHYS.map(counted).to_vec(), told: Mutex::default() }
    }

    /// One more.
    pub(super) fn count(&self, why: Failed, from: Option<SocketAddr>, now: Mono) {
        if let Some((_, counter)) = self.counters.iter().find(|(of, _)| *of == why.as_str()) {
            counter.increment(1);
        }
        let Some(failed) = self.to_tell(now) else { return };
        let from = from.map(|from| from.ip().to_string()).unwrap_or_default();
        tracing::warn!(
            event = "login_failed",
            why = %why,
            from,
            failed,
            "requests came without a token that counts"
        );
    }

    /// How many are to be told of by now; none if somebody was told just before.
    fn to_tell(&self, now: Mono) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.untold += 1;
        if told.at.is_some_and(|at| now.since(at) < LOG_EVERY) {
            return None;
        }
        told.at = Some(now);
        Some(std::mem::take(&mut told.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_tells_of_all() {
        let failed = FailedLogins::register();
        let at = |ms: u64| Mono::default().after(Duration::from_millis(ms));
        assert_eq!(failed.to_tell(at(0)), Some(1));
        for ms in [0, 1, 500, 999] {
            assert_eq!(failed.to_tell(at(ms)), None, "{ms}");
        }
        assert_eq!(failed.to_tell(at(1_000)), Some(5));
        assert_eq!(failed.to_tell(at(1_500)), None);
        assert_eq!(failed.to_tell(at(9_000)), Some(2));
    }
}
