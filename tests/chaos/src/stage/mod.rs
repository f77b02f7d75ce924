//! Everything that takes part in a run: the coordinator, three participants, the link between
//! them, and where they keep their files.

mod disk;
mod programs;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tercet_tests::Port;

use self::disk::SmallDisk;
pub(crate) use self::programs::Programs;
use crate::books::Books;
use crate::clock;
use crate::link::{Link, Place};
use crate::load::{Endpoints, Initiator, Story};
use crate::process::Process;
use crate::tool::words;
use crate::trouble::Trouble;
use crate::verdict::{Known, Verdict};

/// How long everything unfinished has to finish once the load has stopped.
const FINISHED_WITHIN: Duration = Duration::from_secs(90);

/// Pause between two looks at a coordinator that is not asked to wait.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is started, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) programs: &'a Programs,
    /// Settings of the coordinator, as `("SECTION__KEY", "value")`.
    pub(crate) settings: &'a [(&'a str, &'a str)],
    /// What the load may buy.
    pub(crate) pieces: i64,
    /// Whether the coordinator's file lies on a disk that can be filled.
    pub(crate) on_small_disk: bool,
}

/// A running system on empty databases. It ends with this value.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    // Processes go first, then what they stand on.
    pub(crate) coordinator: Process,
    pub(crate) inventory: Process,
    _others: [Process; 2],
    pub(crate) link: &'a Link,
    pub(crate) disk: Option<SmallDisk>,
    pub(crate) at: Endpoints,
    /// The coordinator, as a URL.
    pub(crate) url: String,
    books: Books,
    pieces: i64,
    _coordinators_port: Port,
    _places: [Place; 3],
    _directory: TempDir,
}

impl<'a> Stage<'a> {
    /// Starts all of it.
    pub(crate) async fn set(plan: Plan<'_>, link: &'a Link) -> Result<Self, Trouble> {
        let directory = TempDir::new().map_err(Trouble::io("make a directory"))?;
        let disk =
            if plan.on_small_disk { Some(SmallDisk::mount(directory.path()).await?) } else { None };
        let port = Port::free();
        let journal = disk.as_ref().map_or(directory.path(), SmallDisk::path).join("tercet.db");
        let mut coordinator = Process::new(
            "coordinator",
            words([
                &plan.programs.tercet,
                "serve",
                "--listen",
                &port.address().to_string(),
                "--database-url",
                &format!("sqlite://{}", journal.display()),
            ]),
            directory.path(),
            "ready",
        );
        for (key, value) in plan.settings {
            coordinator.set(format!("TERCET_{key}"), *value);
        }
        coordinator.start().await?;
        let places = [0, 1, 2].map(|number| link.place(number));
        let [order, inventory, payment] = &places;
        let file = |name: &str| directory.path().join(format!("{name}.db"));
        let books =
            Books { order: file("order"), inventory: file("inventory"), payment: file("payment") };
        let start = async |name, place: &Place, file: &Path| {
            let command = words([
                &plan.programs.demo,
                name,
                "--listen",
                &place.address.to_string(),
                "--db",
                &file.display().to_string(),
            ]);
            let mut process =
                Process::new(name, link.inside(command), directory.path(), "listening on");
            process.start().await.map(|()| process)
        };
        let others = [
            start("order", order, &books.order).await?,
            start("payment", payment, &books.payment).await?,
        ];
        let stocked = start("inventory", inventory, &books.inventory).await?;
        books.stock(plan.pieces).await?;
        let endpoint = |name: &str, place: &Place| format!("http://{}/{name}", place.address);
        Ok(Self {
            coordinator,
            inventory: stocked,
            _others: others,
            link,
            disk,
            at: Endpoints {
                order: endpoint("order", order),
                inventory: endpoint("inventory", inventory),
                payment: endpoint("payment", payment),
            },
            url: format!("http://{}", port.address()),
            books,
            pieces: plan.pieces,
            _coordinators_port: port,
            _places: places,
            _directory: directory,
        })
    }

    /// An initiator at its coordinator.
    pub(crate) fn initiator(&self) -> Result<Initiator, Trouble> {
        Initiator::new(&self.url)
    }

    /// Waits until nothing is unfinished, and compares everybody's books.
    pub(crate) async fn judge(&self, stories: &[Story], prefix: &str) -> Result<Verdict, Trouble> {
        let initiator = self.initiator()?;
        let begun = clock::now();
        while !initiator.all_finished(None).await? {
            if begun.elapsed() > FINISHED_WITHIN {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let mut known = BTreeMap::new();
        for story in stories {
            if let Some(told) = initiator.look(&story.gid).await? {
                let end = told.status.decision().filter(|_| told.status.is_final());
                known.insert(story.gid.clone(), Known { instance: told.instance, end });
            }
        }
        let entries = self.books.read(prefix).await?;
        Ok(Verdict::of(stories, &known, &entries, self.pieces))
    }
}
