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
            JobError::TooMany(_) => Self::new(ProblemCode::TooManyRequests, detail)
                .titled("Too many jobs are unfinished"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_job_too_many_is_told_what_is_full() {
        let failure = Failure::from(JobError::TooMany(100));
        assert_eq!(failure.code(), ProblemCode::TooManyRequests);
        assert_eq!(failure.title(), "Too many jobs are unfinished");
        assert!(failure.detail().starts_with("100 jobs are unfinished"), "{}", failure.detail());
    }
}
