//! A small line: how many calls there were lately, and how many of them failed. Drawn here as SVG, in
//! whole percents of its place, so that it needs no script and fits any width.

use std::fmt::{self, Write as _};

use crate::metrics::{CallCount, Recent};

/// Bars that are drawn: half a minute each.
const BARS: usize = 30;
/// Slots of ten seconds in a bar.
const OF_A_BAR: usize = 3;
/// Height of the drawing.
const HEIGHT: u64 = 24;
/// Width of a bar's place, and of the bar.
const PITCH: usize = 4;
const WIDTH: usize = 3;

/// How calls to one participant went lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trend {
    bars: Vec<CallCount>,
}

impl Trend {
    pub(super) fn of(recent: &Recent) -> Self {
        // From the newest back, so that a bar has its full time; the oldest may have less.
        let mut bars: Vec<CallCount> = recent.slots.rchunks(OF_A_BAR).map(sum).take(BARS).collect();
        bars.reverse();
        Self { bars }
    }

    /// Calls a second within the last minute.
    pub(super) fn rate(&self) -> f64 {
        let last = self.bars.iter().rev().take(2);
        let (calls, bars) = last.fold((0, 0), |(calls, bars), bar| (calls + bar.calls, bars + 1));
        // Half a minute each; none where there is none.
        if bars == 0 { 0.0 } else { calls as f64 / (30.0 * f64::from(bars)) }
    }

    /// Which share of them failed in the last five minutes, in percents; none if nothing was called.
    pub(super) fn failing(&self) -> Option<f64> {
        let all = sum_of(self.bars.iter().rev().take(10));
        (all.calls > 0).then(|| all.failures as f64 * 100.0 / all.calls as f64)
    }

    /// In words, for whoever does not see it.
    fn words(&self) -> String {
        let all = sum_of(self.bars.iter());
        format!("last quarter of an hour: {} calls, {} failed", all.calls, all.failures)
    }
}

fn sum(slots: &[CallCount]) -> CallCount {
    sum_of(slots.iter())
}

fn sum_of<'a>(counts: impl Iterator<Item = &'a CallCount>) -> CallCount {
    counts.fold(CallCount::default(), |sum, one| CallCount {
        calls: sum.calls + one.calls,
        failures: sum.failures + one.failures,
    })
}

/// As markup, of numbers and words of ours alone.
impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = BARS * PITCH;
        let words = self.words();
        write!(
            f,
            r#"<svg class="trend" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" role="img" aria-label="{words}"><title>{words}</title>"#
        )?;
        write!(f, r#"<rect class="floor" x="0" y="{}" width="{width}" height="1"/>"#, HEIGHT - 1)?;
        let most = self.bars.iter().map(|bar| bar.calls).max().unwrap_or(0).max(1);
        let first = BARS - self.bars.len();
        let mut drawn = String::new();
        for (at, bar) in self.bars.iter().enumerate() {
            let height = |count: u64| (count * (HEIGHT - 2)).div_ceil(most);
            let x = (first + at) * PITCH;
            let (all, failed) = (height(bar.calls), height(bar.failures));
            let mut rect = |class: &str, from: u64, high: u64| {
                if high > 0 {
                    let y = HEIGHT - 1 - from - high;
                    // Writing to a string does not fail.
                    let _ = write!(
                        drawn,
                        r#"<rect class="{class}" x="{x}" y="{y}" width="{WIDTH}" height="{high}"/>"#
                    );
                }
            };
            rect("failed", 0, failed);
            rect("well", failed, all.saturating_sub(failed));
        }
        f.write_str(&drawn)?;
        f.write_str("</svg>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(slots: &[(u64, u64)]) -> Trend {
        let slots = slots.iter().map(|&(calls, failures)| CallCount { calls, failures });
        Trend::of(&Recent { slots: slots.collect(), ..Recent::default() })
    }

    #[test]
    fn bars_are_of_half_a_minute_and_the_newest_is_whole() {
        let bars = trend(&[(1, 0), (2, 0), (3, 1), (4, 0), (5, 5)]).bars;
        let bars: Vec<_> = bars.iter().map(|bar| (bar.calls, bar.failures)).collect();
        assert_eq!(bars, [(3, 0), (12, 6)]);
        assert_eq!(trend(&[(1, 0); 200]).bars.len(), BARS);
    }

    #[test]
    fn rates_are_of_the_last_minute_and_failures_of_the_last_five() {
        let of = trend(&[(10, 5); 90]);
        assert!((of.rate() - 1.0).abs() < 1e-9, "{}", of.rate());
        assert_eq!(of.failing(), Some(50.0));
        assert_eq!(trend(&[]).failing(), None);
        assert_eq!(trend(&[(0, 0); 9]).failing(), None);
    }

    #[test]
    fn a_line_shows_failures_below_what_went_well() {
        let drawn = trend(&[(4, 2)]).to_string();
        assert!(
            drawn.contains(r#"<rect class="failed" x="116" y="12" width="3" height="11"/>"#),
            "{drawn}"
        );
        assert!(
            drawn.contains(r#"<rect class="well" x="116" y="1" width="3" height="11"/>"#),
            "{drawn}"
        );
        assert!(drawn.contains("last quarter of an hour: 4 calls, 2 failed"), "{drawn}");
        assert!(!trend(&[(0, 0)]).to_string().contains("class=\"well\""));
    }
}
