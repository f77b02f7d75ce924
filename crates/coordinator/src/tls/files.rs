//! The files of one section: whom is trusted, and who one is oneself.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use tercet_wire::Wall;

use super::TlsError;
use super::validity::not_after;
use crate::config::{CallsTlsSection, ClusterSection, ServerTlsSection};

/// The longest file that is read, in bytes: more than the system's own authorities together.
const MAX_BYTES: u64 = 1 << 20;

/// The bits of a key's mode by which others than its owner and group may read or write it.
const OTHERS: u32 = 0o006;

/// Those by which the group may.
const GROUP: u32 = 0o060;

/// A file, and the setting that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedFile {
    pub(crate) setting: &'static str,
    pub(crate) path: PathBuf,
}

/// Those of one section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TlsFiles {
    /// Who is trusted.
    pub(crate) authorities: Option<NamedFile>,
    /// Whether nobody else is.
    pub(crate) alone: bool,
    /// A certificate and its key.
    pub(crate) identity: Option<(NamedFile, NamedFile)>,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(super) authorities: Option<(NamedFile, Vec<CertificateDer<'static>>)>,
    pub(super) alone: bool,
    pub(super) identity: Option<Identity>,
    /// By this two of them are compared: no key is kept for it.
    pub(super) digest: [u8; 32],
    /// The key's permissions, if its group has some.
    pub(super) group_mode: Option<(NamedFile, u32)>,
}

/// Who one is.
#[derive(Debug)]
pub(super) struct Identity {
    /// By which settings that is said: the certificate's and the key's.
    pub(super) settings: (&'static str, &'static str),
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Loaded {
    /// When the first certificate of the chain ends that does: then nobody trusts it any more.
    pub(super) fn ends(&self) -> Option<Wall> {
        let chain = &self.identity.as_ref()?.chain;
        chain.iter().filter_map(not_after).min()
    }
}

impl TlsFiles {
    /// Those of the port, if it speaks TLS.
    pub(crate) fn of_server(section: &ServerTlsSection) -> Option<Self> {
        let cert = named("server.tls.cert_file", section.cert_file.as_ref());
        let key = named("server.tls.key_file", section.key_file.as_ref());
        let authorities = named("server.tls.client_ca_file", section.client_ca_file.as_ref());
        Some(Self { authorities, alone: true, identity: Some(cert.zip(key)?) })
    }

    /// Those of calls.
    pub(crate) fn of_calls(section: &CallsTlsSection) -> Self {
        let cert = named("dispatcher.tls.cert_file", section.cert_file.as_ref());
        let key = named("dispatcher.tls.key_file", section.key_file.as_ref());
        let authorities = named("dispatcher.tls.ca_file", section.ca_file.as_ref());
        Self { authorities, alone: false, identity: cert.zip(key) }
    }

    /// Those of what nodes say to each other. An authority of nodes' own is named so that nobody else's
    /// certificate counts.
    pub(crate) fn of_nodes(section: &ClusterSection) -> Self {
        let cert = named("cluster.cert_file", section.cert_file.as_ref());
        let key = named("cluster.key_file", section.key_file.as_ref());
        let authorities = named("cluster.ca_file", section.ca_file.as_ref());
        Self { authorities, alone: true, identity: cert.zip(key) }
    }

    /// Those of the command line.
    pub(crate) fn of_flags(
        ca: Option<&PathBuf>,
        cert: Option<&PathBuf>,
        key: Option<&PathBuf>,
    ) -> Self {
        let identity = named("--cert", cert).zip(named("--key", key));
        Self { authorities: named("--ca", ca), alone: false, identity }
    }

    /// Whether there is nothing to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.authorities.is_none() && self.identity.is_none()
    }

    /// The settings that name them.
    pub(super) fn settings(&self) -> String {
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert, key]);
        let settings = identity.chain(&self.authorities).map(|file| file.setting);
        settings.collect::<Vec<_>>().join(", ")
    }

    /// Reads them.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(crate) fn read(&self) -> Result<Loaded, TlsError> {
        let mut digest = Sha256::new();
        let mut group_mode = None;
        let authorities = match &self.authorities {
            Some(file) => Some((file.clone(), certificates(file, &mut digest)?)),
            None => None,
        };
        let identity = match &self.identity {
            Some((cert, key)) => {
                let settings = (cert.setting, key.setting);
                let chain = certificates(cert, &mut digest)?;
                let (key, mode) = secret(key, &mut digest)?;
                group_mode = mode;
                Some(Identity { settings, chain, key })
            }
            None => None,
        };
        let digest = digest.finalize().into();
        Ok(Loaded { authorities, alone: self.alone, identity, digest, group_mode })
    }
}

fn named(setting: &'static str, path: Option<&PathBuf>) -> Option<NamedFile> {
    path.map(|path| NamedFile { setting, path: path.clone() })
}

impl NamedFile {
    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// What stands in it, and its permissions.
    fn read(&self, digest: &mut Sha256) -> Result<(Vec<u8>, u32), TlsError> {
        let unreadable = |cause: io::Error| TlsError::Unreadable {
            setting: self.setting,
            path: self.shown(),
            cause,
        };
        let (bytes, mode) = read(&self.path).map_err(unreadable)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > MAX_BYTES {
            return Err(TlsError::TooLong { setting: self.setting, path: self.shown() });
        }
        digest.update(length.to_be_bytes());
        digest.update(&bytes);
        Ok((bytes, mode))
    }

    fn missing(&self, what: &'static str) -> TlsError {
        TlsError::Missing { setting: self.setting, path: self.shown(), what }
    }
}

/// Looked at is what was opened, whatever its name leads to a moment later.
fn read(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes, mode))
}

fn certificates(
    file: &NamedFile,
    digest: &mut Sha256,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (bytes, _) = file.read(digest)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    // Half of a file has none of what it ends in.
    let found = found.map_err(|_| file.missing("whole certificate"))?;
    if found.is_empty() { Err(file.missing("certificate")) } else { Ok(found) }
}

type Secret = (PrivateKeyDer<'static>, Option<(NamedFile, u32)>);

fn secret(file: &NamedFile, digest: &mut Sha256) -> Result<Secret, TlsError> {
    let (bytes, mode) = file.read(digest)?;
    if mode & OTHERS != 0 {
        return Err(TlsError::Public { setting: file.setting, path: file.shown(), mode });
    }
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| file.missing("private key"))?;
    Ok((key, (mode & GROUP != 0).then(|| (file.clone(), mode))))
}
