//! Whom a client trusts, and who it says it is.

use std::fmt;

use reqwest::{Certificate, ClientBuilder, Identity};

use super::error::ClientError;

/// PEM, as it was given. It has a key, so it is not shown.
#[derive(Clone, Default)]
pub(super) struct Tls {
    pub(super) authorities: Vec<Vec<u8>>,
    pub(super) identity: Option<Vec<u8>>,
}

impl Tls {
    /// A client that goes by it.
    pub(super) fn of(&self, mut client: ClientBuilder) -> Result<ClientBuilder, ClientError> {
        for pem in &self.authorities {
            let found = Certificate::from_pem_bundle(pem).map_err(|_| ClientError::Ca)?;
            if found.is_empty() {
                return Err(ClientError::Ca);
            }
            client = client.tls_certs_merge(found);
        }
        match &self.identity {
            None => Ok(client),
            Some(pem) => {
                let identity = Identity::from_pem(pem).map_err(|_| ClientError::Identity)?;
                Ok(client.identity(identity))
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authorities, identity } = self;
        f.debug_struct("Tls")
            .field("authorities", &authorities.len())
            .field("identity", &identity.as_ref().map(|_| "***"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Client, ClientError};

    #[test]
    fn what_is_no_pem_is_refused_and_no_key_is_in_a_print() {
        let builder = || Client::builder("https://127.0.0.1:1");
        for nonsense in ["", "k3y", "-----BEGIN CERTIFICATE-----\nk3y"] {
            let of_ca = builder().ca(nonsense).build().expect_err(nonsense);
            assert!(matches!(of_ca, ClientError::Ca), "{nonsense}: {of_ca:?}");
            let of_identity = builder().identity(nonsense).build().expect_err(nonsense);
            assert!(matches!(of_identity, ClientError::Identity), "{nonsense}: {of_identity:?}");
            for said in [format!("{of_ca} {of_ca:?}"), format!("{of_identity} {of_identity:?}")] {
                assert!(!said.contains("k3y"), "{said}");
            }
        }
        let printed = format!("{:?}", builder().identity("k3y").ca("k3y"));
        assert!(!printed.contains("k3y") && !printed.contains("107, 51"), "{printed}");
    }
}
