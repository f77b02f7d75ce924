//! The writer's decisions: what is cut when, what lingers, and what follows from each answer of a
//! database.

mod world;

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{
    Act, Acted, Backlog, BranchRecord, Caps, Change, Committed, GroupCommit, GroupCommitSettings,
    JournalEvent, LastAnswer, PendingResolution, Record, Submitted, TransactionKey, Urgency,
    Weight,
};
use tercet_wire::{Action, Backoff, BranchStatus, Mono, Now, Op, PerOp, ResolvedAs, Seq, Wall};
use world::content::spec;

const CAPS: Caps = Caps { records: 100, binds: 100_000, bytes: 1_000_000 };

fn settings() -> GroupCommitSettings {
    GroupCommitSettings {
        caps: CAPS,
        linger: Duration::from_millis(10),
        resubmit: Backoff { first: Duration::from_millis(50), cap: Duration::from_millis(500) },
        longest_silence: Duration::from_secs(60),
    }
}

fn at(ms: u64) -> Now {
    Now { mono: Mono(ms), wall: Wall(0), entropy: 40 }
}

/// The record of this number: the begin of a transaction of the same number.
fn begun(number: u64) -> Record {
    let spec = spec(&format!("tx-{number:02}"), true, Vec::new());
    let (gid, instance) = (spec.gid.clone(), spec.instance);
    Record { seq: Seq(number), gid, instance, change: Change::Begun(spec) }
}

fn writer(settings: GroupCommitSettings, records: u64) -> GroupCommit {
    let mut writer = GroupCommit::new(settings, Mono(0));
    writer.append((1..=records).map(begun).collect(), Urgency::Now);
    writer
}

/// Number and records of the batch that is submitted now.
fn submitted(writer: &mut GroupCommit, ms: u64) -> Option<(i64, Vec<u64>)> {
    let submitted = writer.submit(at(ms))?;
    let records = submitted.records().iter().map(|record| record.seq.0).collect();
    assert!(matches!(submitted, Submitted::Batch(_)), "{submitted:?}");
    Some((submitted.number(), records))
}

fn durable(writer: &mut GroupCommit, ms: u64) {
    let result = Committed::Durable { taken: Vec::new() };
    assert_eq!(writer.committed(result, at(ms)), None);
}

fn told(writer: &mut GroupCommit) -> Vec<JournalEvent> {
    std::iter::from_fn(|| writer.take_event()).collect()
}

/// What participants and operators have said of a branch is written with its row, in JSON: a
/// control character takes six bytes there.
///
/// Keeps P9.
#[test]
fn the_words_in_a_row_of_a_branch_are_weighed_as_they_are_written() {
    let row = |last_answer: Option<&str>, note: Option<&str>| {
        let said = |body: &str| {
            let (op, status, at) = (Op::Confirm, 503, Wall(0));
            Arc::new(LastAnswer { op, status, body: body.into(), at })
        };
        let noted = |note: &str| {
            let (as_, by, at) = (ResolvedAs::Confirmed, Arc::from("me"), Wall(0));
            Arc::new(PendingResolution { as_, by, note: Some(note.into()), at })
        };
        let row = BranchRecord {
            branch: "a".parse().expect("an id"),
            status: BranchStatus::Tried,
            attempts: PerOp::default(),
            parked: false,
            last_error: None,
            answer: None,
            last_answer: last_answer.map(said),
            resolved_as: None,
            pending_resolution: note.map(noted),
            contradicted: false,
            acknowledged_at: None,
        };
        let change = Change::BranchRecord(row);
        Weight::of(&Record { change, ..begun(1) }).bytes
    };
    let without = row(None, None);
    let more = |last_answer, note| row(last_answer, note) - without;
    let (plain, quoted, control) = ("w".repeat(1_000), "\"\n".repeat(500), "\u{1}".repeat(1_000));
    assert_eq!(more(Some(&plain), None), 1_000);
    assert_eq!(more(Some(&quoted), None), 2_000);
    assert_eq!(more(Some(&control), None), 6_000);
    assert_eq!(more(Some("Grüße"), None), 7);
    assert_eq!(more(None, Some(&control)), 6_002);
    // So few of them share a batch.
    assert!(more(Some(&plain), Some(&plain)) > 2_000);
}

#[test]
fn a_batch_is_cut_where_the_first_cap_is_reached() {
    let one = Weight::of(&begun(1));
    let table = [
        (CAPS, 40),
        (Caps { records: 7, ..CAPS }, 7),
        (Caps { binds: one.binds * 3, ..CAPS }, 3),
        (Caps { binds: one.binds * 3 - 1, ..CAPS }, 2),
        (Caps { bytes: one.bytes * 5, ..CAPS }, 5),
        (Caps { bytes: one.bytes * 5 - 1, ..CAPS }, 4),
        // What passes a cap alone goes alone.
        (Caps { bytes: 1, ..CAPS }, 1),
        (Caps { records: 0, binds: 0, bytes: 0 }, 1),
    ];
    for (caps, expected) in table {
        let mut writer = writer(GroupCommitSettings { caps, ..settings() }, 40);
        let (_, records) = submitted(&mut writer, 0).expect("a batch");
        assert_eq!((records.len(), writer.waiting()), (expected, 40 - expected), "{caps:?}");
        durable(&mut writer, 1);
        assert_eq!(
            writer.take_settled(),
            Backlog { records: expected, bytes: one.bytes * expected }
        );
    }
}

#[test]
fn what_nobody_waits_for_lingers_until_somebody_does_or_its_time_is_over() {
    let lingering = || {
        let mut writer = GroupCommit::new(settings(), Mono(0));
        writer.append(vec![begun(1)], Urgency::Linger);
        assert_eq!(submitted(&mut writer, 100), None);
        assert_eq!(writer.next_deadline(), Some(Mono(110)));
        writer
    };
    // More of it does not put the end off.
    let mut over = lingering();
    over.append(vec![begun(2)], Urgency::Linger);
    assert_eq!(submitted(&mut over, 109), None);
    assert_eq!(submitted(&mut over, 110), Some((1, vec![1, 2])));
    let mut pressed = lingering();
    pressed.append(Vec::new(), Urgency::Now);
    assert_eq!(submitted(&mut pressed, 101), Some((1, vec![1])));
    let mut closing = lingering();
    closing.close();
    assert_eq!(submitted(&mut closing, 101), Some((1, vec![1])));
    let mut full = lingering();
    full.append((2..=100).map(begun).collect(), Urgency::Linger);
    assert!(submitted(&mut full, 101).is_some());
}

#[test]
fn a_batch_whose_outcome_nobody_knows_is_submitted_again_as_it_was() {
    let mut writer = writer(settings(), 2);
    assert_eq!(submitted(&mut writer, 0), Some((1, vec![1, 2])));
    // What comes meanwhile does not change it.
    writer.append(vec![begun(3)], Urgency::Now);
    let failing = JournalEvent::Failing { why: "gone".to_owned() };
    for (now, again_at, expected) in [(0, 40, vec![failing]), (40, 80, vec![])] {
        let why = "gone".to_owned();
        assert_eq!(writer.committed(Committed::Again { why }, at(now)), None);
        assert_eq!(told(&mut writer), expected);
        assert_eq!(writer.next_deadline(), Some(Mono(again_at)));
        assert_eq!(submitted(&mut writer, again_at - 1), None);
        assert_eq!(submitted(&mut writer, again_at), Some((1, vec![1, 2])));
    }
    durable(&mut writer, 81);
    assert_eq!(told(&mut writer), [JournalEvent::Healed, JournalEvent::Durable(Seq(2))]);
    assert_eq!(submitted(&mut writer, 81), Some((2, vec![3])));
}

#[test]
fn a_rejected_batch_is_halved_until_the_culprit_is_alone_and_the_rest_is_written() {
    let mut writer = writer(settings(), 5);
    let mut written = Vec::new();
    let mut all_told = Vec::new();
    while let Some((number, records)) = submitted(&mut writer, 0) {
        assert_eq!(number, 1 + i64::try_from(written.len()).expect("few"));
        if records.contains(&3) {
            writer.committed(Committed::Rejected, at(0));
        } else {
            durable(&mut writer, 0);
            written.push(records);
        }
        all_told.extend(told(&mut writer));
        let settled = writer.take_settled().records;
        assert_eq!(settled, if writer.is_idle() { 5 } else { 0 });
    }
    assert_eq!(written, [vec![1, 2], vec![4, 5]]);
    let expected = [
        JournalEvent::Durable(Seq(2)),
        JournalEvent::Quarantined(begun(3).gid),
        JournalEvent::Durable(Seq(3)),
        JournalEvent::Durable(Seq(5)),
    ];
    assert_eq!(all_told, expected);
    // No more of it is written.
    writer.append(vec![Record { seq: Seq(6), ..begun(3) }, begun(7)], Urgency::Now);
    assert_eq!(submitted(&mut writer, 1), Some((3, vec![7])));
}

#[test]
fn who_finds_its_gid_taken_is_left_out_from_then_on() {
    let mut writer = writer(settings(), 2);
    assert!(submitted(&mut writer, 0).is_some());
    let taken = vec![TransactionKey::of(&begun(1))];
    writer.committed(Committed::Durable { taken }, at(0));
    let exists = JournalEvent::Exists(begun(1).gid);
    assert_eq!(told(&mut writer), [exists, JournalEvent::Durable(Seq(2))]);
    writer.append(vec![Record { seq: Seq(3), ..begun(1) }], Urgency::Now);
    assert_eq!(submitted(&mut writer, 1), None);
    assert_eq!(told(&mut writer), [JournalEvent::Durable(Seq(3))]);
    assert_eq!(writer.take_settled().records, 3);
}

#[test]
fn a_silent_writer_gives_a_sign_of_life_which_tells_nothing() {
    let mut writer = GroupCommit::new(settings(), Mono(0));
    assert_eq!(writer.next_deadline(), Some(Mono(60_000)));
    assert_eq!(submitted(&mut writer, 59_999), None);
    assert_eq!(submitted(&mut writer, 60_000), Some((1, vec![])));
    durable(&mut writer, 60_005);
    assert_eq!(told(&mut writer), []);
    assert_eq!(writer.next_deadline(), Some(Mono(120_005)));
    writer.append(vec![begun(1)], Urgency::Now);
    assert_eq!(submitted(&mut writer, 60_006), Some((2, vec![1])));
}

#[test]
fn it_is_over_once_closed_and_written_or_fenced() {
    let mut writer = writer(settings(), 1);
    writer.close();
    assert!(submitted(&mut writer, 0).is_some() && !writer.is_over());
    durable(&mut writer, 0);
    assert!(writer.is_over() && writer.next_deadline().is_none());

    let mut fenced = GroupCommit::new(settings(), Mono(0));
    fenced.append(vec![begun(1)], Urgency::Now);
    assert!(submitted(&mut fenced, 0).is_some());
    fenced.committed(Committed::Fenced, at(0));
    fenced.append(vec![begun(2)], Urgency::Now);
    assert!(fenced.is_over() && submitted(&mut fenced, 1).is_none());
    assert_eq!(told(&mut fenced), [JournalEvent::Fenced]);
}

fn act(number: u64) -> Act {
    Act {
        id: world::content::act(u32::try_from(number).expect("small")),
        at: Wall(0),
        who: "alice".into(),
        role: "operator".into(),
        action: Action::RetryAll,
        gid: None,
        branch: None,
        note: None,
        detail: "{}".into(),
    }
}

/// Number and acts of the batch that is submitted now, which has no records.
fn acts(writer: &mut GroupCommit, ms: u64) -> Option<(i64, Vec<Act>)> {
    let Submitted::Batch(batch) = writer.submit(at(ms))? else { panic!("it is a batch") };
    assert_eq!(batch.records, []);
    Some((batch.number, batch.acts.iter().filter_map(|alone| alone.act.clone()).collect()))
}

/// Keeps exactly-once.
#[test]
fn an_act_goes_by_itself_and_again_until_it_is_durable() {
    let mut writer = writer(settings(), 3);
    writer.act(act(1));
    writer.act(act(2));
    assert!(!writer.is_idle());
    assert_eq!(acts(&mut writer, 0), Some((1, vec![act(1)])));
    writer.committed(Committed::Again { why: "x".into() }, at(0));
    assert_eq!(writer.submit(at(0)), None);
    let due = writer.next_deadline().expect("it is tried again").0;
    assert_eq!(acts(&mut writer, due), Some((1, vec![act(1)])));
    durable(&mut writer, due);
    assert_eq!(acts(&mut writer, due), Some((2, vec![act(2)])));
    durable(&mut writer, due);
    assert_eq!(submitted(&mut writer, due), Some((3, vec![1, 2, 3])));
    durable(&mut writer, due);
    let failing = JournalEvent::Failing { why: "x".into() };
    assert_eq!(told(&mut writer), [failing, JournalEvent::Healed, JournalEvent::Durable(Seq(3))]);
}

#[test]
fn an_act_that_no_database_takes_holds_nobody_up() {
    let mut writer = writer(settings(), 0);
    writer.act(act(1));
    assert_eq!(acts(&mut writer, 0), Some((1, vec![act(1)])));
    assert_eq!(writer.committed(Committed::Rejected, at(0)), None);
    assert_eq!((told(&mut writer), writer.is_idle()), (vec![], true));
}

#[test]
fn a_writer_that_is_closed_writes_the_acts_that_wait() {
    let mut writer = writer(settings(), 0);
    writer.act(act(1));
    writer.close();
    assert!(!writer.is_over());
    assert_eq!(writer.next_deadline(), Some(Mono(0)));
    assert_eq!(acts(&mut writer, 5), Some((1, vec![act(1)])));
    assert!(!writer.is_over(), "it is no sign of life");
    durable(&mut writer, 5);
    assert!(writer.is_over());
}

/// What an act changed is weighed with it, so that no batch has more than it may.
///
/// Keeps P9.
#[test]
fn an_act_weighs_what_it_changed_too() {
    let begun = begun(1);
    let acted = |changes| {
        let acted = Acted { act: act(1), changes };
        Weight::of(&Record { change: Change::Acted(Box::new(acted)), ..begun.clone() })
    };
    let (alone, with) = (acted(Vec::new()), acted(vec![begun.change.clone()]));
    let of_begun = Weight::of(&begun);
    assert_eq!(with.binds, alone.binds + of_begun.binds);
    assert_eq!(with.bytes, alone.bytes + of_begun.bytes - begun.gid.as_str().len());
}
