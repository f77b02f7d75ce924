//! What `/metrics` tells, read from its text: there is no second way to count.

use std::collections::BTreeMap;

/// One line.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// All that was told at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Gauges(Vec<Sample>);

impl Gauges {
    /// What the text has of metrics of these names; what is no line of one is passed over.
    pub(super) fn read(text: &str, names: &[&str]) -> Self {
        let lines = text.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
        Self(lines.filter_map(sample).collect())
    }

    /// The sum of all samples of this metric that have these labels.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name, labels).map(|sample| sample.value).sum()
    }

    /// The same, as a count.
    pub(super) fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let sum = self.sum(name, labels);
        // Counters are whole numbers, and a gauge that is below none is none.
        if sum.is_finite() && sum > 0.0 { sum as u64 } else { 0 }
    }

    /// The values of a label of this metric.
    pub(super) fn values(&self, name: &str, label: &str) -> Vec<&str> {
        let samples = self.0.iter().filter(|sample| sample.name == name);
        let mut values: Vec<&str> =
            samples.filter_map(|sample| sample.labels.get(label).map(String::as_str)).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Below which value this share of a histogram's measurements lies, in seconds, between the two
    /// bounds where it is; none if nothing was measured.
    pub(super) fn quantile(&self, name: &str, labels: &[(&str, &str)], share: f64) -> Option<f64> {
        let bucket = format!("{name}_bucket");
        let mut counts: Vec<(f64, f64)> = Vec::new();
        for sample in self.of(&bucket, labels) {
            let bound = sample.labels.get("le")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            match counts.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += sample.value,
                None => counts.push((bound, sample.value)),
            }
        }
        counts.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (_, all) = *counts.last()?;
        if all <= 0.0 {
            return None;
        }
        let wanted = all * share;
        let at = counts.iter().position(|(_, count)| *count >= wanted)?;
        let (bound, count) = counts[at];
        let (below, before) = if at == 0 { (0.0, 0.0) } else { counts[at - 1] };
        // Beyond the last bound nobody knows how far.
        let upper = if bound.is_finite() { bound } else { below };
        let part = if count > before { (wanted - before) / (count - before) } else { 1.0 };
        Some(below + (upper - below) * part)
    }

    fn of<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| {
            let has = |(label, value): &(&str, &str)| {
                sample.labels.get(*label).is_some_and(|is| is == value)
            };
            sample.name == name && labels.iter().all(has)
        })
    }
}

/// Source: the text format of Prometheus, 0.0.4.
fn sample(line: &str) -> Option<Sample> {
    let (name, rest) = match line.find(['{', ' ']) {
        Some(at) if line.as_bytes()[at] == b'{' => (&line[..at], &line[at + 1..]),
        Some(at) => {
            let value = line[at..].trim().parse().ok()?;
            return Some(Sample { name: line[..at].to_owned(), labels: BTreeMap::new(), value });
        }
        None => return None,
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(value) = rest.strip_prefix('}') {
            let value = value.trim().parse().ok()?;
            return Some(Sample { name: name.to_owned(), labels, value });
        }
        let (label, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.insert(label.to_owned(), value);
        rest = &after[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP calls Calls.
# TYPE calls counter
calls{participant="a:80",op="try",result="done"} 40
calls{participant="a:80",op="confirm",result="done"} 2
calls{participant="odd \"\\ one",op="try",result="refused"} 1
queue 7
took_seconds_bucket{op="try",le="0.01"} 50
took_seconds_bucket{op="try",le="0.1"} 90
took_seconds_bucket{op="try",le="+Inf"} 100
took_seconds_sum{op="try"} 3.5
took_seconds_count{op="try"} 100
other{le="1"} 3
"#;

    fn read() -> Gauges {
        Gauges::read(TEXT, &["calls", "queue", "took_seconds"])
    }

    #[test]
    fn samples_are_added_up_by_their_labels() {
        let gauges = read();
        assert_eq!(gauges.count("calls", &[]), 43);
        assert_eq!(gauges.count("calls", &[("participant", "a:80")]), 42);
        assert_eq!(gauges.count("calls", &[("participant", "a:80"), ("op", "try")]), 40);
        assert_eq!(gauges.count("calls", &[("participant", "odd \"\\ one")]), 1);
        assert_eq!(gauges.count("queue", &[]), 7);
        assert_eq!(gauges.count("other", &[]), 0, "it was not asked for");
        assert_eq!(gauges.values("calls", "op"), ["confirm", "try"]);
    }

    #[test]
    fn a_quantile_lies_between_the_bounds_of_its_bucket() {
        let gauges = read();
        let at = |share| gauges.quantile("took_seconds", &[("op", "try")], share);
        assert_eq!(at(0.25), Some(0.005));
        assert_eq!(at(0.5), Some(0.01));
        let between = at(0.7).expect("measured");
        assert!((between - 0.055).abs() < 1e-9, "{between}");
        assert_eq!(at(0.99), Some(0.1), "nobody knows how far beyond the last bound");
        assert_eq!(gauges.quantile("took_seconds", &[("op", "cancel")], 0.5), None);
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        for line in ["calls", "calls{", "calls{a=\"b", "calls{a=\"b\"} x", "calls{a} 1", "calls y"]
        {
            assert_eq!(sample(line), None, "{line}");
        }
    }
}
