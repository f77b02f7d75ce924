//! Where a database server is.

use std::fmt;

use url::{Host, Url};

use crate::error::JournalError;

/// What a URL of one kind of server looks like.
#[derive(Debug)]
pub(crate) struct Form {
    /// For people.
    pub(crate) example: &'static str,
    /// The parameters that mean something. Others are refused: one that is misspelt would be
    /// ignored by the driver, `sslmode` say.
    pub(crate) parameters: &'static [&'static str],
}

/// Where a database server is. It holds a password, so it is shown without user and parameters.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    url: Url,
    place: String,
}

impl Address {
    /// Reads a URL of the form `scheme://user:password@host:port/database?parameters`.
    pub(crate) fn parse(text: &str, form: &'static Form) -> Result<Self, JournalError> {
        let wrong = |why: String| JournalError::InvalidServerUrl { form: form.example, why };
        let url = Url::parse(text).map_err(|error| {
            // An unescaped character of the password's ends the part it stands in.
            wrong(format!(
                "{error}; characters of a user or password that mean something in a URL \
                 (such as / ? # @ : %) are written as %XX"
            ))
        })?;
        let given = |name: &str| url.query_pairs().any(|(key, _)| key == name);
        for (name, _) in url.query_pairs() {
            if !form.parameters.contains(&&*name) {
                let known = form.parameters.join(", ");
                // What stands there may be the rest of a password.
                return Err(wrong(format!("it has a parameter that is none of: {known}")));
            }
        }
        if url.fragment().is_some() {
            return Err(wrong("# has no meaning in it; in a password it is written as %23".into()));
        }
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() && !given("host") && !given("socket") {
            return Err(wrong("the host is missing".to_owned()));
        }
        let database = url.path().trim_start_matches('/');
        if database.is_empty() && !given("dbname") || database.contains('/') {
            return Err(wrong("the name of one database must follow the host".to_owned()));
        }
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let place = format!("{}://{host}{port}/{database}", url.scheme());
        Ok(Self { url, place })
    }

    /// With its password.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Its host if that is an IPv6 address, without the brackets, which the driver would look up.
    pub(crate) fn ipv6(&self) -> Option<String> {
        match self.url.host()? {
            Host::Ipv6(address) => Some(address.to_string()),
            Host::Domain(_) | Host::Ipv4(_) => None,
        }
    }

    /// For people.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.place).finish()
    }
}
