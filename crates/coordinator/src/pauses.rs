//! Participants that operators have paused: what the rows say of them, as this node goes by it.
//!
//! ```text
//!   POST …/pause ─▶ row and act ─ durable ─▶ read again ─▶ engine and dispatcher ─▶ the other nodes ─▶ 200
//!                                               ▲                                        │
//!                       now and then ───────────┴──────── POST /internal/v1/paused ◀─────┘
//! ```
//!
//! The rows are the truth. Whoever changes them tells the other nodes, and is answered when these have
//! read them; a node that does not hear of it reads them by itself soon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tercet_engine::{Act, ParticipantPause, PausedNames};
use tercet_journal::{Journal, JournalError};
use tercet_wire::{ParticipantName, PausedView};
use thiserror::Error;
use tokio::time::sleep;

use crate::runtime::RuntimeHandle;

/// Participants that may be paused at a time.
pub(crate) const MOST: usize = 1_000;

/// Why nothing came of an operator's word about a participant.
#[derive(Debug, Error)]
pub(crate) enum PauseError {
    /// So many are paused.
    #[error("{MOST} participants are paused: resume one first")]
    TooMany,
    /// It could not be made durable, or nobody knows.
    #[error(transparent)]
    Unwritten(#[from] JournalError),
}

/// Who is paused. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pauses {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    journal: Journal,
    engine: RuntimeHandle,
    /// As it was read last.
    known: Mutex<BTreeMap<String, PausedView>>,
    /// One reads at a time, so that what was read last is what holds.
    reading: tokio::sync::Mutex<()>,
    /// One word at a time is taken here, so that of two that say the same the second finds the first.
    setting: tokio::sync::Mutex<()>,
}

impl Pauses {
    /// Those of a life that began with these.
    #[must_use]
    pub fn new(journal: Journal, engine: RuntimeHandle, known: &[ParticipantPause]) -> Self {
        let known = views(known);
        log_changes(&BTreeMap::new(), &known);
        let known = Mutex::new(known);
        let (reading, setting) = (tokio::sync::Mutex::default(), tokio::sync::Mutex::default());
        Self { shared: Arc::new(Shared { journal, engine, known, reading, setting }) }
    }

    /// Has a participant called no more, or again; this node goes by it when that returns. Where it is
    /// so already nothing is written: who has said it first, when and why stays. Whether anything was.
    pub(crate) async fn set(&self, act: Act, pause: ParticipantPause) -> Result<bool, PauseError> {
        // It goes on although whoever asked hangs up: what is durable holds at once.
        let this = self.clone();
        let setting = tokio::spawn(async move { this.set_here(act, pause).await });
        setting.await.unwrap_or(Err(PauseError::Unwritten(JournalError::Closed)))
    }

    async fn set_here(&self, act: Act, pause: ParticipantPause) -> Result<bool, PauseError> {
        let _setting = self.shared.setting.lock().await;
        // Another node may have heard it first.
        self.read_again().await?;
        if self.of(pause.participant.as_str()).is_some() == pause.paused {
            return Ok(false);
        }
        if pause.paused && self.known().len() >= MOST {
            return Err(PauseError::TooMany);
        }
        self.shared.journal.pause(act, pause).await?;
        self.read_again().await?;
        Ok(true)
    }

    /// Goes by what the rows say now.
    pub(crate) async fn read_again(&self) -> Result<(), JournalError> {
        let _reading = self.shared.reading.lock().await;
        let views = views(&self.shared.journal.pauses().await?);
        let names: BTreeSet<String> = views.keys().cloned().collect();
        if !self.known().keys().eq(names.iter()) {
            // First it holds, then it is shown.
            self.shared.engine.pause(names).await;
        }
        log_changes(&self.known(), &views);
        *self.known() = views;
        Ok(())
    }

    /// Reads them again and again.
    pub(crate) async fn watch(self, every: Duration) {
        loop {
            sleep(every).await;
            // The database is away: others tell of that, and the next time is soon.
            let _ = self.read_again().await;
        }
    }

    /// Who has paused a participant, if it is.
    pub(crate) fn of(&self, participant: &str) -> Option<PausedView> {
        self.known().get(participant).cloned()
    }

    /// All that are paused, by name.
    pub(crate) fn names(&self) -> Vec<String> {
        self.known().keys().cloned().collect()
    }

    /// The same, for whoever is shown a transaction.
    pub(crate) fn all(&self) -> PausedNames {
        self.known().keys().cloned().collect::<BTreeSet<String>>().into()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, PausedView>> {
        // It is replaced as a whole.
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn views(pauses: &[ParticipantPause]) -> BTreeMap<String, PausedView> {
    let view = |pause: &ParticipantPause| (pause.participant.to_string(), pause.into());
    pauses.iter().map(view).collect()
}

/// A line for each that is paused or resumed, as this node goes by it.
fn log_changes(before: &BTreeMap<String, PausedView>, now: &BTreeMap<String, PausedView>) {
    for (participant, paused) in now.iter().filter(|(name, _)| !before.contains_key(*name)) {
        tracing::info!(
            event = "participant_paused",
            participant,
            by = paused.by,
            since = %paused.at,
            "an operator has paused {participant}: nobody calls it until it is resumed"
        );
    }
    for participant in before.keys().filter(|name| !now.contains_key(*name)) {
        tracing::info!(event = "participant_resumed", participant, "{participant} is called again");
    }
}

/// Their names alone.
pub(crate) fn names(pauses: &[ParticipantPause]) -> BTreeSet<String> {
    pauses.iter().map(|pause| pause.participant.to_string()).collect()
}

/// What a participant's row is to say.
pub(crate) fn pause_of(participant: &ParticipantName, paused: bool, act: &Act) -> ParticipantPause {
    ParticipantPause {
        participant: participant.clone(),
        paused,
        at: act.at,
        who: Arc::clone(&act.who),
        note: act.note.clone(),
    }
}
