//! The load generator: transactions over kept connections, in a closed loop or at a fixed rate,
//! each answer checked.

mod counted;
mod generator;
#[cfg(test)]
mod generator_tests;
mod lane;
mod pace;
mod script;
mod shape;

pub(crate) use counted::Counted;
pub(crate) use generator::{Edge, Load, Until};
pub(crate) use pace::Pace;
pub(crate) use script::Script;
pub(crate) use shape::{Driven, Gids, Kind, Shape};
