//! Orders: pending while their transaction is undecided, then placed or void.

use std::num::NonZeroU32;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseTransaction, QueryOrder};
use serde::{Deserialize, Serialize};
use tercet_participant::{Context, Failure, Participant};

use crate::database::create_table;
use crate::guarding::Guarding;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Its transaction is undecided.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// Sold.
    #[sea_orm(string_value = "placed")]
    Placed,
    /// Its transaction was cancelled.
    #[sea_orm(string_value = "void")]
    Void,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeriveEntityModel)]
#[sea_orm(table_name = "orders")]
pub(crate) struct Model {
    /// Its number.
    #[sea_orm(primary_key, auto_increment = false)]
    order: String,
    /// Who pays.
    account: String,
    /// What is bought.
    sku: String,
    /// How many pieces of it.
    quantity: i64,
    /// Where it stands.
    status: Status,
    /// Counts its changes. Whoever changes an order says which version was read, and changes
    /// nothing if somebody else was faster.
    version: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A new order: what a branch is about.
#[derive(Debug, Deserialize)]
pub(crate) struct NewOrder {
    order: String,
    account: String,
    sku: String,
    quantity: NonZeroU32,
}

struct Orders;

impl Orders {
    /// Reads a pending order and closes it.
    async fn close(db: &DatabaseTransaction, order: String, status: Status) -> Result<(), Failure> {
        match Entity::find_by_id(&order).one(db).await? {
            Some(read) => read.close(db, status).await,
            None => Err(Failure::retry(format!("there is no order {order}"))),
        }
    }
}

impl Model {
    /// Closes the order as it was read.
    async fn close(self, db: &DatabaseTransaction, status: Status) -> Result<(), Failure> {
        let Self { order, status: was, version, .. } = self;
        // The guard lets nobody close an order twice. Without it this is the last line.
        if was != Status::Pending {
            return Err(Failure::retry(format!("order {order} is {} already", was.to_value())));
        }
        let closed = Entity::update_many()
            .set(ActiveModel {
                status: Set(status),
                version: Set(version + 1),
                ..Default::default()
            })
            .filter(Column::Order.eq(&order))
            .filter(Column::Version.eq(version))
            .exec(db)
            .await?;
        match closed.rows_affected {
            1 => Ok(()),
            _ => Err(Failure::retry(format!("order {order} was changed by somebody else"))),
        }
    }
}

impl Participant for Orders {
    type Payload = NewOrder;

    async fn try_(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        new: NewOrder,
    ) -> Result<(), Failure> {
        let NewOrder { order, account, sku, quantity } = new;
        let taken = format!("there is an order {order} already");
        let row = ActiveModel {
            order: Set(order),
            account: Set(account),
            sku: Set(sku),
            quantity: Set(i64::from(quantity.get())),
            status: Set(Status::Pending),
            version: Set(1),
        };
        let inserted = Entity::insert(row)
            .on_conflict(OnConflict::column(Column::Order).do_nothing().to_owned())
            .exec_without_returning(db)
            .await?;
        if inserted == 0 { Err(Failure::refused("order-exists", taken)) } else { Ok(()) }
    }

    async fn confirm(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        new: NewOrder,
    ) -> Result<(), Failure> {
        Self::close(db, new.order, Status::Placed).await
    }

    async fn cancel(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        new: NewOrder,
    ) -> Result<(), Failure> {
        Self::close(db, new.order, Status::Void).await
    }
}

/// The three calls, with the table made where it is not.
pub(crate) async fn branch(db: &DatabaseConnection, guarding: Guarding) -> Result<Router, DbErr> {
    create_table(db, Entity, &[Column::Quantity]).await?;
    Ok(guarding.router(Orders))
}

/// `GET /orders`
pub(crate) fn read(db: DatabaseConnection) -> Router {
    let orders = |State(db): State<DatabaseConnection>| async move {
        crate::read::rows(Entity::find().order_by_asc(Column::Order).all(&db).await)
    };
    Router::new().route("/orders", get(orders)).with_state(db)
}

#[cfg(test)]
mod tests {
    use sea_orm::TransactionTrait as _;

    use super::*;

    #[tokio::test]
    async fn an_order_is_closed_once_and_only_as_it_was_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let db = crate::database::open(&dir.path().join("order.db")).await.expect("a file");
        create_table(&db, Entity, &[Column::Quantity]).await.expect("a table");
        let db = db.begin().await.expect("a transaction");
        let order = ActiveModel {
            order: Set("1".to_owned()),
            account: Set("alice".to_owned()),
            sku: Set("A1".to_owned()),
            quantity: Set(1),
            status: Set(Status::Pending),
            version: Set(1),
        };
        Entity::insert(order).exec_without_returning(&db).await.expect("a row");
        let read = || async { Entity::find_by_id("1").one(&db).await.expect("read").expect("it") };

        let (one, other) = (read().await, read().await);
        one.close(&db, Status::Placed).await.expect("nobody was faster");
        let error = other.close(&db, Status::Void).await.expect_err("somebody was faster");
        assert_eq!(error.to_string(), "order 1 was changed by somebody else");
        let error = Orders::close(&db, "1".to_owned(), Status::Void).await.expect_err("closed");
        assert_eq!(error.to_string(), "order 1 is placed already");
        let closed = read().await;
        assert_eq!((closed.status, closed.version), (Status::Placed, 2));
    }
}
