//! Every order of events, exhaustively. stateright walks all of it over the real core, checks the
//! promises in every state, and that where nothing more happens everything is finished: `one_node`
//! knows all that can go wrong between one coordinator, its journal and its participants, `two_nodes`
//! what can between two of them on one set of rows.
//!
//! `make model` prints how many states there were. `tools/mutants` puts bugs into the rules, one
//! at a time, and expects this to fail.

mod explore;
mod one_node;
mod two_nodes;
#[path = "../world/mod.rs"]
mod world;
