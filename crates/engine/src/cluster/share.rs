//! How what a dead life drove is shared out among those that survive it.

use tercet_wire::{Gid, Incarnation};

/// One survivor's share: those gids whose hash says so. Survivors that see different sets of
/// each other have shares that overlap or leave gaps; who takes first has it, and what is left
/// anybody takes in a second pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Share {
    place: u64,
    of: u64,
}

impl Share {
    /// The share of the survivor `own`; none if it is not among them.
    #[must_use]
    pub fn of(own: Incarnation, survivors: &[Incarnation]) -> Option<Self> {
        let mut sorted = survivors.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let place = sorted.iter().position(|survivor| *survivor == own)?;
        let of = u64::try_from(sorted.len()).ok()?;
        Some(Self { place: u64::try_from(place).ok()?, of })
    }

    /// Whether this transaction is in it.
    #[must_use]
    pub fn holds(&self, gid: &Gid) -> bool {
        hash(gid.as_str()) % self.of.max(1) == self.place
    }

    /// Whether there is no other.
    pub(super) fn is_all(&self) -> bool {
        self.of <= 1
    }
}

/// The same on every node and in every version: FNV-1a, and the last step of `SplitMix64`, so
/// that its low bits depend on more than the low bits of the text.
fn hash(text: &str) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
