//! Facets of the list: each narrows it by one click, and says how many there are like it.
//!
//! Where nothing but statuses is asked for, the counts are those of `/v1/stats`. Else each is one page of
//! the same list, so that it costs the same however much there is: beyond a page it says so, as `500+`.

use std::iter::Sum;

use futures_util::future::{join, join_all, join3};
use serde::de::IgnoredAny;
use tercet_wire::{Page, Pattern, Reason, StatsView, Status, Wall};

use crate::http::console::ask::Ask;
use crate::http::console::filters::Filters;
use crate::http::console::link;
use crate::http::console::moment::grouped;
use crate::http::console::words::{Pill, Tone};

/// How many are counted: as many as a page of the list has, at most.
const COUNTED: &str = "500";

/// Those of one kind.
pub(super) struct Group {
    pub(super) label: &'static str,
    pub(super) facets: Vec<Facet>,
}

/// One way to narrow the list.
pub(super) struct Facet {
    pub(super) word: String,
    pub(super) tone: Tone,
    /// How many there are; none where that is not known.
    pub(super) count: Option<String>,
    pub(super) href: String,
    pub(super) is_chosen: bool,
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    found: u64,
    /// Whether there may be more.
    is_least: bool,
}

impl Count {
    fn exact(found: u64) -> Self {
        Self { found, is_least: false }
    }

    /// Where none was found and there may be more, nothing is known.
    fn shown(self) -> Option<String> {
        match self {
            Self { found: 0, is_least: true } => None,
            Self { found, is_least: true } => Some(format!("{}+", grouped(found))),
            Self { found, is_least: false } => Some(grouped(found)),
        }
    }
}

impl Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, count| Self {
            found: sum.found.saturating_add(count.found),
            is_least: sum.is_least || count.is_least,
        })
    }
}

/// The counts of all that can be asked for; none of what is not counted.
#[derive(Default)]
struct Counts {
    of_status: Vec<(Status, Option<Count>)>,
    parked: Option<Count>,
    of_pattern: Vec<(Pattern, Option<Count>)>,
    of_reason: Vec<(Reason, Option<Count>)>,
}

/// Those of the list that is asked for.
pub(super) async fn facets(
    ask: &Ask,
    filters: &Filters,
    stats: &StatsView,
    now: Wall,
) -> Vec<Group> {
    let counts = counted(ask, filters, stats, now).await;
    let mut groups = vec![Group { label: "By status", facets: of_status(filters, &counts) }];
    let facet = |(name, word, count): (&str, &'static str, Option<Count>)| {
        let is_chosen = filters.has(name, word);
        Facet {
            word: word.to_owned(),
            tone: Tone::Quiet,
            count: count.and_then(Count::shown),
            href: filters.with(name, if is_chosen { "" } else { word }),
            is_chosen,
        }
    };
    let patterns = counts.of_pattern.iter();
    let patterns = patterns.map(|(pattern, count)| facet(("pattern", pattern.as_str(), *count)));
    groups.push(Group { label: "By pattern", facets: patterns.collect() });
    if !counts.of_reason.is_empty() {
        let reasons = counts.of_reason.iter();
        let reasons = reasons.map(|(reason, count)| facet(("reason", reason.as_str(), *count)));
        groups.push(Group { label: "By reason", facets: reasons.collect() });
    }
    groups
}

fn of_status(filters: &Filters, counts: &Counts) -> Vec<Facet> {
    let asked = filters.get("status");
    let facet = |word: &str, value: &str, tone, count: Option<Count>| Facet {
        word: word.to_owned(),
        tone,
        count: count.and_then(Count::shown),
        href: filters.with("status", value),
        is_chosen: asked == value,
    };
    // A sum of which a part is not known is not known.
    let sum = |is_meant: fn(Status) -> bool| -> Option<Count> {
        let meant = counts.of_status.iter().filter(|(status, _)| is_meant(*status));
        meant.map(|(_, count)| *count).collect::<Option<Vec<_>>>().map(|all| all.into_iter().sum())
    };
    let mut facets = vec![facet("unfinished", "", Tone::Busy, sum(|status| !status.is_finished()))];
    facets.extend(counts.of_status.iter().map(|(status, count)| {
        let tone = Pill::of_status(*status, false).tone;
        facet(status.as_str(), status.as_str(), tone, *count)
    }));
    facets.push(facet("all", "all", Tone::Quiet, sum(|_| true)));
    let is_parked = filters.has("parked", "true");
    facets.push(Facet {
        word: "parked".to_owned(),
        tone: Tone::Bad,
        count: counts.parked.and_then(Count::shown),
        href: filters.with("parked", if is_parked { "" } else { "true" }),
        is_chosen: is_parked,
    });
    facets
}

async fn counted(ask: &Ask, filters: &Filters, stats: &StatsView, now: Wall) -> Counts {
    // Why, where all that is asked for was cancelled.
    let asks_why = matches!(filters.get("status"), "cancelled" | "cancelling")
        || !filters.get("reason").is_empty();
    let reasons = if asks_why { Reason::ALL } else { &[] };
    // What no index has is looked for once, for the list itself.
    if filters.asks_for_metadata() {
        return Counts {
            of_status: Status::ALL.iter().map(|status| (*status, None)).collect(),
            of_pattern: Pattern::ALL.iter().map(|pattern| (*pattern, None)).collect(),
            of_reason: reasons.iter().map(|reason| (*reason, None)).collect(),
            parked: None,
        };
    }
    let conditions = &filters.query(now);
    let patterns = join_all(Pattern::ALL.iter().map(|pattern| async move {
        (*pattern, count(ask, conditions, ("pattern", pattern.as_str())).await)
    }));
    let reasons = join_all(reasons.iter().map(|reason| async move {
        (*reason, count(ask, conditions, ("reason", reason.as_str())).await)
    }));
    let ((of_status, parked), of_pattern, of_reason) =
        join3(statuses(ask, filters, stats, conditions), patterns, reasons).await;
    Counts { of_status, parked, of_pattern, of_reason }
}

/// How many there are of each status, and how many are parked.
async fn statuses(
    ask: &Ask,
    filters: &Filters,
    stats: &StatsView,
    conditions: &[(String, String)],
) -> (Vec<(Status, Option<Count>)>, Option<Count>) {
    if filters.are_statuses_alone() {
        let of = |status: &Status| stats.by_status.get(status).copied().unwrap_or(0);
        let all = Status::ALL.iter().map(|status| (*status, Some(Count::exact(of(status)))));
        return (all.collect(), Some(Count::exact(stats.parked)));
    }
    let all = join_all(Status::ALL.iter().map(|status| async move {
        (*status, count(ask, conditions, ("status", status.as_str())).await)
    }));
    join(all, count(ask, conditions, ("parked", "true"))).await
}

/// How many there are in the list with this condition in place of its own.
async fn count(
    ask: &Ask,
    conditions: &[(String, String)],
    (name, value): (&str, &str),
) -> Option<Count> {
    let kept = conditions.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let kept = kept.filter(|(known, _)| *known != name && !matches!(*known, "limit" | "cursor"));
    let uri = link::with_query("/v1/transactions", kept.chain([(name, value), ("limit", COUNTED)]));
    let page = ask.get::<Page<IgnoredAny>>(&uri).await.ok()?;
    let found = u64::try_from(page.items.len()).unwrap_or(u64::MAX);
    Some(Count { found, is_least: page.next_cursor.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_says_no_more_than_is_known() {
        let least = |found| Count { found, is_least: true };
        for (count, shown) in [
            (Count::exact(0), Some("0")),
            (Count::exact(12), Some("12")),
            (least(500), Some("500+")),
            (least(0), None),
            ([Count::exact(3), least(500)].into_iter().sum(), Some("503+")),
            ([Count::exact(3), Count::exact(4)].into_iter().sum(), Some("7")),
        ] {
            assert_eq!(count.shown().as_deref(), shown, "{count:?}");
        }
    }
}
