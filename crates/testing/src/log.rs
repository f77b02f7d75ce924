//! What a process has said so far.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

/// The lines of a log, while it grows.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    /// How many outputs are not at their end; marked as changed with every line too.
    open: watch::Sender<usize>,
}

impl Log {
    /// A log without lines.
    pub(crate) fn new() -> Self {
        Self { lines: Arc::default(), open: watch::Sender::new(0) }
    }

    /// Adds what a process says from now on.
    pub(crate) fn follow(&self, output: impl AsyncRead + Unpin + Send + 'static) {
        self.open.send_modify(|open| *open += 1);
        let log = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.lines.lock().expect("no test panics while it adds a line").push(line);
                log.open.send_modify(|_| {});
            }
            log.open.send_modify(|open| *open -= 1);
        });
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.lines().len()
    }

    /// The first line from `from` on of which `pick` makes something; `None` if the
    /// process ended without one.
    pub(crate) async fn find<T>(&self, from: usize, pick: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut open = self.open.subscribe();
        loop {
            // Looked at before the lines, so that none is missed at the end.
            let ended = *open.borrow_and_update() == 0;
            if let Some(found) = self.lines().iter().skip(from).find_map(|line| pick(line)) {
                return Some(found);
            }
            if ended {
                return None;
            }
            open.changed().await.ok()?;
        }
    }

    /// Waits until the process has said all it had to say.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as this clone of it, so the wait does not fail.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no test panics while it adds a line").clone()
    }
}
