//! Whose life is over, as far as one node can see: the rows of all lives are looked at every
//! heartbeat, and one whose last batch stays the same for a lease is suspected.
//!
//! Time counts only while this node's own batches get through: a database that answers nobody,
//! or that takes no writes, silences everybody, and then nobody is suspected. This node's own row
//! says so: it is read in the same moment as the others, and has moved on since the last look.

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
    /// The last look, if it succeeded: when it was, and this life's last batch in it.
    last: Option<(Mono, i64)>,
}

#[derive(Debug, Clone, Copy)]
struct Silence {
    batch_no: i64,
    lasts: Duration,
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

    /// The rows were read, all in one moment. `asked`: when they were asked for, so that no
    /// answer that was slow to come adds to a silence.
    pub fn look(&mut self, rows: &[LifeRow], asked: Mono) -> Look {
        let own = rows.iter().find(|row| row.incarnation == self.settings.own);
        let Some(own) = own.filter(|row| row.state == LifeState::Live) else {
            // Whoever may not write takes nothing over; its next batch tells it so.
            self.last = None;
            return Look::default();
        };
        let passed = self.counted(asked, own.batch_no);
        self.last = Some((asked, own.batch_no));
        self.silences.retain(|life, _| rows.iter().any(|row| row.incarnation == *life));
        let mut look = Look::default();
        for row in rows {
            match self.suspected(row, passed) {
                Some(why) => {
                    let (incarnation, node_id) = (row.incarnation, row.node_id.clone());
                    look.suspects.push(Suspect { incarnation, node_id, why });
                }
                None => look.survivors.push(row.incarnation),
            }
        }
        look
    }

    /// How much of the time since the last look counts.
    fn counted(&self, asked: Mono, own_batch: i64) -> Duration {
        match self.last {
            Some((last, batch_no)) if own_batch > batch_no => asked.since(last).min(MOST_A_LOOK),
            Some(_) | None => Duration::ZERO,
        }
    }

    fn suspected(&mut self, row: &LifeRow, passed: Duration) -> Option<SuspectedFor> {
        match row.state {
            LifeState::Left => return Some(SuspectedFor::Left),
            LifeState::Fenced => return Some(SuspectedFor::Fenced),
            LifeState::Live if row.incarnation == self.settings.own => return None,
            LifeState::Live => {}
        }
        let batch_no = row.batch_no;
        let anew = Silence { batch_no, lasts: Duration::ZERO };
        let silence = self
            .silences
            .entry(row.incarnation)
            .and_modify(|silence| match silence.batch_no == batch_no {
                true => silence.lasts = silence.lasts.saturating_add(passed),
                false => *silence = anew,
            })
            .or_insert(anew);
        let patience = match row.node_id == self.settings.node_id {
            true => self.settings.namesake.min(self.settings.lease),
            false => self.settings.lease,
        };
        (silence.lasts >= patience).then_some(SuspectedFor::Silence { batch_no })
    }
}
