//! One node: two branches, an initiator who may ask for anything at any moment, a process that
//! dies, calls and answers that are lost, doubled or late, commits whose success nobody hears of,
//! timers that fire at the worst moment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use stateright::{Model, Property};
use tercet_engine::Rules;
use tercet_wire::{BranchSpec, Op, Spec, Status};

use crate::explore::{Explored, explore};
use crate::world::content::{
    branch, checked, delayed, placed, saga, spec, step, with_legs, with_results,
};
use crate::world::{Asked, Books, World};

/// What may go wrong, and how often, on one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Faults {
    crashes: u8,
    lost: u8,
    doubled: u8,
}

struct Case {
    spec: Arc<Spec>,
    /// Asked in this order, each at any moment after the one before was answered.
    asks: Vec<Asked>,
    /// Asked by somebody else, at any moment after the initiator has begun.
    others: Vec<Asked>,
    may_refuse: bool,
    faults: Faults,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    world: World,
    to_ask: VecDeque<Asked>,
    others: VecDeque<Asked>,
    left: Faults,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Action {
    Ask,
    OtherAsks,
    /// The initiator commits its own business.
    Commit,
    Write,
    TellDurable,
    DeliverCall {
        index: usize,
        refuse: bool,
        keep: bool,
    },
    LoseCall(usize),
    LoseAnswer(usize),
    DeliverAnswer(usize),
    PassTime,
    Crash,
}

impl Explored for State {
    fn broken(&self) -> Option<&str> {
        self.world.broken.as_deref()
    }
}

impl Model for Case {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let registered = self.asks.iter().flat_map(Asked::registers);
        // What is shown to people, and when, is none of its matters.
        let park_after = Duration::from_millis(u64::MAX);
        let rules = Rules { history_lines: 0, park_after, ..Rules::default() };
        vec![State {
            world: World::new(rules, &self.spec, &registered.collect::<Vec<_>>()),
            to_ask: self.asks.iter().cloned().collect(),
            others: self.others.iter().cloned().collect(),
            left: self.faults,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let world = &state.world;
        if world.broken.is_some() {
            return;
        }
        let hears_nothing_yet = world.waiting.values().any(|asked| self.asks.contains(asked));
        // Who is asked commits first, and asks for confirm only if that has worked.
        let commits = self.spec.check().is_some() && state.to_ask.front() == Some(&Asked::Confirm);
        if !state.to_ask.is_empty() && !hears_nothing_yet {
            match world.books {
                Books::Nothing if commits => actions.push(Action::Commit),
                Books::Never if commits => {}
                Books::Nothing | Books::Never | Books::Done => actions.push(Action::Ask),
            }
        }
        if !state.others.is_empty() && state.to_ask.len() < self.asks.len() {
            actions.push(Action::OtherAsks);
        }
        if !world.queue.is_empty() && world.untold.is_none() {
            actions.push(Action::Write);
        }
        if world.untold.is_some() {
            actions.push(Action::TellDurable);
        }
        for (index, (ticket, op)) in world.calls.iter().enumerate() {
            actions.push(Action::DeliverCall { index, refuse: false, keep: false });
            if *op == Op::Try && self.may_refuse && !ticket.asks {
                actions.push(Action::DeliverCall { index, refuse: true, keep: false });
            }
            if state.left.doubled > 0 {
                actions.push(Action::DeliverCall { index, refuse: false, keep: true });
            }
            if state.left.lost > 0 {
                actions.push(Action::LoseCall(index));
            }
        }
        for index in 0..world.answers.len() {
            actions.push(Action::DeliverAnswer(index));
            if state.left.lost > 0 {
                actions.push(Action::LoseAnswer(index));
            }
        }
        if world.core.next_deadline().is_some_and(|due| due.0 < u64::MAX) {
            actions.push(Action::PassTime);
        }
        if state.left.crashes > 0 {
            actions.push(Action::Crash);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        let world = &mut state.world;
        match action {
            Action::Ask => world.ask(&self.spec, state.to_ask.pop_front()?),
            Action::OtherAsks => world.ask(&self.spec, state.others.pop_front()?),
            Action::Commit => world.books = Books::Done,
            Action::Write => world.write_one(),
            Action::TellDurable => world.tell_durable(),
            Action::DeliverCall { index, refuse, keep } => {
                state.left.doubled -= u8::from(keep);
                world.deliver_call(index, refuse, keep);
            }
            Action::LoseCall(index) => {
                state.left.lost -= 1;
                world.lose_call(index);
            }
            Action::LoseAnswer(index) => {
                state.left.lost -= 1;
                world.lose_answer(index);
            }
            Action::DeliverAnswer(index) => world.deliver_answer(index),
            Action::PassTime => {
                world.pass_time();
            }
            Action::Crash => {
                state.left.crashes -= 1;
                let mut unanswered = world.crash();
                unanswered.sort();
                for asked in unanswered.into_iter().rev() {
                    state.to_ask.push_front(asked);
                }
            }
        }
        state.world.forget_what_was_said();
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no promise is broken", |_, state: &State| {
                state.world.broken.is_none()
            }),
            Property::always("all or nothing", |_, state: &State| {
                let taken = state.world.participants.values().any(|it| it.in_short() == "taken");
                let released =
                    state.world.participants.values().any(|it| it.in_short() == "released");
                !(taken && released)
            }),
            Property::always("what its initiator's books say", |_, state: &State| {
                state.world.agrees_with_the_books()
            }),
            Property::always("at rest everything is finished", |case: &Case, state: &State| {
                let mut actions = Vec::new();
                case.actions(state, &mut actions);
                actions.retain(|action| *action != Action::Crash);
                let rows = state.world.rows.values();
                !actions.is_empty()
                    || state.world.broken.is_some()
                    || (rows.clone().all(|rows| rows.status.is_finished())
                        && state.world.waiting.is_empty())
            }),
            Property::sometimes("confirmed", |_, state: &State| finished(state, Status::Confirmed)),
            Property::sometimes("cancelled", |_, state: &State| finished(state, Status::Cancelled)),
        ]
    }
}

fn finished(state: &State, status: Status) -> bool {
    state.world.rows.values().any(|rows| rows.status == status)
}

const NO_FAULTS: Faults = Faults { crashes: 0, lost: 0, doubled: 0 };

fn two_branches(faults: Faults, others: &[Asked]) -> Case {
    Case {
        spec: spec("t", false, vec![branch("a", 0), branch("b", 1)]),
        asks: vec![Asked::Begin],
        others: others.to_vec(),
        may_refuse: true,
        faults,
    }
}

/// Keeps P5.
#[test]
fn two_branches_and_a_crash() {
    explore("crash", two_branches(Faults { crashes: 1, ..NO_FAULTS }, &[]));
}

#[test]
fn two_branches_a_crash_and_a_loss() {
    explore("crash and loss", two_branches(Faults { crashes: 1, lost: 1, ..NO_FAULTS }, &[]));
}

#[test]
fn two_branches_and_a_bad_network() {
    explore("bad network", two_branches(Faults { lost: 1, doubled: 1, ..NO_FAULTS }, &[]));
}

/// Keeps P2.
#[test]
fn two_branches_and_somebody_who_cancels() {
    let faults = Faults { doubled: 1, ..NO_FAULTS };
    explore("cancel", two_branches(faults, &[Asked::Cancel, Asked::Cancel]));
}

fn saga_of(steps: Vec<BranchSpec>, others: &[Asked], faults: Faults) -> Case {
    Case { spec: saga("t", false, steps), ..two_branches(faults, others) }
}

/// Keeps P1, P4, P5.
#[test]
fn a_saga_of_two_steps_and_a_crash() {
    let steps = vec![branch("a", 0), branch("b", 1)];
    explore("saga", saga_of(steps, &[], Faults { crashes: 1, lost: 1, ..NO_FAULTS }));
}

/// Two steps side by side, and one after both: it has a Confirm alone.
/// Keeps P1, P4, P5.
#[test]
fn a_saga_that_comes_together_and_a_crash() {
    let both = [step("a", 0, &[]), step("b", 1, &[])].map(|step| without(step, Op::Confirm));
    let last = placed(with_legs("c", 2, &[Op::Confirm]), &["a", "b"]);
    let [a, b] = both;
    explore("saga, together", saga_of(vec![a, b, last], &[], Faults { crashes: 1, ..NO_FAULTS }));
}

/// Keeps P2, P4.
#[test]
fn a_saga_of_three_steps_that_somebody_cancels() {
    let steps = ["a", "b", "c"].into_iter().zip(0..).map(|(id, at)| branch(id, at));
    let steps = steps.map(|step| without(step, Op::Confirm)).collect();
    explore("saga, cancel", saga_of(steps, &[Asked::Cancel], NO_FAULTS));
}

/// Keeps P4.
#[test]
fn a_saga_on_a_bad_network() {
    let steps = vec![branch("a", 0), branch("b", 1)];
    explore("saga, network", saga_of(steps, &[], Faults { lost: 1, doubled: 1, ..NO_FAULTS }));
}

/// Keeps P1, P5.
#[test]
fn a_step_that_is_told_what_the_one_before_it_answered() {
    let steps = vec![branch("a", 0), with_results(branch("b", 1))];
    let faults = Faults { crashes: 1, ..NO_FAULTS };
    explore("saga, results", saga_of(steps, &[], faults));
}

/// Keeps P1, P5.
#[test]
fn a_branch_that_is_told_what_its_own_try_answered() {
    let branches = vec![with_results(branch("a", 0)), branch("b", 1)];
    let case = two_branches(Faults { crashes: 1, ..NO_FAULTS }, &[]);
    explore("results", Case { spec: spec("t", false, branches), ..case });
}

fn without(branch: BranchSpec, op: Op) -> BranchSpec {
    let mut urls = branch.urls;
    *urls.get_mut(op) = None;
    BranchSpec { urls, ..branch }
}

fn open(asks: &[Asked], others: &[Asked], faults: Faults) -> Case {
    Case {
        spec: spec("t", true, vec![branch("a", 0)]),
        asks: asks.to_vec(),
        others: others.to_vec(),
        may_refuse: true,
        faults,
    }
}

/// Keeps P5.
#[test]
fn an_open_transaction_and_a_crash() {
    let asks = [Asked::Begin, Asked::Register("b"), Asked::Confirm];
    explore("open, crash", open(&asks, &[], Faults { crashes: 1, ..NO_FAULTS }));
}

/// Keeps P2.
#[test]
fn an_open_transaction_of_which_two_want_different_things() {
    let asks = [Asked::Begin, Asked::Register("b"), Asked::Confirm];
    explore("open, contested", open(&asks, &[Asked::Cancel, Asked::Confirm], NO_FAULTS));
}

fn asked_at_its_deadline(branch: BranchSpec, others: &[Asked], faults: Faults) -> Case {
    let case = open(&[Asked::Begin, Asked::Confirm], others, faults);
    Case { spec: checked(&spec("t", true, vec![branch])), ..case }
}

/// Keeps P2, P5.
#[test]
fn an_initiator_that_is_asked_and_a_crash() {
    let mail = with_legs("mail", 0, &[Op::Confirm, Op::Cancel]);
    let faults = Faults { crashes: 1, lost: 1, ..NO_FAULTS };
    explore("asked, crash and loss", asked_at_its_deadline(mail, &[], faults));
}

/// Keeps P2.
#[test]
fn an_initiator_that_is_asked_while_others_decide() {
    let faults = Faults { doubled: 1, ..NO_FAULTS };
    let case = asked_at_its_deadline(branch("a", 0), &[Asked::Cancel], faults);
    explore("asked, contested", case);
}

/// Keeps P7.
#[test]
fn an_operator_who_ends_a_branch_while_it_is_called() {
    let faults = Faults { crashes: 1, lost: 1, ..NO_FAULTS };
    let asks = [Asked::Begin, Asked::Confirm];
    let word = Asked::Resolve("a", tercet_wire::ResolvedAs::Cancelled);
    let case = Case { may_refuse: false, ..open(&asks, &[word], faults) };
    explore("by hand", case);
}

/// Keeps P1.
#[test]
fn an_operator_who_has_a_branch_called_elsewhere() {
    let faults = Faults { crashes: 1, lost: 1, ..NO_FAULTS };
    let asks = [Asked::Begin, Asked::Confirm];
    let case = Case { may_refuse: false, ..open(&asks, &[Asked::Readdress("a")], faults) };
    explore("called elsewhere", case);
}

/// Keeps P5.
#[test]
fn a_message_that_is_put_off_and_a_crash() {
    let later = delayed(with_legs("a", 0, &[Op::Confirm]), 1_000);
    let spec = spec("t", false, vec![later, branch("b", 1)]);
    let case = two_branches(Faults { crashes: 1, lost: 1, ..NO_FAULTS }, &[]);
    explore("put off", Case { spec, ..case });
}

/// Keeps P1, P5.
#[test]
fn two_that_are_registered_at_once_and_a_crash() {
    let asks = [Asked::Begin, Asked::RegisterAtOnce(vec!["a", "b"]), Asked::Confirm];
    let case = open(&asks, &[], Faults { crashes: 1, ..NO_FAULTS });
    explore("at once", Case { spec: spec("t", true, Vec::new()), ..case });
}
