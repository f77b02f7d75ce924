//! The store itself: the connection that writes, and pools that read.

use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{DatabaseConnection, Statement};
use tercet_engine::{Batch, TransactionKey};
use tercet_wire::{Incarnation, RowsUnder, Wall};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::address::Address;
use super::opening;
use super::rows_under::Standing;
use super::schema;
use super::server::{Server, Session};
use super::work::{Delete, Submit, Work};
use crate::error::JournalError;
use crate::meters::StatementMeters;
use crate::settings::JournalSettings;
use crate::sql::{Dialect, FinishedCounts, OWN_READS, Pools, SqlStore, discard};
use crate::store::{Cluster, Commit, CommitError, Life, Store};

/// How long one turn of the writer's may take. The server ends a statement of its own accord
/// before; this is for one that has gone without a word, or a network that has.
pub(super) const TURN_WITHIN: Duration = Duration::from_secs(12);

/// How long deleting what is past its retention may take in one turn: two heartbeats, half of the
/// silence after which others take this life for dead; within these bounds.
const MOST_DELETE_WITHIN: Duration = Duration::from_secs(1);
const LEAST_DELETE_WITHIN: Duration = Duration::from_millis(400);

/// How long one of the node's own reads may take: one whose server has gone without a word must
/// not keep those behind it waiting for as long as TCP hopes.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// The same for what the retention looks up: it counts rows, of which there may be many.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(60);

/// What take-overs and searches read at once, beside the node's other reads.
const TAKE_OVER_READS: u32 = 1;

/// Looks at the others' rows at once. They have a connection of their own: however slow what else this
/// node reads is, it must see who is silent, and that its own writes get through.
const LOOKS: u32 = 1;

/// How long a connection is waited for that is told good-bye.
const ENDING: Duration = Duration::from_millis(500);

/// Rows on a database server.
pub(crate) struct SharedStore<S: Server> {
    pub(super) at: Address,
    pub(super) incarnation: Incarnation,
    /// The one connection that writes. It is taken out while it is used and put back only
    /// when all went well, so that whatever is half done on it ends with it.
    writer: Mutex<Option<S::Session>>,
    pools: Pools,
    /// What looks at the rows of all lives.
    pub(super) looks: DatabaseConnection,
    last_written: Option<Wall>,
    delete_within: Duration,
    /// Where the rows of what begins stand.
    pub(super) standing: Standing,
    pub(super) meters: StatementMeters,
    server: PhantomData<S>,
}

impl<S: Server> SharedStore<S> {
    /// Opens the database for one incarnation.
    pub(crate) async fn open(
        at: &Address,
        settings: &JournalSettings,
        started_at: Wall,
        readers: &Handle,
    ) -> Result<Self, JournalError> {
        let writer = writer::<S>(at).await?;
        let starting = S::starting(at)?;
        let registered = async {
            schema::up_to_date::<S>(at, &starting).await?;
            let life = Life::of(settings, started_at);
            opening::register::<S>(at, &starting, &life, settings.heartbeat).await
        };
        let registered = registered.await;
        discard(starting).await;
        let last_written = registered?;
        let pools = Pools {
            incarnation: settings.incarnation,
            recovery_pool: pool::<S>(at, OWN_READS + TAKE_OVER_READS, readers).await?,
            query_pool: pool::<S>(at, settings.read_connections.max(1), readers).await?,
            page_bytes: settings.page_bytes,
            finished: FinishedCounts::default(),
        };
        let looks = pool::<S>(at, LOOKS, readers).await?;
        Ok(Self {
            at: at.clone(),
            incarnation: settings.incarnation,
            writer: Mutex::new(Some(writer)),
            pools,
            looks,
            last_written,
            delete_within: (settings.heartbeat * 2).clamp(LEAST_DELETE_WITHIN, MOST_DELETE_WITHIN),
            standing: Standing::new(settings.can_go_back),
            meters: StatementMeters::register(),
            server: PhantomData,
        })
    }

    /// Works on the connection that writes, and makes a new one after any failure: a database
    /// may have rolled back one statement alone, and would commit the others.
    pub(super) async fn write<W: Work<S>>(&self, work: W) -> Result<W::Done, W::Error> {
        let mut slot = self.writer.lock().await;
        let turn = async {
            if let Some(mut session) = slot.take() {
                session.liveness().begin_turn();
                let done = on(&work, &mut session).await;
                if done.is_ok() {
                    *slot = Some(session);
                    return done;
                }
                // It has ended while nobody used it, which is no failure of the database.
                if !session.liveness().was_gone() {
                    return done;
                }
            }
            let mut session = writer::<S>(&self.at).await?;
            let done = on(&work, &mut session).await?;
            *slot = Some(session);
            Ok(done)
        };
        let turn = tokio::time::timeout(TURN_WITHIN, turn).await;
        turn.unwrap_or_else(|_| Err(JournalError::TooSlow { within: TURN_WITHIN }.into()))
    }
}

/// Does it in the time that it has.
async fn on<S: Server, W: Work<S>>(
    work: &W,
    session: &mut S::Session,
) -> Result<W::Done, W::Error> {
    let within = work.within();
    let done = tokio::time::timeout(within, work.on(session)).await;
    done.unwrap_or_else(|_| Err(JournalError::TooSlow { within }.into()))
}

/// A pool of connections that read, on the runtime that will use them. It has one from the start:
/// a reader that gives up before it is connected would never be.
async fn pool<S: Server>(
    at: &Address,
    most: u32,
    readers: &Handle,
) -> Result<DatabaseConnection, JournalError> {
    let at = at.clone();
    let made = readers.spawn(async move {
        let pool = S::readers(&at, most)?;
        pool.ping().await?;
        Ok(pool)
    });
    // That runtime has gone, and nobody would read.
    made.await.map_err(|_| JournalError::Closed)?
}

/// A connection that writes. Each is checked: the name may lead to another server than before, one
/// that would forget, or a replica that lets some users write.
pub(super) async fn writer<S: Server>(at: &Address) -> Result<S::Session, JournalError> {
    let made = async {
        let mut session = S::connect(at).await?;
        S::prepare_writer(&mut session).await?;
        S::check(at, &mut session).await?;
        Ok(session)
    };
    let made = tokio::time::timeout(TURN_WITHIN, made).await;
    made.unwrap_or(Err(JournalError::TooSlow { within: TURN_WITHIN }))
}

#[async_trait]
impl<S: Server> Commit for SharedStore<S> {
    async fn commit(&self, batch: &Batch) -> Result<Vec<TransactionKey>, CommitError> {
        self.write(Submit { own: self.incarnation, what: batch, meters: &self.meters }).await
    }

    fn max_binds(&self) -> usize {
        S::Dialect::MAX_BINDS
    }
}

#[async_trait]
impl<S: Server> SqlStore for SharedStore<S> {
    type Dialect = S::Dialect;

    const IS_SHARED: bool = true;

    fn dialect(&self) -> S::Dialect {
        S::DIALECT
    }

    fn pools(&self) -> &Pools {
        &self.pools
    }

    fn read_within(&self) -> Duration {
        READ_WITHIN
    }

    fn look_up_within(&self) -> Duration {
        LOOK_UP_WITHIN
    }

    async fn delete(&self, statements: Vec<Statement>) -> Result<u64, JournalError> {
        self.write(Delete { statements, within: self.delete_within }).await
    }
}

#[async_trait]
impl<S: Server> Store for SharedStore<S> {
    fn last_written(&self) -> Option<Wall> {
        self.last_written
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        Some(self)
    }

    fn rows_under(&self) -> RowsUnder {
        self.standing.rows_under()
    }

    async fn close(&self) {
        if let Some(session) = self.writer.lock().await.take() {
            // Whether it hears it or not, it is let go of.
            let _ = tokio::time::timeout(ENDING, session.end()).await;
        }
        let _ = tokio::time::timeout(ENDING, discard(self.looks.clone())).await;
        self.pools.close().await;
    }
}
