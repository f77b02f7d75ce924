//! What is written of a participant that is paused or resumed, with the act that asks for it.

use std::sync::Arc;

use tercet_wire::{ParticipantName, PausedView, Wall};

/// Whether a participant is called, from now on: it replaces what was said of it before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ParticipantPause {
    /// Which.
    pub participant: ParticipantName,
    /// Whether nobody calls it.
    pub paused: bool,
    /// When that was said.
    pub at: Wall,
    /// Who said so.
    pub who: Arc<str>,
    /// Why, in the operator's words.
    pub note: Option<Arc<str>>,
}

impl From<&ParticipantPause> for PausedView {
    fn from(pause: &ParticipantPause) -> Self {
        let note = pause.note.as_deref().map(str::to_owned);
        Self { by: pause.who.to_string(), note, at: pause.at }
    }
}
