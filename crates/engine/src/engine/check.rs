//! Whether the parts of the engine agree with the live transactions, and with each other.

use tercet_wire::Gid;

use crate::engine::Engine;
use crate::engine::live_transaction::LiveTransaction;
use crate::invariants::Broken;

impl Engine {
    /// Whether every part says what the live transactions say. It looks at all of them: for the
    /// model and the simulation. The engine itself asserts after each step, where assertions are
    /// compiled in, that what it has touched agrees and that no part is larger than it can be.
    ///
    /// # Errors
    /// An index of ours is wrong.
    pub fn check(&self) -> Result<(), Broken> {
        for (gid, live_transaction) in self.live.iter() {
            self.agrees(gid, live_transaction)?;
        }
        let all = || self.live.iter().map(|(_, live_transaction)| live_transaction);
        self.live.check()?;
        self.timers.check(all().map(|it| &it.timer))?;
        self.capacity.check(all().map(|it| &it.waits_at))?;
        self.paging.check(all().map(|it| &it.residence))?;
        let in_hand = |gid: &Gid| self.loading.contains(gid) || self.live.contains(gid);
        self.arrivals.check(in_hand)?;
        self.loading.check()
    }

    /// Whether every part says of one transaction what it says itself.
    pub(super) fn check_one(&self, gid: &Gid) -> Result<(), Broken> {
        self.live.get(gid).map_or(Ok(()), |live_transaction| self.agrees(gid, live_transaction))
    }

    /// Whether no part names more transactions than there are.
    pub(super) fn check_sizes(&self) -> Result<(), Broken> {
        let live = self.live.len();
        let sizes = [("timers", self.timers.len()), ("paging", self.paging.evictions())];
        match sizes.into_iter().find(|(_, size)| *size > live) {
            None => Ok(()),
            Some((part, size)) => {
                let why = format!("{size} entries for {live} live transactions");
                Err(Broken::IndexDisagrees { part, why })
            }
        }
    }

    fn agrees(&self, gid: &Gid, live_transaction: &LiveTransaction) -> Result<(), Broken> {
        let LiveTransaction { tally, timer, waits_at, residence, .. } = live_transaction;
        let settings = &self.settings;
        self.live.agrees(gid, live_transaction)?;
        self.timers.agrees(gid, timer, live_transaction.next_due(&settings.rules))?;
        let (waits, backs_off) = live_transaction.waits_at(settings.destination_path_segments);
        self.capacity.agrees(gid, waits_at, &waits, &backs_off)?;
        self.paging.agrees(gid, residence, tally.bytes(), live_transaction.is_evictable())
    }
}
