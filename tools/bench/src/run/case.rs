//! What is measured: each case is a shape of transactions and how many are under way at once.

use serde::Serialize;

use crate::load::{Driven, Shape};
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
    branches: 2,
    payload_bytes: 200,
    profile: Profile::Accept,
    refused_of: None,
    driven: Driven::Coordinator,
};

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

    /// The others, each unlike the usual in one thing.
    pub(crate) fn side() -> Vec<Self> {
        let open = Shape { driven: Driven::Initiator, ..USUAL };
        let shapes = [
            ("no branches (begin, confirm)", Shape { branches: 0, ..open }),
            ("5 branches", Shape { branches: 5, ..USUAL }),
            ("10 branches", Shape { branches: 10, ..USUAL }),
            ("10 % refused", Shape { refused_of: Some(10), ..USUAL }),
            ("open (begin, 2 × register, confirm)", open),
            ("payload 16 KiB", Shape { payload_bytes: 16 * 1024, ..USUAL }),
            ("participants take 5 ms", Shape { profile: Profile::After(5), ..USUAL }),
        ];
        shapes.map(|(name, shape)| Self::new(name, CONNECTIONS, shape)).into()
    }
}
