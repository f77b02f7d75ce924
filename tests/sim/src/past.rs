//! Seeds that once showed a fault, of the product or of the simulation itself. They are run
//! always; a change to what a seed means makes them ordinary seeds, and does no harm.

/// A seed, and what it showed.
pub const PAST: &[(u64, &str)] = &[];
