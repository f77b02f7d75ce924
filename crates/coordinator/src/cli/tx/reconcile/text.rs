//! What was found, for people.

use super::compare::{Difference, Finding};
use crate::escape::for_people;

/// Characters of a line.
const LINE: usize = 80;

/// A line for each finding, below headings if these are the first. The transaction and its branch stand last, where there
/// is room for both.
pub(super) fn lines(found: &[Finding], with_headings: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if with_headings && !found.is_empty() {
        lines.push(line("WHAT", "HERE", "THERE", "TRANSACTION AND BRANCH"));
    }
    lines.extend(found.iter().map(|finding| {
        let which = format!("{} {}", finding.gid, finding.branch);
        line(word(finding.what), finding.here.as_str(), finding.there.unwrap_or("-"), &which)
    }));
    lines
}

fn line(what: &str, here: &str, there: &str, which: &str) -> String {
    cut(&format!("{what:9}  {here:9}  {there:10}  {which}"))
}

fn word(what: Difference) -> &'static str {
    match what {
        Difference::Reserved => "reserved",
        Difference::Unknown => "unknown",
        Difference::Opposite => "opposite",
        Difference::Undecided => "undecided",
        Difference::Waits => "waits",
    }
}

/// How it came out.
pub(super) fn summary(compared: u64, differ: u64, wait: u64, retried: Option<u64>) -> String {
    let retried = retried.map(|retried| format!(", {retried} called now"));
    let retried = retried.unwrap_or_default();
    format!("{compared} branches compared: {differ} differ, {wait} wait{retried}")
}

fn cut(text: &str) -> String {
    let shown = for_people(text);
    if shown.chars().count() <= LINE {
        return shown.into_owned();
    }
    shown.chars().take(LINE - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tercet_wire::BookEntry;

    use super::*;
    use crate::cli::tx::reconcile::compare::compare;

    fn finding(gid: &str) -> Finding {
        let row: BookEntry = serde_json::from_value(json!({
            "gid": gid, "branch": "payment", "state": "tried", "at": "2026-11-20T12:00:00.000Z",
            "instance": "0193b6a0-0000-7000-8000-000000000001",
        }))
        .expect("a row");
        compare(&row, None).expect("a difference")
    }

    #[test]
    fn a_finding_is_a_line_that_fits_a_terminal() {
        let uuid = "0198a5c2-6c1e-7d10-8a3b-5d0c2f7e9b41";
        let shown = lines(&[finding("order-1"), finding(uuid), finding(&"g".repeat(128))], true);
        assert_eq!(
            shown[..2],
            [
                "WHAT       HERE       THERE       TRANSACTION AND BRANCH",
                "unknown    tried      -           order-1 payment",
            ]
        );
        assert!(shown[2].ends_with(&format!("{uuid} payment")), "{}", shown[2]);
        assert!(shown.iter().all(|line| line.chars().count() <= LINE), "{shown:?}");
        assert_eq!(summary(3, 1, 2, None), "3 branches compared: 1 differ, 2 wait");
    }
}
