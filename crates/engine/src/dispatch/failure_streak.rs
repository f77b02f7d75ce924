//! Failures in a row: when they are no accident any more.

use tercet_wire::Gid;

/// The latest failures with no proof of life between them, and how well it went before.
///
/// A row counts by distinct transactions: one whose payload breaks the participant says
/// nothing about the others, however often it is called. And it counts against what came
/// before: where half of the calls fail, five in a row are soon met by accident, so each
/// failure among the last 64 calls before the row asks for one more in it. (Half failing:
/// 37 in a row, a chance of 10⁻¹¹; one in twenty: 8, a chance of 10⁻¹⁰.)
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct FailureStreak {
    /// Whose calls failed in this row; never more than are needed to open a breaker.
    suspects: Vec<Gid>,
    /// Failures in this row, the same transaction's too.
    len: u32,
    /// The 64 calls before the row, the latest in the lowest bit; 1 is a failure.
    before: u64,
}

impl FailureStreak {
    /// A proof of life ends the row.
    pub(super) fn alive(&mut self) {
        if self.len > 0 {
            let failures = (!0_u64).checked_shr(64 - self.len.min(64)).unwrap_or_default();
            self.before = self.before.checked_shl(self.len).unwrap_or_default() | failures;
            self.suspects.clear();
            self.len = 0;
        }
        self.before <<= 1;
    }

    /// One more failure. Says whether the row now has as many distinct transactions as are
    /// `needed`, and those that its past asks for.
    pub(super) fn failed(&mut self, gid: &Gid, needed: usize) -> bool {
        let needed = needed + self.before.count_ones() as usize;
        self.len = self.len.saturating_add(1);
        if self.suspects.len() < needed && !self.suspects.contains(gid) {
            self.suspects.push(gid.clone());
        }
        self.suspects.len() >= needed
    }
}

#[cfg(test)]
mod tests {
    use tercet_wire::spread;

    use super::*;

    fn gid(n: u64) -> Gid {
        format!("g{n}").parse().expect("an id")
    }

    /// Takes outcomes in turn, each of another transaction: whether the row was ever long enough.
    fn ever(branch_records: impl IntoIterator<Item = bool>) -> bool {
        let mut streak = FailureStreak::default();
        let mut n = 0;
        branch_records.into_iter().any(|failed| {
            n += 1;
            match failed {
                true => streak.failed(&gid(n), 5),
                false => {
                    streak.alive();
                    false
                }
            }
        })
    }

    #[test]
    fn five_in_a_row_are_enough_where_all_went_well() {
        assert!(!ever([true; 4]));
        assert!(ever([true; 5]));
        let one_life = [true, true, true, true, false, true, true, true, true];
        assert!(!ever(one_life));
        let well_before = std::iter::repeat_n(false, 1_000).chain([true; 5]);
        assert!(ever(well_before));
    }

    #[test]
    fn one_transaction_is_never_enough() {
        let mut streak = FailureStreak::default();
        assert!((0..1_000_000).all(|_| !streak.failed(&gid(1), 5)));
        assert_eq!(streak.suspects.len(), 1);
    }

    /// Keeps P6.
    #[test]
    fn a_row_must_be_longer_where_many_fail() {
        // A hundred thousand calls of which so many percent fail are never a row. (The first
        // few calls of all have no past: there, five are five.)
        for percent in [5, 20, 50, 65] {
            for seed in 0..10 {
                let past = [true, false].repeat(32).into_iter();
                let fails = move |n| spread(seed, n) % 100 < percent;
                assert!(!ever(past.clone().chain((0..100_000).map(fails))), "{percent} %, {seed}");
                // And when it dies then, it is found out soon.
                let dies = past.chain((0..1_000).map(fails)).chain([true; 69]);
                assert!(ever(dies), "{percent} %, {seed}");
            }
        }
    }

    #[test]
    fn the_past_is_forgotten_after_64_calls() {
        let troubled = [true, false].repeat(50);
        assert!(!ever(troubled.iter().copied().chain([true; 5])));
        let calm = std::iter::repeat_n(false, 64);
        assert!(ever(troubled.into_iter().chain(calm).chain([true; 5])));
        let mut streak = FailureStreak::default();
        for n in 0..200 {
            streak.failed(&gid(n), 5);
        }
        streak.alive();
        assert_eq!(streak.before.count_ones(), 63, "a row longer than the memory is all of it");
    }
}
