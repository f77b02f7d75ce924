//! What a participant has, as numbers with names.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// What a participant has, in whole units: `balance` 100, `frozen` 0. Also a change of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Balances(BTreeMap<String, i64>);

impl Balances {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to what stands under this name.
    pub fn add(&mut self, name: impl Into<String>, amount: i64) {
        let entry = self.0.entry(name.into()).or_default();
        *entry = entry.saturating_add(amount);
    }

    /// What stands under this name; 0 if nothing does.
    #[must_use]
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Takes the numbers out of JSON. A number's name is its field's, after those it lies in
    /// (`stock.available`); what lists hold under one name is added up. For each field named
    /// in `counted`, its texts are counted instead: `status=pending` is 3.
    ///
    /// # Errors
    /// A number is not whole.
    pub fn from_json(json: &Value, counted: &[String]) -> Result<Self, String> {
        let mut balances = Self::new();
        balances.take(json, "", counted)?;
        Ok(balances)
    }

    fn take(&mut self, json: &Value, name: &str, counted: &[String]) -> Result<(), String> {
        match json {
            Value::Number(number) => match number.as_i64() {
                Some(amount) => self.add(name, amount),
                None => return Err(format!("{name} is {number}: balances are in whole units")),
            },
            Value::Array(items) => {
                for item in items {
                    self.take(item, name, counted)?;
                }
            }
            Value::Object(fields) => {
                for (field, value) in fields {
                    let inner =
                        if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                    self.take(value, &inner, counted)?;
                }
            }
            Value::String(text) if counted.iter().any(|field| field == name) => {
                self.add(format!("{name}={text}"), 1);
            }
            Value::String(_) | Value::Bool(_) | Value::Null => {}
        }
        Ok(())
    }

    /// Both together, with what is zero: that it is there is known, too.
    pub(super) fn beside(mut self, other: &Self) -> Self {
        for (name, amount) in &other.0 {
            self.add(name, *amount);
        }
        self
    }

    /// Everything there is, by name, also what is zero.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// As they stand: `balance 100, frozen 0`.
    pub(super) fn stand(&self) -> String {
        let each = self.0.iter().map(|(name, amount)| format!("{name} {amount}"));
        each.collect::<Vec<_>>().join(", ")
    }

    /// Only what stands under these names.
    pub(super) fn only(mut self, names: &[String]) -> Self {
        self.0.retain(|name, _| names.contains(name));
        self
    }

    /// What has changed since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let mut change = self.clone();
        for (name, amount) in &before.0 {
            change.add(name, amount.saturating_neg());
        }
        change.without_zeros()
    }

    /// Both together.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        for (name, amount) in &other.0 {
            sum.add(name, *amount);
        }
        sum.without_zeros()
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.0.values().all(|amount| *amount == 0)
    }

    fn without_zeros(mut self) -> Self {
        self.0.retain(|_, amount| *amount != 0);
        self
    }
}

impl<N: Into<String>> FromIterator<(N, i64)> for Balances {
    fn from_iter<I: IntoIterator<Item = (N, i64)>>(entries: I) -> Self {
        let mut balances = Self::new();
        for (name, amount) in entries {
            balances.add(name, amount);
        }
        balances
    }
}

/// As a change: `balance -1, frozen +1`.
impl fmt::Display for Balances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nothing() {
            return f.write_str("no change");
        }
        let changed = self.0.iter().filter(|(_, amount)| **amount != 0);
        for (index, (name, amount)) in changed.enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {amount:+}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_wherever_they_lie_and_lists_are_added_up() {
        let json = serde_json::json!({
            "accounts": [{"name": "a", "balance": 3}, {"name": "b", "balance": 4, "frozen": 1}],
            "open": true, "total": 8,
        });
        let found = Balances::from_json(&json, &[]).expect("whole numbers");
        let expected = [("accounts.balance", 7), ("accounts.frozen", 1), ("total", 8)];
        assert_eq!(found, expected.into_iter().collect());

        let orders =
            serde_json::json!([{"status": "void"}, {"status": "placed"}, {"status": "void"}]);
        let found = Balances::from_json(&orders, &["status".to_owned()]).expect("no numbers");
        assert_eq!(found, [("status=void", 2), ("status=placed", 1)].into_iter().collect());

        let error = Balances::from_json(&serde_json::json!({"price": 1.5}), &[]);
        assert_eq!(error.expect_err("half"), "price is 1.5: balances are in whole units");
    }

    #[test]
    fn a_change_is_what_differs() {
        let before: Balances = [("balance", 10), ("same", 1)].into_iter().collect();
        let after: Balances = [("balance", 9), ("frozen", 1), ("same", 1)].into_iter().collect();
        let change = after.since(&before);
        assert_eq!(change.to_string(), "balance -1, frozen +1");
        assert_eq!(before.since(&before).to_string(), "no change");
        let back = before.since(&after);
        assert!(change.plus(&back).is_nothing());
    }
}
