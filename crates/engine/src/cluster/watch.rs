//! Whose life is over, as far as one node can see: the rows of all lives are looked at about every
//! heartbeat, and one whose last batch stays the same for a lease is suspected.
//!
//! Time counts only while this node's own batches get through: a database that answers nobody,
//! or that takes no writes, silences everybody, and then nobody is suspected. This node's own row
//! says so: it is read in the same moment as the others, and has moved on since the last look.
//!
//! Rows are of some moment between a look's being asked for and its answer:
//!
//! ```text
//!   asked ── rows ──── answered          asked ───── rows ── answered
//!                         └─ surely silent ─┘
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use tercet_wire::{Incarnation, Mono};

use crate::cluster::{LifeRow, LifeState, Share};

/// The most that one look adds to a silence: who was not there to look has seen nothing.
const MOST_A_LOOK: Duration = Duration::from_secs(1);

/// The numbers a watch goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeWatchSettings {
    /// The life that watches.
    pub own: Incarnation,
    /// Its node's name.
    pub node_id: String,
    /// How long another life may be silent.
    pub lease: Duration,
    /// How long an earlier life of the same node may be: it was most likely killed, since this
    /// one runs.
    pub namesake: Duration,
}

/// What was seen of other lives so far.
#[derive(Debug, Clone)]
pub struct NodeWatch {
    settings: NodeWatchSettings,
    silences: BTreeMap<Incarnation, Silence>,
    /// This life's last batch in the last look, if that succeeded.
    last: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Silence {
    batch_no: i64,
    /// How long it has lasted at least, as far as it counts.
    lasts: Duration,
    /// How long it may last.
    patience: Duration,
    /// From when on it goes on counting: when the look was answered with which counting began,
    /// and from there on when each was asked for.
    from: Mono,
}

/// A look: when it was, and whether the time since the one before counts.
#[derive(Debug, Clone, Copy)]
struct Moment {
    asked: Mono,
    answered: Mono,
    counts: bool,
}

/// What a look has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Whose transactions are to be taken over.
    pub suspects: Vec<Suspect>,
    /// Who shares them out: live and not suspected, this life among them.
    pub survivors: Vec<Incarnation>,
}

/// A life that is over, or seems to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Which life.
    pub incarnation: Incarnation,
    /// Of which node.
    pub node_id: String,
    /// Why it is suspected.
    pub why: SuspectedFor,
}

/// Why a life is suspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuspectedFor {
    /// It has given no sign of life for a lease.
    Silence {
        /// Its last batch, all that time.
        batch_no: i64,
    },
    /// Somebody has fenced it.
    Fenced,
    /// It has left.
    Left,
}

impl Look {
    /// What of a suspect's is for this life to take.
    #[must_use]
    pub fn share(&self, own: Incarnation) -> Option<Share> {
        Share::of(own, &self.survivors)
    }
}

impl NodeWatch {
    /// A watch that has seen nothing yet.
    #[must_use]
    pub fn new(settings: NodeWatchSettings) -> Self {
        Self { settings, silences: BTreeMap::new(), last: None }
    }

    /// The rows could not be read: the time since the last look counts for nobody, nor does the
    /// time until the next.
    pub fn failed(&mut self) {
        self.last = None;
    }

    /// The rows were read, all in one moment between these two. `asked`: not after they were asked
    /// for; `answered`: not before they had come. So no answer that was slow to come adds to a
    /// silence, neither of this look nor of the one before.
    pub fn look(&mut self, rows: &[LifeRow], asked: Mono, answered: Mono) -> Look {
        let own = rows.iter().find(|row| row.incarnation == self.settings.own);
        let Some(own) = own.filter(|row| row.state == LifeState::Live) else {
            // Whoever may not write takes nothing over; its next batch tells it so.
            self.last = None;
            return Look::default();
        };
        let counts = self.last.is_some_and(|batch_no| own.batch_no > batch_no);
        let moment = Moment { asked, answered, counts };
        self.last = Some(own.batch_no);
        self.silences.retain(|life, _| rows.iter().any(|row| row.incarnation == *life));
        let mut look = Look::default();
        for row in rows {
            match self.suspected(row, moment) {
                Some(why) => {
                    let (incarnation, node_id) = (row.incarnation, row.node_id.clone());
                    look.suspects.push(Suspect { incarnation, node_id, why });
                }
                None => look.survivors.push(row.incarnation),
            }
        }
        look
    }

    /// When the rows are best asked for again after they were at this moment: a heartbeat later, or
    /// half of one sooner or later if that is when a silence will have lasted for long enough.
    /// Looks that keep to their beat miss it by the time that the first one took to be answered,
    /// and so wait for a whole beat more. Sooner than that this node itself may have written
    /// nothing since, and a look that finds that counts for nothing.
    #[must_use]
    pub fn next_look(&self, asked: Mono, heartbeat: Duration) -> Mono {
        let (soonest, latest) =
            (asked.after(heartbeat / 2), asked.after(heartbeat + heartbeat / 2));
        let ends = self.silences.values().filter_map(Silence::ends).min();
        ends.filter(|ends| *ends <= latest).map_or(asked.after(heartbeat), |ends| ends.max(soonest))
    }

    fn suspected(&mut self, row: &LifeRow, moment: Moment) -> Option<SuspectedFor> {
        match row.state {
            LifeState::Left => return Some(SuspectedFor::Left),
            LifeState::Fenced => return Some(SuspectedFor::Fenced),
            LifeState::Live if row.incarnation == self.settings.own => return None,
            LifeState::Live => {}
        }
        let batch_no = row.batch_no;
        let patience = match row.node_id == self.settings.node_id {
            true => self.settings.namesake.min(self.settings.lease),
            false => self.settings.lease,
        };
        let anew = Silence { batch_no, lasts: Duration::ZERO, patience, from: moment.answered };
        let silence = self
            .silences
            .entry(row.incarnation)
            .and_modify(|silence| match silence.batch_no == batch_no {
                true => silence.goes_on(moment),
                false => *silence = anew,
            })
            .or_insert(anew);
        (silence.lasts >= patience).then_some(SuspectedFor::Silence { batch_no })
    }
}

impl Silence {
    /// When it will have lasted for as long as it may, if nothing ends it before.
    fn ends(&self) -> Option<Mono> {
        let remains = self.patience.checked_sub(self.lasts).filter(|remains| !remains.is_zero())?;
        Some(self.from.after(remains))
    }

    /// Another look has shown the same batch.
    fn goes_on(&mut self, Moment { asked, answered, counts }: Moment) {
        if counts {
            let passed = asked.since(self.from).min(MOST_A_LOOK);
            self.lasts = self.lasts.saturating_add(passed);
            // Looks may overlap; then nothing has passed.
            self.from = self.from.max(asked);
        } else {
            self.from = answered;
        }
    }
}
