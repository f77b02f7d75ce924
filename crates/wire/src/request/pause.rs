//! An operator's word about a participant: whether it is called.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::request::invalid::Invalid;
use crate::request::resolve::check_note;
use crate::spec::host_port;

/// The longest `host:port`: as long as a name in the DNS, and a port.
const MAX_LEN: usize = 253 + 6;

/// Has a participant called no more, or called again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Why, for the audit. At most 1 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 1024, example = "their database is restored until noon")
    )]
    pub note: Option<String>,
}

/// The note of an operator's word about a participant.
///
/// # Errors
/// It is too long.
pub fn check_pause(request: PauseRequest) -> Result<Option<Arc<str>>, Invalid> {
    check_note(request.note)
}

/// A participant by name: the `host:port` of the URLs it is called at, as these have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParticipantName(Arc<str>);

/// The text is no `host:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be host:port, as a participant's URLs have it")]
pub struct InvalidParticipantName;

impl ParticipantName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ParticipantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ParticipantName {
    type Err = InvalidParticipantName;

    fn from_str(text: &str) -> Result<Self, InvalidParticipantName> {
        let has_port = text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        // What would end the host of a URL, or begin something before it.
        let is_host = !text.bytes().any(|byte| b"/\\?#@".contains(&byte) || byte <= b' ');
        if !has_port || !is_host || text.len() > MAX_LEN {
            return Err(InvalidParticipantName);
        }
        let url: Url = format!("http://{text}/").parse().map_err(|_| InvalidParticipantName)?;
        let name = host_port(&url);
        match name.len() <= MAX_LEN {
            true => Ok(Self(Arc::from(name))),
            false => Err(InvalidParticipantName),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_urls_of_the_participant_have() {
        for (text, name, url) in [
            ("Pay.Internal:7302", "pay.internal:7302", "http://pay.internal:7302/a/try"),
            ("pay:80", "pay:80", "http://pay/a"),
            ("pay:443", "pay:443", "https://pay/a"),
            ("127.0.0.1:7302", "127.0.0.1:7302", "http://127.0.0.1:7302/a"),
            ("[::1]:7302", "[::1]:7302", "http://[0::1]:7302/a"),
            ("bücher.example:80", "xn--bcher-kva.example:80", "http://bücher.example/"),
        ] {
            let read: ParticipantName = text.parse().expect(text);
            assert_eq!(read.as_str(), name);
            assert_eq!(host_port(&url.parse().expect("a URL")), name);
            assert_eq!(name.parse(), Ok(read), "it is its own name");
        }
        let long = format!("{}:80", "a".repeat(254));
        for text in [
            "",
            "pay",
            ":80",
            "pay:",
            "pay:x",
            "pay:70000",
            "a/b:80",
            "u@pay:80",
            "a b:80",
            "?:80",
            &long,
        ] {
            assert_eq!(text.parse::<ParticipantName>(), Err(InvalidParticipantName), "{text}");
        }
    }

    #[test]
    fn a_note_has_a_bound() {
        let check = |note: &str| check_pause(PauseRequest { note: Some(note.to_owned()) });
        assert_eq!(check("why\0"), Ok(Some("why\u{fffd}".into())));
        assert!(check(&"x".repeat(1_024)).is_ok());
        let error = check(&"x".repeat(1_025)).expect_err("too long");
        assert!(error.to_string().starts_with("note: "), "{error}");
    }
}
