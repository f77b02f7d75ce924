//! The guard's rows in the order of their keys, page by page, so that books can be compared.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};
use serde::Deserialize;
use tercet_wire::{BookEntry, Page, Wall};

use super::statements::Statements;
use super::store::Store;

/// Rows of a page unless it is asked for another number, and at most.
const ROWS: u16 = 50;
const MOST_ROWS: u16 = 500;

/// Behind every branch id: ids are of letters, digits and `._:-`, which all come before it.
const BEHIND_ALL: &str = "~";

/// What a page is asked for with.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    after: Option<String>,
    limit: Option<u16>,
}

/// Which rows a page has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Range<'a> {
    after_gid: &'a str,
    after_branch: &'a str,
    limit: u16,
}

impl Asked {
    /// `after` is `{gid}/{branch}` of the last row that is known: a page goes on behind it, whether that row is
    /// still there or not. Without a branch it is behind all of this gid, with an empty one before them.
    ///
    /// # Errors
    /// In words, naming the parameter.
    pub(crate) fn range(&self) -> Result<Range<'_>, String> {
        let limit = self.limit.unwrap_or(ROWS);
        if !(1..=MOST_ROWS).contains(&limit) {
            return Err(format!("limit: must be 1 to {MOST_ROWS}"));
        }
        let after = self.after.as_deref().unwrap_or("/");
        let (after_gid, after_branch) = after.split_once('/').unwrap_or((after, BEHIND_ALL));
        let is_of_ids = |text: &str| text.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
        if !is_of_ids(after_gid) || !is_of_ids(after_branch) || after.len() > 256 {
            return Err("after: must be {gid}/{branch}, as next_cursor gives it".to_owned());
        }
        Ok(Range { after_gid, after_branch, limit })
    }
}

impl Store {
    /// The rows behind a key, each as it was at one moment of its own. What comes and goes meanwhile moves no other
    /// row to another page.
    pub(crate) async fn books(&self, range: &Range<'_>) -> Result<Page<BookEntry>, DbErr> {
        let backend = self.db.get_database_backend();
        let values = [
            range.after_gid.into(),
            range.after_gid.into(),
            range.after_branch.into(),
            // One more says whether there are more.
            (i64::from(range.limit) + 1).into(),
        ];
        let page = Statement::from_sql_and_values(backend, Statements::of(backend).page, values);
        let found = self.db.query_all_raw(page).await?;
        let mut items = found.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let is_more = items.len() > usize::from(range.limit);
        items.truncate(usize::from(range.limit));
        let next_cursor = items.last().filter(|_| is_more).map(BookEntry::cursor);
        Ok(Page { items, next_cursor })
    }
}

fn entry(row: &QueryResult) -> Result<BookEntry, DbErr> {
    let unreadable = |column: &str, value: &str| {
        DbErr::Type(format!("tercet_guard: a row's {column} is {value:?}"))
    };
    let text = |column: &'static str| row.try_get::<String>("", column);
    let (gid, branch) = (text("gid")?, text("branch_id")?);
    let (instance, state) = (text("instance")?, text("state")?);
    let word = serde_json::Value::String(state.clone());
    Ok(BookEntry {
        gid: gid.parse().map_err(|_| unreadable("gid", &gid))?,
        branch: branch.parse().map_err(|_| unreadable("branch_id", &branch))?,
        instance: instance.parse().map_err(|_| unreadable("instance", &instance))?,
        state: serde_json::from_value(word).map_err(|_| unreadable("state", &state))?,
        at: Wall(row.try_get("", "updated_at")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_behind_a_row_a_gid_or_nothing() {
        let table = [
            (None, None, Ok(("", "", 50))),
            (Some("o-1/pay"), Some(500), Ok(("o-1", "pay", 500))),
            (Some("o-1/"), Some(1), Ok(("o-1", "", 1))),
            (Some("o-1"), None, Ok(("o-1", "~", 50))),
            (None, Some(0), Err("limit: must be 1 to 500")),
            (None, Some(501), Err("limit: must be 1 to 500")),
            (Some("a b/c"), None, Err("after: must be {gid}/{branch}, as next_cursor gives it")),
        ];
        for (after, limit, expected) in table {
            let asked = Asked { after: after.map(str::to_owned), limit };
            let range = asked.range();
            let range = range.as_ref().map(|it| (it.after_gid, it.after_branch, it.limit));
            assert_eq!(range.map_err(String::as_str), expected, "{after:?} {limit:?}");
        }
    }
}
