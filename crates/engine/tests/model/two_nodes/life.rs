//! One life of a node: the real core, the real writer and the real course of a take-over.

use std::collections::VecDeque;
use std::time::Duration;

use tercet_engine::{
    Caps, Committed, Core, Engine, EngineSettings, GroupCommit, GroupCommitSettings, Load, Rules,
    TakeOver,
};
use tercet_wire::{Backoff, Epoch, Gid, Incarnation, Mono};

/// Long enough that it never is.
const NEVER: Duration = Duration::from_millis(u64::MAX);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Life {
    pub(super) own: Incarnation,
    pub(super) core: Core,
    pub(super) writer: GroupCommit,
    /// What became of what was submitted, until the writer hears of it.
    pub(super) unheard: Option<Committed>,
    /// What the journal was asked to read, in order; the answer to the first, once it has looked.
    pub(super) reads: VecDeque<Gid>,
    pub(super) has_read: Option<Load>,
    pub(super) take_over: Option<TakeOver>,
    /// Whether it has given a sign of life with nothing else to write. Once is enough for it to notice
    /// that it was fenced, and there are no more states than that.
    pub(super) gave_sign: bool,
}

impl Life {
    pub(super) fn new(own: Incarnation, rules: &Rules, now: Mono) -> Self {
        let settings = EngineSettings {
            rules: rules.clone(),
            load_within: NEVER,
            ..EngineSettings::default()
        };
        let epoch = Epoch(u64::try_from(own.0).expect("lives are counted from 1"));
        Self {
            own,
            core: Core::new(Engine::new(epoch, settings), NEVER),
            writer: GroupCommit::new(one_at_a_time(), now),
            unheard: None,
            reads: VecDeque::new(),
            has_read: None,
            take_over: None,
            gave_sign: false,
        }
    }
}

/// Whatever can come between two records does.
fn one_at_a_time() -> GroupCommitSettings {
    GroupCommitSettings {
        caps: Caps { records: 1, binds: usize::MAX, bytes: usize::MAX },
        linger: Duration::ZERO,
        resubmit: Backoff { first: Duration::ZERO, cap: Duration::ZERO },
        longest_silence: NEVER,
    }
}
