//! Rows that make no sense, and values the database will not take.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tercet_clock::Clock;
use tercet_engine::{
    Acted, BranchRecord, Change, Core, Engine, EngineSettings, HistoryEvent, Load, Record,
    StoredTransaction, read_page,
};
use tercet_wire::{
    AuditQuery, BranchStatus, Epoch, EventKind, Gid, Incarnation, ListOrder, ListQuery, Op, PerOp,
    Seq, Spec, Status, Wall,
};

use super::{open, outsider, run};
use crate::conformance::{Rig, Running, finished, record, tried, trying};
use crate::sql::retention::{due_for_pruning, due_for_purging};
use crate::store::PurgeLimits;
use crate::{JournalEvent, migrate_up};

async fn three(rig: &Rig) -> (Running, Vec<Arc<Spec>>) {
    let mut running = open(rig, rig.next_life()).await.unwrap();
    let specs: Vec<Arc<Spec>> =
        (1..=3).map(|number| trying(&format!("tx-{number}"), number, 0)).collect();
    let begins =
        (1..).zip(&specs).map(|(seq, spec)| record(seq, spec, Change::Begun(spec.clone())));
    running.write(begins.collect()).await;
    (running, specs)
}

/// Keeps P6.
#[tokio::test]
async fn a_row_that_makes_no_sense_does_not_keep_the_others_from_being_read() {
    let damages = [
        "UPDATE global_transactions SET status = 'exploded' WHERE gid = 'tx-2'",
        "UPDATE global_transactions SET instance = '?' WHERE gid = 'tx-2'",
        "UPDATE global_transactions SET created_at = 'noon' WHERE gid = 'tx-2'",
        "UPDATE global_transactions SET decided_at = 7 WHERE gid = 'tx-2'",
        "UPDATE branch_transactions SET confirm_url = 'no url' WHERE gid = 'tx-2'",
        "UPDATE branch_transactions SET headers = '[1]' WHERE gid = 'tx-2'",
        "UPDATE branch_transactions SET payload = x'ff' WHERE gid = 'tx-2'",
        "UPDATE branch_transactions SET position = -1 WHERE gid = 'tx-2'",
        "INSERT INTO branch_outcomes (gid, branch_id, status, try_attempts, confirm_attempts, \
         cancel_attempts, parked, resolved_as) VALUES ('tx-2', 'b0', 'tried', 1, 0, 0, 0, 'confirmed')",
        "INSERT INTO branch_outcomes (gid, branch_id, status, try_attempts, confirm_attempts, \
         cancel_attempts, parked, acknowledged_at) VALUES ('tx-2', 'b0', 'tried', 1, 0, 0, 0, 7)",
        "DELETE FROM global_details WHERE gid = 'tx-2'",
        "INSERT INTO branch_results (gid, branch_id, result, body_bytes) VALUES ('tx-2', 'b1', '{}', 2)",
    ];
    for damage in damages {
        let rig = Rig::on_sqlite();
        let (mut running, specs) = three(&rig).await;
        run(&outsider(&rig).await, damage).await;
        let read = running.journal.unfinished(None, 10).await.unwrap();
        let owner = Some(Incarnation(1));
        let expected = |spec: &Arc<Spec>| StoredTransaction {
            owner,
            ..StoredTransaction::begun(spec.clone())
        };
        assert_eq!(read.len(), 3, "{damage}");
        assert_eq!(read[0], Ok(expected(&specs[0])), "{damage}");
        assert_eq!(read[1].as_ref().unwrap_err().gid, specs[1].gid, "{damage}");
        assert_eq!(read[2], Ok(expected(&specs[2])), "{damage}");
        running.journal.load(specs.iter().map(|spec| spec.gid.clone()).collect());
        for spec in &specs {
            let loaded = match spec.gid.as_str() {
                "tx-2" => Load::Unreadable { why: read[1].as_ref().unwrap_err().why.clone() },
                _ => Load::Found(Box::new(expected(spec))),
            };
            assert_eq!(running.event().await, JournalEvent::Loaded(spec.gid.clone(), loaded));
        }
        // Its gid is taken all the same.
        let other = trying("tx-2", 9, 0);
        let told = running.write(vec![record(9, &other, Change::Begun(other.clone()))]).await;
        assert_eq!(told, [JournalEvent::Exists(other.gid.clone()), JournalEvent::Durable(Seq(9))]);
        let read = running.journal.unfinished(None, 10).await.unwrap();
        assert!(read[1].is_err(), "{damage}");
    }
}

/// What a value can be damaged to; what its column does not take stays as it is.
const DAMAGES: [&str; 7] =
    ["'junk'", "x'ff'", "CAST(x'ff' AS TEXT)", "-1", "9223372036854775807", "''", "NULL"];

/// All tables with their columns, as the database lists them.
async fn tables(connection: &DatabaseConnection) -> BTreeMap<String, Vec<String>> {
    let ask = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c \
               WHERE t.type = 'table' AND t.name NOT LIKE 'schema_%'";
    let ask = Statement::from_string(DbBackend::Sqlite, ask);
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in connection.query_all_raw(ask).await.unwrap() {
        let name = |place| row.try_get_by_index::<String>(place).unwrap();
        tables.entry(name(0)).or_default().push(name(1));
    }
    tables
}

/// A transaction that has a row in every table.
fn with_every_row(gid: &str, life: u64) -> impl Iterator<Item = Record> {
    let spec = trying(gid, life, 0);
    let happened = HistoryEvent {
        number: 1,
        at: Wall(1),
        kind: EventKind::CallFailed,
        branch: Some(spec.branches[0].id.clone()),
        op: Some(Op::Try.into()),
        attempt: Some(1),
        detail: Some("timeout".into()),
    };
    let outcome = BranchRecord {
        branch: spec.branches[0].id.clone(),
        status: BranchStatus::Registered,
        attempts: PerOp { try_: 1, confirm: 0, cancel: 0 },
        parked: false,
        last_error: Some("timeout".into()),
        answer: None,
        last_answer: None,
        resolved_as: None,
        pending_resolution: None,
        contradicted: false,
        acknowledged_at: None,
    };
    let act = crate::conformance::act(life, Wall(1), Some(&spec.gid));
    let changes = [
        Change::Begun(spec.clone()),
        Change::History(happened),
        Change::BranchRecord(outcome),
        tried("b1"),
        Change::Acted(Box::new(Acted { act, changes: Vec::new() })),
    ];
    (life * 10..).zip(changes).map(move |(seq, change)| record(seq, &spec, change))
}

/// Damages every value of a table, each in a transaction of its own. A node has one row, so
/// its values are damaged together: to the `round`th damage.
async fn damage(outsider: &DatabaseConnection, table: &str, columns: &[String], round: usize) {
    for (place, column) in columns.iter().enumerate() {
        for (number, damage) in DAMAGES.iter().enumerate() {
            let which = match table {
                "nodes" if number == round => "1".to_owned(),
                "nodes" => continue,
                _ => format!("gid = 'tx-{place}-{number}'"),
            };
            let damage = format!("UPDATE {table} SET {column} = {damage} WHERE {which}");
            // What its column does not take it refuses: then nothing is damaged.
            let _ = outsider.execute_unprepared(&damage).await;
        }
    }
}

/// As a node does when it starts.
async fn take_up(core: &mut Core, running: &Running, clock: &dyn Clock) {
    let mut after = None;
    loop {
        let page = read_page(running.journal.unfinished(after.as_ref(), 500).await.unwrap());
        for event in page.events {
            core.step(event, clock.now());
        }
        after = page.after;
        if after.is_none() {
            return;
        }
    }
}

/// Keeps P6.
#[tokio::test]
async fn whatever_value_is_damaged_everything_else_is_taken_up_listed_and_written() {
    let rig = Rig::on_sqlite();
    migrate_up(&rig.settings.database_url).await.unwrap();
    let tables = tables(&outsider(&rig).await).await;
    assert_eq!(tables.len(), 16, "{tables:?}");
    let sound = ["tx", "tx-5", "tx-9-9"];
    for (table, columns) in tables {
        let rounds = if table == "nodes" { DAMAGES.len() } else { 1 };
        for round in 0..rounds {
            let rig = Rig::on_sqlite();
            let mut running = open(&rig, rig.next_life()).await.unwrap();
            let damaged = (0..columns.len())
                .flat_map(|place| (0..DAMAGES.len()).map(move |n| format!("tx-{place}-{n}")));
            let damaged: Vec<String> = damaged.collect();
            let gids = sound.into_iter().chain(damaged.iter().map(String::as_str));
            let records = (1..).zip(gids).flat_map(|(life, gid)| with_every_row(gid, life));
            running.write(records.collect()).await;
            running.crash().await;
            let outsider = outsider(&rig).await;
            damage(&outsider, &table, &columns, round).await;

            let mut running = open(&rig, rig.next_life()).await.unwrap();
            let clock = Arc::clone(&rig.clock) as Arc<dyn Clock>;
            let engine = Engine::new(Epoch(1), EngineSettings::default());
            let mut core = Core::new(engine, Duration::from_secs(5));
            take_up(&mut core, &running, clock.as_ref()).await;
            let listed = running.journal.list(&everything()).await.unwrap();
            for gid in sound {
                let gid: Gid = gid.parse().unwrap();
                assert!(core.engine().transaction(&gid).is_some(), "{gid} with {table}");
                assert!(running.stored(&gid).await.is_some(), "{gid} with {table}");
                assert!(listed.items.iter().any(|item| item.gid == gid), "{gid} with {table}");
            }
            running.journal.summary(Wall(0)).await.unwrap();
            let of_one = AuditQuery {
                who: None,
                gid: Some("tx".parse().unwrap()),
                action: None,
                since: None,
                limit: 500,
                after: None,
            };
            let everybodys = AuditQuery { gid: None, ..of_one.clone() };
            running.journal.audit(&everybodys).await.unwrap();
            assert_eq!(running.journal.audit(&of_one).await.unwrap().items.len(), 1, "{table}");
            crate::sql::audit::due(&outsider, Wall::MAX, 50).await.unwrap();
            let most = PurgeLimits { transactions: 50, rows: 50 };
            due_for_pruning(&outsider, None, Wall::MAX, most).await.unwrap();
            due_for_purging(&outsider, Wall::MAX, most).await.unwrap();
            for gid in &damaged {
                running.journal.history(&gid.parse().unwrap(), 0, 10).await.unwrap();
            }
            let spec = trying("tx", 1, 0);
            let [_, decided, _] = finished(&spec, 1, 2).try_into().unwrap();
            let told = running.write(vec![record(1, &spec, decided)]).await;
            assert_eq!(told, [JournalEvent::Durable(Seq(1))], "{table}");
            running.journal.sweep(None);
            let JournalEvent::PageOfGids(page_of_gids) = running.event().await else {
                panic!("no sweep")
            };
            assert!(page_of_gids.contains(&spec.gid), "{page_of_gids:?} with {table}");
        }
    }
}

fn everything() -> ListQuery {
    ListQuery::all(1_000)
}

#[tokio::test]
async fn a_row_without_a_gid_ends_no_page_early() {
    let rig = Rig::on_sqlite();
    let (running, specs) = three(&rig).await;
    let damage = "UPDATE global_transactions SET gid = '!' WHERE gid = 'tx-2'";
    run(&outsider(&rig).await, damage).await;
    let gids: Vec<_> =
        running.unfinished(1).await.into_iter().map(|stored| stored.spec.gid.clone()).collect();
    assert_eq!(gids, [specs[0].gid.clone(), specs[2].gid.clone()]);
}

#[tokio::test]
async fn a_row_without_a_gid_keeps_no_walk_of_the_retention_from_its_end() {
    let rig = Rig::on_sqlite();
    let (_running, _) = three(&rig).await;
    let connection = outsider(&rig).await;
    run(&connection, "UPDATE global_transactions SET gid = '!' WHERE gid = 'tx-3'").await;
    for transactions in 1..=3 {
        let mut after = None;
        let mut steps = 0;
        loop {
            let most = PurgeLimits { transactions, rows: 100 };
            let walked =
                due_for_pruning(&connection, after.as_ref(), Wall::MAX, most).await.unwrap();
            steps += 1;
            if !walked.more {
                break;
            }
            assert!(
                steps < 10 && walked.reached > after,
                "{transactions} at a time, from {after:?}"
            );
            after = walked.reached;
        }
    }
}

#[tokio::test]
async fn what_the_database_will_never_take_is_set_aside_alone() {
    let rig = Rig::on_sqlite();
    let (mut running, specs) = three(&rig).await;
    let line = HistoryEvent {
        number: 1,
        at: Wall(1),
        kind: EventKind::Parked,
        branch: None,
        op: None,
        attempt: None,
        detail: None,
    };
    let happened = |seq, spec: &Arc<Spec>| record(seq, spec, Change::History(line.clone()));
    let mut records: Vec<Record> =
        (4..).zip(&specs).map(|(seq, spec)| happened(seq, spec)).collect();
    // The same line twice.
    records.push(happened(7, &specs[1]));
    let told = running.write(records).await;
    assert!(told.contains(&JournalEvent::Quarantined(specs[1].gid.clone())), "{told:?}");
    assert_eq!(told.last(), Some(&JournalEvent::Durable(Seq(7))));
    for (place, lines) in [(0, 1), (1, 0), (2, 1)] {
        let stored = running.stored(&specs[place].gid).await.unwrap();
        // Of the one quarantined the first line may have been written, if halving parted the two.
        assert!(stored.history.len() == lines || place == 1, "{stored:?}");
    }
}

/// What a list gives, all its pages by `limit`.
async fn listed(running: &Running, query: ListQuery) -> Vec<String> {
    let mut gids: Vec<String> = Vec::new();
    let mut query = query;
    for _ in 0..50 {
        let page = running.journal.list(&query).await.unwrap();
        assert!(page.items.len() <= usize::try_from(query.limit).unwrap());
        gids.extend(page.items.into_iter().map(|item| item.gid.as_str().to_owned()));
        match page.next_cursor {
            Some(cursor) => query.after = Some(query.place(&cursor).unwrap()),
            None => return gids,
        }
    }
    panic!("the list has no end: {gids:?}");
}

/// Keeps P6.
#[tokio::test]
async fn a_damaged_row_ends_no_list_early() {
    let damages = [
        "status = 'exploded'",
        "status = x'ff'",
        "instance = x'ff'",
        "open = 'junk'",
        "created_at = 'noon'",
        "gid = '!'",
        "gid = x'ff'",
        "gid = CAST(x'ff' AS TEXT)",
    ];
    for damage in damages {
        for place in 1..=6 {
            let rig = Rig::on_sqlite();
            let mut running = open(&rig, rig.next_life()).await.unwrap();
            // Two of each number begin at one moment.
            let specs: Vec<Arc<Spec>> = (1..=6)
                .map(|number| {
                    trying(&format!("tx-{number}"), number, i64::try_from(number / 2).unwrap())
                })
                .collect();
            let mut records = Vec::new();
            for (seq, spec) in (1..).zip(&specs) {
                records.push(record(seq, spec, Change::Begun(spec.clone())));
            }
            for (seq, spec) in (10..).zip(&specs).step_by(2) {
                let [_, decided, _] = finished(spec, 10, 11).try_into().unwrap();
                records.push(record(seq, spec, decided));
            }
            running.write(records).await;
            let damage =
                format!("UPDATE global_transactions SET {damage} WHERE gid = 'tx-{place}'");
            run(&outsider(&rig).await, &damage).await;
            let sound: Vec<String> =
                (1..=6).rev().filter(|n| *n != place).map(|n| format!("tx-{n}")).collect();
            for limit in 1..=3 {
                let by_status = ListQuery {
                    statuses: vec![Status::Trying, Status::Confirming],
                    limit,
                    ..everything()
                };
                assert_eq!(listed(&running, by_status).await, sound, "{damage}, by {limit}");
                let all = ListQuery { limit, ..everything() };
                assert_eq!(listed(&running, all.clone()).await, sound, "{damage}, by {limit}");
                let oldest = ListQuery { order: ListOrder::Oldest, ..all.clone() };
                let backwards: Vec<String> = sound.iter().rev().cloned().collect();
                assert_eq!(listed(&running, oldest).await, backwards, "{damage}, by {limit}");
                // By the key, and where that finds too many.
                let prefix = Some("tx-".parse().unwrap());
                let by_prefix = ListQuery { gid_prefix: prefix, ..all };
                for looks_at in [1, 2, 100] {
                    let by_prefix = ListQuery { looks_at, ..by_prefix.clone() };
                    let found = listed(&running, by_prefix).await;
                    assert_eq!(found, sound, "{damage}, by {limit}, {looks_at} at a time");
                }
            }
        }
    }
}

/// Keeps P6.
#[tokio::test]
async fn pages_that_are_damaged_in_part_or_as_a_whole_leave_out_nothing_else() {
    let rig = Rig::on_sqlite();
    let mut running = open(&rig, rig.next_life()).await.unwrap();
    let specs: Vec<Arc<Spec>> =
        (11..=22).map(|number| trying(&format!("tx-{number}"), number, 0)).collect();
    let mut records = Vec::new();
    for (seq, spec) in (1..).zip(&specs) {
        records.push(record(seq, spec, Change::Begun(spec.clone())));
    }
    // The oldest are of another status.
    for (seq, spec) in (20..).zip(&specs[..3]) {
        let [_, decided, _] = finished(spec, 10, 11).try_into().unwrap();
        records.push(record(seq, spec, decided));
    }
    running.write(records).await;
    let damage = "UPDATE global_transactions SET gid = gid || '!' \
                  WHERE gid IN ('tx-22', 'tx-21', 'tx-18', 'tx-17', 'tx-16', 'tx-15')";
    run(&outsider(&rig).await, damage).await;
    let sound = ["tx-20", "tx-19", "tx-14", "tx-13", "tx-12", "tx-11"];
    for limit in 1..=6 {
        let all = ListQuery { limit, ..everything() };
        assert_eq!(listed(&running, all.clone()).await, sound, "by {limit}");
        let statuses = vec![Status::Trying, Status::Confirming];
        let by_status = ListQuery { statuses, ..all };
        assert_eq!(listed(&running, by_status).await, sound, "by {limit}");
    }
}
