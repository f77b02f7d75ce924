//! What is kept of the events: nothing, a hash of all, or their text. A run that fails is run
//! again to be told, so the runs that do not cost nothing.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Lines kept of a run that is told.
const LINES: usize = 40;

/// What is kept of the events.
#[derive(Debug, Clone)]
pub(crate) enum Log {
    /// Nothing.
    Nothing,
    /// One number that stands for all of them.
    Hash(DefaultHasher),
    /// The last lines.
    Last(VecDeque<String>),
    /// Each is printed as it happens.
    Print,
}

impl Log {
    pub(crate) fn hash_all() -> Self {
        Self::Hash(DefaultHasher::new())
    }

    pub(crate) fn last() -> Self {
        Self::Last(VecDeque::new())
    }

    pub(crate) fn note(&mut self, now: u64, line: impl FnOnce() -> String) {
        match self {
            Self::Nothing => {}
            Self::Hash(hasher) => {
                now.hash(hasher);
                line().hash(hasher);
            }
            Self::Last(lines) => {
                if lines.len() == LINES {
                    lines.pop_front();
                }
                lines.push_back(format!("{:>9} {}", now, line()));
            }
            Self::Print => println!("{:>9} {}", now, line()),
        }
    }

    /// Whether anything is kept.
    pub(crate) fn is_kept(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    pub(crate) fn hash(&self) -> Option<u64> {
        match self {
            Self::Hash(hasher) => Some(hasher.finish()),
            Self::Nothing | Self::Last(_) | Self::Print => None,
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        match self {
            Self::Last(lines) => lines.into(),
            Self::Nothing | Self::Hash(_) | Self::Print => Vec::new(),
        }
    }
}
