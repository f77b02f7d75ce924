//! What a job does to one transaction, by whoever drives that.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use tercet_engine::{Ask, Refusal, Reply, Until};
use tercet_wire::{Gid, Incarnation, JobAct, ProblemCode};

use crate::access::{Caller, Role};
use crate::cluster::{Forwarder, JOB_ACT};
use crate::runtime::RuntimeHandle;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Came {
    /// The job has come to it, durably: now, or before.
    Ticked {
        /// Why what it does could not be done, if it could not.
        code: Option<ProblemCode>,
    },
    /// Nobody drives it any more: that the job has come to it is to be written beside.
    Over {
        /// Likewise.
        code: Option<ProblemCode>,
    },
    /// This life of a node drives it.
    Elsewhere(i64),
    /// Nobody knows, and it is to be asked again.
    Unknown,
}

/// Has a job come to a transaction, if this node drives it.
pub(crate) async fn act_here(engine: &RuntimeHandle, gid: Gid, act: JobAct) -> Came {
    let ask = Ask::OfJob(Box::new(act));
    match engine.ask(gid, ask, Until::Accepted, Duration::ZERO).await {
        Reply::Transaction { .. } | Reply::Branch { .. } | Reply::Branches { .. } => {
            Came::Ticked { code: None }
        }
        Reply::Refused(refusal) => of_refusal(&refusal),
    }
}

fn of_refusal(refusal: &Refusal) -> Came {
    let ticked = |code| Came::Ticked { code: Some(code) };
    match refusal {
        Refusal::NothingToDo(code) => Came::Over { code: *code },
        Refusal::NotFound => Came::Over { code: Some(ProblemCode::TransactionNotFound) },
        // People must look at it first.
        Refusal::Quarantined => Came::Over { code: Some(ProblemCode::Internal) },
        Refusal::AlreadyConfirmed => ticked(ProblemCode::AlreadyConfirmed),
        Refusal::AlreadyCancelled => ticked(ProblemCode::AlreadyCancelled),
        Refusal::NotDecided => ticked(ProblemCode::NotDecided),
        Refusal::Held => ticked(ProblemCode::Held),
        Refusal::AlreadyFinished(_) | Refusal::ResolvedOtherwise(..) => {
            ticked(ProblemCode::AlreadyFinished)
        }
        Refusal::Elsewhere(owner) => Came::Elsewhere(owner.0),
        Refusal::JournalUnavailable
        | Refusal::NotAccepted
        | Refusal::GidReused
        | Refusal::BranchReused(_)
        | Refusal::BranchAmongOthers(_)
        | Refusal::OfSeveral { .. }
        | Refusal::NotOpen
        | Refusal::BranchNotFound(_)
        | Refusal::AsksItsInitiator
        | Refusal::TriesOutstanding(_)
        | Refusal::Unfit(_)
        | Refusal::TooManyBranches { .. }
        | Refusal::TooManyTransactions { .. }
        | Refusal::TooManyBytes { .. }
        | Refusal::TooManyPagedOut { .. } => Came::Unknown,
    }
}

/// What a node is asked that drives a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PassedAct {
    pub(crate) gid: Gid,
    pub(crate) act: JobAct,
}

/// The same by the node that drives it. It is told who began the job, and its word on this one is
/// taken as on any request that it passes on.
pub(super) async fn act_there(
    forwarder: &Forwarder,
    owner: Incarnation,
    gid: &Gid,
    act: &JobAct,
) -> Came {
    let passed = PassedAct { gid: gid.clone(), act: act.clone() };
    let Ok(body) = serde_json::to_vec(&passed) else { return Came::Unknown };
    let request = http::Request::builder()
        .method(Method::POST)
        .uri(JOB_ACT)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Bytes::from(body));
    let Ok(request) = request else { return Came::Unknown };
    let (parts, body) = request.into_parts();
    let caller = Caller { who: Arc::clone(&act.who), role: Role::Operator };
    let answer = forwarder.ask(owner, (&parts, &body), &caller, forwarder.patience).await;
    match answer {
        Ok(answer) if answer.status() == StatusCode::OK => {
            match serde_json::from_slice(answer.body()) {
                // It has changed hands once more: it is found out anew.
                Ok(Came::Elsewhere(_)) | Err(_) => Came::Unknown,
                Ok(came) => came,
            }
        }
        Ok(_) | Err(_) => Came::Unknown,
    }
}
