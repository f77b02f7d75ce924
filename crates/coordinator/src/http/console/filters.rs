//! The filters of a list, as the address of its page has them: the API's own, and what people can write
//! in a form in their place.

use std::time::Duration;

use tercet_wire::{Status, Wall};
use url::form_urlencoded;

use crate::http::console::link;

/// The list without anything asked for: what is unfinished, the oldest first.
const UNFINISHED: &str = "trying,confirming,cancelling";
/// Of the page alone, and nothing to the API.
const OF_THE_PAGE: [&str; 4] = ["columns", "said", "n", "metadata"];

/// Those of one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filters(Vec<(String, String)>);

impl Filters {
    /// What was asked for; what was left empty was not.
    pub(super) fn of(query: &str) -> Self {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let (name, value) = (name.into_owned(), value.trim().to_owned());
            match pairs.iter_mut().find(|(known, _)| *known == name) {
                _ if value.is_empty() => {}
                // Several boxes of one name, or several fields.
                Some((_, there)) if name == "status" || name == "metadata" => {
                    there.push(',');
                    there.push_str(&value);
                }
                Some(_) | None => pairs.push((name, value)),
            }
        }
        Self(pairs)
    }

    /// The value of one.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.get(name) == value
    }

    /// Whether nothing but statuses, and how it is shown, is asked for.
    pub(super) fn are_statuses_alone(&self) -> bool {
        let is_shown = |name: &str| {
            matches!(name, "status" | "order" | "limit" | "cursor") || OF_THE_PAGE.contains(&name)
        };
        self.0.iter().all(|(name, _)| is_shown(name) && name != "metadata")
    }

    /// Whether some value of metadata is asked for.
    pub(super) fn asks_for_metadata(&self) -> bool {
        self.0.iter().any(|(name, _)| name == "metadata" || name.starts_with("metadata."))
    }

    /// What was written as metadata and is no pair.
    pub(super) fn no_pair(&self) -> Option<String> {
        pairs(self.get("metadata")).into_iter().find(|pair| !pair.contains('='))
    }

    /// Whether a status is among those asked for.
    pub(super) fn asks_for(&self, status: Status) -> bool {
        let asked = self.get("status");
        let of = if asked.is_empty() { UNFINISHED } else { asked };
        asked == "all" || of.split(',').any(|word| word == status.as_str())
    }

    /// Whether nothing finished is asked for.
    pub(super) fn is_of_unfinished(&self) -> bool {
        Status::ALL.iter().all(|status| !status.is_finished() || !self.asks_for(*status))
            || self.has("parked", "true")
            || !self.get("participant").is_empty()
    }

    /// Whether one of the filters is used that most lists do without.
    pub(super) fn has_more(&self) -> bool {
        let rare = ["pattern", "reason", "open", "older", "created_after", "created_before"];
        rare.iter().any(|name| !self.get(name).is_empty())
    }

    /// What the list is narrowed by, to be given on.
    pub(super) fn as_query(&self) -> String {
        let pairs = self.0.iter().filter(|(name, _)| !is_passing(name) && name != "columns");
        link::query(pairs.map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The value of a time, as its field takes it: without the zone, which is UTC.
    pub(super) fn time(&self, name: &str) -> &str {
        let value = self.get(name);
        value.strip_suffix('Z').unwrap_or(value)
    }

    /// The columns of metadata that are to be seen.
    pub(super) fn columns(&self) -> Vec<String> {
        let columns = self.get("columns").split(',').map(str::trim);
        columns.filter(|column| !column.is_empty()).take(6).map(str::to_owned).collect()
    }

    /// The page's address with another value for one of them, from its first page on; empty: without.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let kept = self.0.iter().filter(|(known, _)| known != name && !is_passing(known));
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        let new = (!value.is_empty()).then_some((name, value));
        link::with_query("/console/transactions", kept.chain(new))
    }

    /// The address of the next page.
    pub(super) fn next(&self, cursor: &str) -> String {
        let kept = self.0.iter().filter(|(known, _)| !is_passing(known));
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        link::with_query("/console/transactions", kept.chain([("cursor", cursor)]))
    }

    /// What the API is asked, without how the page is shown.
    pub(super) fn conditions(&self) -> Vec<(String, String)> {
        let mut asked: Vec<(String, String)> = Vec::new();
        for (name, value) in &self.0 {
            match name.as_str() {
                "order" | "limit" | "cursor" | "older" => {}
                "status" if value == "all" => {}
                "metadata" => asked.extend(pairs(value).into_iter().map(|pair| {
                    match pair.split_once('=') {
                        Some((key, value)) => {
                            (format!("metadata.{}", key.trim()), value.trim().to_owned())
                        }
                        // The API knows no such filter, so that nothing is done to what it would find.
                        None => (name.clone(), pair),
                    }
                })),
                name if OF_THE_PAGE.contains(&name) => {}
                "created_after" | "created_before" => asked.push((name.clone(), in_utc(value))),
                _ => asked.push((name.clone(), value.clone())),
            }
        }
        let has = |name: &str| self.0.iter().any(|(known, _)| known == name);
        if !has("status") {
            asked.push(("status".to_owned(), UNFINISHED.to_owned()));
        }
        asked
    }

    /// What the API is asked for this page.
    pub(super) fn query(&self, now: Wall) -> Vec<(String, String)> {
        let mut asked = self.conditions();
        let is_asked =
            |name: &str, asked: &[(String, String)]| asked.iter().any(|(n, _)| n == name);
        if let Some(age) = older(self.get("older"))
            && !is_asked("created_before", &asked)
        {
            let before = Wall(now.0 - i64::try_from(age.as_millis()).unwrap_or(0));
            asked.push(("created_before".to_owned(), before.to_string()));
        }
        let order = if self.has("order", "newest") { "newest" } else { "oldest" };
        asked.push(("order".to_owned(), order.to_owned()));
        for name in ["limit", "cursor"] {
            let value = self.get(name);
            if !value.is_empty() {
                asked.push((name.to_owned(), value.to_owned()));
            }
        }
        asked
    }
}

/// Metadata as people write them, `key=value` with commas between. Values may have commas: what follows one
/// and has no `=` belongs to the pair before.
fn pairs(text: &str) -> Vec<String> {
    let mut pairs: Vec<String> = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        match pairs.last_mut() {
            Some(pair) if !part.contains('=') => {
                pair.push(',');
                pair.push_str(part);
            }
            Some(_) | None => pairs.push(part.trim_start().to_owned()),
        }
    }
    pairs
}

/// What is of one page of the list, or of one moment.
fn is_passing(name: &str) -> bool {
    matches!(name, "cursor" | "said" | "n")
}

/// As fields for date and time have it, which say no zone: the console's times are UTC.
fn in_utc(text: &str) -> String {
    match text.len() {
        16 if text.contains('T') => format!("{text}:00Z"),
        19 if text.contains('T') => format!("{text}Z"),
        21..=23 if text.as_bytes()[19] == b'.' && !text.ends_with('Z') => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

/// Ages that can be chosen.
fn older(text: &str) -> Option<Duration> {
    let minutes = match text {
        "1m" => 1,
        "5m" => 5,
        "1h" => 60,
        "1d" => 1_440,
        _ => return None,
    };
    Some(Duration::from_secs(minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> String {
        let pairs = Filters::of(query).query(Wall(1_763_640_000_000));
        let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("&")
    }

    #[test]
    fn the_api_is_asked_what_the_address_says() {
        for (query, expected) in [
            ("", "status=trying,confirming,cancelling&order=oldest"),
            ("status=all&order=newest", "order=newest"),
            ("status=trying&status=confirmed", "status=trying,confirmed&order=oldest"),
            ("status=&gid_prefix=&reason=", "status=trying,confirming,cancelling&order=oldest"),
            ("status=all&metadata=channel%3Dweb", "metadata.channel=web&order=oldest"),
            ("status=all&metadata.channel=web", "metadata.channel=web&order=oldest"),
            (
                "status=all&metadata=channel%3Dweb,+shop+%3D+7,",
                "metadata.channel=web&metadata.shop=7&order=oldest",
            ),
            (
                "status=all&metadata=channel%3Dweb&metadata=shop%3D7",
                "metadata.channel=web&metadata.shop=7&order=oldest",
            ),
            (
                "status=all&metadata=title%3Dhello,+world,a%3Db%3Dc",
                "metadata.title=hello, world&metadata.a=b=c&order=oldest",
            ),
            ("status=all&metadata=web", "metadata=web&order=oldest"),
            ("status=all&open=true", "open=true&order=oldest"),
            ("status=all&columns=a,b&said=retried&n=3", "order=oldest"),
            (
                "status=all&created_after=2025-11-20T12:00",
                "created_after=2025-11-20T12:00:00Z&order=oldest",
            ),
            (
                "status=all&created_before=2025-11-20T12:00:07.25",
                "created_before=2025-11-20T12:00:07.25Z&order=oldest",
            ),
            (
                "status=all&created_before=2025-11-20T12:00:07.001Z",
                "created_before=2025-11-20T12:00:07.001Z&order=oldest",
            ),
            ("status=all&older=1h", "created_before=2025-11-20T11:00:00.000Z&order=oldest"),
            ("status=all&cursor=x&limit=9", "order=oldest&limit=9&cursor=x"),
            ("status=all&nonsense=1", "nonsense=1&order=oldest"),
        ] {
            assert_eq!(asked(query), expected, "{query}");
        }
    }

    #[test]
    fn an_address_keeps_what_was_asked_for_and_begins_at_the_first_page() {
        let filters =
            Filters::of("status=trying&participant=pay:80&cursor=x&said=retried&columns=a");
        assert_eq!(
            filters.with("order", "newest"),
            "/console/transactions?status=trying&participant=pay%3A80&columns=a&order=newest"
        );
        assert_eq!(
            filters.with("status", ""),
            "/console/transactions?participant=pay%3A80&columns=a"
        );
        assert!(filters.next("y").ends_with("&columns=a&cursor=y"));
    }

    #[test]
    fn metadata_that_are_no_pair_are_named() {
        for (query, named) in [
            ("metadata=web", Some("web")),
            ("metadata=web,a%3D1", Some("web")),
            ("metadata=a%3D1,web", None),
            ("", None),
        ] {
            assert_eq!(Filters::of(query).no_pair().as_deref(), named, "{query}");
        }
    }

    #[test]
    fn counts_are_of_statuses_and_nothing_else() {
        for (query, alone) in [
            ("", true),
            ("status=trying&order=newest&columns=a", true),
            ("participant=pay:80", false),
            ("metadata=a%3D1", false),
        ] {
            assert_eq!(Filters::of(query).are_statuses_alone(), alone, "{query}");
        }
        assert!(Filters::of("").asks_for(Status::Trying));
        assert!(!Filters::of("").asks_for(Status::Confirmed));
        assert!(Filters::of("status=all").asks_for(Status::Confirmed));
    }
}
