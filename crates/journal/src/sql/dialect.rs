//! What a database says in its own words when a batch is written or rows are deleted.

use sea_orm::{Statement, Value};
use tercet_wire::{Incarnation, Wall};

use super::write::{WriteKind, WriteRows};
use crate::store::PurgeBatch;

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
