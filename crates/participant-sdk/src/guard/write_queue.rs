//! The queue before SQLite's one writer.
//!
//! SQLite lets one transaction write at a time. Those who meet at its lock do not queue: each looks
//! again and again, with a connection in its hand, and who comes last may go first. Here the calls
//! of a process wait in order instead, without a connection, so that on a slow machine everybody is
//! slow and nobody fails. Only the first of them asks SQLite, where it may meet another process.
//!
//! Other databases let many write at once; there nobody waits here.

#[cfg(feature = "sqlite")]
use std::sync::Weak;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "sqlite")]
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sea_orm::{DatabaseConnection, DbBackend};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::group::Group;

/// How many may wait for the right to write: more than the coordinator calls at once.
const WAITING_AT_MOST: usize = 1_024;

/// The line of those who want to write. Clones are the same line.
#[derive(Debug, Clone)]
pub(crate) struct WriteQueue {
    /// `None` where many may write at once.
    line: Option<Arc<Line>>,
}

#[derive(Debug)]
struct Line {
    /// One permit, which is given in the order in which it was asked for.
    writer: Arc<Semaphore>,
    /// One permit for each that may wait.
    places: Semaphore,
    /// An SQL transaction that whoever writes next goes on with or ends. The line is not before it, but behind.
    open: Mutex<Option<Group>>,
}

/// The right to write; given up when dropped.
#[derive(Debug)]
pub(crate) struct WritePermit {
    // The line lives as long as somebody writes: whoever asks for it meanwhile finds the same.
    held: Option<(OwnedSemaphorePermit, Arc<Line>)>,
}

/// Too many are waiting already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{WAITING_AT_MOST} others are waiting to write")]
pub(crate) struct QueueFull;

impl WriteQueue {
    /// The queue before this database; one for all who share these connections.
    pub(crate) fn of(db: &DatabaseConnection) -> Self {
        let one_writer = db.get_database_backend() == DbBackend::Sqlite;
        Self { line: one_writer.then(|| Line::before(db)) }
    }

    /// Whether one writes at a time, so that there is a queue at all.
    pub(crate) fn is_for_one(&self) -> bool {
        self.line.is_some()
    }

    /// Waits for the right to write, behind those who came before. Who stops waiting leaves the queue.
    ///
    /// # Errors
    /// The queue is full.
    pub(crate) async fn join(&self) -> Result<WritePermit, QueueFull> {
        let (permit, group) = self.join_group().await?;
        end_whole(group).await;
        Ok(permit)
    }

    /// The same for one that goes on with what the one before has left open.
    ///
    /// # Errors
    /// The queue is full.
    pub(super) async fn join_group(&self) -> Result<(WritePermit, Option<Group>), QueueFull> {
        let Some(line) = &self.line else { return Ok((WritePermit { held: None }, None)) };
        let _place = line.places.try_acquire().map_err(|_| QueueFull)?;
        Ok(line.permit().await)
    }

    /// The same for one whose number is bounded by something else, and who must not be sent away.
    pub(crate) async fn join_surely(&self) -> WritePermit {
        match &self.line {
            Some(line) => {
                let (permit, group) = line.permit().await;
                end_whole(group).await;
                permit
            }
            None => WritePermit { held: None },
        }
    }

    /// Whether nobody wants to write behind whoever does now.
    pub(super) fn is_empty(&self) -> bool {
        let places = self.line.as_ref().map(|line| line.places.available_permits());
        places.is_none_or(|free| free >= WAITING_AT_MOST)
    }
}

/// Ends what others share, whoever stops waiting for it.
async fn end_whole(group: Option<Group>) {
    if let Some(group) = group {
        // How it ended is told to those whose it is.
        drop(tokio::spawn(group.commit()).await);
    }
}

impl WritePermit {
    /// Gives it up, with an SQL transaction that is open: there must be somebody who will come and take it.
    pub(super) fn leave(self, group: Group) {
        // Where many write at once there is no group; were there one, dropping it would roll it back.
        if let Some((_, line)) = &self.held {
            *line.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(group);
        }
    }
}

impl Line {
    fn new() -> Arc<Self> {
        let places = Semaphore::new(WAITING_AT_MOST);
        let open = Mutex::new(None);
        Arc::new(Self { writer: Arc::new(Semaphore::new(1)), places, open })
    }

    async fn permit(self: &Arc<Self>) -> (WritePermit, Option<Group>) {
        // It is never closed; were it, SQLite's own lock would still keep writers apart.
        let writer = Arc::clone(&self.writer).acquire_owned().await.ok();
        // A poisoned lock is no reason to stop: there is one value in it, or none.
        let group = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        (WritePermit { held: writer.map(|writer| (writer, Arc::clone(self))) }, group)
    }

    fn before(db: &DatabaseConnection) -> Arc<Self> {
        match &db.inner {
            #[cfg(feature = "sqlite")]
            sea_orm::DatabaseConnectionType::SqlxSqlitePoolConnection(_) => {
                Self::before_pool(db.get_sqlite_connection_pool())
            }
            _ => Self::new(),
        }
    }

    /// The pool's line. The guard and the store of idempotency keys know nothing of each other, but they are
    /// given clones of one pool, and write to one file.
    #[cfg(feature = "sqlite")]
    fn before_pool(pool: &SqlitePool) -> Arc<Self> {
        /// A pool is known by its options, which it shares with its clones and with no other pool. Where they
        /// lie is not used again as long as something points there, be it weakly.
        type Lines = Vec<(Weak<SqliteConnectOptions>, Weak<Line>)>;
        static LINES: Mutex<Lines> = Mutex::new(Vec::new());
        let options = Arc::downgrade(&pool.connect_options());
        // A poisoned lock is no reason to stop: the list is whole after every statement.
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|(_, line)| line.strong_count() > 0);
        let known = lines.iter().find(|(of, _)| of.ptr_eq(&options));
        if let Some(line) = known.and_then(|(_, line)| line.upgrade()) {
            return line;
        }
        let line = Self::new();
        lines.push((options, Arc::downgrade(&line)));
        line
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use sea_orm::Database;

    use super::*;

    async fn database() -> DatabaseConnection {
        Database::connect("sqlite::memory:").await.expect("a database")
    }

    /// Looks whether it is ready by now.
    fn look<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn writers_take_turns_in_the_order_in_which_they_came() {
        let queue = WriteQueue::of(&database().await);
        let first = queue.join().await.expect("a place");
        let (mut second, mut third) = (pin!(queue.join()), pin!(queue.join_surely()));
        assert!(look(second.as_mut()).is_pending(), "two at once");
        assert!(look(third.as_mut()).is_pending(), "two at once");
        drop(first);
        assert!(look(third.as_mut()).is_pending(), "the last overtook the one before");
        let Poll::Ready(Ok(second)) = look(second.as_mut()) else { panic!("its turn came") };
        drop(second);
        assert!(look(third.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn who_stops_waiting_is_not_waited_for() {
        let queue = WriteQueue::of(&database().await);
        let first = queue.join().await.expect("a place");
        let mut last = {
            let mut impatient = pin!(queue.join());
            assert!(look(impatient.as_mut()).is_pending());
            let mut last = Box::pin(queue.join());
            assert!(look(last.as_mut()).is_pending());
            last
        };
        drop(first);
        assert!(look(last.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn a_full_queue_sends_away_all_but_those_who_must_stay() {
        let queue = WriteQueue::of(&database().await);
        let first = queue.join().await.expect("a place");
        let mut waiting = Vec::new();
        for _ in 0..WAITING_AT_MOST {
            let mut one = Box::pin(queue.join());
            assert!(look(one.as_mut()).is_pending());
            waiting.push(one);
        }
        assert_eq!(queue.join().await.expect_err("no place is left"), QueueFull);
        assert!(look(pin!(queue.join_surely())).is_pending());
        waiting.pop();
        assert!(look(pin!(queue.join())).is_pending(), "there is a place again");
        drop((first, waiting));
    }

    #[tokio::test]
    async fn those_who_share_connections_share_the_queue_and_no_others_do() {
        let (one, other) = (database().await, database().await);
        // Nothing is left of this queue but the permit.
        let writing = WriteQueue::of(&one).join_surely().await;
        assert!(look(pin!(WriteQueue::of(&one.clone()).join())).is_pending(), "two at once");
        assert!(look(pin!(WriteQueue::of(&other).join())).is_ready(), "it waited for a stranger");
        drop(writing);
        assert!(look(pin!(WriteQueue::of(&one).join())).is_ready());
    }
}
