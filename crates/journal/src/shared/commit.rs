//! Drives a machine that writes one transaction on a connection to a server.

use std::time::Duration;

use super::server::{Server, Session};
use crate::error::JournalError;
use crate::meters::StatementMeters;
use crate::sql::{Answer, Machine, Step};
use crate::store::CommitError;

/// How long the first message of a batch may take: it waits for nothing but this life's own row,
/// for a second at most. Whoever hears nothing for longer has lost its connection, and must not
/// learn it long after it was fenced for its silence.
const FIRST_WITHIN: Duration = Duration::from_secs(2);

/// Writes what the machine has to write, or finds that it was written. After an error the
/// connection must be discarded, which ends the transaction.
pub(super) async fn drive<S: Server, M: Machine + Send>(
    session: &mut S::Session,
    mut machine: M,
    meters: &StatementMeters,
) -> Result<M::Done, CommitError>
where
    M::Done: Send,
{
    let mut step = machine.start();
    loop {
        // What is rolled back has written nothing.
        let is_counted = !matches!(step, Step::Done(_) | Step::Rollback);
        meters.statements.increment(u64::from(is_counted));
        let answer = match step {
            Step::Begin(fence) => {
                meters.statements.increment(1);
                // It binds nothing, so that both go in one message.
                let both = format!("{}; {}", S::BEGIN, fence.sql);
                let begun = tokio::time::timeout(FIRST_WITHIN, session.batch(both)).await;
                begun
                    .map_err(|_| JournalError::TooSlow { within: FIRST_WITHIN })?
                    .map(Answer::Changed)
            }
            Step::Execute(statement) => session.execute(&statement).await.map(Answer::Changed),
            Step::Query(statement) => session.query(&statement).await.map(Answer::Found),
            Step::Commit => {
                let committed = session.batch("COMMIT".to_owned()).await;
                meters.commits.increment(u64::from(committed.is_ok()));
                committed.map(|_| Answer::Ended)
            }
            Step::Rollback => session.batch("ROLLBACK".to_owned()).await.map(|_| Answer::Ended),
            Step::Done(done) => return done,
        };
        let failed = |error| Answer::Failed(S::Session::fault(&error));
        step = machine.next(answer.unwrap_or_else(failed));
    }
}
