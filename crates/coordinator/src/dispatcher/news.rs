//! What people are told of a destination: that it does not answer, and that it does again.

use tercet_engine::Turned;

use super::route::Route;

pub(super) fn tell(route: &Route, turned: Turned) {
    match turned {
        Turned::Opened => {
            route.metrics.breaker_opened();
            tracing::warn!(
                participant = %route.participant,
                destination = %route.name,
                "a participant does not answer: calls to it wait, and one is tried at a time \
                 until it does. Bring it back; nothing needs to be done here"
            );
        }
        Turned::Closed { after } => {
            route.metrics.breaker_closed();
            tracing::info!(
                participant = %route.participant,
                destination = %route.name,
                after_ms = after.as_millis(),
                "a participant answers again"
            );
        }
    }
}
