//! Keeps up with what changes outside: files of tokens and keys, and the keys at the issuer's.

use std::sync::Arc;

use super::Access;
use super::jwt::keep_keys;
use crate::reading_again::{ReadAgain, keep_reading};
use crate::tls::Tls;

/// Keeps up with what changes outside for as long as the process lives.
pub async fn keep_up(access: Arc<Access>, tls: Tls) {
    let jwt = access.jwt.clone();
    let keys = async {
        if let Some(jwt) = jwt {
            keep_keys(jwt, tls.calls).await;
        }
    };
    tokio::join!(keep_reading(vec![access as Arc<dyn ReadAgain>]), keys);
}

impl ReadAgain for Access {
    fn has_files(&self) -> bool {
        Self::has_files(self)
    }

    fn read_again(&self, at_once: bool) {
        Self::read_again(self, at_once);
    }
}
