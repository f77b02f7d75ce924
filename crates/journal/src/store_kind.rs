//! Where a journal keeps its rows.

/// Where a journal keeps its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreKind {
    /// In the database of its settings: durable.
    #[default]
    InDatabase,
    /// In memory, and of live transactions alone. **Nothing outlives the process.** It is what
    /// remains when the log costs nothing, which a benchmark compares with.
    InMemoryForBenchmarks,
}
