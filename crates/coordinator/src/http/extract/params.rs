//! The query of a request, strictly: what is not known or not in range is an error, so
//! that a misspelt parameter never passes for an absent one.

use std::fmt::Display;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tercet_wire::Invalid;
use url::form_urlencoded;

use crate::http::response::problem::Failure;

/// The query of a request as a value: a struct that reads its parameters and, by `IntoParams`,
/// describes them; several side by side; or nothing.
#[derive(Debug)]
pub(in crate::http) struct Query<Q>(pub(in crate::http) Q);

/// The words that a pattern like `^(one|other)$` lets one choose from.
pub(in crate::http) fn choice(pattern: &str) -> Option<Vec<&str>> {
    let words = pattern.strip_prefix("^(")?.strip_suffix(")$")?;
    let words: Vec<&str> = words.split('|').collect();
    let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    words.iter().all(is_word).then_some(words)
}

/// What a query can be read as.
pub(in crate::http) trait FromParams: Sized {
    /// Takes its own parameters.
    fn take(params: &mut Params) -> Result<Self, Invalid>;
}

impl FromParams for () {
    fn take(_: &mut Params) -> Result<Self, Invalid> {
        Ok(())
    }
}

impl<A: FromParams, B: FromParams> FromParams for (A, B) {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        Ok((A::take(params)?, B::take(params)?))
    }
}

impl<Q: FromParams> Query<Q> {
    /// # Errors
    /// A parameter is not known, given twice or not in range.
    pub(in crate::http) fn parse(query: &str) -> Result<Self, Invalid> {
        Params::parse(query).read().map(Self)
    }
}

impl<S: Sync, Q: FromParams> FromRequestParts<S> for Query<Q> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default())?)
    }
}

/// The parameters not taken yet, and the names of those asked for.
#[derive(Debug, Default)]
pub(in crate::http) struct Params {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
    /// What names begin with of which there are any number.
    open: Vec<&'static str>,
}

impl Params {
    fn parse(query: &str) -> Self {
        Self::of(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Parameters that came in another way.
    pub(in crate::http) fn of(given: Vec<(String, String)>) -> Self {
        Self { given, known: Vec::new(), open: Vec::new() }
    }

    /// All of them as a value.
    ///
    /// # Errors
    /// A parameter is not known, given twice or not in range.
    pub(in crate::http) fn read<Q: FromParams>(mut self) -> Result<Q, Invalid> {
        let read = Q::take(&mut self)?;
        self.finish()?;
        Ok(read)
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

    /// All parameters whose names begin so, by what follows, which names each once.
    ///
    /// # Errors
    /// Nothing follows, or one is given twice.
    pub(in crate::http) fn take_all(
        &mut self,
        prefix: &'static str,
    ) -> Result<Vec<(String, String)>, Invalid> {
        self.open.push(prefix);
        let mut taken: Vec<(String, String)> = Vec::new();
        for (name, value) in std::mem::take(&mut self.given) {
            let Some(key) = name.strip_prefix(prefix) else {
                self.given.push((name, value));
                continue;
            };
            let wrong = if key.is_empty() {
                "must have a key behind the dot"
            } else if taken.iter().any(|(other, _)| other == key) {
                "is given twice"
            } else {
                taken.push((key.to_owned(), value));
                continue;
            };
            return Err(Invalid::new(name.chars().take(64).collect::<String>(), wrong));
        }
        // In whatever order they come, they ask for the same.
        taken.sort_unstable();
        Ok(taken)
    }

    /// A whole number within a range.
    pub(in crate::http) fn take_number(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>, Invalid> {
        self.take(name, |text| {
            // Some clients know only one kind of number, and write it with its decimals.
            let whole = text.split_once('.').filter(|(whole, decimals)| {
                !whole.is_empty() && !decimals.is_empty() && decimals.bytes().all(|b| b == b'0')
            });
            let text = whole.map_or(text, |(whole, _)| whole);
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
    fn finish(self) -> Result<(), Invalid> {
        let Some((name, _)) = self.given.first() else { return Ok(()) };
        let name: String = name.chars().take(64).collect();
        Err(if self.known.is_empty() {
            Invalid::new(name, "is not known: this address takes no parameters")
        } else {
            let open = self.open.iter().map(|prefix| format!("{prefix}KEY"));
            let known = self.known.iter().map(|name| (*name).to_owned()).chain(open);
            let known: Vec<String> = known.collect();
            Invalid::new(name, format!("is not known; there are {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use utoipa::IntoParams;
    use utoipa::openapi::path::ParameterIn;

    use super::*;
    use crate::http::extract::filter::{Filter, Ordering, Paging, StatusFilter, UnfinishedFilter};
    use crate::http::extract::include::Include;
    use crate::http::extract::wait::{BranchWait, DecisionWait, ReadWait, ResolutionWait};
    use crate::http::handlers::audit::AuditFilter;

    /// What is described is what is read: the same names, and numbers up to their ends.
    fn agrees<Q: FromParams + IntoParams>() {
        let mut params = Params::parse("");
        assert!(Q::take(&mut params).is_ok(), "all of them may be absent");
        let described = Q::into_params(|| Some(ParameterIn::Query));
        let names: Vec<&str> = described.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, params.known);
        for one in &described {
            let one = serde_json::to_value(one).expect("JSON");
            let (name, schema) = (one["name"].as_str().expect("a name"), &one["schema"]);
            assert!(
                one["description"].as_str().is_some_and(|about| about.ends_with('.')),
                "{name}"
            );
            assert_eq!((&one["in"], &one["required"]), (&"query".into(), &false.into()), "{name}");
            for word in schema["pattern"].as_str().and_then(choice).into_iter().flatten() {
                assert!(Query::<Q>::parse(&format!("{name}={word}")).is_ok(), "{name}={word}");
                assert!(Query::<Q>::parse(&format!("{name}={word}s")).is_err(), "{name}={word}s");
            }
            let ends = [("minimum", -1), ("maximum", 1)];
            for (end, beyond) in ends.map(|(end, beyond)| (schema[end].as_i64(), beyond)) {
                assert_eq!(end.is_some(), schema["type"] == "integer", "{name}");
                let Some(end) = end else { continue };
                let reads = |number: i64| Query::<Q>::parse(&format!("{name}={number}")).is_ok();
                assert!(reads(end) && !reads(end + beyond), "{name}: {end}");
            }
        }
    }

    #[test]
    fn each_query_is_read_as_it_is_described() {
        agrees::<DecisionWait>();
        agrees::<BranchWait>();
        agrees::<ResolutionWait>();
        agrees::<ReadWait>();
        agrees::<Include>();
        agrees::<StatusFilter>();
        agrees::<UnfinishedFilter>();
        agrees::<Filter>();
        agrees::<Ordering>();
        agrees::<Paging>();
        agrees::<AuditFilter>();
    }

    #[test]
    fn a_query_where_none_is_read_is_refused() {
        let error = Query::<()>::parse("a=1").expect_err("unknown");
        assert_eq!(error.to_string(), "a: is not known: this address takes no parameters");
    }
}
