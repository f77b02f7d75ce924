//! Keys and answers in a database, for a service of several processes.
//!
//! Every write is one statement on one row, guarded by what was read of it: there is no
//! transaction, and no lock is held while a handler runs. On SQLite writes queue with those of the
//! guard.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use sea_orm::entity::prelude::*;
use sea_orm::{
    ActiveValue::Set, DatabaseConnection, DbBackend, QueryOrder, QuerySelect, Statement,
};

use super::answer::KeptAnswer;
use super::store::{Claim, KeyStoreError, Request, Terms};
use crate::clock;
use crate::guard::contention::contention;
use crate::guard::schema;
use crate::guard::store::ROUND_PAUSE;
use crate::guard::write_queue::WriteQueue;

/// How long a request with a key waits for the right to write.
const CLAIM_PATIENCE: Duration = Duration::from_secs(5);

/// How often a claim is tried that others overtook, and a statement that lost against another.
const ROUNDS: u32 = 6;

/// Rows looked at in one step of a purge.
const BATCH: u64 = 500;

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tercet_idempotency")]
pub(crate) struct Model {
    /// A digest, in hexadecimal.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) key_digest: String,
    /// Of the request.
    pub(crate) fingerprint: String,
    /// Which run of the handler it is, or was.
    pub(crate) owner: i64,
    /// While it runs: until when it is taken to be alive. After that: until when the answer is
    /// kept. UTC epoch milliseconds.
    pub(crate) live_until: i64,
    /// `running`, `answered`, or `unkept` when the answer was too large.
    pub(crate) progress: String,
    /// The answer's status.
    pub(crate) status: Option<i32>,
    /// The answer's headers that were chosen, a `name: value` a line.
    #[sea_orm(column_type = "VarBinary(StringLen::Max)", nullable)]
    pub(crate) headers: Option<Vec<u8>>,
    /// The answer's body.
    #[sea_orm(column_type = "VarBinary(StringLen::Max)", nullable)]
    pub(crate) body: Option<Vec<u8>>,
}

/// A row stands by itself.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

const RUNNING: &str = "running";
const ANSWERED: &str = "answered";
const UNKEPT: &str = "unkept";

/// The table. Digests are of one alphabet, so no collation can take two for one.
fn create(backend: DbBackend) -> &'static [&'static str] {
    const INDEX: &str = "CREATE INDEX IF NOT EXISTS tercet_idempotency_live_until \
                         ON tercet_idempotency (live_until)";
    match backend {
        DbBackend::MySql => &["CREATE TABLE IF NOT EXISTS tercet_idempotency ( \
              key_digest VARCHAR(64) NOT NULL PRIMARY KEY, fingerprint VARCHAR(64) NOT NULL, \
              owner BIGINT NOT NULL, live_until BIGINT NOT NULL, progress VARCHAR(8) NOT NULL, \
              status INT, headers MEDIUMBLOB, body LONGBLOB, \
              KEY tercet_idempotency_live_until (live_until)) \
              ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin"],
        DbBackend::Postgres => &[
            "CREATE TABLE IF NOT EXISTS tercet_idempotency ( \
              key_digest VARCHAR(64) NOT NULL PRIMARY KEY, fingerprint VARCHAR(64) NOT NULL, \
              owner BIGINT NOT NULL, live_until BIGINT NOT NULL, progress VARCHAR(8) NOT NULL, \
              status INT, headers BYTEA, body BYTEA)",
            INDEX,
        ],
        DbBackend::Sqlite | _ => &[
            "CREATE TABLE IF NOT EXISTS tercet_idempotency ( \
              key_digest VARCHAR(64) NOT NULL PRIMARY KEY, fingerprint VARCHAR(64) NOT NULL, \
              owner BIGINT NOT NULL, live_until BIGINT NOT NULL, progress VARCHAR(8) NOT NULL, \
              status INT, headers BLOB, body BLOB)",
            INDEX,
        ],
    }
}

/// sea-query has no words for this that count rows truly on MySQL.
fn insert(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::MySql => {
            "INSERT IGNORE INTO tercet_idempotency \
             (key_digest, fingerprint, owner, live_until, progress) VALUES (?, ?, ?, ?, 'running')"
        }
        DbBackend::Postgres => {
            "INSERT INTO tercet_idempotency \
             (key_digest, fingerprint, owner, live_until, progress) \
             VALUES ($1, $2, $3, $4, 'running') ON CONFLICT (key_digest) DO NOTHING"
        }
        DbBackend::Sqlite | _ => {
            "INSERT INTO tercet_idempotency \
             (key_digest, fingerprint, owner, live_until, progress) \
             VALUES (?, ?, ?, ?, 'running') ON CONFLICT (key_digest) DO NOTHING"
        }
    }
}

/// The table of keys.
#[derive(Debug, Clone)]
pub(super) struct DatabaseKeys {
    db: DatabaseConnection,
    queue: WriteQueue,
    /// How long a request waits for the right to write.
    patience: Duration,
}

impl DatabaseKeys {
    pub(super) fn new(db: DatabaseConnection) -> Self {
        let queue = WriteQueue::of(&db);
        Self { db, queue, patience: CLAIM_PATIENCE }
    }

    pub(super) async fn migrate(&self) -> Result<(), KeyStoreError> {
        Ok(schema::make(&self.db, create(self.db.get_database_backend()), ROUND_PAUSE).await?)
    }

    pub(super) async fn claim(
        &self,
        request: &Request,
        terms: Terms,
        now_ms: i64,
    ) -> Result<Claim, KeyStoreError> {
        let turn = tokio::time::timeout(self.patience, self.queue.join());
        let Ok(Ok(_permit)) = turn.await else { return Err(KeyStoreError::Busy) };
        let until_ms = terms.lease_until_ms(now_ms);
        for _ in 0..ROUNDS {
            if self.insert(request, until_ms).await? {
                return Ok(Claim::Run);
            }
            let found = again(|| Entity::find_by_id(request.key.clone()).one(&self.db)).await?;
            // Released or purged since: it can be inserted now.
            let Some(found) = found else { continue };
            if now_ms < found.live_until {
                return found.claim(request);
            }
            // Its answer has expired, or its process has died. The first to say so has it.
            let mine = ActiveModel {
                fingerprint: Set(request.fingerprint.clone()),
                owner: Set(request.owner),
                live_until: Set(until_ms),
                progress: Set(RUNNING.to_owned()),
                status: Set(None),
                headers: Set(None),
                body: Set(None),
                ..Default::default()
            };
            let taken = again(|| {
                Entity::update_many()
                    .set(mine.clone())
                    .filter(Column::KeyDigest.eq(&request.key))
                    .filter(Column::Owner.eq(found.owner))
                    .filter(Column::LiveUntil.eq(found.live_until))
                    .exec(&self.db)
            });
            if taken.await?.rows_affected == 1 {
                return Ok(Claim::Run);
            }
        }
        // So many were faster that one of them is at work.
        Ok(Claim::Running)
    }

    async fn insert(&self, request: &Request, until_ms: i64) -> Result<bool, DbErr> {
        let backend = self.db.get_database_backend();
        let inserted = again(|| {
            let values = [
                request.key.as_str().into(),
                request.fingerprint.as_str().into(),
                request.owner.into(),
                until_ms.into(),
            ];
            self.db.execute_raw(Statement::from_sql_and_values(backend, insert(backend), values))
        });
        Ok(inserted.await?.rows_affected() == 1)
    }

    pub(super) async fn renew(
        &self,
        request: &Request,
        until_ms: i64,
    ) -> Result<(), KeyStoreError> {
        let renewed = ActiveModel { live_until: Set(until_ms), ..Default::default() };
        self.write(request, renewed).await.map(drop)
    }

    pub(super) async fn finish(
        &self,
        request: &Request,
        answer: Option<KeptAnswer>,
        keep_until_ms: i64,
    ) -> Result<bool, KeyStoreError> {
        let progress = if answer.is_some() { ANSWERED } else { UNKEPT };
        let (status, headers, body) = match answer {
            Some(answer) => (
                Some(i32::from(answer.status.as_u16())),
                Some(headers_as_lines(&answer.headers)),
                Some(answer.body.to_vec()),
            ),
            None => (None, None, None),
        };
        let finished = ActiveModel {
            live_until: Set(keep_until_ms),
            progress: Set(progress.to_owned()),
            status: Set(status),
            headers: Set(headers),
            body: Set(body),
            ..Default::default()
        };
        self.write(request, finished).await
    }

    /// Writes to the row of a handler that is running, if it is still ours; whether it was.
    async fn write(&self, request: &Request, row: ActiveModel) -> Result<bool, KeyStoreError> {
        // There are no more of these than handlers that run, and what one has done must be kept.
        let _permit = self.queue.join_surely().await;
        let written = again(|| {
            Entity::update_many()
                .set(row.clone())
                .filter(Column::KeyDigest.eq(&request.key))
                .filter(Column::Owner.eq(request.owner))
                .filter(Column::Progress.eq(RUNNING))
                .exec(&self.db)
        });
        Ok(written.await?.rows_affected == 1)
    }

    pub(super) async fn release(&self, request: &Request) -> Result<(), KeyStoreError> {
        let _permit = self.queue.join_surely().await;
        again(|| {
            Entity::delete_many()
                .filter(Column::KeyDigest.eq(&request.key))
                .filter(Column::Owner.eq(request.owner))
                .filter(Column::Progress.eq(RUNNING))
                .exec(&self.db)
        })
        .await?;
        Ok(())
    }

    pub(super) async fn purge(&self, keys: u64, now_ms: i64) -> Result<u64, KeyStoreError> {
        let mut purged = 0;
        loop {
            let expired = Entity::find().filter(Column::LiveUntil.lte(now_ms));
            let gone = self.delete_oldest(expired, BATCH).await?;
            purged += gone;
            if gone == 0 {
                break;
            }
        }
        loop {
            let excess = Entity::find().count(&self.db).await?.saturating_sub(keys);
            let answered = Entity::find().filter(Column::Progress.ne(RUNNING));
            let gone = self.delete_oldest(answered, excess.min(BATCH)).await?;
            purged += gone;
            if gone == 0 {
                return Ok(purged);
            }
        }
    }

    /// Deletes the oldest of these, each only if nobody has taken it meanwhile.
    async fn delete_oldest(&self, of: Select<Entity>, limit: u64) -> Result<u64, KeyStoreError> {
        if limit == 0 {
            return Ok(0);
        }
        let oldest: Vec<(String, i64, i64)> = of
            .select_only()
            .columns([Column::KeyDigest, Column::Owner, Column::LiveUntil])
            .order_by_asc(Column::LiveUntil)
            .limit(limit)
            .into_tuple()
            .all(&self.db)
            .await?;
        let mut deleted = 0;
        for (key, owner, live_until) in oldest {
            let _permit = self.queue.join_surely().await;
            let gone = again(|| {
                Entity::delete_many()
                    .filter(Column::KeyDigest.eq(&key))
                    .filter(Column::Owner.eq(owner))
                    .filter(Column::LiveUntil.eq(live_until))
                    .exec(&self.db)
            });
            deleted += gone.await?.rows_affected;
        }
        Ok(deleted)
    }
}

impl Model {
    /// What a row that is live leaves to a request.
    fn claim(self, request: &Request) -> Result<Claim, KeyStoreError> {
        if self.fingerprint != request.fingerprint {
            return Ok(Claim::OtherRequest);
        }
        match self.progress.as_str() {
            RUNNING => Ok(Claim::Running),
            UNKEPT => Ok(Claim::Done(None)),
            _ => {
                let key = self.key_digest.clone();
                let answer = self.answer().ok_or(KeyStoreError::Unreadable { key })?;
                Ok(Claim::Done(Some(answer)))
            }
        }
    }

    fn answer(self) -> Option<KeptAnswer> {
        let status = StatusCode::from_u16(u16::try_from(self.status?).ok()?).ok()?;
        let headers = lines_as_headers(&self.headers?)?;
        Some(KeptAnswer { status, headers, body: Bytes::from(self.body?) })
    }
}

/// As on the wire: no header value contains a line break.
fn headers_as_lines(headers: &[(HeaderName, HeaderValue)]) -> Vec<u8> {
    let lines = headers
        .iter()
        .map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
    lines.flatten().collect()
}

fn lines_as_headers(lines: &[u8]) -> Option<Vec<(HeaderName, HeaderValue)>> {
    lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = line.get(colon + 2..)?;
            Some((
                HeaderName::from_bytes(&line[..colon]).ok()?,
                HeaderValue::from_bytes(value).ok()?,
            ))
        })
        .collect()
}

/// Runs a statement again for as long as it only lost against another one.
async fn again<T, F: Future<Output = Result<T, DbErr>>>(
    statement: impl Fn() -> F,
) -> Result<T, DbErr> {
    let mut round = 1;
    loop {
        match statement().await {
            Err(error) if contention(&error).is_some() && round < ROUNDS => {
                tokio::time::sleep(ROUND_PAUSE.pause(round, clock::entropy(), None)).await;
                round += 1;
            }
            settled => return settled,
        }
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { lease: Duration::from_secs(30), keep: Duration::from_secs(3_600) };

    fn request(key: &str) -> Request {
        Request { key: key.to_owned(), fingerprint: "one".to_owned(), owner: 1 }
    }

    #[tokio::test]
    async fn keys_queue_for_the_writer_that_the_guard_writes_with() {
        let db = sea_orm::Database::connect("sqlite::memory:").await.expect("a database");
        let keys = DatabaseKeys::new(db.clone());
        keys.migrate().await.expect("a table");
        let store = crate::Store::new(db);
        let writing = store.queue.join().await.expect("nobody else writes");

        let impatient = DatabaseKeys { patience: Duration::from_millis(1), ..keys.clone() };
        let claimed = impatient.claim(&request("k"), TERMS, 0).await;
        assert!(matches!(claimed, Err(KeyStoreError::Busy)), "{claimed:?}");

        drop(writing);
        assert_eq!(impatient.claim(&request("k"), TERMS, 0).await.expect("a claim"), Claim::Run);
    }

    async fn on_sqlite() -> DatabaseKeys {
        // One connection: each has a memory of its own.
        let mut options = sea_orm::ConnectOptions::new("sqlite::memory:");
        options.max_connections(1);
        let db = sea_orm::Database::connect(options).await.expect("a database");
        let keys = DatabaseKeys::new(db);
        keys.migrate().await.expect("a table");
        keys
    }

    async fn claimed(keys: &DatabaseKeys, request: &Request, now_ms: i64) -> Claim {
        keys.claim(request, TERMS, now_ms).await.expect("a claim")
    }

    #[tokio::test]
    async fn who_lost_its_lease_has_no_say_about_the_key_any_more() {
        let keys = on_sqlite().await;
        let (first, second) = (request("k"), Request { owner: 2, ..request("k") });
        assert_eq!(claimed(&keys, &first, 0).await, Claim::Run);
        assert_eq!(claimed(&keys, &second, 29_999).await, Claim::Running);
        assert_eq!(claimed(&keys, &second, 30_000).await, Claim::Run);
        // The first comes back from wherever it was.
        assert!(!keys.finish(&first, None, 999_999).await.expect("an answer"));
        keys.renew(&first, 999_999).await.expect("an answer");
        keys.release(&first).await.expect("an answer");
        let third = Request { owner: 3, ..request("k") };
        assert_eq!(claimed(&keys, &third, 59_999).await, Claim::Running);
        keys.renew(&second, 70_000).await.expect("an answer");
        assert_eq!(claimed(&keys, &third, 69_999).await, Claim::Running);
        assert!(keys.finish(&second, None, 100_000).await.expect("an answer"));
        assert_eq!(claimed(&keys, &third, 99_999).await, Claim::Done(None));
    }

    #[tokio::test]
    async fn a_purge_leaves_what_runs_and_what_was_taken_again() {
        let keys = on_sqlite().await;
        let runs = request("runs");
        assert_eq!(claimed(&keys, &runs, 0).await, Claim::Run);
        let kept = request("kept");
        assert_eq!(claimed(&keys, &kept, 0).await, Claim::Run);
        assert!(keys.finish(&kept, None, 50_000).await.expect("an answer"));
        // There is room for none, and yet what runs stays.
        assert_eq!(keys.purge(0, 1).await.expect("a purge"), 1);
        let other = Request { owner: 2, ..request("runs") };
        assert_eq!(claimed(&keys, &other, 2).await, Claim::Running);
        // What had expired and was taken again is not expired.
        let expired = Entity::find().filter(Column::LiveUntil.lte(30_000));
        assert_eq!(claimed(&keys, &other, 30_000).await, Claim::Run);
        assert_eq!(keys.delete_oldest(expired, 9).await.expect("an answer"), 0);
        assert_eq!(claimed(&keys, &runs, 30_001).await, Claim::Running);
    }
}
