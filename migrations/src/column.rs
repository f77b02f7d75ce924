//! Column types that need another word on each database to mean the same.

use sea_orm_migration::sea_orm::DatabaseBackend;
use sea_orm_migration::sea_query::{Alias, ColumnDef};

/// An identifier of at most `len` ASCII characters, compared byte by byte: two gids that
/// differ in case are two gids, and their order is the same on every database.
pub(crate) fn id(on: DatabaseBackend, name: &'static str, len: u32) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    match on {
        DatabaseBackend::Postgres => column.string_len(len).extra("COLLATE \"C\""),
        // It wants them before all else that is said of a column.
        DatabaseBackend::MySql => column
            .custom(Alias::new(format!("varchar({len}) CHARACTER SET ascii COLLATE ascii_bin"))),
        // SQLite compares text byte by byte unless told otherwise. The enumeration may grow; a
        // database nobody has thought of is refused long before.
        _ => column.string_len(len),
    };
    column
}

/// Text without a bound of its own. MySQL's `text` ends at 64 KiB, which a payload may pass.
pub(crate) fn long_text(on: DatabaseBackend, name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    match on {
        DatabaseBackend::MySql => column.custom(Alias::new("mediumtext")),
        _ => column.text(),
    };
    column
}

/// A moment: UTC epoch milliseconds.
pub(crate) fn moment(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer();
    column
}

/// A word of one of the protocol's enumerations.
pub(crate) fn word(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.string_len(32);
    column
}

/// A small number.
pub(crate) fn number(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.integer();
    column
}

/// A number that may be large.
pub(crate) fn big_number(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer();
    column
}

/// Yes or no.
pub(crate) fn flag(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.boolean();
    column
}
