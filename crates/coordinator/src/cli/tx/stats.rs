//! `tercet stats`: what there is.

use std::time::Duration;

use clap::Args;
use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::{StatsView, Wall};

use crate::cli::exit::Exit;
use crate::cli::line::{Line, Tone};
use crate::cli::terminal::width;
use crate::cli::tx::arguments::{Output, Where};
use crate::cli::tx::client::{Answered, NO_QUERY};
use crate::cli::tx::table::Table;
use crate::cli::tx::{ask, print, text};

/// `tercet stats`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Stats {
    #[command(flatten)]
    at: Where,
    /// How the answer looks; json is the coordinator's own
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

pub(in crate::cli) fn stats(flags: &Stats) -> Exit {
    let now = SystemClock::start().now().wall;
    let output = flags.output;
    ask(&flags.at, output, async |client| {
        let Answered { body, .. } = client.get(&["v1", "stats"], NO_QUERY).await?;
        print(output, &body, |view| lines(view, now, width()));
        Ok(Exit::Well)
    })
}

fn lines(view: &StatsView, now: Wall, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut number = |name: &str, number: u64, tone: Tone| {
        let mut line = Line::from(format!("{name:<12}"));
        line.push(if number > 0 { tone } else { Tone::Plain }, &format!("{number:>10}"));
        lines.push(line);
    };
    for (status, count) in &view.by_status {
        number(status.as_str(), *count, Tone::Plain);
    }
    number("parked", view.parked, Tone::Bad);
    number("quarantined", view.quarantined, Tone::Bad);
    if let Some(seconds) = view.oldest_unfinished_seconds {
        // Nobody waits for longer than any duration holds.
        let age = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        lines.push(format!("the oldest unfinished one is {} old", text::lasting(age)).into());
    }
    if let Some(restored) = &view.restored {
        let since = text::ago(now, restored.held_since);
        let what = format!(
            "restored {since} ago: {} are held until tercet restored release, which cancels {} of them",
            restored.held, restored.release_cancels
        );
        lines.push(Line::toned(Tone::Warn, &what));
    }
    let mut nodes = Table::new(&["NODE", "STATE", "DRIVES", "STARTED", "URL"]);
    for node in &view.nodes {
        nodes.row([
            node.id.clone(),
            node.state.clone(),
            node.owned.to_string(),
            format!("{} ago", text::ago(now, node.since)),
            node.url.clone(),
        ]);
    }
    lines.push(Line::default());
    lines.extend(nodes.fitted(width));
    lines
}
