//! Definitions of sagas, for people.

use tercet_wire::{ListedSagaView, SagaView, StepView};

use crate::cli::tx::table::Table;
use crate::escape::for_people;

/// Characters of a line.
const LINE: usize = 80;

/// A definition that was put.
pub(super) fn put(view: &SagaView, is_new: bool) -> Vec<String> {
    let SagaView { name, version, .. } = view;
    vec![match is_new {
        true => format!("{name}: version {version}"),
        false => format!("{name}: version {version} has this content already"),
    }]
}

/// A page of the list.
pub(super) fn list(items: &[ListedSagaView], next_cursor: Option<&str>) -> Vec<String> {
    if items.is_empty() {
        return vec!["no definitions".to_owned()];
    }
    let mut table = Table::new(&["SAGA", "VERSION", ""]);
    for item in items {
        let retired = if item.retired_at.is_some() { "retired" } else { "" };
        table.row([item.name.to_string(), item.version.to_string(), retired.to_owned()]);
    }
    let mut lines = table.lines();
    lines.extend(next_cursor.map(|cursor| format!("\nmore: --cursor {cursor}")));
    lines
}

/// A version of a definition.
pub(super) fn show(view: &SagaView) -> Vec<String> {
    let SagaView { name, version, created_at, retired_at, input_schema, timeout_ms, steps } = view;
    let mut lines = vec![format!("{name}  version {version}, put {created_at}")];
    lines.extend(retired_at.map(|at| format!("retired {at}: no further runs of it begin")));
    lines.push(format!("undecided for at most {timeout_ms} ms"));
    for step in steps {
        lines.push(String::new());
        lines.extend(of_step(step));
    }
    if let Some(schema) = input_schema {
        lines.extend(["".to_owned(), "input:".to_owned()]);
        let schema = serde_json::to_string_pretty(schema).unwrap_or_default();
        lines.extend(schema.lines().map(|line| format!("  {}", for_people(line))));
    }
    lines
}

fn of_step(step: &StepView) -> Vec<String> {
    let after = match step.after.as_deref() {
        None => String::new(),
        Some([]) => "  at once".to_owned(),
        Some(ids) => format!("  after {}", ids.join(", ")),
    };
    let mut lines = vec![cut(format!("{}{after}", step.id))];
    let urls = [
        ("action", &step.action),
        ("compensate", &step.compensate),
        ("confirm", &step.confirm),
        ("endpoint", &step.endpoint),
    ];
    for (leg, url) in urls {
        lines.extend(url.as_ref().map(|url| cut(format!("  {leg:<10}  {}", for_people(url)))));
    }
    let numbers = [
        ("calls take at most", step.timeout_ms, " ms"),
        ("may fail", step.try_attempts, " times (0: until the deadline)"),
        ("confirmed", step.confirm_after_ms, " ms after the decision"),
    ];
    for (what, number, unit) in numbers {
        lines.extend(number.map(|number| format!("  {what} {number}{unit}")));
    }
    if !step.headers.is_empty() {
        lines.push(cut(format!("  headers: {}", step.headers.join(", "))));
    }
    lines
}

/// What is longer than a line ends in an ellipsis; `-o json` has all of it.
fn cut(line: String) -> String {
    match line.char_indices().nth(LINE) {
        None => line,
        Some(_) => line.chars().take(LINE - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use tercet_wire::Wall;

    use super::*;

    #[test]
    fn a_definition_fits_a_terminal() {
        let step = StepView {
            id: "flight".to_owned(),
            action: Some(format!("http://h/{}", "x".repeat(200))),
            compensate: None,
            confirm: None,
            endpoint: None,
            after: Some(vec!["a".to_owned(), "b".to_owned()]),
            timeout_ms: Some(10),
            try_attempts: Some(3),
            confirm_after_ms: None,
            headers: vec!["x-tenant".to_owned()],
        };
        let view = SagaView {
            name: "trip".parse().expect("a name"),
            version: 3,
            created_at: Wall(0),
            retired_at: None,
            input_schema: Some(serde_json::json!({ "type": "object" })),
            timeout_ms: 3_600_000,
            steps: vec![step],
        };
        let lines = show(&view);
        assert!(lines.iter().all(|line| line.chars().count() <= LINE), "{lines:#?}");
        assert_eq!(lines[0], "trip  version 3, put 1970-01-01T00:00:00.000Z");
        assert_eq!(lines[3], "flight  after a, b");
        assert!(lines.contains(&"  headers: x-tenant".to_owned()), "{lines:#?}");
        assert_eq!(lines[lines.len() - 3..], ["  {", "    \"type\": \"object\"", "  }"]);
    }
}
