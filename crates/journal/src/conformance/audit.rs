//! What operators did is there when what it changed is, and not before; it is found, paged through, and
//! kept as long as it should be.

use std::sync::Arc;

use tercet_engine::{Act, Acted, BranchRecord, Change, Record, Urgency};
use tercet_wire::{
    Action, AuditEntryView, AuditQuery, BranchStatus, PerOp, ResolvedAs, Seq, Spec, Wall,
};

use super::retention::{DAY, sweep};
use super::script::acts;
use super::{Fault, Rig, Running, Script, act, finished, on_each_store, patiently, record, trying};
use crate::settings::Retention;
use crate::{JournalError, JournalEvent};

on_each_store!(
    an_act_is_written_with_all_that_it_changed,
    a_fault_at_any_step_neither_loses_nor_doubles_an_act,
    an_act_of_no_transaction_is_durable_when_it_is_told,
    an_act_whose_effect_is_refused_has_no_row,
    an_act_of_a_life_whose_gid_is_taken_has_no_row,
    the_audit_comes_newest_first_and_each_filter_holds,
    pages_of_the_audit_follow_each_other_without_gaps,
    the_audit_is_kept_for_its_time_whatever_becomes_of_transactions,
    what_is_too_old_goes_in_many_steps_of_few_rows,
);

fn all() -> AuditQuery {
    AuditQuery { who: None, gid: None, action: None, since: None, limit: 500, after: None }
}

/// All rows, newest first, however many pages there are.
async fn rows(running: &Running) -> Vec<AuditEntryView> {
    let (mut query, mut rows) = (all(), Vec::new());
    loop {
        let page = running.journal.audit(&query).await.unwrap();
        rows.extend(page.items);
        match page.next_cursor {
            Some(cursor) => query.after = Some(query.place(&cursor).unwrap()),
            None => return rows,
        }
    }
}

/// As they should be found.
fn newest_first<'a>(acts: impl IntoIterator<Item = &'a Act>) -> Vec<AuditEntryView> {
    let mut rows: Vec<AuditEntryView> = acts.into_iter().map(AuditEntryView::from).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.at, row.id)));
    rows
}

fn resolved(spec: &Spec) -> Acted {
    let act = Act {
        action: Action::Resolve,
        branch: Some("b0".parse().unwrap()),
        note: Some("ticket \"1\" – \u{1F600}".into()),
        detail: "{\"as\":\"confirmed\"}".into(),
        ..act(1, Wall(70), Some(&spec.gid))
    };
    let row = BranchRecord {
        branch: "b0".parse().unwrap(),
        status: BranchStatus::Confirmed,
        attempts: PerOp::default(),
        parked: false,
        last_error: None,
        answer: None,
        last_answer: None,
        resolved_as: Some(ResolvedAs::Confirmed),
        pending_resolution: None,
        contradicted: false,
        acknowledged_at: Some(Wall(70)),
    };
    Acted { act, changes: vec![Change::BranchRecord(row), Change::Parked(true)] }
}

fn acted(acted: &Acted) -> Change {
    Change::Acted(Box::new(acted.clone()))
}

/// Begun and decided, so that a branch of it may be resolved.
fn decided(spec: &Arc<Spec>) -> Vec<Record> {
    let changes = finished(spec, 50, 60).into_iter().take(2);
    (1..).zip(changes).map(|(seq, change)| record(seq, spec, change)).collect()
}

async fn an_act_is_written_with_all_that_it_changed(rig: Rig) {
    let mut running = rig.open().await;
    let spec = trying("tx-1", 1, 40);
    running.write(decided(&spec)).await;
    assert_eq!(rows(&running).await, []);
    let resolved = resolved(&spec);
    running.write(vec![record(3, &spec, acted(&resolved))]).await;
    let stored = running.stored(&spec.gid).await.unwrap();
    let branch = &stored.branch_records[0];
    assert_eq!((branch.resolved_as, stored.parked), (Some(ResolvedAs::Confirmed), true));
    assert_eq!(rows(&running).await, newest_first([&resolved.act]));
    let row = serde_json::to_value(&rows(&running).await[0]).unwrap();
    let expected = serde_json::json!({
        "id": resolved.act.id.to_string(), "at": "1970-01-01T00:00:00.070Z", "who": "who-1",
        "role": "operator", "action": "resolve", "gid": "tx-1", "branch": "b0",
        "note": "ticket \"1\" – \u{1F600}", "detail": { "as": "confirmed" },
    });
    assert_eq!(row, expected);
    // One that found nothing to be changed is written all the same.
    let idle = Acted { act: act(2, Wall(80), Some(&spec.gid)), changes: Vec::new() };
    running.write(vec![record(4, &spec, acted(&idle))]).await;
    assert_eq!(rows(&running).await, newest_first([&idle.act, &resolved.act]));
    running.crash().await;
    // Whoever comes next finds them.
    let running = rig.open().await;
    assert_eq!(rows(&running).await, newest_first([&idle.act, &resolved.act]));
}

/// Keeps exactly-once.
async fn a_fault_at_any_step_neither_loses_nor_doubles_an_act(rig: Rig) {
    let script = Script::of(17, 4, 90);
    let of_script = acts(&script.records);
    assert!(of_script.len() > 5, "the script has {} acts", of_script.len());
    let mut running = rig.open().await;
    let mut own = Vec::new();
    for (step, records) in script.records.chunks(3).enumerate() {
        let faults = match step % 3 {
            0 => vec![Fault::Before],
            1 => vec![Fault::After],
            _ => vec![Fault::CutAfter(u32::try_from(step).unwrap())],
        };
        running.faults.then(&faults);
        running.write(records.to_vec()).await;
        running.faults.then(&faults);
        let act = act(10_000 + u64::try_from(step).unwrap(), Wall(5_000), None);
        patiently(running.journal.act(act.clone())).await.unwrap();
        own.push(act);
    }
    assert_eq!(rows(&running).await, newest_first(of_script.into_iter().chain(&own)));
    for (gid, expected) in script.after(90) {
        assert_eq!(running.stored(&gid).await, Some(expected));
    }
}

async fn an_act_of_no_transaction_is_durable_when_it_is_told(rig: Rig) {
    let running = rig.open().await;
    running.faults.stall();
    let act = act(1, Wall(5), None);
    let writing = {
        let (journal, act) = (running.journal.clone(), act.clone());
        tokio::spawn(async move { journal.act(act).await })
    };
    running.faults.until_stalled().await;
    assert!(!writing.is_finished());
    assert_eq!(rows(&running).await, []);
    running.faults.release();
    patiently(writing).await.unwrap().unwrap();
    assert_eq!(rows(&running).await, newest_first([&act]));
    // Nobody could write it after the end.
    let journal = running.journal.clone();
    running.crash().await;
    let refused = patiently(journal.act(act)).await;
    assert!(matches!(refused, Err(JournalError::Closed)), "{refused:?}");
}

async fn an_act_whose_effect_is_refused_has_no_row(rig: Rig) {
    let mut running = rig.open().await;
    let (spec, other) = (trying("tx-1", 1, 40), trying("tx-2", 2, 40));
    let mut begun = decided(&spec);
    begun.push(record(3, &other, Change::Begun(other.clone())));
    running.write(begun).await;
    // It is confirming, so that this does not fit.
    let late = Change::Registered(other.branches[0].clone());
    let wrong = Acted { act: act(1, Wall(70), Some(&spec.gid)), changes: vec![late] };
    let right = Acted { act: act(2, Wall(71), Some(&other.gid)), changes: Vec::new() };
    let told = running
        .write(vec![record(4, &spec, acted(&wrong)), record(5, &other, acted(&right))])
        .await;
    assert!(told.contains(&JournalEvent::Quarantined(spec.gid.clone())), "{told:?}");
    assert_eq!(rows(&running).await, newest_first([&right.act]));
}

async fn an_act_of_a_life_whose_gid_is_taken_has_no_row(rig: Rig) {
    let mut running = rig.open().await;
    let (first, other) = (trying("tx-1", 1, 40), trying("tx-1", 2, 41));
    running.write(vec![record(1, &first, Change::Begun(first.clone()))]).await;
    let acted = Change::Acted(Box::new(Acted {
        act: act(1, Wall(70), Some(&other.gid)),
        changes: Vec::new(),
    }));
    let begun = record(2, &other, Change::Begun(other.clone()));
    let told = running.write(vec![begun, record(3, &other, acted)]).await;
    assert_eq!(told[0], JournalEvent::Exists(other.gid.clone()));
    assert_eq!(rows(&running).await, []);
}

/// Ten acts, of three people and three transactions, in pairs of the same moment.
async fn populated(rig: &Rig) -> (Running, Vec<Act>) {
    let running = rig.open().await;
    let mut all = Vec::new();
    for number in 0..10 {
        let action = match number % 3 {
            0 => Action::Retry,
            1 => Action::Resolve,
            _ => Action::RetryAll,
        };
        let gid = (action != Action::RetryAll).then(|| format!("tx-{}", number % 2));
        let gid = gid.map(|gid| gid.parse().unwrap());
        let at = Wall(1_000 + i64::try_from(number / 2).unwrap());
        // A name with capitals, and one that is the first's but for a letter's case.
        let who = ["alice", "Alice", "bob \u{1F600}"][usize::try_from(number % 3).unwrap()];
        let act = Act { action, who: who.into(), ..act(number, at, gid.as_ref()) };
        patiently(running.journal.act(act.clone())).await.unwrap();
        all.push(act);
    }
    (running, all)
}

async fn the_audit_comes_newest_first_and_each_filter_holds(rig: Rig) {
    let (running, acts) = populated(&rig).await;
    let who = |who: &str| AuditQuery { who: Some(who.to_owned()), ..all() };
    let gid = |gid: &str| AuditQuery { gid: Some(gid.parse().unwrap()), ..all() };
    let since = |since: i64| AuditQuery { since: Some(Wall(since)), ..all() };
    let of = |action: Action| AuditQuery { action: Some(action), ..all() };
    let resolved = AuditQuery { since: Some(Wall(1_002)), ..of(Action::Resolve) };
    let both = AuditQuery { who: Some("alice".to_owned()), ..gid("tx-0") };
    let table: [(AuditQuery, &[usize]); 11] = [
        (all(), &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (who("alice"), &[9, 6, 3, 0]),
        (who("Alice"), &[7, 4, 1]),
        (who("bob \u{1F600}"), &[8, 5, 2]),
        (who("bo"), &[]),
        (gid("tx-0"), &[6, 4, 0]),
        (gid("tx-1"), &[9, 7, 3, 1]),
        (since(1_003), &[9, 8, 7, 6]),
        (of(Action::RetryAll), &[8, 5, 2]),
        (resolved, &[7, 4]),
        (both, &[6, 0]),
    ];
    for (query, expected) in table {
        let page = running.journal.audit(&query).await.unwrap();
        let expected = expected.iter().map(|number| &acts[*number]);
        assert_eq!(page.items, newest_first(expected), "{query:?}");
        assert_eq!(page.next_cursor, None);
    }
}

async fn pages_of_the_audit_follow_each_other_without_gaps(rig: Rig) {
    let (running, acts) = populated(&rig).await;
    let filtered = AuditQuery { who: Some("alice".to_owned()), ..all() };
    for (query, expected) in [(all(), (0..10).collect()), (filtered, vec![0, 3, 6, 9])] {
        for limit in 1..=11 {
            let mut query = AuditQuery { limit, ..query.clone() };
            let mut seen = Vec::new();
            loop {
                let page = running.journal.audit(&query).await.unwrap();
                seen.extend(page.items);
                let Some(cursor) = page.next_cursor else { break };
                assert!(seen.len() < expected.len(), "limit {limit}: {seen:?}");
                assert_eq!(seen.len() % usize::try_from(limit).unwrap(), 0);
                query.after = Some(query.place(&cursor).unwrap());
            }
            let expected = newest_first(expected.iter().map(|number: &usize| &acts[*number]));
            assert_eq!(seen, expected, "limit {limit}");
        }
    }
}

/// Keeps P9.
async fn the_audit_is_kept_for_its_time_whatever_becomes_of_transactions(rig: Rig) {
    let mut running = rig.open().await;
    let spec = trying("tx-1", 1, DAY - 10);
    let mut records = Vec::new();
    let act = act(1, Wall(DAY), Some(&spec.gid));
    let retried = acted(&Acted { act: act.clone(), changes: Vec::new() });
    let mut changes = finished(&spec, DAY - 5, DAY);
    changes.insert(2, retried);
    records.extend((1..).zip(changes).map(|(seq, change)| record(seq, &spec, change)));
    running.write(records).await;
    running.crash().await;
    for (days, kept) in [(32, true), (366, true), (367, false)] {
        sweep(&rig, Retention::default(), days * DAY).await;
        let mut running = rig.open().await;
        assert_eq!(running.stored(&spec.gid).await, None, "its transaction is forgotten");
        let expected = if kept { newest_first([&act]) } else { Vec::new() };
        assert_eq!(rows(&running).await, expected, "after {days} days");
        running.crash().await;
    }
}

async fn what_is_too_old_goes_in_many_steps_of_few_rows(rig: Rig) {
    let mut running = rig.open().await;
    let spec = trying("tx-1", 1, 40);
    running.write(vec![record(1, &spec, Change::Begun(spec.clone()))]).await;
    let retried = |number: u64| {
        let at = Wall(i64::try_from(number).unwrap());
        let acted = Acted { act: act(number, at, Some(&spec.gid)), changes: Vec::new() };
        record(number, &spec, Change::Acted(Box::new(acted)))
    };
    running.journal.append((2..=1_500).map(retried).collect(), Urgency::Now);
    running.until_durable(Seq(1_500)).await;
    running.crash().await;
    let store = rig.only_store().await;
    let due = store.audit_due(Wall(1_400), 500).await.unwrap();
    assert_eq!((due.ids.len(), due.oldest, due.more), (500, Some(Wall(2)), true));
    store.close().await;
    sweep(&rig, Retention::default(), 365 * DAY + 1_400).await;
    let running = rig.open().await;
    let left = rows(&running).await;
    assert_eq!(left.len(), 101);
    assert_eq!(left.last().unwrap().at, Wall(1_400));
}
