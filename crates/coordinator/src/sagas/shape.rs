//! What checking a value against a JSON Schema takes, counted before it is done.
//!
//! A schema may name each of its parts as often as it likes, so that a short one over a small value can
//! ask for more comparisons than there is time for. What would be looked at is walked here first, with
//! a budget and without looking; what takes more is refused.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use tercet_wire::Pointer;

use super::Wrong;

/// Parts of a schema looked at for one value, at most.
pub(super) const MOST_STEPS: u64 = 1_000_000;
/// Parts that are looked at from within each other.
const MOST_DEPTH: usize = 400;
/// Letters of all regular expressions, and how often they repeat what is in them.
const MOST_PATTERN_WEIGHT: u64 = 16_384;
/// Letters of a text times the weight of a pattern that count as one step.
const LETTERS_A_STEP: u64 = 64;
/// Values compared that count as one step.
const VALUES_A_STEP: u64 = 8;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The parts of a schema, and which are asked about what.
#[derive(Debug)]
pub(super) struct Shape {
    parts: Vec<Part>,
    pattern_weight: u64,
}

/// One part: a schema of its own. Others by their place in the list.
#[derive(Debug, Default)]
struct Part {
    /// Asked about the same value.
    same: Vec<usize>,
    /// Asked once more, for what nobody else has looked at.
    twice: bool,
    properties: BTreeMap<String, usize>,
    patterns: Vec<(u64, usize)>,
    /// About the value of every property.
    every_property: Vec<usize>,
    names: Option<usize>,
    first_items: Vec<usize>,
    every_item: Vec<usize>,
    /// Of a text.
    pattern: u64,
    unique: bool,
    /// What it takes whatever the value is.
    flat: u64,
}

/// More than may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuch;

impl Shape {
    /// Of a schema that leads nowhere else.
    pub(super) fn of(schema: &Value) -> Result<Self, Wrong> {
        let mut walk = Walk::of(schema);
        walk.part("");
        while let Some((at, place)) = walk.queue.pop_front() {
            let part = walk.looked_at(&place)?;
            walk.parts[at] = part;
        }
        Ok(Self { parts: walk.parts, pattern_weight: walk.pattern_weight })
    }

    /// About how many bytes it takes when it is made ready to be asked.
    pub(super) fn weight(&self) -> usize {
        let weight = self.parts.len() as u64 * 1_024 + self.pattern_weight * 4_096;
        usize::try_from(weight).unwrap_or(usize::MAX)
    }

    /// Whether checking this value takes no more than so many steps.
    pub(super) fn takes(&self, value: &Value, at_most: u64) -> Result<(), TooMuch> {
        let mut left = at_most;
        self.spend_at(0, value, 0, &mut left)
    }

    fn spend_at(
        &self,
        at: usize,
        value: &Value,
        depth: usize,
        left: &mut u64,
    ) -> Result<(), TooMuch> {
        let Some(part) = self.parts.get(at) else { return Ok(()) };
        if depth >= MOST_DEPTH {
            return Err(TooMuch);
        }
        take(left, part.flat)?;
        for _ in 0..=u8::from(part.twice) {
            for same in &part.same {
                self.spend_at(*same, value, depth + 1, left)?;
            }
        }
        match value {
            Value::Object(fields) => self.spend_on_fields(part, fields, depth, left),
            Value::Array(items) => {
                if part.unique {
                    weigh(value, left)?;
                }
                for (index, item) in items.iter().enumerate() {
                    take(left, 1)?;
                    let first = part.first_items.get(index);
                    for at in first.into_iter().chain(&part.every_item) {
                        self.spend_at(*at, item, depth + 1, left)?;
                    }
                }
                Ok(())
            }
            Value::String(text) => take(left, matching(part.pattern, text)),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn spend_on_fields(
        &self,
        part: &Part,
        fields: &Map<String, Value>,
        depth: usize,
        left: &mut u64,
    ) -> Result<(), TooMuch> {
        for (name, value) in fields {
            take(left, 1)?;
            let named = part.properties.get(name);
            for at in named.into_iter().chain(&part.every_property) {
                self.spend_at(*at, value, depth + 1, left)?;
            }
            for (weight, at) in &part.patterns {
                take(left, 1 + matching(*weight, name))?;
                self.spend_at(*at, value, depth + 1, left)?;
            }
            if let Some(names) = part.names {
                self.spend_at(names, &Value::String(name.clone()), depth + 1, left)?;
            }
        }
        Ok(())
    }
}

fn take(left: &mut u64, steps: u64) -> Result<(), TooMuch> {
    *left = left.checked_sub(steps).ok_or(TooMuch)?;
    Ok(())
}

fn matching(weight: u64, text: &str) -> u64 {
    let letters = u64::try_from(text.len()).unwrap_or(u64::MAX);
    weight.saturating_mul(letters) / LETTERS_A_STEP
}

/// A value that is compared as a whole.
fn weigh(value: &Value, left: &mut u64) -> Result<(), TooMuch> {
    take(left, 1)?;
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| weigh(item, left)),
        Value::Object(fields) => fields.values().try_for_each(|value| weigh(value, left)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// The way through a schema, part by part: what is named from elsewhere is looked at once.
struct Walk<'a> {
    schema: &'a Value,
    /// The name that it gives itself.
    own_id: Option<&'a str>,
    parts: Vec<Part>,
    known: BTreeMap<String, usize>,
    queue: VecDeque<(usize, String)>,
    anchors: BTreeMap<String, BTreeSet<String>>,
    pattern_weight: u64,
}

impl<'a> Walk<'a> {
    fn of(schema: &'a Value) -> Self {
        let own_id = schema.get("$id").and_then(Value::as_str);
        let mut anchors = BTreeMap::new();
        find_anchors(schema, &Pointer::root(), &mut anchors);
        Self {
            schema,
            own_id: own_id.map(|id| id.strip_suffix('#').unwrap_or(id)),
            parts: Vec::new(),
            known: BTreeMap::new(),
            queue: VecDeque::new(),
            anchors,
            pattern_weight: 0,
        }
    }

    /// The part at this place, which is looked at later.
    fn part(&mut self, place: &str) -> usize {
        if let Some(known) = self.known.get(place) {
            return *known;
        }
        let at = self.parts.len();
        self.parts.push(Part::default());
        self.known.insert(place.to_owned(), at);
        self.queue.push_back((at, place.to_owned()));
        at
    }

    fn looked_at(&mut self, place: &str) -> Result<Part, Wrong> {
        let mut part = Part { flat: 1, ..Part::default() };
        let schema = self.schema;
        let Some(Value::Object(fields)) = schema.pointer(place) else { return Ok(part) };
        for (keyword, value) in fields {
            let at = || Pointer::root().within(place).field(keyword);
            match (keyword.as_str(), value) {
                ("$schema", Value::String(draft)) => check_draft(draft, place, at())?,
                ("$id", Value::String(_)) if !place.is_empty() => {
                    let what = "is taken only at the top: a definition holds one schema";
                    return Err(Wrong::new(at(), what));
                }
                ("$ref" | "$dynamicRef", Value::String(target)) => {
                    part.same.extend(self.targets(target, &at())?);
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                    part.same.extend(self.list(schemas, &at()));
                }
                ("not" | "if" | "then" | "else", _) => part.same.push(self.part(at().as_str())),
                ("dependentSchemas" | "dependencies", Value::Object(schemas)) => {
                    part.same.extend(self.map(schemas, &at()).into_values());
                }
                ("$defs" | "definitions", Value::Object(schemas)) => {
                    self.map(schemas, &at());
                }
                ("contentSchema", _) => {
                    self.part(at().as_str());
                }
                ("properties", Value::Object(schemas)) => {
                    part.properties = self.map(schemas, &at());
                }
                ("patternProperties", Value::Object(schemas)) => {
                    for (pattern, at) in self.map(schemas, &at()) {
                        part.patterns.push((self.weight_of(&pattern)?, at));
                    }
                }
                ("additionalProperties", _) => {
                    part.every_property.push(self.part(at().as_str()));
                }
                ("unevaluatedProperties", _) => {
                    part.every_property.push(self.part(at().as_str()));
                    part.twice = true;
                }
                ("propertyNames", _) => part.names = Some(self.part(at().as_str())),
                ("prefixItems", Value::Array(schemas)) => {
                    part.first_items = self.list(schemas, &at());
                }
                ("items" | "contains", _) => part.every_item.push(self.part(at().as_str())),
                ("unevaluatedItems", _) => {
                    part.every_item.push(self.part(at().as_str()));
                    part.twice = true;
                }
                ("uniqueItems", Value::Bool(true)) => part.unique = true,
                ("pattern", Value::String(pattern)) => part.pattern = self.weight_of(pattern)?,
                ("enum" | "const", value) => part.flat += values_in(value) / VALUES_A_STEP,
                _ => {}
            }
        }
        Ok(part)
    }

    fn list(&mut self, schemas: &[Value], at: &Pointer) -> Vec<usize> {
        let places = (0..schemas.len()).map(|index| at.clone().item(index));
        places.map(|place| self.part(place.as_str())).collect()
    }

    fn map(&mut self, schemas: &Map<String, Value>, at: &Pointer) -> BTreeMap<String, usize> {
        let places = schemas.keys().map(|name| (name.clone(), at.clone().field(name)));
        places.map(|(name, place)| (name, self.part(place.as_str()))).collect()
    }

    /// What a reference leads to: a place in this document, or nothing.
    fn targets(&mut self, reference: &str, at: &Pointer) -> Result<Vec<usize>, Wrong> {
        let outside = || {
            let what = "leads outside the document; only what stands in it is looked at, by \
                        references that begin with #";
            Wrong::new(at.clone(), what)
        };
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if !document.is_empty() && Some(document) != self.own_id {
            return Err(outside());
        }
        let fragment = percent_decode_str(fragment).decode_utf8();
        let fragment = fragment.map_err(|_| Wrong::new(at.clone(), "must be UTF-8"))?;
        let places: BTreeSet<String> = match fragment.is_empty() || fragment.starts_with('/') {
            true => BTreeSet::from([fragment.into_owned()]),
            false => self.anchors.get(&*fragment).cloned().unwrap_or_default(),
        };
        let is_there = |place: &String| self.schema.pointer(place).is_some();
        if places.is_empty() || !places.iter().all(is_there) {
            return Err(Wrong::new(at.clone(), "leads to nothing in the document"));
        }
        Ok(places.iter().map(|place| self.part(place)).collect())
    }

    fn weight_of(&mut self, pattern: &str) -> Result<u64, Wrong> {
        let weight = pattern_weight(pattern);
        self.pattern_weight = self.pattern_weight.saturating_add(weight);
        if self.pattern_weight > MOST_PATTERN_WEIGHT {
            let what = "has regular expressions that are too large together";
            return Err(Wrong::new(Pointer::root(), what));
        }
        Ok(weight)
    }
}

/// Of all places, whether they are schemas or not: a name that nobody refers to does no harm.
fn find_anchors(value: &Value, at: &Pointer, anchors: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::Object(fields) => {
            for keyword in ["$anchor", "$dynamicAnchor"] {
                if let Some(Value::String(name)) = fields.get(keyword) {
                    anchors.entry(name.clone()).or_default().insert(at.to_string());
                }
            }
            for (name, value) in fields {
                find_anchors(value, &at.clone().field(name), anchors);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_anchors(item, &at.clone().item(index), anchors);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn check_draft(draft: &str, place: &str, at: Pointer) -> Result<(), Wrong> {
    if !place.is_empty() {
        return Err(Wrong::new(at, "is taken only at the top"));
    }
    match draft.strip_suffix('#').unwrap_or(draft) {
        DRAFT => Ok(()),
        _ => Err(Wrong::new(at, format!("must be {DRAFT}, or absent"))),
    }
}

/// Its letters, and the numbers in its braces: a repetition takes as much as what is repeated.
fn pattern_weight(pattern: &str) -> u64 {
    let letters = u64::try_from(pattern.len()).unwrap_or(u64::MAX);
    let repeats = pattern.split('{').skip(1).flat_map(|rest| {
        let counts = rest.split('}').next().unwrap_or_default();
        counts.split(',').filter_map(|count| count.trim().parse::<u64>().ok())
    });
    repeats.fold(letters, u64::saturating_add)
}

fn values_in(value: &Value) -> u64 {
    match value {
        Value::Array(items) => items.iter().map(values_in).sum::<u64>() + 1,
        Value::Object(fields) => fields.values().map(values_in).sum::<u64>() + 1,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}
