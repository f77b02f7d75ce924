//! What only MariaDB and MySQL do.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tercet_engine::{Batch, Change, Chunk, HistoryEvent};
use tercet_wire::{EventKind, Incarnation, Wall};

use super::connect;
use super::dialect::MySqlDialect;
use super::session::MySqlSession;
use crate::JournalError;
use crate::conformance::{Rig, record, trying, until_known, until_somebody_waits};
use crate::shared::{Address, Session, ignore_refused};
use crate::sql::{Answer, ChunkMachine, CommitMachine, Machine, Step};
use crate::store::CommitError;

/// The setting that keeps a journal from being opened.
async fn refused(rig: &Rig) -> Option<(&'static str, String)> {
    match rig.refusal().await? {
        JournalError::Setting { setting, found, mend } => {
            assert!(!mend.is_empty());
            Some((setting, found))
        }
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
#[ignore = "it changes the whole server's settings"]
async fn a_server_that_would_forget_or_takes_no_writes_is_refused() {
    let rig = Rig::on_mysql();
    rig.server().make().await;
    let outsider = rig.server().outsider().await;
    for (setting, bad, good) in [
        ("innodb_flush_log_at_trx_commit", "2", "1"),
        ("innodb_flush_log_at_trx_commit", "0", "1"),
        ("max_allowed_packet", "1048576", "16777216"),
        ("read_only", "1", "0"),
    ] {
        outsider.execute_unprepared(&format!("SET GLOBAL {setting} = {bad}")).await.unwrap();
        let found = refused(&rig).await;
        outsider.execute_unprepared(&format!("SET GLOBAL {setting} = {good}")).await.unwrap();
        assert_eq!(found, Some((setting, bad.to_owned())));
        assert_eq!(refused(&rig).await, None, "{setting}");
    }
}

#[tokio::test]
async fn tables_without_transactions_are_refused() {
    let rig = Rig::on_mysql();
    rig.server().make().await;
    assert_eq!(refused(&rig).await, None);
    rig.server().execute("ALTER TABLE transaction_events ENGINE=MyISAM").await;
    let found = Some(("ENGINE", "transaction_events: MyISAM".to_owned()));
    assert_eq!(refused(&rig).await, found);
}

/// Keeps exactly-once.
#[tokio::test]
async fn two_submissions_of_one_batch_at_once_write_it_once() {
    let rig = Rig::on_mysql();
    let store = rig.only_store().await;
    let begun = |number: i64| {
        let spec = trying(&format!("tx-{number}"), u64::try_from(number).unwrap(), 0);
        let records = vec![record(1, &spec, Change::Begun(spec.clone()))];
        Batch { number, written_at: Wall(1), records, acts: Vec::new() }
    };
    assert_eq!(store.commit(&begun(1)).await, Ok(Vec::new()));
    // The answer to this one's COMMIT is lost, say; its transaction is still there.
    let at = Address::parse(&rig.settings.database_url, &super::FORM).unwrap();
    let mut first = connect::session(&at).await.unwrap();
    connect::prepare_writer(&mut first).await.unwrap();
    // In its middle for as long as the test takes. MySQL itself has another word for it.
    let of_mariadb = "SET SESSION idle_write_transaction_timeout = 0".to_owned();
    ignore_refused(first.batch(of_mariadb).await).unwrap();
    let looking = rig.server().outsider().await;
    let second = begun(2);
    let own = Incarnation(1);
    let mut machine = CommitMachine::new(MySqlDialect, own, &second).unwrap();
    let Step::Begin(fence) = machine.start() else { panic!("it begins") };
    let both = format!("START TRANSACTION; {}", fence.sql);
    assert_eq!(first.batch(both).await.unwrap(), 1);
    let mut step = machine.next(Answer::Changed(1));
    while let Step::Execute(statement) = &step {
        let changed = first.execute(statement).await.unwrap();
        step = machine.next(Answer::Changed(changed));
    }
    assert_eq!(step, Step::Commit);
    let (again, _) = tokio::join!(until_known(&store, &second), async {
        until_somebody_waits(&looking).await;
        first.batch("COMMIT".to_owned()).await.unwrap();
    });
    assert_eq!(again, Ok(Vec::new()));
    assert_eq!(store.commit(&begun(3)).await, Ok(Vec::new()));
}

/// Keeps exactly-once. The server would end the connection for it, time and again, and nothing would
/// ever be written again.
#[tokio::test]
async fn what_the_server_takes_in_no_message_is_refused_by_itself() {
    let rig = Rig::on_mysql();
    let store = rig.only_store().await;
    let outsider = rig.server().outsider().await;
    let ask = Statement::from_string(DbBackend::MySql, "SELECT @@max_allowed_packet");
    let packet = outsider.query_one_raw(ask).await.unwrap().unwrap();
    let packet: u64 = packet.try_get_by_index(0).unwrap();
    let spec = trying("tx-1", 1, 0);
    let long = HistoryEvent {
        number: 1,
        at: Wall(1),
        kind: EventKind::CallFailed,
        branch: None,
        op: None,
        attempt: None,
        detail: Some("x".repeat(usize::try_from(packet).unwrap()).into()),
    };
    let mut records = vec![record(1, &spec, Change::Begun(spec.clone()))];
    let mut batch =
        Batch { number: 1, written_at: Wall(1), records: records.clone(), acts: Vec::new() };
    records.push(record(2, &spec, Change::History(long)));
    let too_long = Batch { records, ..batch.clone() };
    match store.commit(&too_long).await {
        Err(CommitError::Rejected(why)) => assert!(why.contains("max_allowed_packet"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.commit(&batch).await, Ok(Vec::new()));
    batch.number = 2;
    batch.records.clear();
    assert_eq!(store.commit(&batch).await, Ok(Vec::new()));
}

/// Keeps P6. Whoever freezes in the middle of a batch holds its gids; the server ends that.
#[tokio::test]
async fn a_frozen_session_stops_nobody_for_long() {
    let rig = Rig::on_mysql();
    let store = rig.only_store().await;
    let at = Address::parse(&rig.settings.database_url, &super::FORM).unwrap();
    let mut frozen = connect::session(&at).await.unwrap();
    connect::prepare_writer(&mut frozen).await.unwrap();
    let taken = "INSERT INTO global_transactions (gid, instance, pattern, status, open, parked, \
                 created_at, deadline_at) VALUES ('tx-1', 'x', 'tcc', 'trying', FALSE, FALSE, 0, 0)";
    frozen.batch(format!("START TRANSACTION; {taken}")).await.unwrap();
    let spec = trying("tx-1", 1, 0);
    let records = vec![record(1, &spec, Change::Begun(spec.clone()))];
    let batch = Batch { number: 1, written_at: Wall(1), records, acts: Vec::new() };
    assert_eq!(until_known(&store, &batch).await, Ok(Vec::new()));
    let refused = frozen.batch("COMMIT".to_owned()).await;
    assert!(refused.is_err(), "what was frozen is written: {refused:?}");
}

/// Keeps exactly-once. A session that sees an old moment must not take it for the present: what
/// the fence finds and what the look finds would be two.
#[tokio::test]
async fn a_look_sees_the_row_as_it_is_now() {
    let rig = Rig::on_mysql();
    let store = rig.only_store().await;
    let empty =
        |number: i64| Batch { number, written_at: Wall(1), records: Vec::new(), acts: Vec::new() };
    assert_eq!(store.commit(&empty(1)).await, Ok(Vec::new()));
    let at = Address::parse(&rig.settings.database_url, &super::FORM).unwrap();
    let (second, own) = (empty(2), Incarnation(1));
    let chunk = Chunk {
        number: 2,
        written_at: Wall(1),
        dead: Incarnation(7),
        gids: vec!["a".parse().unwrap()],
    };
    let (mut of_batch, mut of_chunk) = (old_moment(&at).await, old_moment(&at).await);
    // It was written, and the answer to its COMMIT was lost.
    assert_eq!(store.commit(&second).await, Ok(Vec::new()));
    let machine = CommitMachine::new(MySqlDialect, own, &second).unwrap();
    assert_eq!(drive(&mut of_batch, machine).await, Ok(Vec::new()));
    let machine = ChunkMachine::new(MySqlDialect, own, &chunk);
    assert_eq!(drive(&mut of_chunk, machine).await, Ok(Vec::new()));
}

/// A session in the middle of a transaction that sees what there was when it began.
async fn old_moment(at: &Address) -> MySqlSession {
    let mut session = connect::session(at).await.unwrap();
    let repeatable = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";
    session.batch(repeatable.to_owned()).await.unwrap();
    session.batch("START TRANSACTION".to_owned()).await.unwrap();
    session.value("SELECT COUNT(*) FROM nodes").await.unwrap();
    session
}

/// Does what a machine says in the transaction that is begun.
async fn drive<M: Machine>(
    session: &mut MySqlSession,
    mut machine: M,
) -> Result<M::Done, CommitError> {
    let mut step = machine.start();
    loop {
        step = machine.next(match step {
            Step::Begin(statement) | Step::Execute(statement) => {
                Answer::Changed(session.execute(&statement).await.unwrap())
            }
            Step::Query(statement) => Answer::Found(session.query(&statement).await.unwrap()),
            Step::Commit | Step::Rollback => {
                session.batch("ROLLBACK".to_owned()).await.unwrap();
                Answer::Ended
            }
            Step::Done(done) => return done,
        });
    }
}
