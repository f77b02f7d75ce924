//! Reads `Retry-After`. Source: RFC 9110, 10.2.3: seconds, or a date.

use std::time::{Duration, UNIX_EPOCH};

use crate::time::Wall;

/// How long whoever answered asks to be left alone; `None` for what is neither a number of
/// seconds nor a date. A date in the past asks for no wait. Bounds are the caller's.
#[must_use]
pub fn parse_retry_after(value: &str, now: Wall) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit is still a request to wait very long.
        let seconds = value.parse().unwrap_or(u32::MAX.into());
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(Wall::default().after(since_epoch).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood_and_nothing_else() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = Wall(784_111_777_000);
        let secs = |s| Some(Duration::from_secs(s));
        let table = [
            ("0", secs(0)),
            ("3", secs(3)),
            (" 120 ", secs(120)),
            ("99999999999999999999999", secs(u32::MAX.into())),
            ("Sun, 06 Nov 1994 08:49:40 GMT", secs(3)),
            ("Sunday, 06-Nov-94 08:49:40 GMT", secs(3)),
            ("Sun Nov  6 08:49:40 1994", secs(3)),
            ("Sun, 06 Nov 1994 08:49:30 GMT", secs(0)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
            ("1994-11-06T08:49:37Z", None),
        ];
        for (value, expected) in table {
            assert_eq!(parse_retry_after(value, now), expected, "{value:?}");
        }
    }
}
