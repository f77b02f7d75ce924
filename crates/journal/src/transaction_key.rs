//! One life of a gid: what records belong to.

pub(super) use tercet_engine::TransactionKey;
