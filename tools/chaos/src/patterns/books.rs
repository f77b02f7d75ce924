//! The books of messages: what was committed, what became of it in the outbox, what the coordinator says, and what came.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Statement};

use crate::books::{Entries, Guarded};
use crate::error::ChaosError;
use crate::load::{End, InitiatorLog};
use crate::verdict::{Known, Verdict};

/// What stands in the sender's database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// Orders that are committed.
    orders: BTreeSet<String>,
    /// The state of each message.
    messages: BTreeMap<String, String>,
}

impl Sent {
    pub(super) async fn read(db: &DatabaseConnection) -> Result<Self, ChaosError> {
        let orders = rows(db, "SELECT gid FROM orders", |row| row.try_get_by_index(0)).await?;
        let messages = rows(db, "SELECT gid, state FROM tercet_outbox", |row| {
            Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))
        });
        Ok(Self {
            orders: orders.into_iter().collect(),
            messages: messages.await?.into_iter().collect(),
        })
    }
}

/// How many messages have no end yet.
pub(super) async fn unfinished(db: &DatabaseConnection) -> Result<i64, ChaosError> {
    let count = "SELECT COUNT(*) FROM tercet_outbox WHERE state IN ('pending', 'sent')";
    let found = rows(db, count, |row| row.try_get_by_index(0)).await?;
    Ok(found.first().copied().unwrap_or(0))
}

async fn rows<T>(
    db: &DatabaseConnection,
    select: &str,
    read: impl Fn(&QueryResult) -> Result<T, DbErr>,
) -> Result<Vec<T>, ChaosError> {
    let statement = Statement::from_string(db.get_database_backend(), select);
    let found = db.query_all_raw(statement).await;
    let found = found.and_then(|rows| rows.iter().map(read).collect());
    found.map_err(|source| ChaosError::Rows { what: select.to_owned(), source })
}

/// Every committed order must have one message that came and is confirmed, and there must be nothing else.
pub(super) fn verdict(
    logs: &[InitiatorLog],
    sent: &Sent,
    known: &BTreeMap<String, Known>,
    entries: &Entries,
) -> Verdict {
    let mut verdict = Verdict { begun: logs.len(), ..Verdict::default() };
    let came = &entries.guards[0];
    for log in logs {
        let gid = log.gid.as_str();
        let (known, came) = (known.get(gid), came.get(gid));
        let is_committed = sent.orders.contains(gid);
        let mut wrong = log.contradictions.clone();
        // Whoever was told that it is committed has done with it.
        let is_lost = log.decision == Some(End::Confirmed) && (!is_committed || came.is_none());
        if is_lost {
            wrong.push("acknowledged, and not there or never delivered".to_owned());
        }
        verdict.lost += usize::from(is_lost);
        if log.decision == Some(End::Cancelled) && is_committed {
            wrong.push("rolled back, and there".to_owned());
        }
        wrong.extend(if is_committed {
            verdict.confirmed += 1;
            differences(sent.messages.get(gid), known, came)
        } else {
            nothing(sent.messages.get(gid), known, came).into_iter().collect()
        });
        if is_committed && log.finished.is_none() {
            wrong.push("nobody was told that it came".to_owned());
        }
        if wrong.is_empty() {
            verdict.right += 1;
        } else {
            verdict.wrong.push(format!("{gid}: {}", wrong.join("; ")));
        }
    }
    let begun: BTreeSet<&String> = logs.iter().map(|log| &log.gid).collect();
    let all = sent.orders.iter().chain(sent.messages.keys()).chain(came.keys());
    for gid in all.filter(|gid| !begun.contains(gid)) {
        verdict.sums.push(format!("{gid} was sent by nobody"));
    }
    verdict
}

/// What is not as it must be of one that was committed.
fn differences(
    message: Option<&String>,
    known: Option<&Known>,
    came: Option<&Guarded>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if message.is_none_or(|state| state != "confirmed") {
        wrong.push(format!("committed, and its message is {message:?}"));
    }
    let instance = match known {
        Some(Known { instance, end: Some(End::Confirmed) }) => Some(instance),
        other => {
            wrong.push(format!("committed, and the coordinator says {other:?}"));
            None
        }
    };
    match came {
        Some(guarded) if guarded.state == "confirmed" && Some(&guarded.instance) == instance => {}
        other => wrong.push(format!("committed, and what came is {other:?}")),
    }
    wrong
}

/// What there is of one that was not.
fn nothing(
    message: Option<&String>,
    known: Option<&Known>,
    came: Option<&Guarded>,
) -> Option<String> {
    let nothing = message.is_none() && known.is_none() && came.is_none();
    (!nothing).then(|| format!("not committed, and there is {message:?}, {known:?}, {came:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// One message that everybody tells in the same way.
    struct Scene {
        log: InitiatorLog,
        sent: Sent,
        known: Option<Known>,
        entries: Entries,
    }

    fn scene(end: End) -> Scene {
        let gid = "load-1".to_owned();
        let mut log = InitiatorLog::new(gid.clone(), clock::now());
        log.finished = Some(clock::now());
        log.decision = Some(end);
        let (mut sent, mut entries, mut known) = (Sent::default(), Entries::stocked(0), None);
        if end == End::Confirmed {
            sent.orders.insert(gid.clone());
            sent.messages.insert(gid.clone(), "confirmed".to_owned());
            known = Some(Known { instance: "i".to_owned(), end: Some(end) });
            let guarded = Guarded { instance: "i".to_owned(), state: "confirmed".to_owned() };
            entries.guards[0].insert(gid, guarded);
        }
        Scene { log, sent, known, entries }
    }

    impl Scene {
        fn verdict(&self) -> Verdict {
            let known = self.known.clone().map(|known| (self.log.gid.clone(), known));
            let logs = std::slice::from_ref(&self.log);
            verdict(logs, &self.sent, &known.into_iter().collect(), &self.entries)
        }
    }

    #[test]
    fn a_message_that_came_once_or_was_never_sent_is_right() {
        for end in [End::Confirmed, End::Cancelled] {
            let verdict = scene(end).verdict();
            assert!(verdict.is_clean(), "{verdict:?}");
            assert_eq!(verdict.confirmed, usize::from(end == End::Confirmed));
        }
        // Whose answer was lost may have been committed or not.
        for end in [End::Confirmed, End::Cancelled] {
            let mut scene = scene(end);
            scene.log.decision = None;
            assert!(scene.verdict().is_clean(), "{end:?}");
        }
    }

    #[test]
    fn whatever_differs_is_found() {
        type Spoil = fn(&mut Scene);
        let table: [(&str, Spoil, usize); 8] = [
            ("its order is gone", |s| s.sent.orders.clear(), 1),
            ("never came", |s| s.entries.guards[0].clear(), 1),
            ("its message is gone", |s| s.sent.messages.clear(), 0),
            (
                "still pending",
                |s| s.sent.messages.values_mut().for_each(|m| *m = "pending".into()),
                0,
            ),
            ("not known", |s| s.known = None, 0),
            ("another life", |s| s.known.iter_mut().for_each(|k| k.instance = "j".into()), 0),
            (
                "twice",
                |s| s.entries.guards[0].values_mut().for_each(|g| g.state = "twice".into()),
                0,
            ),
            ("never told", |s| s.log.finished = None, 0),
        ];
        for (name, spoil, lost) in table {
            let mut scene = scene(End::Confirmed);
            spoil(&mut scene);
            let verdict = scene.verdict();
            assert!(!verdict.is_clean(), "{name}");
            assert_eq!(verdict.lost, lost, "{name}: {verdict:?}");
        }
        let sent = scene(End::Confirmed);
        let mut given_up = scene(End::Cancelled);
        (given_up.entries, given_up.known) = (sent.entries, sent.known);
        assert!(!given_up.verdict().is_clean(), "it was rolled back, and came");
        let mut strange = scene(End::Confirmed);
        strange.sent.orders.insert("load-2".to_owned());
        assert!(!strange.verdict().is_clean(), "nobody sent it");
    }
}
