//! Start-up: every unfinished transaction of this node is taken up again. What each needs
//! next is for the engine to say; nothing is decided here (P5).

use std::sync::Arc;

use tercet_protocol::{Commands, Event, Input, Load, Ring};
use thiserror::Error;

use crate::alerts::{Alerts, ParkedBranch};
use crate::clock::Clock;
use crate::journal::{Journal, JournalError, Unreadable};

/// Transactions read at once.
const PAGE: u32 = 500;

/// The journal could not be read.
#[derive(Debug, Error)]
#[error("the unfinished transactions cannot be read from the journal")]
pub struct RecoveryError(#[from] JournalError);

/// What recovery found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// What is to be done about it.
    pub commands: Vec<Commands>,
    /// Transactions taken up.
    pub taken_up: u64,
}

/// Puts every unfinished transaction of this incarnation into the ring.
///
/// # Errors
/// The journal could not be read. One transaction that cannot be understood is no error.
pub async fn recover(
    ring: &mut Ring,
    journal: &Journal,
    clock: &Arc<dyn Clock>,
    alerts: &Alerts,
) -> Result<Recovered, RecoveryError> {
    let mut recovered = Recovered::default();
    let mut after = None;
    loop {
        let page = journal.unfinished(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(recovered) };
        after = Some(match last {
            Ok(stored) => stored.spec.gid.clone(),
            Err(unreadable) => unreadable.gid.clone(),
        });
        for found in page {
            match found {
                Ok(stored) => {
                    recovered.taken_up += 1;
                    if alerts.is_on() {
                        for branch in ParkedBranch::all_of(&stored) {
                            alerts.still_parked(branch, clock.now());
                        }
                    }
                    let event = Event::Input(Input::Adopt(Box::new(stored)));
                    recovered.commands.push(ring.step(event, clock.now()));
                }
                Err(unreadable) => {
                    // The engine says so, and remembers that the gid is taken.
                    let Unreadable { gid, why } = unreadable;
                    let event = Event::Input(Input::Loaded(gid, Load::Unreadable { why }));
                    recovered.commands.push(ring.step(event, clock.now()));
                }
            }
        }
    }
}
