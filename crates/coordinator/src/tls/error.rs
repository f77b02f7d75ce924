//! Why files of TLS cannot be used. No error says anything of a key.

use std::io;

use rustls::server::VerifierBuilderError;
use thiserror::Error;

/// Each names the setting that is to be looked after.
#[derive(Debug, Error)]
pub enum TlsError {
    /// It cannot be opened or read.
    #[error("{setting}: {path} cannot be read")]
    Unreadable {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Who is neither its owner nor in its group may read or write it.
    #[error(
        "{setting}: {path} may be read or written by everybody on this machine (its mode is \
         {mode:03o}): chmod 600 it"
    )]
    Public {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// It is longer than any that is needed.
    #[error("{setting}: {path} has more than 1 MiB")]
    TooLong {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: String,
    },
    /// There is none of what there should be.
    #[error("{setting}: {path} has no {what} in PEM (-----BEGIN …)")]
    Missing {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: String,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// One of the authorities' certificates is none.
    #[error("{setting}: {path} has a certificate that cannot be that of an authority")]
    Authority {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: String,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// Certificate and key do not go together, or are of a kind that is not known.
    #[error("{cert} and {key}: they cannot be used together")]
    Identity {
        /// The certificate's setting.
        cert: &'static str,
        /// The key's.
        key: &'static str,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// Clients could not be asked for certificates.
    #[error("server.tls.client_ca_file: clients cannot be asked for certificates")]
    Clients(#[from] VerifierBuilderError),
    /// TLS itself cannot be set up.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}
