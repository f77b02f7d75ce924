//! Moves everything from one database to another, while nobody uses either: all rows are copied in
//! one transaction, and then both are read again and compared, by count and checksum.

use sea_orm::{
    AccessMode, ActiveModelTrait, ColumnTrait as _, Condition, ConnectionTrait, DatabaseConnection,
    DatabaseTransaction, DbBackend, DbErr, EntityTrait, IntoActiveModel, IsolationLevel,
    Iterable as _, ModelTrait, PaginatorTrait as _, PrimaryKeyToColumn as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Set, TransactionTrait as _, Value,
};
use sha2::{Digest as _, Sha256};
use tercet_engine::LifeState;

use crate::database;
use crate::error::JournalError;
use crate::sql::{
    act, branch, detail, discard, event, hold, job, node, options, outcome, own_options, pause,
    result, saga, tick, transaction,
};
use crate::store::{Database, Offline};

/// Rows that are read or written at once, at most.
const ROWS: u64 = 200;

/// Bytes that are written by one statement, about.
const BYTES: usize = 4 << 20;

/// A table that is the same in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over all of them, in the order of their keys, in hex.
    pub checksum: String,
}

/// Copies a database into an empty one. Nobody may use either, and meanwhile nobody can begin on the second; the schema of both is brought up to
/// date.
///
/// # Errors
/// One of them cannot be used, is in use, or the second has rows; or they differ afterwards. Unless
/// it is the last, the second is as empty as before.
pub async fn copy(from_url: &str, to_url: &str) -> Result<Vec<CopiedTable>, JournalError> {
    let (source, target) = (database::at(from_url)?, database::at(to_url)?);
    let from = source.offline().await?;
    let to = target.offline().await?;
    let copied = kept_to_itself(&*target, |proof| {
        let (source, from, to) = (&*source, &from, &to.connection);
        async move { copy_all(source, from, to, proof).await }
    });
    let copied = copied.await;
    discard(from.connection).await;
    discard(to.connection).await;
    copied
}

/// Copies while nobody else may use the target.
async fn kept_to_itself<C>(
    target: &dyn Database,
    copied: impl FnOnce(Option<String>) -> C,
) -> Result<Vec<CopiedTable>, JournalError>
where
    C: Future<Output = Result<Vec<CopiedTable>, JournalError>>,
{
    let Some(mut filling) = target.fill().await? else { return copied(None).await };
    let copied = copied(Some(filling.proof()));
    let copied = tokio::select! {
        // Whoever slept for long finds first that others have used it.
        biased;
        lost = filling.keep() => Err(lost),
        copied = copied => copied,
    };
    filling.release().await;
    copied
}

/// `proof`: changes one row, if nobody else may use the target still.
pub(crate) async fn copy_all(
    source: &dyn Database,
    from: &Offline,
    to: &DatabaseConnection,
    proof: Option<String>,
) -> Result<Vec<CopiedTable>, JournalError> {
    let written = to.begin().await?;
    if node::Entity::find().count(&written).await? > 0
        || transaction::Entity::find().count(&written).await? > 0
    {
        return Err(JournalError::NotEmpty);
    }
    // Whoever has only stood still could wake when all is copied, and decide there what is decided
    // otherwise here. Its next batch finds that it may write no more.
    let ended = source.end_lives(&from.lives).await?;
    let snapshot = snapshot(&from.connection).await?;
    // First what the others point to. Whoever drove something there drives nothing here, and says so:
    // whoever opens this takes it over.
    for life in &ended {
        let mut life = life.clone().into_active_model().reset_all();
        life.state = Set(LifeState::Left.as_str().to_owned());
        node::Entity::insert(life).exec_without_returning(&written).await?;
    }
    let copied = [
        copy_table::<transaction::Entity>("global_transactions", &snapshot, &written).await?,
        copy_table::<detail::Entity>("global_details", &snapshot, &written).await?,
        copy_table::<own_options::Entity>("transaction_options", &snapshot, &written).await?,
        copy_table::<branch::Entity>("branch_transactions", &snapshot, &written).await?,
        copy_table::<options::Entity>("branch_options", &snapshot, &written).await?,
        copy_table::<outcome::Entity>("branch_outcomes", &snapshot, &written).await?,
        copy_table::<result::Entity>("branch_results", &snapshot, &written).await?,
        copy_table::<event::Entity>("transaction_events", &snapshot, &written).await?,
        copy_table::<act::Entity>("audit", &snapshot, &written).await?,
        copy_table::<saga::Entity>("sagas", &snapshot, &written).await?,
        copy_table::<pause::Entity>("participant_pauses", &snapshot, &written).await?,
        copy_table::<job::Entity>("jobs", &snapshot, &written).await?,
        copy_table::<tick::Entity>("job_ticks", &snapshot, &written).await?,
        copy_table::<hold::Entity>("holds", &snapshot, &written).await?,
    ];
    // It has only read, so how it ends does not matter.
    let _ = snapshot.rollback().await;
    // A life that has begun meanwhile has perhaps written what was not copied.
    if source.end_lives(&ended).await? != ended {
        return Err(JournalError::CopyDiffers { table: "nodes" });
    }
    if let Some(proof) = proof {
        let proven = written.execute_unprepared(&proof).await?;
        if proven.rows_affected() != 1 {
            return Err(JournalError::SchemaLockLost);
        }
    }
    written.commit().await?;
    compare::<transaction::Entity>(&copied[0], to).await?;
    compare::<detail::Entity>(&copied[1], to).await?;
    compare::<own_options::Entity>(&copied[2], to).await?;
    compare::<branch::Entity>(&copied[3], to).await?;
    compare::<options::Entity>(&copied[4], to).await?;
    compare::<outcome::Entity>(&copied[5], to).await?;
    compare::<result::Entity>(&copied[6], to).await?;
    compare::<event::Entity>(&copied[7], to).await?;
    compare::<act::Entity>(&copied[8], to).await?;
    compare::<saga::Entity>(&copied[9], to).await?;
    compare::<pause::Entity>(&copied[10], to).await?;
    compare::<job::Entity>(&copied[11], to).await?;
    compare::<tick::Entity>(&copied[12], to).await?;
    compare::<hold::Entity>(&copied[13], to).await?;
    Ok(copied.into())
}

/// A transaction that reads, and sees one moment only.
async fn snapshot(from: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    match from.get_database_backend() {
        // Every transaction there is one.
        DbBackend::Sqlite => from.begin().await,
        _ => {
            let (isolation, access) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
            from.begin_with_config(Some(isolation), Some(access)).await
        }
    }
}

/// Copies a table, and says what was read.
async fn copy_table<E>(
    name: &'static str,
    from: &impl ConnectionTrait,
    to: &impl ConnectionTrait,
) -> Result<CopiedTable, DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel> + std::fmt::Debug + Sync,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let (mut sum, mut after) = (Sum::default(), None);
    loop {
        let rows = page::<E>(from, after.as_deref()).await?;
        let Some(last) = rows.last() else { return Ok(sum.of_table(name)) };
        after = Some(key_of::<E>(last));
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        for row in rows {
            // About what it takes.
            bytes += sum.add(&row);
            waiting.push(row.into_active_model().reset_all());
            if bytes > BYTES {
                E::insert_many(std::mem::take(&mut waiting)).exec_without_returning(to).await?;
                bytes = 0;
            }
        }
        if !waiting.is_empty() {
            E::insert_many(waiting).exec_without_returning(to).await?;
        }
    }
}

/// A page of a table by its key, of what comes after this one.
async fn page<E>(
    from: &impl ConnectionTrait,
    after: Option<&[Value]>,
) -> Result<Vec<E::Model>, DbErr>
where
    E: EntityTrait,
    E::Model: Sync,
{
    let mut select = E::find().limit(ROWS);
    let columns: Vec<E::Column> = E::PrimaryKey::iter().map(|key| key.into_column()).collect();
    if let Some(after) = after {
        // (a, b) > (x, y), as all databases understand it.
        let mut beyond = Condition::any();
        for (place, (column, value)) in columns.iter().zip(after).enumerate() {
            let mut this = Condition::all();
            for (column, value) in columns.iter().zip(after).take(place) {
                this = this.add(column.eq(value.clone()));
            }
            beyond = beyond.add(this.add(column.gt(value.clone())));
        }
        select = select.filter(beyond);
    }
    for column in columns {
        select = select.order_by_asc(column);
    }
    select.all(from).await
}

fn key_of<E: EntityTrait>(row: &E::Model) -> Vec<Value> {
    E::PrimaryKey::iter().map(|key| row.get(key.into_column())).collect()
}

/// Reads what was written, and refuses what is not the same.
async fn compare<E>(copied: &CopiedTable, to: &DatabaseConnection) -> Result<(), JournalError>
where
    E: EntityTrait,
    E::Model: std::fmt::Debug + Sync,
{
    let (mut sum, mut after) = (Sum::default(), None);
    loop {
        let rows = page::<E>(to, after.as_deref()).await?;
        let Some(last) = rows.last() else { break };
        after = Some(key_of::<E>(last));
        for row in &rows {
            sum.add(row);
        }
    }
    match sum.of_table(copied.name) == *copied {
        true => Ok(()),
        false => Err(JournalError::CopyDiffers { table: copied.name }),
    }
}

/// Count and checksum of the rows of a table, one after the other.
#[derive(Default)]
struct Sum {
    rows: u64,
    sum: Sha256,
}

impl Sum {
    /// Says how long the row is in words.
    fn add(&mut self, row: &impl std::fmt::Debug) -> usize {
        self.rows += 1;
        // Escaped, so that no two rows are written alike.
        let row = format!("{row:?}\n");
        self.sum.update(&row);
        row.len()
    }

    fn of_table(self, name: &'static str) -> CopiedTable {
        let checksum = self.sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        CopiedTable { name, rows: self.rows, checksum }
    }
}
