//! "Cut the journal after each record, recover, same outcome", for every shape of
//! transaction and every course it can take. P5.

mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{Rules, StoredTransaction, Ticket};
use tercet_wire::{Op, ResolvedAs, Spec};
use world::content::{branch, delayed, initiators, spec, with_legs};
use world::{Asked, World};

/// A transaction, what its initiator asks, and how its participants behave.
struct Script {
    name: &'static str,
    spec: Arc<Spec>,
    asks: Vec<Asked>,
    /// Participants that refuse their Try.
    refuse: BTreeSet<&'static str>,
    /// Calls that are lost, by the order in which they are made.
    lose: BTreeSet<usize>,
    /// A participant that never acknowledges a decision, and what an operator makes of it.
    by_hand: Option<(&'static str, ResolvedAs)>,
    /// Whether nothing that only waits stays in memory.
    leaves_memory: bool,
    /// By how much the wall clock is set back once it is decided.
    set_back: Duration,
    /// How long it takes, where no process is killed.
    takes: Option<Duration>,
    outcome: &'static str,
}

fn scripts() -> Vec<Script> {
    use Asked::{Begin, Cancel, Confirm, Register};
    let none = BTreeSet::new;
    let script = |name, spec, asks: &[Asked], outcome| Script {
        name,
        spec,
        asks: asks.to_vec(),
        refuse: none(),
        lose: BTreeSet::new(),
        by_hand: None,
        leaves_memory: false,
        set_back: Duration::ZERO,
        takes: None,
        outcome,
    };
    let put_off = |id, position, ms| delayed(with_legs(id, position, &[Op::Confirm]), ms);
    let two = || spec("two", false, vec![branch("a", 0), branch("b", 1)]);
    let open = || spec("open", true, vec![]);
    vec![
        script("everyone tries and confirms", two(), &[Begin], "confirmed a=taken b=taken"),
        Script {
            refuse: BTreeSet::from(["b"]),
            ..script("one refuses", two(), &[Begin], "cancelled a=released b=released")
        },
        Script {
            refuse: BTreeSet::from(["a", "b"]),
            ..script("both refuse", two(), &[Begin], "cancelled a=released b=released")
        },
        Script {
            lose: BTreeSet::from([0, 2, 4]),
            ..script("some calls are lost", two(), &[Begin], "confirmed a=taken b=taken")
        },
        script(
            "only confirm legs: a reliable message",
            spec("message", false, vec![with_legs("a", 0, &[Op::Confirm])]),
            &[Begin],
            "confirmed a=taken",
        ),
        script(
            "a saga step has no confirm",
            spec("saga", false, vec![with_legs("a", 0, &[Op::Try, Op::Cancel]), branch("b", 1)]),
            &[Begin],
            "confirmed a=reserved b=taken",
        ),
        script(
            "open: registered, tried, confirmed",
            open(),
            &[Begin, Register("a"), Register("b"), Confirm],
            "confirmed a=taken b=taken",
        ),
        script(
            "open: cancelled on request",
            open(),
            &[Begin, Register("a"), Cancel],
            "cancelled a=released",
        ),
        Script {
            refuse: BTreeSet::from(["b"]),
            ..script(
                "open: a refused Try cancels",
                open(),
                &[Begin, Register("a"), Register("b")],
                "cancelled a=released b=released",
            )
        },
        script(
            "open: two at once, tried, confirmed",
            open(),
            &[Begin, Asked::RegisterAtOnce(vec!["a", "b"]), Confirm],
            "confirmed a=taken b=taken",
        ),
        Script {
            refuse: BTreeSet::from(["b"]),
            ..script(
                "open: two at once, and one refuses",
                open(),
                &[Begin, Asked::RegisterAtOnce(vec!["a", "b"])],
                "cancelled a=released b=released",
            )
        },
        script(
            "a delayed message beside one that is not",
            spec(
                "delayed",
                false,
                vec![with_legs("a", 0, &[Op::Confirm]), delayed(branch("b", 1), 60_000)],
            ),
            &[Begin],
            "confirmed a=taken b=taken",
        ),
        // One whose time has come does not stand for another's (seeds 202 and 1497).
        Script {
            leaves_memory: true,
            takes: Some(Duration::from_secs(60)),
            ..script(
                "two delayed messages, which wait in the journal",
                spec("delayed", false, vec![put_off("a", 0, 10_000), put_off("b", 1, 60_000)]),
                &[Begin],
                "confirmed a=taken b=taken",
            )
        },
        // Nor do the rows, which say it by the wall clock, put it off anew (seed 7862).
        Script {
            leaves_memory: true,
            set_back: Duration::from_millis(500),
            takes: Some(Duration::from_secs(60)),
            ..script(
                "a delayed message, and a clock that is set back a little while it waits",
                spec("delayed", false, vec![put_off("a", 0, 60_000)]),
                &[Begin],
                "confirmed a=taken",
            )
        },
        Script {
            leaves_memory: true,
            set_back: Duration::from_secs(3_600),
            takes: Some(Duration::from_secs(60)),
            ..script(
                "two delayed messages, and a clock that is set back by an hour",
                spec("delayed", false, vec![put_off("a", 0, 10_000), put_off("b", 1, 60_000)]),
                &[Begin],
                "confirmed a=taken b=taken",
            )
        },
        // While it waits for another it comes back again and again, and is to be shown to people
        // first.
        Script {
            leaves_memory: true,
            lose: BTreeSet::from([0, 1, 2, 3, 4]),
            set_back: Duration::from_secs(3_600),
            takes: Some(Duration::from_secs(300)),
            ..script(
                "a delayed message beside one that is lost, and a clock that is set back",
                spec(
                    "delayed",
                    false,
                    vec![with_legs("a", 0, &[Op::Confirm]), put_off("b", 1, 300_000)],
                ),
                &[Begin],
                "confirmed a=taken b=taken",
            )
        },
        script("open: confirmed empty", open(), &[Begin, Confirm], "confirmed "),
        script(
            "open: the initiator vanishes, the deadline cleans up",
            open(),
            &[Begin, Register("a")],
            "cancelled a=released",
        ),
        script(
            "open: the initiator calls Try itself and dies",
            spec("own", true, vec![initiators("a")]),
            &[Begin],
            "cancelled a=released",
        ),
        Script {
            by_hand: Some(("b", ResolvedAs::Confirmed)),
            ..script(
                "one never confirms, and an operator says that it did",
                two(),
                &[Begin],
                "confirmed a=taken b=reserved (confirmed by hand)",
            )
        },
        Script {
            by_hand: Some(("a", ResolvedAs::Cancelled)),
            ..script(
                "one never confirms, and an operator gives it up",
                two(),
                &[Begin],
                "confirmed a=reserved (cancelled by hand) b=taken",
            )
        },
        Script {
            refuse: BTreeSet::from(["a"]),
            by_hand: Some(("b", ResolvedAs::Cancelled)),
            ..script(
                "one never cancels, and an operator says that it did",
                two(),
                &[Begin],
                "cancelled a=released b=reserved (cancelled by hand)",
            )
        },
    ]
}

impl Script {
    fn participants(&self) -> Vec<&'static str> {
        self.asks.iter().flat_map(Asked::registers).collect()
    }

    /// Whether this call is one that is never acknowledged.
    fn never(&self, ticket: &Ticket) -> bool {
        let stuck = self.by_hand.is_some_and(|(id, _)| id == ticket.branch.as_str());
        stuck && ticket.op != Op::Try
    }

    /// Once everyone else has acknowledged, be a call under way or not.
    fn operator_steps_in(&self, world: &World) -> bool {
        let Some((id, _)) = self.by_hand else { return false };
        let stuck = world.core.engine().transaction(&self.spec.gid).is_some_and(|transaction| {
            let branches = transaction.branches().iter();
            transaction.decision().is_some()
                && branches.filter(|branch| !branch.is_done()).all(|it| it.id().as_str() == id)
        });
        stuck && !world.waiting.values().any(|asked| matches!(asked, Asked::Resolve(..)))
    }

    /// Runs it to the end, with the process killed as soon as this many records are written.
    /// Returns the world and how many records it took in all.
    fn run(&self, kill_after: Option<usize>) -> (World, usize) {
        let mut world = World::new(Rules::default(), &self.spec, &self.participants());
        if self.leaves_memory {
            world = world.with_room_for(0);
            // The longest pauses, in which it leaves.
            world.now.entropy = u64::MAX;
        }
        let (began, mut set_back) = (world.now.mono, self.set_back);
        let (mut written, mut called, mut killed) = (0, 0, kill_after.is_none());
        let mut to_ask: Vec<Asked> = self.asks.iter().rev().cloned().collect();
        for _ in 0..10_000 {
            if !killed && kill_after == Some(written) {
                killed = true;
                // Nobody heard anything, so everybody asks again, first things first.
                let mut unanswered = world.crash();
                unanswered.sort();
                to_ask.extend(unanswered.into_iter().rev());
            } else if !world.queue.is_empty() {
                world.write_one();
                written += 1;
                // Told at once, unless the process dies between commit and notice.
                if killed || kill_after != Some(written) {
                    world.tell_durable();
                }
            } else if self.operator_steps_in(&world) {
                let (id, as_) = self.by_hand.expect("there is an operator");
                world.ask(&self.spec, Asked::Resolve(id, as_));
            } else if !world.calls.is_empty() {
                // The one that never acknowledges is called again and again; others come first.
                let others = world.calls.iter().position(|(ticket, _)| !self.never(ticket));
                let next = others.unwrap_or(0);
                let (ticket, _) = world.calls[next].clone();
                if self.lose.contains(&called) || self.never(&ticket) {
                    world.lose_call(next);
                } else {
                    world.deliver_call(next, self.refuse.contains(ticket.branch.as_str()), false);
                }
                called += 1;
            } else if !world.answers.is_empty() {
                let others = world.answers.iter().position(|(ticket, _)| !self.never(ticket));
                world.deliver_answer(others.unwrap_or(0));
            } else if world.waiting.is_empty() && !to_ask.is_empty() {
                let asked = to_ask.pop().expect("not empty");
                world.ask(&self.spec, asked);
            } else if !world.waiting.is_empty() && self.spec.open && !to_ask.is_empty() {
                // An open begin is answered at once, so this cannot be reached.
                unreachable!("an open transaction keeps its initiator waiting");
            } else {
                let is_decided = |rows: &StoredTransaction| rows.decided.is_some();
                if world.rows.get(&self.spec.gid).is_some_and(is_decided) {
                    world.set_the_clock_back(std::mem::take(&mut set_back));
                }
                if !world.pass_time() {
                    break;
                }
            }
        }
        let took = world.now.mono.since(began);
        if let (Some(takes), None) = (self.takes, kill_after) {
            // A moment more for what rounding may take.
            assert!(took <= takes + Duration::from_millis(10), "{}: {took:?}", self.name);
        }
        assert_eq!(world.broken, None, "{} killed after {kill_after:?}", self.name);
        (world, written)
    }
}

/// Keeps P5.
#[test]
fn a_crash_after_any_record_changes_no_outcome() {
    for script in scripts() {
        let (world, records) = script.run(None);
        assert_eq!(world.outcome(&script.spec.gid), script.outcome, "{}", script.name);
        for cut in 0..=records {
            let (world, _) = script.run(Some(cut));
            let outcome = world.outcome(&script.spec.gid);
            assert_eq!(outcome, script.outcome, "{} killed after {cut} records", script.name);
            assert!(world.waiting.is_empty(), "{}: {:?} unanswered", script.name, world.waiting);
        }
    }
}
