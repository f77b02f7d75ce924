//! Threads that connections and calls are shared out to, each with a runtime of its own.
//!
//! One runtime over several threads moves tasks to whoever has nothing to do. For tasks as small as these that costs
//! more than it brings: what is woken is seldom where what it needs is, and most moves wake a thread. Here a
//! connection stays with the thread that it came to, and a call with the one that makes it. The engine's loop is on
//! the first thread, with all else that is neither.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

/// More, unless they are asked for, would wait for the one loop of the engine.
const MOST: usize = 8;

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

/// Which worker this thread is; the one with the engine's loop is 0.
pub(crate) fn number() -> usize {
    NUMBER.get()
}

/// What runs at a worker, beside others.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where connections and calls run. Cheap to clone.
#[derive(Clone)]
pub struct Workers {
    here: Handle,
    others: Arc<[Other]>,
    turn: Arc<AtomicUsize>,
}

/// Another thread than that of the engine's loop.
struct Other {
    runtime: Handle,
    /// Several that come while it is busy wake it once; spawned by its handle each would.
    tasks: mpsc::UnboundedSender<Task>,
}

/// The threads beside the one that has started them. They end with this; nobody waits for one that is at work.
pub struct Threads {
    running: Vec<oneshot::Sender<()>>,
}

impl Workers {
    /// The runtime that this is called from, alone.
    ///
    /// # Panics
    /// Called outside a tokio runtime.
    #[must_use]
    pub fn here() -> Self {
        Self { here: Handle::current(), others: Arc::default(), turn: Arc::default() }
    }

    /// So many workers, of which this thread is one. 0: as many as the machine has processors, less one for the
    /// journal's thread.
    ///
    /// # Errors
    /// The system gives no thread, or nothing to wait by.
    ///
    /// # Panics
    /// Called outside a tokio runtime.
    pub fn start(count: usize) -> io::Result<(Self, Threads)> {
        let count = if count == 0 { fitting() } else { count };
        let (mut others, mut running) = (Vec::new(), Vec::new());
        for number in 1..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (tasks, mut coming) = mpsc::unbounded_channel::<Task>();
            others.push(Other { runtime: runtime.handle().clone(), tasks });
            let (stop, stopped) = oneshot::channel();
            let thread = std::thread::Builder::new().name(format!("tercet-worker-{number}"));
            thread.spawn(move || {
                NUMBER.set(number);
                runtime.spawn(async move {
                    while let Some(task) = coming.recv().await {
                        drop(tokio::spawn(task));
                    }
                });
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })?;
            running.push(stop);
        }
        Ok((Self { others: others.into(), ..Self::here() }, Threads { running }))
    }

    /// The runtime of the worker whose turn it is, and whether that is another than this one.
    pub(crate) fn next(&self) -> (&Handle, bool) {
        match self.other() {
            None => (&self.here, false),
            Some(other) => (&other.runtime, true),
        }
    }

    /// Runs a task at the worker whose turn it is.
    pub(crate) fn spawn(&self, task: Task) {
        match self.other() {
            None => drop(self.here.spawn(task)),
            // While the daemon stops there may be nobody any more, as nobody waits for it.
            Some(other) => drop(other.tasks.send(task)),
        }
    }

    fn other(&self) -> Option<&Other> {
        if self.others.is_empty() {
            return None;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % (self.others.len() + 1);
        self.others.get(turn.checked_sub(1)?)
    }
}

fn fitting() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    processors.saturating_sub(1).clamp(1, MOST)
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("others", &self.others.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("running", &self.running.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn each_has_its_turn_and_ends_with_what_holds_it() {
        let (workers, threads) = Workers::start(3).expect("threads");
        let (tell, mut told) = mpsc::unbounded_channel();
        for _ in 0..6 {
            let tell = tell.clone();
            workers.spawn(Box::pin(async move {
                tell.send((number(), std::thread::current().id())).expect("somebody listens");
            }));
        }
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(told.recv().await.expect("each runs"));
        }
        let of_each = |number| seen.iter().filter(|(of, _)| *of == number).count();
        assert_eq!([0, 1, 2].map(of_each), [2, 2, 2]);
        let ids: BTreeSet<String> = seen.iter().map(|(_, id)| format!("{id:?}")).collect();
        assert_eq!(ids.len(), 3);

        let others: BTreeSet<bool> = (0..3).map(|_| workers.next().1).collect();
        assert_eq!(others.len(), 2, "here, and elsewhere");

        // What still runs ends with its thread, however long it would.
        for _ in 0..3 {
            let tell = tell.clone();
            workers.spawn(Box::pin(async move {
                if number() != 0 {
                    std::future::pending::<()>().await;
                }
                drop(tell);
            }));
        }
        drop(threads);
        drop(tell);
        assert_eq!(told.recv().await, None);
    }

    #[tokio::test]
    async fn one_alone_is_here() {
        let (workers, threads) = Workers::start(1).expect("no thread");
        assert_eq!(threads.running.len(), 0);
        assert_eq!((workers.next().1, workers.next().1), (false, false));
        assert!((1..=MOST).contains(&fitting()));
    }
}
