//! The participants of a run, and how their books are read.

use std::path::Path;

use super::Programs;
use crate::books::{Books, Entries};
use crate::error::ChaosError;
use crate::in_memory::{self, InMemoryServices};
use crate::link::{Link, Place};
use crate::load::{Endpoints, Initiator, Shape};
use crate::process::Process;
use crate::tool::words;

/// Which participants take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The demo's three services, each with its SQLite file.
    Demo,
    /// One process that plays all three in memory.
    InMemoryServices,
}

impl Kind {
    /// Those that can be asked for this.
    pub(crate) fn of(shape: Shape) -> Self {
        match shape {
            Shape::Tcc => Self::Demo,
            Shape::Saga => Self::InMemoryServices,
        }
    }
}

/// Running participants. They end with this value.
#[derive(Debug)]
pub(crate) struct Participants {
    /// The one that faults are about.
    pub(crate) inventory: Process,
    _others: Vec<Process>,
    /// Where they are called.
    pub(crate) at: Endpoints,
    books: Source,
    _places: Vec<Place>,
}

#[derive(Debug)]
enum Source {
    Files(Books),
    /// They tell when asked.
    Told,
}

impl Participants {
    /// Starts them with so many pieces in stock; their files are below this directory.
    pub(crate) async fn start(
        kind: Kind,
        programs: &Programs,
        link: &Link,
        directory: &Path,
        pieces: i64,
    ) -> Result<Self, ChaosError> {
        match kind {
            Kind::Demo => Self::demo(programs, link, directory, pieces).await,
            Kind::InMemoryServices => Self::in_memory(programs, link, directory, pieces).await,
        }
    }

    async fn demo(
        programs: &Programs,
        link: &Link,
        directory: &Path,
        pieces: i64,
    ) -> Result<Self, ChaosError> {
        let file = |name: &str| directory.join(format!("{name}.db"));
        let books =
            Books { order: file("order"), inventory: file("inventory"), payment: file("payment") };
        let start = async |name, place: &Place, file: &Path| {
            let (listen, file) = (place.address.to_string(), file.display().to_string());
            let mut command = words([&programs.demo, name, "--listen", &listen, "--db", &file]);
            command.extend(programs.demo_options.iter().cloned());
            let mut process = Process::new(name, link.inside(command), directory, "listening on");
            process.start().await.map(|()| process)
        };
        let [order, inventory, payment] = [(); 3].map(|()| link.place());
        let others = vec![
            start("order", &order, &books.order).await?,
            start("payment", &payment, &books.payment).await?,
        ];
        let stocked = start("inventory", &inventory, &books.inventory).await?;
        books.stock(pieces).await?;
        Ok(Self {
            inventory: stocked,
            _others: others,
            at: endpoints(&order, &inventory, &payment),
            books: Source::Files(books),
            _places: vec![order, inventory, payment],
        })
    }

    async fn in_memory(
        programs: &Programs,
        link: &Link,
        directory: &Path,
        pieces: i64,
    ) -> Result<Self, ChaosError> {
        let place = link.place();
        let mut command = words([&programs.own]);
        command.extend(InMemoryServices::command_line(place.address, pieces));
        let name = InMemoryServices::NAME;
        let mut process = Process::new(name, link.inside(command), directory, "listening on");
        process.start().await?;
        Ok(Self {
            inventory: process,
            _others: Vec::new(),
            at: endpoints(&place, &place, &place),
            books: Source::Told,
            _places: vec![place],
        })
    }

    /// All that they have written down of the transactions whose gid begins so.
    pub(crate) async fn read(&self, by: &Initiator, prefix: &str) -> Result<Entries, ChaosError> {
        match &self.books {
            Source::Files(books) => books.read(prefix).await,
            Source::Told => {
                let base = self.at.order.trim_end_matches("/order");
                by.read("the books", &format!("{base}{}", in_memory::BOOKS)).await
            }
        }
    }
}

fn endpoints(order: &Place, inventory: &Place, payment: &Place) -> Endpoints {
    let endpoint = |name: &str, place: &Place| format!("http://{}/{name}", place.address);
    Endpoints {
        order: endpoint("order", order),
        inventory: endpoint("inventory", inventory),
        payment: endpoint("payment", payment),
    }
}
