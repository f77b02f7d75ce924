//! Courses of events, as data.

use Op::{Cancel, Confirm, Try};
use tercet_wire::{Op, header};

use super::caller::Twist;
use super::model::Kind;
use super::rule::Rule;

/// A course of events, and the rule that is broken if it does not go as it should.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) rule: Rule,
    pub(super) cast: Vec<Role>,
    pub(super) steps: Vec<Step>,
}

/// A branch that takes part; the steps know it by its position in the cast.
#[derive(Debug, Clone)]
pub(super) struct Role {
    /// Added to the scenario's gid.
    pub(super) gid_suffix: &'static str,
    pub(super) branch: &'static str,
    pub(super) kind: Kind,
}

/// What happens next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A call, repeated until it is settled.
    Call(usize, Op),
    /// An odd call, repeated until it is settled.
    Odd(usize, Op, Twist),
    /// Calls at once.
    AtOnce(Vec<(usize, Op)>),
    /// A call whose caller hangs up after so many milliseconds.
    HangUp(usize, Op, u64),
    /// The balances are compared. Every scenario ends with it.
    Look,
}

impl Role {
    pub(super) const USUAL: Self = Self::of("", "b1", Kind::Usual);

    const fn of(gid_suffix: &'static str, branch: &'static str, kind: Kind) -> Self {
        Self { gid_suffix, branch, kind }
    }
}

fn alone(rule: Rule, steps: Vec<Step>) -> Scenario {
    Scenario { rule, cast: vec![Role::USUAL], steps }
}

fn at_once(op: Op, times: usize) -> Step {
    Step::AtOnce(vec![(0, op); times])
}

/// The scenarios that are the same for every seed; those with races once a round.
pub(super) fn all(rounds: u32, with_refusal: bool, with_secret: bool) -> Vec<Scenario> {
    let mut scenarios = repeats();
    scenarios.extend(contradictions());
    if with_refusal {
        let cast = vec![Role::of("", "b1", Kind::Refused)];
        let steps = calls(&[Try, Try, Cancel, Cancel]);
        scenarios.push(Scenario { rule: Rule::RefusedTry, cast, steps });
    }
    scenarios.extend(headers());
    if with_secret {
        scenarios.push(alone(Rule::OnlySigned, signatures()));
    }
    scenarios.extend(identities());
    scenarios.extend(hang_ups());
    for _ in 0..rounds {
        scenarios.extend(races());
    }
    scenarios
}

/// Calls of the one branch, one after the other, with a look after each.
fn calls(ops: &[Op]) -> Vec<Step> {
    ops.iter().flat_map(|op| [Step::Call(0, *op), Step::Look]).collect()
}

fn repeats() -> Vec<Scenario> {
    vec![
        alone(Rule::RepeatedTry, calls(&[Try, Try, Try, Cancel])),
        alone(Rule::RepeatedConfirm, calls(&[Try, Confirm, Confirm, Confirm])),
        alone(Rule::RepeatedCancel, calls(&[Try, Cancel, Cancel, Cancel])),
    ]
}

fn contradictions() -> Vec<Scenario> {
    vec![
        alone(Rule::EmptyCancel, calls(&[Cancel, Cancel])),
        alone(Rule::HangingTry, calls(&[Cancel, Try, Try])),
        alone(Rule::HangingTry, calls(&[Try, Cancel, Try])),
        alone(Rule::TryAfterConfirm, calls(&[Try, Confirm, Try])),
        alone(Rule::ConfirmWithoutTry, calls(&[Confirm, Cancel])),
        alone(Rule::ConfirmAfterCancel, calls(&[Try, Cancel, Confirm])),
        alone(Rule::ConfirmAfterCancel, calls(&[Cancel, Confirm])),
        alone(Rule::CancelAfterConfirm, calls(&[Try, Confirm, Cancel, Confirm])),
    ]
}

fn headers() -> Vec<Scenario> {
    let odd = |twist| {
        vec![Step::Odd(0, Try, twist), Step::Odd(0, Try, twist), Step::Look, Step::Call(0, Cancel)]
    };
    let mut missing = Vec::new();
    for name in [header::GID, header::BRANCH, header::INSTANCE] {
        missing.extend([Step::Odd(0, Try, Twist::Without(name)), Step::Look]);
    }
    let attempts = vec![
        Step::Odd(0, Try, Twist::NinthAttempt),
        Step::Look,
        Step::Odd(0, Try, Twist::None),
        Step::Odd(0, Try, Twist::NoHints),
        Step::Look,
        Step::Odd(0, Cancel, Twist::NinthAttempt),
        Step::Odd(0, Cancel, Twist::NoHints),
    ];
    vec![
        alone(Rule::AttemptIsAHint, attempts),
        alone(Rule::UnknownHeaders, odd(Twist::UnknownHeaders)),
        alone(Rule::MissingHeaders, missing),
    ]
}

/// What must not be done is tried on its own, and where what is signed was done.
fn signatures() -> Vec<Step> {
    let wrong = [Twist::Unsigned, Twist::SignedByAStranger, Twist::SignedLongAgo];
    let each = |op| wrong.into_iter().flat_map(move |twist| [Step::Odd(0, op, twist), Step::Look]);
    let tried = each(Try).chain([Step::Call(0, Try), Step::Look]);
    tried.chain(each(Confirm)).chain(each(Cancel)).chain([Step::Call(0, Cancel)]).collect()
}

fn identities() -> Vec<Scenario> {
    let pair = |one: Role, other: Role| {
        // The first is confirmed, the second cancelled, each with the other between its calls.
        let steps = [(0, Try), (1, Try), (1, Cancel), (0, Confirm), (1, Cancel), (0, Confirm)];
        let steps = steps.into_iter().flat_map(|(who, op)| [Step::Call(who, op), Step::Look]);
        (vec![one, other], steps.collect::<Vec<Step>>())
    };
    let usual = |gid_suffix, branch| Role::of(gid_suffix, branch, Kind::Usual);
    let separate = [
        (Rule::OtherBranch, usual("", "b1"), usual("", "b10")),
        (Rule::OtherBranch, usual("", "b"), usual("", "B")),
        (Rule::SimilarGids, usual(".1", "b1"), usual(".10", "b1")),
        (Rule::SimilarGids, usual(".a", "b1"), usual(".A", "b1")),
        (Rule::SimilarGids, usual(":p", "q"), usual("", "p:q")),
        (Rule::SimilarGids, usual("-p", "q"), usual("", "p-q")),
        (Rule::SecondInstance, Role::USUAL, Role::of("", "b1", Kind::OtherLife)),
    ];
    let mut scenarios: Vec<Scenario> = separate
        .into_iter()
        .map(|(rule, one, other)| {
            let (cast, steps) = pair(one, other);
            Scenario { rule, cast, steps }
        })
        .collect();
    // The later instance decides first: a stray Confirm or Cancel must not touch the earlier one.
    let steps = [(0, Try), (1, Confirm), (1, Cancel), (0, Cancel), (1, Try), (1, Cancel)];
    let steps = steps.into_iter().flat_map(|(who, op)| [Step::Call(who, op), Step::Look]);
    scenarios.push(Scenario {
        rule: Rule::SecondInstance,
        cast: vec![Role::USUAL, Role::of("", "b1", Kind::OtherLife)],
        steps: steps.collect(),
    });
    scenarios
}

fn hang_ups() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    // At once: the participant may not even have begun. Later: it may be in the middle of it.
    for after_ms in [0, 1, 4] {
        let lost = |op| Step::HangUp(0, op, after_ms);
        let call = |op| Step::Call(0, op);
        let courses = [
            vec![lost(Try), call(Cancel)],
            vec![lost(Try), call(Try), Step::Look, lost(Cancel), call(Cancel)],
            vec![lost(Try), call(Try), lost(Confirm), call(Confirm)],
            vec![call(Try), lost(Cancel), lost(Try), call(Cancel)],
        ];
        scenarios.extend(courses.map(|steps| alone(Rule::LostAnswers, steps)));
    }
    scenarios
}

fn races() -> Vec<Scenario> {
    let tried = || Step::Call(0, Try);
    let several: Vec<Role> = ["b1", "b2", "b3", "b4", "b5", "b6"]
        .into_iter()
        .map(|branch| Role::of("", branch, Kind::Usual))
        .collect();
    let everyone = |op| Step::AtOnce((0..6).map(|who| (who, op)).collect());
    vec![
        alone(Rule::RacingTries, vec![at_once(Try, 6), Step::Look, Step::Call(0, Cancel)]),
        alone(Rule::RacingConfirms, vec![tried(), at_once(Confirm, 6)]),
        alone(Rule::RacingCancels, vec![tried(), at_once(Cancel, 6)]),
        alone(
            Rule::TryRacingCancel,
            vec![Step::AtOnce(vec![(0, Try), (0, Cancel), (0, Try)]), Step::Look, tried()],
        ),
        alone(
            Rule::ConfirmRacingCancel,
            vec![tried(), Step::AtOnce(vec![(0, Confirm), (0, Cancel)])],
        ),
        Scenario {
            rule: Rule::BranchesAtOnce,
            cast: several,
            steps: vec![everyone(Try), Step::Look, everyone(Cancel)],
        },
    ]
}
