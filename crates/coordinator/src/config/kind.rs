//! What a setting can be: a number within a range, a text that fits, a list, a table. One value
//! says how it is read, checked and shown.

use std::str::FromStr;

use toml::Value;

use crate::secret::Masked;

/// What a setting, or a part of one, can be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A whole number, from the first to the second.
    Number(i64, i64),
    /// A share of a whole: from 0 to 1.
    Share,
    /// `true` or `false`.
    Boolean,
    /// A text.
    Text(Text),
    /// A list. A layer that gives it replaces all of it.
    List {
        /// What its items are.
        of: &'static Self,
        /// Most items.
        most: usize,
    },
    /// A table with these fields.
    Table(&'static [Field]),
    /// A table whose keys are the user's.
    Map {
        /// What its values are.
        of: &'static Self,
        /// Most keys.
        most: usize,
    },
}

/// One field of a table.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What it can be.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
}

/// Which texts a setting can be, and how they are shown.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    must_be: &'static str,
    fits: fn(&str) -> bool,
    /// Absent: as it is.
    masked: Option<fn(&str) -> String>,
}

impl Text {
    /// A text that everybody may see.
    #[must_use]
    pub const fn shown(must_be: &'static str, fits: fn(&str) -> bool) -> Self {
        Self { must_be, fits, masked: None }
    }

    /// A text that is shown as its type says, and never in an error.
    #[must_use]
    pub const fn masked<T: Masked>(must_be: &'static str) -> Self {
        Self { must_be, fits: is_a::<T>, masked: Some(T::masked) }
    }

    /// The same where the empty text says that there is none.
    #[must_use]
    pub const fn masked_or_empty<T: Masked>(must_be: &'static str) -> Self {
        Self { must_be, fits: is_a_or_empty::<T>, masked: Some(T::masked) }
    }
}

fn is_a<T: FromStr>(text: &str) -> bool {
    text.parse::<T>().is_ok()
}

fn is_a_or_empty<T: FromStr>(text: &str) -> bool {
    text.is_empty() || is_a::<T>(text)
}

/// Why a value cannot be taken, and which part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Objection {
    /// There is no such field.
    Unknown {
        /// What was given.
        place: String,
        /// What there is.
        hint: String,
    },
    /// That part cannot be so.
    Invalid {
        /// Which.
        place: String,
        /// What it must be.
        what: String,
    },
}

impl Kind {
    /// Whether the value is one of these. `place` is the setting's name; what is objected to in
    /// a list or a table is named with its index and key.
    pub(super) fn check(&self, place: &str, value: &Value) -> Result<(), Objection> {
        let invalid = |what: String| Err(Objection::Invalid { place: place.to_owned(), what });
        match (self, value) {
            (Self::Number(min, max), Value::Integer(number)) => {
                if (min..=max).contains(&number) {
                    return Ok(());
                }
                invalid(format!("must be {min} to {max}, not {number}"))
            }
            (Self::Share, Value::Float(share)) if (0.0..=1.0).contains(share) => Ok(()),
            (Self::Share, Value::Integer(0 | 1)) => Ok(()),
            (Self::Share, Value::Float(_) | Value::Integer(_)) => {
                invalid(format!("must be {}, not {value}", self.in_words()))
            }
            (Self::Boolean, Value::Boolean(_)) => Ok(()),
            (Self::Text(text), Value::String(given)) => {
                if (text.fits)(given) {
                    return Ok(());
                }
                // What is nearly a secret may be one.
                let given =
                    text.masked.map_or_else(|| format!(", not {given:?}"), |_| String::new());
                invalid(format!("must be {}{given}", text.must_be))
            }
            (Self::List { of, most }, Value::Array(items)) => {
                if items.len() > *most {
                    return invalid(format!("must have at most {most} items, not {}", items.len()));
                }
                let mut items = items.iter().enumerate();
                items.try_for_each(|(at, item)| of.check(&format!("{place}[{at}]"), item))
            }
            (Self::Table(fields), Value::Table(given)) => check_fields(fields, place, given),
            (Self::Map { of, most }, Value::Table(given)) => {
                if given.len() > *most {
                    return invalid(format!("must have at most {most} keys, not {}", given.len()));
                }
                let mut given = given.iter();
                given.try_for_each(|(key, item)| of.check(&format!("{place}[{key:?}]"), item))
            }
            (_, other) => invalid(format!("must be {}, not {}", self.in_words(), in_words(other))),
        }
    }

    /// The value as it may be shown.
    pub(super) fn shown(&self, value: &Value) -> Value {
        match (self, value) {
            (Self::Text(Text { masked: Some(masked), .. }), Value::String(text))
                if !text.is_empty() =>
            {
                Value::from(masked(text))
            }
            (Self::List { of, .. }, Value::Array(items)) => {
                Value::Array(items.iter().map(|item| of.shown(item)).collect())
            }
            (Self::Table(fields), Value::Table(given)) => {
                let shown = given.iter().filter_map(|(key, item)| {
                    let field = fields.iter().find(|field| field.name == key)?;
                    Some((key.clone(), field.kind.shown(item)))
                });
                Value::Table(shown.collect())
            }
            (Self::Map { of, .. }, Value::Table(given)) => {
                let shown = given.iter().map(|(key, item)| (key.clone(), of.shown(item)));
                Value::Table(shown.collect())
            }
            (_, other) => other.clone(),
        }
    }

    pub(super) fn in_words(&self) -> &'static str {
        match self {
            Self::Number(..) => "a whole number",
            Self::Share => "a number from 0 to 1",
            Self::Boolean => "true or false",
            Self::Text(_) => "a text",
            Self::List { .. } => "a list",
            Self::Table(_) | Self::Map { .. } => "a table",
        }
    }
}

fn check_fields(fields: &[Field], place: &str, given: &toml::Table) -> Result<(), Objection> {
    for (key, value) in given {
        let Some(field) = fields.iter().find(|field| field.name == key) else {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let hint = format!("{place} has {}", names.join(", "));
            return Err(Objection::Unknown { place: format!("{place}.{key}"), hint });
        };
        field.kind.check(&format!("{place}.{key}"), value)?;
    }
    match fields.iter().find(|field| field.required && !given.contains_key(field.name)) {
        None => Ok(()),
        Some(missing) => Err(Objection::Invalid {
            place: format!("{place}.{}", missing.name),
            what: "is missing".to_owned(),
        }),
    }
}

fn in_words(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "a whole number",
        Value::String(_) => "a text",
        Value::Boolean(_) => "true or false",
        Value::Float(_) => "a number with a fraction",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}
