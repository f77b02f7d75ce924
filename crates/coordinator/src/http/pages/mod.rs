//! Pages for people, and the description of the contract for tools.

pub(super) mod contract;
mod docs_curl;
pub(super) mod docs_page;
mod docs_type;
pub(super) mod openapi;
pub(super) mod page;
pub(super) mod problems_page;
pub(super) mod saga_schema;
