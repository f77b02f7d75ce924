//! The rows of the table.

use std::fmt;
use std::time::Duration;

use crate::fault::Need;

/// What goes wrong, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PatternFault {
    /// `kill -9` of the coordinator of sagas, and a restart a second later.
    SagaCoordinatorKilled,
    /// Packets between it and the participants are late, and some are lost.
    SagaFoulNetwork,
    /// `kill -9` of the coordinator that messages are handed over to.
    OutboxCoordinatorKilled,
    /// `kill -9` of one of two relays.
    OutboxRelayKilled,
    /// `kill -9` of the database that the outbox is in.
    OutboxDatabaseKilled,
    /// Packets between coordinator and participants are late, and some are lost.
    OutboxFoulNetwork,
}

impl PatternFault {
    pub(crate) const ALL: [Self; 6] = [
        Self::SagaCoordinatorKilled,
        Self::SagaFoulNetwork,
        Self::OutboxCoordinatorKilled,
        Self::OutboxRelayKilled,
        Self::OutboxDatabaseKilled,
        Self::OutboxFoulNetwork,
    ];

    pub(super) fn need(self) -> Need {
        match self {
            Self::SagaFoulNetwork | Self::OutboxFoulNetwork => Need::TroubledLink,
            Self::SagaCoordinatorKilled
            | Self::OutboxCoordinatorKilled
            | Self::OutboxRelayKilled
            | Self::OutboxDatabaseKilled => Need::Nothing,
        }
    }

    pub(super) fn is_about_messages(self) -> bool {
        match self {
            Self::SagaCoordinatorKilled | Self::SagaFoulNetwork => false,
            Self::OutboxCoordinatorKilled
            | Self::OutboxRelayKilled
            | Self::OutboxDatabaseKilled
            | Self::OutboxFoulNetwork => true,
        }
    }

    /// How long it lasts, of a usual length of `usual`.
    pub(super) fn lasts(self, usual: Duration) -> Duration {
        match self {
            Self::SagaCoordinatorKilled
            | Self::OutboxCoordinatorKilled
            | Self::OutboxRelayKilled => usual / 5,
            Self::OutboxDatabaseKilled | Self::SagaFoulNetwork => usual,
            Self::OutboxFoulNetwork => usual * 2,
        }
    }
}

/// As the table names it.
impl fmt::Display for PatternFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SagaCoordinatorKilled => "saga: coordinator kill -9",
            Self::SagaFoulNetwork => "saga: 200 ms + 5 % loss",
            Self::OutboxCoordinatorKilled => "outbox: coordinator kill -9",
            Self::OutboxRelayKilled => "outbox: one of two relays kill -9",
            Self::OutboxDatabaseKilled => "outbox: its database killed, and back",
            Self::OutboxFoulNetwork => "outbox: 200 ms + 5 % loss",
        })
    }
}
