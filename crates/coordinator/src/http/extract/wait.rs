//! `?wait=` and `?wait_ms=`: what an answer waits for, and for how long.

use std::time::Duration;

use tercet_engine::Until;
use tercet_wire::Invalid;

use crate::http::extract::params::Params;

/// How long an answer waits unless `wait_ms` says otherwise, in milliseconds.
const DEFAULT_MS: u32 = 10_000;
/// The longest it can be told to, in milliseconds.
const MAX_MS: u32 = 60_000;

/// What an answer waits for, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct WaitFor {
    pub(in crate::http) until: Until,
    pub(in crate::http) within: Duration,
}

impl WaitFor {
    /// Of begin, confirm and cancel.
    pub(in crate::http) fn of_decision(params: &mut Params) -> Result<Self, Invalid> {
        let words = [
            ("finished", Until::Finished),
            ("decided", Until::Decided),
            ("accepted", Until::Accepted),
        ];
        let until = params.take_word("wait", &words)?.unwrap_or(Until::Finished);
        Ok(Self { until, within: within(params)?.unwrap_or(millis(DEFAULT_MS)) })
    }

    /// Of registering a branch.
    pub(in crate::http) fn of_branch(params: &mut Params) -> Result<Self, Invalid> {
        let words = [("tried", Until::Tried), ("accepted", Until::Accepted)];
        let until = params.take_word("wait", &words)?.unwrap_or(Until::Tried);
        Ok(Self { until, within: within(params)?.unwrap_or(millis(DEFAULT_MS)) })
    }

    /// Of resolving a branch: until the call under way has ended.
    pub(in crate::http) fn of_resolution(params: &mut Params) -> Result<Self, Invalid> {
        let within = within(params)?.unwrap_or(millis(DEFAULT_MS));
        Ok(Self { until: Until::Accepted, within })
    }

    /// Of reading: not at all, unless asked to.
    pub(in crate::http) fn of_read(params: &mut Params) -> Result<Self, Invalid> {
        let words = [("decided", Until::Decided), ("finished", Until::Finished)];
        let until = params.take_word("wait", &words)?;
        let within = within(params)?;
        match (until, within) {
            (Some(until), within) => {
                Ok(Self { until, within: within.unwrap_or(millis(DEFAULT_MS)) })
            }
            (None, Some(_)) => {
                let what = "says how long; say what for with wait=decided or wait=finished";
                Err(Invalid::new("wait_ms", what))
            }
            (None, None) => Ok(Self { until: Until::Accepted, within: Duration::ZERO }),
        }
    }
}

fn within(params: &mut Params) -> Result<Option<Duration>, Invalid> {
    Ok(params.take_number("wait_ms", 0..=MAX_MS)?.map(millis))
}

fn millis(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}
