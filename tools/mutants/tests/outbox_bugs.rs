//! Bugs in what an initiator writes with its own work: messages, and the answer to a check.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::SdkTest;

/// All of them.
pub(crate) const OUTBOX_BUGS: &[Bug] = &[
    Bug {
        name: "P1: a message is sent though its transaction was rolled back",
        file: "crates/participant-sdk/src/outbox/store.rs",
        instead_of: "let written = tx.execute_raw(statement(backend, text, values)).await?;",
        put: "let written = self.db.execute_raw(statement(backend, text, values)).await?;",
        caught_by: SdkTest("outbox"),
    },
    Bug {
        name: "P4: a message is marked before it is handed over, and lost when the relay dies between",
        file: "crates/participant-sdk/src/outbox/claims.rs",
        instead_of: "\"UPDATE tercet_outbox SET owner = ?, due_at",
        put: "\"UPDATE tercet_outbox SET state = 'sent', owner = ?, due_at",
        caught_by: SdkTest("outbox"),
    },
    Bug {
        name: "two relays hand the same message over, as a rule",
        file: "crates/participant-sdk/src/outbox/claims.rs",
        instead_of: "owner = ?, due_at = {{now}} + ?, attempts = attempts + 1",
        put: "owner = ?, due_at = {{now}} + 0 * ?, attempts = attempts + 1",
        caught_by: SdkTest("outbox"),
    },
    Bug {
        name: "P8: a relay that has lost its lease writes what it thinks",
        file: "crates/participant-sdk/src/outbox/claims.rs",
        instead_of: "WHERE owner = ? AND state = ? AND gid IN ({})",
        put: "WHERE (owner = ? OR owner >= 0) AND (state = ? OR owner >= 0) AND gid IN ({})",
        caught_by: SdkTest("outbox"),
    },
    Bug {
        name: "P9: a message that is refused for good is tried for ever",
        file: "crates/participant-sdk/src/outbox/hand_over.rs",
        instead_of: "Told::Refused(why) => ended(OutboxState::Dead, Some(why)),",
        put: "Told::Refused(why) => later(at_least_half(ODD_PAUSE, attempts, entropy), cut(&why)),",
        caught_by: SdkTest("outbox"),
    },
    Bug {
        name: "a message that the coordinator has forgotten is begun anew",
        file: "crates/participant-sdk/src/outbox/hand_over.rs",
        instead_of: "OutboxState::Sent => ended(OutboxState::Dead, Some(FORGOTTEN.to_owned())),",
        put: "OutboxState::Sent => Next { state: OutboxState::Pending, due_in_ms: 0, attempts: Attempts::Anew, reason: Some(FORGOTTEN.to_owned()) },",
        caught_by: SdkTest("outbox"),
    },
    Bug {
        name: "P9: messages that are not done are purged",
        file: "crates/participant-sdk/src/outbox/purge.rs",
        instead_of: "for state in [OutboxState::Confirmed, OutboxState::Cancelled] {",
        put: "for state in [OutboxState::Confirmed, OutboxState::Cancelled, OutboxState::Sent] {",
        caught_by: SdkTest("outbox"),
    },
    Bug {
        name: "P2: who asks is told never, and it is not written",
        file: "crates/participant-sdk/src/checked/answer.rs",
        instead_of: "commit(&self.db, tx).await?;\n            return Ok(Some(Mark::Never));",
        put: "tx.rollback().await?;\n            return Ok(Some(Mark::Never));",
        caught_by: SdkTest("checked"),
    },
    Bug {
        name: "P2: work commits after it was told that it never would",
        file: "crates/participant-sdk/src/checked/record.rs",
        instead_of: "Some((Mark::Never, _)) | None => Err(NotRecorded::TooLate(gid.clone())),",
        put: "Some((Mark::Never, _)) | None => Ok(()),",
        caught_by: SdkTest("checked"),
    },
    Bug {
        name: "P7: who cannot find out says never",
        file: "crates/participant-sdk/src/checked/answer.rs",
        instead_of: "Ok(Ok(Ok(None))) | Err(_) => not_known_yet(),",
        put: "Ok(Ok(Ok(None))) | Err(_) => problem(StatusCode::GONE, \"never\", \"\"),",
        caught_by: SdkTest("checked"),
    },
    Bug {
        name: "P9: what may still be asked for is purged",
        file: "crates/participant-sdk/src/checked/answer.rs",
        instead_of: "pub(super) const TOUCH_AFTER_MS: i64 = 24 * 60 * 60 * 1000;",
        put: "pub(super) const TOUCH_AFTER_MS: i64 = i64::MAX;",
        caught_by: SdkTest("checked"),
    },
    Bug {
        name: "a page of books leaves out what shares its last gid",
        file: "crates/participant-sdk/src/guard/books.rs",
        instead_of: "range.after_branch.into(),",
        put: "BEHIND_ALL.into(),",
        caught_by: SdkTest("guard"),
    },
];
