//! Makes one alert of what happens at one participant within a second: when a participant
//! dies, thousands of branches are parked together, and people need to hear it once.

use std::collections::BTreeMap;
use std::time::Duration;

use tercet_wire::{Mono, Now};

use super::body::{Body, Item, Kind};

/// How many of what an alert is about are told one by one.
const ITEMS: usize = 20;
/// Participants whose news is gathered at a time; that of all others goes into one alert.
const PARTICIPANTS: usize = 100;

/// News that is not in an alert yet.
#[derive(Debug)]
pub(super) struct Grouping {
    /// How long it is gathered.
    group_wait: Duration,
    groups: BTreeMap<(Kind, Option<String>), Group>,
}

#[derive(Debug)]
struct Group {
    began: Now,
    due: Mono,
    count: u64,
    items: Vec<Item>,
}

impl Grouping {
    pub(super) fn new(group_wait: Duration) -> Self {
        Self { group_wait, groups: BTreeMap::new() }
    }

    /// Adds one piece of news. Says whether it is the first of its kind and participant, so
    /// that somebody must look when it is due.
    pub(super) fn add(&mut self, kind: Kind, item: Item, now: Now) -> bool {
        let participant = match &item {
            Item::Branch(branch) => Some(branch.participant.clone()),
            Item::Transaction(_) => None,
        };
        let mut key = (kind, participant);
        if !self.groups.contains_key(&key) && self.groups.len() >= PARTICIPANTS {
            key.1 = None;
        }
        let mut is_first = false;
        let group = self.groups.entry(key).or_insert_with(|| {
            is_first = true;
            let due = now.mono.after(self.group_wait);
            Group { began: now, due, count: 0, items: Vec::new() }
        });
        group.count += 1;
        if group.items.len() < ITEMS {
            group.items.push(item);
        }
        is_first
    }

    /// The alerts whose time has come, each with when the first of it happened.
    pub(super) fn take_due(&mut self, now: Mono) -> Vec<(Mono, Body)> {
        let due = self.groups.extract_if(.., |_, group| group.due <= now);
        let body = |((kind, participant), group): ((Kind, Option<String>), Group)| {
            let Group { began, count, items, .. } = group;
            (began.mono, Body::new(kind, began.wall, participant, count, items))
        };
        due.map(body).collect()
    }

    /// When the next alert is due.
    pub(super) fn next_due(&self) -> Option<Mono> {
        self.groups.values().map(|group| group.due).min()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tercet_wire::{Op, Wall};

    use super::*;
    use crate::alerts::news::{ParkedBranch, Quarantined};

    fn at(ms: u64) -> Now {
        Now {
            mono: Mono(ms),
            wall: Wall(1_763_640_000_000).after(Duration::from_millis(ms)),
            entropy: 0,
        }
    }

    fn parked(participant: &str, number: u64) -> Item {
        Item::Branch(ParkedBranch {
            gid: format!("order-{number}").parse().expect("a gid"),
            instance: "01980000-0000-7000-8000-000000000001".parse().expect("a UUID"),
            branch: "payment".parse().expect("an id"),
            participant: participant.to_owned(),
            op: Op::Confirm,
            attempts: 3,
            last_error: Some("answered 404".to_owned()),
            parked_at: Some(Wall(1_763_640_000_000)),
        })
    }

    fn due(grouping: &mut Grouping, ms: u64) -> Vec<Value> {
        let bodies = grouping.take_due(Mono(ms)).into_iter();
        bodies.map(|(_, body)| serde_json::to_value(body).expect("JSON")).collect()
    }

    /// Keeps P9.
    #[test]
    fn what_is_parked_at_one_participant_within_a_second_is_one_alert() {
        let mut grouping = Grouping::new(Duration::from_secs(1));
        for number in 0..5_000 {
            let is_first = grouping.add(Kind::Parked, parked("pay:80", number), at(number / 10));
            assert_eq!(is_first, number == 0);
        }
        grouping.add(Kind::Parked, parked("stock:80", 1), at(600));
        assert_eq!(grouping.next_due(), Some(Mono(1_000)));
        assert_eq!(due(&mut grouping, 999), Vec::<Value>::new());
        let alerts = due(&mut grouping, 1_000);
        assert_eq!(alerts.len(), 1, "the other participant's second is not over");
        let data = &alerts[0]["data"];
        assert_eq!(alerts[0]["type"], "branches.parked");
        assert_eq!(alerts[0]["timestamp"], "2025-11-20T12:00:00.000Z");
        assert_eq!((&data["participant"], &data["count"]), (&json!("pay:80"), &json!(5_000)));
        assert_eq!(data["items"].as_array().map(Vec::len), Some(20));
        assert_eq!(data["items"][0]["gid"], "order-0");
        assert_eq!(due(&mut grouping, 1_600).len(), 1);
        assert_eq!(grouping.next_due(), None);
        assert!(grouping.add(Kind::Parked, parked("pay:80", 9), at(1_700)), "a new second");
    }

    #[test]
    fn news_of_more_participants_than_are_kept_apart_is_told_together() {
        let mut grouping = Grouping::new(Duration::ZERO);
        for number in 0..1_000 {
            grouping.add(Kind::Parked, parked(&format!("h{number}:80"), number), at(0));
        }
        let alerts = due(&mut grouping, 0);
        assert_eq!(alerts.len(), PARTICIPANTS + 1);
        let rest = &alerts[0]["data"];
        assert_eq!((&rest["participant"], &rest["count"]), (&Value::Null, &json!(900)));
        assert_eq!(rest["items"][0]["participant"], "h100:80");
    }

    #[test]
    fn kinds_are_told_apart_and_each_says_what_to_do() {
        let mut grouping = Grouping::new(Duration::ZERO);
        grouping.add(Kind::Parked, parked("pay:80", 1), at(0));
        grouping.add(Kind::FoundParked, parked("pay:80", 2), at(0));
        let quarantined =
            Quarantined { gid: "order-3".parse().expect("a gid"), why: "panic".to_owned() };
        grouping.add(Kind::Quarantined, Item::Transaction(quarantined), at(0));
        let alerts = due(&mut grouping, 0);
        let kinds: Vec<&Value> = alerts.iter().map(|alert| &alert["type"]).collect();
        assert_eq!(kinds, ["branches.parked", "branches.parked", "transactions.quarantined"]);
        let found: Vec<&Value> = alerts.iter().map(|a| &a["data"]["found_at_start"]).collect();
        assert_eq!(found, [&Value::Null, &json!(true), &Value::Null]);
        let items = &alerts[2]["data"]["items"];
        assert_eq!(items, &json!([{ "gid": "order-3", "why": "panic" }]));
        assert!(alerts.iter().all(|alert| alert["data"]["what_to_do"].is_string()));
    }
}
