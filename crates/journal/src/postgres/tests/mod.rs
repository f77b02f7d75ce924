//! What only PostgreSQL does.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod checks;
mod fence;
mod plans;

use super::connect;
use super::session::PostgresSession;
use crate::conformance::Rig;
use crate::shared::Address;

fn address(rig: &Rig) -> Address {
    Address::parse(&rig.settings.database_url, &super::FORM).unwrap()
}

/// A session as the writer's.
async fn writer(rig: &Rig) -> PostgresSession {
    let mut session = connect::session(&address(rig)).await.unwrap();
    connect::prepare_writer(&mut session).await.unwrap();
    session
}
