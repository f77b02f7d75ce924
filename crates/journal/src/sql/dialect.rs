//! What a database says in its own words when a batch is written or rows are deleted.

use sea_orm::{Statement, Value};
use tercet_engine::Chunk;
use tercet_wire::{Gid, Incarnation, Status, Wall};

use super::write::{WriteKind, WriteRows};
use crate::store::{Life, NOBODY, PurgeBatch};

/// Turns what is to be written into a database's statements. All values are bound, but for
/// numbers where a database is quicker with a fixed text.
pub(crate) trait Dialect: Copy + Send + Sync + 'static {
    /// Most values bound in one batch.
    const MAX_BINDS: usize;

    /// Moves this life's row on to batch `number`, if it is live and the batch before it was its
    /// last. It changes one row if the turn is taken, and none if it is not.
    fn fence(self, own: Incarnation, number: i64, written_at: Wall) -> Statement;

    /// Asks for state and last batch of this life's row, as they are now.
    fn look(self, own: Incarnation) -> Statement;

    /// Asks for gid and instance of the transactions that hold these gids.
    fn holders(self, gids: Vec<Value>) -> Statement;

    /// The statement that writes these rows, or counts them, and whose guards say what
    /// [`WriteKind`] asks for.
    fn write(self, kind: WriteKind, rows: WriteRows, own: Incarnation) -> Statement;

    /// Whether the number of rows that the database counts for this kind of write says anything.
    fn counts_rows_of(self, _: WriteKind) -> bool {
        true
    }

    /// Asks for all rows of `nodes`, by name, with their last batches.
    fn nodes(self) -> Statement;

    /// Deletes the rows that one table has of what is due and still finished.
    fn delete(self, table: &str, due: &PurgeBatch) -> Statement;
}

/// What it says beside, where several nodes use one database.
pub(crate) trait SharedDialect: Dialect {
    /// The fence of the batch by which this life leaves: the same, and it may write no more.
    fn leave(self, own: Incarnation, number: i64, written_at: Wall) -> Statement;

    /// Makes those of a chunk that are still the dead life's this one's.
    fn take(self, own: Incarnation, chunk: &Chunk) -> Statement;

    /// Asks for the gids, of these, of transactions that are this life's.
    fn taken(self, own: Incarnation, gids: &[Gid]) -> Statement;

    /// Registers a life that has written nothing, with the moment when anybody wrote last.
    fn register(self, life: &Life, written_at: Option<Wall>) -> Vec<Statement>;

    /// Marks a life as fenced if it is live and its last batch is still this one. A transaction of
    /// its own, that touches nothing else: in a batch, two that suspect each other would wait for
    /// each other. It changes no row if it was otherwise.
    fn mark(self, dead: Incarnation, seen: i64) -> Statement;

    /// Deletes all that there is of a life that may not write, unless a transaction points to it.
    /// It changes no row if it may, or one does.
    fn remove(self, dead: Incarnation) -> Statement;

    /// Keeps a setting that all nodes share, unless it is there.
    fn keep_setting(self, name: &str, value: &str) -> Statement;

    /// Asks for one row if any unfinished transaction has no owner.
    fn unowned(self) -> Statement;
}

/// The words of these statuses, for a list of them.
pub(crate) fn words(which: impl Fn(Status) -> bool) -> String {
    let words = Status::ALL.iter().filter(|status| which(**status));
    let words: Vec<String> = words.map(|status| format!("'{status}'")).collect();
    words.join(", ")
}

/// Which rows are driven by nobody: what a transaction must have lost to whoever changed its row
/// by hand.
pub(crate) fn driven_by_nobody() -> String {
    let unfinished = words(|status| !status.is_finished());
    format!("(owner = {} OR owner IS NULL AND status IN ({unfinished}))", NOBODY.0)
}
