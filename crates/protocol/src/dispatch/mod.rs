//! What is decided about calls on their way, without making any: what counts as one
//! destination, and what its room means for those who wait for it.

mod destination;

pub use destination::{Destination, Vacancy};
