//! What a batch writes: a handful of statements, each with as many rows as the batch has,
//! whatever its size. Here they are data; a database's words for them are its dialect's.

mod rows;

pub(crate) use self::rows::{WriteRows, write_rows};

/// What a statement of a batch is for. Its rows are ordered by gid, then by branch or number:
/// two nodes that write the same gids then wait for each other in one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteKind {
    /// Inserts the narrow rows of transactions that begin, as they are at the end of the batch.
    /// Changes fewer rows where gids are taken.
    Begin,
    /// Moves narrow rows on. Each is found by its gid, and only as the life and with the status
    /// that the change starts from, and only if it is not another incarnation's. Of a row's
    /// values: gid, instance, status before, status after, reason, parked, decided at, finished
    /// at; null leaves as it is what is found, or asks for no status.
    Advance,
    /// Counts the narrow rows that must be there for what else is written of transactions whose
    /// narrow row stays as it is: by gid, instance and status before, with the same guards.
    Stay,
    /// Inserts what never changes of transactions that begin.
    Details,
    /// Inserts what those of them ask for that ask for anything beyond their branches.
    OwnOptions,
    /// Writes the texts of reasons of decisions.
    Reasons,
    /// Inserts branches.
    Branches,
    /// Inserts what those of them ask for that ask for anything beyond their calls.
    Options,
    /// Inserts what is known of branches that left the happy path, or replaces it.
    Outcomes,
    /// Inserts what their Tries were answered with.
    Results,
    /// Inserts lines of history.
    Events,
    /// Inserts revisions of definitions of sagas, and fails where one is there already.
    Sagas,
    /// Writes whether participants are called, in the place of what was said of them before.
    Pauses,
    /// Inserts revisions of jobs, and fails where one is there already.
    Jobs,
    /// Inserts that jobs have come to transactions, and fails where one has already.
    Ticks,
    /// Inserts that what was held is released, and fails where another has.
    Holds,
    /// Inserts what operators did.
    Audit,
}

impl WriteKind {
    /// Everything that follows the begins, in the order in which it must be written.
    pub(crate) const AFTER_BEGIN: &'static [Self] = &[
        Self::Advance,
        Self::Stay,
        Self::Details,
        Self::OwnOptions,
        Self::Reasons,
        Self::Branches,
        Self::Options,
        Self::Outcomes,
        Self::Results,
        Self::Events,
        Self::Sagas,
        Self::Pauses,
        Self::Jobs,
        Self::Ticks,
        Self::Holds,
        Self::Audit,
    ];

    /// What is written after this.
    pub(crate) fn those_after(self) -> &'static [Self] {
        let place = Self::AFTER_BEGIN.iter().position(|kind| *kind == self);
        place.map_or(Self::AFTER_BEGIN, |place| &Self::AFTER_BEGIN[place + 1..])
    }

    /// For the alarm, should it change fewer rows than it must.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Advance => "advance",
            Self::Stay => "stay",
            Self::Details => "details",
            Self::OwnOptions => "own options",
            Self::Reasons => "reasons",
            Self::Branches => "branches",
            Self::Options => "options",
            Self::Outcomes => "outcomes",
            Self::Results => "results",
            Self::Events => "events",
            Self::Sagas => "sagas",
            Self::Pauses => "pauses",
            Self::Jobs => "jobs",
            Self::Ticks => "ticks",
            Self::Holds => "holds",
            Self::Audit => "audit",
        }
    }

    /// Table and columns of what is inserted, in the order of a row's values.
    pub(crate) fn inserted_into(self) -> Option<&'static str> {
        Some(match self {
            Self::Begin => {
                "global_transactions (gid, instance, pattern, status, owner, open, reason, \
                 parked, created_at, deadline_at, decided_at, finished_at)"
            }
            Self::Details => {
                "global_details (gid, fingerprint, metadata, traceparent, reason_detail)"
            }
            Self::OwnOptions => "transaction_options (gid, options)",
            Self::Branches => {
                "branch_transactions (gid, branch_id, position, stage, registered, \
                 participant, try_url, confirm_url, cancel_url, headers, payload, timeout_ms, \
                 try_by, fingerprint)"
            }
            Self::Options => "branch_options (gid, branch_id, options)",
            Self::Outcomes => {
                "branch_outcomes (gid, branch_id, status, try_attempts, confirm_attempts, \
                 cancel_attempts, parked, last_error, answer_status, answer_body, resolved_as, \
                 acknowledged_at, last_answer, pending_resolution, contradicted)"
            }
            Self::Results => "branch_results (gid, branch_id, result, body_bytes)",
            Self::Events => {
                "transaction_events (gid, number, at, kind, branch_id, op, attempt, detail)"
            }
            Self::Sagas => "sagas (name, revision, version, document, at, who)",
            Self::Pauses => "participant_pauses (participant, paused, at, who, note)",
            Self::Jobs => "jobs (id, revision, stage, at, owner, matched, done, failed, document)",
            Self::Ticks => "job_ticks (gid, job_id, number, code)",
            Self::Holds => "holds (number, held_to, at, who)",
            Self::Audit => "audit (id, at, who, role, action, gid, branch_id, note, detail)",
            Self::Advance | Self::Stay | Self::Reasons => return None,
        })
    }
}
