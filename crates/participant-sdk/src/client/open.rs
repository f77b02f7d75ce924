//! Open transactions: branches are registered one by one, and the initiator asks for the decision.

use tercet_protocol::Gid;
use tercet_protocol::wire::{BranchView, CancelRequest};

use super::Client;
use super::error::ClientError;
use super::outcome::{Outcome, is_tried};
use super::request::NewBranch;

/// An open transaction. Dropping it asks for nothing: it can be taken up again with
/// [`Client::resume`], and its deadline cancels it if nobody does.
#[derive(Debug, Clone)]
pub struct OpenTransaction {
    client: Client,
    gid: Gid,
}

/// How a branch's registration ended.
#[must_use = "a registered branch may have been refused"]
#[derive(Debug, Clone, PartialEq)]
pub enum Registered {
    /// Its Try was done, or it has none.
    Tried(BranchView),
    /// Its Try was refused, and with it the transaction: it is being cancelled.
    Refused(BranchView),
    /// Its Try is not answered yet. Confirm is refused until it is.
    Pending(BranchView),
}

impl OpenTransaction {
    pub(super) fn new(client: Client, gid: Gid) -> Self {
        Self { client, gid }
    }

    /// The transaction.
    #[must_use]
    pub fn gid(&self) -> &Gid {
        &self.gid
    }

    /// Adds a branch and waits for its Try, which the coordinator calls.
    ///
    /// # Errors
    /// See [`ClientError`]; after the decision [`ClientError::Refused`].
    pub async fn register(&self, branch: NewBranch) -> Result<Registered, ClientError> {
        let wait = self.client.wait;
        let path = format!(
            "/v1/transactions/{}/branches?wait=tried&wait_ms={}",
            self.gid,
            wait.as_millis()
        );
        let body = branch.into_body()?;
        let reply = self.client.http.post(&path, &self.gid, Some(body), wait).await?;
        let branch: BranchView = reply.read()?;
        Ok(match is_tried(&branch) {
            Some(true) => Registered::Tried(branch),
            Some(false) => Registered::Refused(branch),
            None => Registered::Pending(branch),
        })
    }

    /// Asks for confirm.
    ///
    /// # Errors
    /// See [`ClientError`]; `tries-outstanding` while a Try is unanswered. That it was
    /// cancelled before is no error but an [`Outcome`].
    pub async fn confirm(&self) -> Result<Outcome, ClientError> {
        self.client.decide(&self.gid, "confirm", None).await
    }

    /// Asks for cancel, saying why (at most 1 KiB).
    ///
    /// # Errors
    /// See [`ClientError`]. That it was confirmed before is no error but an [`Outcome`].
    pub async fn cancel(&self, reason: impl Into<String>) -> Result<Outcome, ClientError> {
        let body = serde_json::to_string(&CancelRequest { reason: Some(reason.into()) })
            .map_err(|source| ClientError::Json { what: "reason", source })?;
        self.client.decide(&self.gid, "cancel", Some(body)).await
    }
}
