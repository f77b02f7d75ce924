//! What a process has said so far.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

/// The lines of a log, while it grows.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    grown: watch::Sender<Said>,
}

/// How far a log has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Some,
    All,
}

impl Log {
    /// A log without lines.
    pub(crate) fn new() -> Self {
        Self { lines: Arc::default(), grown: watch::Sender::new(Said::Some) }
    }

    /// Adds what a process says from now on.
    pub(crate) fn follow(&self, output: impl AsyncRead + Unpin + Send + 'static) {
        self.grown.send_replace(Said::Some);
        let log = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.lines.lock().expect("no test panics while it adds a line").push(line);
                log.grown.send_replace(Said::Some);
            }
            log.grown.send_replace(Said::All);
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
        let mut grown = self.grown.subscribe();
        loop {
            // What was said is read before the lines, so that none is missed at the end.
            let said = *grown.borrow_and_update();
            if let Some(found) = self.lines().iter().skip(from).find_map(|line| pick(line)) {
                return Some(found);
            }
            if said == Said::All {
                return None;
            }
            grown.changed().await.ok()?;
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no test panics while it adds a line").clone()
    }
}
