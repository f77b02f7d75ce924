//! A journal on SQLite, as the daemon has it, and somebody else with the file open.

use std::path::Path;
use std::sync::Arc;

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection};
use tempfile::TempDir;
use tercet_engine::{Change, Load, Record, Urgency};
use tercet_journal::{Journal, JournalEvent, JournalSettings};
use tercet_wire::{Gid, Instance, Seq};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::clock::BranchState;

/// The journal, and who is outside.
pub(crate) struct Store {
    pub(crate) runtime: Runtime,
    pub(crate) journal: Journal,
    events: mpsc::UnboundedReceiver<JournalEvent>,
    outsider: DatabaseConnection,
    written: u64,
    _directory: TempDir,
}

impl Store {
    /// One without a row, in memory where the system has a place for that: what is written
    /// need not outlive anything.
    pub(crate) fn new() -> Self {
        let shared_memory = Path::new("/dev/shm");
        let directory = match shared_memory.is_dir() {
            true => TempDir::new_in(shared_memory),
            false => TempDir::new(),
        };
        let directory = directory.expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("fuzz.db").display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (tell, events) = mpsc::unbounded_channel();
        let clock = Arc::new(BranchState::default());
        let (journal, outsider) = runtime.block_on(async {
            use tercet_clock::Clock as _;
            let settings = JournalSettings::new(&url, "fuzz", clock.new_incarnation());
            let journal = Journal::open(settings, tell, clock).await.expect("a journal");
            let mut options = ConnectOptions::new(url);
            options.max_connections(1).sqlx_logging(false);
            (journal, Database::connect(options).await.expect("the file is there"))
        });
        Self { runtime, journal, events, outsider, written: 0, _directory: directory }
    }

    /// Writes changes of one transaction; what the journal says about it until they are durable.
    pub(crate) fn write(
        &mut self,
        gid: &Gid,
        instance: Instance,
        changes: Vec<Change>,
    ) -> Vec<JournalEvent> {
        let mut records = Vec::new();
        for change in changes {
            self.written += 1;
            records.push(Record { seq: Seq(self.written), gid: gid.clone(), instance, change });
        }
        let last = JournalEvent::Durable(Seq(self.written));
        self.journal.append(records, Urgency::Now);
        let mut told = Vec::new();
        while told.last() != Some(&last) {
            told.push(self.event());
        }
        told.pop();
        told.retain(|event| !matches!(event, JournalEvent::Durable(_)));
        told
    }

    /// What the journal knows of a gid.
    pub(crate) fn load(&mut self, gid: &Gid) -> Load {
        self.journal.load(vec![gid.clone()]);
        match self.event() {
            JournalEvent::Loaded(loaded, load) => {
                assert_eq!(&loaded, gid);
                load
            }
            other => panic!("{other:?} instead of what was asked for"),
        }
    }

    /// Changes rows behind the journal's back; whether the database let it.
    pub(crate) fn tamper(&self, sql: &str) -> bool {
        self.runtime.block_on(async {
            let done = self.outsider.execute_unprepared(&format!("BEGIN;{sql};COMMIT")).await;
            if done.is_err() {
                self.outsider.execute_unprepared("ROLLBACK").await.expect("nothing is left open");
            }
            done.is_ok()
        })
    }

    fn event(&mut self) -> JournalEvent {
        self.runtime.block_on(self.events.recv()).expect("the journal lives")
    }
}
