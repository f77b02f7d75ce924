//! How the runtime and the API reach the journal.

use std::sync::Arc;
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{
    Act, ActAlone, Backlog, HistoryEvent, HoldChange, JournalEvent, LifeRow, ParticipantPause,
    Record, SagaRevision, StoredTransaction, Urgency,
};
use tercet_wire::{
    AuditEntryView, AuditQuery, Gid, Incarnation, ListQuery, Page, RowsUnder, SagaName,
    SummaryView, Wall,
};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::database;
use super::error::JournalError;
use super::memory::MemoryRows;
use super::meters::QueueMeter;
use super::reader::Asked;
use super::settings::JournalSettings;
use super::store::{Life, Store};
use super::stored_saga::{ListedSaga, StoredSaga};
use super::summary::JournalSummary;
use super::thread;
use super::unreadable::Unreadable;
use super::writer::{Command, Settled, Told};

/// How long a thread that was told to stop at once is waited for.
const LETTING_GO: Duration = Duration::from_secs(1);

/// The journal. Cheap to clone. When the last clone is dropped without [`Journal::close`],
/// what is queued is lost, as it would be in a crash.
#[derive(Clone)]
pub struct Journal {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) queue: mpsc::UnboundedSender<Command>,
    pub(super) asks: mpsc::UnboundedSender<Asked>,
    pub(super) store: Arc<dyn Store>,
    /// As many reads for people as may run at once.
    pub(super) reads: Semaphore,
    pub(super) read_within: Duration,
    /// As many acts as may wait to be written.
    pub(super) acts: Arc<Semaphore>,
    pub(super) meter: Arc<QueueMeter>,
    /// Dropped or written to: the thread stops at once.
    pub(super) stop: watch::Sender<()>,
    /// Its sender is dropped when the thread has let go of everything.
    pub(super) ended: watch::Receiver<()>,
}

impl Journal {
    /// Opens the database: takes its lock, brings its schema up to date, registers this
    /// incarnation, and starts the writer. What happens then is told through `events`.
    ///
    /// On a file every earlier incarnation is fenced, and its unfinished transactions are this
    /// one's. On a server, which nodes share, others are left alone, but for one of the same node
    /// that gives no sign of life: that is fenced; and whatever is unfinished stays its owner's
    /// until it is taken over.
    ///
    /// # Errors
    /// The URL is not understood, another process uses the file, another node of this name is at
    /// work, the database cannot be used or would not keep what it acknowledges.
    pub async fn open(
        settings: JournalSettings,
        events: mpsc::UnboundedSender<JournalEvent>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, JournalError> {
        let database = database::at(&settings.database_url)?;
        let started_at = clock.now().wall;
        let (for_store, readers) = (settings.clone(), Handle::current());
        let make = async move || database.open(&for_store, started_at, &readers).await;
        thread::start(settings, events, clock, make).await
    }

    /// A journal that keeps its rows in memory: same queue, batches and events, no IO.
    /// Opening another on the same rows is a restart of the node.
    ///
    /// # Errors
    /// The thread could not be started.
    pub async fn in_memory(
        rows: &MemoryRows,
        settings: JournalSettings,
        events: mpsc::UnboundedSender<JournalEvent>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, JournalError> {
        let life = Life::of(&settings, clock.now().wall);
        let store = Arc::new(rows.open(&life).await?) as Arc<dyn Store>;
        thread::start(settings, events, clock, async move || Ok(store)).await
    }

    pub(super) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Hands records over to be made durable, after all appended before. Never blocks and
    /// never fails: what becomes of them is told by `JournalEvent`s. Whoever appends sees to
    /// it that the backlog stays within bounds. Without records, it presses for those appended
    /// before.
    pub fn append(&self, records: Vec<Record>, urgency: Urgency) {
        let Backlog { records: count, bytes } = Backlog::of(&records);
        self.shared.meter.add(count, bytes);
        // A writer that has ended was fenced or closed, and has said so: they are lost.
        if self.shared.queue.send(Command::Append { records, urgency }).is_err() {
            self.shared.meter.remove(count, bytes);
        }
    }

    /// Asks for what the journal knows of these gids. Each is answered by
    /// `JournalEvent::Loaded`, with what is durable when it is read; a gid asked for again
    /// before it is answered is answered once.
    pub fn load(&self, gids: Vec<Gid>) {
        if !gids.is_empty() {
            // A reader that has ended was fenced or closed, and the writer has said so.
            let _ = self.shared.asks.send(Asked::Load(gids));
        }
    }

    /// Asks for the gids of this incarnation's decided and unfinished transactions, by gid,
    /// those after `after`, at most 100. Answered by `JournalEvent::PageOfGids`, with none only at
    /// the end; once for each time it was asked, in that order, and however long the
    /// database does not answer.
    pub fn sweep(&self, after: Option<Gid>) {
        // As above.
        let _ = self.shared.asks.send(Asked::PageRequest(after));
    }

    /// When the node's earlier lives wrote last, by their wall clock: at most a minute before
    /// they ended, if they could write. Where nodes share the rows, when any of them did before
    /// this one was opened. None if this is the first.
    #[must_use]
    pub fn last_written(&self) -> Option<Wall> {
        self.shared.store.last_written()
    }

    /// What was appended and is not durable yet.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        Backlog { records: self.shared.meter.records(), bytes: self.shared.meter.bytes() }
    }

    /// A page of this incarnation's unfinished transactions, by gid, those after `after`: at most
    /// `limit`, and fewer where they are large. A page is empty only when there are no more. Those whose rows make no sense are
    /// among them, as errors.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn unfinished(
        &self,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Result<StoredTransaction, Unreadable>>, JournalError> {
        self.shared.store.unfinished(after, limit).await
    }

    /// What there is, counted. Every finished transaction is counted by an index, so ask for
    /// it when somebody looks, not on the way of a transaction. `now` says whose deadline is over.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn summary(&self, now: Wall) -> Result<JournalSummary, JournalError> {
        self.shown(self.shared.store.summary(now)).await
    }

    /// A page of a list, newest first.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn list(&self, query: &ListQuery) -> Result<Page<SummaryView>, JournalError> {
        self.shown(self.shared.store.list(query)).await
    }

    /// A page of what operators did, newest first.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntryView>, JournalError> {
        self.shown(self.shared.store.audit(query)).await
    }

    /// Makes durable what an operator does to no single transaction, before any of it is done. (What
    /// is done to one transaction goes with that one's records.)
    ///
    /// # Errors
    /// It is not known to be durable in time, or never will be.
    pub async fn act(&self, act: Act) -> Result<(), JournalError> {
        match self.act_alone(act.into()).await? {
            Settled::Durable => Ok(()),
            // Nobody competes for it: the database does not take it at all.
            Settled::Rejected => Err(JournalError::Closed),
        }
    }

    /// Makes durable what becomes of the definition of a saga, with the act that asked for it: both
    /// or neither.
    ///
    /// # Errors
    /// As [`Journal::act`]; or another has written this revision of the name first.
    pub async fn revise(&self, act: Act, revision: SagaRevision) -> Result<(), JournalError> {
        let alone = ActAlone { revision: Some(revision), ..ActAlone::from(act) };
        match self.act_alone(alone).await? {
            Settled::Durable => Ok(()),
            Settled::Rejected => Err(JournalError::Overtaken),
        }
    }

    /// Makes durable whether a participant is called, with the act that asked for it.
    ///
    /// # Errors
    /// As [`Journal::act`].
    pub async fn pause(&self, act: Act, pause: ParticipantPause) -> Result<(), JournalError> {
        let alone = ActAlone { pause: Some(pause), ..ActAlone::from(act) };
        match self.act_alone(alone).await? {
            Settled::Durable => Ok(()),
            Settled::Rejected => Err(JournalError::Closed),
        }
    }

    /// Participants that nobody calls, by name.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn pauses(&self) -> Result<Vec<ParticipantPause>, JournalError> {
        self.shared.store.pauses().await
    }

    /// The definition of a saga: this version of it, or its newest; none if there is no such name.
    ///
    /// # Errors
    /// The database does not answer, or not in time; or what it has makes no sense.
    pub async fn saga(
        &self,
        name: &SagaName,
        version: Option<u32>,
    ) -> Result<Option<StoredSaga>, JournalError> {
        self.shown(self.shared.store.saga(name, version)).await
    }

    /// Names of definitions after this one, in their order, at most `limit`.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn sagas(
        &self,
        after: Option<&SagaName>,
        limit: u32,
    ) -> Result<Vec<ListedSaga>, JournalError> {
        self.shown(self.shared.store.sagas(after, limit)).await
    }

    /// How many names of definitions there are, retired ones too.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn count_sagas(&self) -> Result<u64, JournalError> {
        self.shown(self.shared.store.count_sagas()).await
    }

    /// Whether something is held since the database was restored: the newest change of that.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn hold(&self) -> Result<Option<HoldChange>, JournalError> {
        self.shared.store.hold().await
    }

    /// Makes durable that what was held goes on, with the act that asked for it: both or neither.
    ///
    /// # Errors
    /// As [`Journal::act`]; or another has released it first.
    pub async fn release(&self, act: Act, change: HoldChange) -> Result<(), JournalError> {
        match self.act_alone(ActAlone { hold: Some(change), ..act.into() }).await? {
            Settled::Durable => Ok(()),
            Settled::Rejected => Err(JournalError::Overtaken),
        }
    }

    pub(super) async fn act_alone(&self, act: ActAlone) -> Result<Settled, JournalError> {
        let within = self.shared.read_within;
        let place = Arc::clone(&self.shared.acts).try_acquire_owned();
        // So many wait only where nothing is written.
        let place = place.map_err(|_| JournalError::TooSlow { within })?;
        let (told, durable) = oneshot::channel();
        let command = Command::Act { act: Box::new(act), told: Told { told, _place: place } };
        self.shared.queue.send(command).map_err(|_| JournalError::Closed)?;
        match tokio::time::timeout(within, durable).await {
            Ok(settled) => settled.map_err(|_| JournalError::Closed),
            Err(_) => Err(JournalError::TooSlow { within }),
        }
    }

    /// Lines of a transaction's history with a number greater than `after`, oldest first.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn history(
        &self,
        gid: &Gid,
        after: u32,
        limit: u32,
    ) -> Result<Vec<HistoryEvent>, JournalError> {
        self.shown(self.shared.store.history(gid, after, limit)).await
    }

    /// Reads for people: so many at once, and each within its time.
    pub(super) async fn shown<T>(
        &self,
        read: impl Future<Output = Result<T, JournalError>>,
    ) -> Result<T, JournalError> {
        let within = self.shared.read_within;
        let read = async {
            // It is never closed; if it were, reading without a place would do no harm.
            let _place = self.shared.reads.acquire().await;
            read.await
        };
        let read = tokio::time::timeout(within, read).await;
        read.unwrap_or(Err(JournalError::TooSlow { within }))
    }

    /// Whether this node deletes what is past its retention, or leaves that to another: of those on
    /// one database one is enough. Where one process has the rows to itself it does from the
    /// start; where several share them it does not until it is told to.
    pub fn set_sweeping(&self, sweeping: bool) {
        // A writer that has ended deletes nothing.
        let _ = self.shared.queue.send(Command::SetSweeping(sweeping));
    }

    /// Where the rows of what is begun now are to stand: to be said of its instance, once, when it is made.
    #[must_use]
    pub fn rows_under(&self) -> RowsUnder {
        self.shared.store.rows_under()
    }

    /// Makes durable what was appended, taking at most this long, then stops the thread and
    /// lets go of the database; reads under way are given a moment. What is appended afterwards is lost.
    ///
    /// # Errors
    /// The time was up, or the writer was fenced, before all of it was durable.
    pub async fn close(&self, within: Duration) -> Result<(), JournalError> {
        self.end(Command::Close, within).await
    }

    /// The same; and where nodes share the rows the last that is written says that this life is
    /// over, so that the others take over what it drives without waiting for its silence.
    ///
    /// # Errors
    /// As for [`Journal::close`].
    pub async fn leave(&self, within: Duration) -> Result<(), JournalError> {
        let is_shared = self.shared.store.cluster().is_some();
        self.end(if is_shared { Command::Leave } else { Command::Close }, within).await
    }

    async fn end(&self, end: Command, within: Duration) -> Result<(), JournalError> {
        let mut ended = self.shared.ended.clone();
        // Neither matters if the thread has ended already.
        let _ = self.shared.queue.send(end);
        if tokio::time::timeout(within, until_dropped(&mut ended)).await.is_err() {
            let _ = self.shared.stop.send(());
            // A disk that does not answer keeps the thread as long as it likes.
            let _ = tokio::time::timeout(LETTING_GO, until_dropped(&mut ended)).await;
        }
        match self.shared.meter.records() {
            0 => Ok(()),
            records => Err(JournalError::NotFlushed { records }),
        }
    }
}

/// What nodes that share the rows do with each other's. Where one process has them to itself there
/// is nobody else: no rows, and nothing to be done.
impl Journal {
    /// The rows of all lives, this one's among them.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn lives(&self) -> Result<Vec<LifeRow>, JournalError> {
        match self.shared.store.cluster() {
            Some(cluster) => cluster.lives().await,
            None => Ok(Vec::new()),
        }
    }

    /// Marks a life as fenced if its last batch is still this one; whether it was.
    ///
    /// # Errors
    /// The database does not answer, and nobody knows.
    pub async fn mark_fenced(&self, dead: Incarnation, seen: i64) -> Result<bool, JournalError> {
        match self.shared.store.cluster() {
            Some(cluster) => cluster.mark_fenced(dead, seen).await,
            None => Ok(false),
        }
    }

    /// Gids of a life's unfinished transactions, those after `after`, by gid; only of those
    /// without a decision, if so asked. None only when there are no more.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn driven_by(
        &self,
        dead: Incarnation,
        undecided: bool,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Gid>, JournalError> {
        match self.shared.store.cluster() {
            Some(cluster) => cluster.driven_by(dead, undecided, after, limit).await,
            None => Ok(Vec::new()),
        }
    }

    /// Has these transactions of a dead life made this one's, at most
    /// [`tercet_engine::MOST_IN_CHUNK`]. Answered by `JournalEvent::TakingOver` before it is
    /// submitted and by `JournalEvent::TakenOver` once it is durable, in the order it was asked.
    pub fn take_over(&self, dead: Incarnation, gids: Vec<Gid>) {
        // A writer that has ended was fenced or closed, and has said so.
        let _ = self.shared.queue.send(Command::TakeOver { dead, gids });
    }

    /// Owners of unfinished transactions that have no row, those after `after`, in order, and 0
    /// where some have no owner at all: what they drive is taken over as from a life that has
    /// left. None only when there are no more.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn orphans(
        &self,
        after: Option<Incarnation>,
    ) -> Result<Vec<Incarnation>, JournalError> {
        match self.shared.store.cluster() {
            Some(cluster) => cluster.orphans(after).await,
            None => Ok(Vec::new()),
        }
    }

    /// Where each life listens.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn node_urls(&self) -> Result<Vec<(Incarnation, String)>, JournalError> {
        match self.shared.store.cluster() {
            Some(cluster) => cluster.urls().await,
            None => Ok(Vec::new()),
        }
    }

    /// The secret that all nodes share: this one, if there was none. None where there is one node.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn shared_secret(&self, fresh: &str) -> Result<Option<String>, JournalError> {
        match self.shared.store.cluster() {
            Some(cluster) => cluster.shared_secret(fresh).await.map(Some),
            None => Ok(None),
        }
    }

    /// The secret that whoever uses these rows shares; none where none was kept.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn secret(&self) -> Result<Option<String>, JournalError> {
        self.shown(self.shared.store.secret()).await
    }

    /// What the rows say of a transaction, whoever drives it. None where there are none, or they make
    /// no sense.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn look_at(&self, gid: &Gid) -> Result<Option<StoredTransaction>, JournalError> {
        self.shown(self.shared.store.look_at(gid)).await
    }

    /// Deletes the row of a life that is over, if no transaction points to it; whether it did.
    ///
    /// # Errors
    /// The database does not answer, and nobody knows.
    pub async fn remove_life(&self, dead: Incarnation) -> Result<bool, JournalError> {
        match self.shared.store.cluster() {
            Some(cluster) => cluster.remove(dead).await,
            None => Ok(false),
        }
    }
}

async fn until_dropped(ended: &mut watch::Receiver<()>) {
    while ended.changed().await.is_ok() {}
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("backlog", &self.backlog()).finish_non_exhaustive()
    }
}
