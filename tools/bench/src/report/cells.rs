//! Figures as text.

use crate::run::Spread;

/// A count, or a rate of them.
pub(crate) fn whole(value: f64) -> String {
    format!("{value:.0}")
}

/// The median, and both ends where there was more than one round.
pub(crate) fn spread(spread: Spread, digits: usize) -> String {
    let Spread { median, min, max } = spread;
    if (max - min).abs() < f64::EPSILON {
        format!("{median:.digits$}")
    } else {
        format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
    }
}

/// A figure that may not apply; then it is zero.
pub(crate) fn maybe(value: f64, digits: usize) -> String {
    if value > 0.0 { format!("{value:.digits$}") } else { "–".to_owned() }
}

/// A part of a whole.
pub(crate) fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// Memory.
pub(crate) fn mib(kib: u64) -> String {
    format!("{} MiB", kib / 1024)
}
