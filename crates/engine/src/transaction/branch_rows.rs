//! What the journal says of a branch: its transaction's status, and a row of its own only
//! where that status does not say it all. One reading serves recovery, old transactions and
//! the question whether a row must be written.

use std::sync::Arc;

use tercet_wire::{BranchResult, BranchSpec, BranchStatus, Op, Pattern, ResolvedAs, Status, Wall};

use crate::record::{BranchRecord, Change, Tried};
use crate::transaction::branch::{Branch, BranchState};
use crate::transaction::pattern::{implied_attempts, implied_status};
use crate::transaction::{Step, Transaction};

/// What is known of a branch, given its row if it has one.
pub(super) fn read(
    pattern: Pattern,
    spec: &BranchSpec,
    status: Status,
    row: Option<&BranchRecord>,
) -> BranchRecord {
    let implied = implied(pattern, spec, status);
    let Some(row) = row else { return implied };
    let mut known = row.clone();
    if status.is_finished() {
        known.status = match (row.resolved_as, row.status) {
            (Some(resolved_as), _) => resolved_as.status(),
            (None, BranchStatus::Skipped) => BranchStatus::Skipped,
            (None, _) => implied.status,
        };
        known.parked = false;
    }
    // A row written with an acknowledgement is exact; an earlier one counts the calls there
    // had been by then, and the transaction's status implies more. Tries are over by then.
    if row.acknowledged_at.is_none() && row.status != BranchStatus::Skipped {
        for op in [Op::Confirm, Op::Cancel] {
            let count = known.attempts.get_mut(op);
            *count = (*count).max(*implied.attempts.get(op));
        }
    }
    known
}

/// What the status of its transaction says of a branch that has no row of its own.
fn implied(pattern: Pattern, spec: &BranchSpec, status: Status) -> BranchRecord {
    BranchRecord {
        branch: spec.id.clone(),
        status: implied_status(pattern, spec, status),
        attempts: implied_attempts(pattern, spec, status),
        parked: false,
        last_error: None,
        answer: None,
        last_answer: None,
        resolved_as: None,
        pending_resolution: None,
        contradicted: false,
        acknowledged_at: None,
    }
}

impl Branch {
    /// Whether it has no row and needs none: what the status of its transaction says is all there
    /// is to say. So it is on the happy path, where no row is put together to be compared.
    fn is_implied(
        &self,
        pattern: Pattern,
        status: Status,
        (actual, acknowledged_at): (BranchStatus, Option<Wall>),
    ) -> bool {
        let is_plain = !self.parked & !self.contradicted & self.resolved_as.is_none();
        self.row.is_none()
            && acknowledged_at.is_none()
            && is_plain
            && self.is_silent()
            && actual == implied_status(pattern, &self.spec, status)
            && self.attempts == implied_attempts(pattern, &self.spec, status)
    }

    /// What the row would say now, if it had one.
    fn as_row(&self, status: BranchStatus) -> BranchRecord {
        BranchRecord {
            branch: self.spec.id.clone(),
            status,
            attempts: self.attempts,
            parked: self.parked,
            last_error: self.last_error.clone(),
            answer: self.answer.clone(),
            last_answer: self.last_answer.clone(),
            resolved_as: self.resolved_as,
            pending_resolution: self.pending_resolution().map(Arc::clone),
            contradicted: self.contradicted,
            acknowledged_at: self.acknowledged_at(),
        }
    }

    fn acknowledged_at(&self) -> Option<Wall> {
        match self.state {
            // It has acknowledged nothing.
            BranchState::Done { .. } if self.skipped => None,
            BranchState::Done { at, .. } => Some(at),
            BranchState::Registered | BranchState::Tried | BranchState::Refused => None,
        }
    }

    /// What is known before the decision is acknowledged. (An acknowledged branch's row
    /// keeps `tried`: its `acknowledged_at` says the rest, in the decision's terms. One that
    /// was resolved by hand may not be what the decision says, so its row says what it is.)
    fn state_as_status(&self) -> BranchStatus {
        if let Some(resolved_as) = self.resolved_as {
            return resolved_as.status();
        }
        if self.skipped {
            return BranchStatus::Skipped;
        }
        match self.state {
            BranchState::Registered => BranchStatus::Registered,
            BranchState::Tried | BranchState::Done { .. } => BranchStatus::Tried,
            BranchState::Refused => BranchStatus::Refused,
        }
    }

    /// Writes the row as things stand.
    pub(super) fn write_row_into(&mut self, step: &mut Step<'_>) {
        let row = self.as_row(self.state_as_status());
        step.changes.push(Change::BranchRecord(row.clone()));
        self.row = Some(Box::new(row));
    }

    /// Writes the row as things stand together with what its Try was answered with: neither is ever
    /// there without the other.
    pub(super) fn write_row_with(&mut self, result: &BranchResult, step: &mut Step<'_>) {
        let record = self.as_row(self.state_as_status());
        self.row = Some(Box::new(record.clone()));
        let tried = Tried { record, result: result.clone() };
        step.changes.push(Change::Tried(Box::new(tried)));
    }

    /// Writes the row if the status and the row there is do not say how things stand.
    pub(super) fn write_row_if_untold(
        &mut self,
        pattern: Pattern,
        status: Status,
        step: &mut Step<'_>,
    ) {
        let known = self.state_as_status();
        if self.is_implied(pattern, status, (known, self.acknowledged_at())) {
            return;
        }
        let actual = self.as_row(known);
        if read(pattern, &self.spec, status, self.row.as_deref()) != actual {
            self.write_row_into(step);
        }
    }

    /// As the transaction finishes: writes the row of a branch whose story the final status does
    /// not tell.
    pub(super) fn write_final_row(
        &mut self,
        pattern: Pattern,
        status: Status,
        step: &mut Step<'_>,
    ) {
        let BranchState::Done { unwritten_since, .. } = &mut self.state else {
            unreachable!("a transaction finishes when every branch is done");
        };
        let rides_with_completion = unwritten_since.take().is_some();
        let finished = match self.skipped {
            true => BranchStatus::Skipped,
            false => implied_status(pattern, &self.spec, status),
        };
        let known = self.resolved_as.map_or(finished, ResolvedAs::status);
        // Acknowledged when the transaction finished, if that is when it is written.
        let acknowledged_at = self.acknowledged_at().filter(|_| !rides_with_completion);
        if self.is_implied(pattern, status, (known, acknowledged_at)) {
            return;
        }
        let said = read(pattern, &self.spec, status, self.row.as_deref());
        let mut actual = BranchRecord { acknowledged_at, ..self.as_row(known) };
        if said == actual {
            return;
        }
        actual.acknowledged_at = actual.acknowledged_at.or(Some(step.now.wall));
        step.completion.push(Change::BranchRecord(actual.clone()));
        self.row = Some(Box::new(actual));
    }
}

impl Transaction {
    /// Writes whether a branch is shown to people, where the journal says otherwise.
    pub(super) fn write_parked_if_untold(&mut self, step: &mut Step<'_>) {
        let parked = self.is_parked();
        if std::mem::replace(&mut self.parked_row, parked) != parked {
            step.changes.push(Change::Parked(parked));
        }
    }
}
