//! The lanes by which messages come in, and whose turn it is.

use std::collections::VecDeque;

use tercet_wire::{Answer, Mono};

use crate::core::{Commands, Event};
use crate::dispatch::{Destination, FreedCapacities};
use crate::engine::input::{Ask, ReplyTo, Request, Ticket};
use crate::engine::output::Reply;
use crate::journal_event::JournalEvent;

/// A lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// What the journal says.
    Journal,
    /// Participants' answers.
    Answers,
    /// Calls that were not made.
    NotSent,
    /// Destinations that have room.
    Capacity,
    /// What concerns all transactions.
    Control,
    /// Requests about transactions there are.
    Requests,
    /// Requests for new ones.
    Begins,
    /// The passing of time, if nothing else has brought what is due about.
    Time,
}

impl Lane {
    /// The order of a round. What finishes work comes before what begins it, so that nobody is
    /// refused for want of room that was free already.
    pub const IN_ORDER: [Self; 8] = [
        Self::Journal,
        Self::Answers,
        Self::NotSent,
        Self::Capacity,
        Self::Control,
        Self::Requests,
        Self::Begins,
        Self::Time,
    ];
}

/// What waits in each lane.
#[derive(Debug, Clone, Default)]
pub(super) struct Lanes {
    pub(super) journal: VecDeque<JournalEvent>,
    pub(super) answers: VecDeque<(Ticket, Answer)>,
    pub(super) not_sent: VecDeque<(Ticket, Option<Destination>)>,
    pub(super) capacity: FreedCapacities,
    pub(super) control: VecDeque<Event>,
    pub(super) requests: VecDeque<Request>,
    pub(super) begins: VecDeque<Request>,
}

impl Lanes {
    pub(super) fn request(&mut self, request: Request) {
        match request.ask {
            Ask::Begin { .. } => self.begins.push_back(request),
            Ask::Register(_)
            | Ask::RegisterAtOnce(_)
            | Ask::Confirm
            | Ask::DecideHeld(_)
            | Ask::Cancel { .. }
            | Ask::Retry { .. }
            | Ask::Resolve(_)
            | Ask::OfJob(_)
            | Ask::Read => self.requests.push_back(request),
        }
    }

    /// Whoever asked this does not wait once it has its turn. Whether it is here.
    pub(super) fn stops_waiting(&mut self, reply_to: ReplyTo) -> bool {
        let requests = self.requests.iter_mut().chain(&mut self.begins);
        let Some(request) = requests.rev().find(|request| request.reply_to == reply_to) else {
            return false;
        };
        request.wait.give_up = Mono::default();
        true
    }

    /// This life is over: whoever waits for their turn is told, and has begun nothing.
    pub(super) fn refuse_all(&mut self, commands: &mut Commands) {
        let requests = std::mem::take(&mut self.requests).into_iter();
        for request in requests.chain(std::mem::take(&mut self.begins)) {
            commands.replies.push((request.reply_to, Reply::Refused(request.unread())));
        }
        for event in std::mem::take(&mut self.control) {
            if let Event::Sync(reply_to) = event {
                commands.unsynced.push(reply_to);
            }
        }
    }

    pub(super) fn len(&self, lane: Lane) -> usize {
        match lane {
            Lane::Journal => self.journal.len(),
            Lane::Answers => self.answers.len(),
            Lane::NotSent => self.not_sent.len(),
            Lane::Capacity => self.capacity.len(),
            Lane::Control => self.control.len(),
            Lane::Requests => self.requests.len(),
            Lane::Begins => self.begins.len(),
            Lane::Time => 0,
        }
    }

    pub(super) fn is_any_waiting(&self) -> bool {
        Lane::IN_ORDER.into_iter().any(|lane| self.len(lane) > 0)
    }
}

/// Where a round stands: no lane waits for another, each has its turn and is emptied of what
/// waited then, up to a bound.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turn {
    /// The lane's place in the order.
    place: usize,
    /// How many messages it may still give; none if its turn has not begun.
    left: Option<usize>,
}

impl Turn {
    /// The lane to take a message from; none if the round is over, and the next begins.
    pub(super) fn next(&mut self, bound: usize, waiting: impl Fn(Lane) -> usize) -> Option<Lane> {
        while let Some(lane) = Lane::IN_ORDER.get(self.place) {
            let left = self.left.get_or_insert_with(|| waiting(*lane).min(bound));
            if *left > 0 {
                *left -= 1;
                return Some(*lane);
            }
            self.place += 1;
            self.left = None;
        }
        *self = Self::default();
        None
    }
}
