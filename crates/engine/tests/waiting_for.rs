//! Who waits for which participant. P7.

mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use tercet_engine::{Input, Until, WaitingFor};
use tercet_wire::{Answer, BranchSpec, PerOp};
use world::content::{branch, spec};
use world::node::{Node, two_may_wait};

/// All legs at one participant whose URL names no port.
fn at_pay(id: &str) -> BranchSpec {
    let url = |op: &str| Some(Arc::new(format!("http://pay/{op}").parse().expect("a URL")));
    let urls = PerOp { try_: url("try"), confirm: url("confirm"), cancel: url("cancel") };
    BranchSpec { urls, ..branch(id, 0) }
}

fn waits(waiting: usize, called: usize) -> WaitingFor {
    WaitingFor { waiting, called, ..WaitingFor::default() }
}

#[test]
fn one_look_says_who_waits_for_each_participant_wherever_it_waits() {
    let mut node = Node::with(two_may_wait());
    for id in ["t1", "t2", "t3"] {
        node.stuck(id);
        node.driver.pass(1);
    }
    assert!(!node.is_live("t1"), "it is paged out, and waits all the same");
    let begun = node.driver.begin(&spec("p", false, vec![at_pay("a")]), Until::Accepted);
    let tries = node.advance(begun).calls;
    let names = ["127.0.0.1:7301", "pay:80", "nobody:80"];
    let expected = |pay: WaitingFor| {
        let each = [waits(3, 0), pay, WaitingFor::default()];
        names.map(str::to_owned).into_iter().zip(each).collect::<BTreeMap<_, _>>()
    };
    let found = |node: &Node| node.driver.core.engine().waiting_for(names);
    assert_eq!(found(&node), expected(waits(1, 1)));
    let nothing = Answer::Nothing { why: "connection refused".to_owned() };
    node.driver.now.entropy = u64::MAX;
    node.input(Input::Answered(tries[0].ticket.clone(), nothing));
    let last_error = Some(Arc::from("connection refused"));
    assert_eq!(found(&node), expected(WaitingFor { last_error, ..waits(1, 0) }));
    assert_eq!(node.driver.core.engine().waiting_for([]), BTreeMap::new());
}
