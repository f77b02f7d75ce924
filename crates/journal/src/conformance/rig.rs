//! A journal with its events, on either kind of store, that can be opened again.

use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tercet_clock::Clock;
use tercet_engine::{HistoryEvent, Load, Record, StoredTransaction, Urgency};
use tercet_wire::{Epoch, Gid, Incarnation, Instance, Mono, Now, Seq, Wall};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::faulty::{Faults, Faulty};
#[cfg(feature = "databases")]
use crate::JournalError;
use crate::sqlite::{SqliteFile, SqliteStore};
use crate::store::{Life, Store};
use crate::{Journal, JournalEvent, JournalSettings, MemoryRows, thread};

/// Far more than anything takes: a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Time that passes when it is told to; without luck, so that pauses between submissions are none.
#[derive(Debug, Default)]
pub(crate) struct TestClock {
    now: Mutex<(u64, i64)>,
}

impl TestClock {
    pub(crate) fn set(&self, wall: Wall) {
        self.now.lock().unwrap().1 = wall.0;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let mut now = self.now.lock().unwrap();
        // Each look is a little later, so that nothing waits for time to pass by itself.
        now.0 += 1;
        Now { mono: Mono(now.0), wall: Wall(now.1), entropy: 0 }
    }

    fn new_instance(&self) -> Instance {
        unreachable!("the journal makes no instances")
    }

    fn new_incarnation(&self) -> Incarnation {
        unreachable!("the journal makes no incarnations")
    }

    fn new_epoch(&self) -> Epoch {
        unreachable!("the journal makes no epochs")
    }
}

/// Where the rows are.
enum Place {
    Memory(MemoryRows),
    Sqlite {
        /// Deleted when this is dropped.
        _dir: TempDir,
    },
    #[cfg(feature = "databases")]
    Server(super::servers::TestDatabase),
}

/// Where rows are, and how journals are opened on them.
pub(crate) struct Rig {
    place: Place,
    of_several_nodes: bool,
    lives: AtomicI64,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) settings: JournalSettings,
}

/// A journal and what it tells.
pub(crate) struct Running {
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    events: mpsc::UnboundedReceiver<JournalEvent>,
}

impl Rig {
    pub(crate) fn in_memory() -> Self {
        Self::at(Place::Memory(MemoryRows::new()), String::new())
    }

    /// In memory that several nodes share.
    pub(crate) fn in_shared_memory() -> Self {
        Self::at(Place::Memory(MemoryRows::of_several_nodes()), String::new()).of_several_nodes()
    }

    pub(crate) fn on_sqlite() -> Self {
        let dir = TempDir::new().unwrap();
        let url = format!("sqlite://{}/tercet.db", dir.path().display());
        Self::at(Place::Sqlite { _dir: dir }, url)
    }

    /// The same rows for several nodes: each life is another node's, and leaves the others alone.
    pub(crate) fn of_several_nodes(self) -> Self {
        Self { of_several_nodes: true, ..self }
    }

    /// In a database of its own, made when it is first opened.
    #[cfg(feature = "databases")]
    pub(crate) fn on_postgres() -> Self {
        Self::on(super::servers::TestDatabase::on_postgres())
    }

    /// As on PostgreSQL.
    #[cfg(feature = "databases")]
    pub(crate) fn on_mysql() -> Self {
        Self::on(super::servers::TestDatabase::on_mysql())
    }

    #[cfg(feature = "databases")]
    fn on(database: super::servers::TestDatabase) -> Self {
        let url = database.url().to_owned();
        Self::at(Place::Server(database), url)
    }

    /// The database on a server.
    #[cfg(feature = "databases")]
    pub(crate) fn server(&self) -> &super::servers::TestDatabase {
        match &self.place {
            Place::Server(database) => database,
            Place::Memory(_) | Place::Sqlite { .. } => panic!("it is on no server"),
        }
    }

    /// The same with no rows yet.
    pub(crate) fn fresh(&self) -> Self {
        let fresh = match &self.place {
            Place::Memory(_) => Self::in_memory(),
            Place::Sqlite { .. } => Self::on_sqlite(),
            #[cfg(feature = "databases")]
            Place::Server(database) => Self::on(database.another()),
        };
        let database_url = fresh.settings.database_url.clone();
        let settings = JournalSettings { database_url, ..self.settings.clone() };
        Self { settings, of_several_nodes: self.of_several_nodes, ..fresh }
    }

    fn at(place: Place, url: String) -> Self {
        let settings = JournalSettings::new(&url, "node-1", Incarnation(0));
        // What is written is what a test says.
        let settings = JournalSettings { heartbeat: settings.longest_silence, ..settings };
        let (of_several_nodes, lives) = (false, AtomicI64::new(0));
        Self { place, of_several_nodes, lives, clock: Arc::default(), settings }
    }

    /// Settings for the next life of the node, or of another.
    pub(crate) fn next_life(&self) -> JournalSettings {
        let life = self.lives.fetch_add(1, Ordering::Relaxed) + 1;
        let node_id = match self.of_several_nodes {
            true => format!("node-{life}"),
            false => self.settings.node_id.clone(),
        };
        JournalSettings { incarnation: Incarnation(life), node_id, ..self.settings.clone() }
    }

    /// The store for one life. Several lives may run at once: the lock is not part of it.
    async fn store(&self, settings: &JournalSettings) -> Arc<dyn Store> {
        match &self.place {
            Place::Memory(rows) => Arc::new(rows.open(&Life::of(settings, Wall(0))).await.unwrap()),
            Place::Sqlite { .. } => Arc::new(self.sqlite_store(settings).await),
            #[cfg(feature = "databases")]
            Place::Server(database) => {
                database.make().await;
                Self::open_server(settings).await.unwrap()
            }
        }
    }

    /// Opens a server's store as a node does. It waits a moment for an earlier life of its node.
    #[cfg(feature = "databases")]
    async fn open_server(settings: &JournalSettings) -> Result<Arc<dyn Store>, JournalError> {
        let settings = JournalSettings { heartbeat: Duration::from_millis(1), ..settings.clone() };
        let at = crate::database::at(&settings.database_url).unwrap();
        at.open(&settings, Wall(0), &Handle::current()).await
    }

    /// Opens the store for another life, and closes it: what keeps it from being opened.
    #[cfg(feature = "databases")]
    pub(crate) async fn refusal(&self) -> Option<JournalError> {
        match Self::open_server(&self.next_life()).await {
            Ok(store) => {
                store.close().await;
                None
            }
            Err(error) => Some(error),
        }
    }

    /// The file that the rows are in.
    pub(crate) fn sqlite_file(&self) -> SqliteFile {
        let after_scheme = self.settings.database_url.strip_prefix("sqlite:").unwrap();
        SqliteFile::parse(after_scheme).unwrap()
    }

    /// A store on that file, without its lock.
    pub(crate) async fn sqlite_store(&self, settings: &JournalSettings) -> SqliteStore {
        let (file, readers) = (self.sqlite_file(), Handle::current());
        SqliteStore::open_unlocked(&file, settings, Wall(0), &readers).await.unwrap()
    }

    /// The store alone, as a new life of the node.
    pub(crate) async fn only_store(&self) -> Arc<dyn Store> {
        Box::pin(self.store(&self.next_life())).await
    }

    /// Opens the journal as a new life of the node, which has what it does not share with others:
    /// where the store leaves that to whoever watches, all that earlier lives drove is taken over.
    pub(crate) async fn open(&self) -> Running {
        let settings = self.next_life();
        let own = settings.incarnation;
        let mut running = Box::pin(self.open_as(settings)).await;
        if !self.of_several_nodes {
            Box::pin(running.take_all_over(own)).await;
        }
        running
    }

    /// The same, and takes nothing over.
    async fn open_as(&self, settings: JournalSettings) -> Running {
        let store = Box::pin(self.store(&settings)).await;
        let faults = Faults::none();
        let faulty = Arc::new(Faulty { store, faults: faults.clone() }) as Arc<dyn Store>;
        let (tell, events) = mpsc::unbounded_channel();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let journal = thread::start(settings, tell, clock, async move || Ok(faulty)).await.unwrap();
        Running { journal, faults, events }
    }
}

impl Running {
    /// A journal that was opened otherwise.
    pub(crate) fn with(journal: Journal, events: mpsc::UnboundedReceiver<JournalEvent>) -> Self {
        Self { journal, faults: Faults::none(), events }
    }

    pub(crate) async fn event(&mut self) -> JournalEvent {
        patiently(self.events.recv()).await.expect("the journal tells more")
    }

    /// All events up to the one that says that everything up to `seq` is durable.
    pub(crate) async fn until_durable(&mut self, seq: Seq) -> Vec<JournalEvent> {
        let mut seen = Vec::new();
        loop {
            let event = self.event().await;
            seen.push(event.clone());
            match event {
                JournalEvent::Durable(durable) if durable >= seq => return seen,
                _ => {}
            }
        }
    }

    /// Appends records and waits until they are durable.
    pub(crate) async fn write(&mut self, records: Vec<Record>) -> Vec<JournalEvent> {
        let last = records.last().expect("something to write").seq;
        self.journal.append(records, Urgency::Now);
        self.until_durable(last).await
    }

    /// Events that were told already.
    pub(crate) fn told(&mut self) -> Vec<JournalEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// What a load answers.
    pub(crate) async fn load(&mut self, gid: &Gid) -> Load {
        self.journal.load(vec![gid.clone()]);
        loop {
            match self.event().await {
                JournalEvent::Loaded(of, load) if of == *gid => return load,
                JournalEvent::Loaded(..)
                | JournalEvent::TakingOver { .. }
                | JournalEvent::TakenOver { .. }
                | JournalEvent::Durable(_)
                | JournalEvent::PageOfGids(_)
                | JournalEvent::Exists(_)
                | JournalEvent::Quarantined(_)
                | JournalEvent::Failing { .. }
                | JournalEvent::Healed
                | JournalEvent::Fenced => {}
            }
        }
    }

    /// A transaction with its history, if it is there.
    pub(crate) async fn stored(&mut self, gid: &Gid) -> Option<StoredTransaction> {
        match self.load(gid).await {
            Load::Nothing => None,
            Load::Found(stored) => {
                let history: Vec<HistoryEvent> =
                    self.journal.history(gid, 0, 10_000).await.unwrap();
                // Its owner is told where it matters.
                Some(StoredTransaction { history, owner: None, ..*stored })
            }
            Load::Elsewhere(owner) => panic!("{gid} is {owner:?}'s"),
            Load::Failed => panic!("{gid} cannot be read"),
            Load::Unreadable { why } => panic!("{gid}: {why}"),
        }
    }

    /// All unfinished transactions, by pages of `limit`.
    pub(crate) async fn unfinished(&self, limit: u32) -> Vec<StoredTransaction> {
        let mut all: Vec<StoredTransaction> = Vec::new();
        loop {
            let after = all.last().map(|stored| stored.spec.gid.clone());
            let page = self.journal.unfinished(after.as_ref(), limit).await.unwrap();
            if page.is_empty() {
                return all;
            }
            assert!(page.len() <= usize::try_from(limit).unwrap());
            let rows = page.into_iter().map(Result::unwrap);
            all.extend(rows.map(|stored| StoredTransaction { owner: None, ..stored }));
        }
    }

    /// Does what a watch would have done, whose lease is over: where there are other lives, they
    /// are marked, and all that they or nobody drives is taken over.
    async fn take_all_over(&mut self, own: Incarnation) {
        let others = self.journal.lives().await.unwrap();
        let mut dead: Vec<Incarnation> = others.iter().map(|row| row.incarnation).collect();
        dead.retain(|life| *life != own);
        dead.extend(self.journal.orphans(None).await.unwrap());
        for dead in dead {
            if let Some(row) = others.iter().find(|row| row.incarnation == dead) {
                self.journal.mark_fenced(dead, row.batch_no).await.unwrap();
            }
            let mut after = None;
            loop {
                let gids = self.journal.driven_by(dead, false, after.as_ref(), 500).await.unwrap();
                let Some(last) = gids.last() else { break };
                after = Some(last.clone());
                self.journal.take_over(dead, gids);
                while !matches!(self.event().await, JournalEvent::TakenOver { .. }) {}
            }
            self.journal.remove_life(dead).await.unwrap();
        }
        self.journal.set_sweeping(true);
    }

    /// Stops at once, as a crash would.
    pub(crate) async fn crash(self) {
        // How much was lost does not matter.
        let _ = patiently(self.journal.close(Duration::ZERO)).await;
    }
}

pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}
