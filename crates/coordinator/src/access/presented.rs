//! What a request shows: the token of its `Authorization`.

use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::failed_logins::Failed;

/// The longest token, in bytes; more than any issuer makes.
const MAX_BYTES: usize = 16 * 1_024;

/// A token as it came. It is not shown, and nothing keeps it.
#[derive(Clone, Copy)]
pub struct Presented<'a>(&'a str);

impl<'a> Presented<'a> {
    /// The one of a request. Source: RFC 6750, 2.1.
    ///
    /// # Errors
    /// There is none, more than one, or something else.
    pub fn of(headers: &'a HeaderMap) -> Result<Self, Failed> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let value = match (given.next(), given.next()) {
            (None, _) => return Err(Failed::Missing),
            (Some(value), None) => value.to_str().map_err(|_| Failed::Malformed)?,
            (Some(_), Some(_)) => return Err(Failed::Malformed),
        };
        let (scheme, token) = value.split_once(' ').ok_or(Failed::Malformed)?;
        let token = token.trim_matches(' ');
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        if is_bearer && is_b64token(token) { Ok(Self(token)) } else { Err(Failed::Malformed) }
    }

    /// One that somebody has typed or pasted.
    ///
    /// # Errors
    /// It cannot be one.
    pub fn typed(text: &'a str) -> Result<Self, Failed> {
        let token = text.trim();
        match token.is_empty() {
            true => Err(Failed::Missing),
            false if is_b64token(token) => Ok(Self(token)),
            false => Err(Failed::Malformed),
        }
    }

    /// The token, for what it is there for.
    pub(super) fn expose(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn is_b64token(token: &str) -> bool {
    let letters = token.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !letters.is_empty() && token.len() <= MAX_BYTES && letters.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn presented(values: &[&str]) -> Result<String, Failed> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).expect("a header"));
        }
        Presented::of(&headers).map(|token| token.expose().to_owned())
    }

    #[test]
    fn a_token_comes_as_bearer_once() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc", "Bearer abc "] {
            assert_eq!(presented(&[value]).as_deref(), Ok("abc"), "{value}");
        }
        assert_eq!(presented(&["Bearer a.b-c_d~e+f/g=="]).as_deref(), Ok("a.b-c_d~e+f/g=="));
        assert_eq!(presented(&[]), Err(Failed::Missing));
        let long = format!("Bearer {}", "a".repeat(MAX_BYTES + 1));
        for value in [
            "",
            "abc",
            "Bearer",
            "Bearer ",
            "Bearer =",
            "Basic abc",
            "Bearer a b",
            "Bearer a,b",
            &long,
        ] {
            assert_eq!(presented(&[value]), Err(Failed::Malformed), "{value}");
        }
        assert_eq!(presented(&["Bearer abc", "Bearer abc"]), Err(Failed::Malformed));
    }

    #[test]
    fn a_token_is_in_no_print_of_it() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer k3y"));
        assert_eq!(format!("{:?}", Presented::of(&headers)), "Ok(***)");
    }
}
