//! What a take-over and what lists ask goes by keys and indexes, however many transactions there
//! are: asked on sessions as those that ask it, with so many rows that whoever walks them all is seen
//! by it.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, QuerySelect, QueryTrait, Statement};
use tercet_engine::{Chunk, MOST_IN_CHUNK};
use tercet_wire::{
    Gid, GidPrefix, Incarnation, ListOrder, ListPlace, ListQuery, Reason, Status, Wall,
};

use super::{number, on_each_server, run};
use crate::conformance::{Engine, Rig};
use crate::migrate_up;
use crate::mysql::MySql;
use crate::postgres::Postgres;
use crate::shared::{Address, Server, Session};
use crate::sql::{Field, SharedDialect, list_query, read, summary};
use crate::store::NOBODY;

on_each_server!(what_is_asked_often_goes_by_indexes_however_many_rows);

const OWN: Incarnation = Incarnation(8);
const DEAD: Incarnation = Incarnation(7);
const ROWS: u32 = 150_000;

/// A page of a take-over's search.
const PAGE: u32 = 500;

/// Of five one has finished and is nobody's, two are this life's, and two the dead one's, of which one
/// is decided.
fn many(on: DbBackend) -> String {
    let columns = "gid, instance, pattern, status, owner, open, parked, created_at, deadline_at";
    let padded =
        if on == DbBackend::Postgres { "lpad(n::text, 7, '0')" } else { "LPAD(n, 7, '0')" };
    let row = format!(
        "CONCAT('g-', {padded}), 'i', 'tcc', \
         CASE n % 5 WHEN 0 THEN 'confirmed' WHEN 1 THEN 'trying' WHEN 2 THEN 'trying' \
         ELSE 'confirming' END, \
         CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN 7 WHEN 3 THEN 7 ELSE 8 END, FALSE, FALSE, n, n"
    );
    let from = Engine::of(on).numbers(ROWS);
    format!("INSERT INTO global_transactions ({columns}) SELECT {row} FROM {from}")
}

/// Of those that are being confirmed some are put off; where nobody has options a plan says nothing.
fn put_off(on: DbBackend) -> String {
    let padded =
        if on == DbBackend::Postgres { "lpad(n::text, 7, '0')" } else { "LPAD(n, 7, '0')" };
    let from = Engine::of(on).numbers(ROWS);
    format!(
        "INSERT INTO branch_options (gid, branch_id, options) SELECT CONCAT('g-', {padded}), 'b', \
         '{{\"confirm_after_ms\":1000}}' FROM {from} WHERE n % 50 = 3"
    )
}

/// A chunk in the middle of the table.
fn chunk(dead: Incarnation) -> Chunk {
    let gids = (0..).map(|place| 70_001 + place * 5).take(MOST_IN_CHUNK);
    let gids: Vec<Gid> = gids.map(|n| format!("g-{n:07}").parse().unwrap()).collect();
    Chunk { number: 1, written_at: Wall(1), dead, gids }
}

async fn what_is_asked_often_goes_by_indexes_however_many_rows(rig: Rig) {
    rig.server().make().await;
    migrate_up(&rig.settings.database_url).await.unwrap();
    let outsider = rig.server().outsider().await;
    run(&outsider, &many(outsider.get_database_backend())).await;
    run(&outsider, &put_off(outsider.get_database_backend())).await;
    assert_eq!(
        number(&outsider, "SELECT COUNT(*) FROM global_transactions").await,
        i64::from(ROWS)
    );
    match outsider.get_database_backend() {
        DbBackend::Postgres => {
            // Until it has counted them it takes the rows for few: then it looks at them all for where a
            // walk of ten thousand ends, and for some hundreds by their keys.
            plans::<Postgres>(&rig, Counted::NotYet).await;
            run(&outsider, "ANALYZE global_transactions").await;
            plans::<Postgres>(&rig, Counted::Yes).await;
        }
        _ => {
            plans::<MySql>(&rig, Counted::Yes).await;
            run(&outsider, "ANALYZE TABLE global_transactions").await;
            plans::<MySql>(&rig, Counted::Yes).await;
        }
    }
}

/// Whether the server knows how many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    NotYet,
    Yes,
}

/// Looks at every plan.
async fn plans<S: Server>(rig: &Rig, counted: Counted) {
    let at = Address::parse(&rig.settings.database_url, S::FORM).unwrap();
    let readers = S::readers(&at, 1).unwrap();
    let on = readers.get_database_backend();
    let mut writer = S::connect(&at).await.unwrap();
    S::prepare_writer(&mut writer).await.unwrap();
    for dead in [DEAD, NOBODY] {
        let chunk = chunk(dead);
        let written = [S::DIALECT.take(OWN, &chunk), S::DIALECT.taken(OWN, &chunk.gids)];
        for mut statement in written {
            statement.sql = format!("EXPLAIN {}", statement.sql);
            let rows = writer.query(&statement).await.unwrap();
            let plan: Vec<String> = rows.into_iter().map(|row| line(&row)).collect();
            goes_by_an_index(on, &statement, &plan);
        }
    }
    writer.end().await;
    // Of nobody's no page is asked for unless there are any.
    let page = |undecided, after| read::gids(read::driven(DEAD, undecided), after, PAGE).build(on);
    let mut asked = vec![S::DIALECT.unowned()];
    for after in [None, Some("g-0070000")] {
        for undecided in [false, true] {
            asked.push(page(undecided, after));
        }
    }
    asked.extend([None, Some(NOBODY), Some(DEAD)].map(|after| read::next_owner(after).build(on)));
    asked.extend(lists(on, counted));
    // For the whole of what there is, the oldest that waits is looked for.
    asked.push(on.build(&summary::oldest(Status::Confirming)));
    for mut statement in asked {
        statement.sql = format!("EXPLAIN {}", statement.sql);
        let plan = explained(&readers, &statement).await;
        goes_by_an_index(on, &statement, &plan);
    }
    readers.close().await.unwrap();
}

/// What lists ask, of all and of each status that most have.
fn lists(on: DbBackend, counted: Counted) -> Vec<Statement> {
    let gid = |n: u32| format!("g-{n:07}").parse::<Gid>().unwrap();
    let place = |n: u32| ListPlace { created_at: Wall(n.into()), gid: gid(n) };
    let all = || ListQuery { after: Some(place(120_000)), ..ListQuery::all(50) };
    let oldest = ListQuery { order: ListOrder::Oldest, after: Some(place(30_000)), ..all() };
    let prefix: GidPrefix = "g-00".parse().unwrap();
    let mut asked = Vec::new();
    for status in [None, Some(Status::Trying), Some(Status::Confirmed)] {
        for query in [all(), oldest.clone()] {
            asked.push(list_query::asked_for(on, &query, status, None).limit(51));
            if counted == Counted::Yes {
                asked.push(list_query::place_after(on, &query, status, 10_000));
            }
        }
        for query in [
            ListQuery { open: Some(true), ..all() },
            ListQuery { reasons: vec![Reason::Deadline], ..all() },
            ListQuery { gid_prefix: Some(prefix.clone()), ..all() },
        ] {
            let until = place(if status.is_none() { 110_000 } else { 70_000 });
            asked.push(list_query::asked_for(on, &query, status, Some(&until)).limit(51));
        }
    }
    asked.push(list_query::of_prefix(&prefix, 10_001));
    if counted == Counted::Yes {
        let gids: Vec<Gid> = (0..500).map(|n| gid(70_001 + n * 7)).collect();
        let open = ListQuery { open: Some(true), ..all() };
        asked.push(list_query::among(&open, gids.iter().map(Gid::as_str)));
    }
    asked.into_iter().map(|select| select.build(on)).collect()
}

/// What the writer's session says of a step of the plan.
fn line(row: &[Field]) -> String {
    let words = row.iter().map(|field| match field {
        Field::Integer(number) => number.to_string(),
        Field::Text(text) => text.clone(),
        Field::Other => "-".to_owned(),
    });
    words.collect::<Vec<_>>().join(" | ")
}

/// The same of a reader's.
async fn explained(readers: &DatabaseConnection, statement: &Statement) -> Vec<String> {
    let rows = readers.query_all_raw(statement.clone()).await.unwrap();
    let columns = ["id", "select_type", "table", "type", "possible_keys", "key"];
    let line = |row: &sea_orm::QueryResult| match readers.get_database_backend() {
        DbBackend::Postgres => row.try_get_by_index::<String>(0).unwrap(),
        _ => {
            let words = columns.iter().map(|column| {
                let text = row.try_get::<Option<String>>("", column);
                text.ok().flatten().unwrap_or_else(|| "-".to_owned())
            });
            words.collect::<Vec<_>>().join(" | ")
        }
    };
    rows.iter().map(line).collect()
}

/// Neither the table nor all of an index is walked.
fn goes_by_an_index(on: DbBackend, statement: &Statement, plan: &[String]) {
    let shown = format!("{}\n{}", statement.sql, plan.join("\n"));
    assert!(!plan.is_empty(), "no plan of {shown}");
    let of_options =
        ["Seq Scan on branch_options", "| branch_options | ALL |", "| branch_options | index |"];
    for scan in Engine::of(on).full_scans().iter().chain(&of_options) {
        assert!(!shown.contains(scan), "{scan}: {shown}");
    }
}
