//! Waiting that ends in its time, whatever comes meanwhile.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::Sleep;

/// What comes before the timer fires; `None` if nothing has.
///
/// The timer is looked at first. A task has a budget for what it takes from sockets and timers
/// before others have their turn (tokio's cooperative scheduling), and somebody who sends without
/// end has it used up each time: whoever then looks at the timer second never finds that it has
/// fired. What is there when it fires still counts.
pub(crate) async fn before<T>(
    mut timer: Pin<&mut Sleep>,
    awaited: impl Future<Output = T>,
) -> Option<T> {
    let mut awaited = pin!(awaited);
    poll_fn(|context| {
        let is_over = timer.as_mut().poll(context).is_ready();
        match awaited.as_mut().poll(context) {
            Poll::Ready(came) => Poll::Ready(Some(came)),
            Poll::Pending if is_over => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    /// Keeps P6.
    #[tokio::test]
    async fn a_timer_fires_however_much_comes() {
        // Takes all of its task's budget each time it is looked at, as an endless socket does.
        let endless = poll_fn(|context| {
            loop {
                let mut budgeted = pin!(tokio::task::coop::consume_budget());
                if budgeted.as_mut().poll(context).is_pending() {
                    return Poll::<()>::Pending;
                }
            }
        });
        let timer = pin!(sleep(Duration::from_millis(20)));
        let waited = tercet_testing::soon("the timer", before(timer, endless)).await;
        assert_eq!(waited, None);
    }

    #[tokio::test]
    async fn what_is_there_when_the_timer_fires_counts() {
        let timer = pin!(sleep(Duration::ZERO));
        assert_eq!(before(timer, async { 7 }).await, Some(7));
    }
}
