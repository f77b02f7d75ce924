//! What was asked for: the part of a transaction that is written once and never changes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::{Position, Url};

use crate::ids::{BranchId, Gid, Instance, SagaName};
use crate::op::{Op, PerOp};
use crate::status::{Pattern, TryBy};
use crate::time::Wall;

/// A transaction as it was begun.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Its id.
    pub gid: Gid,
    /// Which life of this gid.
    pub instance: Instance,
    /// Its shape.
    pub pattern: Pattern,
    /// Whether the initiator registers branches and asks for the decision.
    pub open: bool,
    /// When it was accepted.
    pub created_at: Wall,
    /// When it is cancelled if nothing has been decided.
    pub deadline_at: Wall,
    /// Says whether a repeat of begin asks for the same thing.
    pub fingerprint: Fingerprint,
    /// The initiator's own data: a JSON object as text, if any was given.
    pub metadata: Option<Arc<str>>,
    /// The `traceparent` begin came with, or one made from the instance.
    pub traceparent: Arc<str>,
    /// What it asks for beyond its branches; most ask for nothing.
    pub options: Option<Arc<TransactionOptions>>,
    /// The branches given at begin, by position.
    pub branches: Vec<Arc<BranchSpec>>,
}

/// What a transaction asks for beyond its branches. As JSON it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionOptions {
    /// Who is asked at its deadline what became of it, if it is open.
    #[serde(default, with = "url_text", skip_serializing_if = "Option::is_none")]
    pub check: Option<Arc<Url>>,
    /// The definition it is a run of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaVersion>,
}

impl TransactionOptions {
    /// These, unless they ask for nothing.
    #[must_use]
    pub fn unless_empty(self) -> Option<Arc<Self>> {
        (self != Self::default()).then(|| Arc::new(self))
    }

    /// Whether a transaction of this shape can ask for anything: rows are looked for only then.
    #[must_use]
    pub fn are_possible(pattern: Pattern, open: bool) -> bool {
        open || pattern == Pattern::Saga
    }
}

impl Spec {
    /// Who is asked at the deadline, if anybody is.
    #[must_use]
    pub fn check(&self) -> Option<&Arc<Url>> {
        self.options.as_ref()?.check.as_ref()
    }

    /// The definition it is a run of, if it is one.
    #[must_use]
    pub fn saga(&self) -> Option<&SagaVersion> {
        self.options.as_ref()?.saga.as_ref()
    }
}

/// A saga definition, in one of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SagaVersion {
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]*$", example = "trip"))]
    pub name: SagaName,
    /// Its version, from 1.
    pub version: u32,
}

/// A URL as its text.
mod url_text {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use url::Url;

    #[expect(clippy::ref_option, reason = "serde passes every field by reference")]
    pub(super) fn serialize<S: Serializer>(
        url: &Option<Arc<Url>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        url.as_ref().map(|url| url.as_str()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Arc<Url>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let url = text.map(|text| text.parse().map(Arc::new)).transpose();
        url.map_err(serde::de::Error::custom)
    }
}

/// A branch as it was given at begin or registered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BranchSpec {
    /// Its id, unique in the transaction.
    pub id: BranchId,
    /// Its place in the order of branches, from 0.
    pub position: u32,
    /// Where each leg is called; a leg without a URL is done when its turn comes.
    pub urls: PerOp<Option<Arc<Url>>>,
    /// Headers of the caller's, sent with every call; names in lower case. Secrets.
    pub headers: BTreeMap<String, String>,
    /// The body of every call, to the byte as it came.
    pub payload: Arc<str>,
    /// The longest one call may take.
    pub timeout: Duration,
    /// Who calls Try.
    pub try_by: TryBy,
    /// What it asks for beyond its calls; most branches ask for nothing.
    pub options: Option<Arc<BranchOptions>>,
    /// Says whether a repeat of the registration asks for the same thing.
    pub fingerprint: Fingerprint,
}

/// What a branch asks for beyond its calls. As JSON it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchOptions {
    /// Which branches of its saga come before it; absent: the one before it in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<BTreeSet<BranchId>>,
    /// Calls of its Try that may fail before the transaction is cancelled; 0: until its deadline.
    /// Absent: its pattern's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_attempts: Option<u32>,
    /// For how long after the decision its Confirm is not called, in milliseconds. Absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_after_ms: Option<u64>,
    /// Whether its calls bring what those before it were answered with.
    #[serde(default, skip_serializing_if = "is_false")]
    pub results: bool,
}

/// What is nearly never asked for is not written where it is not.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes every field by reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl BranchOptions {
    /// These, unless they ask for nothing.
    #[must_use]
    pub fn unless_empty(self) -> Option<Arc<Self>> {
        (self != Self::default()).then(|| Arc::new(self))
    }
}

impl BranchSpec {
    /// Which branches come before it, if it says so.
    #[must_use]
    pub fn after(&self) -> Option<&BTreeSet<BranchId>> {
        self.options.as_ref()?.after.as_ref()
    }

    /// How often its Try may fail, if it says so; 0: as often as it does.
    #[must_use]
    pub fn try_attempts(&self) -> Option<u32> {
        self.options.as_ref()?.try_attempts
    }

    /// For how long after the decision its Confirm is not called, if it says so.
    #[must_use]
    pub fn confirm_after(&self) -> Option<Duration> {
        self.options.as_ref()?.confirm_after_ms.map(Duration::from_millis)
    }

    /// Whether its calls bring what those before it were answered with.
    #[must_use]
    pub fn results(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.results)
    }

    /// Where this leg is called, if the coordinator calls it at all.
    #[must_use]
    pub fn url(&self, op: Op) -> Option<&Arc<Url>> {
        self.urls.get(op).as_ref()
    }

    /// The host and port by which people know this branch: Confirm's, else Try's, else Cancel's.
    #[must_use]
    pub fn participant(&self) -> String {
        [Op::Confirm, Op::Try, Op::Cancel]
            .into_iter()
            .find_map(|op| self.url(op))
            .map(|url| host_port(url))
            .unwrap_or_default()
    }

    /// The legs it has, as in the `Tercet-Legs` header. A Try that the initiator
    /// calls is a leg like any other: the participant will see it.
    #[must_use]
    pub fn legs(&self) -> &'static str {
        let has_try = self.url(Op::Try).is_some() || self.try_by == TryBy::Initiator;
        match (has_try, self.url(Op::Confirm).is_some(), self.url(Op::Cancel).is_some()) {
            (true, true, true) => "try,confirm,cancel",
            (true, true, false) => "try,confirm",
            (true, false, true) => "try,cancel",
            (true, false, false) => "try",
            (false, true, true) => "confirm,cancel",
            (false, true, false) => "confirm",
            (false, false, true) => "cancel",
            (false, false, false) => "",
        }
    }
}

/// `host:port` of a URL, with the scheme's port where the URL names none.
#[must_use]
pub fn host_port(url: &Url) -> String {
    shown_host_port(url).into_owned()
}

/// The same, for whoever only looks at it: a URL that names its port has it already.
#[must_use]
pub fn shown_host_port(url: &Url) -> Cow<'_, str> {
    if url.port().is_some() {
        return Cow::Borrowed(&url[Position::BeforeHost..Position::AfterPort]);
    }
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    Cow::Owned(format!("{host}:{port}"))
}

/// A short name for content: equal content, equal fingerprint. It begins with the
/// version of the rule it was made by, so that the rule can change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(Arc<str>);

/// No fingerprint of content is like this: these have a version and a colon before them.
const REFUSED: &str = "refused";

/// What stands between the content of a branch and those it was registered with. Neither has it.
const AMONG: char = '.';

/// So much is kept of the fingerprint of all: a column has 128 characters.
const OF_ALL_LEN: usize = 32;

impl Fingerprint {
    /// As stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Of a gid that was cancelled before it was begun: it answers to every begin.
    #[must_use]
    pub fn of_refused() -> Self {
        Self::from_text(REFUSED)
    }

    /// Whether it is that of a gid that was cancelled before it was begun.
    #[must_use]
    pub fn is_of_refused(&self) -> bool {
        &*self.0 == REFUSED
    }

    /// That of one branch of several that were registered at once, with that of all of them: who asks
    /// for it again asks for all of them.
    #[must_use]
    pub fn among(&self, all: &Self) -> Self {
        let all = all.0.split_once(':').map_or(&*all.0, |(_, hash)| hash);
        let all: String = all.chars().take(OF_ALL_LEN).collect();
        Self(Arc::from(format!("{}{AMONG}{all}", self.0)))
    }

    /// A word that branches share which were registered at once, and no others.
    #[must_use]
    pub fn among_whom(&self) -> Option<&str> {
        self.0.split_once(AMONG).map(|(_, all)| all)
    }

    /// Whether two branches have the same content, whoever they were registered with.
    #[must_use]
    pub fn has_content_of(&self, other: &Self) -> bool {
        self.0.split(AMONG).next() == other.0.split(AMONG).next()
    }

    /// Whether a transaction of this fingerprint is what this content asks for.
    #[must_use]
    pub fn answers(&self, asked: &Self) -> bool {
        self == asked || self.is_of_refused()
    }

    /// One that was stored, or computed.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(Arc::from(text))
    }
}
