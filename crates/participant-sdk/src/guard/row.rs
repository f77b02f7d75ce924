//! The guard's table in the participant's database.

use sea_orm::entity::prelude::*;

use super::table::{Recorded, State};

/// What has been done for one branch.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tercet_guard")]
pub(crate) struct Model {
    /// The global transaction.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(128))")]
    pub(crate) gid: String,
    /// The branch.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(64))")]
    pub(crate) branch_id: String,
    /// The life of the gid that wrote the row: a UUID as text.
    #[sea_orm(column_type = "Char(Some(36))")]
    pub(crate) instance: String,
    /// `tried`, `confirmed` or `cancelled`.
    #[sea_orm(column_type = "String(StringLen::N(9))")]
    pub(crate) state: String,
    /// When the state was written, in UTC epoch milliseconds; old rows can be told by it.
    pub(crate) updated_at: i64,
}

/// A row stands by itself.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// What the row says; an error if somebody else has written to it.
    pub(super) fn read(&self) -> Result<Recorded, DbErr> {
        let unreadable = |column: &str, value: &str| {
            let Self { gid, branch_id, .. } = self;
            DbErr::Type(format!("tercet_guard {gid}/{branch_id}: {column} is {value:?}"))
        };
        let instance = self.instance.parse().map_err(|_| unreadable("instance", &self.instance))?;
        let state = [State::Tried, State::Confirmed, State::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == self.state)
            .ok_or_else(|| unreadable("state", &self.state))?;
        Ok(Recorded { instance, state })
    }
}
