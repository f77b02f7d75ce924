//! How the API asks the engine.

use std::time::Duration;

use tercet_protocol::{Ask, Gid, Refusal, Reply, Until};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// A request on its way to the engine.
#[derive(Debug)]
pub struct Asked {
    /// Which transaction.
    pub gid: Gid,
    /// What is asked.
    pub ask: Ask,
    /// What it waits for.
    pub until: Until,
    /// For how long.
    pub wait: Duration,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Reply>,
}

/// Asks the engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RuntimeHandle {
    begins: mpsc::Sender<Asked>,
    requests: mpsc::Sender<Asked>,
    barriers: mpsc::Sender<oneshot::Sender<()>>,
}

impl RuntimeHandle {
    /// A handle that sends into these lanes: one for begins, one for requests about
    /// known transactions, one for barriers.
    #[must_use]
    pub fn new(
        begins: mpsc::Sender<Asked>,
        requests: mpsc::Sender<Asked>,
        barriers: mpsc::Sender<oneshot::Sender<()>>,
    ) -> Self {
        Self { begins, requests, barriers }
    }

    /// Asks something of one transaction and waits for the answer. A begin that finds
    /// its lane full is refused at once; everything else waits for room.
    pub async fn ask(&self, gid: Gid, ask: Ask, until: Until, wait: Duration) -> Reply {
        let begins = matches!(ask, Ask::Begin { .. });
        let (reply, answer) = oneshot::channel();
        let asked = Asked { gid, ask, until, wait, reply };
        let refused = if begins {
            self.begins.try_send(asked).err().map(|error| match error {
                TrySendError::Full(_) => {
                    Refusal::TooManyTransactions { limit: self.begins.max_capacity() }
                }
                TrySendError::Closed(_) => Refusal::NotAccepted,
            })
        } else {
            self.requests.send(asked).await.err().map(|_| Refusal::NotAccepted)
        };
        if let Some(refusal) = refused {
            return Reply::Refused(refusal);
        }
        // The sender is dropped only when the engine is: what became of the request is unknown.
        answer.await.unwrap_or(Reply::Refused(Refusal::JournalUnavailable))
    }

    /// Waits until everything the engine had written when this was asked is durable, so that
    /// what is then read from the database is not older than what was already told.
    ///
    /// # Errors
    /// The journal did not answer in time.
    pub async fn settled(&self) -> Result<(), Refusal> {
        let (done, settled) = oneshot::channel();
        self.barriers.send(done).await.map_err(|_| Refusal::JournalUnavailable)?;
        settled.await.map_err(|_| Refusal::JournalUnavailable)
    }
}
