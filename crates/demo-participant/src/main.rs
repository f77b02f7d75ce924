//! Order, inventory, payment, ride and the steps of a trip: small services that take part in Tercet's transactions.
//!
//! They are written as any user would write theirs, on the SDK alone, and are there to be
//! read. What is unusual is the trouble around them: told to, they are slow, refuse, fail, die or
//! forget to answer; a proxy doubles, delays and reorders their calls; a sale orders more than
//! there is; and the guard can be left out, so that one can watch what becomes of the sums.

mod calls;
mod coordinator;
mod database;
mod guarding;
mod inventory;
mod mischief;
mod order;
mod payment;
mod proxy;
mod read;
mod ride;
mod sale;
mod serve;
mod service;
mod trip;

use std::io::IsTerminal;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Runs small services that take part in Tercet's transactions, and trouble for them.
#[derive(Debug, Parser)]
#[command(name = "tercet-demo", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Orders: pending, then placed or void. GET /orders
    Order(service::Arguments),
    /// Stock: available and reserved. GET /stock
    Inventory(service::Arguments),
    /// Accounts: balance and frozen. GET /accounts
    Payment(service::Arguments),
    /// Seats: free, held and booked. GET /rides, POST /rides/{ride}/book
    Ride(ride::Arguments),
    /// Flights: booked, or released. GET /flights
    Flight(service::Arguments),
    /// Hotels: booked, or released. GET /hotels
    Hotel(service::Arguments),
    /// Mails that went out. GET /mails
    Mail(service::Arguments),
    /// Trips, and a mail for each. GET /trips, POST /trips; POST /check is for coordinators
    Agency(trip::Arguments),
    /// Stands before a participant and troubles a tenth of its calls. GET /counts
    Proxy(proxy::Arguments),
    /// Places many orders for the same article at once, and tells what became of them.
    Sale(sale::Arguments),
}

/// What ends the program before its time.
#[derive(Debug, thiserror::Error)]
enum Fatal {
    #[error(transparent)]
    Service(#[from] service::ServiceError),
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    #[error(transparent)]
    Proxy(#[from] proxy::ProxyError),
    #[error(transparent)]
    Client(#[from] tercet_participant::ClientError),
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let stderr = std::io::stderr;
    let colours = stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(stderr).init();
    match run(Arguments::parse().command).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(fatal) => {
            tracing::error!("{fatal}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Fatal> {
    match command {
        Command::Order(arguments) => service::order(arguments).await?,
        Command::Inventory(arguments) => service::inventory(arguments).await?,
        Command::Payment(arguments) => service::payment(arguments).await?,
        Command::Ride(arguments) => service::ride(arguments).await?,
        Command::Flight(arguments) => service::flight(arguments).await?,
        Command::Hotel(arguments) => service::hotel(arguments).await?,
        Command::Mail(arguments) => service::mail(arguments).await?,
        Command::Agency(arguments) => service::agency(arguments).await?,
        Command::Proxy(arguments) => proxy::run(arguments).await?,
        Command::Sale(arguments) => sale::run(arguments).await?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
