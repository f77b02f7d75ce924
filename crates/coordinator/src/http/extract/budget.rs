//! How much the bodies that are being received may take together.

use std::sync::Arc;
use std::time::Duration;

use tercet_wire::ProblemCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::response::problem::Failure;

/// A budget in bytes. Whoever needs some takes all of it at once, so that nobody holds half of
/// what they need while they wait for the rest. Cheap to clone; all clones are the same budget.
#[derive(Debug, Clone)]
pub struct BodyBudget {
    room: Arc<Semaphore>,
    bytes: usize,
}

/// Part of the budget, until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct Place {
    _room: OwnedSemaphorePermit,
}

impl BodyBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self { room: Arc::new(Semaphore::new(bytes)), bytes }
    }

    /// Room for a body of this length, in the order in which it is asked for. A body larger than
    /// the budget takes all of it.
    ///
    /// # Errors
    /// There was none in time.
    pub(super) async fn place(&self, length: usize, within: Duration) -> Result<Place, Failure> {
        let length = u32::try_from(length.min(self.bytes)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(length);
        match tokio::time::timeout(within, room).await {
            Ok(Ok(room)) => Ok(Place { _room: room }),
            // It is never closed.
            Ok(Err(_)) | Err(_) => {
                let detail = format!(
                    "bodies that are being received take {} bytes, as many as may be; nothing \
                     happened",
                    self.bytes
                );
                Err(Failure::new(ProblemCode::NotAccepted, detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps P9.
    #[tokio::test]
    async fn what_bodies_take_together_has_an_end_and_is_given_back() {
        let (budget, soon) = (BodyBudget::new(10), Duration::from_millis(1));
        let six = budget.place(6, soon).await.expect("room");
        let four = budget.clone().place(4, soon).await.expect("room");
        assert!(budget.place(1, soon).await.is_err(), "all ten are taken");
        drop(six);
        assert!(budget.place(7, soon).await.is_err(), "only six are free");
        drop(four);
        let whole = budget.place(100, soon).await.expect("what is larger than all takes all");
        assert!(budget.place(1, soon).await.is_err());
        drop(whole);
        assert!(budget.place(10, soon).await.is_ok());
    }
}
