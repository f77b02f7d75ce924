//! `auth.tokens_file`: the same tables as in a settings file, and nothing else.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use thiserror::Error;

use super::NamedToken;
use super::tokens::doubled;
use crate::config::{ConfigError, tokens_of};

/// The longest file that is read, in bytes: more than as many tokens as there may be take.
const MAX_BYTES: u64 = 1 << 20;

/// The bits of a file's mode by which others than its owner and group may read or write it.
const OTHERS: u32 = 0o006;

/// Those by which the group may.
const GROUP: u32 = 0o060;

/// Why the file cannot be used.
#[derive(Debug, Error)]
pub enum TokensFileError {
    /// It cannot be opened or read.
    #[error("auth.tokens_file: {path} cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Who is neither its owner nor in its group may read or write it.
    #[error(
        "auth.tokens_file: {path} may be read or written by everybody on this machine (its mode is \
         {mode:03o}): chmod 600 it"
    )]
    Public {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// It is longer than any that is needed.
    #[error("auth.tokens_file: {0} has more than 1 MiB")]
    TooLong(String),
    /// What stands there is not what should.
    #[error("auth.tokens_file: {0}")]
    Wrong(#[from] ConfigError),
    /// Two entries have one token.
    #[error("auth.tokens_file: {0} and {1} have the same sha256")]
    Doubled(String, String),
}

/// What was read.
#[derive(Debug)]
pub(super) struct TokensFile {
    pub(super) tokens: Vec<NamedToken>,
    /// Its permissions, if the group has some.
    pub(super) group_mode: Option<u32>,
}

impl TokensFile {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be used.
    pub(super) fn read(path: &Path) -> Result<Self, TokensFileError> {
        let shown = || path.display().to_string();
        let unreadable = |cause| TokensFileError::Unreadable { path: shown(), cause };
        // Looked at is what was opened, whatever its name leads to a moment later.
        let mut file = File::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        let mode = about.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(TokensFileError::Public { path: shown(), mode });
        }
        let mut text = String::new();
        file.by_ref().take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_BYTES {
            return Err(TokensFileError::TooLong(shown()));
        }
        let tokens = tokens_of(path, &text)?;
        if let Some((one, other)) = doubled(&tokens) {
            return Err(TokensFileError::Doubled(one.name.clone(), other.name.clone()));
        }
        Ok(Self { tokens, group_mode: (mode & GROUP != 0).then_some(mode) })
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::fs::{Permissions, set_permissions};

    use tempfile::TempDir;

    use super::super::{Role, TokenDigest};
    use super::*;

    const TOKEN: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn read(text: &str, mode: u32) -> Result<TokensFile, TokensFileError> {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("tokens.toml");
        std::fs::write(&path, text).expect("written");
        set_permissions(&path, Permissions::from_mode(mode)).expect("its mode");
        TokensFile::read(&path)
    }

    fn table(name: &str) -> String {
        format!("[[auth.tokens]]\nname = \"{name}\"\nsha256 = \"{TOKEN}\"\nrole = \"client\"\n")
    }

    #[test]
    fn the_file_has_the_tables_that_settings_have() {
        let file = read(&table("orders"), 0o600).expect("it can be used");
        let sha256 = TokenDigest::of(b"abc");
        let orders = NamedToken { name: "orders".to_owned(), sha256, role: Role::Client };
        assert_eq!((file.tokens, file.group_mode), (vec![orders], None));
        assert!(read("", 0o600).expect("an empty one").tokens.is_empty());
    }

    #[test]
    fn whoever_may_read_it_is_looked_at() {
        for mode in [0o604, 0o644, 0o602, 0o666] {
            let error = read(&table("orders"), mode).expect_err("others may");
            let said = error.to_string();
            assert!(said.contains(&format!("{mode:o}")) && said.contains("chmod 600"), "{said}");
        }
        for mode in [0o640, 0o440, 0o660] {
            assert_eq!(read(&table("orders"), mode).expect("the group").group_mode, Some(mode));
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_is() {
        for (text, said) in [
            ("[[auth.tokens]]\nname = \"a\"".to_owned(), "auth.tokens[0].sha256 is missing"),
            (table("a b"), "auth.tokens[0].name must be"),
            (table("a").replace("client", "admin"), "auth.tokens[0].role must be"),
            (table("a").replace(TOKEN, "tercet_k3y"), "auth.tokens[0].sha256 must be"),
            (format!("{}[auth]\nopen_metrics = true", ""), "there is no setting auth.open_metrics"),
            ("[server]\nlisten = \"127.0.0.1:1\"".to_owned(), "there is no setting server.listen"),
            ("[[auth.tokens]".to_owned(), "TOML parse error at line 1"),
            (format!("{}{}", table("a"), table("b")), "a and b have the same sha256"),
            ("#".repeat(1 << 21), "more than 1 MiB"),
        ] {
            let error = read(&text, 0o600).expect_err(said).to_string();
            assert!(error.contains(said) && !error.contains("k3y"), "{said}: {error}");
        }
        let missing = TokensFile::read(Path::new("/nowhere/tokens.toml")).expect_err("none");
        assert!(missing.source().is_some_and(|cause| cause.to_string().contains("No such file")));
    }
}
