//! Business code that does as its payload says, on a database whose commits are counted.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sea_orm::sqlx::sqlite::SqliteJournalMode;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction};
use serde::Deserialize;
use tercet_participant::{Context, Failure, Op, Participant};
use tokio::sync::{Notify, OwnedRwLockWriteGuard, RwLock};
use tokio::task::JoinHandle;

use crate::database::Database;
use crate::service::{Answer, Call, Service, count};

/// What is seen and done where SQLite is about to commit.
#[derive(Default)]
pub(crate) struct Commits {
    done: AtomicU32,
    /// None gets through.
    pub(crate) are_broken: AtomicBool,
    /// The next one does not.
    next_is_broken: AtomicBool,
}

impl Commits {
    pub(crate) fn count(&self) -> u32 {
        self.done.load(Ordering::SeqCst)
    }

    fn pass(&self) -> bool {
        if self.next_is_broken.swap(false, Ordering::SeqCst)
            || self.are_broken.load(Ordering::SeqCst)
        {
            return false;
        }
        self.done.fetch_add(1, Ordering::SeqCst);
        true
    }
}

/// What a call does when it has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Then {
    Nothing,
    Waits,
    /// At another gate.
    WaitsLonger,
    Refuses,
    Fails,
    Panics,
    RollsBack,
    /// It rolls back, and begins another SQL transaction.
    BeginsAnew,
    /// What it is part of cannot be committed.
    Spoils,
    /// It takes the one thing that there is, or refuses.
    Takes,
    /// It takes it, and what that is part of cannot be committed.
    TakesAndSpoils,
}

#[derive(Deserialize)]
pub(crate) struct Payload {
    then: Then,
}

/// A gid whose work has begun, and how many commits there had been by then.
type Ran = (String, u32);

pub(crate) struct Obedient {
    commits: Arc<Commits>,
    gate: Arc<RwLock<()>>,
    second_gate: Arc<RwLock<()>>,
    at_gate: Arc<Notify>,
    ran: Arc<Mutex<Vec<Ran>>>,
}

impl Participant for Obedient {
    type Payload = Payload;

    async fn try_(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        Payload { then }: Payload,
    ) -> Result<(), Failure> {
        let gid = context.gid.as_str();
        let ran = (gid.to_owned(), self.commits.count());
        self.ran.lock().expect("not poisoned").push(ran);
        count(db, gid, "tries").await?;
        match then {
            Then::Nothing => {}
            Then::Waits => {
                self.at_gate.notify_one();
                drop(self.gate.read().await);
            }
            Then::WaitsLonger => {
                self.at_gate.notify_one();
                drop(self.second_gate.read().await);
            }
            Then::Refuses => return Err(Failure::refused("told-to", "it was told to")),
            Then::Fails => return Err(Failure::retry("it was told to")),
            Then::Panics => panic!("it was told to"),
            Then::RollsBack => drop(db.execute_unprepared("ROLLBACK").await),
            Then::BeginsAnew => drop(db.execute_unprepared("ROLLBACK; BEGIN").await),
            Then::Spoils => self.commits.next_is_broken.store(true, Ordering::SeqCst),
            Then::Takes | Then::TakesAndSpoils => {
                let take = "INSERT INTO taken (thing) VALUES ('the one') ON CONFLICT DO NOTHING";
                if db.execute_unprepared(take).await?.rows_affected() == 0 {
                    return Err(Failure::refused("taken", "it was taken"));
                }
                if then == Then::TakesAndSpoils {
                    self.commits.next_is_broken.store(true, Ordering::SeqCst);
                }
            }
        }
        Ok(())
    }

    async fn confirm(
        &self,
        _: &DatabaseTransaction,
        _: &Context,
        _: Payload,
    ) -> Result<(), Failure> {
        Ok(())
    }

    async fn cancel(
        &self,
        _: &DatabaseTransaction,
        _: &Context,
        _: Payload,
    ) -> Result<(), Failure> {
        Ok(())
    }
}

/// A service of such code.
pub(crate) struct Scene {
    pub(crate) service: Arc<Service>,
    pub(crate) commits: Arc<Commits>,
    /// Held (for writing) by tests that hold work up.
    gate: Arc<RwLock<()>>,
    pub(crate) second_gate: Arc<RwLock<()>>,
    /// Told when work has come to the gate.
    pub(crate) at_gate: Arc<Notify>,
    ran: Arc<Mutex<Vec<Ran>>>,
    /// How many calls were held up.
    held: AtomicU32,
}

impl Scene {
    pub(crate) async fn start(database: &Database) -> Self {
        let (commits, gate, second_gate) = <(Arc<Commits>, Arc<RwLock<()>>, Arc<_>)>::default();
        let (at_gate, ran) = <(Arc<Notify>, Arc<_>)>::default();
        let db = counted(database, &commits).await;
        let sql = "CREATE TABLE IF NOT EXISTS taken (thing TEXT PRIMARY KEY)";
        db.execute_unprepared(sql).await.expect("a table");
        let obedient = Obedient {
            commits: Arc::clone(&commits),
            gate: Arc::clone(&gate),
            second_gate: Arc::clone(&second_gate),
            at_gate: Arc::clone(&at_gate),
            ran: Arc::clone(&ran),
        };
        let service = Arc::new(Service::start_on(db, database, None, obedient).await);
        Self { service, commits, gate, second_gate, at_gate, ran, held: AtomicU32::new(0) }
    }

    /// Makes the Try of this gid, which does this.
    pub(crate) fn call(&self, gid: &str, then: &'static str) -> JoinHandle<Answer> {
        let (service, gid) = (Arc::clone(&self.service), gid.to_owned());
        tokio::spawn(async move {
            let body = format!(r#"{{"then":"{then}"}}"#);
            service.call(Call { body: &body, ..Call::usual(&gid, Op::Try) }).await
        })
    }

    /// Holds a call up: until the gate is opened nobody else writes.
    pub(crate) async fn hold(&self) -> (OwnedRwLockWriteGuard<()>, JoinHandle<Answer>) {
        let gate = Arc::clone(&self.gate).write_owned().await;
        let number = self.held.fetch_add(1, Ordering::SeqCst);
        let held = self.call(&format!("held-{number}"), "waits");
        self.at_gate.notified().await;
        (gate, held)
    }

    /// Makes a call and waits a little, in which it comes to its place in the queue; mostly.
    pub(crate) async fn call_in_turn(&self, gid: &str, then: &'static str) -> JoinHandle<Answer> {
        let called = self.call(gid, then);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        called
    }

    /// Has all of these wait for the right to write, mostly in this order, and then opens the gate. It ends when all of
    /// them have had their turn once.
    pub(crate) async fn run_together(&self, calls: &[(&str, &'static str)]) {
        let (gate, held) = self.hold().await;
        let mut waiting = Vec::new();
        for (gid, then) in calls {
            waiting.push(self.call_in_turn(gid, then).await);
        }
        for call in waiting {
            assert_eq!(call.await.expect("no panic").words(), "202 in-progress");
        }
        drop(gate);
        assert_eq!(held.await.expect("no panic").words(), "200 tried");
        // It comes behind all of them.
        let behind = format!("behind-{}", self.held.load(Ordering::SeqCst));
        assert!(self.answer(&behind, "nothing").await.starts_with("200 tried"));
    }

    /// Calls again until the answer is no "come again"; it must not be a failure.
    pub(crate) async fn answer(&self, gid: &str, then: &'static str) -> String {
        loop {
            let answer = self.call(gid, then).await.expect("no panic");
            if answer.status != 202 {
                return answer.words();
            }
        }
    }

    /// How often the work of this gid has begun.
    pub(crate) fn begun(&self, gid: &str) -> usize {
        self.ran.lock().expect("not poisoned").iter().filter(|(of, _)| of == gid).count()
    }

    /// Whose work has first begun after as many commits as that of this gid: those in its group.
    pub(crate) fn group_of(&self, gid: &str) -> Vec<String> {
        let ran = self.ran.lock().expect("not poisoned");
        let at = ran.iter().find(|(of, _)| of == gid).map(|(_, at)| *at);
        ran.iter().filter(|(_, of)| Some(*of) == at).map(|(of, _)| of.clone()).collect()
    }
}

/// Connections whose commits are counted.
async fn counted(database: &Database, commits: &Arc<Commits>) -> DatabaseConnection {
    let commits = Arc::clone(commits);
    let set = move |options: &mut sea_orm::ConnectOptions| {
        options.map_sqlx_sqlite_opts(|options| {
            options.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_millis(20))
        });
        options.map_sqlx_sqlite_pool_opts(move |options| {
            let commits = Arc::clone(&commits);
            options.acquire_timeout(Duration::from_secs(60)).after_connect(move |connection, _| {
                let commits = Arc::clone(&commits);
                Box::pin(async move {
                    connection.lock_handle().await?.set_commit_hook(move || commits.pass());
                    Ok(())
                })
            })
        });
    };
    database.connect_with(4, set).await
}
