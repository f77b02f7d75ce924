//! Many orders at a time, each asked about until it is where it should be.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::end::End;

/// What is known of each order, by its number.
pub(super) type Ends = BTreeMap<u32, End>;

/// How often people are told how far it is.
const BETWEEN_WORDS: Duration = Duration::from_secs(5);
/// The pause after a question that brought no answer.
const AFTER_SILENCE: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    /// In a word.
    pub(super) word: &'static str,
    /// Whether an order has come so far.
    pub(super) is_reached: fn(&End) -> bool,
}

/// A crowd of so many, in no hurry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crowd<P> {
    /// Orders that are asked about at a time.
    pub(super) at_once: usize,
    /// Makes what ends when they have gone on for long enough although no order got anywhere. However slow
    /// all is, this does not end them as long as it moves.
    pub(super) patience: P,
}

impl<P: Fn() -> W, W: Future<Output = ()>> Crowd<P> {
    /// Asks about each order until it has reached the goal, and keeps what is known as it comes. Whether all
    /// have.
    pub(super) async fn see_to<F>(
        self,
        mut orders: VecDeque<u32>,
        goal: Goal,
        ask: impl Fn(u32) -> F,
        ends: &mut Ends,
    ) -> bool
    where
        F: Future<Output = End> + Send + 'static,
    {
        let all = orders.len();
        let mut asking = JoinSet::new();
        let mut words = interval(BETWEEN_WORDS);
        words.set_missed_tick_behavior(MissedTickBehavior::Delay);
        words.reset();
        let mut giving_up = pin!((self.patience)());
        let mut reached = 0;
        loop {
            while asking.len() < self.at_once
                && let Some(number) = orders.pop_front()
            {
                let asked = ask(number);
                asking.spawn(async move {
                    let end = asked.await;
                    if end == End::Unknown {
                        sleep(AFTER_SILENCE).await;
                    }
                    (number, end)
                });
            }
            let told = tokio::select! {
                told = asking.join_next() => told,
                _ = words.tick() => {
                    println!("  ...  {reached} of {all} {}", goal.word);
                    continue;
                }
                () = &mut giving_up => return false,
            };
            match told {
                None => return true,
                Some(Err(error)) => tracing::error!(%error, "an order broke off"),
                Some(Ok((number, end))) => {
                    if (goal.is_reached)(&end) {
                        reached += 1;
                        giving_up.set((self.patience)());
                    } else {
                        // It keeps its place, so that no more than the crowd are ever under way.
                        orders.push_front(number);
                    }
                    ends.insert(number, end);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tercet_participant::Status;
    use tokio::sync::watch;

    use super::*;

    const FINISHED: Goal = Goal { word: "finished", is_reached: End::is_final };

    fn end(status: Status) -> End {
        End::Known { status, reason: None }
    }

    /// Seven who give up when so many more questions were answered, and none brought anything; and who
    /// counts the questions.
    fn crowd(questions: usize) -> (Crowd<impl Fn() -> Patience>, watch::Sender<usize>) {
        let asked = watch::Sender::new(0);
        let counted = asked.clone();
        let patience = move || {
            let counted = counted.clone();
            let enough = *counted.borrow() + questions;
            let patience: Patience = Box::pin(async move {
                // It lives as long as this clone of it, so the wait does not fail.
                let _ = counted.subscribe().wait_for(|asked| *asked > enough).await;
            });
            patience
        };
        (Crowd { at_once: 7, patience }, asked)
    }

    type Patience = std::pin::Pin<Box<dyn Future<Output = ()>>>;

    #[tokio::test]
    async fn no_more_orders_than_allowed_are_under_way_and_none_is_lost() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let act = |_| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                end(Status::Confirmed)
            }
        };
        let mut ends = Ends::new();
        let (crowd, _) = crowd(100);
        assert!(crowd.see_to((1..=100).collect(), FINISHED, act, &mut ends).await);
        assert_eq!(most.load(Ordering::SeqCst), 7);
        assert_eq!(ends.into_keys().collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn an_order_is_asked_about_until_its_end_however_long_that_takes() {
        let (crowd, asked) = crowd(30);
        let act = |_| {
            let asked = asked.clone();
            async move {
                let mut number = 0;
                asked.send_modify(|asked| {
                    *asked += 1;
                    number = *asked;
                });
                end(if number % 20 == 0 { Status::Cancelled } else { Status::Cancelling })
            }
        };
        // All of it takes far longer than the patience, but something always comes to its end.
        let mut ends = Ends::new();
        assert!(crowd.see_to((1..=20).collect(), FINISHED, act, &mut ends).await);
        assert!(ends.values().all(End::is_final), "{ends:?}");
        assert_eq!((ends.len(), *asked.borrow() >= 400), (20, true));
    }

    #[tokio::test]
    async fn when_nothing_moves_any_more_what_is_known_is_kept() {
        let (crowd, asked) = crowd(30);
        let act = |number| {
            asked.send_modify(|asked| *asked += 1);
            async move { end(if number == 1 { Status::Confirmed } else { Status::Confirming }) }
        };
        let mut ends = Ends::new();
        assert!(!crowd.see_to((1..=3).collect(), FINISHED, act, &mut ends).await);
        let known: Vec<_> = ends.values().map(ToString::to_string).collect();
        assert_eq!(known, ["confirmed", "confirming", "confirming"]);
    }
}
