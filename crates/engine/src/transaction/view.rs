//! A transaction as people and programs see it.

use std::sync::Arc;

use tercet_wire::{
    AnswerView, BranchId, BranchResult, BranchStatus, BranchView, JsonText, LastAnswerView, Op,
    PendingResolutionView, Reason, SummaryView, TraceId, TransactionView, UrlsView, Wall,
};

use crate::engine::output::Snapshot;
use crate::record::{Decision, LastAnswer, PendingResolution, TryAnswer};
use crate::transaction::Transaction;
use crate::transaction::branch::{Branch, BranchState, CallState};
use crate::transaction::pauses::next_call;

impl Snapshot {
    /// The transaction with its branches.
    #[must_use]
    pub fn view(&self) -> TransactionView {
        let branches = self.transaction.branches.iter();
        TransactionView {
            summary: self.transaction.summary(),
            trace_id: TraceId::of(&self.transaction.spec.traceparent),
            branches: branches.enumerate().map(|branch| self.show(branch)).collect(),
        }
    }

    /// The transaction with its branches and what each is sent.
    #[must_use]
    pub fn view_with_payloads(&self) -> TransactionView {
        let mut view = self.view();
        for (shown, branch) in view.branches.iter_mut().zip(&self.transaction.branches) {
            shown.payload = JsonText::of(&branch.spec.payload);
            let url = |op| branch.spec.url(op).map(ToString::to_string);
            let [try_, confirm, cancel] = [Op::Try, Op::Confirm, Op::Cancel].map(url);
            shown.urls = Some(UrlsView { try_, confirm, cancel });
        }
        view
    }

    /// One of its branches.
    #[must_use]
    pub fn branch_view(&self, id: &BranchId) -> Option<BranchView> {
        let mut branches = self.transaction.branches.iter().enumerate();
        branches.find(|(_, branch)| branch.id() == id).map(|branch| self.show(branch))
    }

    fn show(&self, branch: (usize, &Branch)) -> BranchView {
        branch_view(branch, &self.transaction, self)
    }
}

impl Transaction {
    /// Everything but the branches.
    #[must_use]
    pub fn summary(&self) -> SummaryView {
        let (reason, reason_detail) = self.reason();
        let metadata = self.spec.metadata.as_deref();
        SummaryView {
            gid: self.spec.gid.clone(),
            instance: self.spec.instance,
            pattern: self.spec.pattern,
            status: self.status(),
            open: self.spec.open,
            reason,
            reason_detail,
            parked: self.is_parked(),
            check: self.spec.check().map(|url| url.to_string()),
            saga: self.spec.saga().cloned(),
            created_at: self.spec.created_at,
            deadline_at: self.spec.deadline_at,
            decided_at: self.decided().map(|decided| decided.at),
            finished_at: self.finished_at(),
            // It was parsed from JSON; if the row was damaged since, it is shown as null.
            metadata: metadata.and_then(|text| serde_json::from_str(text).ok()),
            mixed: self.is_mixed(),
            held: self.is_held(),
            branch_count: None,
        }
    }

    /// The ids of those that come right before a branch, where branches have an order.
    fn right_before(&self, position: usize) -> Option<Vec<BranchId>> {
        self.order.as_ref()?;
        Some(match self.branches.get(position)?.spec.after() {
            Some(after) => after.iter().cloned().collect(),
            None => {
                let before = position.checked_sub(1).and_then(|before| self.branches.get(before));
                before.map(|before| before.id().clone()).into_iter().collect()
            }
        })
    }

    /// From when on a Confirm that is put off may be called: not before those that come before it.
    fn confirms_from(&self, position: usize) -> Option<Wall> {
        let decided = self.decided()?;
        let before = self.order.iter().flat_map(|order| order.before(position));
        let held = before.chain([position]).filter_map(|at| self.branches.get(at));
        let held = held.filter(|branch| branch.is_held());
        let longest = held.filter_map(|branch| branch.spec.confirm_after()).max()?;
        Some(decided.at.after(longest))
    }

    fn reason(&self) -> (Option<Reason>, Option<String>) {
        match self.decision() {
            None | Some(Decision::Confirm) => (None, None),
            Some(Decision::Cancel { reason, detail }) => {
                (Some(*reason), detail.as_deref().map(str::to_owned))
            }
        }
    }
}

fn branch_view(
    (position, branch): (usize, &Branch),
    transaction: &Transaction,
    shown: &Snapshot,
) -> BranchView {
    let finished_at = transaction.finished_at();
    let (status, finished_at) = match (&branch.state, transaction.decision()) {
        (BranchState::Registered, _) => (BranchStatus::Registered, None),
        // What has no Try is tried when its turn comes.
        (BranchState::Tried, None) if !transaction.turn().includes(position) => {
            (BranchStatus::Registered, None)
        }
        (BranchState::Tried, _) => (BranchStatus::Tried, None),
        (BranchState::Refused, _) => (BranchStatus::Refused, None),
        (BranchState::Done { at, .. }, _) if branch.skipped => (BranchStatus::Skipped, Some(*at)),
        (BranchState::Done { .. }, None) => (BranchStatus::Tried, None),
        (BranchState::Done { at, .. }, Some(decision)) => {
            let status = match (branch.resolved_as, decision) {
                (Some(resolved_as), _) => resolved_as.status(),
                (None, Decision::Confirm) => BranchStatus::Confirmed,
                (None, Decision::Cancel { .. }) => BranchStatus::Cancelled,
            };
            let journaled = branch.row.as_deref().and_then(|row| row.acknowledged_at);
            (status, journaled.or(finished_at).or(Some(*at)))
        }
    };
    BranchView {
        id: branch.id().clone(),
        participant: branch.spec.participant(),
        after: transaction.right_before(position),
        status,
        parked: branch.parked,
        attempts: branch.attempts,
        next_attempt_at: next_attempt_at(position, branch, shown),
        paused: transaction.turn().includes(position) && is_paused(branch, shown),
        last_error: branch.last_error.as_deref().map(str::to_owned),
        answer: branch.answer.as_ref().map(answer_view),
        result: transaction.result(position).and_then(BranchResult::view),
        payload: None,
        urls: None,
        last_answer: branch.last_answer.as_deref().map(LastAnswerView::from),
        resolved_as: branch.resolved_as,
        pending_resolution: branch
            .pending_resolution()
            .map(|said| PendingResolutionView::from(&**said)),
        finished_at,
    }
}

/// When it is called next, as far as time alone decides that: of what is held or paused people do.
fn next_attempt_at(position: usize, branch: &Branch, shown: &Snapshot) -> Option<Wall> {
    let Snapshot { transaction, at, .. } = shown;
    if transaction.is_held() || is_paused(branch, shown) {
        return None;
    }
    match branch.call_state {
        CallState::Due(due) => transaction.turn().includes(position).then(|| {
            let next = at.wall_at(due);
            match transaction.deadline() {
                Some(_) => next.min(transaction.spec.deadline_at.max(at.wall)),
                None => next,
            }
        }),
        CallState::Held(_) => transaction
            .confirms_from(position)
            .filter(|from| *from > at.wall || transaction.turn().includes(position)),
        CallState::Idle | CallState::Waiting { .. } | CallState::InFlight { .. } => None,
    }
}

/// Whether an operator has had whom it is to call next called no more.
fn is_paused(branch: &Branch, Snapshot { transaction, paused, .. }: &Snapshot) -> bool {
    next_call(branch, transaction.decision()).is_some_and(|url| paused.holds(url))
}

fn answer_view(answer: &TryAnswer) -> AnswerView {
    AnswerView { status: answer.status, body: answer.body.as_ref().to_owned() }
}

impl From<&LastAnswer> for LastAnswerView {
    fn from(answer: &LastAnswer) -> Self {
        let LastAnswer { op, status, body, at } = answer;
        Self { op: *op, status: *status, body: body.as_ref().to_owned(), at: *at }
    }
}

impl From<LastAnswerView> for LastAnswer {
    fn from(view: LastAnswerView) -> Self {
        let LastAnswerView { op, status, body, at } = view;
        Self { op, status, body: Arc::from(body), at }
    }
}

impl From<&PendingResolution> for PendingResolutionView {
    fn from(said: &PendingResolution) -> Self {
        let PendingResolution { as_, by, note, at } = said;
        let note = note.as_deref().map(str::to_owned);
        Self { as_: *as_, by: by.as_ref().to_owned(), note, at: *at }
    }
}

impl From<PendingResolutionView> for PendingResolution {
    fn from(view: PendingResolutionView) -> Self {
        let PendingResolutionView { as_, by, note, at } = view;
        Self { as_, by: Arc::from(by), note: note.map(Arc::from), at }
    }
}
