//! Drives the commit machine on a connection to a server.

use tercet_engine::{Batch, TransactionKey};
use tercet_wire::Incarnation;

use super::server::{Server, Session};
use crate::meters::StatementMeters;
use crate::sql::{Answer, CommitMachine, Step};
use crate::store::CommitError;

/// Writes a batch, or finds that it was written. Returns the lives left out because their gid
/// belongs to another. After an error the connection must be discarded, which ends the
/// transaction.
pub(super) async fn commit<S: Server>(
    session: &mut S::Session,
    own: Incarnation,
    batch: &Batch,
    meters: &StatementMeters,
) -> Result<Vec<TransactionKey>, CommitError> {
    let mut machine = CommitMachine::new(S::DIALECT, own, batch)?;
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
                session.batch(both).await.map(Answer::Changed)
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
