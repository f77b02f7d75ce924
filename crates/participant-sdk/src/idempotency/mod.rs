//! `Idempotency-Key` for ordinary endpoints: a client that did not hear the answer asks again with
//! the same key and is told what it would have heard.
//!
//! ```text
//!   request ──▶ key, fingerprint ──▶ claim ──┬─ new ───────▶ handler ──▶ keep the answer ──▶ answer
//!                                            ├─ done ──────▶ the kept answer again
//!                                            ├─ running ───▶ 409, Retry-After
//!                                            └─ other body ▶ 422
//! ```
//!
//! Source: draft-ietf-httpapi-idempotency-key-header.

mod answer;
#[cfg(feature = "sea-orm")]
mod database;
mod key;
mod layer;
mod memory;
mod run;
mod store;

pub use key::IdempotencyKey;
pub use layer::{Idempotency, IdempotencyService, KeyPolicy};
pub use store::{KeyStore, KeyStoreError};
