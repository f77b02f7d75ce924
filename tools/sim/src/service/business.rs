//! A business with something to run out of, and a ledger of what was really done for each branch:
//! what the guard promises is checked here, not in the guard's own rows.

use std::collections::BTreeMap;

use tercet_participant::Recorded;
use tercet_wire::{BranchId, Gid, Instance, Op};

use crate::scheduled_event::Arriving;
use crate::scheduler::Scheduler;

/// The business said no.
pub(super) struct Refused;

/// Stock, and what became of it.
#[derive(Debug)]
pub(crate) struct Business {
    /// The guard's rows, committed with the rest.
    pub(super) recorded: BTreeMap<(Gid, BranchId), Recorded>,
    /// What was done for each branch.
    done: BTreeMap<(Instance, BranchId), Done>,
    initially: i64,
    available: i64,
    reserved: i64,
    taken: i64,
}

/// How often the business code of each leg was run for one branch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) tried: u32,
    pub(crate) confirmed: u32,
    pub(crate) cancelled: u32,
}

impl Business {
    pub(super) fn new(stock: i64) -> Self {
        Self {
            recorded: BTreeMap::new(),
            done: BTreeMap::new(),
            initially: stock,
            available: stock,
            reserved: 0,
            taken: 0,
        }
    }

    /// What was done for a branch.
    pub(crate) fn done(&self, instance: Instance, branch: &BranchId) -> Done {
        self.done.get(&(instance, branch.clone())).copied().unwrap_or_default()
    }

    /// The decision that a branch has acknowledged, by the guard's row.
    pub(crate) fn acknowledged(
        &self,
        gid: &Gid,
        instance: Instance,
        branch: &BranchId,
    ) -> Option<Op> {
        use tercet_participant::State;
        let recorded = self.recorded.get(&(gid.clone(), branch.clone()))?;
        match recorded.state {
            _ if recorded.instance != instance => None,
            State::Tried => None,
            State::Confirmed => Some(Op::Confirm),
            State::Cancelled => Some(Op::Cancel),
        }
    }

    pub(crate) fn reserved(&self) -> i64 {
        self.reserved
    }

    /// The business code of one leg.
    pub(super) fn run(
        &mut self,
        call: &Arriving,
        scheduler: &mut Scheduler,
    ) -> Result<(), Refused> {
        let quantity = call.quantity;
        let has = |op| call.legs.has(op);
        let done = self.done.entry((call.instance, call.branch.clone())).or_default();
        let before = *done;
        let broken = match call.op {
            Op::Try => {
                if self.available < quantity {
                    return Err(Refused);
                }
                done.tried += 1;
                self.available -= quantity;
                // Without a Confirm to come, Try is all there is.
                *(if has(Op::Confirm) { &mut self.reserved } else { &mut self.taken }) += quantity;
                let late = before.cancelled > 0
                    || self.recorded.contains_key(&(call.gid.clone(), call.branch.clone()));
                if late {
                    Some("a Try reserved after its branch had been dealt with")
                } else {
                    None
                }
            }
            Op::Confirm => {
                done.confirmed += 1;
                self.taken += quantity;
                *(if has(Op::Try) { &mut self.reserved } else { &mut self.available }) -= quantity;
                if has(Op::Try) && before.tried == 0 {
                    Some("a Confirm took what was never reserved")
                } else {
                    None
                }
            }
            Op::Cancel => {
                done.cancelled += 1;
                self.available += quantity;
                *(if has(Op::Confirm) { &mut self.reserved } else { &mut self.taken }) -= quantity;
                if before.tried == 0 {
                    Some("a Cancel released what was never reserved")
                } else {
                    None
                }
            }
        };
        let twice = done.tried > 1 || done.confirmed > 1 || done.cancelled > 1;
        let both = done.confirmed > 0 && done.cancelled > 0;
        let sum = self.available + self.reserved + self.taken;
        let (gid, branch) = (&call.gid, &call.branch);
        if let Some(broken) = broken {
            scheduler.broke(format!("{gid}/{branch}: {broken}"));
        } else if twice {
            scheduler.broke(format!("{gid}/{branch}: the business code of one leg ran twice"));
        } else if both {
            scheduler.broke(format!("{gid}/{branch}: confirmed and cancelled"));
        } else if sum != self.initially || self.reserved < 0 {
            scheduler.broke(format!("{gid}/{branch}: the sums are off: {self:?}"));
        }
        Ok(())
    }
}
