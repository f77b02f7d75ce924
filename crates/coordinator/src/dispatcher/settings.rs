//! What the dispatcher may use.

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::DestinationQueueSettings;
use tercet_wire::CallRules;

use super::signing::Signing;

/// Limits and patience of the dispatcher; all from config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatcherSettings {
    /// What one destination may take, and when it is not called any more.
    pub queue: DestinationQueueSettings,
    /// How many path segments, beside scheme, host and port, tell destinations apart:
    /// several services may share one gateway.
    pub path_segments: usize,
    /// Who may be called.
    pub call_rules: Arc<CallRules>,
    /// Whose calls are signed.
    pub signing: Signing,
    /// How long the status line may take to come, within the call's own timeout; zero leaves
    /// it to that.
    pub first_byte_timeout: Duration,
    /// How long an unused connection is kept. What meets one that its server has closed a moment
    /// before goes out once more on a fresh one, which costs time; so this stays below the
    /// shortest keep-alive in common use, which is 5 s.
    pub pool_idle_timeout: Duration,
}

#[cfg(test)]
impl DispatcherSettings {
    /// What the settings file says where nothing else does.
    pub(crate) fn built_in() -> Self {
        let settings = crate::config::Settings::built_in().expect("the defaults fit");
        crate::node::dispatcher_settings(&settings)
    }
}
