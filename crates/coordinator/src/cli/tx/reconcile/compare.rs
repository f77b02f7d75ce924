//! When two books say different things of a branch.

use serde::Serialize;
use tercet_wire::{
    BookEntry, BranchId, BranchStatus, BranchView, Gid, Instance, Status, TransactionView, Wall,
};

/// How a row differs from what the coordinator has of its branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Difference {
    /// Reserved here, finished there: nobody will end it.
    Reserved,
    /// The coordinator knows nothing of it, or of this life of its gid.
    Unknown,
    /// Confirmed here and cancelled there, or the other way round.
    Opposite,
    /// Ended here, and not decided there.
    Undecided,
    /// No difference: it is decided there, and the coordinator still calls.
    Waits,
}

/// What was found of one branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) what: Difference,
    pub(super) gid: Gid,
    pub(super) branch: BranchId,
    pub(super) instance: Instance,
    /// What the participant has.
    pub(super) here: BranchStatus,
    /// What the coordinator has: the branch's status, else its transaction's; null where it has nothing.
    pub(super) there: Option<&'static str>,
    pub(super) at: Wall,
}

/// Compares a row with its transaction, as far as the coordinator knows one of this gid.
pub(super) fn compare(row: &BookEntry, known: Option<&TransactionView>) -> Option<Finding> {
    let of_its_life = known.filter(|known| known.summary.instance == row.instance);
    let Some(known) = of_its_life else {
        return Some(finding(row, Difference::Unknown, None));
    };
    let status = known.summary.status;
    let branch = known.branches.iter().find(|branch| branch.id == row.branch);
    match branch {
        Some(branch) => of_branch(row, status, branch),
        // Of a transaction that ended long ago the branches are gone, and what it came to is kept.
        None if known.branches.is_empty() && status.is_finished() => {
            let ended = ended_as(status);
            let what = differs_from_end(row.state, ended)?;
            Some(finding(row, what, Some(status.as_str())))
        }
        None => Some(finding(row, Difference::Unknown, Some(status.as_str()))),
    }
}

fn of_branch(row: &BookEntry, status: Status, branch: &BranchView) -> Option<Finding> {
    let there = Some(branch.status.as_str());
    if branch.finished_at.is_some() || status.is_finished() {
        let what = differs_from_end(row.state, branch.status)?;
        return Some(finding(row, what, there));
    }
    let is_here = |state| row.state == state;
    let what = match status {
        Status::Trying if is_here(BranchStatus::Tried) => return None,
        Status::Trying => Difference::Undecided,
        Status::Confirming | Status::Confirmed if is_here(BranchStatus::Cancelled) => {
            Difference::Opposite
        }
        Status::Cancelling | Status::Cancelled if is_here(BranchStatus::Confirmed) => {
            Difference::Opposite
        }
        Status::Confirming | Status::Confirmed | Status::Cancelling | Status::Cancelled => {
            Difference::Waits
        }
    };
    Some(finding(row, what, Some(status.as_str())))
}

fn ended_as(status: Status) -> BranchStatus {
    match status {
        Status::Confirmed | Status::Confirming => BranchStatus::Confirmed,
        Status::Cancelled | Status::Cancelling | Status::Trying => BranchStatus::Cancelled,
    }
}

/// What a row is beside a branch that has ended so.
fn differs_from_end(here: BranchStatus, there: BranchStatus) -> Option<Difference> {
    let confirmed_there = there == BranchStatus::Confirmed;
    match here {
        BranchStatus::Confirmed if confirmed_there => None,
        BranchStatus::Cancelled if !confirmed_there => None,
        BranchStatus::Confirmed | BranchStatus::Cancelled => Some(Difference::Opposite),
        BranchStatus::Registered
        | BranchStatus::Tried
        | BranchStatus::Refused
        | BranchStatus::Skipped => Some(Difference::Reserved),
    }
}

fn finding(row: &BookEntry, what: Difference, there: Option<&'static str>) -> Finding {
    let BookEntry { gid, branch, instance, state, at } = row.clone();
    Finding { what, gid, branch, instance, here: state, there, at }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIFE: &str = "0193b6a0-0000-7000-8000-000000000001";
    const OTHER_LIFE: &str = "0193b6a0-0000-7000-8000-000000000002";

    fn row(state: &str) -> BookEntry {
        let row = json!({
            "gid": "o-1", "branch": "pay", "instance": LIFE, "state": state,
            "at": "2026-11-20T12:00:00.000Z",
        });
        serde_json::from_value(row).expect("a row")
    }

    /// `status/branch status`, with `!` behind a branch that has ended; `status/-` without branches.
    fn transaction(words: &str, life: &str) -> TransactionView {
        let (status, branch) = words.split_once('/').expect("two words");
        let ended = branch.ends_with('!').then_some("2026-11-20T12:00:01.000Z");
        let branches = match branch.trim_end_matches('!') {
            "-" => json!([]),
            state => json!([{
                "id": if state == "other" { "stock" } else { "pay" }, "participant": "h:1",
                "status": if state == "other" { "tried" } else { state },
                "parked": false, "attempts": {"try": 1, "confirm": 1, "cancel": 0},
                "next_attempt_at": null, "last_error": null, "answer": null,
                "resolved_as": null, "finished_at": ended,
            }]),
        };
        let view = json!({
            "gid": "o-1", "instance": life, "pattern": "tcc", "status": status, "open": false,
            "reason": null, "reason_detail": null, "parked": false,
            "created_at": "2026-11-20T12:00:00.000Z", "deadline_at": "2026-11-20T12:00:30.000Z",
            "decided_at": null, "finished_at": null, "metadata": null, "branches": branches,
        });
        serde_json::from_value(view).expect("a transaction")
    }

    /// Keeps P7.
    #[test]
    fn books_differ_where_nobody_will_make_them_agree() {
        use Difference::{Opposite, Reserved, Undecided, Unknown, Waits};
        #[rustfmt::skip]
        let table = [
            ("tried",     "trying/registered",      None),
            ("tried",     "trying/tried",           None),
            ("confirmed", "trying/tried",           Some(Undecided)),
            ("cancelled", "trying/tried",           Some(Undecided)),
            ("tried",     "confirming/tried",       Some(Waits)),
            ("confirmed", "confirming/tried",       Some(Waits)),
            ("cancelled", "confirming/tried",       Some(Opposite)),
            ("tried",     "cancelling/tried",       Some(Waits)),
            ("cancelled", "cancelling/refused",     Some(Waits)),
            ("confirmed", "cancelling/tried",       Some(Opposite)),
            ("tried",     "confirming/confirmed!",  Some(Reserved)),
            ("confirmed", "confirming/confirmed!",  None),
            ("tried",     "confirmed/confirmed!",   Some(Reserved)),
            ("confirmed", "confirmed/confirmed!",   None),
            ("cancelled", "confirmed/confirmed!",   Some(Opposite)),
            ("tried",     "cancelled/cancelled!",   Some(Reserved)),
            ("tried",     "cancelled/skipped!",     Some(Reserved)),
            ("cancelled", "cancelled/cancelled!",   None),
            ("cancelled", "cancelled/skipped!",     None),
            ("confirmed", "cancelled/cancelled!",   Some(Opposite)),
            ("confirmed", "confirmed/-",            None),
            ("tried",     "confirmed/-",            Some(Reserved)),
            ("confirmed", "cancelled/-",            Some(Opposite)),
            ("tried",     "trying/other",           Some(Unknown)),
            ("tried",     "trying/-",               Some(Unknown)),
        ];
        for (here, there, expected) in table {
            let found = compare(&row(here), Some(&transaction(there, LIFE)));
            assert_eq!(found.map(|found| found.what), expected, "{here} here, {there} there");
        }
        let unknown = |found: Option<Finding>| found.map(|found| (found.what, found.there));
        assert_eq!(unknown(compare(&row("tried"), None)), Some((Unknown, None)));
        let other = transaction("confirmed/confirmed!", OTHER_LIFE);
        assert_eq!(unknown(compare(&row("confirmed"), Some(&other))), Some((Unknown, None)));
    }
}
