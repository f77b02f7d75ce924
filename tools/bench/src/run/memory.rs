//! What the daemon's memory comes to: after many transactions, and for each that waits.

use std::time::Duration;

use super::case::{CONNECTIONS, Case, USUAL};
use super::outcome::MemoryOutcome;
use super::plan::Plan;
use super::testbed::{Testbed, Timing};
use crate::load::{Driven, Pace, Shape, Until};
use crate::rig::{Daemon, Journal, RigError};
use crate::sink::Profile;

/// Room for more that wait than the default has.
pub(crate) const ROOM: [(&str, &str); 2] =
    [("TERCET_LIMITS__LIVE_TRANSACTIONS", "1000000"), ("TERCET_LIMITS__LIVE_BYTES", "4294967296")];

/// Two branches whose Try is never answered.
pub(crate) const HELD: Shape =
    Shape { profile: Profile::Hold, driven: Driven::Unattended, ..USUAL };

/// Transactions before anything is compared: threads, pools and buffers are there then.
const WARM: u64 = 2_000;

/// Looks at the memory of a fresh daemon.
///
/// # Errors
/// As of a round.
pub(super) fn look(testbed: &mut Testbed, plan: &Plan) -> Result<MemoryOutcome, RigError> {
    let daemon = testbed.daemon(Journal::Sqlite, &[])?;
    run(testbed, &daemon, "memory after many", USUAL, plan.for_memory)?;
    let after = daemon.process.memory()?;
    drop(daemon);
    let daemon = testbed.daemon(Journal::Sqlite, &ROOM)?;
    run(testbed, &daemon, "before those that wait", USUAL, WARM.min(plan.waiting))?;
    let before = daemon.process.memory()?;
    run(testbed, &daemon, "those that wait", HELD, plan.waiting)?;
    let waiting = daemon.process.memory()?;
    Ok(MemoryOutcome {
        transactions: plan.for_memory,
        resident_kib: after.resident_kib,
        peak_kib: after.peak_kib,
        waiting: plan.waiting,
        resident_before_kib: before.resident_kib,
        resident_waiting_kib: waiting.resident_kib,
        payload_bytes: u64::from(HELD.branches)
            * u64::try_from(HELD.payload_bytes).unwrap_or(u64::MAX),
    })
}

/// Puts so many transactions through.
pub(crate) fn run(
    testbed: &mut Testbed,
    daemon: &Daemon,
    name: &str,
    shape: Shape,
    count: u64,
) -> Result<(), RigError> {
    let timing = Timing { warm_up: Duration::ZERO, until: Until::Begun(count) };
    let case = Case::new(name, CONNECTIONS, shape);
    testbed.round(daemon, &case, Pace::Closed, timing).map(|_| ())
}
