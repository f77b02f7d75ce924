//! Who makes a connection, and who waits meanwhile for one that another call has done with.
//!
//! A burst of calls to one server would have each make a connection of its own: more at once than a small server's queue of
//! connections takes, and what it drops the kernel sends again after a second. So of one origin only so many are being made at a
//! time; whoever is beyond that, or has been at it for long, takes the first that becomes free.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, Semaphore};

/// Connections to one origin that are being made at a time: as many as most servers' queues hold.
const AT_A_TIME: usize = 64;

/// Origins whose lines are remembered before those are forgotten that nobody stands in.
const REMEMBERED: usize = 256;

/// The lines of all origins.
#[derive(Debug, Default)]
pub(super) struct Lines {
    of_each: Mutex<HashMap<Box<str>, Weak<Line>>>,
    /// Calls that would take a connection, over all origins: mostly none, and nothing else is looked at then.
    waiting: AtomicUsize,
}

/// The line of one origin.
#[derive(Debug)]
pub(super) struct Line {
    /// Places for those who make one.
    pub(super) places: Semaphore,
    freed: Notify,
}

impl Lines {
    /// That of an origin.
    pub(super) fn of(&self, origin: &str) -> Arc<Line> {
        let mut of_each = self.of_each();
        if let Some(line) = of_each.get(origin).and_then(Weak::upgrade) {
            return line;
        }
        if of_each.len() >= REMEMBERED {
            of_each.retain(|_, line| line.strong_count() > 0);
        }
        let line = Arc::new(Line { places: Semaphore::new(AT_A_TIME), freed: Notify::new() });
        of_each.insert(Box::from(origin), Arc::downgrade(&line));
        line
    }

    /// Waits until a connection has become free, which another may take first.
    pub(super) async fn freed(&self, line: &Line) {
        let _waiting = Waiting::among(&self.waiting);
        line.freed.notified().await;
    }

    /// A connection has become free.
    pub(super) fn free(&self, origin: &str) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let line = self.of_each().get(origin).and_then(Weak::upgrade);
        if let Some(line) = line {
            line.freed.notify_one();
        }
    }

    fn of_each(&self) -> MutexGuard<'_, HashMap<Box<str>, Weak<Line>>> {
        // Nothing done under this lock panics half-way.
        self.of_each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counted for as long as it is there: whoever waits may be gone at any moment.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn among(all: &'a AtomicUsize) -> Self {
        all.fetch_add(1, Ordering::SeqCst);
        Self(all)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn so_many_make_a_connection_to_one_origin_and_others_hear_of_one_that_is_free() {
        let lines = Lines::default();
        let line = lines.of("http://pay:80");
        let places: Vec<_> = (0..AT_A_TIME).map(|_| line.places.try_acquire()).collect();
        assert!(places.iter().all(Result::is_ok));
        assert!(lines.of("http://pay:80").places.try_acquire().is_err(), "it is the same line");
        assert!(lines.of("http://stock:80").places.try_acquire().is_ok());
        let mut first = pin!(lines.freed(&line));
        let mut second = pin!(lines.freed(&line));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        lines.free("http://stock:80");
        assert!(first.as_mut().now_or_never().is_none(), "it is of another origin");
        lines.free("http://pay:80");
        assert!(first.as_mut().now_or_never().is_some());
        assert!(second.as_mut().now_or_never().is_none(), "one is told of one");
    }

    #[tokio::test]
    async fn lines_that_nobody_stands_in_are_forgotten() {
        let lines = Lines::default();
        let kept = lines.of("http://kept:80");
        for number in 0..REMEMBERED * 3 {
            drop(lines.of(&format!("http://h{number}:80")));
        }
        assert!(lines.of_each().len() <= REMEMBERED + 1);
        let line = lines.of("http://kept:80");
        assert!(Arc::ptr_eq(&kept, &line));
        // Whoever has waited and is gone is not counted any more.
        assert!(lines.freed(&line).now_or_never().is_none());
        assert_eq!(lines.waiting.load(Ordering::SeqCst), 0);
    }
}
