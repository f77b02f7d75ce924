//! A transaction as the journal holds it: what recovery starts from, and the
//! meaning of every record. The SQL of each database says the same in its own words;
//! the journal's conformance suite compares the two.

use std::sync::Arc;

use tercet_wire::{
    ActId, BranchId, BranchResult, BranchSpec, BranchStatus, Gid, Incarnation, Instance, Spec,
    Status, Wall,
};
use thiserror::Error;

use crate::record::{BranchRecord, Change, Decided, Decision, HistoryEvent, Tried};

/// All rows of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoredTransaction {
    /// What was asked for. Its `branches` are those given at begin.
    pub spec: Arc<Spec>,
    /// Every branch, by position: those of begin and those registered later.
    pub branches: Vec<Arc<BranchSpec>>,
    /// Where it stands.
    pub status: Status,
    /// The decision, once taken.
    pub decided: Option<Decided>,
    /// When everyone had acknowledged.
    pub finished_at: Option<Wall>,
    /// Whether a branch is shown to people.
    pub parked: bool,
    /// Which life of a node drives it. The journal says so of what it has read; none if it has
    /// finished. The rules never look at it.
    pub owner: Option<Incarnation>,
    /// What left the happy path; at most one per branch.
    pub branch_records: Vec<BranchRecord>,
    /// What Tries were answered with, where that is kept; at most one per branch, by its id.
    pub results: Vec<ResultRecord>,
    /// The lines of history. A load leaves them out and gives their number only.
    pub history: Vec<HistoryEvent>,
    /// How many lines of history there are.
    pub history_len: u32,
    /// How many of them are kept however many there are: what people did, and the way of a saga.
    pub history_kept: u32,
    /// The jobs that have come to it and are still known, by id.
    pub jobs: Vec<ActId>,
}

/// What the Try of a branch was answered with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResultRecord {
    /// Which branch.
    pub branch: BranchId,
    /// What it was answered with.
    pub result: BranchResult,
}

/// A record that does not fit the rows it is applied to: a bug of ours, never the world's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// The transaction is not there.
    #[error("no transaction {0}")]
    Missing(Gid),
    /// The gid is taken by another instance.
    #[error("{gid} exists as instance {instance}")]
    Exists {
        /// The gid.
        gid: Gid,
        /// The instance that holds it.
        instance: Instance,
    },
    /// The row is one that no database takes: its key is taken, or a value does not fit its column.
    #[error("{gid}: {why}")]
    Refused {
        /// The gid.
        gid: Gid,
        /// In what way.
        why: String,
    },
    /// Another life drives it.
    #[error("{gid} is driven by incarnation {}", owner.0)]
    NotOwned {
        /// The gid.
        gid: Gid,
        /// The life that drives it.
        owner: Incarnation,
    },
    /// The status is not the one the change starts from.
    #[error("{gid} is {found}, not as the change expects")]
    Guard {
        /// The gid.
        gid: Gid,
        /// Its status.
        found: Status,
    },
}

impl StoredTransaction {
    /// The rows that `Change::Begun` writes.
    #[must_use]
    pub fn begun(spec: Arc<Spec>) -> Self {
        Self {
            branches: spec.branches.clone(),
            spec,
            status: Status::Trying,
            decided: None,
            finished_at: None,
            parked: false,
            owner: None,
            branch_records: Vec::new(),
            results: Vec::new(),
            history: Vec::new(),
            history_len: 0,
            history_kept: 0,
            jobs: Vec::new(),
        }
    }

    /// Writes a change to existing rows.
    ///
    /// # Errors
    /// The change's source state is not the one found; the rows are as before.
    pub fn apply(&mut self, change: &Change) -> Result<(), ApplyError> {
        let guard = |expected: bool| match expected {
            true => Ok(()),
            false => Err(ApplyError::Guard { gid: self.spec.gid.clone(), found: self.status }),
        };
        match change {
            Change::Begun(spec) => {
                return Err(ApplyError::Exists {
                    gid: spec.gid.clone(),
                    instance: self.spec.instance,
                });
            }
            Change::Registered(branch) => {
                guard(self.status == Status::Trying)?;
                self.takes_branch(branch)?;
                self.branches.push(Arc::clone(branch));
            }
            Change::RegisteredAtOnce(branches) => {
                guard(self.status == Status::Trying)?;
                let before = self.branches.len();
                for branch in branches {
                    if let Err(refused) = self.takes_branch(branch) {
                        self.branches.truncate(before);
                        return Err(refused);
                    }
                    self.branches.push(Arc::clone(branch));
                }
            }
            Change::Decided(decided) => {
                guard(self.status == Status::Trying)?;
                column_takes(&self.spec.gid, "decided_at", decided.at)?;
                self.status = decided.decision.status();
                self.decided = Some(decided.clone());
            }
            Change::BranchRecord(outcome) => {
                self.takes_branch_record(outcome)?;
                self.keep_branch_record(outcome);
            }
            Change::Tried(tried) => {
                self.takes_branch_record(&tried.record)?;
                self.takes_result(tried)?;
                self.keep_branch_record(&tried.record);
                let (branch, result) = (tried.record.branch.clone(), tried.result.clone());
                self.results.push(ResultRecord { branch, result });
                self.results.sort_by(|a, b| a.branch.cmp(&b.branch));
            }
            Change::Finished { status, at } => {
                let decision = self.decided.as_ref().map(|decided| &decided.decision);
                let fits = decision.is_some_and(|decision| decision.finished_status() == *status);
                guard(fits && !self.status.is_finished())?;
                column_takes(&self.spec.gid, "finished_at", *at)?;
                self.status = *status;
                self.finished_at = Some(*at);
                self.owner = None;
            }
            Change::Parked(parked) => self.parked = *parked,
            Change::History(happening) => {
                self.takes_line(happening)?;
                self.history.push(happening.clone());
                self.history_len = happening.number;
                self.history_kept += u32::from(happening.kind.is_always_kept());
            }
            Change::Acted(acted) => {
                acted.changes.iter().try_for_each(|change| self.apply(change))?;
            }
            Change::Ticked(ticked) => {
                let job = ticked.tick.job;
                let Err(place) = self.jobs.binary_search(&job) else {
                    let why = format!("job {job} has come to it already");
                    return Err(refused(&self.spec.gid, why));
                };
                ticked.changes.iter().try_for_each(|change| self.apply(change))?;
                self.jobs.insert(place, job);
            }
        }
        Ok(())
    }

    /// Whether a life may change it: nobody else drives it. While the fence holds nobody else tries;
    /// were it ever broken, this keeps two lives from driving one transaction.
    ///
    /// # Errors
    /// Another life does.
    pub fn is_driven_by(&self, own: Incarnation) -> Result<(), ApplyError> {
        match self.owner.filter(|owner| *owner != own) {
            None => Ok(()),
            Some(owner) => Err(ApplyError::NotOwned { gid: self.spec.gid.clone(), owner }),
        }
    }

    /// Whether the rows of branches take one more: each has an id and a place of its own, and the
    /// order of registrations is that of their places.
    fn takes_branch(&self, branch: &BranchSpec) -> Result<(), ApplyError> {
        let gid = &self.spec.gid;
        if self.branches.iter().any(|known| known.id == branch.id) {
            return Err(refused(gid, format!("branch {} is there already", branch.id)));
        }
        let last = self.branches.iter().map(|known| known.position).max();
        if last.is_some_and(|last| branch.position <= last) {
            let (id, position) = (&branch.id, branch.position);
            return Err(refused(gid, format!("branch {id} takes place {position} again")));
        }
        branch_fits(gid, branch)
    }

    /// Whether what is known of a branch can be written.
    fn takes_branch_record(&self, row: &BranchRecord) -> Result<(), ApplyError> {
        let (gid, id) = (&self.spec.gid, &row.branch);
        // What the retention has deleted has no branches either.
        if !self.branches.is_empty() && !self.branches.iter().any(|known| known.id == *id) {
            return Err(refused(gid, format!("{id} is no branch of it")));
        }
        let is_untried = match row.status {
            BranchStatus::Registered | BranchStatus::Refused | BranchStatus::Skipped => true,
            BranchStatus::Tried | BranchStatus::Confirmed | BranchStatus::Cancelled => false,
        };
        if is_untried && self.result(id).is_some() {
            return Err(refused(gid, format!("{id} has a result, and was tried")));
        }
        let ended = row.acknowledged_at.is_some();
        if (ended || row.resolved_as.is_some()) && !self.status.is_decided() {
            return Err(refused(gid, format!("{id} has ended before the decision")));
        }
        if row.resolved_as.is_some() && !ended {
            return Err(refused(gid, format!("{id} was resolved by hand and has not ended")));
        }
        if row.pending_resolution.is_some() && ended {
            return Err(refused(gid, format!("{id} has ended and waits for its resolution")));
        }
        row.acknowledged_at.map_or(Ok(()), |at| column_takes(gid, "acknowledged_at", at))
    }

    fn keep_branch_record(&mut self, record: &BranchRecord) {
        self.branch_records.retain(|known| known.branch != record.branch);
        self.branch_records.push(record.clone());
        self.branch_records.sort_by(|a, b| a.branch.cmp(&b.branch));
    }

    /// Whether what a Try was answered with can be written: once, and with the record that says
    /// that it was tried.
    fn takes_result(&self, tried: &Tried) -> Result<(), ApplyError> {
        let (gid, id) = (&self.spec.gid, &tried.record.branch);
        if tried.record.status != BranchStatus::Tried {
            return Err(refused(gid, format!("{id} has a result and was not tried")));
        }
        match self.result(id) {
            None => Ok(()),
            Some(_) => Err(refused(gid, format!("{id} has a result already"))),
        }
    }

    /// What the Try of this branch was answered with, where that is kept.
    #[must_use]
    pub fn result(&self, id: &BranchId) -> Option<&BranchResult> {
        self.results.iter().find(|kept| kept.branch == *id).map(|kept| &kept.result)
    }

    /// Whether a line of history can be written: each has a number of its own, in order.
    fn takes_line(&self, line: &HistoryEvent) -> Result<(), ApplyError> {
        let (gid, number) = (&self.spec.gid, line.number);
        if number != self.history_len + 1 {
            let why = format!("line {number} of its history comes after {}", self.history_len);
            return Err(refused(gid, why));
        }
        column_takes(gid, "at", line.at)
    }

    /// The decision, once taken.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.decided.as_ref().map(|decided| &decided.decision)
    }
}

/// Whether the rows of a new transaction can be written.
///
/// # Errors
/// A key is there twice, or a value does not fit its column.
pub fn begins(spec: &Spec) -> Result<(), ApplyError> {
    let gid = &spec.gid;
    for (place, branch) in spec.branches.iter().enumerate() {
        let before = spec.branches.get(..place).unwrap_or_default();
        if before.iter().any(|known| known.id == branch.id || known.position >= branch.position) {
            return Err(refused(gid, format!("branch {} is there twice", branch.id)));
        }
        branch_fits(gid, branch)?;
    }
    for (column, text) in
        [("fingerprint", spec.fingerprint.as_str()), ("traceparent", &*spec.traceparent)]
    {
        text_fits(gid, column, text, TEXT_LEN)?;
    }
    column_takes(gid, "created_at", spec.created_at)?;
    column_takes(gid, "deadline_at", spec.deadline_at)
}

/// The longest fingerprint or traceparent, in characters; see `migrations`.
const TEXT_LEN: usize = 128;
/// The longest `host:port`, likewise.
const PARTICIPANT_LEN: usize = 320;

fn branch_fits(gid: &Gid, branch: &BranchSpec) -> Result<(), ApplyError> {
    text_fits(gid, "participant", &branch.participant(), PARTICIPANT_LEN)?;
    text_fits(gid, "fingerprint", branch.fingerprint.as_str(), TEXT_LEN)?;
    match i32::try_from(branch.position) {
        Ok(_) => Ok(()),
        Err(_) => Err(refused(gid, format!("branch {} has no place", branch.id))),
    }
}

fn text_fits(gid: &Gid, column: &str, text: &str, most: usize) -> Result<(), ApplyError> {
    let length = text.chars().count();
    if length <= most && !text.contains('\0') {
        return Ok(());
    }
    Err(refused(gid, format!("{column} takes {most} characters, this has {length}")))
}

/// Moments are kept as they are; none of ours lies before 1970.
fn column_takes(gid: &Gid, column: &str, at: Wall) -> Result<(), ApplyError> {
    if at.0 >= 0 { Ok(()) } else { Err(refused(gid, format!("{column} is {}", at.0))) }
}

fn refused(gid: &Gid, why: String) -> ApplyError {
    ApplyError::Refused { gid: gid.clone(), why }
}
