//! The token that is sent: from a file or a variable, never from the command line, which everybody on
//! the machine can see.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::secret::Secret;

const VARIABLE: &str = "TERCET_TOKEN";

/// Why there is none to be sent. It does not say the token.
#[derive(Debug, Error)]
pub(super) enum NoToken {
    /// The file cannot be read.
    #[error("--token-file: {}: {cause}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It has none.
    #[error("{0}: there must be a token in it, in one line")]
    None(String),
}

/// That of the file, else that of the variable, if there is one.
///
/// # Errors
/// What should be a token is none.
pub(super) fn token(file: Option<&Path>) -> Result<Option<Secret<String>>, NoToken> {
    match file {
        Some(path) => {
            let unreadable = |cause| NoToken::Unreadable { path: path.to_owned(), cause };
            let text = std::fs::read_to_string(path).map_err(unreadable)?;
            read("--token-file", &text).map(Some)
        }
        None => match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => read(VARIABLE, &text).map(Some),
            _ => Ok(None),
        },
    }
}

/// The first line, as `tercet token new` prints it; what else it prints may stand below.
fn read(from: &str, text: &str) -> Result<Secret<String>, NoToken> {
    let token = text.lines().next().unwrap_or_default().trim();
    let can_be_sent = token.bytes().all(|byte| byte.is_ascii_graphic());
    match !token.is_empty() && can_be_sent {
        true => Ok(Secret::new(token.to_owned())),
        false => Err(NoToken::None(from.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_first_line() {
        for text in ["abc", "abc\n", " abc \r\n", "abc\n\n[[auth.tokens]]\n"] {
            assert_eq!(
                read("f", text).map(|token| token.expose().clone()).ok().as_deref(),
                Some("abc")
            );
        }
        for text in ["", "\n", "a b", "a\u{7f}", "\nabc", "ä"] {
            let error = read("f", text).expect_err(text).to_string();
            assert_eq!(error, "f: there must be a token in it, in one line");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = token(Some(Path::new("/nowhere/token"))).expect_err("none").to_string();
        assert!(error.starts_with("--token-file: /nowhere/token: "), "{error}");
    }
}
