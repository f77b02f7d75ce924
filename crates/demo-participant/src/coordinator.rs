//! Whom initiators of the demo ask.

use tercet_participant::{Client, ClientError};

/// A client of the coordinator at this URL, with the token in `TERCET_TOKEN` if there is one.
pub(crate) fn client(url: &str) -> Result<Client, ClientError> {
    let builder = Client::builder(url);
    match std::env::var("TERCET_TOKEN") {
        Ok(token) if !token.is_empty() => builder.bearer(token).build(),
        _ => builder.build(),
    }
}
