//! How the rest of the daemon asks the engine.

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{Ask, Census, Refusal, Reply, Until};
use tercet_wire::Gid;
use tokio::sync::{mpsc, oneshot};

use crate::runtime::refusals::{Cause, Refusals};

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

/// What is asked of the engine as a whole.
#[derive(Debug)]
pub enum Control {
    /// Tell when all that is written now is durable.
    Sync(oneshot::Sender<()>),
    /// Count the live transactions.
    Census(oneshot::Sender<Census>),
}

/// Asks the engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RuntimeHandle {
    begins: mpsc::Sender<Asked>,
    requests: mpsc::Sender<Asked>,
    control: mpsc::Sender<Control>,
    refusals: Arc<Refusals>,
}

/// The other ends of a handle's lanes.
#[derive(Debug)]
pub struct Lanes {
    /// Begins; full means that begin is refused.
    pub begins: mpsc::Receiver<Asked>,
    /// Requests about known transactions.
    pub requests: mpsc::Receiver<Asked>,
    /// What is asked of the engine as a whole.
    pub control: mpsc::Receiver<Control>,
}

impl Lanes {
    /// Whether nothing waits in any of them.
    #[must_use]
    pub fn are_empty(&self) -> bool {
        self.begins.is_empty() && self.requests.is_empty() && self.control.is_empty()
    }
}

/// A handle and the lanes it sends into, with room for this many messages each.
#[must_use]
pub fn lanes(begins: usize, requests: usize) -> (RuntimeHandle, Lanes) {
    let (begin_sender, begin_receiver) = mpsc::channel(begins.max(1));
    let (request_sender, request_receiver) = mpsc::channel(requests.max(1));
    let (control_sender, control_receiver) = mpsc::channel(requests.max(1));
    let handle = RuntimeHandle {
        begins: begin_sender,
        requests: request_sender,
        control: control_sender,
        refusals: Arc::new(Refusals::register()),
    };
    let lanes =
        Lanes { begins: begin_receiver, requests: request_receiver, control: control_receiver };
    (handle, lanes)
}

impl RuntimeHandle {
    /// Asks something of one transaction and waits for the answer. A begin that finds its
    /// lane full is refused at once; everything else waits for room.
    pub async fn ask(&self, gid: Gid, ask: Ask, until: Until, wait: Duration) -> Reply {
        let begins = matches!(ask, Ask::Begin { .. });
        let (reply, answer) = oneshot::channel();
        let asked = Asked { gid, ask, until, wait, reply };
        let sent = if begins {
            let limit = self.begins.max_capacity();
            match self.begins.try_send(asked) {
                Ok(()) => Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    self.refusals.count(Cause::BeginQueue);
                    return Reply::Refused(Refusal::TooManyTransactions { limit });
                }
                Err(mpsc::error::TrySendError::Closed(_)) => Err(Refusal::NotAccepted),
            }
        } else {
            self.requests.send(asked).await.map_err(|_| Refusal::NotAccepted)
        };
        let reply = match sent {
            Err(refusal) => return Reply::Refused(refusal),
            // The sender is dropped only when the engine is: what became of the request is
            // unknown.
            Ok(()) => answer.await.unwrap_or(Reply::Refused(Refusal::JournalUnavailable)),
        };
        if let Reply::Refused(refusal) = &reply
            && let Some(cause) = Cause::of(refusal)
        {
            self.refusals.count(cause);
        }
        reply
    }

    /// Waits until everything the engine had written when this was asked is durable, so that
    /// what is then read from the database is not older than what was already told.
    ///
    /// # Errors
    /// The journal did not answer in time.
    pub async fn synced(&self) -> Result<(), Refusal> {
        let (done, synced) = oneshot::channel();
        let sent = self.control.send(Control::Sync(done)).await;
        sent.map_err(|_| Refusal::JournalUnavailable)?;
        synced.await.map_err(|_| Refusal::JournalUnavailable)
    }

    /// Counts the live transactions; nothing once the engine has stopped.
    pub async fn census(&self) -> Option<Census> {
        let (reply, census) = oneshot::channel();
        self.control.send(Control::Census(reply)).await.ok()?;
        census.await.ok()
    }
}
