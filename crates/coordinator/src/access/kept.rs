//! What a session keeps of the token that began it: as much as it takes to ask, at each request,
//! whether it counts still.

use super::TokenDigest;
use crate::secret::Secret;

/// Of one of ours its digest; of an issuer's all of it, since nobody here knows it but by its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Of one of `auth.tokens` or of `auth.tokens_file`.
    Digest(TokenDigest),
    /// A JWT.
    Jwt(Secret<String>),
}

const DIGEST: u8 = 1;
const JWT: u8 = 2;

impl Kept {
    pub(super) fn jwt(token: &str) -> Self {
        Self::Jwt(Secret::new(token.to_owned()))
    }

    /// As it is sealed.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (kind, rest) = match self {
            Self::Digest(digest) => (DIGEST, &digest.bytes()[..]),
            Self::Jwt(token) => (JWT, token.expose().as_bytes()),
        };
        [&[kind], rest].concat()
    }

    /// From what was sealed.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match *kind {
            DIGEST => Some(Self::Digest(TokenDigest::of_bytes(rest.try_into().ok()?))),
            JWT => Some(Self::jwt(std::str::from_utf8(rest).ok()?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_read_again_and_nothing_else() {
        for kept in [Kept::Digest(TokenDigest::of(b"token")), Kept::jwt("a.b.c")] {
            assert_eq!(Kept::of_bytes(&kept.to_bytes()), Some(kept));
        }
        for bytes in [&[][..], &[DIGEST], &[DIGEST, 7], &[JWT, 0xff], &[9, 1]] {
            assert_eq!(Kept::of_bytes(bytes), None, "{bytes:?}");
        }
    }
}
