//! What an initiator was told of one transaction, and when: the ledger of acknowledgements.

use std::time::Instant;

use serde::Deserialize;

/// The two ends of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Confirmed,
    Cancelled,
}

/// How the coordinator says a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Trying,
    Confirming,
    Cancelling,
    Confirmed,
    Cancelled,
}

impl Status {
    /// The decision, once there is one.
    pub(crate) fn decision(self) -> Option<End> {
        match self {
            Self::Trying => None,
            Self::Confirming | Self::Confirmed => Some(End::Confirmed),
            Self::Cancelling | Self::Cancelled => Some(End::Cancelled),
        }
    }

    /// Whether nothing more is to come.
    pub(crate) fn is_final(self) -> bool {
        match self {
            Self::Confirmed | Self::Cancelled => true,
            Self::Trying | Self::Confirming | Self::Cancelling => false,
        }
    }
}

/// What an answer says of a transaction; whatever else it says is of no interest here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Told {
    /// Which life of its gid.
    pub(crate) instance: String,
    /// How it stands.
    pub(crate) status: Status,
}

/// One transaction as its initiator saw it.
#[derive(Debug, Clone)]
pub(crate) struct InitiatorLog {
    pub(crate) gid: String,
    /// When it was asked for first.
    pub(crate) begun: Instant,
    /// When its end was told; `None` if it never was.
    pub(crate) finished: Option<Instant>,
    /// Who it is, once anything was acknowledged.
    pub(crate) instance: Option<String>,
    /// The decision, once it was told.
    pub(crate) decision: Option<End>,
    /// What was told after something else had been told.
    pub(crate) contradictions: Vec<String>,
}

impl InitiatorLog {
    pub(crate) fn new(gid: String, begun: Instant) -> Self {
        Self { gid, begun, finished: None, instance: None, decision: None, contradictions: vec![] }
    }

    /// Adds an acknowledgement; what contradicts an earlier one is kept as that.
    pub(crate) fn hear(&mut self, told: &Told) {
        match &self.instance {
            None => self.instance = Some(told.instance.clone()),
            Some(before) if *before != told.instance => {
                let words = format!("acknowledged as {before}, then it was {}", told.instance);
                self.contradictions.push(words);
            }
            Some(_) => {}
        }
        match (self.decision, told.status.decision()) {
            (None, decision) => self.decision = decision,
            (Some(before), Some(now)) if before == now => {}
            // After a decision was told, even "not decided yet" is another word.
            (Some(before), now) => {
                self.contradictions.push(format!("told {before:?}, then {now:?}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn told(instance: &str, status: Status) -> Told {
        Told { instance: instance.to_owned(), status }
    }

    #[test]
    fn whatever_differs_from_what_was_acknowledged_is_kept_as_a_contradiction() {
        use Status::{Cancelling, Confirmed, Confirming, Trying};
        let table: [(&[Told], usize); 6] = [
            (&[told("1", Trying), told("1", Confirming), told("1", Confirmed)], 0),
            // The end may be told again as the way to it: a repeat of idempotent calls.
            (&[told("1", Confirmed), told("1", Confirming), told("1", Confirmed)], 0),
            (&[told("1", Confirming), told("1", Trying)], 1),
            (&[told("1", Confirming), told("1", Cancelling)], 1),
            (&[told("1", Trying), told("2", Trying)], 1),
            (&[told("1", Confirming), told("2", Cancelling)], 2),
        ];
        for (answers, expected) in table {
            let mut ledger = InitiatorLog::new("order-1".to_owned(), clock::now());
            answers.iter().for_each(|answer| ledger.hear(answer));
            assert_eq!(ledger.contradictions.len(), expected, "{answers:?}");
        }
    }
}
