//! What a row of the outbox says, and the table.

use std::fmt;

use sea_orm::DbBackend;

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutboxState {
    /// It is committed, and the coordinator may not have it yet.
    Pending,
    /// The coordinator has it, and sees to it.
    Sent,
    /// Everybody has confirmed.
    Confirmed,
    /// It was cancelled: a Try was refused, say.
    Cancelled,
    /// The coordinator will never take it; why stands beside it.
    Dead,
}

impl OutboxState {
    const ALL: [Self; 5] =
        [Self::Pending, Self::Sent, Self::Confirmed, Self::Cancelled, Self::Dead];

    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for OutboxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The most of a reason that is kept, in characters.
pub(super) const REASON_CHARS: usize = 1_000;

/// The table. `due_at` is when a relay is to see to the row next, and of what has ended, when that was; `owner` is
/// a number that a relay draws for each claim. Times are the database's own.
pub(super) fn create(backend: DbBackend) -> &'static [&'static str] {
    const INDEX: &str =
        "CREATE INDEX IF NOT EXISTS tercet_outbox_due ON tercet_outbox (state, due_at)";
    match backend {
        DbBackend::MySql => &["CREATE TABLE IF NOT EXISTS tercet_outbox ( \
               gid VARCHAR(128) NOT NULL PRIMARY KEY, \
               request LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, \
               traceparent VARCHAR(255), \
               state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL, due_at BIGINT NOT NULL, \
               attempts INT NOT NULL, written_at BIGINT NOT NULL, \
               reason TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, \
               KEY tercet_outbox_due (state, due_at)) \
             ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin"],
        DbBackend::Postgres => &[
            "CREATE TABLE IF NOT EXISTS tercet_outbox ( \
               gid VARCHAR(128) COLLATE \"C\" NOT NULL PRIMARY KEY, \
               request TEXT NOT NULL, traceparent VARCHAR(255), \
               state VARCHAR(9) COLLATE \"C\" NOT NULL, owner BIGINT NOT NULL, \
               due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL, \
               reason TEXT)",
            INDEX,
        ],
        DbBackend::Sqlite | _ => &[
            "CREATE TABLE IF NOT EXISTS tercet_outbox ( \
               gid VARCHAR(128) NOT NULL PRIMARY KEY, \
               request TEXT NOT NULL, traceparent VARCHAR(255), \
               state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL, \
               due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL, \
               reason TEXT)",
            INDEX,
        ],
    }
}
