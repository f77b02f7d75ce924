//! What the shell adds to the driver: channels, a dispatcher and a journal that really run.

use std::sync::atomic::{AtomicU64, Ordering};

use tercet_clock::SystemClock;
use tercet_engine::{
    Ask, Backlog, Change, Core, Decided, Decision, DriverSettings, Engine, EngineSettings, Event,
    Input, Record, Refusal, Reply, ReplyTo, StoredTransaction, Until, Urgency,
};
use tercet_journal::{JournalSettings, MemoryRows};
use tercet_wire::{
    BranchSpec, Epoch, Fingerprint, Incarnation, Instance, Mono, Now, Op, Pattern, PerOp, Spec,
    Status, TryBy, Wall,
};

use super::*;
use crate::cluster::OwnLease;
use crate::dispatcher::{self, DispatcherSettings};
use crate::outbound::{Connector, OutboundSettings};
use crate::runtime::handle::lanes;
use crate::runtime::recovery::recover;
use crate::traces::Traces;
use crate::workers::Workers;

const START: Wall = Wall(1_763_640_000_000);

/// A second passes with every look.
#[derive(Debug, Default)]
struct Passing {
    looks: AtomicU64,
}

impl Clock for Passing {
    fn now(&self) -> Now {
        let looks = self.looks.fetch_add(1, Ordering::SeqCst) + 1;
        Now { mono: Mono(looks * 1_000), wall: START, entropy: 0 }
    }

    fn new_instance(&self) -> Instance {
        unreachable!("the shell makes no instances")
    }

    fn new_incarnation(&self) -> Incarnation {
        unreachable!("the shell makes no incarnations")
    }
}

/// An undecided transaction with so many branches, as it was in the journal.
fn stored(gid: &str, deadline_ms: i64, branches: u32) -> StoredTransaction {
    let url = |op: Op| Some(Arc::new(format!("http://127.0.0.1:9/{op}").parse().expect("a URL")));
    let branch = |position| BranchSpec {
        id: format!("b{position}").parse().expect("an id"),
        position,
        urls: PerOp { try_: url(Op::Try), confirm: url(Op::Confirm), cancel: url(Op::Cancel) },
        headers: Default::default(),
        payload: Arc::from("{}"),
        timeout: Duration::from_secs(3),
        try_by: TryBy::Coordinator,
        options: None,
        fingerprint: Fingerprint::from_text("1"),
    };
    StoredTransaction::begun(Arc::new(Spec {
        gid: gid.parse().expect("a gid"),
        instance: "01980000-0000-7000-8000-000000000001".parse().expect("a UUID"),
        pattern: Pattern::Tcc,
        open: true,
        created_at: START,
        deadline_at: Wall(START.0 + deadline_ms),
        fingerprint: Fingerprint::from_text("1"),
        metadata: None,
        traceparent: Arc::from("00-00000000000000000000000000000001-0000000000000001-00"),
        options: None,
        branches: (0..branches).map(|position| Arc::new(branch(position))).collect(),
    }))
}

/// A driver that lets so many calls be in flight.
fn driver(epoch: u64, calls: usize, most_unwritten: Backlog) -> Driver {
    let engine = Engine::new(Epoch(epoch), EngineSettings::default());
    let core = Core::new(engine, Duration::from_secs(3_600));
    Driver::new(core, DriverSettings { calls, lane_bound: 1_024, most_unwritten })
}

const PLENTY: Backlog = Backlog { records: usize::MAX, bytes: usize::MAX };

/// A shell on these rows, with room for one message.
async fn shell(
    driver: Driver,
    clock: Arc<dyn Clock>,
    rows: &MemoryRows,
    settings: JournalSettings,
) -> Shell {
    let (tell, events) = mpsc::unbounded_channel();
    let journal = Journal::in_memory(rows, settings, tell, Arc::new(Passing::default()));
    let ports = Ports {
        journal: journal.await.expect("a thread"),
        dispatcher: dispatcher::start(
            DispatcherSettings::built_in(),
            Connector::plain(OutboundSettings::built_in(), Arc::clone(&clock)),
            Workers::here(),
            OwnLease::endless(),
            Traces::off(),
            Arc::clone(&clock),
        ),
        metrics: TransactionMetrics::register(),
        traces: Traces::off(),
        alerts: Alerts::off(),
        unreachable_after: Duration::from_secs(3),
        called_within: Duration::from_secs(60),
        paused: Default::default(),
        chunks: None,
    };
    let (_, lanes) = lanes(1, 1);
    Shell::new(driver, clock, lanes, events, ports)
}

/// Whether a begin is refused at once.
fn is_refused(shell: &mut Shell, gid: &str) -> bool {
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    let spec = Arc::clone(&stored(gid, 86_400_000, 0).spec);
    let ask = Ask::Begin { spec, fresh: true };
    let gid = gid.parse().expect("a gid");
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let reply_to = ReplyTo(ASKED.fetch_add(1, Ordering::SeqCst));
    let wait = Duration::from_secs(60);
    shell.ask(Asked { reply_to, gid, ask, until: Until::Accepted, wait, reply });
    shell.handle_what_waits();
    match answer.try_recv() {
        Ok(Reply::Refused(Refusal::NotAccepted)) => true,
        Ok(other) => panic!("{other:?}"),
        // It waits for the journal.
        Err(_) => false,
    }
}

/// Keeps P9.
#[tokio::test]
async fn begins_are_refused_while_too_much_waits_for_the_journal() {
    let a_begin = |gid: &str| {
        let spec = Arc::clone(&stored(gid, 0, 0).spec);
        let (gid, instance) = (spec.gid.clone(), spec.instance);
        Backlog::of(&[Record {
            seq: tercet_wire::Seq(1),
            gid,
            instance,
            change: Change::Begun(spec),
        }])
    };
    let bytes = a_begin("t-1").bytes * 3;
    for most in [Backlog { records: 3, bytes: usize::MAX }, Backlog { records: usize::MAX, bytes }]
    {
        let clock: Arc<dyn Clock> = Arc::new(Passing::default());
        let rows = MemoryRows::new();
        let settings = JournalSettings::new("", "node", Incarnation(1));
        let mut shell = shell(driver(1, 1, most), clock, &rows, settings).await;
        rows.stall();
        // Also those of the round under way count.
        let refused = |shell: &mut Shell, gids: [&str; 2]| gids.map(|gid| is_refused(shell, gid));
        assert_eq!(refused(&mut shell, ["t-1", "t-2"]), [false, false], "{most:?}");
        assert_eq!(refused(&mut shell, ["t-3", "t-4"]), [false, true], "{most:?}");
        shell.flush();
        assert_eq!(refused(&mut shell, ["t-5", "t-6"]), [true, true], "{most:?}");
        rows.release();
        let until_taken = async {
            while is_refused(&mut shell, "t-7") {
                let event = shell.journal_events.recv().await.expect("the journal says more");
                shell.journal_event(event);
                shell.flush();
            }
        };
        tokio::time::timeout(Duration::from_secs(120), until_taken).await.expect("room again");
    }
}

/// One that is to be confirmed.
fn decided(gid: &str) -> StoredTransaction {
    let mut stored = stored(gid, 86_400_000, 1);
    stored.status = Status::Confirming;
    stored.decided = Some(Decided { at: START, decision: Decision::Confirm });
    stored
}

/// Writes these as an earlier life of the node would have.
async fn write(rows: &MemoryRows, transactions: &[StoredTransaction]) {
    let (tell, _events) = mpsc::unbounded_channel();
    let settings = JournalSettings::new("", "node", Incarnation(1));
    let journal = Journal::in_memory(rows, settings, tell, Arc::new(Passing::default()));
    let journal = journal.await.expect("a thread");
    let mut records = Vec::new();
    for StoredTransaction { spec, decided, .. } in transactions {
        let decided = decided.clone().expect("a decision");
        for change in [Change::Begun(Arc::clone(spec)), Change::Decided(decided)] {
            let seq = tercet_wire::Seq(records.len() as u64 + 1);
            let (gid, instance) = (spec.gid.clone(), spec.instance);
            records.push(Record { seq, gid, instance, change });
        }
    }
    journal.append(records, Urgency::Now);
    journal.close(Duration::from_secs(30)).await.expect("all of it is written");
}

/// Keeps P9.
#[tokio::test]
async fn stopping_waits_for_no_call_that_only_waits_for_a_dead_participant() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut driver = driver(1, 64, PLENTY);
    // Nobody listens where these go: a breaker opens, and most wait behind it without end.
    let decided: Vec<StoredTransaction> =
        (0..20).map(|number| decided(&format!("tx-{number}"))).collect();
    let rows = MemoryRows::new();
    write(&rows, &decided).await;
    let adopt = |stored| Event::Input(Input::Adopt(Box::new(stored)));
    let commands = decided.into_iter().map(|stored| driver.step(adopt(stored), clock.now()));
    let recovered = Recovered { commands: commands.collect(), taken_up: 20 };
    let settings = JournalSettings::new("", "node", Incarnation(2));
    let shell = shell(driver, clock, &rows, settings).await;
    let dispatcher = shell.ports.dispatcher.clone();
    let (stop, stopped) = watch::channel(false);
    let grace = Duration::from_secs(3_600);
    let mut running = tokio::spawn(shell.run(recovered, stopped, grace));
    let until_they_wait = async {
        while dispatcher.waiting() < 10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let patience = Duration::from_secs(120);
    tokio::time::timeout(patience, until_they_wait)
        .await
        .unwrap_or_else(|_| panic!("{:?}", dispatcher.participants()));
    assert!(!running.is_finished());
    stop.send(true).expect("it runs");
    let ended = tokio::time::timeout(patience, &mut running).await.expect("it ends at once");
    assert!(matches!(ended.expect("no panic"), Ended::Stopped { .. }));
}

#[tokio::test]
async fn recovery_keeps_nothing_of_a_transaction_that_asks_for_nothing() {
    let rows = MemoryRows::new();
    let clock: Arc<dyn Clock> = Arc::new(Passing::default());
    let settings = JournalSettings::new("", "node", Incarnation(1));
    let (tell, mut events) = mpsc::unbounded_channel();
    let journal = Journal::in_memory(&rows, settings, tell, Arc::clone(&clock));
    let journal = journal.await.expect("a thread");
    // Open ones without branches wait for their initiators; the last one has a Try to be called.
    let transactions = [stored("x", 86_400_000, 0), stored("y", 86_400_000, 0), stored("z", 0, 1)];
    let records = transactions.iter().zip(1..).map(|(stored, seq)| Record {
        seq: tercet_wire::Seq(seq),
        gid: stored.spec.gid.clone(),
        instance: stored.spec.instance,
        change: Change::Begun(Arc::clone(&stored.spec)),
    });
    journal.append(records.collect(), Urgency::Now);
    let durable = JournalEvent::Durable(tercet_wire::Seq(3));
    assert_eq!(events.recv().await, Some(durable));
    let mut driver = driver(2, 1, PLENTY);
    let metrics = TransactionMetrics::register();
    let recovered = recover(&mut driver, &journal, &clock, (&metrics, &Traces::off())).await;
    let recovered = recovered.expect("it can be read");
    assert_eq!((recovered.taken_up, recovered.commands.len()), (3, 1));
}

#[tokio::test]
async fn the_loop_beats_while_it_turns_and_nobody_expects_a_beat_after_it() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let settings = JournalSettings::new("", "test", Incarnation(1));
    let rows = MemoryRows::default();
    let shell = shell(driver(1, 8, PLENTY), Arc::clone(&clock), &rows, settings).await;
    let (beat, (stop, stopped)) = (shell.beat(), watch::channel(false));
    assert_eq!(beat.age(clock.mono()), None, "it does not turn yet");
    let running = tokio::spawn(shell.run(Recovered::default(), stopped, Duration::ZERO));
    // It beats by itself: nothing is asked of it.
    let beats = async {
        while beat.age(clock.mono()).is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), beats).await.expect("a beat");
    stop.send(true).expect("it runs");
    running.await.expect("it ends");
    assert_eq!(beat.age(clock.mono()), None, "it has ended in order");
}
