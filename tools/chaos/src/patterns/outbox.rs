//! Messages that are sent with orders, and two relays that hand them over, while something goes wrong.
//!
//! ```text
//!   senders ──▶ SQL transaction: order, message ──▶ tercet-relay ×2 ──▶ coordinator ──▶ Confirm at the participant
//! ```

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr};
use tercet_participant::Outbox;

use super::Patterns;
use super::books::{Sent, unfinished, verdict};
use super::fault::PatternFault;
use crate::clock;
use crate::error::ChaosError;
use crate::link::{Link, Weather};
use crate::load::{CONNECTIONS, InitiatorLog, Load, Messages, Pace, Sender, Shape};
use crate::nodes::{Rows, Server};
use crate::process::Process;
use crate::row::{Rates, Row, ordinary, rate, recovery};
use crate::sale::UNDER_WAY;
use crate::spread::Short;
use crate::stage::{Kind, Plan, Programs, Setup, known};
use crate::tool::words;
use crate::trial::{Scale, WIDE};
use crate::verdict::Verdict;

/// Begins every gid of the load.
const PREFIX: &str = "load";

/// The relays' names, which are those of their logs.
const RELAYS: [&str; 2] = ["relay-1", "relay-2"];

/// How long every message has to come to its end once nothing is sent any more: longer than a relay's lease, and than
/// any pause of it while nothing goes wrong.
const FINISHED_WITHIN: Duration = Duration::from_secs(60);

/// Where orders and messages are.
#[derive(Debug)]
pub(super) enum Place {
    Server(Rows),
    File(PathBuf),
}

impl Place {
    pub(super) async fn make(
        server: Option<&Server>,
        directory: &Path,
    ) -> Result<Self, ChaosError> {
        Ok(match server {
            Some(server) => Self::Server(server.database().await?),
            None => Self::File(directory.join("orders.db")),
        })
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Server(rows) => rows.url().to_owned(),
            Self::File(file) => format!("sqlite://{}?mode=rwc", file.display()),
        }
    }

    /// The senders' connections; the tables are made.
    pub(super) async fn connect(&self) -> Result<DatabaseConnection, ChaosError> {
        let mut options = ConnectOptions::new(self.url());
        // A pool that gives a connection 30 s looks for a database that was away every six.
        let patience = Duration::from_secs(3);
        let connections = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        options.max_connections(connections).acquire_timeout(patience).sqlx_logging(false);
        let made = async {
            let db = Database::connect(options).await?;
            if matches!(self, Self::File(_)) {
                db.execute_unprepared("PRAGMA journal_mode = WAL").await?;
            }
            let orders = "CREATE TABLE orders (gid VARCHAR(128) NOT NULL PRIMARY KEY)";
            db.execute_unprepared(orders).await?;
            Outbox::new(db.clone()).migrate().await?;
            Ok(db)
        };
        let failed = |source: DbErr| ChaosError::Rows { what: "make an outbox".to_owned(), source };
        made.await.map_err(failed)
    }
}

/// Everything that takes part.
struct Scene<'a> {
    relays: Vec<Process>,
    stage: Setup<'a>,
    place: Place,
    server: Option<&'a Server>,
}

impl<'a> Scene<'a> {
    async fn set(
        plan: Plan<'_>,
        lease_ms: u64,
        link: &'a Link,
        server: Option<&'a Server>,
    ) -> Result<(Self, DatabaseConnection), ChaosError> {
        let stage = Setup::set(plan, link).await?;
        let place = Place::make(server, stage.directory()).await?;
        let db = place.connect().await?;
        let mut relays = Vec::new();
        for name in RELAYS {
            let (relay, lease) = (plan.programs.relay()?, lease_ms.to_string());
            let command = words([&relay, "--coordinator", &stage.url(), "--lease-ms", &lease]);
            let mut relay = Process::new(name, command, stage.directory(), "relaying");
            // A command line is for everybody to see, and the URL may hold a password.
            relay.set("TERCET_RELAY_DATABASE_URL", place.url());
            relay.start().await?;
            relays.push(relay);
        }
        Ok((Self { relays, stage, place, server }, db))
    }

    /// Lets it happen; tells when it was put right, as for any fault.
    async fn strike(
        &mut self,
        fault: PatternFault,
        lasts: Duration,
    ) -> Result<Instant, ChaosError> {
        let healed;
        match fault {
            PatternFault::OutboxRelayKilled => {
                self.relays[0].kill().await?;
                tokio::time::sleep(lasts).await;
                healed = clock::now();
                self.relays[0].start().await?;
            }
            PatternFault::OutboxDatabaseKilled => {
                let Some(server) = self.server else {
                    let what = "an SQLite file has no process of its own: --postgres";
                    return Err(ChaosError::Answer(what.to_owned()));
                };
                server.dies(lasts).await?;
                healed = clock::now();
                server.is_back().await?;
            }
            PatternFault::OutboxFoulNetwork => {
                self.stage.link.weather(Weather::FOUL).await?;
                tokio::time::sleep(lasts).await;
                healed = clock::now();
                self.stage.link.weather(Weather::FAIR).await?;
            }
            PatternFault::OutboxCoordinatorKilled
            | PatternFault::SagaCoordinatorKilled
            | PatternFault::SagaFoulNetwork => {
                self.stage.coordinator.kill().await?;
                tokio::time::sleep(lasts).await;
                healed = clock::now();
                self.stage.coordinator.start().await?;
            }
        }
        Ok(healed)
    }

    /// Waits until every message has come to its end, and compares everybody's books.
    async fn judge(
        &self,
        db: &DatabaseConnection,
        logs: &[InitiatorLog],
    ) -> Result<Verdict, ChaosError> {
        let begun = clock::now();
        while unfinished(db).await? > 0 && begun.elapsed() < FINISHED_WITHIN {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let by = self.stage.initiator()?;
        let known = known(&by, logs).await?;
        let entries = self.stage.participants.read(&by, PREFIX).await?;
        Ok(verdict(logs, &Sent::read(db).await?, &known, &entries))
    }
}

/// Measures one fault.
pub(super) async fn run(
    fault: PatternFault,
    asked: &Patterns,
    programs: &Programs,
    link: &Link,
    server: Option<&Server>,
    scale: Scale,
) -> Result<Row, ChaosError> {
    let offered = asked.offered;
    let (wide, is_foul) = ([WIDE], fault == PatternFault::OutboxFoulNetwork);
    let plan = Plan {
        programs,
        settings: if is_foul { &wide } else { &[] },
        pieces: i64::from(u32::MAX),
        on_small_disk: false,
        own_names: false,
        kind: Kind::InMemoryServices,
        shape: Shape::Tcc,
    };
    let (mut scene, db) = Scene::set(plan, asked.lease_ms, link, server).await?;
    let pace = match is_foul {
        true => Pace::Offered { per_second: offered, under_way: UNDER_WAY },
        false => Pace::Closed { initiators: scale.initiators },
    };
    let order = &scene.stage.participants.at.order;
    let sender = Sender::new(db.clone(), order, Messages::Short, scene.stage.initiator()?);
    let load = Load::sending(pace, sender, PREFIX);
    tokio::time::sleep(scale.window / 2).await;
    let before = clock::now();
    tokio::time::sleep(scale.window).await;
    let struck = clock::now();
    let healed = scene.strike(fault, fault.lasts(scale.fault)).await?;
    load.until_known(healed).await;
    let after = clock::now();
    tokio::time::sleep(scale.window).await;
    let end = clock::now();
    let (logs, detours) = load.stop().await;
    let verdict = scene.judge(&db, &logs).await?;
    let windows = [(before, struck), (after, end)];
    let offered = if is_foul { format!(", {offered}/s offered") } else { String::new() };
    let row = Row {
        fault: format!("{fault}{offered}, {}", Short(healed.duration_since(struck))),
        recovery: recovery(&logs, &[healed]),
        ordinary: ordinary(&logs, &windows),
        during: ordinary(&logs, &[(struck, healed)]),
        strangers: None,
        verdict,
        detours,
        rates: Rates {
            without: f64::midpoint(rate(&logs, before, struck), rate(&logs, after, end)),
            during: rate(&logs, struck, healed),
            healed: rate(&logs, healed, after),
        },
        kit: String::new(),
        kit_broken: false,
    };
    scene.relays.clear();
    // What cannot be closed goes with this process.
    let _ = db.close().await;
    if let Place::Server(rows) = scene.place {
        rows.drop().await;
    }
    Ok(row)
}
