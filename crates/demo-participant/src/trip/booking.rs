//! A flight or a hotel: booked at once, released if the trip comes to nothing.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{DatabaseTransaction, QueryOrder};
use serde::{Deserialize, Serialize};
use tercet_participant::{Context, Failure, Participant};

use super::charge::Fare;
use crate::database::create_table;
use crate::guarding::Guarding;

/// What is booked, and for how much.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// There and back.
    Flight,
    /// Two nights.
    Hotel,
}

impl Kind {
    /// In cents.
    fn fare(self) -> u32 {
        match self {
            Self::Flight => 12_000,
            Self::Hotel => 9_000,
        }
    }
}

/// Where a booking stands. There is no third: others see it booked before the trip is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "lowercase")]
enum Status {
    /// Taken.
    #[sea_orm(string_value = "booked")]
    Booked,
    /// The trip was cancelled.
    #[sea_orm(string_value = "released")]
    Released,
}

/// A booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeriveEntityModel)]
#[sea_orm(table_name = "bookings")]
pub(crate) struct Model {
    /// The trip that it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    trip: String,
    /// Who travels.
    traveller: String,
    /// Where it stands.
    status: Status,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What a step is about.
#[derive(Debug, Deserialize)]
pub(crate) struct Traveller {
    traveller: String,
}

impl Participant for Kind {
    type Payload = Traveller;

    async fn try_(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        Traveller { traveller }: Traveller,
    ) -> Result<(), Failure> {
        let booked = ActiveModel {
            trip: Set(context.gid.to_string()),
            traveller: Set(traveller),
            status: Set(Status::Booked),
        };
        Entity::insert(booked).exec_without_returning(db).await?;
        // The guard keeps it with its row: a repeat is answered with the same fare.
        context.answer(&Fare { fare: self.fare() })?;
        Ok(())
    }

    /// What was booked is.
    async fn confirm(
        &self,
        _: &DatabaseTransaction,
        _: &Context,
        _: Traveller,
    ) -> Result<(), Failure> {
        Ok(())
    }

    async fn cancel(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        _: Traveller,
    ) -> Result<(), Failure> {
        let released = ActiveModel { status: Set(Status::Released), ..Default::default() };
        Entity::update_many()
            .set(released)
            .filter(Column::Trip.eq(context.gid.as_str()))
            .exec(db)
            .await?;
        Ok(())
    }
}

/// The step's calls, with the table made where it is not.
pub(crate) async fn branch(
    db: &DatabaseConnection,
    guarding: Guarding,
    kind: Kind,
) -> Result<Router, DbErr> {
    create_table(db, Entity, &[]).await?;
    Ok(guarding.router(kind))
}

/// `GET` of this path: all bookings.
pub(crate) fn read(db: DatabaseConnection, path: &str) -> Router {
    let bookings = |State(db): State<DatabaseConnection>| async move {
        crate::read::rows(Entity::find().order_by_asc(Column::Trip).all(&db).await)
    };
    Router::new().route(path, get(bookings)).with_state(db)
}
