//! Plans that were made while the tables were small are kept when they have grown.

use sea_orm::ConnectionTrait;

use super::super::dialect::PostgresDialect;
use super::writer;
use crate::batch_plan::deltas;
use crate::conformance::{Rig, finished, record, trying};
use crate::migrate_up;
use crate::shared::Session;
use crate::sql::{Dialect, Field, WriteKind, write_rows};
use tercet_wire::Incarnation;

#[tokio::test]
async fn a_batch_finds_its_rows_by_their_keys_however_many_there_are() {
    let rig = Rig::on_postgres();
    rig.server().make().await;
    migrate_up(&rig.settings.database_url).await.unwrap();
    let mut session = writer(&rig).await;
    let spec = trying("tx-1", 1, 0);
    let records = [record(1, &spec, finished(&spec, 1, 2)[1].clone())];
    let deltas = deltas(&records).unwrap();
    let rows = write_rows(WriteKind::Advance, &deltas, &[], Incarnation(1)).unwrap();
    let advance = PostgresDialect.write(WriteKind::Advance, rows, Incarnation(1));
    session.batch("SET plan_cache_mode = force_generic_plan".to_owned()).await.unwrap();
    // Prepared while there is nothing in the table.
    let types = "text[], text[], text[], text[], text[], bool[], bigint[], bigint[], bigint";
    session.batch(format!("PREPARE advance ({types}) AS {}", advance.sql)).await.unwrap();
    let outsider = rig.server().outsider().await;
    let many = "INSERT INTO global_transactions (gid, instance, pattern, status, owner, open, \
                parked, created_at, deadline_at) SELECT 'g-' || n, 'i', 'tcc', 'trying', 1, \
                FALSE, FALSE, n, n FROM generate_series(1, 150000) AS n";
    for filled in [false, true] {
        if filled {
            outsider.execute_unprepared(many).await.unwrap();
        }
        // Parameters may not be asked for by a query, so they are spelt out.
        let all = |of: &dyn Fn(u32) -> String| {
            let values: Vec<String> = (1..=256).map(of).collect();
            format!("ARRAY[{}]::text[]", values.join(","))
        };
        let gids = all(&|number| format!("'g-{number}'"));
        let instances = all(&|_| "'i'".to_owned());
        let none = all(&|_| "NULL".to_owned());
        let explain = format!(
            "EXPLAIN EXECUTE advance ({gids}, {instances}, {none}, {none}, {none}, NULL, NULL, NULL, 1)"
        );
        let mut plan = Vec::new();
        for row in sqlx::raw_sql(sqlx::AssertSqlSafe(explain))
            .fetch_all(&mut session.connection)
            .await
            .unwrap()
        {
            plan.push(sqlx::Row::get::<String, _>(&row, 0));
        }
        let plan = plan.join("\n");
        assert!(plan.contains("Index Scan using global_transactions_pkey"), "{plan}");
        assert!(!plan.contains("Seq Scan on global_transactions"), "{plan}");
    }
    let found = session.value("SELECT COUNT(*) FROM global_transactions").await.unwrap();
    assert_eq!(found, Some(Field::Integer(150_000)));
}
