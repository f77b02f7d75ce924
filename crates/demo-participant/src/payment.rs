//! Payment: money is on the balance, then frozen, then gone. Amounts are in cents.

use std::num::NonZeroU32;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{DatabaseTransaction, QueryOrder, UpdateMany};
use serde::{Deserialize, Serialize};
use tercet_participant::{Context, Failure, Participant};

use crate::database::create_table;
use crate::guarding::Guarding;
use crate::trip::Charge;

/// What there is at the beginning. Whoever comes in a crowd pays from one purse.
const SEED: [(&str, i64); 3] = [("alice", 100_000), ("bob", 1_000), ("crowd", 10_000_000)];

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub(crate) struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    account: String,
    /// What can be spent.
    balance: i64,
    /// What is promised to transactions that are not finished.
    frozen: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A payment: what a branch is about.
#[derive(Debug, Deserialize)]
pub(crate) struct Debit {
    account: String,
    amount: NonZeroU32,
}

impl Debit {
    fn amount(&self) -> i64 {
        i64::from(self.amount.get())
    }
}

struct Payment;

impl Participant for Payment {
    type Payload = Debit;

    async fn try_(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        debit: Debit,
    ) -> Result<(), Failure> {
        let amount = debit.amount();
        let freeze =
            Entity::update_many().col_expr(Column::Frozen, Expr::col(Column::Frozen).add(amount));
        take(db, freeze, &debit.account, amount).await
    }

    async fn confirm(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        debit: Debit,
    ) -> Result<(), Failure> {
        Entity::update_many()
            .col_expr(Column::Frozen, Expr::col(Column::Frozen).sub(debit.amount()))
            .filter(Column::Account.eq(&debit.account))
            .exec(db)
            .await?;
        Ok(())
    }

    async fn cancel(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        debit: Debit,
    ) -> Result<(), Failure> {
        let amount = debit.amount();
        Entity::update_many()
            .col_expr(Column::Balance, Expr::col(Column::Balance).add(amount))
            .col_expr(Column::Frozen, Expr::col(Column::Frozen).sub(amount))
            .filter(Column::Account.eq(&debit.account))
            .exec(db)
            .await?;
        Ok(())
    }
}

/// Takes the money at once, for a payment that nobody undoes.
pub(crate) async fn charge(
    db: &DatabaseTransaction,
    account: &str,
    amount: i64,
) -> Result<(), Failure> {
    take(db, Entity::update_many(), account, amount).await
}

/// Takes an amount off a balance where it is there, beside what else is to be done to the row.
async fn take(
    db: &DatabaseTransaction,
    update: UpdateMany<Entity>,
    account: &str,
    amount: i64,
) -> Result<(), Failure> {
    let taken = update
        .col_expr(Column::Balance, Expr::col(Column::Balance).sub(amount))
        .filter(Column::Account.eq(account))
        .filter(Column::Balance.gte(amount))
        .exec(db)
        .await?;
    if taken.rows_affected == 1 {
        return Ok(());
    }
    Err(match Entity::find_by_id(account).one(db).await? {
        None => Failure::refused("unknown-account", format!("there is no account {account}")),
        // The balance is nobody's business but the account's owner's.
        Some(Model { account, .. }) => {
            Failure::refused("insufficient-funds", format!("{account} cannot pay {amount}"))
        }
    })
}

/// The three calls, and below `/charge` those of the step of a trip, with the table made and filled where it is not.
pub(crate) async fn branch(db: &DatabaseConnection, guarding: Guarding) -> Result<Router, DbErr> {
    create_table(db, Entity, &[Column::Balance, Column::Frozen]).await?;
    let seed = SEED.map(|(account, balance)| ActiveModel {
        account: Set(account.to_owned()),
        balance: Set(balance),
        frozen: Set(0),
    });
    Entity::insert_many(seed)
        .on_conflict(OnConflict::column(Column::Account).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(guarding.clone().router(Payment).nest("/charge", guarding.router(Charge)))
}

/// `GET /accounts`
pub(crate) fn read(db: DatabaseConnection) -> Router {
    let accounts = |State(db): State<DatabaseConnection>| async move {
        crate::read::rows(Entity::find().order_by_asc(Column::Account).all(&db).await)
    };
    Router::new().route("/accounts", get(accounts)).with_state(db)
}
