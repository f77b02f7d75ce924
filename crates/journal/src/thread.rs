//! The journal's own thread, on which the writer runs. Commits would otherwise wait behind
//! whatever else the main runtime has to do, and everything waits for commits. Nothing else
//! runs on it: while a disk or a lock keeps the writer, the reader still reads.

use std::future::Future;
use std::sync::Arc;

use tercet_clock::Clock;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::JournalEvent;
use super::error::JournalError;
use super::handle::{Journal, Shared};
use super::meters::{Meters, QueueMeter};
use super::reader::Reader;
use super::settings::JournalSettings;
use super::store::Store;
use super::writer::Writer;

/// Acts of no single transaction that wait to be written at most.
const MOST_ACTS: usize = 100;

/// Starts the thread, makes the store on it, and returns once it is ready. The reader runs on
/// the runtime this is called from.
pub(super) async fn start<F>(
    settings: JournalSettings,
    events: mpsc::UnboundedSender<JournalEvent>,
    clock: Arc<dyn Clock>,
    make: impl FnOnce() -> F + Send + 'static,
) -> Result<Journal, JournalError>
where
    F: Future<Output = Result<Arc<dyn Store>, JournalError>>,
{
    let (queue, commands) = mpsc::unbounded_channel();
    let (asks, asked) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(());
    let (end, ended) = watch::channel(());
    let (ready, made) = oneshot::channel();
    let meter = Arc::new(QueueMeter::register());
    let reads = usize::try_from(settings.read_connections.max(1)).unwrap_or(usize::MAX);
    let reads = Semaphore::new(reads.min(Semaphore::MAX_PERMITS));
    let read_within = settings.read_within;
    let acts = Arc::new(Semaphore::new(MOST_ACTS));
    let meter_of_writer = Arc::clone(&meter);
    let meters = Meters::register();
    let callers = Handle::current();

    let body = move || {
        let last_word = LastWord { events: events.clone(), _end: end };
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                // Whoever opens may have given up: then nobody needs to know.
                let _ = ready.send(Err(JournalError::Thread(error)));
                return;
            }
        };
        runtime.block_on(async move {
            let store = match make().await {
                Ok(store) => store,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            if ready.send(Ok(Arc::clone(&store))).is_ok() {
                let reader = Reader::new(
                    Arc::clone(&store),
                    asked,
                    events.clone(),
                    Arc::clone(&clock),
                    settings.resubmit,
                );
                let writer = Writer::new(
                    Arc::clone(&store),
                    commands,
                    events,
                    clock,
                    &settings,
                    meters,
                    meter_of_writer,
                )
                .look_up_on(callers.clone());
                let mut reading = JoinSet::new();
                reading.spawn_on(reader.run(), &callers);
                drive(writer, &mut reading, stopped).await;
                // A read under way is given up.
                reading.shutdown().await;
            }
            store.close().await;
        });
        drop(runtime);
        drop(last_word);
    };
    std::thread::Builder::new()
        .name("tercet-journal".to_owned())
        .spawn(body)
        .map_err(JournalError::Thread)?;
    let store = made.await.map_err(|_| JournalError::Closed)??;
    Ok(Journal::new(Shared { queue, asks, store, reads, read_within, acts, meter, stop, ended }))
}

/// Writes until the writer has ended or is told to stop.
async fn drive(writer: Writer, reading: &mut JoinSet<()>, mut stopped: watch::Receiver<()>) {
    let reading = async {
        if let Some(Err(failed)) = reading.join_next().await
            && let Ok(panic) = failed.try_into_panic()
        {
            // Without its reader the journal is as good as gone.
            std::panic::resume_unwind(panic);
        }
        // Nobody can ask any more, but what was appended is still being written.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        // Changed or dropped: either way there is nobody left to write for.
        _ = stopped.changed() => {}
        () = writer.run() => {}
        () = reading => {}
    }
}

/// Says, even when the thread panics, that nothing more will be written.
struct LastWord {
    events: mpsc::UnboundedSender<JournalEvent>,
    _end: watch::Sender<()>,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                event = "journal_thread_failed",
                "the journal's thread failed; nothing more is written"
            );
            // A runtime that has gone needs no telling.
            let _ = self.events.send(JournalEvent::Fenced);
        }
    }
}
