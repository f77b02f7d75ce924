//! Makes one alert of what happens at one participant within a second, and one in a minute where it
//! goes on: when a participant refuses everything, thousands of branches are parked one after the
//! other, and people need to hear it once, and then how many there are by now.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tercet_wire::{Mono, Now};

use super::body::{Body, Item, Kind};

/// How many of what an alert is about are told one by one.
const ITEMS: usize = 20;
/// Participants whose news is gathered at a time; that of all others goes into one alert.
const PARTICIPANTS: usize = 100;
/// The least time between two alerts of one kind and participant. After so long without news the
/// count begins anew.
const EVERY: Duration = Duration::from_secs(60);
/// Alerts that wait to be put into the queue; the task takes them at once.
const READY: usize = 1_000;

/// News that is not in an alert yet.
#[derive(Debug)]
pub(super) struct Grouping {
    /// How long it is gathered.
    group_wait: Duration,
    groups: BTreeMap<(Kind, Option<String>), Group>,
    /// What is not gathered: it was already.
    ready: VecDeque<(Mono, Body)>,
}

#[derive(Debug)]
struct Group {
    /// When the first of what is not told yet happened; none, if all is told.
    began: Option<Now>,
    /// When it is told, or when all is forgotten.
    due: Mono,
    /// All there were, with those that are told.
    count: u64,
    items: Vec<Item>,
}

impl Grouping {
    pub(super) fn new(group_wait: Duration) -> Self {
        Self { group_wait, groups: BTreeMap::new(), ready: VecDeque::new() }
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
            Group { began: Some(now), due, count: 0, items: Vec::new() }
        });
        group.began.get_or_insert(now);
        group.count += 1;
        if group.items.len() < ITEMS {
            group.items.push(item);
        }
        is_first
    }

    /// Adds what is told as it is: it was gathered already, or is rare.
    pub(super) fn add_ready(&mut self, body: Body, now: Now) {
        if self.ready.len() >= READY {
            self.ready.pop_front();
        }
        self.ready.push_back((now.mono, body));
    }

    /// The alerts whose time has come, each with when the first of it happened.
    pub(super) fn take_due(&mut self, now: Mono) -> Vec<(Mono, Body)> {
        let mut alerts: Vec<(Mono, Body)> = self.ready.drain(..).collect();
        self.groups.retain(|(kind, participant), group| {
            if group.due > now {
                return true;
            }
            let Some(began) = group.began.take() else { return false };
            let items = std::mem::take(&mut group.items);
            let body = Body::new(*kind, began.wall, participant.clone(), group.count, items);
            alerts.push((began.mono, body));
            group.due = now.after(EVERY);
            true
        });
        alerts
    }

    /// When the next alert is due.
    pub(super) fn next_due(&self) -> Option<Mono> {
        let ready = self.ready.front().map(|(at, _)| *at);
        ready.into_iter().chain(self.groups.values().map(|group| group.due)).min()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tercet_wire::{Op, Wall};

    use super::*;
    use crate::alerts::news::{NodeReport, OutageReport, ParkedBranch, Quarantined};

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
            branch: "payment".parse().ok(),
            participant: participant.to_owned(),
            op: Op::Confirm.into(),
            attempts: 3,
            last_error: Some("answered 404".to_owned()),
            last_answer: None,
            parked_at: Wall(1_763_640_000_000),
            trace_id: None,
        })
    }

    fn due(grouping: &mut Grouping, ms: u64) -> Vec<Value> {
        let bodies = grouping.take_due(Mono(ms)).into_iter();
        bodies.map(|(_, body)| serde_json::to_value(body).expect("JSON")).collect()
    }

    /// Keeps P9.
    #[test]
    fn what_happens_to_nodes_is_told_at_once_and_says_what_to_do() {
        let mut grouping = Grouping::new(Duration::from_secs(1));
        let report = || NodeReport { node: "node-1".to_owned(), why: "it was silent".to_owned() };
        let now = at(3_000);
        for kind in [Kind::NodeFenced, Kind::DatabaseWentBack] {
            grouping.add_ready(Body::of_node(kind, now.wall, report()), now);
        }
        grouping.add_ready(Body::of_orphans(now.wall, 7), now);
        let told = due(&mut grouping, 3_000);
        let kinds: Vec<&Value> = told.iter().map(|alert| &alert["type"]).collect();
        assert_eq!(kinds, ["node.fenced", "database.went-back", "transactions.orphaned"]);
        assert_eq!(told[0]["data"]["node"], "node-1", "{told:?}");
        assert_eq!(told[0]["data"]["why"], "it was silent", "{told:?}");
        assert_eq!(told[2]["data"]["count"], 7, "{told:?}");
        assert!(told.iter().all(|alert| alert["data"]["what_to_do"].is_string()), "{told:?}");
    }

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
    }

    /// Keeps P9.
    #[test]
    fn what_goes_on_is_told_once_a_minute_with_growing_counts() {
        let mut grouping = Grouping::new(Duration::from_secs(1));
        let mut counts = Vec::new();
        for second in 0..180 {
            grouping.add(Kind::Parked, parked("pay:80", second), at(second * 1_000));
            let alerts = due(&mut grouping, second * 1_000).into_iter();
            counts.extend(alerts.map(|alert| alert["data"]["count"].as_u64()));
        }
        assert_eq!(counts, [Some(2), Some(62), Some(122)]);
        // What has come since is told too, and after a minute without news all is forgotten.
        assert_eq!(due(&mut grouping, 181_000).len(), 1);
        assert_eq!(grouping.next_due(), Some(Mono(241_000)));
        assert_eq!((due(&mut grouping, 241_000).len(), grouping.next_due()), (0, None));
        assert!(grouping.add(Kind::Parked, parked("pay:80", 9), at(250_000)), "it begins anew");
    }

    #[test]
    fn an_outage_is_told_at_once_with_what_waits_and_its_end_with_when_that_was() {
        let mut grouping = Grouping::new(Duration::from_secs(1));
        let report = OutageReport {
            participant: "pay:80".to_owned(),
            since: Wall(1_763_640_000_000),
            until: None,
            waiting: 60,
            parked: 4,
            last_error: Some("connection refused".to_owned()),
            reminder: Some(0),
        };
        let now = at(3_000);
        grouping.add_ready(Body::of_outage(Kind::Unreachable, now.wall, report.clone()), now);
        let (until, reminder) = (Some(at(9_000).wall), None);
        let over = OutageReport { until, reminder, waiting: 0, ..report };
        let ended = at(9_000);
        let timestamp = until.unwrap_or_default();
        grouping.add_ready(Body::of_outage(Kind::Reachable, timestamp, over), ended);
        let alerts = due(&mut grouping, 9_000);
        let kinds: Vec<&Value> = alerts.iter().map(|alert| &alert["type"]).collect();
        assert_eq!(kinds, ["participant.unreachable", "participant.reachable"]);
        assert_eq!(alerts[0]["timestamp"], "2025-11-20T12:00:03.000Z");
        let data = &alerts[0]["data"];
        assert_eq!((&data["participant"], &data["waiting"]), (&json!("pay:80"), &json!(60)));
        assert_eq!((&data["parked"], &data["reminder"]), (&json!(4), &json!(0)));
        assert_eq!(data["since"], "2025-11-20T12:00:00.000Z");
        assert_eq!(
            (&data["last_error"], &data["until"]),
            (&json!("connection refused"), &Value::Null)
        );
        assert_eq!(alerts[1]["data"]["until"], "2025-11-20T12:00:09.000Z");
        assert_eq!(alerts[1]["data"].get("reminder"), None);
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
        let quarantined =
            Quarantined { gid: "order-3".parse().expect("a gid"), why: "panic".to_owned() };
        grouping.add(Kind::Quarantined, Item::Transaction(quarantined), at(0));
        let alerts = due(&mut grouping, 0);
        let kinds: Vec<&Value> = alerts.iter().map(|alert| &alert["type"]).collect();
        assert_eq!(kinds, ["branches.parked", "transactions.quarantined"]);
        let items = &alerts[1]["data"]["items"];
        assert_eq!(items, &json!([{ "gid": "order-3", "why": "panic" }]));
        assert!(alerts.iter().all(|alert| alert["data"]["what_to_do"].is_string()));
    }
}
