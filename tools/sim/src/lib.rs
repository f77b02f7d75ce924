//! The coordinator's rules and the participants' guard in a simulated world full of faults.
//!
//! ```text
//!   initiators ─▶ network ─▶ node: the real driver ─▶ the real queues ─▶ network ─▶ participants
//!                                   │   ▲                                         the real guard
//!                                   ▼   │                                         over a business
//!                       the real group commit ─▶ rows (outlive every life of the node)
//!
//!   oracle: sees all of it after every step, and once all faults have ended
//! ```
//!
//! One seed is one world in virtual time, on one thread: nothing sleeps, nothing reads a clock, and
//! the same seed does the same again. `make sim SEED=1 RUNS=1000000` runs many.

mod actor;
mod content;
mod coverage;
mod describe;
mod initiators;
mod log;
mod network;
mod node;
mod oracle;
mod plan;
mod regressions;
mod rng;
mod rows;
mod scheduled_event;
mod scheduler;
mod seeds;
mod service;
mod world;

pub use regressions::REGRESSIONS;
pub use seeds::{Failure, Outcome, run, trace};
