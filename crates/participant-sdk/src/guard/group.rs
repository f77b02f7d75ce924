//! Calls that share an SQL transaction, and so a commit: the group commit of a participant on SQLite.
//!
//! ```text
//!   first call   ── BEGIN ── savepoint, its work ──┐                    queues again, to end it ──▶ COMMIT
//!   second call                 its turn comes ──▶ └─ savepoint, its work ──┐                         │
//!   third call                                              its turn comes ──▶ …                      ▼
//!                                                                          all of them are answered at once
//! ```
//!
//! They come here from the [write queue](super::write_queue), one after the other, each in its own task: nobody's work runs
//! beside another's. What a call has written is taken back by itself if it is refused, fails or panics. Nobody is
//! answered before the commit, nor refused: what a call was refused for may have been written by one before it.
//!
//! A group that does not come to its commit never was: the SQL transaction is rolled back, and each of its calls is run
//! again by itself, as without a group. So it is when the work of one has lost the SQL transaction (SQLite rolls all of it
//! back when the disk is full), when it cannot be committed, and when the task that has it in hand is dropped.
//! If it was committed all the same each finds its row, and is a repeat.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Statement};
use tercet_wire::Mono;
use tokio::sync::oneshot;

use super::call;
use super::miscounted::{close_miscounted, commit};
use super::row::{self, Row};
use super::statements::{INSERT_AND_FIND_FIRST, INSERT_AND_FIND_NEXT, RELEASE, TAKE_BACK};
use super::store::{Done, NotDone, Store, Waits};
use super::write_queue::WritePermit;
use crate::clock;
use crate::context::Context;
use crate::participant::Participant;

/// How many calls share a commit: the first of them waits for all the others.
const CALLS_AT_MOST: usize = 64;
/// How long a group is open before no further call is let in. Whoever is done waits that long at most, and for one
/// work more.
const OPEN_AT_MOST: Duration = Duration::from_millis(10);

/// An SQL transaction that calls share. Dropped it is rolled back, and its calls are run again.
#[derive(Debug)]
pub(crate) struct Group {
    db: DatabaseTransaction,
    /// The connections that it has one of.
    pool: DatabaseConnection,
    began: Mono,
    /// How many have come into it.
    calls: usize,
    /// Those who are done and wait for the commit. What is dropped tells them that there was none.
    waiting: Vec<oneshot::Sender<()>>,
}

/// What became of a call that was to share a commit.
pub(super) enum InGroup {
    /// It is answered so.
    Answer(Result<Done, NotDone>),
    /// It is to be run by itself, with the right to write where it has that still.
    Alone(Option<WritePermit>),
}

impl Group {
    fn new(db: DatabaseTransaction, pool: DatabaseConnection) -> Self {
        Self { db, pool, began: clock::mono(), calls: 0, waiting: Vec::new() }
    }

    /// Lets a call in: the branch's row, unless it is written by this.
    async fn enter(&mut self, context: &Context, now_ms: i64) -> Result<Option<Row>, DbErr> {
        let text = match self.calls {
            0 => INSERT_AND_FIND_FIRST,
            _ => INSERT_AND_FIND_NEXT,
        };
        self.calls += 1;
        row::insert_and_find(&self.db, text, context, now_ms).await
    }

    /// Takes back what the last call has written.
    async fn take_back(&self) -> Result<(), DbErr> {
        self.execute(TAKE_BACK).await
    }

    /// Whether no further call is to come in.
    fn is_full(&self) -> bool {
        self.calls >= CALLS_AT_MOST || clock::mono().since(self.began) >= OPEN_AT_MOST
    }

    /// The last call is done, and hears of the commit.
    fn wait(&mut self) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.waiting.push(tell);
        told
    }

    /// Makes it durable, and tells all of them.
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        // A COMMIT would end any SQL transaction, whether it is the one that the others have written in or not.
        if self.calls > 1
            && let Err(error) = self.execute(RELEASE).await
        {
            self.give_up().await;
            return Err(error);
        }
        let Self { db, pool, waiting, .. } = self;
        commit(&pool, db).await?;
        for call in waiting {
            // Whether anybody still listens makes no difference.
            let _ = call.send(());
        }
        Ok(())
    }

    /// Rolls it back where nobody knows whether it is still what it was.
    async fn give_up(self) {
        // The driver counts savepoints, and may know of one that is gone: then its own rollback would not
        // end what is there. Where nothing is, this fails, and so it should.
        drop(self.db.execute_unprepared("ROLLBACK").await);
        drop(self.db);
        close_miscounted(&self.pool).await;
    }

    async fn execute(&self, text: &str) -> Result<(), DbErr> {
        let statement = Statement::from_string(self.db.get_database_backend(), text);
        self.db.execute_raw(statement).await.map(drop)
    }
}

impl Store {
    /// Answers a call in a group: in the one that the call before has left open, or in one that it begins.
    pub(super) async fn run_in_group<P: Participant>(
        &self,
        participant: &P,
        context: &Context,
        body: &[u8],
        waits: &Waits,
    ) -> Result<InGroup, NotDone> {
        let (permit, open) = self.queue.join_group().await.map_err(|_| NotDone::Busy)?;
        let mut group = match open {
            Some(group) => group,
            None => match self.begin(context).await {
                Ok((db, _)) => Group::new(db, self.db.clone()),
                Err(error) if error.contention().is_some() => {
                    return Ok(InGroup::Alone(Some(permit)));
                }
                Err(error) => return Err(error),
            },
        };
        waits.no_more();
        let now_ms = clock::late().0;
        let Ok(row) = group.enter(context, now_ms).await else {
            group.give_up().await;
            return Ok(InGroup::Alone(Some(permit)));
        };
        let settling = call::settle(&group.db, participant, context, body, (row, now_ms));
        let settled = caught(settling).await;
        let is_kept = matches!(&settled, Ok(Ok(settled)) if settled.is_kept);
        if !is_kept && group.take_back().await.is_err() {
            group.give_up().await;
            return match settled {
                Err(panic) => resume_unwind(panic),
                Ok(_) => Ok(InGroup::Alone(Some(permit))),
            };
        }
        let answer = match settled {
            Ok(Ok(settled)) => settled.answer.map_err(NotDone::Contradiction),
            Ok(Err(error)) if error.contention().is_some() => {
                // It is run again at once; the others need not wait for that.
                drop(group.commit().await);
                return Ok(InGroup::Alone(Some(permit)));
            }
            Ok(Err(error)) => Err(error),
            Err(panic) => {
                drop(group.commit().await);
                resume_unwind(panic);
            }
        };
        if self.queue.is_empty() || group.is_full() {
            let is_alone = group.calls == 1;
            return match group.commit().await {
                Ok(()) => Ok(InGroup::Answer(answer)),
                Err(error) => {
                    let error = NotDone::from(error);
                    match is_alone && error.contention().is_none() {
                        true => Err(error),
                        false => Ok(InGroup::Alone(Some(permit))),
                    }
                }
            };
        }
        let has_begun_it = group.calls == 1;
        let mut committed = group.wait();
        waits.again();
        permit.leave(group);
        let committed = match has_begun_it {
            true => tokio::select! {
                biased;
                ended = &mut committed => ended,
                _ = self.queue.join_surely() => committed.await,
            },
            false => committed.await,
        };
        Ok(match committed {
            Ok(()) => InGroup::Answer(answer),
            Err(_) => InGroup::Alone(None),
        })
    }
}

/// Runs it to its end, or to its panic.
async fn caught<T>(run: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    let mut run = pin!(run);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
        Ok(Poll::Ready(ended)) => Poll::Ready(Ok(ended)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use sea_orm::Database;
    use tercet_wire::Op;
    use tokio::sync::{Notify, watch};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::failure::Failure;
    use crate::tests_support::context;

    #[derive(Default)]
    struct Gate {
        at_gate: Notify,
        opened: Notify,
        run: AtomicU32,
    }

    /// Its Trys wait at the gate.
    struct Waiting(Arc<Gate>);

    impl Participant for Waiting {
        type Payload = ();

        async fn try_(&self, _: &DatabaseTransaction, _: &Context, (): ()) -> Result<(), Failure> {
            self.0.run.fetch_add(1, Ordering::SeqCst);
            self.0.at_gate.notify_one();
            self.0.opened.notified().await;
            Ok(())
        }

        async fn confirm(
            &self,
            _: &DatabaseTransaction,
            _: &Context,
            (): (),
        ) -> Result<(), Failure> {
            Ok(())
        }

        async fn cancel(
            &self,
            _: &DatabaseTransaction,
            _: &Context,
            (): (),
        ) -> Result<(), Failure> {
            Ok(())
        }
    }

    /// A call at work, and where it is heard whether it waits.
    async fn at_work(
        store: &Store,
        gate: &Arc<Gate>,
    ) -> (JoinHandle<Result<Done, NotDone>>, watch::Receiver<bool>) {
        let (waits, told) = Waits::new();
        let (store, participant) = (store.clone(), Waiting(Arc::clone(gate)));
        let call = tokio::spawn(async move {
            store.run(&participant, &context("a", Op::Try), b"null", waits).await
        });
        gate.at_gate.notified().await;
        (call, told)
    }

    async fn store() -> Store {
        let db = Database::connect("sqlite::memory:").await.expect("a database");
        let store = Store::new(db).group_commit();
        store.migrate().await.expect("a table");
        store
    }

    /// Waits until it is answered, which must not depend on anything else.
    async fn answered(call: JoinHandle<Result<Done, NotDone>>) {
        let answer = tokio::time::timeout(Duration::from_secs(20), call).await;
        answer.expect("it is answered").expect("no panic").expect("done");
    }

    /// Waits until it is done and waits for its commit.
    async fn waits_again(told: &mut watch::Receiver<bool>) {
        let waits = tokio::time::timeout(Duration::from_secs(20), told.wait_for(|waits| *waits));
        waits.await.expect("it tells that it waits").expect("it is not answered");
    }

    #[tokio::test]
    async fn whoever_writes_next_ends_what_others_share() {
        let (store, gate) = (store().await, Arc::default());
        let (call, mut told) = at_work(&store, &gate).await;
        let mut next = Box::pin(store.queue.join());
        assert!(look(next.as_mut()).await.is_pending());
        gate.opened.notify_one();
        waits_again(&mut told).await;
        let permit = next.await.expect("a place");
        answered(call).await;
        assert_eq!(gate.run.load(Ordering::SeqCst), 1, "it was run again");
        drop(permit);
    }

    #[tokio::test]
    async fn a_group_is_ended_though_nobody_comes_who_was_expected() {
        let (store, gate) = (store().await, Arc::default());
        let (call, mut told) = at_work(&store, &gate).await;
        let mut next = Box::pin(store.queue.join());
        assert!(look(next.as_mut()).await.is_pending());
        gate.opened.notify_one();
        waits_again(&mut told).await;
        drop(next);
        answered(call).await;
        assert_eq!(gate.run.load(Ordering::SeqCst), 1, "it was run again");
    }

    /// Looks once whether it is ready.
    async fn look<F: Future>(mut future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }
}
