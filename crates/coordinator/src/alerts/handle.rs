//! How the rest of the daemon tells its news.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tercet_clock::Clock;
use tercet_wire::{Gid, Mono, Now};
use tokio::sync::Notify;

use super::body::{Body, Item, Kind};
use super::delivery::Delivery;
use super::grouping::Grouping;
use super::news::{NodeReport, OutageReport, ParkedBranch, Quarantined};
use super::settings::AlertSettings;
use super::task::Task;
use crate::metrics::AlertMetrics;
use crate::outbound::Connector;

/// Takes news. Cheap to clone; never waits.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// `None`: nobody wants to be told.
    inbox: Option<Arc<AlertInbox>>,
}

/// Where news is left and the task finds it.
#[derive(Debug)]
pub(super) struct AlertInbox {
    grouping: Mutex<Grouping>,
    news: Notify,
}

/// Starts alerting on the tokio runtime this is called from; without settings nobody is told.
#[must_use]
pub fn start(
    settings: Option<AlertSettings>,
    connector: Connector,
    clock: Arc<dyn Clock>,
) -> Alerts {
    let Some(settings) = settings else { return Alerts::off() };
    let delivery = Delivery::new(&settings, connector);
    let grouping = Mutex::new(Grouping::new(settings.group_wait));
    let inbox = Arc::new(AlertInbox { grouping, news: Notify::new() });
    let task = Task::new(Arc::clone(&inbox), delivery, settings, clock, AlertMetrics::register());
    drop(tokio::spawn(task.run()));
    Alerts { inbox: Some(inbox) }
}

impl Alerts {
    /// Tells nobody.
    #[must_use]
    pub fn off() -> Self {
        Self { inbox: None }
    }

    /// Whether anybody is told: if not, news need not be put together.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.inbox.is_some()
    }

    /// A branch has been parked.
    pub fn parked(&self, branch: ParkedBranch, now: Now) {
        self.tell(Kind::Parked, Item::Branch(branch), now);
    }

    /// A participant does not answer, or does again.
    pub fn outage(&self, report: OutageReport, now: Now) {
        let Some(inbox) = &self.inbox else { return };
        let kind = match report.until {
            None => Kind::Unreachable,
            Some(_) => Kind::Reachable,
        };
        let timestamp = report.until.unwrap_or(now.wall);
        inbox.tell(Body::of_outage(kind, timestamp, report), now);
    }

    /// A node gave no sign of life and was fenced, or found itself fenced.
    pub fn node_fenced(&self, node: &str, why: &str, now: Now) {
        self.tell_of_node(Kind::NodeFenced, node, why, now);
    }

    /// A node's last batch was this one, and is an older one now.
    pub fn database_went_back(&self, node: &str, was: i64, is: i64, now: Now) {
        let why = format!("its last batch was {was}, and is {is} now");
        self.tell_of_node(Kind::DatabaseWentBack, node, &why, now);
    }

    /// Nobody drives so many transactions, for a minute and more.
    pub fn orphaned(&self, count: usize, now: Now) {
        if let Some(inbox) = &self.inbox {
            inbox.tell(Body::of_orphans(now.wall, count), now);
        }
    }

    fn tell_of_node(&self, kind: Kind, node: &str, why: &str, now: Now) {
        let Some(inbox) = &self.inbox else { return };
        let report = NodeReport { node: node.to_owned(), why: why.to_owned() };
        inbox.tell(Body::of_node(kind, now.wall, report), now);
    }

    /// A transaction was quarantined.
    pub fn quarantined(&self, gid: &Gid, why: &str, now: Now) {
        if self.is_on() {
            let quarantined = Quarantined { gid: gid.clone(), why: why.to_owned() };
            self.tell(Kind::Quarantined, Item::Transaction(quarantined), now);
        }
    }

    fn tell(&self, kind: Kind, item: Item, now: Now) {
        let Some(inbox) = &self.inbox else { return };
        let is_first = inbox.grouping().add(kind, item, now);
        if is_first {
            inbox.news.notify_one();
        }
    }
}

impl AlertInbox {
    /// The alerts whose time has come, and when the next one's does.
    pub(super) fn take_due(&self, now: Mono) -> (Vec<(Mono, Body)>, Option<Mono>) {
        let mut grouping = self.grouping();
        (grouping.take_due(now), grouping.next_due())
    }

    /// Tells what is told as it is.
    fn tell(&self, body: Body, now: Now) {
        self.grouping().add_ready(body, now);
        self.news.notify_one();
    }

    fn grouping(&self) -> MutexGuard<'_, Grouping> {
        // Nothing in there panics half-way, so a poisoned gathering is a whole one.
        self.grouping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when there is news of another kind or participant than is being gathered.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }
}
