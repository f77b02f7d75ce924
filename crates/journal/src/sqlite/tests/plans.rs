//! How SQLite goes about the statements that run often: by index, whatever the number of rows.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, QuerySelect, QueryTrait, Statement};
use tercet_engine::{Change, HistoryEvent, Record, Weight};
use tercet_wire::{
    AuditPlace, AuditQuery, EventKind, GidPrefix, Incarnation, ListOrder, ListPlace, ListQuery,
    Pattern, Reason, Seq, Status, Wall,
};

use super::super::dialect::Sqlite;
use super::outsider;
use crate::batch_plan::deltas;
use crate::conformance::{Rig, Script, record, trying};
use crate::migrate_up;
use crate::sql::summary::LOOKED_AT;
use crate::sql::{Dialect, WriteKind, audit, list_query, read, summary, write_rows};

async fn plan(connection: &DatabaseConnection, statement: &Statement) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let values = statement.values.clone().map_or(Vec::new(), |values| values.0);
    let explain = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    let rows = connection.query_all_raw(explain).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", "detail").unwrap()).collect()
}

/// The statements that write these records, as one batch.
fn statements(records: &[Record]) -> Vec<(WriteKind, Statement)> {
    let (deltas, own) = (deltas(records).unwrap(), Incarnation(1));
    let kinds = [WriteKind::Begin].into_iter().chain(WriteKind::AFTER_BEGIN.iter().copied());
    let written = |kind| {
        write_rows(kind, &deltas, &[], own).map(|rows| (kind, Sqlite.write(kind, rows, own)))
    };
    kinds.filter_map(written).collect()
}

fn happened() -> Change {
    Change::History(HistoryEvent {
        number: 1,
        at: Wall(1),
        kind: EventKind::CallFailed,
        branch: None,
        op: None,
        attempt: None,
        detail: None,
    })
}

fn decided(count: u64) -> Vec<Record> {
    let decide = |number| {
        let spec = trying(&format!("tx-{number}"), number, 0);
        let decided = crate::conformance::finished(&spec, 1, 2)[1].clone();
        record(number, &spec, decided)
    };
    (1..=count).map(decide).collect()
}

#[tokio::test]
async fn guarded_updates_look_rows_up_by_gid() {
    let rig = Rig::on_sqlite();
    migrate_up(&rig.settings.database_url).await.unwrap();
    let outsider = outsider(&rig).await;
    for (count, kind) in [1, 2, 512]
        .into_iter()
        .flat_map(|count| [(count, WriteKind::Advance), (count, WriteKind::Stay)])
    {
        let mut records = decided(count);
        if kind == WriteKind::Stay {
            records.iter_mut().for_each(|record| record.change = happened());
        }
        let [(found, statement)] = &statements(&records)[..1] else { panic!("one at least") };
        assert_eq!(*found, kind);
        let plan = plan(&outsider, statement).await;
        let search = "SEARCH g USING INDEX sqlite_autoindex_global_transactions_1 (gid=?)";
        assert!(plan.iter().any(|step| step == search), "{plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN g")), "{plan:?}");
    }
}

#[tokio::test]
async fn unfinished_transactions_are_read_in_order_by_the_index_of_owners() {
    let rig = Rig::on_sqlite();
    migrate_up(&rig.settings.database_url).await.unwrap();
    let outsider = outsider(&rig).await;
    let index = "INDEX global_transactions_owner (owner=? AND gid>?)";
    for (of, how) in [
        (read::owned(Incarnation(1)), "USING COVERING"),
        // Its status is looked up for each of a page.
        (read::decided(Incarnation(1)), "USING"),
    ] {
        let page = read::gids(of, Some("a"), 500).build(DbBackend::Sqlite);
        let plan = plan(&outsider, &page).await;
        assert_eq!(plan, [format!("SEARCH global_transactions {how} {index}")]);
    }
}

#[tokio::test]
async fn what_there_is_is_counted_by_indexes_alone() {
    let rig = Rig::on_sqlite();
    migrate_up(&rig.settings.database_url).await.unwrap();
    let outsider = outsider(&rig).await;
    let index = "INDEX global_transactions_status";
    let oldest = |status| DbBackend::Sqlite.build(&summary::oldest(status));
    let of_status = format!("SEARCH global_transactions USING COVERING {index} (status=?)");
    // One gap between two words for each, and one at either end.
    let gaps = plan(&outsider, &DbBackend::Sqlite.build(&summary::of_no_status())).await;
    let by_range = |step: &&String| {
        step.contains(&format!("SEARCH global_transactions USING COVERING {index} (status"))
    };
    assert_eq!(gaps.iter().filter(by_range).count(), Status::ALL.len() + 1, "{gaps:?}");
    assert!(!gaps.iter().any(|step| step.contains("SCAN ")), "{gaps:?}");
    for (statement, expected) in [
        (summary::by_status(Status::ALL).build(DbBackend::Sqlite), of_status.clone()),
        (
            summary::owned().build(DbBackend::Sqlite),
            "SEARCH global_transactions USING COVERING INDEX global_transactions_owner (owner>?)"
                .to_owned(),
        ),
        (oldest(Status::Trying), of_status.clone()),
        (oldest(Status::Cancelling), of_status),
        (
            summary::parked(Status::Trying).build(DbBackend::Sqlite),
            format!("SEARCH global_transactions USING {index} (status=?)"),
        ),
    ] {
        assert_eq!(plan(&outsider, &statement).await, [expected]);
    }
}

/// Keeps P9.
#[tokio::test]
async fn so_many_messages_are_asked_whether_they_are_put_off() {
    let rig = Rig::on_sqlite();
    migrate_up(&rig.settings.database_url).await.unwrap();
    let outsider = outsider(&rig).await;
    // The first is begun at 1, the next at 2, … All are put off but the last.
    let numbers = |from: u64, to: u64| {
        format!(
            "WITH RECURSIVE n(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM n WHERE n < {to})"
        )
    };
    let columns = "gid, instance, pattern, status, owner, open, parked, created_at, deadline_at";
    let begin = |from: u64, to: u64| {
        format!(
            "INSERT INTO global_transactions ({columns}) {} SELECT 'g-' || n, 'i', 'tcc', \
             'confirming', 1, FALSE, FALSE, n, n FROM n",
            numbers(from, to)
        )
    };
    let put_off = format!(
        "INSERT INTO branch_options (gid, branch_id, options) {} SELECT 'g-' || n, 'b', \
         '{{\"confirm_after_ms\":1000}}' FROM n",
        numbers(1, LOOKED_AT - 1)
    );
    for sql in [&begin(1, LOOKED_AT), &put_off] {
        outsider.execute_unprepared(sql).await.unwrap();
    }
    let oldest = async || {
        let oldest = DbBackend::Sqlite.build(&summary::oldest(Status::Confirming));
        let row = outsider.query_one_raw(oldest).await.unwrap();
        row.map(|row| row.try_get_by_index::<i64>(0).unwrap())
    };
    assert_eq!(oldest().await, i64::try_from(LOOKED_AT).ok());
    // Behind one more it is not looked for.
    let one_more = [
        "UPDATE global_transactions SET created_at = created_at + 1",
        "INSERT INTO branch_options (gid, branch_id, options) VALUES \
         ('first', 'b', '{\"confirm_after_ms\":1000}')",
    ];
    for sql in one_more {
        outsider.execute_unprepared(sql).await.unwrap();
    }
    let first = format!(
        "INSERT INTO global_transactions ({columns}) VALUES ('first', 'i', 'tcc', 'confirming', 1, \
         FALSE, FALSE, 1, 1)"
    );
    outsider.execute_unprepared(&first).await.unwrap();
    assert_eq!(oldest().await, None);
}

#[tokio::test]
async fn the_audit_is_read_and_deleted_by_its_indexes() {
    let rig = Rig::on_sqlite();
    migrate_up(&rig.settings.database_url).await.unwrap();
    let outsider = outsider(&rig).await;
    let all =
        AuditQuery { who: None, gid: None, action: None, since: None, limit: 50, after: None };
    let id = "01980000-0000-7000-8000-000000000007".parse().unwrap();
    let after = Some(AuditPlace { at: Wall(5), id });
    let since = AuditQuery { since: Some(Wall(1)), after, ..all.clone() };
    let of_one = AuditQuery { gid: Some("a".parse().unwrap()), ..all.clone() };
    let select = |query: &AuditQuery| audit::conditions(query).limit(51).build(DbBackend::Sqlite);
    for (statement, expected) in [
        (select(&all), "SCAN audit USING INDEX audit_at"),
        (select(&since), "SEARCH audit USING INDEX audit_at (at>? AND at<?)"),
        (select(&of_one), "SEARCH audit USING INDEX audit_gid (gid=?)"),
        (
            audit::oldest(Wall(5), 500).build(DbBackend::Sqlite),
            "SEARCH audit USING COVERING INDEX audit_at (at<?)",
        ),
    ] {
        assert_eq!(plan(&outsider, &statement).await, [expected]);
    }
}

#[tokio::test]
async fn a_page_of_a_list_walks_one_index_and_sorts_nothing() {
    let rig = Rig::on_sqlite();
    migrate_up(&rig.settings.database_url).await.unwrap();
    let outsider = outsider(&rig).await;
    let all = ListQuery::all(50);
    let place = ListPlace { created_at: Wall(5), gid: "a".parse().unwrap() };
    let later =
        ListQuery { after: Some(place.clone()), created_after: Some(Wall(1)), ..all.clone() };
    let oldest = ListQuery { order: ListOrder::Oldest, after: Some(place.clone()), ..all.clone() };
    let sagas = ListQuery { pattern: Some(Pattern::Saga), ..all.clone() };
    let on = DbBackend::Sqlite;
    for (query, status, index) in [
        (&sagas, None, "global_transactions_sagas"),
        (&all, None, "global_transactions_created"),
        (&all, Some(Status::Trying), "global_transactions_status (status=?)"),
        (&later, None, "global_transactions_created (created_at>? AND created_at<?)"),
        (
            &later,
            Some(Status::Trying),
            "global_transactions_status (status=? AND created_at>? AND created_at<?)",
        ),
        (&oldest, None, "global_transactions_created (created_at>?)"),
        (&oldest, Some(Status::Trying), "global_transactions_status (status=? AND created_at>?)"),
    ] {
        let found = list_query::asked_for(on, query, status, None).limit(51).build(on);
        walks(&plan(&outsider, &found).await, &format!("USING INDEX {index}"));
        let place = list_query::place_after(on, query, status, 10_000).build(on);
        walks(&plan(&outsider, &place).await, &format!("USING COVERING INDEX {index}"));
    }
    // What no index has is looked for among the rows up to a place, in the same order.
    let until = ListPlace { created_at: Wall(2), gid: "b".parse().unwrap() };
    let prefix: GidPrefix = "order-".parse().unwrap();
    let reasons = vec![Reason::Deadline, Reason::Check];
    for unindexed in [
        ListQuery { open: Some(true), ..all.clone() },
        ListQuery { reasons, ..all.clone() },
        ListQuery { gid_prefix: Some(prefix.clone()), ..all.clone() },
        ListQuery { pattern: Some(Pattern::Tcc), ..all.clone() },
    ] {
        assert!(list_query::looks_through(on, &unindexed));
        let further = ListQuery { after: Some(place.clone()), ..unindexed.clone() };
        for (query, status, index) in [
            (&unindexed, None, "global_transactions_created (created_at>?)"),
            (&further, None, "global_transactions_created (created_at>? AND created_at<?)"),
            (
                &further,
                Some(Status::Cancelled),
                "global_transactions_status (status=? AND created_at>? AND created_at<?)",
            ),
        ] {
            let found = list_query::asked_for(on, query, status, Some(&until)).limit(51);
            walks(&plan(&outsider, &found.build(on)).await, &format!("USING INDEX {index}"));
        }
    }
    let by_key = "USING INDEX sqlite_autoindex_global_transactions_1";
    let of_prefix = list_query::of_prefix(&prefix, 10_001).build(on);
    walks(&plan(&outsider, &of_prefix).await, &format!("{by_key} (gid>? AND gid<?)"));
    let among = ["a", "b", "c"].into_iter();
    let among = list_query::among(&ListQuery { open: Some(true), ..all }, among).build(on);
    walks(&plan(&outsider, &among).await, &format!("{by_key} (gid=?)"));
}

/// It is one step, by this index.
fn walks(plan: &[String], index: &str) {
    assert!(matches!(plan, [step] if step.contains(index)), "{plan:?}, and not {index}");
}

#[tokio::test]
async fn a_batch_is_a_handful_of_statements_whatever_its_size() {
    let script = Script::of(17, 40, 400);
    let kinds: Vec<WriteKind> =
        statements(&script.records).into_iter().map(|(kind, _)| kind).collect();
    assert!(
        kinds.len() <= script.records.len() / 10,
        "{kinds:?} for {} records",
        script.records.len()
    );
    for kind in &kinds {
        let alike = kinds.iter().filter(|other| *other == kind).count();
        assert_eq!(alike, 1, "{kinds:?}");
    }
}

/// Keeps P9.
#[test]
fn no_record_binds_more_values_than_it_is_weighed_with() {
    let script = Script::of(19, 20, 400);
    for record in &script.records {
        let record = Record { seq: Seq(1), ..record.clone() };
        let records = [record];
        if deltas(&records).is_err() {
            continue;
        }
        let binds = |(_, statement): &(WriteKind, Statement)| {
            statement.values.as_ref().map_or(0, |values| values.0.len())
        };
        let bound: usize = statements(&records).iter().map(binds).sum();
        let weighed = Weight::of(&records[0]).binds;
        assert!(bound <= weighed, "{bound} bound, {weighed} weighed: {:?}", records[0].change);
    }
    let begun = trying("tx-1", 1, 0);
    assert_eq!(Weight::of(&record(1, &begun, Change::Begun(begun.clone()))).binds, 20 + 2 * 14);
}
