//! What people are told of a destination: that it does not answer, and that it does again.

use tercet_engine::Turned;

use super::breaker_turns::BreakerTurn;
use super::destination::DestinationHandle;

pub(super) fn tell(destination: &DestinationHandle, turned: Turned) {
    match turned {
        Turned::Opened => {
            destination.metrics.breaker_opened();
            destination.turns.tell(&destination.name, BreakerTurn::Opened);
            // People are told once it has lasted for a while: it may be over in a moment.
            tracing::info!(event = "breaker_opened",
                participant = %destination.participant,
                destination = %destination.name,
                "a participant does not answer: calls to it wait, and one is tried at a time \
                 until it does. Bring it back; nothing needs to be done here"
            );
        }
        Turned::Closed { after } => {
            destination.metrics.breaker_closed();
            destination.turns.tell(&destination.name, BreakerTurn::Closed);
            tracing::info!(event = "breaker_closed",
                participant = %destination.participant,
                destination = %destination.name,
                after_ms = after.as_millis(),
                "a participant answers again"
            );
        }
    }
}
