//! Threads that connections and calls are shared out to, each with a runtime of its own.
//!
//! One runtime over several threads moves tasks to whoever has nothing to do. For tasks as small as these that costs
//! more than it brings: what is woken is seldom where what it needs is, and most moves wake a thread. Here a
//! connection stays with the thread that it came to, and a call with the one that makes it. The engine's loop is on
//! the first thread, with all else that is neither. When that one has hardly any time left, another takes calls from it.

mod share;

use std::cell::Cell;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

use self::share::Share;

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
    relief: Option<Arc<Relief>>,
}

/// Takes calls of the first worker while that is full: what it makes costs more there, since
/// the loop has to be woken for it.
struct Relief {
    other: Other,
    share: Share,
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
        let (others, turn) = Default::default();
        Self { here: Handle::current(), others, turn, relief: None }
    }

    /// So many workers, of which this thread is one, and one for calls when this thread is full. 0: as many as the
    /// machine has processors, less one for the journal's thread.
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
            let (other, stop) = Other::start(number, &format!("tercet-worker-{number}"))?;
            others.push(other);
            running.push(stop);
        }
        let (other, stop) = Other::start(count, "tercet-relief")?;
        running.push(stop);
        let relief = Some(Arc::new(Relief { other, share: Share::none() }));
        Ok((Self { others: others.into(), relief, ..Self::here() }, Threads { running }))
    }

    /// The runtime of the worker whose turn it is, and whether that is another than this one.
    pub(crate) fn next(&self) -> (&Handle, bool) {
        match self.other() {
            None => (&self.here, false),
            Some(other) => (&other.runtime, true),
        }
    }

    /// Makes a call at the worker whose turn it is, or, where that is full, beside it.
    pub(crate) fn call(&self, task: Task) {
        match self.other().or_else(|| self.relief()) {
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

    fn relief(&self) -> Option<&Other> {
        let relief = self.relief.as_deref()?;
        relief.share.takes_next(&self.here.metrics()).then_some(&relief.other)
    }
}

impl Other {
    /// Starts it; it ends with what is returned.
    fn start(number: usize, name: &str) -> io::Result<(Self, oneshot::Sender<()>)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (tasks, mut coming) = mpsc::unbounded_channel::<Task>();
        let other = Self { runtime: runtime.handle().clone(), tasks };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned());
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
        Ok((other, stop))
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
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn each_has_its_turn_and_ends_with_what_holds_it() {
        let (workers, threads) = Workers::start(3).expect("threads");
        let (tell, mut told) = mpsc::unbounded_channel();
        for _ in 0..6 {
            let tell = tell.clone();
            workers.call(Box::pin(async move {
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
            workers.call(Box::pin(async move {
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
        assert_eq!((workers.next().1, workers.next().1), (false, false));
        assert_eq!(
            made_by(&workers).await,
            BTreeSet::from([0]),
            "and the other one has nothing to do"
        );
        assert!((1..=MOST).contains(&fitting()));
        drop(threads);
    }

    #[tokio::test]
    async fn another_takes_calls_while_this_one_is_full() {
        let (workers, _threads) = Workers::start(1).expect("a thread");
        let mut made = BTreeSet::new();
        for _ in 0..10_000 {
            // This thread has no time.
            std::thread::sleep(Duration::from_millis(6));
            tokio::task::yield_now().await;
            made.extend(made_by(&workers).await);
            if made.contains(&1) {
                break;
            }
        }
        assert_eq!(made, BTreeSet::from([0, 1]));

        // By the first of these it is seen that there was nothing to do.
        for _ in 0..1_000 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            made = made_by(&workers).await;
            if made == BTreeSet::from([0]) {
                break;
            }
        }
        assert_eq!(made, BTreeSet::from([0]));
    }

    /// By whom so many calls are made that it is looked how busy this one is.
    async fn made_by(workers: &Workers) -> BTreeSet<usize> {
        let (tell, mut told) = mpsc::unbounded_channel();
        for _ in 0..32 {
            let tell = tell.clone();
            workers.call(Box::pin(async move { tell.send(number()).expect("somebody listens") }));
        }
        drop(tell);
        let mut made = BTreeSet::new();
        while let Some(number) = told.recv().await {
            made.insert(number);
        }
        made
    }
}
