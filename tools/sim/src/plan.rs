//! What one seed draws before anything happens: how large the world is, which faults it has and
//! how strong they are. Most seeds have few faults, strong ones: a world in which everything goes
//! wrong at once soon does nothing at all ("swarm testing", Groce et al. 2012).

use std::time::Duration;

use tercet_engine::Rules;
use tercet_wire::Backoff;

use crate::chance::Chance;

/// What one seed draws. Percentages are of single messages, times in virtual milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) services: usize,
    pub(crate) transactions: u64,
    /// When all faults end.
    pub(crate) heal_at: u64,
    pub(crate) rules: Rules,
    pub(crate) live_transactions: usize,
    pub(crate) waiters: usize,
    /// Decided transactions that only wait and may stay in memory.
    pub(crate) waiting: usize,
    pub(crate) resting: usize,
    pub(crate) answer_within: Duration,
    pub(crate) begin_lane: usize,
    /// Transactions read at once while recovering.
    pub(crate) page: usize,
    pub(crate) net: NetPlan,
    pub(crate) journal: JournalPlan,
    pub(crate) dispatch: DispatchPlan,
    pub(crate) service: ServicePlan,
    pub(crate) node: NodePlan,
    pub(crate) actor: ActorPlan,
}

/// What the network does to calls and answers.
#[derive(Debug, Clone)]
pub(crate) struct NetPlan {
    pub(crate) delay: u64,
    pub(crate) lose_call: u64,
    pub(crate) lose_answer: u64,
    pub(crate) double: u64,
    /// A call that arrives long after whoever made it has given it up.
    pub(crate) late: u64,
    /// An answer that arrives although its caller has given it up, or is another life by now.
    pub(crate) stale: u64,
    /// Windows in which one service is cut off: nothing arrives, nothing is refused.
    pub(crate) partitions: u64,
}

/// What the journal's database does.
#[derive(Debug, Clone)]
pub(crate) struct JournalPlan {
    pub(crate) batch: usize,
    pub(crate) commit: u64,
    pub(crate) fail_before: u64,
    pub(crate) fail_after: u64,
    pub(crate) stall: u64,
    /// Windows in which nothing can be written: the disk is full.
    pub(crate) full: u64,
    pub(crate) load_fails: u64,
    /// Reads whose answer comes late, past those that were asked for after them.
    pub(crate) load_late: u64,
    /// Transactions whose records the database rejects.
    pub(crate) rejected: u64,
    /// Transactions whose rows cannot be read after a crash.
    pub(crate) unreadable: u64,
}

/// What the dispatcher may use.
#[derive(Debug, Clone)]
pub(crate) struct DispatchPlan {
    pub(crate) concurrency: usize,
    pub(crate) queue: usize,
    /// Calls under way over all destinations.
    pub(crate) inbox: usize,
    pub(crate) breaker_failures: usize,
}

/// What participants do.
#[derive(Debug, Clone)]
pub(crate) struct ServicePlan {
    pub(crate) stock: u64,
    pub(crate) refuse: u64,
    /// Odd answers: 500, 503, 202, 409 with Retry-After, 410, nonsense.
    pub(crate) odd: u64,
    /// One service that answers wrongly until all faults end.
    pub(crate) wrong: bool,
    pub(crate) slow: u64,
    /// Windows in which one service is not there.
    pub(crate) outages: u64,
    /// Crashes of one service, which lose what it has not committed.
    pub(crate) crashes: u64,
}

/// What happens to the coordinator's process.
#[derive(Debug, Clone)]
pub(crate) struct NodePlan {
    pub(crate) crashes: u64,
    pub(crate) crash_again: u64,
    pub(crate) freezes: u64,
    pub(crate) wall_jumps: u64,
}

/// What initiators do.
#[derive(Debug, Clone)]
pub(crate) struct ActorPlan {
    pub(crate) vanish: u64,
    pub(crate) contend: u64,
    pub(crate) repeat: u64,
    pub(crate) other_content: u64,
    /// A generated gid that is taken: only chance or a second node could bring it about.
    pub(crate) taken_gid: u64,
    pub(crate) operators: u64,
}

impl Plan {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        let heal_at = chance.pick(&[2_000, 10_000, 30_000, 90_000]);
        let rules = Rules {
            try_attempts: chance.pick(&[1, 3, 3, 6]),
            backoff: Backoff::default(),
            park_after_wrong: chance.pick(&[1, 3]),
            park_after_doubt: Duration::from_millis(chance.pick(&[2_000, 60_000])),
            ack_alone_after: Duration::from_millis(chance.pick(&[0, 100, 1_000])),
            history_lines: chance.pick(&[0, 5, 100]),
            branches: chance.pick(&[2, 64, 64]),
            ..Rules::default()
        };
        Self {
            services: chance.index(4) + 1,
            transactions: chance.between(1, 8),
            heal_at,
            rules,
            live_transactions: chance.pick(&[2, 1_000, 1_000]),
            waiters: chance.pick(&[1, 1_000, 1_000]),
            waiting: chance.pick(&[0, 1, 2, 1_000, 1_000]),
            resting: chance.pick(&[1, 1_000]),
            answer_within: Duration::from_millis(chance.pick(&[200, 5_000])),
            begin_lane: chance.pick(&[1, 100, 100]),
            page: chance.pick(&[1, 2, 500]),
            net: NetPlan {
                delay: chance.pick(&[0, 1, 20, 300]),
                lose_call: often(chance, 40),
                lose_answer: often(chance, 40),
                double: often(chance, 50),
                late: often(chance, 30),
                stale: often(chance, 100),
                partitions: often(chance, 3),
            },
            journal: JournalPlan {
                batch: chance.pick(&[1, 3, 512, 512]),
                commit: chance.pick(&[0, 2, 30]),
                fail_before: often(chance, 50),
                fail_after: often(chance, 50),
                stall: often(chance, 10),
                full: seldom(chance, 2),
                load_fails: often(chance, 50),
                load_late: seldom(chance, 50),
                rejected: seldom(chance, 20),
                unreadable: seldom(chance, 30),
            },
            dispatch: DispatchPlan {
                concurrency: chance.pick(&[1, 2, 64]),
                queue: chance.pick(&[0, 2, 1_024]),
                inbox: chance.pick(&[1, 1_000, 1_000, 1_000]),
                breaker_failures: chance.pick(&[1, 2, 5]),
            },
            service: ServicePlan {
                stock: chance.pick(&[3, 20, 1_000]),
                refuse: often(chance, 30),
                odd: often(chance, 40),
                wrong: chance.one_in(5),
                slow: often(chance, 30),
                outages: often(chance, 3),
                crashes: often(chance, 3),
            },
            node: NodePlan {
                crashes: often(chance, 4),
                crash_again: often(chance, 60),
                freezes: often(chance, 3),
                wall_jumps: often(chance, 3),
            },
            actor: ActorPlan {
                vanish: often(chance, 40),
                contend: often(chance, 60),
                repeat: often(chance, 50),
                other_content: often(chance, 30),
                taken_gid: seldom(chance, 50),
                operators: seldom(chance, 30),
            },
        }
    }
}

/// On in half of the worlds, of any strength.
fn often(chance: &mut Chance, most: u64) -> u64 {
    if chance.one_in(2) { chance.between(1, most) } else { 0 }
}

/// On in one world of five.
fn seldom(chance: &mut Chance, most: u64) -> u64 {
    if chance.one_in(5) { chance.between(1, most) } else { 0 }
}
