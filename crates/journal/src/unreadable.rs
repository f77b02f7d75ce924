//! A transaction whose rows make no sense: what is done about it is a rule, so its name is the
//! protocol's.

pub use tercet_engine::Unreadable;
