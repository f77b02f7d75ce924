//! Everything that takes part in a run: the coordinator, three participants, the link between
//! them, and where they keep their files.

pub(crate) mod coordinator;
mod disk;
mod participants;
mod programs;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tercet_testing::Port;

use self::disk::SmallDisk;
pub(crate) use self::participants::{Kind, Participants};
pub(crate) use self::programs::Programs;
use crate::clock;
use crate::error::ChaosError;
use crate::link::Link;
use crate::load::{Initiator, InitiatorLog, Shape};
use crate::process::Process;
use crate::strangers::Strangers;
use crate::verdict::{Known, Verdict};

/// How long everything unfinished has to finish once the load has stopped.
const FINISHED_WITHIN: Duration = Duration::from_secs(30);

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
    /// Whether the coordinator asks a name server of the run's own.
    pub(crate) own_names: bool,
    pub(crate) kind: Kind,
    /// What the load is made of.
    pub(crate) shape: Shape,
}

/// A running system on empty databases. It ends with this value.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    // Processes go first, then what they stand on.
    pub(crate) coordinator: Process,
    pub(crate) participants: Participants,
    pub(crate) link: &'a Link,
    pub(crate) disk: Option<SmallDisk>,
    /// Others that use the coordinator, once there are any.
    pub(crate) strangers: Option<Strangers>,
    /// The coordinator's, which stays its own while it is down.
    port: Port,
    pieces: i64,
    shape: Shape,
    directory: TempDir,
}

impl<'a> Setup<'a> {
    /// Starts all of it.
    pub(crate) async fn set(plan: Plan<'_>, link: &'a Link) -> Result<Self, ChaosError> {
        let Plan { programs, settings, pieces, on_small_disk, own_names, kind, shape } = plan;
        let directory = TempDir::new().map_err(ChaosError::io("make a directory"))?;
        let at = directory.path();
        let disk = if on_small_disk { Some(SmallDisk::mount(at).await?) } else { None };
        let data = disk.as_ref().map_or(at, SmallDisk::path);
        let port = Port::free();
        let coordinator =
            coordinator::start(programs, &port, data, at, settings, own_names).await?;
        let participants = Participants::start(kind, programs, link, at, pieces).await?;
        Ok(Self {
            coordinator,
            participants,
            link,
            disk,
            strangers: None,
            port,
            pieces,
            shape,
            directory,
        })
    }

    /// An initiator at its coordinator.
    pub(crate) fn initiator(&self) -> Result<Initiator, ChaosError> {
        Initiator::new(&self.url())
    }

    /// Waits until nothing is unfinished, and compares everybody's books.
    pub(crate) async fn judge(
        &self,
        logs: &[InitiatorLog],
        prefix: &str,
    ) -> Result<Verdict, ChaosError> {
        let of = (self.shape, self.pieces);
        verdict(&self.initiator()?, &self.participants, of, logs, prefix).await
    }

    /// Where everybody keeps what is theirs.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The URL of its coordinator.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }
}

/// Waits until nothing is unfinished, and compares everybody's books; `pieces` were in stock.
pub(crate) async fn verdict(
    initiator: &Initiator,
    participants: &Participants,
    (shape, pieces): (Shape, i64),
    logs: &[InitiatorLog],
    prefix: &str,
) -> Result<Verdict, ChaosError> {
    let begun = clock::now();
    while !initiator.all_finished(None).await? {
        if begun.elapsed() > FINISHED_WITHIN {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let known = known(initiator, logs).await?;
    let entries = participants.read(initiator, prefix).await?;
    Ok(Verdict::of(logs, &known, &entries, (shape, pieces)))
}

/// What the coordinator says of each in the end.
pub(crate) async fn known(
    initiator: &Initiator,
    logs: &[InitiatorLog],
) -> Result<BTreeMap<String, Known>, ChaosError> {
    let mut known = BTreeMap::new();
    for ledger in logs {
        if let Some(told) = initiator.look(&ledger.gid).await? {
            let end = told.status.decision().filter(|_| told.status.is_final());
            known.insert(ledger.gid.clone(), Known { instance: told.instance, end });
        }
    }
    Ok(known)
}
