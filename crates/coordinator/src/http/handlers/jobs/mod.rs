//! Jobs: what is done to all that a filter finds, one after the other.

pub(in crate::http) mod act;
pub(in crate::http) mod begin;
pub(in crate::http) mod list;
pub(in crate::http) mod show;
pub(in crate::http) mod stop;

use tercet_wire::ProblemCode;

use crate::http::response::problem::Failure;
use crate::jobs::JobError;

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        let detail = error.to_string();
        match error {
            JobError::NotFound(_) => Self::new(ProblemCode::JobNotFound, detail),
            JobError::TooMany(_) => Self::new(ProblemCode::TooManyRequests, detail),
            JobError::NotInTime => Self::new(ProblemCode::JournalUnavailable, detail),
            JobError::Unreadable(error) => Self::unreadable(&error),
            JobError::Unwritten(error) => Self::unwritten(&error),
            JobError::Damaged { .. } => {
                tracing::error!(
                    event = "job_damaged",
                    error = &error as &(dyn std::error::Error + 'static),
                    "ALARM: a job as it is stored makes no sense"
                );
                Self::internal()
            }
        }
    }
}
