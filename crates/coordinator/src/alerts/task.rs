//! The one task that sends alerts, one at a time.

use std::sync::Arc;
use std::time::Duration;

use tercet_clock::Clock;
use tercet_wire::{Mono, Now};

use super::body::Body;
use super::delivery::Delivery;
use super::handle::AlertInbox;
use super::queue::{Alert, Queue};
use super::settings::AlertSettings;
use crate::metrics::{AlertFate, AlertMetrics};

/// How long it sleeps at most when there is nothing to do.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);

/// Everything it needs.
pub(super) struct Task {
    inbox: Arc<AlertInbox>,
    delivery: Delivery,
    settings: AlertSettings,
    clock: Arc<dyn Clock>,
    metrics: AlertMetrics,
    queue: Queue,
    /// Deliveries that failed, one after the other.
    failures: u32,
    /// When the next delivery may be tried.
    next_try: Mono,
    /// Whether people were told that alerts are being dropped.
    dropping: bool,
}

impl Task {
    pub(super) fn new(
        inbox: Arc<AlertInbox>,
        delivery: Delivery,
        settings: AlertSettings,
        clock: Arc<dyn Clock>,
        metrics: AlertMetrics,
    ) -> Self {
        let queue = Queue::new(settings.queue_capacity);
        let next_try = Mono::default();
        Self {
            inbox,
            delivery,
            settings,
            clock,
            metrics,
            queue,
            failures: 0,
            next_try,
            dropping: false,
        }
    }

    /// Sends for as long as the runtime lives.
    pub(super) async fn run(mut self) {
        loop {
            let now = self.clock.now();
            let (bodies, next_due) = self.inbox.take_due(now.mono);
            for (raised, body) in bodies {
                self.raise(raised, &body);
            }
            self.expire(now);
            self.metrics.waiting(self.queue.len());
            if now.mono >= self.next_try
                && let Some(alert) = self.queue.pop()
            {
                self.send(alert, now).await;
                continue;
            }
            let next_try = (self.queue.len() > 0).then_some(self.next_try);
            let next = next_due.into_iter().chain(next_try).min();
            let sleep = next.map_or(LONGEST_SLEEP, |at| at.since(now.mono)).min(LONGEST_SLEEP);
            tokio::select! {
                () = self.inbox.news() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    fn raise(&mut self, raised: Mono, body: &Body) {
        match serde_json::to_string(body) {
            Ok(body) => {
                let id = format!("msg_{}", self.clock.new_instance());
                self.keep(Alert { id, body, raised });
            }
            // Texts and numbers alone: there is nothing in it that JSON could not say.
            Err(error) => {
                tracing::error!(event = "alert_not_written", %error, "an alert could not be written down")
            }
        }
    }

    fn keep(&mut self, alert: Alert) {
        if self.queue.push(alert).is_some() {
            self.metrics.count(AlertFate::Dropped, 1);
            if !std::mem::replace(&mut self.dropping, true) {
                tracing::warn!(
                    event = "alerts_dropped",
                    waiting = self.queue.len(),
                    "alerts wait for a receiver that does not take them: the oldest are dropped"
                );
            }
        }
    }

    fn expire(&mut self, now: Now) {
        let expired = self.queue.expire(now.mono, self.settings.max_age);
        if expired > 0 {
            self.metrics.count(AlertFate::Expired, expired);
            tracing::warn!(
                event = "alerts_expired",
                alerts = expired,
                "alerts that nobody took are given up"
            );
        }
    }

    async fn send(&mut self, alert: Alert, now: Now) {
        let sent = self.delivery.send(&alert, now.wall).await;
        match sent {
            Ok(()) => {
                self.metrics.count(AlertFate::Delivered, 1);
                self.dropping = false;
                if std::mem::take(&mut self.failures) > 0 {
                    tracing::info!(event = "alerts_delivered", "alerts are delivered again");
                }
            }
            Err(why) => {
                self.metrics.count(AlertFate::Failed, 1);
                self.failures = self.failures.saturating_add(1);
                if self.failures == 1 {
                    tracing::warn!(event = "alert_not_delivered",
                        %why,
                        "an alert could not be delivered; it is tried again until it is"
                    );
                }
                let now = self.clock.now();
                let pause = self.settings.backoff.pause(self.failures, now.entropy, None);
                self.next_try = now.mono.after(pause);
                // To the end: one that its receiver will never take does not hold up the others.
                self.keep(alert);
            }
        }
    }
}
