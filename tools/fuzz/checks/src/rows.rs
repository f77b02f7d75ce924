//! Rows that were damaged: each transaction is either unreadable, and says so, or is driven on
//! by every rule. The others are read as if nothing had happened.

use std::sync::{Arc, Mutex, PoisonError};

use tercet_engine::{
    BranchRecord, Change, Decided, Decision, HistoryEvent, Load, StoredTransaction, Tried,
    TryAnswer,
};
use tercet_journal::Unreadable;
use tercet_wire::{
    BranchResult, BranchStatus, EventKind, ListQuery, Op, PerOp, Reason, Status, Wall,
};

use crate::choices::Choices;
use crate::clock::{NOW, instance};
use crate::store::Store;
use crate::{bodies, damage, drive};

struct Rows {
    store: Store,
    /// The transactions there are, as they were written.
    whole: Vec<StoredTransaction>,
}

static ROWS: Mutex<Option<Rows>> = Mutex::new(None);

/// Which transaction, what happens to its rows, and then what happens to it.
pub(crate) fn check(data: &[u8]) {
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    let Rows { store, whole } = rows.get_or_insert_with(written);
    let mut choices = Choices::new(data);
    let chosen = choices.pick(whole).spec.gid.clone();
    let sql = damage::of(chosen.as_str(), &mut choices);
    if !store.tamper(&format!("{};{sql}", damage::put_back())) {
        return;
    }
    for found in unfinished(store) {
        match found {
            Ok(stored) => match whole.iter().find(|whole| whole.spec.gid == stored.spec.gid) {
                Some(other) if other.spec.gid != chosen => assert_eq!(stored, *other, "{sql}"),
                Some(_) | None => drive::taken_up(&stored, &mut choices),
            },
            Err(unreadable) => assert!(!unreadable.why.is_empty()),
        }
    }
    if let Load::Found(stored) = store.load(&chosen) {
        drive::asked_for(&stored, &mut choices);
    }
    let everything = ListQuery::all(100);
    let page = store.runtime.block_on(store.journal.list(&everything));
    assert!(page.is_ok(), "{sql}: {page:?}");
    let history = store.runtime.block_on(store.journal.history(&chosen, 0, 100));
    assert!(history.is_ok(), "{sql}: {history:?}");
}

fn unfinished(store: &Store) -> Vec<Result<StoredTransaction, Unreadable>> {
    let page = store.runtime.block_on(store.journal.unfinished(None, 100));
    // The journal alone knows who drives them.
    let unowned = |stored| StoredTransaction { owner: None, ..stored };
    let page = page.expect("the database answers").into_iter();
    page.map(|read| read.map(unowned)).collect()
}

/// A file with a transaction of every kind.
fn written() -> Rows {
    let mut store = Store::new();
    let mut whole = Vec::new();
    for (number, (open, changes)) in (1..).zip(stories()) {
        let told = changes.iter().any(|change| matches!(change, Change::Tried(_)));
        let body = format!(
            r#"{{"gid":"order-{number}","open":{open},"metadata":{{"n":{number}}},"branches":[
            {{"endpoint":"http://pay/{number}","headers":{{"x-tenant":"eu"}},"payload":[1],"results":{told}}},
            {{"confirm":"http://stock:81/confirm"}}]}}"#
        );
        let request = bodies::read(&body).expect("a body");
        let begun = bodies::begin(request).expect("a begin");
        let spec = tercet_wire::Spec { instance: instance(number), ..begun.spec };
        let mut stored = StoredTransaction::begun(Arc::new(spec));
        let gid = stored.spec.gid.clone();
        for change in &changes {
            stored.apply(change).expect("it fits");
        }
        let begun = Change::Begun(Arc::clone(&stored.spec));
        let changes = [vec![begun], changes].concat();
        assert_eq!(store.write(&gid, stored.spec.instance, changes), []);
        // As a load gives it.
        stored.history.clear();
        whole.push(stored);
    }
    assert!(store.tamper(&damage::keep()));
    let read: Vec<StoredTransaction> =
        unfinished(&store).into_iter().map(|read| read.expect("whole")).collect();
    let live: Vec<StoredTransaction> =
        whole.iter().filter(|stored| !stored.status.is_finished()).cloned().collect();
    assert_eq!(read, live);
    Rows { store, whole }
}

/// What became of each, after its begin, and whether it is open.
fn stories() -> Vec<(bool, Vec<Change>)> {
    let decided = |decision| Change::Decided(Decided { at: NOW.wall, decision });
    let cancel = Decision::Cancel { reason: Reason::TryRefused, detail: Some(Arc::from("b1")) };
    let registered = || {
        let text = r#"{"id":"later","cancel":"http://pay/cancel","try_by":"initiator"}"#;
        let request = bodies::read(text).expect("a body");
        let limits = tercet_wire::Limits::default();
        let branch = tercet_wire::check_branch(request, &limits).expect("a branch");
        Change::Registered(Arc::new(tercet_wire::BranchSpec { position: 2, ..branch }))
    };
    let record = |branch: &str, status, parked, acknowledged_at: Option<Wall>| BranchRecord {
        branch: branch.parse().expect("an id"),
        status,
        attempts: PerOp { try_: 1, confirm: 3, cancel: 0 },
        parked,
        last_error: Some(Arc::from("answered 404")),
        answer: Some(TryAnswer { status: Some(409), body: Arc::from("no stock") }),
        last_answer: None,
        resolved_as: None,
        pending_resolution: None,
        contradicted: false,
        acknowledged_at,
    };
    let row = |branch: &str, status, parked, acknowledged_at: Option<Wall>| {
        Change::BranchRecord(record(branch, status, parked, acknowledged_at))
    };
    let answered = || {
        let record = record("b1", BranchStatus::Tried, false, None);
        let result = BranchResult::of_body(b"{ \"seat\":1.50}");
        Change::Tried(Box::new(Tried { record, result }))
    };
    let parked = Change::History(HistoryEvent {
        number: 1,
        at: NOW.wall,
        kind: EventKind::Parked,
        branch: Some("b1".parse().expect("an id")),
        op: Some(Op::Confirm.into()),
        attempt: Some(3),
        detail: Some(Arc::from("answered 404")),
    });
    let finished = Change::Finished { status: Status::Confirmed, at: NOW.wall };
    let confirmed = || decided(Decision::Confirm);
    let (tried, refused) = (BranchStatus::Tried, BranchStatus::Refused);
    vec![
        (false, vec![]),
        (true, vec![registered(), row("b1", tried, false, None)]),
        (false, vec![confirmed(), parked, row("b1", tried, true, None), Change::Parked(true)]),
        (false, vec![row("b1", refused, false, None), decided(cancel)]),
        (true, vec![registered(), confirmed(), row("b2", tried, false, Some(NOW.wall))]),
        (false, vec![answered()]),
        (false, vec![answered(), confirmed()]),
        (false, vec![confirmed(), finished]),
    ]
}
