//! Paying for a trip: the money is gone at once, and nobody gives it back.

use sea_orm::DatabaseTransaction;
use serde::{Deserialize, Serialize};
use tercet_participant::{Context, Failure, Participant};

use crate::payment;

/// What a booking is answered with, and a payment is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fare {
    /// In cents.
    pub(super) fare: u32,
}

/// Who pays. How much, the steps before it say.
#[derive(Debug, Deserialize)]
pub(crate) struct Payer {
    account: String,
}

/// The step that cannot be undone.
pub(crate) struct Charge;

impl Participant for Charge {
    type Payload = Payer;

    async fn try_(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        Payer { account }: Payer,
    ) -> Result<(), Failure> {
        let Fare { fare: flight } = context.result("flight")?;
        let Fare { fare: hotel } = context.result("hotel")?;
        payment::charge(db, &account, i64::from(flight) + i64::from(hotel)).await
    }

    /// What was paid is.
    async fn confirm(&self, _: &DatabaseTransaction, _: &Context, _: Payer) -> Result<(), Failure> {
        Ok(())
    }

    async fn cancel(&self, _: &DatabaseTransaction, _: &Context, _: Payer) -> Result<(), Failure> {
        Err(Failure::retry("what was charged is not given back: begin without a compensate"))
    }
}
