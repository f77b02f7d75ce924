//! The query of a request, strictly: what is not known or not in range is an error, so
//! that a misspelt parameter never passes for an absent one.

use std::convert::Infallible;
use std::fmt::Display;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tercet_wire::Invalid;
use url::form_urlencoded;

/// The parameters not taken yet, and the names of those asked for.
#[derive(Debug, Default)]
pub(in crate::http) struct Params {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Params {
    pub(in crate::http) fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self { given: pairs.into_owned().collect(), known: Vec::new() }
    }

    /// The value of one parameter, if it was given.
    ///
    /// # Errors
    /// It was given twice, or `read` does not accept it.
    pub(in crate::http) fn take<T, E: Display>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Invalid> {
        self.known.push(name);
        let Some(at) = self.given.iter().position(|(given, _)| given == name) else {
            return Ok(None);
        };
        let (_, value) = self.given.remove(at);
        if self.given.iter().any(|(given, _)| given == name) {
            return Err(Invalid::new(name, "is given twice"));
        }
        read(&value).map(Some).map_err(|error| Invalid::new(name, error))
    }

    /// A whole number within a range.
    pub(in crate::http) fn take_number(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>, Invalid> {
        self.take(name, |text| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| {
                format!("must be a whole number from {} to {}", range.start(), range.end())
            })
        })
    }

    /// One of a few words.
    pub(in crate::http) fn take_word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Invalid> {
        self.take(name, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, meaning)| *meaning).ok_or_else(|| {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("must be {}", words.join(" or "))
            })
        })
    }

    /// Everything known has been taken; what is left is a mistake.
    pub(in crate::http) fn finish(self) -> Result<(), Invalid> {
        let Some((name, _)) = self.given.first() else { return Ok(()) };
        let name: String = name.chars().take(64).collect();
        Err(if self.known.is_empty() {
            Invalid::new(name, "is not known: this address takes no parameters")
        } else {
            Invalid::new(name, format!("is not known; there are {}", self.known.join(", ")))
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}
