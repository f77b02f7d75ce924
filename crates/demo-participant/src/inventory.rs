//! Inventory: stock is available, then reserved, then gone.

use std::num::NonZeroU32;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{DatabaseTransaction, QueryOrder};
use serde::{Deserialize, Serialize};
use tercet_participant::{Context, Failure, Participant};

use crate::database::create_table;
use crate::guarding::Guarding;

/// What there is at the beginning.
const SEED: [(&str, i64); 2] = [("A1", 10), ("B2", 1_000)];

/// The stock of one article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeriveEntityModel)]
#[sea_orm(table_name = "stock")]
pub(crate) struct Model {
    /// The article.
    #[sea_orm(primary_key, auto_increment = false)]
    sku: String,
    /// Pieces that can be reserved.
    available: i64,
    /// Pieces promised to transactions that are not finished.
    reserved: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Pieces of an article: what a branch is about.
#[derive(Debug, Deserialize)]
pub(crate) struct Pieces {
    sku: String,
    quantity: NonZeroU32,
}

impl Pieces {
    fn quantity(&self) -> i64 {
        i64::from(self.quantity.get())
    }
}

struct Inventory;

impl Participant for Inventory {
    type Payload = Pieces;

    async fn try_(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        wanted: Pieces,
    ) -> Result<(), Failure> {
        let quantity = wanted.quantity();
        let reserved = Entity::update_many()
            .col_expr(Column::Available, Expr::col(Column::Available).sub(quantity))
            .col_expr(Column::Reserved, Expr::col(Column::Reserved).add(quantity))
            .filter(Column::Sku.eq(&wanted.sku))
            .filter(Column::Available.gte(quantity))
            .exec(db)
            .await?;
        if reserved.rows_affected == 1 {
            return Ok(());
        }
        Err(match Entity::find_by_id(&wanted.sku).one(db).await? {
            None => Failure::refused("unknown-sku", format!("there is no article {}", wanted.sku)),
            Some(Model { sku, available, .. }) => {
                let detail = format!("{quantity} of {sku} wanted, {available} available");
                Failure::refused("out-of-stock", detail)
            }
        })
    }

    async fn confirm(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        sold: Pieces,
    ) -> Result<(), Failure> {
        Entity::update_many()
            .col_expr(Column::Reserved, Expr::col(Column::Reserved).sub(sold.quantity()))
            .filter(Column::Sku.eq(&sold.sku))
            .exec(db)
            .await?;
        Ok(())
    }

    async fn cancel(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        released: Pieces,
    ) -> Result<(), Failure> {
        let quantity = released.quantity();
        Entity::update_many()
            .col_expr(Column::Available, Expr::col(Column::Available).add(quantity))
            .col_expr(Column::Reserved, Expr::col(Column::Reserved).sub(quantity))
            .filter(Column::Sku.eq(&released.sku))
            .exec(db)
            .await?;
        Ok(())
    }
}

/// The three calls, with the table made and filled where it is not.
pub(crate) async fn branch(db: &DatabaseConnection, guarding: Guarding) -> Result<Router, DbErr> {
    create_table(db, Entity, &[Column::Available, Column::Reserved]).await?;
    let seed = SEED.map(|(sku, available)| ActiveModel {
        sku: Set(sku.to_owned()),
        available: Set(available),
        reserved: Set(0),
    });
    Entity::insert_many(seed)
        .on_conflict(OnConflict::column(Column::Sku).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(guarding.router(Inventory))
}

/// `GET /stock`
pub(crate) fn read(db: DatabaseConnection) -> Router {
    let stock = |State(db): State<DatabaseConnection>| async move {
        crate::read::rows(Entity::find().order_by_asc(Column::Sku).all(&db).await)
    };
    Router::new().route("/stock", get(stock)).with_state(db)
}
