//! Several branches registered at once: all of them or none, in one record.

mod world;

use tercet_engine::{Ask, Call, Commands, Rules, Until};
use tercet_wire::{BranchSpec, Op};
use world::content::{at_once, branch, gid, placed, saga, spec, together, with_legs};
use world::driver::{Driver, calls, records, replies};

const NOTHING: [&str; 0] = [];

/// An open transaction of which nothing is decided.
fn open() -> Driver {
    let mut driver = Driver::new();
    driver.begun(&spec("t", true, vec![]));
    driver
}

fn register(driver: &mut Driver, branches: Vec<BranchSpec>) -> Commands {
    driver.ask(&gid("t"), Ask::RegisterAtOnce(branches), Until::Tried)
}

/// What is said to it, once all is durable.
fn told(driver: &mut Driver, branches: Vec<BranchSpec>) -> String {
    let told = replies(&register(driver, branches));
    [told, replies(&driver.durable())].concat().join(", ")
}

fn of<'a>(calls: &'a [Call], id: &str) -> &'a Call {
    calls.iter().find(|call| call.ticket.branch.as_str() == id).expect("it is called")
}

/// Keeps P1.
#[test]
fn several_are_one_record_and_are_tried_together() {
    let mut driver = open();
    let asked = register(&mut driver, at_once(&["a", "b", "c"]));
    assert_eq!(records(&asked), ["RegisteredAtOnce"]);
    assert_eq!([calls(&asked), replies(&asked)].concat(), NOTHING);
    let tries = driver.durable().calls;
    assert_eq!(tries.len(), 3);
    assert_eq!(replies(&driver.answer(of(&tries, "a"), 200)), NOTHING);
    driver.durable();
    driver.answer(of(&tries, "c"), 200);
    assert_eq!(replies(&driver.durable()), NOTHING, "b is not tried yet");
    driver.answer(of(&tries, "b"), 200);
    assert_eq!(replies(&driver.durable()), ["2 201 a tried, b tried, c tried"]);
    let positions =
        driver.rows(&gid("t")).branches.iter().map(|it| it.position).collect::<Vec<_>>();
    assert_eq!(positions, [0, 1, 2]);
}

/// Keeps P7.
#[test]
fn who_waits_in_vain_is_told_how_far_they_are() {
    let mut driver = open();
    register(&mut driver, at_once(&["a", "b"]));
    let tries = driver.durable().calls;
    driver.answer(of(&tries, "a"), 200);
    driver.durable();
    assert_eq!(replies(&driver.pass(10_000)), ["2 202 a tried, b registered"]);
}

/// Keeps P2.
#[test]
fn one_that_is_refused_is_the_answer_to_all() {
    let mut driver = open();
    register(&mut driver, at_once(&["a", "b"]));
    let tries = driver.durable().calls;
    driver.answer(of(&tries, "b"), 409);
    assert_eq!(replies(&driver.durable()), ["2 201 a registered, b refused"]);
}

#[test]
fn a_repeat_is_answered_as_they_are() {
    let mut driver = open();
    register(&mut driver, at_once(&["a", "b"]));
    let tries = driver.durable().calls;
    tries.iter().for_each(|call| drop(driver.answer(call, 200)));
    driver.durable();
    assert_eq!(told(&mut driver, at_once(&["a", "b"])), "3 200 a tried, b tried");
    let after_a_crash = driver.restart(&gid("t"));
    assert_eq!(calls(&after_a_crash), NOTHING);
    assert_eq!(told(&mut driver, at_once(&["a", "b"])), "4 200 a tried, b tried");
}

#[test]
fn a_repeat_with_other_branches_is_refused_and_says_which() {
    let other = |id: &str| with_legs(id, 0, &[Op::Confirm]);
    let named = |id: &str| BranchSpec {
        fingerprint: tercet_wire::Fingerprint::from_text(&format!("other {id}")),
        ..other(id)
    };
    let cases: [(Vec<BranchSpec>, &str); 6] = [
        (together(vec![branch("a", 0), named("b")]), "place: 1, refusal: BranchReused(b)"),
        (at_once(&["a", "b", "c"]), "place: 0, refusal: BranchAmongOthers(a)"),
        (at_once(&["b", "a"]), "place: 0, refusal: BranchAmongOthers(b)"),
        (at_once(&["c", "b"]), "place: 1, refusal: BranchAmongOthers(b)"),
        (vec![branch("a", 0)], "place: 0, refusal: BranchAmongOthers(a)"),
        (at_once(&["x", "alone"]), "place: 1, refusal: BranchAmongOthers(alone)"),
    ];
    for (again, expected) in cases {
        let mut driver = open();
        register(&mut driver, at_once(&["a", "b"]));
        driver.ask(&gid("t"), Ask::Register(Box::new(branch("alone", 0))), Until::Tried);
        driver.durable();
        let before = driver.rows(&gid("t"));
        let told = told(&mut driver, again);
        assert!(told.contains(expected), "{told}");
        assert_eq!(driver.rows(&gid("t")), before, "nothing of it is registered");
    }
}

#[test]
fn one_of_them_alone_is_no_repeat() {
    let mut driver = open();
    register(&mut driver, at_once(&["a", "b"]));
    driver.durable();
    let told = driver.ask(&gid("t"), Ask::Register(Box::new(branch("a", 0))), Until::Tried);
    assert_eq!(replies(&told), ["3 BranchAmongOthers(a)"]);
}

/// Keeps P9.
#[test]
fn there_is_room_for_all_of_them_or_for_none() {
    let mut driver = Driver::rules(Rules { branches: 3, ..Rules::default() });
    driver.begun(&spec("t", true, vec![branch("a", 0)]));
    let refused = told(&mut driver, at_once(&["b", "c", "d"]));
    assert!(refused.contains("place: 2, refusal: TooManyBranches { limit: 3 }"), "{refused}");
    assert_eq!(driver.rows(&gid("t")).branches.len(), 1);
    register(&mut driver, at_once(&["b", "c"]));
    assert_eq!(driver.durable().calls.len(), 2);
}

/// Keeps P4.
#[test]
fn none_is_taken_after_the_decision() {
    let mut driver = Driver::new();
    driver.begun(&spec("t", true, vec![with_legs("message", 0, &[Op::Confirm])]));
    driver.ask(&gid("t"), Ask::Confirm, Until::Accepted);
    driver.durable();
    assert!(told(&mut driver, at_once(&["a", "b"])).ends_with("AlreadyConfirmed"));
}

#[test]
fn steps_come_after_those_before_them_and_may_name_each_other() {
    let mut driver = Driver::new();
    let first = driver.begun(&saga("t", true, vec![branch("z", 0)]));
    let diamond = vec![
        branch("a", 0),
        placed(branch("b", 0), &["a"]),
        placed(branch("c", 0), &["a"]),
        placed(branch("d", 0), &["b", "c"]),
    ];
    register(&mut driver, together(diamond));
    assert_eq!(calls(&driver.durable()), NOTHING, "a comes after z");
    driver.answer(&first[0], 200);
    let a = driver.durable().calls;
    assert_eq!((a.len(), a[0].ticket.branch.as_str()), (1, "a"));
    driver.answer(&a[0], 200);
    let both = driver.durable().calls;
    assert_eq!(both.len(), 2);
    driver.answer(of(&both, "c"), 200);
    assert_eq!(calls(&driver.durable()), NOTHING);
    driver.answer(of(&both, "b"), 200);
    assert_eq!(calls(&driver.durable()), ["d try 1"]);
}

#[test]
fn steps_without_an_order_are_refused_and_said_which() {
    let cases: [(Vec<BranchSpec>, &str); 4] = [
        (vec![branch("a", 0), placed(branch("b", 0), &["nobody"])], "place: 1"),
        (vec![placed(branch("a", 0), &["a"]), branch("b", 0)], "place: 0"),
        (vec![placed(branch("a", 0), &["b"]), branch("b", 0)], "place: 0"),
        (vec![branch("a", 0), world::content::initiators("b")], "place: 1"),
    ];
    for (steps, place) in cases {
        let mut driver = Driver::new();
        driver.begun(&saga("t", true, vec![branch("z", 0)]));
        let told = told(&mut driver, together(steps));
        assert!(told.contains("Unfit") && told.contains(place), "{told}");
        assert_eq!(driver.rows(&gid("t")).branches.len(), 1);
    }
}
