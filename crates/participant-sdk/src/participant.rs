//! What a service implements to take part.

use std::future::Future;

use sea_orm::DatabaseTransaction;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::failure::Failure;

/// A service that takes part in global transactions with one kind of branch.
///
/// Every method runs inside one SQL transaction of the participant's own database, in which the
/// guard has already written that this call was done. Do all writing through `db`: then the
/// change and the guard's row are durable together or not at all, and each method is run at
/// most once to its end for a branch, however often, late or out of order the calls arrive.
/// A method may be run again after it failed or its transaction was rolled back, so what cannot be
/// rolled back (a mail, a call to another service) does not belong in it.
///
/// Keep them short: on SQLite no other call is served while one is running.
pub trait Participant: Send + Sync + 'static {
    /// The body of every call of a branch, the same for all three.
    type Payload: DeserializeOwned + Send;

    /// Whether [`cancel`](Self::cancel) is run also where no Try was recorded, with
    /// [`Context::empty`] set. Say `true` if `try_` has effects outside of this database (a hold on a
    /// card, say): it may have had them and then failed before it was recorded, and only
    /// `cancel` can find out. It is still run once at most, and no Try gets in after it.
    const CANCELS_EMPTY: bool = false;

    /// Reserves, so that [`confirm`](Self::confirm) cannot fail for want of anything.
    ///
    /// # Errors
    /// [`Failure::refused`] if it cannot be reserved, which cancels the transaction;
    /// anything else is called again.
    fn try_(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        payload: Self::Payload,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Takes what was reserved.
    ///
    /// # Errors
    /// It is called again, without end.
    fn confirm(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        payload: Self::Payload,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Releases what was reserved. It is run only if [`try_`](Self::try_) was, unless
    /// [`CANCELS_EMPTY`](Self::CANCELS_EMPTY) asks for more.
    ///
    /// # Errors
    /// It is called again, without end.
    fn cancel(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        payload: Self::Payload,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}
