//! Alerts that wait to be sent: bounded, the oldest given up first.

use std::collections::VecDeque;
use std::time::Duration;

use tercet_wire::Mono;

/// An alert that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alert {
    /// Its name, the same however often it is sent.
    pub(super) id: String,
    /// The body, to the byte as it is signed.
    pub(super) body: String,
    /// When it was raised.
    pub(super) raised: Mono,
}

/// What waits.
#[derive(Debug)]
pub(super) struct Queue {
    room: usize,
    waiting: VecDeque<Alert>,
}

impl Queue {
    pub(super) fn new(room: usize) -> Self {
        Self { room: room.max(1), waiting: VecDeque::new() }
    }

    /// Puts an alert at the end. If there is no room the oldest of all is given up, which may
    /// be this one, and returned.
    pub(super) fn push(&mut self, alert: Alert) -> Option<Alert> {
        self.waiting.push_back(alert);
        if self.waiting.len() <= self.room {
            return None;
        }
        let oldest = self.waiting.iter().enumerate().min_by_key(|(_, alert)| alert.raised)?.0;
        self.waiting.remove(oldest)
    }

    /// The next to be sent.
    pub(super) fn pop(&mut self) -> Option<Alert> {
        self.waiting.pop_front()
    }

    /// Takes out what was raised longer ago than this; says how many.
    pub(super) fn expire(&mut self, now: Mono, after: Duration) -> usize {
        let before = self.waiting.len();
        self.waiting.retain(|alert| now.since(alert.raised) < after);
        before - self.waiting.len()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(raised: u64) -> Alert {
        Alert { id: format!("msg_{raised}"), body: String::new(), raised: Mono(raised) }
    }

    #[test]
    fn a_full_queue_gives_up_the_oldest_wherever_it_stands() {
        let mut queue = Queue::new(2);
        assert_eq!(queue.push(alert(2)), None);
        assert_eq!(queue.push(alert(1)), None, "it failed once and came back");
        assert_eq!(queue.push(alert(3)), Some(alert(1)));
        assert_eq!(queue.push(alert(0)), Some(alert(0)), "what comes back may be the oldest");
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(alert(2)), Some(alert(3)), None));
    }

    #[test]
    fn what_nobody_took_for_a_day_is_given_up() {
        let mut queue = Queue::new(9);
        for raised in [0, 500, 1_000] {
            queue.push(alert(raised));
        }
        assert_eq!(queue.expire(Mono(1_499), Duration::from_secs(1)), 1);
        assert_eq!((queue.len(), queue.pop()), (2, Some(alert(500))));
    }
}
