//! What a table needs said on some databases to mean the same on all.

use sea_orm_migration::sea_orm::DatabaseBackend;
use sea_orm_migration::sea_query::TableCreateStatement;

/// A table whose rows are written in transactions, and whose texts are compared byte by byte and
/// may hold any character, whatever the database's own defaults are.
pub(crate) fn of_ours(
    on: DatabaseBackend,
    mut table: TableCreateStatement,
) -> TableCreateStatement {
    if on == DatabaseBackend::MySql {
        table.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
    }
    table
}
