//! docs/guard-sql.md, followed to the letter: the very statements that stand there, beside the SDK's own
//! guard on the same table.

use std::collections::BTreeMap;
use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
};
use tercet_participant::Op::{self, Cancel, Confirm, Try};
use tercet_participant::{Action, Arrival, Recorded, State, decide};
use tokio::task::JoinSet;

use crate::database::Database;
use crate::service::{LIFE, Service};

/// Lets a guard of the page and one of the SDK answer the calls of the same branches.
pub(crate) async fn what_the_page_says_in_sql_is_a_guard(database: &Database) {
    let page = Arc::new(Page::open(database).await);
    let service = Arc::new(Service::start(database, 4).await);

    assert_eq!(page.call("a", Try).await, "run");
    assert_eq!(page.call("a", Try).await, "repeat");
    assert_eq!(service.usual("a", Try).await.words(), "200 tried again");
    assert_eq!(service.usual("a", Confirm).await.words(), "200 confirmed");
    assert_eq!(page.call("a", Confirm).await, "repeat");
    assert_eq!(page.call("b", Cancel).await, "record");
    assert_eq!(service.usual("b", Try).await.words(), "409 branch-cancelled");
    assert_eq!(service.usual("c", Try).await.words(), "200 tried");
    assert_eq!(page.call("c", Cancel).await, "run");
    assert_eq!(page.call("c", Try).await, "409");
    assert_eq!(page.call("d", Confirm).await, "410");

    for race in 0..50 {
        let gid = format!("race-{race}");
        let mut calls = JoinSet::new();
        for op in [Try, Cancel] {
            let (page, service, gid) = (Arc::clone(&page), Arc::clone(&service), gid.clone());
            if (race % 2 == 0) == (op == Try) {
                calls.spawn(async move { page.call(&gid, op).await });
            } else {
                calls.spawn(async move { service.usual(&gid, op).await.words() });
            }
        }
        let mut answers = calls.join_all().await;
        answers.sort();
        let sound = [
            ["200 cancelled", "409"],
            ["200 cancelled", "run"],
            ["409 branch-cancelled", "record"],
            ["200 tried", "run"],
        ];
        assert!(sound.iter().any(|sound| *sound == answers[..]), "{gid}: {answers:?}");
    }

    page.purge().await;
}

/// The statements of the page for one database, by the names that stand above them.
struct Page {
    db: DatabaseConnection,
    statements: BTreeMap<&'static str, &'static str>,
}

impl Page {
    async fn open(database: &Database) -> Self {
        let page = include_str!("../../../../docs/guard-sql.md");
        let db = database.connect(2).await;
        let chapter = match db.get_database_backend() {
            DbBackend::Postgres => "\n## PostgreSQL",
            DbBackend::MySql => "\n## MySQL",
            _ => "\n## SQLite",
        };
        let chapter = page.split_once(chapter).expect("a chapter").1;
        let block =
            chapter.split_once("```sql\n").expect("SQL").1.split_once("```").expect("end").0;
        let statements = block.split("-- ").skip(1).map(|part| {
            let (name, sql) = part.split_once('\n').expect("a name on a line of its own");
            (name, sql.trim().trim_end_matches(';'))
        });
        let page = Self { db, statements: statements.collect() };
        for name in ["create", "create the index", "create the results"] {
            if let Some(sql) = page.statements.get(name) {
                page.db.execute_unprepared(sql).await.expect(name);
            }
        }
        page
    }

    /// A statement of the page with its names replaced by this database's placeholders.
    fn statement(&self, name: &str, values: &[(&str, Value)]) -> Statement {
        let backend = self.db.get_database_backend();
        let (mut sql, mut bound) = (String::new(), Vec::new());
        let mut parts = self.statements[name].split(':');
        sql.push_str(parts.next().expect("text"));
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let (value, rest) = part.split_at(end.unwrap_or(part.len()));
            let (_, value) = values.iter().find(|(known, _)| *known == value).expect(value);
            bound.push(value.clone());
            match backend {
                DbBackend::Postgres => sql.push_str(&format!("${}", bound.len())),
                _ => sql.push('?'),
            }
            sql.push_str(rest);
        }
        Statement::from_sql_and_values(backend, sql, bound)
    }

    async fn unprepared(&self, db: &DatabaseTransaction, name: &str) {
        if let Some(sql) = self.statements.get(name) {
            db.execute_unprepared(sql).await.expect(name);
        }
    }

    async fn begin(&self) -> DatabaseTransaction {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        self.db.begin_with_options(options).await.expect("a transaction")
    }

    /// A call as the page tells it, with nothing to do.
    async fn call(&self, gid: &str, op: Op) -> String {
        let state = State::after(op).as_str();
        let mut values = vec![
            ("gid", gid.into()),
            ("branch_id", "b1".into()),
            ("instance", LIFE.into()),
            ("legs", "try,confirm,cancel".into()),
            ("state", state.into()),
            ("now", i64::MAX.into()),
        ];
        let db = self.begin().await;
        self.unprepared(&db, "patience").await;
        let insert = db.execute_raw(self.statement("insert", &values)).await.expect("insert");
        let found = match insert.rows_affected() {
            1 => None,
            _ => {
                let found = db.query_one_raw(self.statement("find", &values)).await.expect("find");
                Some(read(&found.expect("a row")))
            }
        };
        self.unprepared(&db, "patience ends").await;
        let arrival = Arrival {
            op,
            legs: "try,confirm,cancel".parse().expect("legs"),
            instance: LIFE.parse().expect("an instance"),
            long_past: false,
        };
        match decide(found, arrival) {
            Action::Refuse(why) => why.status().as_u16().to_string(),
            Action::Repeat => "repeat".to_owned(),
            Action::Record => {
                db.commit().await.expect("commit");
                "record".to_owned()
            }
            Action::Run => {
                if let Some(found) = found {
                    values.push(("state_before", found.state.as_str().into()));
                    let replace = self.statement("replace", &values);
                    let replaced = db.execute_raw(replace).await.expect("replace");
                    assert_eq!(replaced.rows_affected(), 1);
                }
                db.commit().await.expect("commit");
                "run".to_owned()
            }
        }
    }

    /// What was said about touching and deleting.
    async fn purge(&self) {
        let key = |gid: &'static str| [("gid", gid.into()), ("branch_id", "b1".into())];
        let call = |now: i64| [("now", now.into()), ("before", 1000_i64.into())];
        let old = [key("a"), call(1)].concat();
        self.db.execute_raw(self.statement("touch", &old)).await.expect("touch");
        let expired = self.statement("expired", &old);
        let found = self.db.query_all_raw(expired).await.expect("expired");
        let gids: Vec<String> =
            found.iter().map(|row| row.try_get("", "gid").expect("a gid")).collect();
        assert_eq!(gids, ["a"]);
        let delete =
            |values: &[(&str, Value)]| self.db.execute_raw(self.statement("delete", values));
        assert_eq!(delete(&old).await.expect("delete").rows_affected(), 1);
        let mut of_result = vec![("instance", LIFE.into()), ("result", "[1]".into())];
        of_result.extend(key("a"));
        for _ in 0..2 {
            let keep = self.statement("keep the result", &of_result);
            self.db.execute_raw(keep).await.expect("keep the result");
        }
        let find = || self.db.query_one_raw(self.statement("find the result", &of_result));
        let found = find().await.expect("find the result").expect("a row");
        assert_eq!(found.try_get::<String>("", "result").expect("text"), "[1]");
        let delete_result = self.statement("delete the result", &of_result);
        assert_eq!(self.db.execute_raw(delete_result).await.expect("delete").rows_affected(), 1);
        assert!(find().await.expect("find the result").is_none());
        let young = [key("b"), call(1)].concat();
        assert_eq!(delete(&young).await.expect("delete").rows_affected(), 0);
    }
}

fn read(row: &QueryResult) -> Recorded {
    let text = |column| row.try_get::<String>("", column).expect("text");
    let state = text("state");
    let known = [State::Tried, State::Confirmed, State::Cancelled];
    Recorded {
        instance: text("instance").parse().expect("an instance"),
        state: known.into_iter().find(|known| known.as_str() == state).expect("a state"),
    }
}
