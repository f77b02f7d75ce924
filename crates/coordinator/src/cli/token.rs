//! `tercet token new`.

use tercet_clock::SystemClock;

use crate::access::{Role, TokenDigest, is_token_name, new_token};
use crate::cli::arguments::Token;
use crate::cli::exit::{Exit, remark, say};

pub(super) fn token(what: &Token) -> Exit {
    let Token::New { name, role } = what;
    if !is_token_name(name) {
        return Exit::usage(
            "--name must be 1 to 64 letters, digits and . _ : @ + / -, and no address",
        );
    }
    let token = new_token(&SystemClock::start());
    // The token alone in its line, so that a script can take it from there.
    say(format_args!("{}\n", token.expose()));
    say(table(name, *role, TokenDigest::of(token.expose().as_bytes())));
    remark("the first line is the token, shown this once; the table is for the settings");
    Exit::Well
}

/// What stands in the settings for it.
fn table(name: &str, role: Role, sha256: TokenDigest) -> String {
    let sha256 = sha256.to_hex();
    format!("[[auth.tokens]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nrole = \"{role}\"")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::tokens_of;

    #[test]
    fn the_table_is_one_that_settings_take() {
        let sha256 = TokenDigest::of(b"abc");
        let text = table("ci/deploy@eu-1", Role::Client, sha256);
        let read = tokens_of(Path::new("tokens.toml"), &text).expect("it can be read");
        let [token] = read.as_slice() else { panic!("{read:?}") };
        assert_eq!((token.name.as_str(), token.role), ("ci/deploy@eu-1", Role::Client));
        assert_eq!(token.sha256, sha256);
    }
}
