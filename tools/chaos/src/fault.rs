//! What goes wrong, and how it is put right again.

use std::fmt;
use std::time::{Duration, Instant};

use crate::clock;
use crate::error::ChaosError;
use crate::link::Weather;
use crate::stage::Setup;
use crate::strangers::{Mischief, Strangers};

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Fault {
    /// `kill -9` of the coordinator, and a restart a second later.
    CoordinatorKilled,
    /// `kill -9` of a participant, and a restart.
    ParticipantKilled,
    /// SIGSTOP of a participant, and SIGCONT.
    ParticipantStopped,
    /// No packet passes between coordinator and participants.
    Partition,
    /// Packets are late, and some are lost.
    FoulNetwork,
    /// The coordinator's disk is full.
    DiskFull,
    /// Nobody reads what the coordinator logs.
    LogUnread,
    /// A participant is killed, and while it is down the coordinator too.
    Both,
    /// Strangers' participants answer `103 Early Hints` without end.
    EndlessInterim,
    /// Nobody says whether strangers' names are there.
    SilentNames,
    /// The first of the addresses of strangers' participants swallows what is sent to it.
    DeadAddress,
}

/// What a fault needs that not every machine gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// Root, network namespaces, iproute2.
    TroubledLink,
    /// Root, for a mount.
    SmallDisk,
    /// Root, for names of its own.
    OwnNames,
}

impl Fault {
    pub(crate) const ALL: [Self; 11] = [
        Self::CoordinatorKilled,
        Self::ParticipantKilled,
        Self::ParticipantStopped,
        Self::Partition,
        Self::FoulNetwork,
        Self::DiskFull,
        Self::LogUnread,
        Self::Both,
        Self::EndlessInterim,
        Self::SilentNames,
        Self::DeadAddress,
    ];

    pub(crate) fn need(self) -> Need {
        match self {
            Self::CoordinatorKilled
            | Self::ParticipantKilled
            | Self::ParticipantStopped
            | Self::LogUnread
            | Self::Both
            | Self::EndlessInterim => Need::Nothing,
            Self::SilentNames | Self::DeadAddress => Need::OwnNames,
            Self::Partition | Self::FoulNetwork => Need::TroubledLink,
            Self::DiskFull => Need::SmallDisk,
        }
    }

    /// Whether participants can be called by the test kit all the while.
    pub(crate) fn spares_participants(self) -> bool {
        match self {
            Self::CoordinatorKilled
            | Self::FoulNetwork
            | Self::DiskFull
            | Self::LogUnread
            | Self::EndlessInterim
            | Self::SilentNames
            | Self::DeadAddress => true,
            Self::ParticipantKilled | Self::ParticipantStopped | Self::Partition | Self::Both => {
                false
            }
        }
    }

    /// How long it lasts, of a usual length of `usual`.
    pub(crate) fn lasts(self, usual: Duration) -> Duration {
        match self {
            Self::CoordinatorKilled => usual / 5,
            Self::FoulNetwork => usual * 2,
            Self::ParticipantKilled
            | Self::ParticipantStopped
            | Self::Partition
            | Self::DiskFull
            | Self::LogUnread
            | Self::Both
            | Self::EndlessInterim
            | Self::SilentNames
            | Self::DeadAddress => usual,
        }
    }

    /// What strangers' participants do, if it is about strangers.
    fn mischief(self) -> Option<Mischief> {
        match self {
            Self::EndlessInterim => Some(Mischief::EndlessInterim),
            Self::SilentNames => Some(Mischief::SilentNames),
            Self::DeadAddress => Some(Mischief::DeadAddress),
            Self::CoordinatorKilled
            | Self::ParticipantKilled
            | Self::ParticipantStopped
            | Self::Partition
            | Self::FoulNetwork
            | Self::DiskFull
            | Self::LogUnread
            | Self::Both => None,
        }
    }

    /// Lets it happen, for so long; tells when it was put right: the moment before the cause was
    /// taken away, so that a restart counts from the start of the process.
    pub(crate) async fn strike(
        self,
        stage: &mut Setup<'_>,
        lasts: Duration,
    ) -> Result<Instant, ChaosError> {
        let healed;
        if let Some(mischief) = self.mischief() {
            let mut strangers = Strangers::start(mischief, stage.initiator()?).await?;
            tokio::time::sleep(lasts).await;
            healed = clock::now();
            strangers.heal().await;
            stage.strangers = Some(strangers);
            return Ok(healed);
        }
        match self {
            // These are about strangers.
            Self::EndlessInterim | Self::SilentNames | Self::DeadAddress => healed = clock::now(),
            Self::CoordinatorKilled => {
                stage.coordinator.kill().await?;
                tokio::time::sleep(lasts).await;
                healed = clock::now();
                stage.coordinator.start().await?;
            }
            Self::ParticipantKilled => {
                stage.participants.inventory.kill().await?;
                tokio::time::sleep(lasts).await;
                healed = clock::now();
                stage.participants.inventory.start().await?;
            }
            Self::ParticipantStopped => {
                stage.participants.inventory.signal("STOP").await?;
                tokio::time::sleep(lasts).await;
                healed = clock::now();
                stage.participants.inventory.signal("CONT").await?;
            }
            Self::Partition => {
                stage.link.cut().await?;
                tokio::time::sleep(lasts).await;
                healed = clock::now();
                stage.link.mend().await?;
            }
            Self::FoulNetwork => {
                stage.link.weather(Weather::FOUL).await?;
                tokio::time::sleep(lasts).await;
                healed = clock::now();
                stage.link.weather(Weather::FAIR).await?;
            }
            Self::DiskFull => {
                if let Some(disk) = &stage.disk {
                    disk.fill()?;
                }
                tokio::time::sleep(lasts).await;
                healed = clock::now();
                if let Some(disk) = &stage.disk {
                    disk.clear()?;
                }
            }
            Self::LogUnread => {
                stage.coordinator.stop_reading().await?;
                // So that there is something to be logged.
                for _ in 0..10 {
                    stage.coordinator.signal("HUP").await?;
                    tokio::time::sleep(lasts / 10).await;
                }
                healed = clock::now();
                stage.coordinator.read_again();
            }
            Self::Both => {
                stage.participants.inventory.kill().await?;
                tokio::time::sleep(lasts / 2).await;
                stage.coordinator.kill().await?;
                tokio::time::sleep(lasts / 4).await;
                stage.coordinator.start().await?;
                tokio::time::sleep(lasts / 4).await;
                healed = clock::now();
                stage.participants.inventory.start().await?;
            }
        }
        Ok(healed)
    }
}

/// As the table names it.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CoordinatorKilled => "coordinator kill -9",
            Self::ParticipantKilled => "participant down (kill -9)",
            Self::ParticipantStopped => "participant frozen (SIGSTOP)",
            Self::Partition => "partition",
            Self::FoulNetwork => "200 ms + 5 % loss",
            Self::DiskFull => "disk full",
            Self::LogUnread => "nobody reads the log (stderr blocked)",
            Self::EndlessInterim => "endless 103 of strangers' participants",
            Self::SilentNames => "silent name servers for strangers",
            Self::DeadAddress => "dead first address of strangers' participants",
            Self::Both => "participant down, and coordinator kill -9 meanwhile",
        })
    }
}
