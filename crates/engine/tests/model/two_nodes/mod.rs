//! Two nodes on one set of rows: whoever is asked begins, and any of them may be asked next. A
//! process dies; one is taken for dead that is not, is fenced at any moment of its batches, goes
//! on, finds out, and joins again with a new life; nobody hears of a commit; what was read is old
//! when it is told; timers fire at the worst moment. Each node is the real core, the real writer
//! and the real take-over; the rows are written as `Lives` and `judge` say.

mod life;
mod nodes;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use stateright::{Model, Property};
use tercet_engine::{Committed, Rules, StoredTransaction, Suspect};
use tercet_wire::{Incarnation, Op, Spec, Status};

use crate::explore::{Explored, explore};
use crate::world::Asked;
use crate::world::content::{branch, spec};
use nodes::{Nodes, Place};

/// What may go wrong, and how often, on one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Faults {
    /// Of processes; one node always runs on.
    crashes: u8,
    /// A life that runs is taken for dead, by each of the nodes.
    mistaken: [u8; 2],
    /// Nobody hears that a batch or a chunk was written.
    unheard: u8,
}

struct Case {
    spec: Arc<Spec>,
    /// Asked in this order, each at any moment after the one before was answered; the first of
    /// node one.
    asks: Vec<Asked>,
    /// Asked by somebody else, of node two, at any moment.
    others: Vec<Asked>,
    may_refuse: bool,
    faults: Faults,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    nodes: Nodes,
    left: Faults,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Action {
    Ask(Place),
    OtherAsks(Place),
    Write(Place),
    Hear(Place),
    HearNothing(Place),
    Read(Place),
    DeliverRead(Place),
    Suspect(Place, Incarnation),
    GiveSignOfLife(Place),
    DeliverCall { index: usize, refuse: bool },
    DeliverAnswer(usize),
    PassTime(Place),
    Crash(Place),
}

impl Explored for State {
    fn broken(&self) -> Option<&str> {
        self.nodes.broken.as_deref()
    }
}

impl Case {
    fn actions_at(&self, place: Place, state: &State, actions: &mut Vec<Action>) {
        let nodes = &state.nodes;
        let Some(life) = &nodes.lives[place] else { return };
        if !nodes.to_ask.is_empty() && !nodes.initiator_waits() {
            actions.push(Action::Ask(place));
        }
        if place == 1 && !nodes.others.is_empty() {
            actions.push(Action::OtherAsks(place));
        }
        if nodes.writes(place) {
            actions.push(Action::Write(place));
        }
        if let Some(committed) = &life.unheard {
            actions.push(Action::Hear(place));
            if state.left.unheard > 0 && *committed != Committed::Fenced {
                actions.push(Action::HearNothing(place));
            }
        }
        if life.has_read.is_some() {
            actions.push(Action::DeliverRead(place));
        } else if !life.reads.is_empty() {
            actions.push(Action::Read(place));
        }
        for (suspect, is_mistaken) in nodes.suspects(place) {
            if !is_mistaken || state.left.mistaken[place] > 0 {
                actions.push(Action::Suspect(place, suspect.incarnation));
            }
        }
        if nodes.sleeps(place) && !nodes.writes(place) {
            actions.push(Action::GiveSignOfLife(place));
        }
        if nodes.next_deadline(place).is_some() {
            actions.push(Action::PassTime(place));
        }
        if state.left.crashes > 0 && nodes.lives[1 - place].is_some() {
            actions.push(Action::Crash(place));
        }
    }

    /// Nothing more happens but faults: also nobody is taken for dead who is not.
    fn is_at_rest(&self, state: &State) -> bool {
        let without_faults = State { left: NO_FAULTS, ..state.clone() };
        let mut actions = Vec::new();
        self.actions(&without_faults, &mut actions);
        actions.is_empty()
    }
}

fn suspect(nodes: &Nodes, place: Place, dead: Incarnation) -> Option<(Suspect, bool)> {
    nodes.suspects(place).into_iter().find(|(suspect, _)| suspect.incarnation == dead)
}

impl Model for Case {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        // What is shown to people, and when, is none of its matters.
        let park_after = Duration::from_millis(u64::MAX);
        let rules = Rules { history_lines: 0, park_after, ..Rules::default() };
        let mut nodes = Nodes::new(rules, &self.spec, &self.asks, &self.others);
        nodes.initiator_asks(0);
        vec![State { nodes, left: self.faults }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.nodes.broken.is_some() {
            return;
        }
        self.actions_at(0, state, actions);
        self.actions_at(1, state, actions);
        for (index, (_, op)) in state.nodes.calls.iter().enumerate() {
            actions.push(Action::DeliverCall { index, refuse: false });
            if *op == Op::Try && self.may_refuse {
                actions.push(Action::DeliverCall { index, refuse: true });
            }
        }
        actions.extend((0..state.nodes.answers.len()).map(Action::DeliverAnswer));
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        let nodes = &mut state.nodes;
        match action {
            Action::Ask(place) => nodes.initiator_asks(place),
            Action::OtherAsks(place) => nodes.other_asks(place),
            Action::Write(place) => nodes.write(place),
            Action::Hear(place) => nodes.hear(place, false),
            Action::HearNothing(place) => {
                state.left.unheard -= 1;
                nodes.hear(place, true);
            }
            Action::Read(place) => nodes.read(place),
            Action::DeliverRead(place) => nodes.deliver_read(place),
            Action::Suspect(place, dead) => {
                let (suspect, is_mistaken) = suspect(nodes, place, dead)?;
                state.left.mistaken[place] -= u8::from(is_mistaken);
                nodes.suspect(place, &suspect);
            }
            Action::GiveSignOfLife(place) => nodes.gives_sign_of_life(place),
            Action::DeliverCall { index, refuse } => nodes.deliver_call(index, refuse),
            Action::DeliverAnswer(index) => nodes.deliver_answer(index),
            Action::PassTime(place) => nodes.pass_time(place),
            Action::Crash(place) => {
                state.left.crashes -= 1;
                nodes.crash(place);
            }
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no promise is broken", |_, state: &State| {
                state.nodes.broken.is_none()
            }),
            Property::always("all or nothing", |_, state: &State| {
                let stands = |how| state.nodes.participants.values().any(|it| it.in_short() == how);
                !(stands("taken") && stands("released"))
            }),
            Property::always("at rest everything is finished", |case: &Case, state: &State| {
                let nodes = &state.nodes;
                let mut rows = nodes.rows.transactions.values();
                let is_finished = rows.all(|rows| rows.status.is_finished());
                (is_finished && !nodes.anybody_waits())
                    || nodes.broken.is_some()
                    || !case.is_at_rest(state)
            }),
            Property::sometimes("confirmed", |_, state: &State| finished(state, Status::Confirmed)),
            Property::sometimes("cancelled", |_, state: &State| finished(state, Status::Cancelled)),
            Property::sometimes("another life finishes it", |_, state: &State| {
                let is_finished = |rows: &StoredTransaction| rows.status.is_finished();
                let rows = &state.nodes.rows;
                rows.have_changed_hands && rows.transactions.values().all(is_finished)
            }),
        ]
    }
}

fn finished(state: &State, status: Status) -> bool {
    state.nodes.rows.transactions.values().any(|rows| rows.status == status)
}

const NO_FAULTS: Faults = Faults { crashes: 0, mistaken: [0, 0], unheard: 0 };

fn one_branch(faults: Faults) -> Case {
    Case {
        spec: spec("t", false, vec![branch("a", 0)]),
        asks: vec![Asked::Begin],
        others: Vec::new(),
        may_refuse: true,
        faults,
    }
}

/// Keeps P4, P5.
#[test]
fn the_other_finishes_what_a_dead_node_drove() {
    let faults = Faults { crashes: 1, ..NO_FAULTS };
    let spec = spec("t", false, vec![branch("a", 0), branch("b", 1)]);
    explore("two nodes, crash", Case { spec, ..one_branch(faults) });
}

/// Keeps P2, P3, P8, exactly-once.
#[test]
fn a_node_taken_for_dead_drives_nothing_on_and_joins_again() {
    let faults = Faults { mistaken: [0, 1], unheard: 1, ..NO_FAULTS };
    explore("two nodes, mistaken", one_branch(faults));
}

/// Keeps P2, P4, P8.
#[test]
fn two_nodes_that_take_each_other_for_dead_leave_one_driver() {
    let faults = Faults { mistaken: [1, 1], ..NO_FAULTS };
    explore("two nodes, both mistaken", Case { may_refuse: false, ..one_branch(faults) });
}

/// Keeps P4, P5.
#[test]
fn who_was_taken_for_dead_goes_on_when_the_other_dies() {
    let faults = Faults { crashes: 1, mistaken: [0, 1], ..NO_FAULTS };
    explore("two nodes, mistaken and crash", one_branch(faults));
}

/// Keeps P2, P3, P7.
#[test]
fn confirm_and_cancel_asked_of_two_nodes_lead_to_one_decision() {
    let case = Case {
        spec: spec("t", true, vec![branch("a", 0)]),
        asks: vec![Asked::Begin, Asked::Confirm],
        others: vec![Asked::Cancel],
        may_refuse: false,
        faults: Faults { mistaken: [0, 1], ..NO_FAULTS },
    };
    explore("two nodes, contested", case);
}
