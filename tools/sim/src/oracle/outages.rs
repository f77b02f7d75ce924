//! Of an outage people are told once, then reminded, then that it is over; and of no branch besides
//! that only waits for it.

use std::collections::BTreeMap;

use tercet_engine::OutageNews;

use crate::coverage::Sometimes;
use crate::scheduler::Scheduler;

/// What people were told of the participants that do not answer.
#[derive(Debug, Default)]
pub(crate) struct Told {
    life: u64,
    /// Reminders so far.
    told: BTreeMap<String, u32>,
}

impl Told {
    pub(crate) fn news(&mut self, news: &OutageNews, life: u64, scheduler: &mut Scheduler) {
        if self.life != life {
            *self = Self { life, ..Self::default() };
        }
        scheduler.note(|| format!("    people are told: {news:?}"));
        match news {
            OutageNews::Unreachable { participant, reminder, .. } => {
                let expected = self.told.get(participant).map_or(0, |told| told + 1);
                if *reminder != expected {
                    scheduler.broke(format!("{participant}: reminder {reminder}, not {expected}"));
                }
                self.told.insert(participant.clone(), *reminder);
                scheduler.saw(match reminder {
                    0 => Sometimes::OutageTold,
                    _ => Sometimes::OutageReminded,
                });
            }
            OutageNews::Reachable { participant, .. } => {
                if self.told.remove(participant).is_none() {
                    scheduler.broke(format!("{participant} is back, and nobody knew it was away"));
                }
                scheduler.saw(Sometimes::OutageOver);
            }
        }
    }
}
