//! Whether a transaction begins: at once, once the journal was asked, or not, for want of room.

use std::time::Duration;

use tercet_wire::{Now, Pattern, Spec};

use crate::engine::Engine;
use crate::engine::output::Refusal;

/// For so long after a begin that met its gid taken others ask first.
const ASKING_FIRST: Duration = Duration::from_millis(100);

impl Engine {
    /// Whether a transaction whose gid is its initiator's is begun without a look at the journal: writing it finds out
    /// whether the gid is free, and nobody hears of it before (`drop_unwritten`). Most are new. Where one was not, the next
    /// ones ask first, since what is written in vain costs more than a look; so does one that there is no room for, which
    /// may be there already, and one that is known to be there.
    pub(super) fn begins_unasked(&mut self, spec: &Spec, now: Now) -> bool {
        self.asking_first = self.asking_first.filter(|until| now.mono < *until);
        if self.asking_first.is_some() {
            return false;
        }
        let gid = &spec.gid;
        let is_known =
            self.unreadable.contains(gid) || self.arrivals.contains(gid) || self.paging.knows(gid);
        !is_known && self.room_for(spec).is_ok()
    }

    /// A begin has met its gid taken.
    pub(super) fn others_ask_first(&mut self, now: Now) {
        self.asking_first = Some(now.mono.after(ASKING_FIRST));
    }

    /// Whether anything new is taken: a transaction, or a further branch of one.
    pub(super) fn room_for_more(&self) -> Result<(), Refusal> {
        let limit = self.settings.live_bytes;
        if !self.accepting {
            return Err(Refusal::NotAccepted);
        }
        if self.live.bytes() >= limit {
            return Err(Refusal::TooManyBytes { limit });
        }
        Ok(())
    }

    /// Whether there is room for one more like this.
    pub(super) fn room_for(&self, spec: &Spec) -> Result<(), Refusal> {
        self.room_for_more()?;
        let limit = self.settings.live_transactions;
        if self.live.len() >= limit {
            return Err(Refusal::TooManyTransactions { limit });
        }
        if let (Pattern::Saga, Some(refusal)) = (spec.pattern, self.full_of_sagas()) {
            return Err(refusal);
        }
        let limit = self.settings.paged_out_transactions;
        if self.paging.count() >= limit {
            return Err(Refusal::TooManyPagedOut { limit });
        }
        Ok(())
    }

    /// Half of the room is what sagas may have: one that tries stays in memory, for weeks if its
    /// participant does not answer, and the others are not to be kept out by that.
    fn full_of_sagas(&self) -> Option<Refusal> {
        let sagas = self.live.sagas();
        let (limit, bytes) = (self.settings.live_transactions / 2, self.settings.live_bytes / 2);
        if sagas.count >= limit {
            return Some(Refusal::TooManyTransactions { limit });
        }
        (sagas.bytes >= bytes).then_some(Refusal::TooManyBytes { limit: bytes })
    }
}
