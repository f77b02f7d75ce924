//! What becomes of a call: drawn from the seed and the call's own name, so that the same call meets
//! the same fate however the calls are ordered.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use axum::http::HeaderMap;

/// Of a thousand calls, so many meet each trouble: a tenth in all.
const OF_EACH: u64 = 25;
/// The longest pause before a call's second copy.
const SECOND_COPY_MS: u64 = 400;
/// The longest delay: longer than an impatient caller waits for an answer.
const DELAY_MS: u64 = 2_000;

/// Which branch a call belongs to: its gid and its branch id.
pub(super) type BranchName = (String, String);

/// What distinguishes a call from every other one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CallName {
    pub(super) branch: BranchName,
    op: String,
    attempt: String,
}

impl CallName {
    /// Reads it from a call of the coordinator's; `None` for any other request.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Some(Self {
            branch: (text("tercet-gid")?, text("tercet-branch")?),
            op: text("tercet-op")?,
            attempt: text("tercet-attempt").unwrap_or_default(),
        })
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is passed on, and so is its answer.
    Passed,
    /// It is passed on twice.
    Doubled {
        /// How long after the first copy the second one is sent.
        after: Duration,
    },
    /// It is passed on late.
    Delayed {
        /// How late.
        by: Duration,
    },
    /// The next call of its branch overtakes it; its caller is told that it failed.
    Overtaken,
    /// It is passed on, and its answer is lost.
    AnswerLost,
}

/// Draws a call's fate.
pub(super) fn fate(seed: u64, call: &CallName) -> Fate {
    let mut hasher = DefaultHasher::new();
    (seed, call).hash(&mut hasher);
    let drawn = hasher.finish();
    let (lot, rest) = (drawn % 1_000, drawn / 1_000);
    match lot / OF_EACH {
        0 => Fate::Doubled { after: Duration::from_millis(rest % SECOND_COPY_MS) },
        1 => Fate::Delayed { by: Duration::from_millis(rest % DELAY_MS) },
        2 => Fate::Overtaken,
        3 => Fate::AnswerLost,
        _ => Fate::Passed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u32) -> CallName {
        CallName {
            branch: (format!("sale-{number}"), "payment".to_owned()),
            op: "try".to_owned(),
            attempt: "1".to_owned(),
        }
    }

    #[test]
    fn a_tenth_of_all_calls_is_troubled_in_every_way_alike() {
        let mut met = [0_u32; 5];
        for number in 0..10_000 {
            let kind = match fate(7, &call(number)) {
                Fate::Passed => 0,
                Fate::Doubled { .. } => 1,
                Fate::Delayed { .. } => 2,
                Fate::Overtaken => 3,
                Fate::AnswerLost => 4,
            };
            met[kind] += 1;
        }
        assert!((8_800..=9_200).contains(&met[0]), "{met:?}");
        assert!(met[1..].iter().all(|count| (200..=300).contains(count)), "{met:?}");
    }

    #[test]
    fn a_fate_hangs_on_the_seed_and_on_each_part_of_the_name() {
        let differs = |one: &dyn Fn(u32) -> Fate, other: &dyn Fn(u32) -> Fate| {
            (0..1_000).any(|number| one(number) != other(number))
        };
        let usual = |number| fate(7, &call(number));
        assert!(!differs(&usual, &usual));
        assert!(differs(&usual, &|number| fate(8, &call(number))));
        let change = |change: fn(&mut CallName)| {
            move |number| {
                let mut call = call(number);
                change(&mut call);
                fate(7, &call)
            }
        };
        assert!(differs(&usual, &change(|call| call.branch.1 = "order".to_owned())));
        assert!(differs(&usual, &change(|call| call.op = "cancel".to_owned())));
        assert!(differs(&usual, &change(|call| call.attempt = "2".to_owned())));
    }
}
