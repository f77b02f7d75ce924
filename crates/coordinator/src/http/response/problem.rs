//! The one place that turns what went wrong into an answer: RFC 9457 problems.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tercet_engine::Refusal;
use tercet_journal::JournalError;
use tercet_wire::{BranchId, Gid, Incarnation, Invalid, Problem, ProblemCode, Unfit};

use crate::http::middleware::forwarding::DrivenBy;
use crate::sagas::SagaError;

/// The media type of problems.
pub(in crate::http) const PROBLEM_JSON: &str = "application/problem+json";

/// What `Retry-After` says on refusals that pass by themselves, in seconds.
const RETRY_AFTER: &str = "1";

/// An answer that says no. Boxed, since nearly every answer says yes.
#[derive(Debug)]
pub(in crate::http) struct Failure {
    problem: Box<Problem>,
    /// Whose it is to answer, if it is another node's.
    driven_by: Option<Incarnation>,
}

impl Failure {
    pub(in crate::http) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { problem: Box::new(Problem::new(code, detail)), driven_by: None }
    }

    /// A fault of ours; the log has said more.
    pub(in crate::http) fn internal() -> Self {
        Self::new(ProblemCode::Internal, "the request met a fault of ours; the log names it")
    }

    /// The same, saying in a few words what no other of its code means.
    pub(in crate::http) fn titled(mut self, title: &str) -> Self {
        title.clone_into(&mut self.problem.title);
        self
    }

    /// Names the transaction, which every problem about one does.
    pub(in crate::http) fn about(self, gid: &Gid) -> Self {
        Self { problem: Box::new(self.problem.about(gid)), ..self }
    }

    /// Which kind it is of.
    pub(in crate::http) fn code(&self) -> ProblemCode {
        self.problem.code
    }

    /// In a few words.
    #[cfg(test)]
    pub(in crate::http) fn title(&self) -> &str {
        &self.problem.title
    }

    /// What is wrong, in words.
    pub(in crate::http) fn detail(&self) -> &str {
        &self.problem.detail
    }

    /// What came of a request about a definition, if nothing did.
    pub(in crate::http) fn about_saga(error: SagaError) -> Self {
        let detail = error.to_string();
        match error {
            SagaError::Invalid(invalid) => invalid.into(),
            SagaError::NotFound { .. } => Self::new(ProblemCode::SagaNotFound, detail),
            SagaError::Retired { .. } => Self::new(ProblemCode::SagaRetired, detail),
            SagaError::Unreadable(error) => Self::unreadable(&error),
            SagaError::Unwritten(error) => Self::unwritten(&error),
            SagaError::Unusable { name, why } => {
                tracing::error!(
                    event = "saga_unusable",
                    saga = %name,
                    why,
                    "ALARM: the definition of a saga as it is stored cannot be used"
                );
                Self::internal()
            }
        }
    }

    fn naming(mut self, branches: Vec<BranchId>) -> Self {
        self.problem.branches = branches;
        self
    }

    /// What the engine said no with.
    pub(in crate::http) fn refused(refusal: Refusal, gid: &Gid) -> Self {
        let failure = match refusal {
            Refusal::NotFound => {
                let detail = format!("no transaction {gid} is known here");
                Self::new(ProblemCode::TransactionNotFound, detail)
            }
            Refusal::GidReused => {
                let detail = format!("{gid} was begun with other content");
                Self::new(ProblemCode::GidReused, detail)
            }
            Refusal::BranchReused(branch) => {
                let detail = format!("branch {branch} was registered with other content");
                Self::new(ProblemCode::BranchReused, detail).naming(vec![branch])
            }
            Refusal::BranchAmongOthers(branch) => {
                let detail = format!(
                    "branch {branch} was registered already, but alone or among others: a repeat \
                     must have the same branches"
                );
                Self::new(ProblemCode::BranchReused, detail).naming(vec![branch])
            }
            Refusal::OfSeveral { place, refusal } => match *refusal {
                Refusal::Unfit(Unfit { field, what }) => {
                    let detail = format!("[{place}].{field}: {what}");
                    Self::new(ProblemCode::InvalidRequest, detail)
                }
                refusal => {
                    let mut failure = Self::refused(refusal, gid);
                    failure.problem.detail.insert_str(0, &format!("[{place}]: "));
                    return failure;
                }
            },
            Refusal::AlreadyConfirmed => {
                Self::new(ProblemCode::AlreadyConfirmed, format!("{gid} was decided: confirm"))
            }
            Refusal::AlreadyCancelled => {
                Self::new(ProblemCode::AlreadyCancelled, format!("{gid} was decided: cancel"))
            }
            Refusal::NotOpen => {
                let detail = format!("{gid} was begun with its branches and decides for itself");
                Self::new(ProblemCode::NotOpen, detail)
            }
            Refusal::Held => {
                let detail = format!(
                    "{gid} was undecided in the backup that the database was restored from, and is held"
                );
                Self::new(ProblemCode::Held, detail)
            }
            Refusal::AsksItsInitiator => {
                let detail = format!(
                    "the deadline of {gid} is over and its initiator is asked what became of it: \
                     nothing is added to it any more"
                );
                Self::new(ProblemCode::NotOpen, detail)
            }
            Refusal::NotDecided => {
                let detail = format!("{gid} is trying: nothing is decided that could be resolved");
                Self::new(ProblemCode::NotDecided, detail)
            }
            Refusal::AlreadyFinished(branch) => {
                let detail = format!("branch {branch} has ended; nothing was done to it");
                Self::new(ProblemCode::AlreadyFinished, detail).naming(vec![branch])
            }
            Refusal::ResolvedOtherwise(branch, as_) => {
                let detail = format!(
                    "branch {branch} is about to end as {as_}: somebody has said so before, and that \
                     stands"
                );
                Self::new(ProblemCode::AlreadyFinished, detail).naming(vec![branch])
            }
            Refusal::BranchNotFound(branch) => {
                let detail = format!("{gid} has no branch {branch}");
                Self::new(ProblemCode::BranchNotFound, detail).naming(vec![branch])
            }
            // Jobs alone are told so, and look no further.
            Refusal::NothingToDo(code) => {
                let code = code.unwrap_or(ProblemCode::AlreadyFinished);
                Self::new(code, format!("{gid} has ended"))
            }
            Refusal::TriesOutstanding(branches) => {
                let names: Vec<&str> = branches.iter().map(BranchId::as_str).collect();
                let detail = format!("no Try has succeeded yet of: {}", names.join(", "));
                Self::new(ProblemCode::TriesOutstanding, detail).naming(branches)
            }
            Refusal::Unfit(Unfit { field, what }) => {
                Self::new(ProblemCode::InvalidRequest, format!("{field}: {what}"))
            }
            Refusal::TooManyBranches { limit } => {
                let detail = format!("branches: {gid} has {limit}, which is as many as it may");
                Self::new(ProblemCode::InvalidRequest, detail)
            }
            Refusal::TooManyTransactions { limit } => {
                let detail =
                    format!("{limit} are under way or waiting to begin, as many as may be");
                Self::new(ProblemCode::TooManyRequests, detail)
            }
            Refusal::TooManyBytes { limit } => {
                let detail = format!("what is under way takes {limit} bytes, as many as may be");
                Self::new(ProblemCode::TooManyRequests, detail)
            }
            Refusal::TooManyPagedOut { limit } => {
                let detail = format!("{limit} transactions wait in the journal, as many as may be");
                Self::new(ProblemCode::TooManyRequests, detail)
            }
            Refusal::Elsewhere(owner) => {
                let detail = format!("{gid} is driven by another node, whose life is {}", owner.0);
                Self { driven_by: Some(owner), ..Self::new(ProblemCode::NotOwner, detail) }
            }
            Refusal::JournalUnavailable => {
                let detail = "the journal did not answer in time; ask again with the same gid";
                Self::new(ProblemCode::JournalUnavailable, detail)
            }
            Refusal::NotAccepted => {
                Self::new(ProblemCode::NotAccepted, "nothing was written: send it again")
            }
            Refusal::Quarantined => {
                let detail =
                    format!("{gid} is quarantined: people must look at it; the log says why");
                Self::new(ProblemCode::Internal, detail)
            }
        };
        failure.about(gid)
    }

    /// A read from the journal that did not work. Logged here, where it is handled.
    pub(in crate::http) fn unreadable(error: &JournalError) -> Self {
        let error: &(dyn std::error::Error + 'static) = error;
        tracing::warn!(
            event = "journal_unreadable",
            error,
            "a request could not be answered from the journal"
        );
        Self::new(ProblemCode::JournalUnavailable, "the journal could not be read; ask again")
    }

    /// An act that is not known to be in the audit, and of which nothing was done.
    pub(in crate::http) fn unwritten(error: &JournalError) -> Self {
        let error: &(dyn std::error::Error + 'static) = error;
        tracing::warn!(
            event = "act_not_written",
            error,
            "what an operator asked for was not done: it could not be written into the audit"
        );
        let detail = "the journal did not answer in time, and nothing was done; ask again";
        Self::new(ProblemCode::JournalUnavailable, detail)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        let mut failure = Self::new(invalid.code(), invalid.to_string());
        failure.problem.pointer = invalid.pointer.map(|pointer| pointer.to_string());
        failure
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let code = self.problem.code;
        // The codes' table holds valid statuses only; 500 if that is ever not so.
        let status = StatusCode::from_u16(code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(*self.problem)).into_response();
        if let Some(owner) = self.driven_by {
            response.extensions_mut().insert(DrivenBy(owner));
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        response
    }
}
