//! `tercet dev`: a coordinator to try things with.

use std::net::SocketAddr;

use tercet_journal::StoreKind;

use crate::cli::arguments::{DevFlags, ServeFlags};
use crate::cli::exit::{Exit, say};
use crate::cli::run::run;

pub(super) fn dev(flags: &DevFlags) -> Exit {
    let directory = match tempfile::Builder::new().prefix("tercet-dev-").tempdir() {
        Ok(directory) => directory,
        Err(error) => return Exit::failed(&error),
    };
    let database = format!("sqlite://{}", directory.path().join("tercet.db").display());
    let extra = vec![("dev", "database.url", database)];
    let settings = ServeFlags::from(flags).gather(extra).and_then(|layers| layers.settings());
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return Exit::usage(error),
    };
    let listen = settings.server.listen;
    if !listen.ip().is_loopback() {
        return Exit::usage(format_args!(
            "dev listens on loopback only, not on {listen}; use tercet serve"
        ));
    }
    let scheme = settings.server.tls.scheme();
    run(&settings, StoreKind::InDatabase, false, |address| {
        // Beside the daemon, which does not wait for whoever reads them.
        std::thread::spawn(move || say(three_lines(scheme, address)));
    })
}

/// A whole transaction without any participant: an open one that has no branches.
fn three_lines(scheme: &str, address: SocketAddr) -> String {
    let url = format!("{scheme}://{address}");
    let transactions = format!("{url}/v1/transactions");
    format!(
        "\nTercet runs on {url} with a database that goes away when it stops (Ctrl-C).\n\
         Begin a transaction, confirm it, look at it:\n\n\
         \x20 curl -s -H 'content-type: application/json' -d '{{\"gid\":\"hello-1\",\"timeout_ms\":600000}}' {transactions}\n\
         \x20 curl -s -X POST {transactions}/hello-1/confirm\n\
         \x20 curl -s {transactions}/hello-1\n\n\
         Everything else: {url}/docs\n"
    )
}
