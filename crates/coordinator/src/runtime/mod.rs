//! The tokio shell around the engine.

mod handle;

pub use handle::{Asked, RuntimeHandle};
