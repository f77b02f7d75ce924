//! What the runtime is told of a call that it had sent.

use tercet_engine::Ticket;
use tercet_wire::Answer;
use tokio::sync::mpsc::OwnedPermit;

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was made, and this came back.
    Answered(Answer),
    /// It was not made, since this process had no socket for it, or a Try no lease: no attempt is
    /// used up, and nothing is said of the participant.
    NotMade,
}

/// Where it goes: room in the runtime's inbox, reserved before the call is sent.
pub type Place = OwnedPermit<(Ticket, Outcome)>;
