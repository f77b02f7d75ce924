//! Start-up: every unfinished transaction of this node is taken up again. What each needs
//! next is for the engine to say; nothing is decided here (P5).

use std::sync::Arc;

use tercet_clock::Clock;
use tercet_engine::{Change, Commands, Driver, Event, Input, read_page};
use tercet_journal::{Journal, JournalError};
use thiserror::Error;

use crate::metrics::TransactionMetrics;
use crate::traces::Traces;

/// Transactions read at once.
const PAGE: u32 = 500;

/// The journal could not be read.
#[derive(Debug, Error)]
#[error("the unfinished transactions cannot be read from the journal")]
pub struct RecoveryError(#[from] JournalError);

/// What recovery found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// What is to be done about it, beside the records, which the driver has.
    pub commands: Vec<Commands>,
    /// Transactions taken up.
    pub taken_up: u64,
}

/// Puts every unfinished transaction of this incarnation into the engine.
///
/// # Errors
/// The journal could not be read. One transaction that cannot be understood is no error.
pub async fn recover(
    driver: &mut Driver,
    journal: &Journal,
    clock: &Arc<dyn Clock>,
    told: (&TransactionMetrics, &Traces),
) -> Result<Recovered, RecoveryError> {
    let mut recovered = Recovered::default();
    let mut after = None;
    loop {
        let page = read_page(journal.unfinished(after.as_ref(), PAGE).await?);
        for event in page.events {
            if let Event::Input(Input::Adopt(_)) = &event {
                recovered.taken_up += 1;
            }
            let commands = driver.step(event, clock.now());
            count_finished(driver, told);
            // Most of a million only rest, and nothing follows from that.
            if !commands.is_empty() {
                recovered.commands.push(commands);
            }
        }
        after = page.after;
        if after.is_none() {
            return Ok(recovered);
        }
    }
}

/// Counts what the last step has finished, while it is still in memory.
pub(super) fn count_finished(driver: &Driver, (metrics, traces): (&TransactionMetrics, &Traces)) {
    for record in driver.just_recorded() {
        if let Change::Finished { .. } = record.change
            && let Some(transaction) = driver.core().engine().transaction(&record.gid)
        {
            metrics.finished(transaction);
            traces.finished(transaction);
        }
    }
}
