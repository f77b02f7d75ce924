//! What is written in one SQL transaction, and how much that may be.

use std::collections::VecDeque;
use std::sync::Arc;

use tercet_wire::{BranchSpec, Gid, Incarnation, Op, Wall};

use super::Backlog;
use crate::record::{BranchRecord, Change, Decision, Record};
use crate::saga_revision::ActAlone;

/// Records that become durable together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Batch {
    /// From 1, without gaps, in the order of this incarnation's batches. A batch that is
    /// submitted again keeps it: it is how the database tells the two apart.
    pub number: i64,
    /// When it was first submitted: what the node's next life takes for its last sign of life.
    pub written_at: Wall,
    /// In the engine's order.
    pub records: Vec<Record>,
    /// What operators did to no single transaction. They come without records.
    pub acts: Vec<ActAlone>,
}

/// Transactions of a dead life that change hands together: written between two batches and
/// numbered like them, so that the fence of this life guards it as it guards every record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// In the same order as the batches'.
    pub number: i64,
    /// When it was first submitted.
    pub written_at: Wall,
    /// The life that drove them until now.
    pub dead: Incarnation,
    /// By gid. Those that are no longer the dead life's stay as they are.
    pub gids: Vec<Gid>,
}

/// The last thing that a life writes: that it writes no more. Others take over what it drives
/// without waiting for its silence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Leave {
    /// In the same order as the batches'.
    pub number: i64,
    /// When it was first submitted.
    pub written_at: Wall,
}

/// What is submitted to the store. Whatever it is, it is fenced by its number, and happens once
/// however often it is submitted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Submitted {
    /// Records, or none: a sign of life.
    Batch(Batch),
    /// Some of what a dead life drove.
    Chunk(Chunk),
    /// The end of this life.
    Leave(Leave),
}

impl Submitted {
    /// Its number.
    #[must_use]
    pub fn number(&self) -> i64 {
        match self {
            Self::Batch(Batch { number, .. })
            | Self::Chunk(Chunk { number, .. })
            | Self::Leave(Leave { number, .. }) => *number,
        }
    }

    /// When it was first submitted.
    #[must_use]
    pub fn written_at(&self) -> Wall {
        match self {
            Self::Batch(Batch { written_at, .. })
            | Self::Chunk(Chunk { written_at, .. })
            | Self::Leave(Leave { written_at, .. }) => *written_at,
        }
    }

    /// Its records, if it has any.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        match self {
            Self::Batch(batch) => &batch.records,
            Self::Chunk(_) | Self::Leave(_) => &[],
        }
    }

    /// Whether it says no more than that this life is there.
    #[must_use]
    pub fn is_sign_of_life(&self) -> bool {
        matches!(self, Self::Batch(batch) if batch.records.is_empty() && batch.acts.is_empty())
    }
}

/// How much a batch may hold. A single record that passes a cap goes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caps {
    /// Records.
    pub records: usize,
    /// Values bound to statements.
    pub binds: usize,
    /// Bytes.
    pub bytes: usize,
}

/// What a record adds to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// Values bound to statements, at most.
    pub binds: usize,
    /// Bytes, about.
    pub bytes: usize,
}

/// Most values bound for one branch, and for anything else that a record writes. The
/// statements' tests compare these with what is really bound.
const BINDS_PER_BRANCH: usize = 14;
const BINDS_PER_RECORD: usize = 20;

/// Bytes counted for a row beside the texts in it: ids, times, numbers.
const ROW_BYTES: usize = 128;

impl Weight {
    /// What this record adds.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let Self { binds, bytes } = Self::of_change(&record.change);
        Self { binds, bytes: bytes + record.gid.as_str().len() }
    }

    fn of_change(change: &Change) -> Self {
        let (branches, text) = match change {
            Change::Begun(spec) => {
                let metadata = spec.metadata.as_deref().map_or(0, str::len);
                let branches: usize = spec.branches.iter().map(branch_bytes).sum();
                let check = spec.check().map_or(0, |url| url.as_str().len());
                // What it asks for as a whole has a row as a branch has.
                let rows = spec.branches.len() + usize::from(spec.options.is_some());
                (rows, metadata + branches + check)
            }
            Change::Registered(branch) => (1, branch_bytes(branch)),
            Change::RegisteredAtOnce(branches) => {
                (branches.len(), branches.iter().map(branch_bytes).sum())
            }
            Change::Decided(decided) => (
                0,
                match &decided.decision {
                    Decision::Confirm => 0,
                    Decision::Cancel { detail, .. } => detail.as_deref().map_or(0, str::len),
                },
            ),
            Change::BranchRecord(outcome) => (0, outcome_bytes(outcome)),
            Change::Tried(tried) => {
                let result = ROW_BYTES + tried.result.as_json().len();
                (1, outcome_bytes(&tried.record) + result)
            }
            Change::History(happening) => (0, happening.detail.as_deref().map_or(0, str::len)),
            Change::Finished { .. } | Change::Parked(_) => (0, 0),
            Change::Acted(acted) => {
                let of_act = Self::with(0, acted.act.text_bytes());
                return acted.changes.iter().map(Self::of_change).fold(of_act, Self::and);
            }
            Change::Ticked(ticked) => {
                let of_tick = Self::with(0, ticked.tick.gid.as_str().len());
                return ticked.changes.iter().map(Self::of_change).fold(of_tick, Self::and);
            }
        };
        Self::with(branches, text)
    }

    fn with(branches: usize, text: usize) -> Self {
        Self { binds: BINDS_PER_RECORD + branches * BINDS_PER_BRANCH, bytes: ROW_BYTES + text }
    }

    fn and(self, other: Self) -> Self {
        Self { binds: self.binds + other.binds, bytes: self.bytes + other.bytes }
    }
}

fn branch_bytes(branch: &Arc<BranchSpec>) -> usize {
    let headers: usize = branch.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let urls = Op::ALL.into_iter().filter_map(|op| branch.url(op));
    let urls: usize = urls.map(|url| url.as_str().len()).sum();
    // Quoted, and with a comma.
    let after: usize = branch.after().into_iter().flatten().map(|id| id.as_str().len() + 3).sum();
    ROW_BYTES + headers + urls + branch.payload.len() + after
}

fn outcome_bytes(outcome: &BranchRecord) -> usize {
    let error = outcome.last_error.as_deref().map_or(0, str::len);
    let answer = outcome.answer.as_ref().map_or(0, |answer| answer.body.len());
    let last_answer = outcome.last_answer.as_ref().map_or(0, |answer| bytes_in_json(&answer.body));
    let word = outcome
        .pending_resolution
        .as_ref()
        .map_or(0, |word| bytes_in_json(&word.by) + word.note.as_deref().map_or(0, bytes_in_json));
    error + answer + last_answer + word
}

/// Bytes of a text inside a string of JSON, which is how it is written. Control characters take the
/// most; that some of them have a shorter name does not matter.
fn bytes_in_json(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

/// Takes from the front what fits into one batch: at least one record, if any waits; and says
/// how much that is.
pub(super) fn cut(waiting: &mut VecDeque<Record>, caps: Caps) -> (Vec<Record>, Backlog) {
    let mut total = Weight::default();
    let mut cut = Backlog::default();
    for record in waiting.iter() {
        let weight = Weight::of(record);
        total.binds += weight.binds;
        total.bytes += weight.bytes;
        let full =
            cut.records == caps.records || total.binds > caps.binds || total.bytes > caps.bytes;
        if full && cut.records > 0 {
            break;
        }
        cut = Backlog { records: cut.records + 1, bytes: total.bytes };
    }
    (waiting.drain(..cut.records).collect(), cut)
}
