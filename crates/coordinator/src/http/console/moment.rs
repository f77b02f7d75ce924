//! Times for people: how long ago, and, where one points at it, when exactly.

use std::fmt;
use std::time::Duration;

use tercet_wire::Wall;

/// A moment, as it is seen from now. Shown as markup, of characters that need no escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    at: Wall,
    now: Wall,
}

impl Moment {
    pub(super) fn new(at: Wall, now: Wall) -> Self {
        Self { at, now }
    }

    /// How long ago, or in how long.
    fn words(self) -> String {
        if self.at > self.now {
            return format!("in {}", lasting(self.at.since(self.now)));
        }
        match self.now.since(self.at) {
            ago if ago < Duration::from_secs(1) => "just now".to_owned(),
            ago => format!("{} ago", lasting(ago)),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, words) = (self.at, self.words());
        write!(f, r#"<time datetime="{at}" title="{at}">{words}</time>"#)
    }
}

/// A duration in at most two units.
pub(super) fn lasting(duration: Duration) -> String {
    let (ms, s) = (duration.as_millis(), duration.as_secs());
    match s {
        0 => format!("{ms} ms"),
        1..10 => format!("{}.{} s", s, (ms % 1_000) / 100),
        10..60 => format!("{s} s"),
        60..3_600 => two((s / 60, "min"), (s % 60, "s")),
        3_600..86_400 => two((s / 3_600, "h"), (s % 3_600 / 60, "min")),
        _ => two((s / 86_400, "d"), (s % 86_400 / 3_600, "h")),
    }
}

fn two((large, unit): (u64, &str), (small, of): (u64, &str)) -> String {
    match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {of}"),
    }
}

/// A count with spaces between thousands, narrow ones that do not break.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        for (ms, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_500, "1.5 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (61_000, "1 min 1 s"),
            (3_600_000, "1 h"),
            (3_719_000, "1 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(lasting(Duration::from_millis(ms)), expected);
        }
    }

    #[test]
    fn a_moment_says_how_long_ago_and_when() {
        let now = Wall(1_763_640_000_000);
        let shown = |ms: i64| Moment::new(Wall(now.0 + ms), now).to_string();
        let expected = r#"<time datetime="2025-11-20T11:59:00.000Z" title="2025-11-20T11:59:00.000Z">1 min ago</time>"#;
        assert_eq!(shown(-60_000), expected);
        assert!(shown(0).contains(">just now<"));
        assert!(shown(2_500).contains(">in 2.5 s<"));
    }

    #[test]
    fn thousands_stand_apart() {
        for (count, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1\u{202f}000"),
            (1_234_567, "1\u{202f}234\u{202f}567"),
        ] {
            assert_eq!(grouped(count), expected);
        }
    }
}
