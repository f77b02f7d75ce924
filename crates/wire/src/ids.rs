//! Names of things. Each is parsed once, at the edge, and trusted from there on.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use uuid::Uuid;

/// Longest global transaction id, in bytes.
pub const GID_MAX_LEN: usize = 128;
/// Longest branch id, in bytes.
pub const BRANCH_ID_MAX_LEN: usize = 64;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// The text is empty or too long.
    #[error("must be 1 to {max} characters long, this has {len}")]
    Length {
        /// Length of the text, in bytes.
        len: usize,
        /// The longest allowed.
        max: usize,
    },
    /// The text begins with something other than a letter or a digit.
    #[error("must begin with a letter or a digit, not with {0:?}")]
    Start(char),
    /// The text contains something outside `[A-Za-z0-9._:-]`.
    #[error("may contain only letters, digits and . _ : - , not {0:?}")]
    Character(char),
}

fn check(text: &str, max: usize) -> Result<(), InvalidId> {
    let len = text.len();
    let Some(first) = text.chars().next() else {
        return Err(InvalidId::Length { len, max });
    };
    if len > max {
        return Err(InvalidId::Length { len, max });
    }
    if !first.is_ascii_alphanumeric() {
        return Err(InvalidId::Start(first));
    }
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    match text.chars().find(|c| !allowed(c)) {
        Some(bad) => Err(InvalidId::Character(bad)),
        None => Ok(()),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check(text, $max)?;
                Ok(Self(Arc::from(text)))
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(
    /// Id of a global transaction: 1 to 128 of `[A-Za-z0-9._:-]`, beginning with a letter or digit.
    Gid,
    GID_MAX_LEN
);

text_id!(
    /// Id of a branch within its transaction: 1 to 64 of `[A-Za-z0-9._:-]`, beginning with a letter or digit.
    BranchId,
    BRANCH_ID_MAX_LEN
);

text_id!(
    /// Name of a saga definition: 1 to 64 of `[A-Za-z0-9._:-]`, beginning with a letter or digit.
    SagaName,
    BRANCH_ID_MAX_LEN
);

impl BranchId {
    /// What stands for an initiator that is asked where a branch would be named. It is none, and a
    /// branch may have the same id.
    #[must_use]
    pub fn of_check() -> Self {
        Self(Arc::from("check"))
    }

    /// The id of a branch that was begun without one: `b1`, `b2`, … by position.
    #[must_use]
    pub fn by_position(position: usize) -> Self {
        /// Those of most transactions are the same ones.
        static FIRST: LazyLock<Vec<BranchId>> = LazyLock::new(|| (0..64).map(numbered).collect());

        fn numbered(position: usize) -> BranchId {
            BranchId(Arc::from(["b", &(position + 1).to_string()].concat()))
        }

        FIRST.get(position).map_or_else(|| numbered(position), Clone::clone)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "uuid_text")] pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

/// UUIDs as text, without the uuid crate's serde feature.
mod uuid_text {
    use super::{Deserialize, Deserializer, Serializer, Uuid};

    pub(super) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&id.hyphenated())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Uuid, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        Uuid::parse_str(&text).map_err(serde::de::Error::custom)
    }
}

uuid_id!(
    /// Something that an operator did (UUIDv7): the name of its row in the audit.
    ActId
);

/// One life of a gid (UUIDv7). A gid used again after its retention is another
/// transaction; the instance tells a participant's guard which one is speaking.
///
/// Where its rows stand is no part of which life it is: whoever has its UUID from somewhere else than the journal does not
/// know it.
#[derive(Debug, Clone, Copy)]
pub struct Instance {
    id: Uuid,
    rows: RowsUnder,
}

impl PartialEq for Instance {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Instance {}

impl PartialOrd for Instance {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Instance {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl Hash for Instance {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// Under what the rows of a transaction stand in the journal, beside the one that has its gid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RowsUnder {
    /// The gid: whoever begins transactions with gids in no order touches as many places of each
    /// table. So it was before there was anything else.
    #[default]
    Gid,
    /// The instance: rows of one transaction are together, in the order of begins, whatever its gid.
    Instance,
}

impl Instance {
    /// That of this UUID, whose rows stand under its gid.
    #[must_use]
    pub fn new(id: Uuid) -> Self {
        Self { id, rows: RowsUnder::Gid }
    }

    /// The same, whose rows stand there. That is said once, of one that has none yet.
    #[must_use]
    pub fn with_rows(self, rows: RowsUnder) -> Self {
        Self { rows, ..self }
    }

    /// Its UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.id
    }

    /// Where its rows stand.
    #[must_use]
    pub fn rows(self) -> RowsUnder {
        self.rows
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.hyphenated().fmt(f)
    }
}

impl FromStr for Instance {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self::new)
    }
}

impl Serialize for Instance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        uuid_text::serialize(&self.id, serializer)
    }
}

impl<'de> Deserialize<'de> for Instance {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        uuid_text::deserialize(from).map(Self::new)
    }
}

impl From<Instance> for Gid {
    /// The gid of a transaction that was begun without one: the UUID as text.
    fn from(instance: Instance) -> Self {
        Self(Arc::from(instance.to_string()))
    }
}

/// One life of the engine within a process. An answer to a call made by an
/// earlier life counts only as an acknowledgement of the durable decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// One life of a node, as it stands in the `nodes` table: random, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub i64);

/// Position of a record in the order the engine wrote them. What is durable is
/// always a prefix of that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_the_contract_says() {
        let long = "a".repeat(129);
        let table: &[(&str, Result<(), InvalidId>)] = &[
            ("order-1001", Ok(())),
            ("0.a_b:c-d", Ok(())),
            (&long[..128], Ok(())),
            (&long, Err(InvalidId::Length { len: 129, max: 128 })),
            ("", Err(InvalidId::Length { len: 0, max: 128 })),
            ("-a", Err(InvalidId::Start('-'))),
            ("é", Err(InvalidId::Start('é'))),
            ("a/b", Err(InvalidId::Character('/'))),
            ("a b", Err(InvalidId::Character(' '))),
            ("aé", Err(InvalidId::Character('é'))),
        ];
        for (text, expected) in table {
            assert_eq!(&text.parse::<Gid>().map(|_| ()), expected, "{text:?}");
        }
        assert!("b".repeat(65).parse::<BranchId>().is_err());
        for (position, id) in [(0, "b1"), (63, "b64"), (64, "b65")] {
            assert_eq!(BranchId::by_position(position).as_str(), id);
        }
    }
}
