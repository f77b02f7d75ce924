//! `tercet audit`: what operators did, for people and, whole, for programs.

use std::io;

use clap::{Args, ValueEnum};
use serde::Deserialize as _;
use serde_json::{Map, Value};
use tercet_wire::{AuditEntryView, Page};
use thiserror::Error;

use crate::cli::exit::{Exit, complain, remark, say_json, say_line};
use crate::cli::line::wrapped;
use crate::cli::terminal::width;
use crate::cli::tx::arguments::{Output, Where};
use crate::cli::tx::client::{Answered, Client, ClientError};
use crate::cli::tx::table::Table;
use crate::cli::tx::{on_runtime, refused};
use crate::escape::{for_people, in_json};

/// What stands below an entry stands in so far.
const INDENT: usize = 4;
/// Characters of a moment, and between two columns.
const AT: usize = 20;
const GAP: usize = 2;
/// Characters of a name at least, and of the longest word for what was done.
const LEAST_WHO: usize = 7;
const LONGEST_ACTION: usize = 11;
/// Entries of a page of an export: as many as there may be.
const PAGE: u32 = 500;

/// `tercet audit`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Audit {
    /// Only what this one did
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only what was done to this transaction alone; what jobs and retry-all did to it stands in its history
    #[arg(long, value_name = "GID")]
    gid: Option<String>,
    /// Only this: retry, retry-all, resolve, readdress, saga-put, saga-retire, pause, resume, job-begin, job-stop, release, confirm-held or cancel-held
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Done at this RFC 3339 time or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most this many: 1 to 500; with -o jsonl any number, and without it all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Go on after an earlier page
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    at: Where,
    /// How the answer looks; json is a page as the coordinator gives it, jsonl all pages, a line for each
    /// entry
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    Jsonl,
}

/// Why not all is there.
#[derive(Debug, Error)]
enum NotExported {
    #[error(transparent)]
    Asking(#[from] ClientError),
    #[error("the export is not whole: it cannot be written")]
    Writing(#[from] io::Error),
}

pub(in crate::cli) fn audit(flags: Audit) -> Exit {
    let output = if flags.output == Form::Text { Output::Text } else { Output::Json };
    let asked = on_runtime(&flags.at, async |client| match flags.output {
        Form::Text | Form::Json => flags.page(&client).await.map(|()| Exit::Well),
        Form::Jsonl => match flags.export(&client, &mut io::stdout().lock()).await {
            Ok(()) => Ok(Exit::Well),
            // Whoever reads it has heard enough.
            Err(NotExported::Writing(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ok(Exit::Well)
            }
            Err(NotExported::Asking(error)) => Err(error),
            Err(error @ NotExported::Writing(_)) => Ok(Exit::failed(&error)),
        },
    });
    match asked {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => refused(&error, output),
        Err(exit) => exit,
    }
}

impl Audit {
    async fn page(&self, client: &Client) -> Result<(), ClientError> {
        let query = self.query(self.limit, self.cursor.clone());
        let Answered { body, .. } = client.get(&["v1", "audit"], &query).await?;
        // Of a newer coordinator there may be words we do not know: then as it came.
        match Page::<AuditEntryView>::deserialize(&body) {
            Ok(page) if self.output == Form::Text => {
                let next = page.next_cursor.as_deref();
                lines(&page.items, next, width()).iter().for_each(|it| say_line(it));
                if let Some(gid) = &self.gid {
                    remark(&format!(
                        "What jobs and retry-all did to it has one entry for all of them, and stands in its history: tercet tx show {gid}"
                    ));
                }
            }
            Ok(_) | Err(_) => say_json(&body),
        }
        Ok(())
    }

    /// All of it, or as many as are asked for, a line each.
    async fn export(&self, client: &Client, out: &mut impl io::Write) -> Result<(), NotExported> {
        let mut left = self.limit.unwrap_or(u32::MAX);
        let mut cursor = self.cursor.clone();
        while left > 0 {
            let query = self.query(Some(left.min(PAGE)), cursor);
            let Answered { body, .. } = client.get(&["v1", "audit"], &query).await?;
            for entry in body["items"].as_array().into_iter().flatten() {
                writeln!(out, "{}", in_json(&entry.to_string()))?;
                left = left.saturating_sub(1);
            }
            out.flush()?;
            cursor = body["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return Ok(());
            }
        }
        if let Some(cursor) = cursor {
            complain(format_args!("there are more: --cursor {cursor}"));
        }
        Ok(())
    }

    fn query(&self, limit: Option<u32>, cursor: Option<String>) -> Vec<(&'static str, String)> {
        let given = [
            ("who", self.who.clone()),
            ("gid", self.gid.clone()),
            ("action", self.action.clone()),
            ("since", self.since.clone()),
            ("limit", limit.map(|limit| limit.to_string())),
            ("cursor", cursor),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// A page for people: who did what to which transaction, and below each what belongs to it.
fn lines(entries: &[AuditEntryView], next: Option<&str>, width: usize) -> Vec<String> {
    if entries.is_empty() {
        return vec!["no entries".to_owned()];
    }
    let gid = |entry: &AuditEntryView| {
        entry.gid.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
    };
    let longest = entries.iter().map(|entry| gid(entry).len()).max().unwrap_or_default();
    let room = width.saturating_sub(AT + LONGEST_ACTION + 3 * GAP).max(LEAST_WHO);
    let who = room.saturating_sub(longest).clamp(LEAST_WHO, room);
    let mut table = Table::new(&["AT", "WHO", "ACTION", "GID"]);
    for entry in entries {
        let at: String = entry.at.to_string().chars().take(AT - 1).collect();
        let who = cut(&entry.who, who);
        let action = cut(&entry.action, LONGEST_ACTION);
        table.row([format!("{at}Z").replace('T', " "), who, action, gid(entry)]);
    }
    let mut rows = table.fitted(width).into_iter().map(|line| line.shown(false));
    let mut lines: Vec<String> = rows.next().into_iter().collect();
    let below = |words: &str| {
        let parts = wrapped(&for_people(words), width.saturating_sub(INDENT));
        parts.into_iter().map(|part| format!("{:INDENT$}{part}", ""))
    };
    for (row, entry) in rows.zip(entries) {
        let whole = entry.gid.as_ref().filter(|gid| !row.contains(gid.as_str()));
        lines.push(row);
        lines.extend(whole.into_iter().flat_map(|gid| below(gid.as_str())));
        lines.extend(words_of(entry).iter().flat_map(|words| below(words)));
    }
    if let Some(cursor) = next {
        lines.extend([String::new(), format!("There are more: --cursor {cursor}")]);
    }
    lines
}

/// What belongs to an entry, in words.
fn words_of(entry: &AuditEntryView) -> Option<String> {
    let branch = entry.branch.as_ref().map(|branch| format!("branch {branch}"));
    let facts: Vec<String> = branch.into_iter().chain(words(&entry.detail)).collect();
    let facts = facts.join(", ");
    match &entry.note {
        Some(note) if facts.is_empty() => Some(note.clone()),
        Some(note) => Some(format!("{facts}: {note}")),
        None => (!facts.is_empty()).then_some(facts),
    }
}

fn words(detail: &Map<String, Value>) -> Vec<String> {
    let of = |(name, value): (&String, &Value)| match value {
        Value::Object(inner) if matches!(&**name, "before" | "after") => {
            vec![format!("{name} ({})", words(inner).join(", "))]
        }
        Value::Object(inner) => words(inner),
        Value::Array(items) if items.is_empty() => Vec::new(),
        Value::String(text) => vec![format!("{name} {text}")],
        value => vec![format!("{name} {value}")],
    };
    let mut fields: Vec<(&String, &Value)> = detail.iter().collect();
    fields.sort_by_key(|(name, _)| *name == "after");
    fields.into_iter().flat_map(of).collect()
}

/// At most so many characters, as they are shown.
fn cut(text: &str, most: usize) -> String {
    let shown = for_people(text);
    if shown.chars().count() <= most {
        return shown.into_owned();
    }
    shown.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(who: &str, action: &str, gid: Option<&str>, detail: Value) -> AuditEntryView {
        let entry = json!({
            "id": "0198a5c2-6c1e-7d10-8a3b-5d0c2f7e9b41", "at": "2026-11-20T12:05:00.120Z",
            "who": who, "role": "operator", "action": action, "gid": gid, "branch": null,
            "note": null, "detail": detail,
        });
        serde_json::from_value(entry).expect("an entry")
    }

    #[test]
    fn a_page_says_who_did_what_and_below_it_why() {
        let resolved = AuditEntryView {
            branch: Some("payment".parse().expect("an id")),
            note: Some("ticket\n4711".to_owned()),
            ..entry("alice", "resolve", Some("order-1001"), json!({ "as": "confirmed" }))
        };
        let filter = json!({ "filter": { "parked": true, "status": "trying" } });
        let all = entry("10.0.0.9", "retry-all", None, filter);
        let shown =
            lines(&[resolved, all, entry("bob", "retry", Some("o"), json!({}))], Some("c"), 80);
        assert_eq!(
            shown,
            [
                "AT                    WHO       ACTION     GID",
                "2026-11-20 12:05:00Z  alice     resolve    order-1001",
                "    branch payment, as confirmed: ticket\\n4711",
                "2026-11-20 12:05:00Z  10.0.0.9  retry-all  -",
                "    parked true, status trying",
                "2026-11-20 12:05:00Z  bob       retry      o",
                "",
                "There are more: --cursor c",
            ]
        );
        assert_eq!(lines(&[], None, 80), ["no entries"]);
    }

    #[test]
    fn no_line_is_longer_than_a_terminal_and_nothing_is_cut_off() {
        let uuid = "0198a5c2-6c1e-7d10-8a3b-5d0c2f7e9b41";
        let note = "é\u{1b} moved to the new data centre, ticket 4711 ".repeat(9);
        for (gid, width) in [(uuid, 80), (&*"g".repeat(128), 80), ("short", 40), (uuid, 200)] {
            let who = "somebody.with.a.long.name@example.org";
            let detail = json!({
                "before": { "confirm": "payment-1.internal:7302", "headers": ["authorization"] },
                "after": { "confirm": "payment-2.internal:7302" },
            });
            let entry = AuditEntryView {
                branch: Some("payment".parse().expect("an id")),
                note: Some(note.clone()),
                ..entry(who, "readdress", Some(gid), detail)
            };
            let shown = lines(&[entry], None, width);
            assert!(shown.iter().all(|line| line.chars().count() <= width), "{shown:?}");
            let said: String = shown.iter().flat_map(|line| line.split_whitespace()).collect();
            let whole: String = for_people(&note).split_whitespace().collect();
            assert!(said.contains(&whole) && said.contains(gid), "{shown:?}");
            let change = "before(confirmpayment-1.internal:7302,headers[\"authorization\"]),\
                          after(confirmpayment-2.internal:7302)";
            assert!(said.contains(change), "{shown:?}");
        }
    }
}
