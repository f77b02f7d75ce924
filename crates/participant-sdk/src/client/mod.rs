//! A client for initiators.

mod builder;
mod error;
mod http;
#[cfg(feature = "sea-orm")]
mod message;
mod open;
mod outcome;
mod own_try;
mod request;
mod run;
mod tls;
mod token;

use std::time::Duration;

pub use builder::ClientBuilder;
pub use error::ClientError;
pub use open::{OpenTransaction, Registered};
pub use outcome::{Cancellation, NotConfirmed, Outcome};
pub use own_try::OwnTry;
pub use request::{NewBranch, NewTransaction};
pub use run::SagaRun;
use tercet_wire::{Gid, TransactionView};
pub use token::Token;

use self::http::{Http, Reply, Sent};

/// How long the coordinator lets a request wait for the end of its transaction, unless told
/// otherwise; the coordinator's own default.
const WAIT: Duration = Duration::from_secs(10);

/// What a request waits for before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WaitFor {
    /// Every branch has acknowledged the decision.
    #[default]
    Finished,
    /// The decision is durable: what it says will happen, whatever fails.
    Decided,
    /// The transaction is logged.
    Accepted,
}

impl WaitFor {
    fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Decided => "decided",
            Self::Accepted => "accepted",
        }
    }
}

/// Speaks to a coordinator. Cheap to clone; clones share their connections.
///
/// Every request can be repeated without harm, and is: a lost connection, a 429, 502, 503 or 504 is
/// met with the same request again, up to ten times with growing pauses. A transaction
/// always has a gid before it is first sent, so that a repeat is the same transaction.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    wait_for: WaitFor,
    wait: Duration,
}

impl Client {
    /// A client of the coordinator at `url`, such as `http://127.0.0.1:7200`.
    ///
    /// # Errors
    /// The URL is not an http or https URL, or TLS cannot be set up.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        Self::builder(url).build()
    }

    /// A client of the coordinator at `url` that has more than that to say: a token, say.
    #[must_use]
    pub fn builder(url: &str) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    /// What begin, confirm and cancel wait for; by default that everyone has acknowledged.
    #[must_use]
    pub fn waiting_for(mut self, wait_for: WaitFor) -> Self {
        self.wait_for = wait_for;
        self
    }

    /// How long they wait at most (whole milliseconds, up to 60 s; by default 10 s). The
    /// transaction goes on when the wait runs out: the outcome is [`Outcome::Pending`].
    #[must_use]
    pub fn waiting_at_most(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Runs a transaction in one call: Tercet tries every branch, decides and finishes.
    ///
    /// # Errors
    /// See [`ClientError`]. Being cancelled is no error but an [`Outcome`].
    pub async fn begin(&self, transaction: NewTransaction) -> Result<Outcome, ClientError> {
        let (gid, sent) = transaction.into_sent(false)?;
        let path = format!("/v1/transactions?{}", self.wait_query());
        let reply = self.http.post(&path, &gid, sent, self.wait).await?;
        Ok(Outcome::of(reply.read()?))
    }

    /// Begins an open transaction, whose branches are registered later and which is confirmed
    /// or cancelled by request. If neither is asked for, its deadline cancels it, or whoever
    /// [`check`](NewTransaction::check) leads to is asked.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn open(&self, transaction: NewTransaction) -> Result<OpenTransaction, ClientError> {
        let (gid, sent) = transaction.into_sent(true)?;
        let traceparent = sent.traceparent.as_ref().and_then(|value| value.to_str().ok());
        let traceparent = traceparent.map(str::to_owned);
        let reply = self.http.post("/v1/transactions", &gid, sent, self.wait).await?;
        let begun: TransactionView = reply.read()?;
        Ok(OpenTransaction::begun(self.clone(), &begun, traceparent))
    }

    /// Takes up an open transaction that was begun before, here or elsewhere.
    #[must_use]
    pub fn resume(&self, gid: Gid) -> OpenTransaction {
        OpenTransaction::resumed(self.clone(), gid)
    }

    /// A transaction as it is now.
    ///
    /// # Errors
    /// See [`ClientError`]; no such transaction is [`ClientError::Refused`] with code
    /// `transaction-not-found`.
    pub async fn get(&self, gid: &Gid) -> Result<TransactionView, ClientError> {
        let reply = self.http.get(&format!("/v1/transactions/{gid}"), gid, Duration::ZERO).await?;
        reply.read()
    }

    /// Waits for the end of a transaction, as long as this client waits.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn outcome(&self, gid: &Gid) -> Result<Outcome, ClientError> {
        // A read waits for a decision or an end; that the transaction is logged, it shows at once.
        let query = match self.wait_for {
            WaitFor::Finished | WaitFor::Decided => format!("?{}", self.wait_query()),
            WaitFor::Accepted => String::new(),
        };
        let path = format!("/v1/transactions/{gid}{query}");
        let reply = self.http.get(&path, gid, self.wait).await?;
        Ok(Outcome::of(reply.read()?))
    }

    /// Asks for a decision. That the other one had won is an outcome like any other.
    async fn decide(&self, gid: &Gid, decision: &str, sent: Sent) -> Result<Outcome, ClientError> {
        let path = format!("/v1/transactions/{gid}/{decision}?{}", self.wait_query());
        match self.http.post(&path, gid, sent, self.wait).await.and_then(Reply::read) {
            Ok(transaction) => Ok(Outcome::of(transaction)),
            Err(error) if error.is_decided_otherwise() => self.outcome(gid).await,
            Err(error) => Err(error),
        }
    }

    fn wait_query(&self) -> String {
        format!("wait={}&wait_ms={}", self.wait_for.as_str(), self.wait.as_millis())
    }
}
