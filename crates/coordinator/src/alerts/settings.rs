//! What alerting works with.

use std::time::Duration;

use tercet_wire::{Backoff, SigningKey};

use crate::secret::{Secret, SecretUrl};

/// Where alerts go, and how much is kept for how long.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// Who receives them.
    pub url: SecretUrl,
    /// What they are signed with, if they are.
    pub key: Option<Secret<SigningKey>>,
    /// How long news of one kind and participant is gathered into one alert.
    pub group_wait: Duration,
    /// Alerts that wait to be sent.
    pub queue_capacity: usize,
    /// The longest one delivery may take.
    pub timeout: Duration,
    /// How long after it was raised an alert is given up.
    pub max_age: Duration,
    /// The pauses between failed deliveries.
    pub backoff: Backoff,
}
