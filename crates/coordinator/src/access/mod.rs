//! Who may do what.
//!
//! ```text
//!  Authorization ─▶ Presented ─▶ digest ─▶ Tokens (settings, tokens file) ──┐
//!                                    └──▶ else, if it is one: a JWT ────────┴▶ Caller {who, role}
//!  no Authorization ─▶ Certificate of the connection ─▶ Certified ───────▶ Caller
//!  tokens file, keys of the issuer ─▶ watch (every second, SIGHUP) ─▶ Access
//! ```
//!
//! `http/middleware/access.rs` asks `Access` about every request and compares the role with the one
//! that the request's route needs (`http/route_table.rs`). Nothing here keeps a token: it is hashed,
//! compared and gone with its request.

mod certificate;
mod failed_logins;
mod jwt;
mod kept;
mod presented;
mod role;
mod rules;
mod token;
mod tokens;
mod tokens_file;
mod watch;

pub use certificate::{Certificate, Shown};
pub use failed_logins::Failed;
pub use jwt::{KeysError, NoJwt};
pub use kept::Kept;
pub use presented::Presented;
pub use role::{Needs, Role};
pub(crate) use rules::is_loopback;
pub use rules::{Access, AccessError, Caller, Denied};
pub use token::{TokenDigest, new_token};
pub(crate) use tokens::doubled;
pub use tokens::{NamedClient, NamedToken, is_token_name};
pub use watch::keep_up;
