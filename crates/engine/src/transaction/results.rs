//! What Tries were answered with: kept where somebody is to be told, and told to whom asks for it.
//!
//! Hardly any transaction has any. Those that do have them from the rows after a crash, so that a
//! call that is made again brings the same to the byte.

use std::collections::BTreeMap;
use std::sync::Arc;

use tercet_wire::{Answer, BranchId, BranchResult, BranchSpec, Op, RESULTS_BYTES};

use crate::engine::output::CallResults;
use crate::stored::StoredTransaction;
use crate::transaction::Transaction;

/// About what each takes in memory beyond its text, in bytes.
const RESULT_OVERHEAD_BYTES: usize = 96;
/// As much of one as people are shown where it is too large.
const EXCERPT_BYTES: usize = 1_024;

/// The results of a transaction, by the places of their branches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Results(Option<Arc<BTreeMap<usize, BranchResult>>>);

impl Results {
    /// Those that the rows have.
    pub(super) fn of(stored: &StoredTransaction) -> Self {
        if stored.results.is_empty() {
            return Self::default();
        }
        let place = |id: &BranchId| stored.branches.iter().position(|branch| branch.id == *id);
        let placed = stored
            .results
            .iter()
            .filter_map(|kept| place(&kept.branch).map(|position| (position, kept.result.clone())));
        Self(Some(Arc::new(placed.collect())))
    }

    pub(super) fn get(&self, position: usize) -> Option<&BranchResult> {
        self.0.as_ref()?.get(&position)
    }

    pub(super) fn keep(&mut self, position: usize, result: BranchResult) {
        Arc::make_mut(self.0.get_or_insert_default()).insert(position, result);
    }

    fn all(&self) -> impl Iterator<Item = &BranchResult> {
        self.0.iter().flat_map(|results| results.values())
    }

    /// How long the bodies were that they were made of, together.
    fn body_bytes(&self) -> usize {
        let bytes = |result: &BranchResult| usize::try_from(result.body_bytes());
        self.all().map(|result| bytes(result).unwrap_or(usize::MAX)).fold(0, usize::saturating_add)
    }

    /// Bytes of memory that they take.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        if self.0.is_none() { 0 } else { self.bytes_of_all() }
    }

    #[cold]
    fn bytes_of_all(&self) -> usize {
        self.all().map(|result| RESULT_OVERHEAD_BYTES + result.as_json().len()).sum()
    }
}

impl Transaction {
    /// What the Try of this branch was answered with, where that is kept.
    #[must_use]
    pub fn result(&self, position: usize) -> Option<&BranchResult> {
        self.results.get(position)
    }

    /// Whether what its Try is answered with is kept: its own calls bring it, or those of one that
    /// comes after it do, or may yet be registered that do.
    #[inline]
    pub(super) fn keeps_result(&self, position: usize) -> bool {
        let asks =
            |position: usize| self.branches.get(position).is_some_and(|it| it.spec.results());
        match &self.order {
            None => asks(position),
            Some(order) => self.spec.open || asks(position) || order.after(position).any(asks),
        }
    }

    /// What a call has to do with results, if anything.
    #[inline]
    pub(super) fn call_results(&self, branch: &BranchSpec, op: Op) -> Option<Box<CallResults>> {
        if self.order.is_none() && branch.options.is_none() {
            return None;
        }
        self.call_results_where_asked(branch, op)
    }

    #[cold]
    fn call_results_where_asked(&self, branch: &BranchSpec, op: Op) -> Option<Box<CallResults>> {
        let position = self.position(&branch.id)?;
        let kept = op == Op::Try && self.keeps_result(position);
        let brought = branch.results().then(|| self.brought(position, op));
        (kept || brought.is_some()).then(|| Box::new(CallResults { brought, kept }))
    }

    /// What a call brings: the results of those that come before its branch, and in Confirm and
    /// Cancel its own.
    fn brought(&self, position: usize, op: Op) -> Vec<(BranchId, BranchResult)> {
        let before = self.order.iter().flat_map(|order| order.before(position));
        let own = (op != Op::Try).then_some(position);
        let mut places: Vec<usize> = before.chain(own).collect();
        places.sort_unstable();
        let result = |position: usize| {
            let id = self.branches.get(position)?.id().clone();
            Some((id, self.results.get(position)?.clone()))
        };
        places.into_iter().filter_map(result).collect()
    }

    /// The answer that this one counts as, where it would be kept and there is no room for it.
    pub(super) fn without_room(&self, op: Op, answer: &Answer) -> Option<Answer> {
        let Answer::Result { code, result } = answer else { return None };
        let bytes = usize::try_from(result.body_bytes()).unwrap_or(usize::MAX);
        let all = self.results.body_bytes().saturating_add(bytes);
        (op == Op::Try && all > RESULTS_BYTES).then(|| {
            let json = result.as_json();
            let excerpt = json[..json.floor_char_boundary(EXCERPT_BYTES)].to_owned();
            Answer::ResultTooLarge { code: *code, excerpt }
        })
    }
}

/// What is kept of an answer to a Try. One that came without its body has said nothing.
pub(super) fn result_of(answer: &Answer) -> BranchResult {
    match answer {
        Answer::Result { result, .. } => result.clone(),
        Answer::Status { .. }
        | Answer::ResultTooLarge { .. }
        | Answer::Nothing { .. }
        | Answer::NotAllowed { .. } => BranchResult::of_body(b""),
    }
}
