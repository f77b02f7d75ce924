//! What is written in one SQL transaction: cut by the engine's group commit.

pub(super) use tercet_engine::Batch;
#[cfg(test)]
pub(super) use tercet_engine::Weight;
