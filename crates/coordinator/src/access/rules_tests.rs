//! Who is let in, and what changes that while the daemon runs.

use std::os::unix::fs::PermissionsExt as _;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use tempfile::TempDir;
use tercet_clock::SystemClock;

use super::*;
use crate::config::AuthSection;

fn section() -> AuthSection {
    Settings::built_in().expect("the defaults fit").auth
}

fn named(name: &str, role: Role) -> NamedToken {
    let sha256 = TokenDigest::of(format!("token-{name}").as_bytes());
    NamedToken { name: name.to_owned(), sha256, role }
}

fn begin(section: &AuthSection, listen: &str) -> Result<Access, AccessError> {
    let mut settings = Settings::built_in().expect("the defaults fit");
    settings.auth = section.clone();
    settings.server.listen = listen.parse().expect("an address");
    Access::begin(&settings, Arc::new(SystemClock::start()))
}

fn with(name: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::try_from(format!("Bearer token-{name}")).expect("a header");
    headers.insert(AUTHORIZATION, value);
    headers
}

#[test]
fn a_caller_is_known_by_its_token_and_may_what_its_role_may() {
    let tokens =
        vec![named("v", Role::Viewer), named("c", Role::Client), named("o", Role::Operator)];
    let access = begin(&AuthSection { tokens, ..section() }, "0.0.0.0:7200").expect("rules");
    for (name, has) in [("v", Role::Viewer), ("c", Role::Client), ("o", Role::Operator)] {
        for needs in Role::ALL {
            let admitted = access.admit(&with(name), needs, None);
            if has >= needs {
                assert_eq!(admitted, Ok(Caller { who: name.into(), role: has }));
            } else {
                let error = admitted.expect_err("its role is too small");
                assert_eq!(error, Denied::TooSmall { who: name.into(), has, needs });
                assert!(error.to_string().contains(needs.as_str()), "{error}");
            }
        }
    }
    for needs in Role::ALL {
        assert_eq!(access.admit(&with("x"), needs, None), Err(Failed::Unknown.into()));
        assert_eq!(access.admit(&HeaderMap::new(), needs, None), Err(Failed::Missing.into()));
    }
}

#[test]
fn what_listens_beyond_loopback_has_rules_or_says_that_it_has_none() {
    let rules = AuthSection { tokens: vec![named("o", Role::Operator)], ..section() };
    let anybody = AuthSection { allow_anonymous: true, ..section() };
    for listen in ["127.0.0.1:0", "[::1]:0", "127.8.9.1:0", "[::ffff:127.0.0.1]:0"] {
        for section in [&section(), &rules, &anybody] {
            assert!(begin(section, listen).is_ok(), "{listen}");
        }
    }
    for listen in ["0.0.0.0:0", "[::]:0", "10.0.0.1:0", "[::ffff:10.0.0.1]:0"] {
        let error = begin(&section(), listen).expect_err(listen).to_string();
        assert!(error.contains("auth.tokens") && error.contains("auth.allow_anonymous"), "{error}");
        assert!(begin(&rules, listen).is_ok() && begin(&anybody, listen).is_ok(), "{listen}");
        // A file of tokens is a rule, whatever is in it at the moment.
        let directory = TempDir::new().expect("a directory");
        let of_file = AuthSection { tokens_file: Some(written(&directory, &[])), ..section() };
        assert!(begin(&of_file, listen).expect("rules").has_rules());
    }
    let both = AuthSection { allow_anonymous: true, ..rules };
    let error = begin(&both, "127.0.0.1:0").expect_err("both").to_string();
    assert!(error.contains("auth.allow_anonymous") && error.contains("auth.tokens"), "{error}");
}

/// A file that has these tokens, and that its owner alone may read.
fn written(directory: &TempDir, tokens: &[NamedToken]) -> PathBuf {
    let path = directory.path().join("tokens.toml");
    let tables = tokens.iter().map(|token| {
        let (name, sha256, role) = (&token.name, token.sha256.to_hex(), token.role);
        format!("[[auth.tokens]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nrole = \"{role}\"\n")
    });
    std::fs::write(&path, tables.collect::<String>()).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    path
}

#[test]
fn a_file_that_changes_is_taken_once_it_is_whole() {
    let directory = TempDir::new().expect("a directory");
    let path = written(&directory, &[named("old", Role::Client)]);
    let tokens = vec![named("fixed", Role::Client)];
    let section = AuthSection { tokens, tokens_file: Some(path), ..section() };
    let access = begin(&section, "127.0.0.1:0").expect("rules");
    let lets_in = |name| access.admit(&with(name), Role::Client, None).is_ok();
    assert!(lets_in("old") && lets_in("fixed") && !lets_in("new"));

    written(&directory, &[named("new", Role::Client)]);
    access.read_again(false);
    assert!(lets_in("old") && !lets_in("new"), "it may still be written");
    access.read_again(false);
    assert!(!lets_in("old") && lets_in("new") && lets_in("fixed"));

    // Whoever asks for it says that it is whole.
    written(&directory, &[]);
    access.read_again(true);
    assert!(!lets_in("new") && lets_in("fixed"));
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing() {
    let directory = TempDir::new().expect("a directory");
    let path = written(&directory, &[named("old", Role::Client)]);
    let tokens = vec![named("fixed", Role::Viewer)];
    let section = AuthSection { tokens, tokens_file: Some(path.clone()), ..section() };
    let access = begin(&section, "127.0.0.1:0").expect("rules");
    let holds = |what: &str| {
        for at_once in [false, false, true] {
            access.read_again(at_once);
            assert!(access.admit(&with("old"), Role::Client, None).is_ok(), "{what}");
            assert!(access.admit(&with("new"), Role::Viewer, None).is_err(), "{what}");
        }
    };
    std::fs::write(&path, "[[auth.tokens]]\nname = ").expect("written");
    holds("no TOML");
    // The token of the settings once more, with a greater role.
    written(&directory, &[named("fixed", Role::Operator), named("new", Role::Viewer)]);
    holds("doubled");
    written(&directory, &[named("new", Role::Viewer)]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    holds("everybody may read it");
    std::fs::remove_file(&path).expect("removed");
    holds("it is gone");
    written(&directory, &[named("new", Role::Viewer)]);
    access.read_again(true);
    assert!(access.admit(&with("new"), Role::Viewer, None).is_ok());
}

#[test]
fn a_daemon_without_its_file_does_not_start() {
    let directory = TempDir::new().expect("a directory");
    let path = written(&directory, &[named("a", Role::Client)]);
    let section = AuthSection { tokens_file: Some(path.clone()), ..section() };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).expect("its mode");
    let error = begin(&section, "127.0.0.1:0").expect_err("others may read it").to_string();
    assert!(error.contains("604"), "{error}");
    std::fs::remove_file(&path).expect("removed");
    assert!(begin(&section, "127.0.0.1:0").is_err());
}
