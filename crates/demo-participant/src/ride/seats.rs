//! The seats of each ride, and the branch that takes one.

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

/// What there is at the beginning: ride, price of a seat in cents, seats.
const SEED: [(&str, i64, i64); 2] = [("airport", 1_200, 4), ("harbour", 900, 500)];

/// A ride.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeriveEntityModel)]
#[sea_orm(table_name = "rides")]
pub(crate) struct Model {
    /// Its name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) ride: String,
    /// What a seat costs, in cents.
    pub(super) price: i64,
    /// Seats that can be taken.
    free: i64,
    /// Seats promised to transactions that are not finished.
    held: i64,
    /// Seats that are paid for.
    booked: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A seat: what a branch is about.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seat {
    pub(super) ride: String,
}

struct Seats;

/// Moves one seat of a ride from one column to another.
fn one_seat(of: &Seat, from: Column, to: Column) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(from, Expr::col(from).sub(1))
        .col_expr(to, Expr::col(to).add(1))
        .filter(Column::Ride.eq(&of.ride))
}

impl Participant for Seats {
    type Payload = Seat;

    async fn try_(&self, db: &DatabaseTransaction, _: &Context, seat: Seat) -> Result<(), Failure> {
        let held = one_seat(&seat, Column::Free, Column::Held).filter(Column::Free.gte(1));
        if held.exec(db).await?.rows_affected == 1 {
            return Ok(());
        }
        Err(match Entity::find_by_id(&seat.ride).one(db).await? {
            None => Failure::refused("unknown-ride", format!("there is no ride {}", seat.ride)),
            Some(Model { ride, .. }) => {
                Failure::refused("no-seat", format!("{ride} has no seat left"))
            }
        })
    }

    async fn confirm(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        seat: Seat,
    ) -> Result<(), Failure> {
        one_seat(&seat, Column::Held, Column::Booked).exec(db).await?;
        Ok(())
    }

    async fn cancel(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        seat: Seat,
    ) -> Result<(), Failure> {
        one_seat(&seat, Column::Held, Column::Free).exec(db).await?;
        Ok(())
    }
}

/// The three calls, with the table made and filled where it is not.
pub(crate) async fn branch(db: &DatabaseConnection, guarding: Guarding) -> Result<Router, DbErr> {
    create_table(db, Entity, &[Column::Free, Column::Held, Column::Booked]).await?;
    let seed = SEED.map(|(ride, price, seats)| ActiveModel {
        ride: Set(ride.to_owned()),
        price: Set(price),
        free: Set(seats),
        held: Set(0),
        booked: Set(0),
    });
    Entity::insert_many(seed)
        .on_conflict(OnConflict::column(Column::Ride).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(guarding.router(Seats))
}

/// `GET /rides`
pub(crate) fn read(db: DatabaseConnection) -> Router {
    let rides = |State(db): State<DatabaseConnection>| async move {
        crate::read::rows(Entity::find().order_by_asc(Column::Ride).all(&db).await)
    };
    Router::new().route("/rides", get(rides)).with_state(db)
}
