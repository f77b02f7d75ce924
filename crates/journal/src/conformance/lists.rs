//! Lists say what there is, in their order, page by page.

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{Change, Decided, Decision, HistoryEvent, Record};
use tercet_wire::{
    EventKind, GidPrefix, ListOrder, ListQuery, MetadataFilter, Pattern, Reason, Status,
    SummaryView, Wall,
};

use super::rig::{Running, patiently};
use crate::JournalError;

use super::{Rig, finished, on_each_store, open_transaction, record, trying};

on_each_store!(
    every_filter_holds_and_the_newest_come_first,
    a_prefix_is_compared_by_byte,
    a_page_looks_through_so_many_and_says_where_to_go_on,
    pages_follow_each_other_without_gaps,
    a_summary_says_what_the_transaction_is,
    history_is_read_from_any_line_on,
    no_more_are_read_at_once_than_may_be,
    one_that_does_not_come_in_time_is_given_up_and_said_so,
);

fn all() -> ListQuery {
    ListQuery::all(50)
}

fn prefix(text: &str) -> Option<GidPrefix> {
    Some(text.parse().unwrap())
}

fn says(key: &str, value: &str) -> MetadataFilter {
    MetadataFilter { key: key.to_owned(), value: value.to_owned() }
}

fn cancel(at: i64) -> Change {
    let detail = Some(Arc::from("changed my mind"));
    let decision = Decision::Cancel { reason: Reason::Requested, detail };
    Change::Decided(Decided { at: Wall(at), decision })
}

/// `trying-1` at 1 000 to `trying-3` at 3 000, `confirmed-4` at 4 000, `cancelling-5`, parked,
/// and `open-6`, both at 5 000.
async fn populated(rig: &Rig) -> Running {
    let mut running = rig.open().await;
    let mut changes = Vec::new();
    for number in 1..=3 {
        let at = i64::try_from(number).unwrap() * 1_000;
        let spec = trying(&format!("trying-{number}"), number, at);
        changes.push((spec.clone(), vec![Change::Begun(spec)]));
    }
    let spec = trying("confirmed-4", 4, 4_000);
    changes.push((spec.clone(), finished(&spec, 4_100, 4_200)));
    let spec = trying("cancelling-5", 5, 5_000);
    changes.push((spec.clone(), vec![Change::Begun(spec), cancel(5_100), Change::Parked(true)]));
    let spec = open_transaction("open-6", 6, 5_000);
    changes.push((spec.clone(), vec![Change::Begun(spec)]));
    let changes = changes.iter().flat_map(|(spec, changes)| changes.iter().map(move |c| (spec, c)));
    let records: Vec<Record> =
        (1..).zip(changes).map(|(seq, (spec, change))| record(seq, spec, change.clone())).collect();
    running.write(records).await;
    running
}

async fn gids(running: &Running, query: &ListQuery) -> Vec<String> {
    let page = running.journal.list(query).await.unwrap();
    page.items.iter().map(|item| item.gid.to_string()).collect()
}

async fn every_filter_holds_and_the_newest_come_first(rig: Rig) {
    let running = populated(&rig).await;
    let participant = |name: &str| Some(name.to_owned());
    let everything = ["open-6", "cancelling-5", "confirmed-4", "trying-3", "trying-2", "trying-1"];
    let table: &[(ListQuery, &[&str])] = &[
        (all(), &everything),
        (ListQuery { limit: 2, ..all() }, &everything[..2]),
        (ListQuery { created_after: Some(Wall(4_000)), ..all() }, &everything[..3]),
        (ListQuery { created_before: Some(Wall(4_000)), ..all() }, &everything[3..]),
        (
            ListQuery { statuses: vec![Status::Cancelling, Status::Confirmed], ..all() },
            &["cancelling-5", "confirmed-4"],
        ),
        (
            ListQuery {
                statuses: vec![Status::Trying],
                created_after: Some(Wall(2_000)),
                created_before: Some(Wall(5_000)),
                ..all()
            },
            &["trying-3", "trying-2"],
        ),
        (ListQuery { statuses: vec![Status::Cancelled], ..all() }, &[]),
        (ListQuery { pattern: Some(Pattern::Tcc), limit: 50, ..all() }, &everything),
        (ListQuery { pattern: Some(Pattern::Saga), ..all() }, &[]),
        (ListQuery { parked: true, ..all() }, &["cancelling-5"]),
        (ListQuery { parked: true, statuses: vec![Status::Trying], ..all() }, &[]),
        // The confirmed one has such a branch too, and has finished.
        (
            ListQuery { participant: participant("[::1]:7302"), limit: 2, ..all() },
            &["cancelling-5", "trying-3"],
        ),
        (ListQuery { participant: participant("127.0.0.1:9"), ..all() }, &[]),
        (ListQuery { open: Some(true), ..all() }, &["open-6"]),
        (ListQuery { open: Some(false), ..all() }, &everything[1..]),
        (ListQuery { reasons: vec![Reason::Requested], ..all() }, &["cancelling-5"]),
        (ListQuery { reasons: vec![Reason::Check, Reason::Requested], ..all() }, &["cancelling-5"]),
        (ListQuery { reasons: vec![Reason::Deadline], ..all() }, &[]),
        (
            ListQuery {
                reasons: vec![Reason::Requested],
                statuses: vec![Status::Confirmed],
                ..all()
            },
            &[],
        ),
        (ListQuery { gid_prefix: prefix("trying-"), ..all() }, &everything[3..]),
        (ListQuery { gid_prefix: prefix("Trying-"), ..all() }, &[]),
        (ListQuery { gid_prefix: prefix("trying-2"), ..all() }, &["trying-2"]),
        (ListQuery { gid_prefix: prefix("trying-22"), ..all() }, &[]),
        (
            ListQuery { gid_prefix: prefix("c"), statuses: vec![Status::Cancelling], ..all() },
            &["cancelling-5"],
        ),
        (
            ListQuery {
                gid_prefix: prefix("trying-"),
                created_after: Some(Wall(2_000)),
                pattern: Some(Pattern::Tcc),
                order: ListOrder::Oldest,
                ..all()
            },
            &["trying-2", "trying-3"],
        ),
        // The open one has no metadata.
        (ListQuery { metadata: vec![says("channel", "web")], ..all() }, &everything[1..]),
        (ListQuery { metadata: vec![says("channel", "Web")], ..all() }, &[]),
        (ListQuery { metadata: vec![says("channel", "web"), says("shop", "x")], ..all() }, &[]),
        (
            ListQuery {
                metadata: vec![says("channel", "web")],
                gid_prefix: prefix("trying-"),
                limit: 2,
                ..all()
            },
            &everything[3..5],
        ),
    ];
    for (query, expected) in table {
        assert_eq!(gids(&running, query).await, *expected, "{query:?}");
        // The whole list the other way round.
        if query.limit == 50 && query.order == ListOrder::Newest {
            let query = ListQuery { order: ListOrder::Oldest, ..query.clone() };
            let expected: Vec<&str> = expected.iter().rev().copied().collect();
            assert_eq!(gids(&running, &query).await, expected, "{query:?}");
        }
    }
}

/// A gid is compared by byte: neither by the letters of some language, nor with any that stand for
/// others.
async fn a_prefix_is_compared_by_byte(rig: Rig) {
    let mut running = rig.open().await;
    let gids = ["Ab", "a-b", "a.b", "aB", "a_b", "ab", "ab:z", "abz", "ac", "b"];
    let records = (1..).zip(gids).map(|(number, gid)| {
        let spec = trying(gid, number, 0);
        record(number, &spec, Change::Begun(spec.clone()))
    });
    running.write(records.collect()).await;
    let table: &[(&str, &[&str])] = &[
        ("a", &["a-b", "a.b", "aB", "a_b", "ab", "ab:z", "abz", "ac"]),
        ("A", &["Ab"]),
        ("a_", &["a_b"]),
        ("a.", &["a.b"]),
        ("ab", &["ab", "ab:z", "abz"]),
        ("abz", &["abz"]),
        ("z", &[]),
        ("-", &[]),
    ];
    for (begins, expected) in table {
        // By the key; and where it finds too many, among those that are walked.
        for looks_at in [100, 1] {
            let query = ListQuery {
                gid_prefix: prefix(begins),
                order: ListOrder::Oldest,
                looks_at,
                ..all()
            };
            assert_eq!(walk(&running, query).await, *expected, "{begins}, by {looks_at}");
        }
    }
}

/// All pages of a list.
async fn walk(running: &Running, mut query: ListQuery) -> Vec<String> {
    let mut seen = Vec::new();
    for _ in 0..50 {
        let page = running.journal.list(&query).await.unwrap();
        assert!(page.items.len() <= usize::try_from(query.limit).unwrap());
        seen.extend(page.items.into_iter().map(|item| item.gid.to_string()));
        match page.next_cursor {
            Some(cursor) => query.after = Some(query.place(&cursor).unwrap()),
            None => return seen,
        }
    }
    panic!("the list has no end: {seen:?}");
}

/// Keeps P9.
async fn a_page_looks_through_so_many_and_says_where_to_go_on(rig: Rig) {
    let running = populated(&rig).await;
    let unindexed = |looks_at| {
        [
            ListQuery { open: Some(false), looks_at, ..all() },
            ListQuery { gid_prefix: prefix("trying-"), looks_at, ..all() },
            ListQuery { metadata: vec![says("channel", "web")], looks_at, ..all() },
            ListQuery {
                metadata: vec![says("channel", "web")],
                statuses: vec![Status::Trying],
                looks_at,
                ..all()
            },
            ListQuery { reasons: vec![Reason::Requested], looks_at, ..all() },
        ]
    };
    for looks_at in 1..=6 {
        for (query, whole) in unindexed(looks_at).into_iter().zip(unindexed(1_000)) {
            for (order, limit) in
                [ListOrder::Newest, ListOrder::Oldest].into_iter().flat_map(|o| [(o, 1), (o, 50)])
            {
                let whole = gids(&running, &ListQuery { order, ..whole.clone() }).await;
                let query = ListQuery { order, limit, ..query.clone() };
                assert_eq!(walk(&running, query.clone()).await, whole, "{query:?}");
            }
        }
    }
    // The newest is open: nothing is found among so few, and the list is not at its end.
    let query = ListQuery { open: Some(false), looks_at: 1, ..all() };
    let page = running.journal.list(&query).await.unwrap();
    assert!(page.items.is_empty() && page.next_cursor.is_some(), "{page:?}");
}

async fn pages_follow_each_other_without_gaps(rig: Rig) {
    let running = populated(&rig).await;
    let statuses = [vec![], vec![Status::Trying, Status::Cancelling, Status::Confirmed]];
    for (limit, statuses) in (1..=7).flat_map(|limit| statuses.iter().map(move |s| (limit, s))) {
        let mut query = ListQuery { limit, statuses: statuses.clone(), ..all() };
        let expected = gids(&running, &ListQuery { limit: 50, ..query.clone() }).await;
        assert_eq!(expected.len(), 6);
        let mut seen = Vec::new();
        loop {
            let page = running.journal.list(&query).await.unwrap();
            seen.extend(page.items.iter().map(|item| item.gid.to_string()));
            assert!(seen.len() <= expected.len(), "{seen:?}");
            match page.next_cursor {
                None => break,
                Some(cursor) => query.after = Some(query.place(&cursor).unwrap()),
            }
            assert_eq!(page.items.len(), usize::try_from(limit).unwrap());
        }
        assert_eq!(seen, expected, "limit {limit}");
    }
}

async fn a_summary_says_what_the_transaction_is(rig: Rig) {
    let running = populated(&rig).await;
    let page = running.journal.list(&all()).await.unwrap();
    let spec = trying("cancelling-5", 5, 5_000);
    let expected = SummaryView {
        check: None,
        saga: None,
        gid: spec.gid.clone(),
        instance: spec.instance,
        pattern: spec.pattern,
        status: Status::Cancelling,
        open: false,
        reason: Some(Reason::Requested),
        reason_detail: Some("changed my mind".to_owned()),
        parked: true,
        created_at: Wall(5_000),
        deadline_at: Wall(35_000),
        decided_at: Some(Wall(5_100)),
        finished_at: None,
        mixed: false,
        held: false,
        metadata: Some(serde_json::json!({"channel": "web"})),
        branch_count: Some(2),
    };
    assert_eq!(page.items[1], expected);
    let open = &page.items[0];
    assert_eq!((open.open, &open.metadata, open.branch_count), (true, &None, Some(0)));
    let confirmed = &page.items[2];
    assert_eq!((confirmed.reason, confirmed.finished_at), (None, Some(Wall(4_200))));
}

async fn history_is_read_from_any_line_on(rig: Rig) {
    let mut running = rig.open().await;
    let spec = trying("tx-1", 1, 0);
    let happening = |number| HistoryEvent {
        number,
        at: Wall(i64::from(number)),
        kind: EventKind::CallFailed,
        branch: None,
        op: None,
        attempt: None,
        detail: None,
    };
    let lines = (1..=9).map(|number| Change::History(happening(number)));
    let changes = std::iter::once(Change::Begun(spec.clone())).chain(lines);
    running
        .write((1..).zip(changes).map(|(seq, change)| record(seq, &spec, change)).collect())
        .await;
    for (after, limit, expected) in [(0, 3, 1..=3), (3, 100, 4..=9), (8, 1, 9..=9)] {
        let read = running.journal.history(&spec.gid, after, limit).await.unwrap();
        assert_eq!(read, expected.map(happening).collect::<Vec<_>>());
    }
    assert_eq!(running.journal.history(&spec.gid, 9, 10).await.unwrap(), []);
    assert_eq!(running.journal.history(&"nobody".parse().unwrap(), 0, 10).await.unwrap(), []);
}

/// Keeps P9.
async fn no_more_are_read_at_once_than_may_be(mut rig: Rig) {
    rig.settings.read_connections = 2;
    let running = rig.open().await;
    running.faults.stall_look_ups();
    let list = || {
        let journal = running.journal.clone();
        tokio::spawn(async move { journal.list(&all()).await.map(|page| page.items.len()) })
    };
    let first = [list(), list()];
    running.faults.until_look_ups_wait(2).await;
    let third = list();
    // It gets its turn, and gets no further than to wait for one of the others.
    tokio::task::yield_now().await;
    assert_eq!(running.faults.look_ups_waiting(), 2);
    running.faults.release_look_ups();
    for listed in first.into_iter().chain([third]) {
        assert_eq!(listed.await.unwrap().unwrap(), 0);
    }
}

/// Keeps P9.
async fn one_that_does_not_come_in_time_is_given_up_and_said_so(mut rig: Rig) {
    rig.settings.read_within = Duration::from_millis(50);
    let running = rig.open().await;
    running.faults.stall_look_ups();
    let listed = patiently(running.journal.list(&all())).await;
    assert!(matches!(listed, Err(JournalError::TooSlow { .. })), "{listed:?}");
    running.faults.release_look_ups();
    // On a busy machine one may be late, but not one after the other.
    let read = async {
        loop {
            match running.journal.list(&all()).await {
                Err(JournalError::TooSlow { .. }) => {}
                read => return read,
            }
        }
    };
    patiently(read).await.unwrap();
}
