//! What one seed draws before anything happens: how large the world is, which faults it has and
//! how strong they are. Most seeds have few faults, strong ones: a world in which everything goes
//! wrong at once soon does nothing at all ("swarm testing", Groce et al. 2012).

use std::time::Duration;

use tercet_engine::Rules;
use tercet_wire::Backoff;

use crate::rng::Rng;

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
    pub(crate) paged_out: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) begin_lane: usize,
    /// Messages taken from one lane in a round.
    pub(crate) lane_bound: usize,
    /// Records that may wait to be durable.
    pub(crate) most_unwritten: usize,
    /// Transactions read at once while recovering.
    pub(crate) page: usize,
    pub(crate) net: NetPlan,
    pub(crate) journal: JournalPlan,
    pub(crate) dispatch: DispatchPlan,
    pub(crate) service: ServicePlan,
    pub(crate) node: NodePlan,
    pub(crate) actor: ActorPlan,
    pub(crate) initiator: InitiatorPlan,
    pub(crate) cluster: ClusterPlan,
    /// Times that an operator pauses a participant.
    pub(crate) pauses: u64,
}

/// Initiators that have a service of their own, which is asked what became of their work.
#[derive(Debug, Clone, Default)]
pub(crate) struct InitiatorPlan {
    /// Open transactions that are begun with `check`.
    pub(crate) check: u64,
    pub(crate) odd: u64,
    /// Work that takes long to commit.
    pub(crate) slow: u64,
    pub(crate) roll_back: u64,
    /// Initiators that die once their work is committed.
    pub(crate) dies: u64,
    /// Windows in which their service is not there, or cut off.
    pub(crate) outages: u64,
    pub(crate) partitions: u64,
    /// Messages that are sent with work, by way of so many relays.
    pub(crate) messages: u64,
    pub(crate) relays: usize,
    /// Statements that fail, half of them after they were done.
    pub(crate) database: u64,
    pub(crate) relay_crashes: u64,
    pub(crate) relay_freezes: u64,
}

impl InitiatorPlan {
    /// From a chance of its own: in most worlds there is no such service, and they are the same
    /// whatever stands here.
    fn draw(rng: &mut Rng) -> Self {
        if !rng.one_in(3) {
            return Self::default();
        }
        Self {
            check: rng.pick(&[0, 60, 100, 100]),
            odd: often(rng, 80),
            slow: often(rng, 80),
            roll_back: often(rng, 30),
            dies: often(rng, 60),
            outages: often(rng, 3),
            partitions: often(rng, 3),
            messages: rng.pick(&[0, 1, 3, 6]),
            relays: rng.index(2) + 1,
            database: often(rng, 20),
            relay_crashes: often(rng, 6),
            relay_freezes: often(rng, 6),
        }
    }
}

/// Several nodes on the same rows.
#[derive(Debug, Clone)]
pub(crate) struct ClusterPlan {
    pub(crate) nodes: usize,
    /// How long a life may be silent before it is taken over from.
    pub(crate) lease: Duration,
    /// Windows in which one node cannot reach the rows.
    pub(crate) cut_offs: u64,
    /// Freezes that last longer than the lease.
    pub(crate) long_freezes: u64,
    /// Nodes killed while they take over.
    pub(crate) die_taking_over: u64,
    /// Looks at an own row that show it as it was a batch before.
    pub(crate) stale_looks: u64,
    /// Whoever asks goes to another node than before.
    pub(crate) wander: u64,
}

impl ClusterPlan {
    /// From a chance of its own, so that a world of one node is the same whatever stands here.
    fn draw(rng: &mut Rng) -> Self {
        Self {
            nodes: rng.pick(&[1, 1, 1, 1, 1, 2, 2, 3]),
            lease: Duration::from_secs(2),
            cut_offs: often(rng, 3),
            long_freezes: often(rng, 3),
            die_taking_over: often(rng, 15),
            stale_looks: often(rng, 60),
            wander: rng.pick(&[0, 30, 100]),
        }
    }
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
    /// How long servers keep connections that nobody uses.
    pub(crate) keep_alive: u64,
}

/// What the journal's database does.
#[derive(Debug, Clone)]
pub(crate) struct JournalPlan {
    pub(crate) batch: usize,
    /// How long what nobody waits for is held back.
    pub(crate) linger: u64,
    /// How long nothing is written at most.
    pub(crate) silence: u64,
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
    pub(crate) breaker_threshold: usize,
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
    /// Stops in order, each with a grace.
    pub(crate) stops: u64,
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
    /// Whoever asks hangs up before they are answered.
    pub(crate) hang_up: u64,
}

impl Plan {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let cluster = ClusterPlan::draw(&mut Rng::new(rng.clone().next()));
        let initiator = InitiatorPlan::draw(&mut Rng::new(rng.clone().next().rotate_left(32)));
        let pauses = seldom(&mut Rng::new(rng.clone().next().rotate_left(16)), 3);
        let mut plan = Self { pauses, ..Self::draw_with(cluster, initiator, rng) };
        if plan.cluster.nodes > 1 {
            // A heartbeat; and what only one process can do to its file, or mends by a restart.
            plan.journal.silence = 500;
            plan.journal.rejected = 0;
            plan.journal.unreadable = 0;
        }
        plan
    }

    fn draw_with(cluster: ClusterPlan, initiator: InitiatorPlan, rng: &mut Rng) -> Self {
        let heal_at = rng.pick(&[2_000, 10_000, 30_000, 90_000]);
        let rules = Rules {
            try_attempts: rng.pick(&[1, 3, 3, 6]),
            backoff: Backoff::default(),
            park_after_permanent_errors: rng.pick(&[1, 3]),
            park_after: Duration::from_millis(rng.pick(&[2_000, 60_000])),
            ack_flush_after: Duration::from_millis(rng.pick(&[0, 100, 1_000])),
            history_lines: rng.pick(&[0, 5, 100]),
            branches: rng.pick(&[2, 64, 64]),
            ..Rules::default()
        };
        Self {
            services: rng.index(4) + 1,
            transactions: rng.between(1, 8),
            heal_at,
            rules,
            live_transactions: rng.pick(&[2, 1_000, 1_000]),
            waiters: rng.pick(&[1, 1_000, 1_000]),
            waiting: rng.pick(&[0, 1, 2, 1_000, 1_000]),
            paged_out: rng.pick(&[1, 1_000]),
            request_timeout: Duration::from_millis(rng.pick(&[200, 5_000])),
            begin_lane: rng.pick(&[1, 100, 100]),
            lane_bound: rng.pick(&[1, 2, 1_024, 1_024]),
            most_unwritten: rng.pick(&[3, 1_000, 1_000, 1_000, 1_000]),
            page: rng.pick(&[1, 2, 500]),
            net: NetPlan {
                delay: rng.pick(&[0, 1, 20, 300]),
                lose_call: often(rng, 40),
                lose_answer: often(rng, 40),
                double: often(rng, 50),
                late: often(rng, 30),
                stale: often(rng, 100),
                partitions: often(rng, 3),
                keep_alive: rng.pick(&[500, 2_000, 60_000]),
            },
            journal: JournalPlan {
                batch: rng.pick(&[1, 3, 512, 512]),
                linger: rng.pick(&[0, 10, 500]),
                silence: rng.pick(&[500, 60_000]),
                commit: rng.pick(&[0, 2, 30]),
                fail_before: often(rng, 50),
                fail_after: often(rng, 50),
                stall: often(rng, 10),
                full: seldom(rng, 2),
                load_fails: often(rng, 50),
                load_late: seldom(rng, 50),
                rejected: seldom(rng, 40),
                unreadable: seldom(rng, 30),
            },
            dispatch: DispatchPlan {
                concurrency: rng.pick(&[1, 2, 64]),
                queue: rng.pick(&[0, 2, 1_024]),
                inbox: rng.pick(&[1, 1_000, 1_000, 1_000]),
                breaker_threshold: rng.pick(&[1, 2, 5]),
            },
            service: ServicePlan {
                stock: rng.pick(&[3, 20, 1_000]),
                refuse: often(rng, 30),
                odd: often(rng, 40),
                wrong: rng.one_in(3),
                slow: often(rng, 30),
                outages: often(rng, 3),
                crashes: often(rng, 3),
            },
            node: NodePlan {
                crashes: often(rng, 4),
                crash_again: often(rng, 60),
                stops: seldom(rng, 3),
                freezes: often(rng, 3),
                wall_jumps: often(rng, 3),
            },
            actor: ActorPlan {
                vanish: often(rng, 40),
                contend: often(rng, 60),
                repeat: often(rng, 50),
                other_content: often(rng, 30),
                taken_gid: seldom(rng, 50),
                operators: often(rng, 60),
                hang_up: often(rng, 30),
            },
            initiator,
            cluster,
            pauses: 0,
        }
    }
}

/// On in half of the worlds, of any strength.
fn often(rng: &mut Rng, most: u64) -> u64 {
    if rng.one_in(2) { rng.between(1, most) } else { 0 }
}

/// On in one world of five.
fn seldom(rng: &mut Rng, most: u64) -> u64 {
    if rng.one_in(5) { rng.between(1, most) } else { 0 }
}
