//! What is done about a gid that is not in memory. Absent from memory does not mean
//! absent: the journal is asked, and requests for that gid wait in order meanwhile.

use std::sync::Arc;

use tercet_wire::{Gid, Incarnation, Mono, Now, Spec};

use crate::engine::input::{Ask, Load, Request};
use crate::engine::live_transaction::{Fault, LiveTransaction, Purpose, Waiter};
use crate::engine::output::{Effect, IfTaken, Output, Refusal, Reply};
use crate::engine::{Engine, at_once};
use crate::record::{Change, Decision};
use crate::stored::StoredTransaction;
use crate::transaction::{Resume, Step, Transaction};

/// Transactions remembered as unreadable: alarms for so many are enough.
const MOST_UNREADABLE: usize = 10_000;

/// Gids that the journal is asked about at a time. So many wait only where it does not answer.
const MOST_LOADING: usize = 10_000;

impl Engine {
    pub(super) fn ask_unknown(&mut self, request: Request, now: Now, output: &mut Output) {
        match &request.ask {
            Ask::Begin { spec, fresh } if *fresh || self.begins_unasked(spec, now) => {
                let spec = Arc::clone(spec);
                self.begin(spec, request, now, output);
            }
            Ask::Begin { .. }
            | Ask::Register(_)
            | Ask::RegisterAtOnce(_)
            | Ask::Confirm
            | Ask::Cancel { .. }
            | Ask::DecideHeld(_)
            | Ask::Retry { .. }
            | Ask::Resolve(_)
            | Ask::OfJob(_)
            | Ask::Readdress(_)
            | Ask::Read => {
                if self.loading.len() >= MOST_LOADING {
                    return refuse_unread([request], output);
                }
                output.effects.push(at_once(&request.gid, Effect::Load));
                let is_mine = self.arrivals.is_mine(&request.gid);
                self.loading.ask_for(request, now.mono.after(self.settings.load_within), is_mine);
            }
        }
    }

    /// The journal is asked about one of a page.
    pub(super) fn load_of_page(&mut self, gid: Gid, due: Mono, output: &mut Output) {
        output.effects.push(at_once(&gid, Effect::Load));
        self.loading.ask_of_page(gid, due);
    }

    /// The journal is asked about one that was paged out and has something to do by itself.
    pub(super) fn load_of_its_own(&mut self, gid: Gid, output: &mut Output) {
        output.effects.push(at_once(&gid, Effect::Load));
        self.loading.ask_unasked(gid);
    }

    pub(super) fn loaded(&mut self, gid: &Gid, load: Load, now: Now, output: &mut Output) {
        let waited = self.loading.take(gid);
        let is_expected = waited.is_some();
        let of_page = waited.as_ref().is_some_and(|waited| waited.of_page);
        // Of what was taken over meanwhile the journal could not know yet.
        let too_old = waited.as_ref().is_some_and(|waited| !waited.arrival);
        let due = waited.as_ref().and_then(|waited| waited.due);
        let asked_for = waited.as_ref().map_or(0, |waited| waited.asked_for);
        let waiting = waited.map(|waited| waited.requests).unwrap_or_default();
        match load {
            Load::Nothing | Load::Elsewhere(_) if too_old && self.arrivals.is_mine(gid) => {
                output.effects.push(at_once(gid, Effect::Load));
                self.loading.ask_again(gid.clone(), waiting, due, true);
            }
            // It was not asked for, so nobody knows of which time it tells.
            Load::Nothing | Load::Found(_) | Load::Elsewhere(_) if !is_expected => {}
            Load::Found(stored)
                if of_page
                    && waiting.is_empty()
                    && !self.arrivals.contains(gid)
                    && !self.paging.has_to_do(gid, now.mono)
                    && self.is_passed_over(&stored) => {}
            Load::Nothing => {
                self.is_not_here(gid);
                let mut later = Vec::new();
                for (place, request) in waiting.into_iter().enumerate() {
                    // What begins finds out when it is written.
                    let begins = request.begins() || self.live.contains(gid);
                    match place < asked_for || begins {
                        true => self.ask_absent(request, now, output),
                        false => later.push(request),
                    }
                }
                self.ask_later(gid, later, due, now, output);
            }
            Load::Found(stored) => {
                // What could not be read when it was met is not among those that are counted.
                let is_readable_again = self.unreadable.remove(gid);
                let arrived = self.arrivals.take(gid);
                if !self.live.contains(gid) {
                    if let Some(dead) = arrived {
                        let may_rest = waiting.is_empty();
                        self.adopt_arrival(&stored, dead, may_rest, now, output);
                    } else {
                        if !is_readable_again {
                            self.is_back(&stored, now);
                        }
                        self.adopt(&stored, now, output);
                        self.wake_if_healed(gid, now, output);
                    }
                }
                for request in waiting {
                    self.ask_known(request, now, output);
                }
                if stored.status.is_finished() {
                    self.forget(gid);
                }
            }
            // It is not for this node to drive, and nothing of it is kept.
            Load::Elsewhere(owner) => {
                self.is_not_here(gid);
                for request in waiting {
                    match self.live.contains(gid) {
                        // It was taken over after the journal had looked.
                        true => self.ask_known(request, now, output),
                        false => refuse(&request, Refusal::Elsewhere(owner), output),
                    }
                }
            }
            Load::Failed => {
                self.arrivals.again(gid, now.mono);
                refuse_unread(waiting, output);
            }
            Load::Unreadable { why } => {
                self.paging.take_wake(gid);
                self.arrivals.take(gid);
                self.leave_unreadable(gid, &why, output);
                for request in waiting {
                    refuse(&request, Refusal::Quarantined, output);
                }
            }
        }
    }

    /// The journal says of a gid that it is not for this life to drive.
    fn is_not_here(&mut self, gid: &Gid) {
        self.unreadable.remove(gid);
        self.paging.take_wake(gid);
        if self.arrivals.is_mine(gid) {
            self.arrivals.take(gid);
        }
    }

    /// The rows of this transaction make no sense. They stay as they are, and so does the gid:
    /// it is not free. It is not remembered what is wrong with them: who asks next may find
    /// them mended.
    fn leave_unreadable(&mut self, gid: &Gid, why: &str, output: &mut Output) {
        if self.unreadable.len() < MOST_UNREADABLE && self.unreadable.insert(gid.clone()) {
            let why = format!(
                "its rows in the journal cannot be understood ({why}); mend them, and the next \
                 request for it takes it up again"
            );
            output.effects.push(at_once(gid, Effect::Alarm { why }));
        }
    }

    /// Adopts a transaction at start-up: every one of which something is to be done now, and as many
    /// others as there is room for.
    pub(super) fn adopt_at_start(
        &mut self,
        stored: &StoredTransaction,
        now: Now,
        output: &mut Output,
    ) {
        if self.live.contains(&stored.spec.gid) {
            return;
        }
        let transaction = self.resumed(stored, now);
        if self.is_full_of_waiting() && transaction.may_rest_from_the_start() {
            return self.leave_paged_out(&transaction);
        }
        self.take_up(transaction, now, output);
    }

    /// Adopts a transaction that was taken over, as at a start: how its calls went and whom people
    /// were told of has died with the life that drove it.
    fn adopt_arrival(
        &mut self,
        stored: &StoredTransaction,
        dead: Incarnation,
        may_rest: bool,
        now: Now,
        output: &mut Output,
    ) {
        let mut transaction = self.resumed(stored, now);
        let rests = may_rest && self.is_full_of_waiting() && transaction.may_rest_from_the_start();
        if rests && !stored.status.is_finished() {
            return self.leave_paged_out(&transaction);
        }
        transaction.was_taken_over(dead);
        self.take_up(transaction, now, output);
    }

    fn resumed(&self, stored: &StoredTransaction, now: Now) -> Transaction {
        let resume = Resume::AtStart { clock_doubted: self.settings.clock_doubted };
        let mut transaction = Transaction::resume(stored, resume, now);
        transaction.is_held_by(&self.settings.rules);
        transaction.start_the_clocks(now.mono, &self.settings.rules);
        transaction
    }

    /// Whether memory has as many as it takes of those that only wait.
    fn is_full_of_waiting(&self) -> bool {
        let (most, most_bytes) = self.settings.most_waiting();
        self.live.len() >= most || self.live.bytes() >= most_bytes
    }

    fn adopt(&mut self, stored: &StoredTransaction, now: Now, output: &mut Output) {
        let gid = &stored.spec.gid;
        let mut transaction = Transaction::resume(stored, Resume::PagedIn, now);
        transaction.is_held_by(&self.settings.rules);
        if let Some(wake) = self.paging.take_wake(gid) {
            transaction.resume_clocks(wake, &self.settings.rules, now);
        }
        transaction.waits_since_resumed(&self.settings.rules.paused);
        transaction.goes_on_in_its_round(now);
        let remembered = self.paging.take_backoffs(gid);
        transaction.resume_backoffs(remembered.backoffs);
        transaction.were_told(remembered.told);
        self.take_up(transaction, now, output);
    }

    fn take_up(&mut self, transaction: Transaction, now: Now, output: &mut Output) {
        let gid = transaction.gid().clone();
        self.live.insert(gid.clone(), LiveTransaction::new(transaction));
        self.run(&gid, now, output, |_, _| ());
    }

    /// The gid of a new transaction is taken: nothing of ours was written. Whoever began it asks
    /// the journal, and meets the transaction that holds the gid, here or at another node; whoever
    /// reads it too; whoever asked more of it is told to ask again.
    pub(super) fn drop_unwritten(&mut self, gid: &Gid, now: Now, output: &mut Output) {
        let Some(live_transaction) = self.forget(gid) else { return };
        self.others_ask_first(now);
        self.arrivals.has_room(gid);
        for waiter in live_transaction.waiters {
            let Waiter { reply_to, purpose, wait, .. } = waiter;
            match purpose.if_taken().asks(&live_transaction.transaction) {
                Some(ask) => {
                    let request = Request { reply_to, gid: gid.clone(), ask, wait };
                    self.request(request, now, output);
                }
                None => {
                    let reply = Reply::Refused(Refusal::JournalUnavailable);
                    let reply = Effect::Reply(reply_to, reply, IfTaken::IsUnknown);
                    output.effects.push(at_once(gid, reply));
                }
            }
        }
        // Who holds it may be this node's, and have come meanwhile: then nobody was there to take it up.
        if !self.live.contains(gid) && !self.loading.contains(gid) {
            self.load_of_its_own(gid.clone(), output);
        }
    }

    /// The journal cannot write this transaction's records.
    pub(super) fn quarantined(&mut self, gid: &Gid, now: Now, output: &mut Output) {
        let Some(live_transaction) = self.live.get_mut(gid) else { return };
        live_transaction.quarantined = Some(Fault::Journal);
        let why = "the journal cannot write its records".to_owned();
        output.effects.push(at_once(gid, Effect::Alarm { why }));
        self.live.stay(gid);
        self.update(gid, now, output);
    }

    fn ask_absent(&mut self, request: Request, now: Now, output: &mut Output) {
        // An earlier request in the same line may have begun it.
        if self.live.contains(&request.gid) {
            return self.ask_known(request, now, output);
        }
        match &request.ask {
            Ask::Begin { spec, .. } => {
                let spec = Arc::clone(spec);
                self.begin(spec, request, now, output);
            }
            Ask::Cancel { detail, if_unknown: Some(spec) } => {
                let (detail, spec) = (detail.clone(), Arc::clone(spec));
                self.refuse_begins(spec, detail, request, now, output);
            }
            Ask::Register(_)
            | Ask::RegisterAtOnce(_)
            | Ask::Confirm
            | Ask::Cancel { .. }
            | Ask::DecideHeld(_)
            | Ask::Retry { .. }
            | Ask::Resolve(_)
            | Ask::OfJob(_)
            | Ask::Readdress(_)
            | Ask::Read => {
                refuse(&request, Refusal::NotFound, output);
            }
        }
    }

    /// The journal knew nothing of a gid when it was asked; these asked later, and another node may
    /// have begun it by then.
    fn ask_later(
        &mut self,
        gid: &Gid,
        later: Vec<Request>,
        due: Option<Mono>,
        now: Now,
        output: &mut Output,
    ) {
        if self.live.contains(gid) {
            return later.into_iter().for_each(|request| self.ask_known(request, now, output));
        }
        if !later.is_empty() {
            output.effects.push(at_once(gid, Effect::Load));
            self.loading.ask_again(gid.clone(), later, due, false);
        }
    }

    /// A cancel has overtaken its begin: a transaction that is cancelled takes the gid, and the
    /// begin will meet it. It is gone from memory as soon as it is durable, so there may be as many
    /// as the journal takes.
    fn refuse_begins(
        &mut self,
        spec: Arc<Spec>,
        detail: Option<Arc<str>>,
        request: Request,
        now: Now,
        output: &mut Output,
    ) {
        if !self.accepting {
            return refuse(&request, Refusal::NotAccepted, output);
        }
        self.begin_with(spec, request, now, output, |transaction, step| {
            // What has just begun is not decided yet, so nothing says no to it.
            let cancelled = transaction.cancel(detail, step);
            debug_assert_eq!(cancelled, Ok(()));
        });
    }

    fn begin(&mut self, spec: Arc<Spec>, request: Request, now: Now, output: &mut Output) {
        match self.room_for(&spec) {
            Ok(()) => self.begin_with(spec, request, now, output, |_, _| ()),
            Err(refusal) => refuse(&request, refusal, output),
        }
    }

    /// Begins a transaction, and does with it what is to be done in the same moment.
    fn begin_with(
        &mut self,
        spec: Arc<Spec>,
        request: Request,
        now: Now,
        output: &mut Output,
        and: impl FnOnce(&mut Transaction, &mut Step<'_>),
    ) {
        let Request { reply_to, gid, wait, .. } = request;
        let mut live_transaction = LiveTransaction::new(Transaction::begin(Arc::clone(&spec), now));
        let purpose = Purpose::Begin { created: true };
        live_transaction.waiters.push(Waiter { reply_to, purpose, wait, since: now.mono });
        self.live.insert(gid.clone(), live_transaction);
        let begun = self.run(&gid, now, output, |transaction, step| {
            // First of all: what follows from it must not be written before it.
            step.changes.push(Change::Begun(spec));
            and(transaction, step);
        });
        if begun.is_none() {
            // Its rules failed before anything was written: there is no such transaction.
            self.forget(&gid);
        }
    }
}

impl IfTaken {
    /// What is asked once more of what has the gid, in place of what was asked of this transaction.
    pub(crate) fn asks(self, transaction: &Transaction) -> Option<Ask> {
        match self {
            Self::Begins => Some(begin_again(transaction.spec(), transaction.decision())),
            Self::Reads => Some(Ask::Read),
            Self::IsUnknown => None,
        }
    }
}

/// What began a transaction is asked of the journal, as if it had not been asked before.
fn begin_again(spec: &Arc<Spec>, decision: Option<&Decision>) -> Ask {
    let spec = Arc::clone(spec);
    if !spec.fingerprint.is_of_refused() {
        return Ask::Begin { spec, fresh: false };
    }
    // It was a cancel that had overtaken its begin.
    let detail = match decision {
        Some(Decision::Cancel { detail, .. }) => detail.clone(),
        Some(Decision::Confirm) | None => None,
    };
    Ask::Cancel { detail, if_unknown: Some(spec) }
}

fn refuse(request: &Request, refusal: Refusal, output: &mut Output) {
    let effect = Effect::Reply(request.reply_to, Reply::Refused(refusal), IfTaken::IsUnknown);
    output.effects.push(at_once(&request.gid, effect));
}

/// The journal cannot say in time whether it knows the gid.
pub(super) fn refuse_unread(requests: impl IntoIterator<Item = Request>, output: &mut Output) {
    for request in requests {
        refuse(&request, request.unread(), output);
    }
}

impl Request {
    /// Whether it makes a transaction of its own where there is none.
    fn begins(&self) -> bool {
        match &self.ask {
            Ask::Begin { .. } => true,
            Ask::Cancel { if_unknown, .. } => if_unknown.is_some(),
            Ask::Register(_)
            | Ask::RegisterAtOnce(_)
            | Ask::Confirm
            | Ask::DecideHeld(_)
            | Ask::Retry { .. }
            | Ask::Resolve(_)
            | Ask::OfJob(_)
            | Ask::Readdress(_)
            | Ask::Read => false,
        }
    }

    /// What is said to it where the journal did not say what it knows of its gid.
    pub(crate) fn unread(&self) -> Refusal {
        match self.ask {
            // Nothing was written, and nothing will be.
            Ask::Begin { .. } => Refusal::NotAccepted,
            Ask::Register(_)
            | Ask::RegisterAtOnce(_)
            | Ask::Confirm
            | Ask::Cancel { .. }
            | Ask::DecideHeld(_)
            | Ask::Retry { .. }
            | Ask::Resolve(_)
            | Ask::OfJob(_)
            | Ask::Readdress(_)
            | Ask::Read => Refusal::JournalUnavailable,
        }
    }
}
