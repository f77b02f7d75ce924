//! What the transactions of a load are like.

use clap::ValueEnum;

use crate::sink::Profile;

/// What a transaction is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// What its branches are.
    pub(crate) kind: Kind,
    /// Branches of each.
    pub(crate) branches: u32,
    /// Bytes of each branch's payload.
    pub(crate) payload_bytes: usize,
    /// How participants answer.
    pub(crate) profile: Profile,
    /// Of so many transactions one is refused by its last branch.
    pub(crate) refused_of: Option<u64>,
    /// Who drives it.
    pub(crate) driven: Driven,
    /// Whose gids they have.
    pub(crate) gids: Gids,
}

/// Whose gids the transactions of a load have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Gids {
    /// The coordinator's: each is greater than those before it.
    Generated,
    /// The initiator's, each greater than those before it, as the numbers of orders are.
    Sequential,
    /// The initiator's, in no order.
    Random,
}

/// What the branches of a transaction are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Reservations, called all at once.
    Tcc,
    /// Steps with their compensation, each called after the one before it.
    Saga,
    /// Steps that are confirmed as well, one after the other, once all are done.
    ConfirmedSaga,
    /// Messages: Confirm alone, so that it is decided when it is accepted.
    Message,
}

/// Who drives a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driven {
    /// The coordinator: one request, answered when all is finished.
    Coordinator,
    /// The same, answered when it is accepted: the load does not wait for what comes of it.
    Unattended,
    /// The initiator: begin, a request for each branch, confirm.
    Initiator,
    /// The same with one request for all branches.
    InitiatorAtOnce,
}

impl Shape {
    /// Whether it goes on after its last answer, to an end: what it costs is known then.
    pub(crate) fn ends_later(self) -> bool {
        self.driven == Driven::Unattended && self.profile != Profile::Hold
    }
}
