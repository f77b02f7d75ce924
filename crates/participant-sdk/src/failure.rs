//! How business code says that a call was not done.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use sea_orm::DbErr;

use crate::results::ResultError;

/// Why a call was not done. Whatever the business code wrote is rolled back, the guard's
/// row with it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A Try that will never succeed: no stock, no money, no such account. The transaction
    /// is cancelled and the reason reaches its initiator. (409)
    ///
    /// A Confirm or Cancel has no right to refuse: it is called again, and people are told.
    #[error("{code}: {detail}")]
    Refused {
        /// Why, for programs: a short word such as `out-of-stock`.
        code: Cow<'static, str>,
        /// Why, for people.
        detail: String,
    },
    /// It may work the next time: call again. (503)
    #[error("{source}")]
    Retry {
        /// What went wrong. It is logged, and never told to the caller.
        source: Box<dyn Error + Send + Sync>,
        /// The least pause before the next call, if there is a reason for one.
        after: Option<Duration>,
    },
    /// The database failed. Deadlocks and locks are tried again at once, within a bound;
    /// beyond that, and for everything else, it is a retry. (503)
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Called again it would be no other: a Try refuses, and of a Confirm or Cancel people are told.
impl From<ResultError> for Failure {
    fn from(error: ResultError) -> Self {
        let code = match error {
            ResultError::Missing { .. } => "result-missing",
            ResultError::Unreadable { .. } | ResultError::Unwritable(_) => "result-unreadable",
            ResultError::TooLarge { .. } => "result-too-large",
        };
        Self::refused(code, error.to_string())
    }
}

impl Failure {
    /// Refuses for good.
    pub fn refused(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::Refused { code: code.into(), detail: detail.into() }
    }

    /// Asks to be called again.
    pub fn retry(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Retry { source: source.into(), after: None }
    }
}
