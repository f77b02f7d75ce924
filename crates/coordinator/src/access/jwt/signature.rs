//! Signatures by ring, which is here for TLS anyway: three algorithms, and public keys alone.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory, verifier_factory, key_utils: KeyUtils::new_unimplemented() };

/// Has the library verify by this. For the process; the first that installs one is taken.
pub(super) fn install() {
    // Installed before: by this, for nothing else here does.
    let _ = PROVIDER.install_default();
}

/// Nothing is signed here.
fn signer_factory(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

/// What is a secret to both sides (HMAC) is no algorithm here, whatever a token says.
fn verifier_factory(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let is_ours = matches!(algorithm, Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA);
    if !is_ours || key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(ByRing { algorithm: *algorithm, key: key.clone() }))
}

struct ByRing {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for ByRing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for ByRing {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let by: &'static dyn VerificationAlgorithm = match (self.algorithm, self.key.kind()) {
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                // Leading zeros, which some issuers write, are none of the number.
                let (n, e) = (without_zeros(n), without_zeros(e));
                let key = RsaPublicKeyComponents { n, e };
                let verified = key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature);
                return verified.map_err(|_| Error::new());
            }
            (Algorithm::ES256, _) => &ECDSA_P256_SHA256_FIXED,
            (Algorithm::EdDSA, _) => &ED25519,
            _ => return Err(Error::new()),
        };
        let key = self.key.try_get_as_bytes().map_err(|_| Error::new())?;
        UnparsedPublicKey::new(by, key).verify(message, signature).map_err(|_| Error::new())
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    &number[first..]
}
