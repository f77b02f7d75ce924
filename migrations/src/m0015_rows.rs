//! From here on the rows of a transaction may stand under its instance instead of its gid, as the column `instance` of
//! the narrow row says. No table changes; but a program that does not know this step would
//! not find them. It is kept out before the first of them is written ([`raised`]), which is the journal's to say: not while
//! there are nodes that do not know it, nor while somebody wants to be able to go back.

use async_trait::async_trait;
use sea_orm_migration::prelude::{DbErr, MigrationName, MigrationTrait, SchemaManager};

/// How many steps a program must know that finds such rows.
const READS_FROM: i32 = 15;

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0015_rows"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}

/// Keeps programs out that would not find such rows.
pub(crate) fn raised() -> String {
    format!("UPDATE schema_compat SET reads_from = {READS_FROM} WHERE reads_from < {READS_FROM}")
}
