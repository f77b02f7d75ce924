//! Looks at all lives about every heartbeat, and has what a dead one drove taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{
    LifeRow, LifeState, NodeWatch, NodeWatchSettings, Share, Suspect, SuspectedFor,
};
use tercet_journal::{Journal, JournalError};
use tercet_wire::{Incarnation, Mono};
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::chunks::Chunks;
use super::news::News;
use super::orphans::{Found, Orphans, search, suspect};
use super::own_lease::OwnLease;
use super::rests::Rests;
use super::sightings::Sightings;
use super::taking_over::{Ending, Means, TakenOver, take_over};

/// The numbers a node goes by among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// Its name.
    pub node_id: String,
    /// From one look to the next.
    pub heartbeat: Duration,
    /// How long another may be silent.
    pub lease: Duration,
    /// How long the database may take for a step of a take-over.
    pub step_within: Duration,
}

/// A life that has just begun.
#[derive(Debug)]
pub struct Life {
    /// Which.
    pub incarnation: Incarnation,
    /// A moment when it had written nothing yet.
    pub began: Mono,
    /// What it writes by.
    pub journal: Journal,
    /// How long the others leave it what it drives.
    pub lease: OwnLease,
    /// By this it is told to look before its time.
    pub look: Arc<Notify>,
}

/// The looks of one life, and its take-overs.
pub struct Watching {
    own: Incarnation,
    settings: ClusterSettings,
    watch: NodeWatch,
    means: Means,
    lease: OwnLease,
    look: Arc<Notify>,
    sightings: Sightings,
    clock: Arc<dyn Clock>,
    news: News,
    /// When the last look that succeeded was asked for, and this life's last batch in it.
    before: (Mono, i64),
    /// Who shared things out at the last look.
    survivors: Vec<Incarnation>,
    /// Whether this node is the one that deletes what is past its retention.
    sweeps: bool,
    orphans: Orphans,
    searches: JoinSet<Option<Found>>,
    take_overs: JoinSet<TakenOver>,
    rests: Rests,
    /// Whose take-over runs in which task.
    under_way: BTreeMap<Id, Incarnation>,
    stopping: bool,
}

impl Watching {
    /// That of a life that has just begun.
    #[must_use]
    pub fn new(
        life: Life,
        settings: ClusterSettings,
        chunks: Arc<Chunks>,
        sightings: Sightings,
        news: News,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let Life { incarnation: own, began, journal, lease, look } = life;
        let watch = NodeWatch::new(NodeWatchSettings {
            own,
            node_id: settings.node_id.clone(),
            lease: settings.lease,
            // Two heartbeats without one.
            namesake: settings.heartbeat * 2,
        });
        let means = Means { journal, chunks, within: settings.step_within };
        Self {
            own,
            settings,
            watch,
            means,
            lease,
            look,
            sightings,
            clock,
            news,
            before: (began, 0),
            survivors: vec![own],
            sweeps: false,
            orphans: Orphans::new(began),
            searches: JoinSet::new(),
            take_overs: JoinSet::new(),
            rests: Rests::default(),
            under_way: BTreeMap::new(),
            stopping: false,
        }
    }

    /// Looks for as long as this life lasts. Once `stop` turns true nothing more is taken over.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut next = pin!(sleep(Duration::ZERO));
        loop {
            tokio::select! {
                biased;
                () = until_told(&mut stop), if !self.stopping => self.stop(),
                Some(found) = self.searches.join_next() => self.searched(found.ok().flatten()),
                Some(ended) = self.take_overs.join_next_with_id() => self.ended(ended),
                () = self.look.notified() => next.set(sleep(self.look().await)),
                () = next.as_mut() => next.set(sleep(self.look().await)),
            }
        }
    }

    /// Rows that have changed hands stay with whom they went to; what is left others take.
    fn stop(&mut self) {
        self.stopping = true;
        self.take_overs.abort_all();
        self.searches.abort_all();
    }

    /// Returns how long it is until the next one is due.
    async fn look(&mut self) -> Duration {
        let asked = self.clock.mono();
        // One that takes longer has nothing to say of this moment.
        let within = self.settings.lease;
        let rows = timeout(within, self.means.journal.lives()).await;
        let rows = rows.unwrap_or(Err(JournalError::TooSlow { within }));
        match rows {
            Ok(rows) => self.looked(&rows, asked),
            Err(error) => {
                self.watch.failed();
                self.news.look_failed(&error);
            }
        }
        self.news.of_own_lease(&self.lease);
        self.watch.next_look(asked, self.settings.heartbeat).since(self.clock.mono())
    }

    /// The rows of all lives, asked for at this moment.
    pub(super) fn looked(&mut self, rows: &[LifeRow], asked: Mono) {
        let own = rows.iter().find(|row| row.incarnation == self.own);
        if let Some(own) = own.filter(|own| own.state == LifeState::Live) {
            let (before, batch_no) = self.before;
            if own.batch_no > batch_no {
                // It was written after the rows of that look were read; how long after, nobody knows.
                self.lease.written_since(before);
            }
            self.before = (asked, own.batch_no);
        }
        let changes = self.sightings.looked(rows, asked);
        self.news.of_changes(&changes, self.own, self.clock.now());
        let under_way: BTreeSet<Incarnation> = self.under_way.values().copied().collect();
        self.news.looked(&self.sightings, rows, &under_way);
        let look = self.watch.look(rows, asked, self.clock.mono());
        self.survivors.clone_from(&look.survivors);
        self.decide_who_sweeps();
        if self.stopping {
            return;
        }
        for suspect in &look.suspects {
            if !self.rests.holds(suspect.incarnation, asked) {
                self.take_over(suspect);
            }
        }
        // One that lasts for so long is not joined by another.
        if self.orphans.are_due(asked) && self.searches.is_empty() {
            let over = rows.iter().filter(|row| row.state != LifeState::Live);
            let over = over.map(|row| row.incarnation).collect();
            self.searches.spawn(search(self.means.clone(), over));
        }
    }

    /// Of those that are there, the one whose life has the lowest number deletes what is past its
    /// retention. Where two think so for a moment, both delete the same.
    fn decide_who_sweeps(&mut self) {
        let sweeps = self.survivors.iter().min() == Some(&self.own);
        if std::mem::replace(&mut self.sweeps, sweeps) != sweeps {
            self.means.journal.set_sweeping(sweeps);
        }
    }

    fn searched(&mut self, found: Option<Found>) {
        let Some(found) = found else { return };
        let remain = self.orphans.remain(&found);
        self.news.orphans(&found, remain, self.clock.now());
        if !self.stopping {
            for owner in found.owners {
                self.take_over(&suspect(owner));
            }
        }
    }

    /// Each suspect's is taken over side by side with the others': what is undecided of one does not
    /// wait for all of another.
    fn take_over(&mut self, suspect: &Suspect) {
        let dead = suspect.incarnation;
        if self.under_way.values().any(|under_way| *under_way == dead) {
            return;
        }
        self.news.take_over_begins(suspect, self.survivors.len());
        let share = Share::of(self.own, &self.survivors);
        let task = self.take_overs.spawn(take_over(self.means.clone(), suspect.clone(), share));
        self.under_way.insert(task.id(), dead);
    }

    fn ended(&mut self, ended: Result<(Id, TakenOver), JoinError>) {
        match ended {
            Ok((task, came)) => {
                self.under_way.remove(&task);
                if came.ending == Ending::MarkedNothing {
                    // Another marked it just before, who leaves this node its share, or it is there
                    // again: rows that say which are there already.
                    self.look.notify_one();
                }
                self.rests.ended(&came, self.clock.mono());
                self.news.take_over_ended(&came, self.clock.now());
            }
            // It was given up, or met a bug of ours, of which the panic hook has told. The next look
            // begins anew.
            Err(error) => drop(self.under_way.remove(&error.id())),
        }
    }
}

/// Whoever would tell and is gone tells, too.
async fn until_told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Why a suspect is one, as it is shown.
pub(super) fn why(suspect: &Suspect) -> &'static str {
    match suspect.why {
        SuspectedFor::Silence { .. } => "silence",
        SuspectedFor::Fenced => "fenced",
        SuspectedFor::Left => "left",
    }
}
