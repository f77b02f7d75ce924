//! How the rest of the daemon tells its news.

use std::sync::{Arc, Mutex, PoisonError};

use tercet_clock::Clock;
use tercet_wire::{Gid, Mono, Now};
use tokio::sync::Notify;

use super::body::{Body, Item, Kind};
use super::delivery::{Delivery, StartError};
use super::gathering::Gathering;
use super::news::{ParkedBranch, SetAside};
use super::settings::AlertSettings;
use super::task::Task;
use crate::metrics::AlertMetrics;

/// Takes news. Cheap to clone; never waits.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// `None`: nobody wants to be told.
    desk: Option<Arc<Desk>>,
}

/// Where news is left and the task finds it.
#[derive(Debug)]
pub(super) struct Desk {
    gathering: Mutex<Gathering>,
    news: Notify,
}

/// Starts alerting on the tokio runtime this is called from; without settings nobody is told.
///
/// # Errors
/// The HTTP client could not be built.
pub fn start(settings: Option<AlertSettings>, clock: Arc<dyn Clock>) -> Result<Alerts, StartError> {
    let Some(settings) = settings else { return Ok(Alerts::off()) };
    let delivery = Delivery::new(&settings)?;
    let gathering = Mutex::new(Gathering::new(settings.gather));
    let desk = Arc::new(Desk { gathering, news: Notify::new() });
    let task = Task::new(Arc::clone(&desk), delivery, settings, clock, AlertMetrics::register());
    drop(tokio::spawn(task.run()));
    Ok(Alerts { desk: Some(desk) })
}

impl Alerts {
    /// Tells nobody.
    #[must_use]
    pub fn off() -> Self {
        Self { desk: None }
    }

    /// Whether anybody is told: if not, news need not be put together.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.desk.is_some()
    }

    /// A branch has been parked.
    pub fn parked(&self, branch: ParkedBranch, now: Now) {
        self.tell(Kind::Parked, Item::Branch(branch), now);
    }

    /// A branch was found parked at a start.
    pub fn still_parked(&self, branch: ParkedBranch, now: Now) {
        self.tell(Kind::StillParked, Item::Branch(branch), now);
    }

    /// A transaction was set aside.
    pub fn set_aside(&self, gid: &Gid, why: &str, now: Now) {
        if self.is_on() {
            let set_aside = SetAside { gid: gid.clone(), why: why.to_owned() };
            self.tell(Kind::SetAside, Item::Transaction(set_aside), now);
        }
    }

    fn tell(&self, kind: Kind, item: Item, now: Now) {
        let Some(desk) = &self.desk else { return };
        // Nothing in there panics half-way, so a poisoned gathering is a whole one.
        let mut gathering = desk.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = gathering.add(kind, item, now);
        drop(gathering);
        if is_first {
            desk.news.notify_one();
        }
    }
}

impl Desk {
    /// The alerts whose time has come, and when the next one's does.
    pub(super) fn take_due(&self, now: Mono) -> (Vec<(Mono, Body)>, Option<Mono>) {
        let mut gathering = self.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        (gathering.take_due(now), gathering.next_due())
    }

    /// Ends when there is news of another kind or participant than is being gathered.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }
}
