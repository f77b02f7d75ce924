//! What is written in one SQL transaction, and how much that may be.

use std::collections::VecDeque;
use std::sync::Arc;

use tercet_engine::{BranchRecord, Change, Record};
use tercet_wire::{BranchSpec, Wall};

/// Records that become durable together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// From 1, without gaps, in the order of this incarnation's batches. A batch that is
    /// submitted again keeps it: it is how the database tells the two apart.
    pub(super) number: i64,
    /// When it was first submitted: what the node's next life takes for its last sign of life.
    pub(super) written_at: Wall,
    /// In the engine's order.
    pub(super) records: Vec<Record>,
}

/// How much a batch may hold. A single record that passes a cap goes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caps {
    pub(super) records: usize,
    /// Values bound to statements: as many as the store takes.
    pub(super) binds: usize,
    pub(super) bytes: usize,
}

/// What a record adds to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Weight {
    pub(super) binds: usize,
    pub(super) bytes: usize,
}

/// Most values bound for one branch, and for anything else that a record writes. The
/// statements' tests compare these with what is really bound.
pub(super) const BINDS_PER_BRANCH: usize = 14;
pub(super) const BINDS_PER_RECORD: usize = 20;

/// Bytes counted for a row beside the texts in it: ids, times, numbers.
const ROW_BYTES: usize = 128;

impl Weight {
    pub(super) fn of(record: &Record) -> Self {
        let (branches, text) = match &record.change {
            Change::Begun(spec) => {
                let metadata = spec.metadata.as_deref().map_or(0, str::len);
                let branches: usize = spec.branches.iter().map(branch_bytes).sum();
                (spec.branches.len(), metadata + branches)
            }
            Change::Registered(branch) => (1, branch_bytes(branch)),
            Change::Decided(decided) => (
                0,
                match &decided.decision {
                    tercet_engine::Decision::Confirm => 0,
                    tercet_engine::Decision::Cancel { detail, .. } => {
                        detail.as_deref().map_or(0, str::len)
                    }
                },
            ),
            Change::BranchRecord(outcome) => (0, outcome_bytes(outcome)),
            Change::History(happening) => (0, happening.detail.as_deref().map_or(0, str::len)),
            Change::Finished { .. } | Change::Parked(_) => (0, 0),
        };
        Self {
            binds: BINDS_PER_RECORD + branches * BINDS_PER_BRANCH,
            bytes: ROW_BYTES + record.gid.as_str().len() + text,
        }
    }
}

fn branch_bytes(branch: &Arc<BranchSpec>) -> usize {
    let headers: usize = branch.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let urls = tercet_wire::Op::ALL.into_iter().filter_map(|op| branch.url(op));
    let urls: usize = urls.map(|url| url.as_str().len()).sum();
    ROW_BYTES + headers + urls + branch.payload.len()
}

fn outcome_bytes(outcome: &BranchRecord) -> usize {
    let error = outcome.last_error.as_deref().map_or(0, str::len);
    error + outcome.answer.as_ref().map_or(0, |answer| answer.body.len())
}

/// Takes from the front what fits into one batch: at least one record, if any waits.
pub(super) fn cut(waiting: &mut VecDeque<Record>, caps: Caps) -> Vec<Record> {
    let mut total = Weight::default();
    let mut count = 0;
    for record in waiting.iter() {
        let weight = Weight::of(record);
        total.binds += weight.binds;
        total.bytes += weight.bytes;
        let full = count == caps.records || total.binds > caps.binds || total.bytes > caps.bytes;
        if full && count > 0 {
            break;
        }
        count += 1;
    }
    waiting.drain(..count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{record, trying};

    #[test]
    fn a_batch_is_cut_where_the_first_cap_is_reached() {
        let caps = Caps { records: 100, binds: 100_000, bytes: 1_000_000 };
        let begun = |number: u64| {
            let spec = trying(&format!("tx-{}", number % 10), number, 0);
            record(number, &spec, Change::Begun(spec.clone()))
        };
        let one = Weight::of(&begun(1));
        let table = [
            (caps, 40),
            (Caps { records: 7, ..caps }, 7),
            (Caps { binds: one.binds * 3, ..caps }, 3),
            (Caps { binds: one.binds * 3 - 1, ..caps }, 2),
            (Caps { bytes: one.bytes * 5, ..caps }, 5),
            (Caps { bytes: one.bytes * 5 - 1, ..caps }, 4),
            // What passes a cap alone goes alone.
            (Caps { bytes: 1, ..caps }, 1),
            (Caps { records: 0, binds: 0, bytes: 0 }, 1),
        ];
        for (caps, expected) in table {
            let mut waiting: VecDeque<Record> = (1..=40).map(begun).collect();
            let cut = cut(&mut waiting, caps);
            assert_eq!((cut.len(), waiting.len()), (expected, 40 - expected), "{caps:?}");
        }
        assert_eq!(cut(&mut VecDeque::new(), caps), []);
    }
}
