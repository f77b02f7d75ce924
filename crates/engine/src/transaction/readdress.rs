//! An operator has a branch called elsewhere, or with other headers: its participant has moved, its URL
//! was wrong from the beginning, a token has ended.
//!
//! From then on every call that leaves goes there. One that waits, for the disk or for its turn, is taken
//! back and made anew; one that is on its way is not cut off, and is the last that goes where the branch
//! was: what fails there says nothing about where it is. That a repeat of the begin, or of the
//! registration, asks for the same is judged by what was begun.

use std::sync::Arc;

use serde_json::{Value, json};
use tercet_wire::{Action, BranchSpec, Mono, Op, Readdressing, Unfit, shown_host_port};

use crate::engine::output::Refusal;
use crate::record::Change;
use crate::transaction::branch::{Branch, BranchState, CallState, FailureStats};
use crate::transaction::operator::Did;
use crate::transaction::{Step, Transaction, branch_at};

/// Characters of a header's name that are told.
const NAME_SHOWN: usize = 64;

impl Transaction {
    /// Has an unfinished branch called elsewhere from now on.
    pub(crate) fn readdress(
        &mut self,
        word: Readdressing,
        step: &mut Step<'_>,
    ) -> Result<(), Refusal> {
        let Some(position) = self.position(&word.branch) else {
            return Err(Refusal::BranchNotFound(word.branch));
        };
        let branch = branch_at(&mut self.branches, position);
        if branch.is_done() {
            return Err(Refusal::AlreadyFinished(word.branch));
        }
        let before = Arc::clone(&branch.spec);
        let after = Arc::new(readdressed(&before, &word).map_err(Refusal::Unfit)?);
        step.changes.push(Change::Readdressed(Arc::clone(&after)));
        branch.is_called_elsewhere(Arc::clone(&after), step.now.mono);
        if branch.row.is_some() {
            branch.write_row_into(step);
        }
        let begun = Arc::make_mut(&mut self.spec);
        if let Some(of_begin) = begun.branches.iter_mut().find(|of_begin| of_begin.id == after.id) {
            *of_begin = Arc::clone(&after);
        }
        let Readdressing { branch: id, note, by, .. } = word;
        let why = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
        let detail = format!("{by}: {}{why}", in_words(&before, &after));
        self.was_readdressed(&id, &detail, step);
        let detail = json!({ "before": address(&before), "after": address(&after) });
        let (action, branch) = (Action::Readdress, Some(id));
        self.was_act_of(&by, Did { action, branch, note, detail: detail.to_string() }, step);
        Ok(())
    }
}

impl Branch {
    /// What was known of where it was called says nothing of where it is called now.
    fn is_called_elsewhere(&mut self, spec: Arc<BranchSpec>, now: Mono) {
        self.spec = spec;
        let since = self.failure_stats.since.map(|_| now);
        self.failure_stats = FailureStats { since, ..FailureStats::default() };
        (self.last_error, self.last_answer) = (None, None);
        if self.state == BranchState::Registered {
            self.answer = None;
        }
        (self.parked, self.told_parked) = (false, None);
        match self.call_state {
            CallState::Due(_) | CallState::Waiting { .. } => {
                self.call_state = CallState::Due(now);
            }
            CallState::InFlight { .. } => self.left_behind = true,
            // What is put off is not hurried.
            CallState::Idle | CallState::Held(_) => {}
        }
    }
}

/// The branch as it is called from now on: it has the legs it had.
fn readdressed(before: &BranchSpec, word: &Readdressing) -> Result<BranchSpec, Unfit> {
    let mut after = before.clone();
    for op in Op::ALL {
        let (Some(url), had) = (word.urls.get(op), before.url(op).is_some()) else { continue };
        if had {
            *after.urls.get_mut(op) = Some(Arc::clone(url));
        } else if !word.is_endpoint {
            let what = "is a leg that this branch does not have, or that its initiator calls";
            return Err(Unfit { field: op.as_str(), what: what.to_owned() });
        }
    }
    if let Some(headers) = &word.headers {
        after.headers.clone_from(headers);
    }
    Ok(after)
}

/// Where a branch is called, as far as it is told: no path, which may have a secret, and of headers
/// their names alone.
fn address(spec: &BranchSpec) -> Value {
    let mut address = serde_json::Map::new();
    for op in Op::ALL {
        if let Some(url) = spec.url(op) {
            address.insert(op.as_str().to_owned(), shown_host_port(url).into());
        }
    }
    address.insert("headers".to_owned(), names(spec).collect());
    Value::Object(address)
}

fn names(spec: &BranchSpec) -> impl Iterator<Item = String> {
    spec.headers.keys().map(|name| name.chars().take(NAME_SHOWN).collect())
}

/// The same for people.
fn in_words(before: &BranchSpec, after: &BranchSpec) -> String {
    let mut words = Vec::new();
    for op in Op::ALL {
        if let (Some(from), Some(to)) = (before.url(op), after.url(op))
            && from != to
        {
            let (from, to) = (shown_host_port(from), shown_host_port(to));
            words.push(format!("{op} from {from} to {to}"));
        }
    }
    if before.headers != after.headers {
        let listed = |spec: &BranchSpec| match spec.headers.is_empty() {
            true => "none".to_owned(),
            false => names(spec).collect::<Vec<_>>().join(" "),
        };
        words.push(format!("headers from {} to {}", listed(before), listed(after)));
    }
    if words.is_empty() { "as it was".to_owned() } else { words.join(", ") }
}
