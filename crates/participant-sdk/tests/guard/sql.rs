//! docs/guard-sql.md
use crate::database::Database;
pub(crate) async fn what_the_page_says_in_sql_is_a_guard(_: &Database) {}
