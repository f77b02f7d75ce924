//! What the row of one life of a node says to the others.

use tercet_wire::Incarnation;

/// The row of one life of a node, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LifeRow {
    /// Which life.
    pub incarnation: Incarnation,
    /// Of which node: its name, the same across its lives.
    pub node_id: String,
    /// Whether it may write.
    pub state: LifeState,
    /// Its last batch.
    pub batch_no: i64,
}

/// Whether a life may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LifeState {
    /// It may.
    Live,
    /// It has said that it writes no more.
    Left,
    /// Another has said so, since it gave no sign of life.
    Fenced,
}

impl LifeState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Live, Self::Left, Self::Fenced];

    /// As it stands in the row.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Left => "left",
            Self::Fenced => "fenced",
        }
    }

    /// What stands in a row; none if it is no such word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}
