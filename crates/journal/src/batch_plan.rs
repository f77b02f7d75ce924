//! What a batch means for each transaction in it, taken together.
//!
//! A batch may hold several records of one life: begun, decided and finished, say. The rows
//! they lead to are those of applying them one by one with `StoredTransaction::apply`, and every state
//! between them is checked here; what remains for the database to check is the state the
//! first of them starts from.

use std::borrow::Cow;
use std::sync::Arc;

use tercet_engine::{Act, ApplyError, BranchRecord, Change, Decided, HistoryEvent, Record, Tick};
use tercet_wire::{BranchId, BranchResult, BranchSpec, Gid, Instance, Spec, Status, Wall};

use crate::sql::rows_key;

/// What a batch means for one life.
#[derive(Debug)]
pub(super) struct TransactionDelta<'a> {
    pub(super) gid: &'a Gid,
    pub(super) instance: Instance,
    /// What its rows stand under, beside the narrow one.
    pub(super) rows_key: Cow<'a, str>,
    /// Present if the transaction begins in this batch.
    pub(super) begun: Option<&'a Arc<Spec>>,
    /// The status its rows must have before the batch, where that matters.
    pub(super) from: Option<Status>,
    /// The status its rows have after it, where it changes or begins.
    pub(super) status: Option<Status>,
    pub(super) decided: Option<&'a Decided>,
    pub(super) finished_at: Option<Wall>,
    pub(super) parked: Option<bool>,
    pub(super) registered: Vec<&'a Arc<BranchSpec>>,
    /// Branches that are called elsewhere; at most one of each, by their ids.
    pub(super) readdressed: Vec<&'a Arc<BranchSpec>>,
    /// At most one of each branch, by the branches' ids.
    pub(super) branch_records: Vec<&'a BranchRecord>,
    /// Likewise.
    pub(super) results: Vec<(&'a BranchId, &'a BranchResult)>,
    pub(super) happened: Vec<&'a HistoryEvent>,
    /// What operators did to it.
    pub(super) acts: Vec<&'a Act>,
    /// Which jobs have come to it.
    pub(super) ticks: Vec<&'a Tick>,
}

/// Takes the records of each life together, in the order of their gids.
///
/// # Errors
/// A record does not fit the one before it.
pub(super) fn deltas(records: &[Record]) -> Result<Vec<TransactionDelta<'_>>, ApplyError> {
    let mut by_gid: Vec<&Record> = records.iter().collect();
    // Those of one gid keep their order.
    by_gid.sort_by(|a, b| a.gid.cmp(&b.gid));
    let mut deltas: Vec<TransactionDelta<'_>> = Vec::with_capacity(records.len());
    for record in by_gid {
        let of_gid = deltas.iter().rev().take_while(|delta| *delta.gid == record.gid);
        let back = of_gid.map(|delta| delta.instance).position(|life| life == record.instance);
        let place = match back {
            Some(back) => deltas.len() - 1 - back,
            None => {
                deltas.push(TransactionDelta::nothing(&record.gid, record.instance));
                deltas.len() - 1
            }
        };
        deltas[place].add(&record.change)?;
    }
    Ok(deltas)
}

impl<'a> TransactionDelta<'a> {
    fn nothing(gid: &'a Gid, instance: Instance) -> Self {
        Self {
            gid,
            instance,
            rows_key: rows_key(gid, instance),
            begun: None,
            from: None,
            status: None,
            decided: None,
            finished_at: None,
            parked: None,
            registered: Vec::new(),
            readdressed: Vec::new(),
            branch_records: Vec::new(),
            results: Vec::new(),
            happened: Vec::new(),
            acts: Vec::new(),
            ticks: Vec::new(),
        }
    }

    /// Whether the narrow row changes.
    pub(super) fn moves(&self) -> bool {
        self.status.is_some() || self.parked.is_some()
    }

    fn is_nothing(&self) -> bool {
        let rows = self.registered.len() + self.branch_records.len() + self.happened.len();
        let rows = rows + self.acts.len() + self.ticks.len() + self.readdressed.len();
        !self.moves() && rows == 0
    }

    fn add(&mut self, change: &'a Change) -> Result<(), ApplyError> {
        match change {
            Change::Begun(spec) => {
                if !self.is_nothing() {
                    let (gid, instance) = (self.gid.clone(), self.instance);
                    return Err(ApplyError::Exists { gid, instance });
                }
                self.begun = Some(spec);
                self.status = Some(Status::Trying);
            }
            Change::Registered(branch) => {
                self.expect(Status::Trying)?;
                self.registered.push(branch);
            }
            Change::RegisteredAtOnce(branches) => {
                self.expect(Status::Trying)?;
                self.registered.extend(branches);
            }
            Change::Readdressed(branch) => {
                if let Some(found) = self.status.filter(|status| status.is_finished()) {
                    return Err(ApplyError::Guard { gid: self.gid.clone(), found });
                }
                match self.readdressed.binary_search_by_key(&&branch.id, |known| &known.id) {
                    Ok(place) => self.readdressed[place] = branch,
                    Err(place) => self.readdressed.insert(place, branch),
                }
            }
            Change::Decided(decided) => {
                self.expect(Status::Trying)?;
                self.status = Some(decided.decision.status());
                self.decided = Some(decided);
            }
            Change::Finished { status, at } => {
                self.expect(match status {
                    Status::Confirmed => Status::Confirming,
                    Status::Cancelled => Status::Cancelling,
                    Status::Trying | Status::Confirming | Status::Cancelling => {
                        return Err(ApplyError::Guard { gid: self.gid.clone(), found: *status });
                    }
                })?;
                self.status = Some(*status);
                self.finished_at = Some(*at);
            }
            Change::BranchRecord(outcome) => {
                self.keep(outcome);
            }
            Change::Tried(tried) => {
                let branch = &tried.record.branch;
                self.keep(&tried.record);
                match self.results.binary_search_by_key(&branch, |(branch, _)| *branch) {
                    Err(place) => self.results.insert(place, (branch, &tried.result)),
                    Ok(_) => {
                        let why = format!("{branch} has a result already");
                        return Err(ApplyError::Refused { gid: self.gid.clone(), why });
                    }
                }
            }
            Change::Parked(parked) => self.parked = Some(*parked),
            Change::History(happening) => self.happened.push(happening),
            Change::Acted(acted) => {
                self.acts.push(&acted.act);
                acted.changes.iter().try_for_each(|change| self.add(change))?;
            }
            Change::Ticked(ticked) => {
                self.ticks.push(&ticked.tick);
                ticked.changes.iter().try_for_each(|change| self.add(change))?;
            }
        }
        Ok(())
    }

    /// What is known of a branch replaces what was known.
    fn keep(&mut self, record: &'a BranchRecord) {
        match self.branch_records.binary_search_by_key(&&record.branch, |known| &known.branch) {
            Ok(place) => self.branch_records[place] = record,
            Err(place) => self.branch_records.insert(place, record),
        }
    }

    /// Demands a status here: of the records before in this batch, if they say it, else of
    /// the rows.
    fn expect(&mut self, status: Status) -> Result<(), ApplyError> {
        match self.status.or(self.from) {
            Some(known) if known == status => Ok(()),
            Some(found) => Err(ApplyError::Guard { gid: self.gid.clone(), found }),
            None => {
                self.from = Some(status);
                Ok(())
            }
        }
    }
}
