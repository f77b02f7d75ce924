//! How a participant answers, said by the path it is called by: `/{service}/{profile}/{op}`.
//! The first segment tells destinations apart, as with services behind one gateway.

use std::fmt;
use std::time::Duration;

/// How a branch behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Every call is done at once.
    Accept,
    /// Its Try is refused.
    Refuse,
    /// The first attempt of every call fails, the next is done.
    Flaky,
    /// Every call is done after this many milliseconds.
    After(u64),
    /// Its Try is never answered.
    Hold,
}

/// What is answered, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// This.
    Now(&'static [u8]),
    /// This, later.
    Later(Duration, &'static [u8]),
    /// Nothing.
    Never,
}

const DONE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REFUSED: &[u8] = b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n";
const FAILED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
const UNKNOWN: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Refuse => f.write_str("refuse"),
            Self::Flaky => f.write_str("flaky"),
            Self::After(ms) => write!(f, "after-{ms}"),
            Self::Hold => f.write_str("hold"),
        }
    }
}

impl Profile {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "accept" => Some(Self::Accept),
            "refuse" => Some(Self::Refuse),
            "flaky" => Some(Self::Flaky),
            "hold" => Some(Self::Hold),
            _ => text.strip_prefix("after-")?.parse().ok().map(Self::After),
        }
    }

    fn reply(self, is_try: bool, attempt: u32) -> Reply {
        match self {
            Self::Refuse if is_try => Reply::Now(REFUSED),
            Self::Hold if is_try => Reply::Never,
            Self::Flaky if attempt == 1 => Reply::Now(FAILED),
            Self::After(ms) => Reply::Later(Duration::from_millis(ms), DONE),
            Self::Accept | Self::Refuse | Self::Hold | Self::Flaky => Reply::Now(DONE),
        }
    }
}

/// What a call is answered.
pub(crate) fn reply(path: &str, attempt: u32) -> Reply {
    let mut segments = path.split('/').skip(2);
    let (profile, op) = (segments.next().and_then(Profile::parse), segments.next());
    match (profile, op) {
        (Some(profile), Some(op)) => profile.reply(op == "try", attempt),
        (Some(_) | None, _) => Reply::Now(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_how_a_call_is_answered() {
        let after = Reply::Later(Duration::from_millis(5), DONE);
        let table = [
            ("/b1/accept/try", 1, Reply::Now(DONE)),
            ("/b1/refuse/try", 1, Reply::Now(REFUSED)),
            ("/b1/refuse/cancel", 1, Reply::Now(DONE)),
            ("/b1/flaky/confirm", 1, Reply::Now(FAILED)),
            ("/b1/flaky/confirm", 2, Reply::Now(DONE)),
            ("/b1/after-5/try", 1, after),
            ("/b1/hold/try", 1, Reply::Never),
            ("/b1/hold/cancel", 1, Reply::Now(DONE)),
            ("/b1/nonsense/try", 1, Reply::Now(UNKNOWN)),
            ("/b1", 1, Reply::Now(UNKNOWN)),
        ];
        for (path, attempt, expected) in table {
            assert_eq!(reply(path, attempt), expected, "{path}");
        }
    }

    #[test]
    fn a_manner_is_read_as_it_is_written() {
        for profile in
            [Profile::Accept, Profile::Refuse, Profile::Flaky, Profile::After(5), Profile::Hold]
        {
            assert_eq!(Profile::parse(&profile.to_string()), Some(profile));
        }
    }
}
