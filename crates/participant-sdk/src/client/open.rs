//! Open transactions: branches are registered one by one, and the initiator asks for the decision.

use tercet_wire::{
    BranchView, BranchesView, CancelRequest, Gid, Instance, Op, TransactionView, Wall,
};

use super::Client;
use super::error::ClientError;
use super::http::{Reply, Sent};
use super::outcome::{Outcome, is_tried};
use super::own_try::OwnTry;
use super::request::NewBranch;
use crate::context::Context;

/// An open transaction. Dropping it asks for nothing: it can be taken up again with
/// [`Client::resume`], and its deadline cancels it if nobody does.
#[derive(Debug, Clone)]
pub struct OpenTransaction {
    client: Client,
    gid: Gid,
    /// Known from the beginning to whoever began it, asked for by whoever took it up.
    life: Option<Life>,
    traceparent: Option<String>,
}

/// What a Try says of its transaction beside the gid.
#[derive(Debug, Clone, Copy)]
struct Life {
    instance: Instance,
    deadline: Wall,
}

impl Life {
    fn of(transaction: &TransactionView) -> Self {
        let summary = &transaction.summary;
        Self { instance: summary.instance, deadline: summary.deadline_at }
    }
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

impl Registered {
    fn of(branch: BranchView) -> Self {
        match is_tried(&branch) {
            Some(true) => Self::Tried(branch),
            Some(false) => Self::Refused(branch),
            None => Self::Pending(branch),
        }
    }
}

impl OpenTransaction {
    pub(super) fn begun(
        client: Client,
        transaction: &TransactionView,
        traceparent: Option<String>,
    ) -> Self {
        let gid = transaction.summary.gid.clone();
        Self { client, gid, life: Some(Life::of(transaction)), traceparent }
    }

    pub(super) fn resumed(client: Client, gid: Gid) -> Self {
        Self { client, gid, life: None, traceparent: None }
    }

    /// The transaction.
    #[must_use]
    pub fn gid(&self) -> &Gid {
        &self.gid
    }

    /// Adds a branch and waits for its Try, which the coordinator calls. Register it again to
    /// wait for one that is [`Pending`](Registered::Pending): the same content starts nothing.
    ///
    /// # Errors
    /// See [`ClientError`]; after the decision [`ClientError::Refused`].
    pub async fn register(&self, branch: NewBranch) -> Result<Registered, ClientError> {
        self.join("tried", &branch).await.map(Registered::of)
    }

    /// Adds several branches at once, 1 to 64 of them: all or none, in one request. Waits until all are
    /// tried or one is refused, and answers in their order. In a saga each comes after the one before it,
    /// unless it says [`after`](NewBranch::after). A repeat must have the same branches.
    ///
    /// # Errors
    /// See [`ClientError`]; after the decision [`ClientError::Refused`]. What is wrong with one of them
    /// is told with its place: `[2].after`.
    pub async fn register_all(
        &self,
        branches: impl IntoIterator<Item = NewBranch>,
    ) -> Result<Vec<Registered>, ClientError> {
        let body = NewBranch::all_to_body(branches)?;
        let BranchesView { branches } = self.send("tried", body).await?.read()?;
        Ok(branches.into_iter().map(Registered::of).collect())
    }

    /// Adds a branch whose Try you call yourself, because you need what it answers, or because a
    /// service of yours calls it anyway. Once this returns, the branch is on disk: whatever
    /// becomes of you, it gets its Confirm or Cancel. Now call its Try, with the headers of
    /// [`OwnTry`], until the answer settles it; ask for confirm only if all are done.
    ///
    /// The branch may name its three legs by [`endpoint`](NewBranch::endpoint); Try is then kept
    /// from the coordinator and given back as [`OwnTry::url`].
    ///
    /// ```no_run
    /// # use tercet_participant::{Client, NewBranch, NewTransaction, Verdict};
    /// # async fn book(http: reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let tercet = Client::new("http://127.0.0.1:7200")?;
    /// let ride = tercet.open(NewTransaction::new().gid("ride-17")).await?;
    /// let seat = NewBranch::new("seat").endpoint("http://127.0.0.1:7304/ride").payload("7A")?;
    /// let mut seat = ride.register_own_try(seat).await?;
    /// let url = seat.url.clone().unwrap_or_default();
    /// // A real one also goes by `Retry-After`, pauses, and ends at some attempt.
    /// let verdict = loop {
    ///     let call = http.post(&url).headers(seat.headers()).body("\"7A\"");
    ///     match seat.verdict(call.send().await?.status().as_u16(), None) {
    ///         Verdict::Again { .. } | Verdict::InProgress(_) => seat.call_again(),
    ///         settled => break settled,
    ///     }
    /// };
    /// let outcome = match verdict {
    ///     Verdict::Done => ride.confirm().await?,
    ///     _ => ride.cancel("the seat was refused").await?,
    /// };
    /// outcome.confirmed()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`ClientError`]; after the decision [`ClientError::Refused`]. Whatever the error, do
    /// not call Try: nobody would release it.
    pub async fn register_own_try(&self, branch: NewBranch) -> Result<OwnTry, ClientError> {
        let (branch, url) = branch.with_own_try()?;
        let legs = branch.legs();
        let registered = self.join("accepted", &branch).await?;
        let life = match self.life {
            Some(life) => life,
            None => Life::of(&self.client.get(&self.gid).await?),
        };
        let context = Context {
            gid: self.gid.clone(),
            branch: registered.id,
            instance: life.instance,
            op: Op::Try,
            legs,
            attempt: 1,
            deadline: Some(life.deadline),
            traceparent: self.traceparent.clone(),
            empty: false,
            results: Default::default(),
        };
        Ok(OwnTry { context, url })
    }

    /// Registers, waiting for `wait_for` as long as the client waits.
    async fn join(&self, wait_for: &str, branch: &NewBranch) -> Result<BranchView, ClientError> {
        self.send(wait_for, branch.to_body()?).await?.read()
    }

    async fn send(&self, wait_for: &str, body: String) -> Result<Reply, ClientError> {
        let wait = self.client.wait;
        let path = format!(
            "/v1/transactions/{}/branches?wait={wait_for}&wait_ms={}",
            self.gid,
            wait.as_millis()
        );
        self.client.http.post(&path, &self.gid, Sent::body(body), wait).await
    }

    /// Asks for confirm.
    ///
    /// # Errors
    /// See [`ClientError`]; `tries-outstanding` while a Try is unanswered. That it was
    /// cancelled before is no error but an [`Outcome`].
    pub async fn confirm(&self) -> Result<Outcome, ClientError> {
        self.client.decide(&self.gid, "confirm", Sent::default()).await
    }

    /// Asks for cancel, saying why (at most 1 KiB).
    ///
    /// # Errors
    /// See [`ClientError`]. That it was confirmed before is no error but an [`Outcome`].
    pub async fn cancel(&self, reason: impl Into<String>) -> Result<Outcome, ClientError> {
        let body = serde_json::to_string(&CancelRequest { reason: Some(reason.into()) })
            .map_err(|source| ClientError::Json { what: "reason", source })?;
        self.client.decide(&self.gid, "cancel", Sent::body(body)).await
    }
}
