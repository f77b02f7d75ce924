//! How a transaction stands, as a type that cannot be mistaken.

use tercet_wire::{BranchStatus, BranchView, Gid, Reason, Status, TransactionView};

/// How a transaction stands after a request. An answer is not a success: look which one it is, or
/// call [`confirmed`](Self::confirmed).
#[must_use = "a transaction that was answered may have been cancelled"]
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Every branch was confirmed.
    Confirmed(TransactionView),
    /// Every branch was cancelled: nothing has happened.
    Cancelled(Cancellation),
    /// It is still going on. Its `status` says how far it is: `trying` can still end either
    /// way, `confirming` will be confirmed and `cancelling` cancelled, whatever fails.
    Pending(TransactionView),
}

/// Why a transaction was cancelled.
#[derive(Debug, Clone, PartialEq)]
pub struct Cancellation {
    /// The kind of reason.
    pub reason: Option<Reason>,
    /// The transaction, with the answer of each Try that was refused.
    pub transaction: TransactionView,
}

/// A transaction is not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum NotConfirmed {
    /// It was cancelled.
    #[error("{} was cancelled: {}", .0.transaction.summary.gid, .0.why())]
    Cancelled(Box<Cancellation>),
    /// It is still going on.
    #[error("{} is still {}", .0.summary.gid, .0.summary.status)]
    Pending(Box<TransactionView>),
}

impl Outcome {
    pub(super) fn of(transaction: TransactionView) -> Self {
        match transaction.summary.status {
            Status::Confirmed => Self::Confirmed(transaction),
            Status::Cancelled => {
                let reason = transaction.summary.reason;
                Self::Cancelled(Cancellation { reason, transaction })
            }
            Status::Trying | Status::Confirming | Status::Cancelling => Self::Pending(transaction),
        }
    }

    /// The transaction, however it stands.
    #[must_use]
    pub fn transaction(&self) -> &TransactionView {
        match self {
            Self::Confirmed(transaction) | Self::Pending(transaction) => transaction,
            Self::Cancelled(cancellation) => &cancellation.transaction,
        }
    }

    /// The transaction's gid.
    #[must_use]
    pub fn gid(&self) -> &Gid {
        &self.transaction().summary.gid
    }

    /// The transaction if it is confirmed, so that `?` goes on only then.
    ///
    /// # Errors
    /// It was cancelled, or is still going on.
    pub fn confirmed(self) -> Result<TransactionView, NotConfirmed> {
        match self {
            Self::Confirmed(transaction) => Ok(transaction),
            Self::Cancelled(cancellation) => Err(NotConfirmed::Cancelled(Box::new(cancellation))),
            Self::Pending(transaction) => Err(NotConfirmed::Pending(Box::new(transaction))),
        }
    }
}

impl Cancellation {
    /// The branches whose Try was refused or failed, with what they answered.
    pub fn refusals(&self) -> impl Iterator<Item = &BranchView> {
        self.transaction.branches.iter().filter(|branch| branch.answer.is_some())
    }

    /// Why, in words: what a participant said, else what the caller gave as reason, else the
    /// kind of reason.
    #[must_use]
    pub fn why(&self) -> String {
        let summary = &self.transaction.summary;
        let said = self.refusals().find_map(said);
        let given = || summary.reason_detail.clone();
        let kind = || self.reason.map(|reason| reason.to_string());
        said.or_else(given).or_else(kind).unwrap_or_else(|| "no reason was given".to_owned())
    }
}

/// What a branch said about its refusal: the `detail` of a problem (RFC 9457), else the body.
fn said(branch: &BranchView) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Said {
        detail: String,
    }
    let body = &branch.answer.as_ref()?.body;
    let said = match serde_json::from_str::<Said>(body) {
        Ok(said) => said.detail,
        Err(_) => body.clone(),
    };
    if said.is_empty() { None } else { Some(format!("{}: {said}", branch.id)) }
}

/// Whether a branch's Try is answered, and how.
pub(super) fn is_tried(branch: &BranchView) -> Option<bool> {
    match branch.status {
        BranchStatus::Registered => None,
        BranchStatus::Tried | BranchStatus::Confirmed => Some(true),
        BranchStatus::Refused | BranchStatus::Cancelled | BranchStatus::Skipped => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(status: &str, rest: &str) -> TransactionView {
        let body = format!(
            r#"{{"gid":"order-1","instance":"0193b6a0-0000-7000-8000-000000000001","pattern":"tcc",
            "status":"{status}","open":false,"parked":false,"metadata":null,
            "created_at":"2026-11-20T12:00:00.000Z","deadline_at":"2026-11-20T12:00:30.000Z",
            "decided_at":null,"finished_at":null,{rest}}}"#
        );
        serde_json::from_str(&body).expect("a transaction")
    }

    const UNDECIDED: &str = r#""reason":null,"reason_detail":null,"branches":[]"#;

    #[test]
    fn only_confirmed_is_success() {
        let confirmed = Outcome::of(transaction("confirmed", UNDECIDED));
        assert!(confirmed.confirmed().is_ok());
        for status in ["trying", "confirming", "cancelling"] {
            let pending = Outcome::of(transaction(status, UNDECIDED));
            let error = pending.confirmed().expect_err(status);
            assert_eq!(error.to_string(), format!("order-1 is still {status}"));
        }
    }

    #[test]
    fn a_cancellation_says_why_as_well_as_anybody_knows() {
        let refused = |body: &str| {
            format!(
                r#""reason":"try-refused","reason_detail":null,"branches":[{{"id":"stock",
                "participant":"127.0.0.1:1","status":"cancelled","parked":false,
                "attempts":{{"try":1,"confirm":0,"cancel":1}},"next_attempt_at":null,
                "last_error":null,"answer":{{"status":409,"body":{body}}},"resolved_as":null,
                "finished_at":null}}]"#
            )
        };
        let table = [
            (refused(r#""{\"detail\":\"3 of A1 left\"}""#), "stock: 3 of A1 left"),
            (refused(r#""sold out""#), "stock: sold out"),
            (refused(r#""""#), "try-refused"),
            (
                r#""reason":"requested","reason_detail":"changed my mind","branches":[]"#
                    .to_owned(),
                "changed my mind",
            ),
            (r#""reason":"deadline","reason_detail":null,"branches":[]"#.to_owned(), "deadline"),
        ];
        for (rest, expected) in table {
            let error = Outcome::of(transaction("cancelled", &rest)).confirmed();
            let error = error.expect_err("cancelled").to_string();
            assert_eq!(error, format!("order-1 was cancelled: {expected}"));
        }
    }
}
