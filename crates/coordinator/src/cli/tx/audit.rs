//! `tercet audit`: what operators did, for people and, whole, for programs.

use std::io;

use clap::{Args, ValueEnum};
use serde::Deserialize as _;
use serde_json::{Map, Value};
use tercet_wire::{AuditEntryView, Page};
use thiserror::Error;

use crate::cli::exit::{Exit, complain, say_json, say_line};
use crate::cli::tx::arguments::{Output, Where};
use crate::cli::tx::client::{Answered, Client, ClientError};
use crate::cli::tx::table::Table;
use crate::cli::tx::{on_runtime, refused};
use crate::escape::{for_people, in_json};

/// Characters of a line for people.
const LINE: usize = 80;
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
    /// Only what was done to this transaction
    #[arg(long, value_name = "GID")]
    gid: Option<String>,
    /// Only this: retry, retry-all, resolve, saga-put, saga-retire, pause, resume, job-begin, job-stop or release
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
                lines(&page.items, page.next_cursor.as_deref()).iter().for_each(|it| say_line(it));
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
fn lines(entries: &[AuditEntryView], next: Option<&str>) -> Vec<String> {
    if entries.is_empty() {
        return vec!["no entries".to_owned()];
    }
    let gid = |entry: &AuditEntryView| {
        entry.gid.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
    };
    let longest = entries.iter().map(|entry| gid(entry).len()).max().unwrap_or_default();
    let room = LINE - AT - LONGEST_ACTION - 3 * GAP;
    let who = room.saturating_sub(longest).clamp(LEAST_WHO, room);
    let mut table = Table::new(&["AT", "WHO", "ACTION", "GID"]);
    for entry in entries {
        let at: String = entry.at.to_string().chars().take(AT - 1).collect();
        let who = cut(&entry.who, who);
        let action = cut(&entry.action, LONGEST_ACTION);
        table.row([format!("{at}Z").replace('T', " "), who, action, gid(entry)]);
    }
    let mut rows = table.lines().into_iter();
    let mut lines: Vec<String> = rows.next().into_iter().collect();
    for (row, entry) in rows.zip(entries) {
        lines.push(cut(&row, LINE));
        lines.extend(below(entry).map(|words| cut(&format!("    {words}"), LINE)));
    }
    if let Some(cursor) = next {
        lines.extend([String::new(), format!("There are more: --cursor {cursor}")]);
    }
    lines
}

/// What belongs to an entry, in words.
fn below(entry: &AuditEntryView) -> Option<String> {
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
        Value::Object(inner) => words(inner),
        Value::String(text) => vec![format!("{name} {text}")],
        value => vec![format!("{name} {value}")],
    };
    detail.iter().flat_map(of).collect()
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
        let shown = lines(&[resolved, all, entry("bob", "retry", Some("o"), json!({}))], Some("c"));
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
        assert_eq!(lines(&[], None), ["no entries"]);
    }

    #[test]
    fn no_line_is_longer_than_a_terminal_and_a_uuid_is_whole() {
        let uuid = "0198a5c2-6c1e-7d10-8a3b-5d0c2f7e9b41";
        let note = "é\u{1b}".repeat(200);
        for gid in [uuid, &"g".repeat(128), "short"] {
            let who = "somebody.with.a.long.name@example.org";
            let entry = AuditEntryView {
                note: Some(note.clone()),
                ..entry(who, "a-word-of-a-newer-node", Some(gid), json!({ "as": "confirmed" }))
            };
            let shown = lines(&[entry], None);
            assert!(shown.iter().all(|line| line.chars().count() <= LINE), "{shown:?}");
            assert_eq!(shown[1].contains(gid), gid.len() < 128, "{shown:?}");
        }
    }
}
