//! What the tests of this crate share.

#[cfg(feature = "sea-orm")]
#[cfg(feature = "sea-orm")]
use crate::{context::Context, legs::Legs};
use tercet_wire::{Instance, Op};

/// One of several lives of a gid.
pub(crate) fn instance(number: u128) -> Instance {
    Instance::new(uuid::Uuid::from_u128(0x0193_b6a0_0000_7000_8000_0000_0000_0000 + number))
}

/// A call of the branch `b1`.
#[cfg(feature = "sea-orm")]
pub(crate) fn context(gid: &str, op: Op) -> Context {
    Context {
        gid: gid.parse().expect("a gid"),
        branch: "b1".parse().expect("a branch id"),
        instance: instance(1),
        op,
        legs: Legs::ALL,
        attempt: 1,
        deadline: None,
        traceparent: None,
        empty: false,
        results: Default::default(),
    }
}
