//! Endpoints that were found right: nearly all begins name one of few, and to read a URL takes longer than to find it here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use url::Url;

use crate::Invalid;
use crate::op::PerOp;

/// So many are remembered; where there are more, all are forgotten.
const REMEMBERED: usize = 1_024;

/// The URLs of legs.
type Urls = PerOp<Option<Arc<Url>>>;

/// The legs of each, under what was written. They are right by the limits that this belongs to: a copy
/// of those, which may be changed, begins with none.
#[derive(Debug, Default)]
pub struct KnownEndpoints(Mutex<BTreeMap<Box<str>, Urls>>);

impl KnownEndpoints {
    /// The legs of an endpoint, read if it is not known.
    pub(crate) fn legs(
        &self,
        endpoint: &str,
        read: impl FnOnce() -> Result<Urls, Invalid>,
    ) -> Result<Urls, Invalid> {
        // Nothing done under this lock panics half-way, so a poisoned map is a whole one.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(urls) = lock().get(endpoint) {
            return Ok(urls.clone());
        }
        let urls = read()?;
        let mut known = lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(Box::from(endpoint), urls.clone());
        Ok(urls)
    }
}

impl Clone for KnownEndpoints {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for KnownEndpoints {
    /// What is remembered makes no difference.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for KnownEndpoints {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Urls, Invalid> {
        let url = Url::parse(text).map_err(|error| Invalid::new("endpoint", error))?;
        Ok(PerOp { try_: Some(Arc::new(url)), ..PerOp::default() })
    }

    #[test]
    fn an_endpoint_is_read_once_and_what_is_wrong_is_not_remembered() {
        let known = KnownEndpoints::default();
        let mut reads = 0;
        let mut ask = |text: &str| {
            known.legs(text, || {
                reads += 1;
                read(text)
            })
        };
        let first = ask("http://h/a").expect("a URL");
        assert_eq!(ask("http://h/a"), Ok(first.clone()));
        assert_ne!(ask("http://h/b"), Ok(first));
        assert!(ask("a").is_err());
        assert!(ask("a").is_err());
        assert_eq!(reads, 4);
    }

    #[test]
    fn many_are_not_kept_and_a_copy_begins_with_none() {
        let known = KnownEndpoints::default();
        for number in 0..REMEMBERED * 3 {
            let text = format!("http://h/{number}");
            let urls = known.legs(&text, || read(&text)).expect("a URL");
            assert_eq!(urls.try_.map(|url| url.to_string()), Some(text));
            assert!(known.0.lock().expect("not poisoned").len() <= REMEMBERED);
        }
        assert_eq!(known.clone().0.lock().expect("not poisoned").len(), 0);
    }
}
