//! What is measured: each case is a shape of transactions and how many are under way at once.

use serde::Serialize;

use crate::load::{Driven, Gids, Kind, Shape};
use crate::sink::Profile;

/// One case.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Case {
    /// Its name in tables.
    pub(crate) name: String,
    /// Connections, each with one transaction under way.
    pub(crate) connections: usize,
    #[serde(skip)]
    pub(crate) shape: Shape,
}

/// Two branches, 200 bytes each, all accepted: what all else is compared with.
pub(crate) const USUAL: Shape = Shape {
    kind: Kind::Tcc,
    branches: 2,
    payload_bytes: 200,
    profile: Profile::Accept,
    refused_of: None,
    driven: Driven::Coordinator,
    gids: Gids::Generated,
};

/// The name of the saga that has a target.
pub(crate) const SAGA: &str = "saga of 3 steps";

/// Connections of the cases that differ in something else.
pub(crate) const CONNECTIONS: usize = 64;

impl Case {
    pub(crate) fn new(name: &str, connections: usize, shape: Shape) -> Self {
        Self { name: name.to_owned(), connections, shape }
    }

    /// The cases that the targets are about.
    pub(crate) fn main() -> Vec<Self> {
        let usual = |connections| {
            Self::new(&format!("2 branches, {connections} connections"), connections, USUAL)
        };
        [1, 16, 64, 256].map(usual).into()
    }

    /// One of each pattern, the usual one first: what the others are compared with, in turns with
    /// it.
    pub(crate) fn patterns() -> Vec<Self> {
        let saga = Shape { kind: Kind::Saga, branches: 3, ..USUAL };
        let confirmed = Shape { kind: Kind::ConfirmedSaga, ..saga };
        // Sent and not waited for, as by whoever has something else to do.
        let driven = Driven::Unattended;
        let message = Shape { kind: Kind::Message, branches: 1, driven, ..USUAL };
        let shapes = [
            ("TCC of 2 branches", USUAL),
            (SAGA, saga),
            ("saga of 3 steps, each confirmed", confirmed),
            ("message, accepted", message),
        ];
        shapes.map(|(name, shape)| Self::new(name, CONNECTIONS, shape)).into()
    }

    /// The others, each unlike the usual in one thing.
    pub(crate) fn side() -> Vec<Self> {
        let open = Shape { driven: Driven::Initiator, ..USUAL };
        let at_once = Shape { driven: Driven::InitiatorAtOnce, ..USUAL };
        let shapes = [
            ("no branches (begin, confirm)", Shape { branches: 0, ..open }),
            ("5 branches", Shape { branches: 5, ..USUAL }),
            ("10 branches", Shape { branches: 10, ..USUAL }),
            ("10 % refused", Shape { refused_of: Some(10), ..USUAL }),
            ("open (begin, 2 × register, confirm)", open),
            ("open, both registered at once", at_once),
            ("payload 16 KiB", Shape { payload_bytes: 16 * 1024, ..USUAL }),
            ("participants take 5 ms", Shape { profile: Profile::After(5), ..USUAL }),
        ];
        let mut cases = Vec::from(shapes.map(|(name, shape)| Self::new(name, CONNECTIONS, shape)));
        // What a lone initiator waits for is one commit after the other.
        cases.push(Self::new("open, 1 connection", 1, open));
        cases.push(Self::new("open, both registered at once, 1 connection", 1, at_once));
        cases
    }
}
