//! `?wait=` and `?wait_ms=`: what an answer waits for, and for how long.

use std::time::Duration;

use tercet_engine::Until;
use tercet_wire::Invalid;
use utoipa::IntoParams;

use crate::http::extract::params::{FromParams, Params};

/// How long an answer waits unless `wait_ms` says otherwise, in milliseconds.
const DEFAULT_MS: u32 = 10_000;
/// How long a resolution is waited for unless `wait_ms` says otherwise: it takes effect within two
/// seconds.
const RESOLUTION_MS: u32 = 3_000;
/// The longest it can be told to, in milliseconds.
const MAX_MS: u32 = 60_000;

/// What an answer waits for, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct WaitFor {
    pub(in crate::http) until: Until,
    pub(in crate::http) within: Duration,
}

impl WaitFor {
    fn new(until: Until, wait_ms: Option<u32>) -> Self {
        Self { until, within: Duration::from_millis(wait_ms.unwrap_or(DEFAULT_MS).into()) }
    }
}

/// Of begin, confirm and cancel.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct DecisionWait {
    /// What to wait for: `finished` (default), `decided` or `accepted`.
    #[param(value_type = Option<String>, pattern = "^(finished|decided|accepted)$")]
    wait: Option<Until>,
    /// For how long, in milliseconds.
    #[param(minimum = 0, maximum = 60_000, default = json!(DEFAULT_MS))]
    wait_ms: Option<u32>,
}

impl FromParams for DecisionWait {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        let words = [
            ("finished", Until::Finished),
            ("decided", Until::Decided),
            ("accepted", Until::Accepted),
        ];
        Ok(Self { wait: params.take_word("wait", &words)?, wait_ms: wait_ms(params)? })
    }
}

impl DecisionWait {
    pub(in crate::http) fn wait(&self) -> WaitFor {
        WaitFor::new(self.wait.unwrap_or(Until::Finished), self.wait_ms)
    }
}

/// Of registering a branch.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct BranchWait {
    /// What to wait for: `tried` (default) or `accepted`.
    #[param(value_type = Option<String>, pattern = "^(tried|accepted)$")]
    wait: Option<Until>,
    /// For how long, in milliseconds.
    #[param(minimum = 0, maximum = 60_000, default = json!(DEFAULT_MS))]
    wait_ms: Option<u32>,
}

impl FromParams for BranchWait {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        let words = [("tried", Until::Tried), ("accepted", Until::Accepted)];
        Ok(Self { wait: params.take_word("wait", &words)?, wait_ms: wait_ms(params)? })
    }
}

impl BranchWait {
    pub(in crate::http) fn wait(&self) -> WaitFor {
        WaitFor::new(self.wait.unwrap_or(Until::Tried), self.wait_ms)
    }
}

/// Of resolving a branch.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ResolutionWait {
    /// For how long to wait for a call under way, in milliseconds.
    #[param(minimum = 0, maximum = 60_000, default = json!(RESOLUTION_MS))]
    wait_ms: Option<u32>,
}

impl FromParams for ResolutionWait {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        Ok(Self { wait_ms: wait_ms(params)? })
    }
}

impl ResolutionWait {
    pub(in crate::http) fn wait(&self) -> WaitFor {
        WaitFor::new(Until::Accepted, self.wait_ms.or(Some(RESOLUTION_MS)))
    }
}

/// Of reading.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ReadWait {
    /// Wait until it is `decided` or `finished`. Default: do not wait.
    #[param(value_type = Option<String>, pattern = "^(decided|finished)$")]
    wait: Option<Until>,
    /// For how long, in milliseconds. Without `wait` it changes nothing: made clients send the default.
    #[param(minimum = 0, maximum = 60_000, default = json!(DEFAULT_MS))]
    wait_ms: Option<u32>,
}

impl FromParams for ReadWait {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        let words = [("decided", Until::Decided), ("finished", Until::Finished)];
        Ok(Self { wait: params.take_word("wait", &words)?, wait_ms: wait_ms(params)? })
    }
}

impl ReadWait {
    pub(in crate::http) fn wait(&self) -> WaitFor {
        match self.wait {
            Some(until) => WaitFor::new(until, self.wait_ms),
            None => WaitFor { until: Until::Accepted, within: Duration::ZERO },
        }
    }
}

fn wait_ms(params: &mut Params) -> Result<Option<u32>, Invalid> {
    params.take_number("wait_ms", 0..=MAX_MS)
}
