//! What a job does to one transaction, as it is asked of whoever drives that.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ActId, Instance};
use crate::operator::{Audited, Operator};
use crate::status::ResolvedAs;

/// What a job does to one of those that it has found. Nodes say it to each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobAct {
    /// The job: the act of whoever began it.
    pub job: ActId,
    /// The transaction's place among those that the job has found, from 1.
    pub number: u32,
    /// Which life of the gid was found.
    pub instance: Instance,
    /// Who began the job.
    pub who: Arc<str>,
    /// Why, in their words.
    pub note: Option<Arc<str>>,
    /// What is to be done.
    pub does: JobDeed,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobDeed {
    /// Call now what is waiting.
    Retry,
    /// Decide to cancel.
    Cancel,
    /// End branches by hand.
    Resolve {
        /// What they are to count as.
        as_: ResolvedAs,
        /// Only those of this `host:port`.
        participant: Option<Arc<str>>,
        /// Only those that are shown to people.
        parked: bool,
    },
}

impl JobAct {
    /// Whoever began the job, as somebody who does a part of it.
    #[must_use]
    pub fn by(&self) -> Operator {
        Operator { who: Arc::clone(&self.who), audited: Audited::PartOf(self.job) }
    }

    /// Who does it and why, for a history.
    #[must_use]
    pub fn told(&self) -> String {
        match &self.note {
            Some(note) => format!("{}: {note}", self.by()),
            None => self.by().to_string(),
        }
    }
}
