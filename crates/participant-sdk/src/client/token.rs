//! A token, which nobody is to read.

use std::fmt;

use http::HeaderValue;

use super::error::ClientError;

/// A token as the coordinator's operators hand it out. It prints as `***`.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// As it is sent.
    pub(super) fn into_header(self) -> Result<HeaderValue, ClientError> {
        let token = self.0.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClientError::Token);
        }
        let mut header =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ClientError::Token)?;
        // So that it is not printed with the request, and not compressed beside what others choose.
        header.set_sensitive(true);
        Ok(header)
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl From<&str> for Token {
    fn from(token: &str) -> Self {
        Self(token.to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use crate::Client;

    #[test]
    fn a_token_is_in_no_print_and_no_error() {
        let builder = Client::builder("http://127.0.0.1:1").bearer("k3y\n");
        assert!(!format!("{builder:?}").contains("k3y"), "{builder:?}");
        let client = builder.build().expect("a client");
        assert!(!format!("{client:?}").contains("k3y"), "{client:?}");
        for token in ["", " ", "k3y k3y", "k3y\u{7f}", "k3y\nk3y", "k3yä"] {
            let error =
                Client::builder("http://127.0.0.1:1").bearer(token).build().expect_err(token);
            assert!(!format!("{error} {error:?}").contains("k3y"), "{error:?}");
        }
    }
}
