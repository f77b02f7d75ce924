//! All that can happen, in the order of the agenda.

use std::sync::Arc;

use tercet_engine::{
    JournalEvent, LifeRow, Reply, ReplyTo, Submitted, TakeOverAnswer, TakeOverStep, Ticket, Until,
};
use tercet_participant::Legs;
use tercet_wire::{Answer, BranchId, Gid, Instance, Mono, Op, Wall};

use crate::actor::Asking;
use crate::content::Content;
use crate::initiators::Worked;
use crate::scheduler::Scheduler;

/// Something that happens.
#[derive(Debug, Clone)]
pub(crate) enum ScheduledEvent {
    /// Something of the coordinator's process, which is lost with it.
    Node { life: u64, event: NodeEvent },
    /// A submission of a life that is over reaches the database all the same.
    Orphan { life: u64, submitted: Submitted },
    /// Somebody asks the coordinator.
    Ask(Asked),
    /// Somebody hears what became of what they asked.
    Heard { actor: usize, number: u64, heard: Heard },
    /// Somebody who asks goes on with what they want.
    Act { actor: usize },
    /// A call reaches a participant.
    Call(Arriving),
    /// A question reaches the initiators' service.
    Question(Question),
    /// An initiator's own work is done but for its commit.
    Work(LocalWork),
    /// It commits, or does not.
    WorkEnds { gid: Gid },
    /// An initiator's work is done with a message, but for its commit.
    Send(Arc<Content>),
    /// It commits, or does not.
    SendEnds(Arc<Content>),
    /// Something happens inside a relay's process.
    Relay { relay: usize, life: u64, event: RelayEvent },
    /// A participant's answer reaches whoever called.
    Answer { to: Caller, answer: Answer },
    /// A participant's business code has run and commits.
    Commit { service: usize, run: u64 },
    /// A call has waited for its branch's turn for as long as it may.
    TurnGivenUp { service: usize, waiting: u64 },
    /// Something goes wrong, or right again.
    Fault(Fault),
    /// All faults end.
    Heal,
}

/// Something that happens inside the coordinator's process.
#[derive(Debug, Clone)]
pub(crate) enum NodeEvent {
    /// The loop has something to do, or believes so.
    Round,
    /// A submission reaches the database.
    Submission,
    /// The journal's writer has something to do although nothing was appended.
    WriterDue,
    /// The database reads what it knows of these.
    Load(Vec<Gid>),
    /// The database reads which transactions rest, after this one.
    PageRequest(Option<Gid>),
    /// What was read is told.
    Read(Vec<JournalEvent>),
    /// Whoever asked this has gone.
    HungUp(ReplyTo),
    /// The patience with one call is over.
    CallGivenUp { http_call: u64 },
    /// It reads which participants are paused.
    ReadsPauses,
    /// It is time to look at the rows of all lives.
    Look,
    /// They were read; none if they could not be.
    Looked { rows: Option<Vec<LifeRow>>, asked: Mono },
    /// The database does a step of a take-over.
    TakeOver(TakeOverStep),
    /// What became of it.
    TakeOverAnswered(TakeOverAnswer),
}

impl ScheduledEvent {
    /// The node whose process it is for: it waits while that is frozen.
    pub(crate) fn of_node(&self, scheduler: &Scheduler) -> Option<usize> {
        match self {
            Self::Node { life, .. } => Some(scheduler.home(*life)),
            Self::Ask(asked) => Some(asked.node),
            Self::Answer { to: Caller::Node { ticket, .. }, .. } => {
                Some(scheduler.home(ticket.epoch.0))
            }
            Self::Answer { to: Caller::Actor { .. }, .. }
            | Self::Orphan { .. }
            | Self::Heard { .. }
            | Self::Act { .. }
            | Self::Call(_)
            | Self::Question(_)
            | Self::Work(_)
            | Self::WorkEnds { .. }
            | Self::Send(_)
            | Self::SendEnds(_)
            | Self::Relay { .. }
            | Self::Commit { .. }
            | Self::TurnGivenUp { .. }
            | Self::Fault(_)
            | Self::Heal => None,
        }
    }
}

/// Something that happens inside a relay's process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RelayEvent {
    /// It takes what is due.
    Round { lane: usize },
    /// It writes what became of that.
    Settle { lane: usize },
}

/// What goes wrong, or right again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The coordinator's process is killed.
    NodeDies { node: usize },
    /// It is asked to stop.
    NodeStops { node: usize, grace_ms: u64 },
    /// It is started.
    NodeStarts { node: usize },
    /// It is frozen for a while, as by SIGSTOP.
    NodeFreezes { node: usize, for_ms: u64 },
    /// It cannot reach the database for a while.
    NodeCutOff { node: usize, for_ms: u64 },
    /// Its wall clock is set.
    WallJumps { node: usize, by_ms: i64 },
    /// Nothing can be written for a while.
    DiskFull { for_ms: u64 },
    /// A participant is not there for a while.
    ServiceDown { service: usize, for_ms: u64 },
    /// A participant is cut off for a while.
    Partition { service: usize, for_ms: u64 },
    /// A participant's process is killed and started at once.
    ServiceCrashes { service: usize },
    /// An operator pauses a participant for a while.
    Paused { service: usize, for_ms: u64 },
    /// The while is over, unless it was paused for longer meanwhile.
    Resumed { service: usize },
    /// A relay is killed.
    RelayDies { relay: usize },
    /// It is frozen for a while.
    RelayFreezes { relay: usize, for_ms: u64 },
}

/// A request on its way to the coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Which node is asked.
    pub(crate) node: usize,
    pub(crate) actor: usize,
    pub(crate) number: u64,
    pub(crate) gid: Gid,
    pub(crate) asking: Asking,
    pub(crate) until: Until,
    pub(crate) wait_ms: u64,
}

/// What became of a request or of an initiator's own call.
#[derive(Debug, Clone)]
pub(crate) enum Heard {
    /// It was answered.
    Reply(Box<Reply>),
    /// The connection broke, was refused, or nothing came in time.
    Nothing,
    /// There was no room in the lane of begins.
    TooBusy,
    /// The participant answered an initiator's own Try.
    Try(Answer),
    /// What became of an initiator's own work.
    Worked(Worked),
}

/// An initiator's own work for a transaction.
#[derive(Debug, Clone)]
pub(crate) struct LocalWork {
    pub(crate) gid: Gid,
    /// How many branches it knows of, all of them tried.
    pub(crate) branches: usize,
    pub(crate) actor: usize,
    pub(crate) number: u64,
}

/// What became of this transaction?
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) gid: Gid,
    pub(crate) from: Caller,
}

/// Who made a call.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// The coordinator.
    Node { http_call: u64, ticket: Ticket },
    /// An initiator, which calls a Try itself.
    Actor { actor: usize, number: u64 },
}

/// A call on its way to a participant.
#[derive(Debug, Clone)]
pub(crate) struct Arriving {
    pub(crate) service: usize,
    pub(crate) gid: Gid,
    pub(crate) branch: BranchId,
    pub(crate) instance: Instance,
    pub(crate) op: Op,
    pub(crate) legs: Legs,
    pub(crate) deadline: Option<Wall>,
    pub(crate) quantity: i64,
    /// Whether what a Try is answered with is kept.
    pub(crate) keeps_result: bool,
    pub(crate) from: Caller,
}
