//! Mails: what was sent cannot be unsent, so a mail has a Confirm alone.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{DatabaseTransaction, QueryOrder};
use serde::{Deserialize, Serialize};
use tercet_participant::{Context, Failure, Participant};

use crate::database::create_table;
use crate::guarding::Guarding;

/// A mail that went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeriveEntityModel)]
#[sea_orm(table_name = "mails")]
pub(crate) struct Model {
    /// The trip that it tells of.
    #[sea_orm(primary_key, auto_increment = false)]
    trip: String,
    /// Who gets it.
    to: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What the step is about.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NewMail {
    pub(super) to: String,
}

struct Mails;

impl Participant for Mails {
    type Payload = NewMail;

    /// There is nothing to reserve.
    async fn try_(&self, _: &DatabaseTransaction, _: &Context, _: NewMail) -> Result<(), Failure> {
        Ok(())
    }

    async fn confirm(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        NewMail { to }: NewMail,
    ) -> Result<(), Failure> {
        let sent = ActiveModel { trip: Set(context.gid.to_string()), to: Set(to) };
        Entity::insert(sent).exec_without_returning(db).await?;
        Ok(())
    }

    /// Nothing was sent before Confirm.
    async fn cancel(
        &self,
        _: &DatabaseTransaction,
        _: &Context,
        _: NewMail,
    ) -> Result<(), Failure> {
        Ok(())
    }
}

/// The step's calls, with the table made where it is not.
pub(crate) async fn branch(db: &DatabaseConnection, guarding: Guarding) -> Result<Router, DbErr> {
    create_table(db, Entity, &[]).await?;
    Ok(guarding.router(Mails))
}

/// `GET /mails`
pub(crate) fn read(db: DatabaseConnection) -> Router {
    let mails = |State(db): State<DatabaseConnection>| async move {
        crate::read::rows(Entity::find().order_by_asc(Column::Trip).all(&db).await)
    };
    Router::new().route("/mails", get(mails)).with_state(db)
}
