//! Work that may take long or a deep stack: on a thread of its own, few at a time.

use std::sync::Arc;
use std::thread;

use tokio::sync::{Semaphore, oneshot};

/// Threads at once.
const AT_ONCE: usize = 2;
/// A schema may lead through as many of its parts as it has.
const STACK_BYTES: usize = 64 << 20;

/// Where such work is done.
#[derive(Debug, Clone)]
pub(super) struct Apart {
    places: Arc<Semaphore>,
}

impl Default for Apart {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Apart {
    /// Has it done; none if it could not be.
    pub(super) async fn done<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // It is never closed. Whoever does not wait any more leaves the place to the thread.
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let (done, result) = oneshot::channel();
        let work = move || {
            let _place = place;
            // Whoever has gone needs no telling.
            let _ = done.send(work());
        };
        let thread = thread::Builder::new().name("tercet-schema".to_owned());
        thread.stack_size(STACK_BYTES).spawn(work).ok()?;
        result.await.ok()
    }
}
