//! Values that nobody is to read: they print as `***`, or without the part that is secret, and
//! whoever needs them says so with `expose`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use thiserror::Error;
use url::Url;

/// What is shown in place of a secret.
const MASK: &str = "***";

/// A setting that is read from a text of which people are shown another.
pub trait Masked: FromStr {
    /// Shows the text without its secret, also one that cannot be read.
    fn masked(text: &str) -> String;
}

/// A value of which nothing is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Keeps the value from being shown.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for what it is there for.
    #[must_use]
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: FromStr> FromStr for Secret<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.parse().map(Self)
    }
}

impl<T: FromStr> Masked for Secret<T> {
    fn masked(_: &str) -> String {
        MASK.to_owned()
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// An `http` or `https` URL of which scheme, host and port are shown: receivers of webhooks put
/// their keys into user info, query and path.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

/// The text is no such URL. It does not say the text: that may hold a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("must be an http or https URL")]
pub struct InvalidUrl;

impl SecretUrl {
    /// The URL with all it holds.
    #[must_use]
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl FromStr for SecretUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let url: Url = text.parse().map_err(|_| InvalidUrl)?;
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        if is_http { Ok(Self(url)) } else { Err(InvalidUrl) }
    }
}

impl Masked for SecretUrl {
    fn masked(text: &str) -> String {
        let Ok(mut shown) = text.parse::<Url>() else { return MASK.to_owned() };
        let has_more = shown.path() != "/"
            || shown.query().is_some()
            || shown.fragment().is_some()
            || !shown.username().is_empty();
        if !has_more && shown.password().is_none() {
            return text.to_owned();
        }
        // Refused only for URLs without a host, which no setting is.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.set_query(None);
        shown.set_fragment(None);
        shown.set_path("/***");
        shown.to_string()
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::masked(self.0.as_str()))
    }
}

/// Where a database is; its password is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL with its password.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The text is no URL. It does not say the text: that may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("must be a URL such as sqlite://tercet.db")]
pub struct InvalidDatabaseUrl;

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    /// What else may be wrong with it is said by the database that is to be opened.
    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if text.contains("://") { Ok(Self(text.to_owned())) } else { Err(InvalidDatabaseUrl) }
    }
}

impl Masked for DatabaseUrl {
    /// By hand rather than by a URL parser, which would refuse just the URLs that somebody
    /// looks at because they do not work. Rather masks too much than too little.
    fn masked(text: &str) -> String {
        let Some((scheme, rest)) = text.split_once("://") else { return MASK.to_owned() };
        // A password can contain an @ by mistake, so the last one ends it.
        let rest = match rest.rsplit_once('@').map(|(user, place)| (user.split_once(':'), place)) {
            Some((Some((name, _)), place)) => format!("{name}:{MASK}@{place}"),
            Some((None, _)) | None => rest.to_owned(),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest.to_owned(), Some(query)),
            None => (rest, None),
        };
        let query = query.map(|query| {
            let pairs = query.split('&').map(|pair| match pair.split_once('=') {
                Some((name, _)) if name.to_ascii_lowercase().contains("password") => {
                    format!("{name}={MASK}")
                }
                Some(_) | None => pair.to_owned(),
            });
            format!("?{}", pairs.collect::<Vec<_>>().join("&"))
        });
        format!("{scheme}://{rest}{}", query.unwrap_or_default())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::masked(&self.0))
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from)
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from)
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from)
    }
}

fn parsed<'de, T: FromStr<Err: fmt::Display>, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_no_print_of_it() {
        let secret: Secret<String> = "k3y".parse().expect("a text");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.expose(), "k3y");
    }

    #[test]
    fn urls_are_shown_without_their_keys() {
        for (url, shown) in [
            ("http://pager.example", "http://pager.example/"),
            ("http://pager.example:81/", "http://pager.example:81/"),
            ("https://hooks.example/T0/k3y", "https://hooks.example/***"),
            ("https://pager.example?token=k3y", "https://pager.example/***"),
            ("https://pager.example#k3y", "https://pager.example/***"),
            ("https://me:k3y@pager.example", "https://pager.example/***"),
        ] {
            let url: SecretUrl = url.parse().expect("a URL");
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.into(), shown.into()));
        }
        for text in ["", "k3y", "ftp://k3y", "http://", "data:text/plain,k3y"] {
            assert_eq!(text.parse::<SecretUrl>(), Err(InvalidUrl), "{text}");
        }
    }

    #[test]
    fn databases_are_shown_without_their_passwords() {
        for (url, shown) in [
            ("sqlite://tercet.db", "sqlite://tercet.db"),
            ("mysql://me@h/d", "mysql://me@h/d"),
            ("mysql://me:@h/d", "mysql://me:***@h/d"),
            ("postgres://h/d?user=me&Password=s3cret", "postgres://h/d?user=me&Password=***"),
            ("postgres://me:a/b@h/d", "postgres://me:***@h/d"),
            ("postgres://me:s3cr@t@h/d", "postgres://me:***@h/d"),
        ] {
            let url: DatabaseUrl = url.parse().expect("a URL");
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.into(), shown.into()));
        }
        assert_eq!("s3cret".parse::<DatabaseUrl>(), Err(InvalidDatabaseUrl));
    }
}
