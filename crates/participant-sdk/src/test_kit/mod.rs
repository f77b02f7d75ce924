//! A test kit for participants in any language: it plays the coordinator on its worst day.
//!
//! ```text
//!   scenarios ──┐
//!   storm(seed) ┴─▶ bench ──▶ caller ──▶ participant
//!                     │  ▲                   ▲
//!                     │  └──── probe ────────┘ balances, before and after
//!                     ▼
//!                   belief: where a branch can stand, given the answers
//!                     ▼
//!                   report: rule, sent, expected, seen
//! ```
//!
//! It first learns what one Try and one Confirm change. From there on every course of events has
//! a known sum: a branch that was never tried or was cancelled changes nothing, a tried one what a
//! Try changes, a confirmed one what a Confirm does.
//!
//! ```no_run
//! use serde_json::json;
//! use tercet_participant::test_kit::TestKit;
//!
//! # async fn check() -> Result<(), Box<dyn std::error::Error>> {
//! let payload = json!({"account": "alice", "amount": 1});
//! let report = TestKit::new("http://127.0.0.1:7302/payment", &payload)?
//!     .probe_url("http://127.0.0.1:7302/accounts")
//!     .reserved("frozen")
//!     .refused_payload(&json!({"account": "alice", "amount": 1_000_000}))?
//!     .run()
//!     .await?;
//! assert!(report.is_green(), "{report}");
//! # Ok(())
//! # }
//! ```

mod balances;
mod bench;
mod caller;
mod error;
mod kit;
mod learn;
mod model;
mod probe;
mod progress;
mod race;
mod report;
mod rule;
mod scenario;
mod session;

pub use balances::Balances;
pub use error::KitError;
pub use kit::TestKit;
pub use progress::Progress;
pub use report::{Breach, Report};
pub use rule::Rule;
