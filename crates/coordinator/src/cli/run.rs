//! `tercet serve`, and the running part of `tercet dev`.

use std::error::Error;
use std::net::SocketAddr;

use tercet_journal::{StoreKind, untrusted_file_system};

use crate::cli::arguments::ServeFlags;
use crate::cli::exit::Exit;
use crate::config::{Flags, Layers, Settings};
use crate::serve::{Running, serve as serve_until_stopped};
use crate::signals::stop_on_signals;
use crate::workers::Workers;
use crate::{metrics, telemetry};

pub(super) fn serve(flags: &ServeFlags) -> Exit {
    let layers = flags.gather(Flags::new());
    let settings = layers.and_then(|layers| Ok((layers.settings()?, layers)));
    match settings {
        Ok((settings, layers)) => run(&settings, flags.store(), flags.restored, |_| {
            warn_of_slips(&layers);
            match flags.store() {
                StoreKind::InDatabase => warn_of(settings.database.url.expose()),
                // That nothing lasts has been said already.
                StoreKind::InMemoryForBenchmarks => {}
            }
        }),
        Err(error) => Exit::usage(error),
    }
}

/// Names without `__` are nobody's mistake but for those that read like a setting's.
fn warn_of_slips(layers: &Layers) {
    for (variable, meant) in layers.unheard() {
        tracing::warn!(
            event = "variable_without_effect",
            variable,
            meant,
            "this environment variable sets nothing: between section and key belong two underscores"
        );
    }
}

/// What `tercet dev` need not hear, whose database is to be gone anyway.
fn warn_of(database_url: &str) {
    if let Some(why) = untrusted_file_system(database_url) {
        tracing::warn!(
            event = "file_system_untrusted",
            why,
            "the database may lose what it has acknowledged"
        );
    }
}

/// Runs the daemon until a signal stops it; `ready` is told where it listens.
pub(super) fn run(
    settings: &Settings,
    store: StoreKind,
    restored: bool,
    ready: impl FnOnce(SocketAddr),
) -> Exit {
    if let Err(error) = telemetry::init(settings.log.format, &settings.log.filter) {
        return Exit::usage(error);
    }
    let served = serve_on_runtime(settings, store, restored, ready);
    telemetry::finish();
    match served {
        Ok(()) => Exit::Well,
        Err(error) => Exit::failed(error.as_ref()),
    }
}

fn serve_on_runtime(
    settings: &Settings,
    store: StoreKind,
    restored: bool,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), Box<dyn Error>> {
    let metrics_handle = metrics::install()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let stop = stop_on_signals(settings.shutdown.drain)?;
        tokio::spawn(metrics::keep_up(metrics_handle.clone()));
        tokio::spawn(telemetry::tell_of_missing_lines());
        let (workers, _threads) = Workers::start(settings.server.threads)?;
        let running = Running { metrics: metrics_handle, workers, stop };
        serve_until_stopped(settings, store, restored, running, ready).await?;
        Ok(())
    });
    // What is left are calls nobody waits for any more; the next start makes them again.
    runtime.shutdown_background();
    served
}
