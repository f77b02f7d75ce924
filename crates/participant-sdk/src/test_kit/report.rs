//! What was found.

use std::fmt;

use super::rule::Rule;

/// What the kit found. Its `Display` says it in words.
#[must_use = "a report may tell of broken rules"]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The participant.
    pub endpoint: String,
    /// Repeats the same calls in the same order, under new gids.
    pub seed: u64,
    /// How many calls were made.
    pub calls: u64,
    /// The rules that were checked, in order.
    pub checked: Vec<Rule>,
    /// The rules that were broken, in the order in which it was found.
    pub broken: Vec<Breach>,
    /// The rules that were not checked, or not to the end, and why.
    pub unchecked: Vec<(Rule, &'static str)>,
    /// How many branches were still reserved at the end although they were to be cancelled then, since the
    /// participant did not answer.
    pub left: usize,
}

/// A broken rule, as it showed first. What else there is of the rule is not tried any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Breach {
    /// The rule.
    pub rule: Rule,
    /// What was sent and how it was answered, a call a line.
    pub sent: Vec<String>,
    /// What should have come of it.
    pub expected: String,
    /// What did.
    pub seen: String,
}

impl Report {
    /// Whether everything was checked that was to be, and no rule is broken.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.broken.is_empty() && self.unchecked.is_empty()
    }

    /// Whether this rule was found broken.
    #[must_use]
    pub fn breaks(&self, rule: Rule) -> bool {
        self.broken.iter().any(|breach| breach.rule == rule)
    }

    pub(super) fn add(&mut self, breach: Breach) {
        if !self.breaks(breach.rule) {
            self.broken.push(breach);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, seed, calls, checked, broken, unchecked, left } = self;
        let of = checked.len();
        match broken.len() {
            0 => write!(f, "{endpoint} keeps all {of} rules checked")?,
            broken => write!(f, "{endpoint} breaks {broken} of {of} rules checked")?,
        }
        writeln!(f, " ({calls} calls, seed {seed})")?;
        for breach in broken {
            write!(f, "\n{breach}")?;
        }
        if *left > 0 {
            writeln!(f, "\nstill reserved: {left} branches whose Cancel was not answered")?;
        }
        // A run ends for one reason, which every rule that was left shares.
        let Some((_, why)) = unchecked.first() else { return Ok(()) };
        let names: Vec<&str> = unchecked.iter().map(|(rule, _)| rule.as_str()).collect();
        writeln!(f, "\nnot checked, since {why}: {}", names.join(", "))
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, sent, expected, seen } = self;
        writeln!(f, "{rule}: {}", rule.promise())?;
        for (index, line) in sent.iter().enumerate() {
            let head = if index == 0 { "sent" } else { "" };
            writeln!(f, "  {head:<9} {line}")?;
        }
        writeln!(f, "  {:<9} {expected}\n  {:<9} {seen}", "expected", "seen")
    }
}
