//! `tercet restored release`.

use clap::{Args, Subcommand};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::{ReleasedView, RestoredView, Wall};

use crate::cli::exit::{Exit, remark};
use crate::cli::line::wrapped;
use crate::cli::terminal::width;
use crate::cli::tx::arguments::{Output, Where};
use crate::cli::tx::asking::{Asks, is_meant};
use crate::cli::tx::client::{Answered, Client, ClientError, NO_QUERY};
use crate::cli::tx::{ask, print, text};

/// `tercet restored`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RestoredCommand {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    at: Where,
    /// How the answer looks; json is the coordinator's own
    #[arg(short, long, value_name = "FORMAT", default_value = "text", global = true)]
    output: Output,
    /// Do not ask whether it is meant
    #[arg(long, global = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Let what was undecided in the backup go on: it is called, decided and expires as any other
    ///
    /// It says first how many there are, and which of them this cancels, and asks.
    Release {
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
}

pub(in crate::cli) fn restored(flags: RestoredCommand) -> Exit {
    let RestoredCommand { what: What::Release { note }, at, output, yes } = flags;
    let body: Option<Value> = note.map(|note| json!({ "note": note }));
    let now = SystemClock::start().now().wall;
    ask(&at, output, async |client| {
        if let Some(held) = held(&client).await? {
            if output == Output::Text {
                for line in consequences(&held, now) {
                    wrapped(&line, width()).iter().for_each(|part| remark(part));
                }
            }
            let what = format!("{} transactions are held", held.held);
            if !yes && !is_meant(Asks::Release, &what, "Release all of them?") {
                return Ok(Exit::Usage);
            }
        }
        let path = ["v1", "restored", "release"];
        let Answered { body, .. } = client.post(&path, NO_QUERY, body.clone()).await?;
        print(output, &body, |ReleasedView { released }| {
            vec![format!("{released} transactions were held; nothing is held any more")]
        });
        Ok(Exit::Well)
    })
}

/// What is held, counted, if anything is.
async fn held(client: &Client) -> Result<Option<RestoredView>, ClientError> {
    let Answered { status, body } = client.get(&["v1", "stats"], NO_QUERY).await?;
    Option::deserialize(&body["restored"]).map_err(|_| client.strange(status))
}

/// What becomes of them, in words.
fn consequences(held: &RestoredView, now: Wall) -> Vec<String> {
    let RestoredView { held_since, held, open, past_deadline, release_cancels, sample } = held;
    let mut lines = vec![format!(
        "Held since {held_since} ({} ago): {held} undecided transactions, {open} of them open; {past_deadline} are past \
         their deadline.",
        text::ago(now, *held_since)
    )];
    let asked_again = past_deadline - release_cancels.min(past_deadline);
    if asked_again > 0 {
        lines.push(format!(
            "{asked_again} of those past their deadline are asked once more first, and cancelled if that does not \
             complete them."
        ));
    }
    if *release_cancels > 0 {
        let named: Vec<&str> = sample.iter().map(|gid| gid.as_str()).collect();
        let more = usize::try_from(*release_cancels).map_or(true, |all| all > named.len());
        let more = if more { ", …" } else { "" };
        lines.push(format!(
            "{release_cancels} of those past their deadline are open and will be CANCELLED at once, though their \
             initiators may have confirmed them since the backup: {}{more}",
            named.join(", ")
        ));
        lines.push(
            "Decide these by name first, as their participants' books say: tercet tx confirm GID --despite-hold"
                .to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_many_a_release_cancels_and_names_some() {
        let held = RestoredView {
            held_since: Wall(1_763_640_000_000),
            held: 12,
            open: 9,
            past_deadline: 8,
            release_cancels: 6,
            sample: (1..=5).map(|number| format!("o{number}").parse().expect("a gid")).collect(),
        };
        let now = Wall(1_763_640_060_000);
        assert_eq!(
            consequences(&held, now),
            [
                "Held since 2025-11-20T12:00:00.000Z (1 min 0 s ago): 12 undecided transactions, 9 of them open; 8 are past \
                 their deadline.",
                "2 of those past their deadline are asked once more first, and cancelled if that does not complete them.",
                "6 of those past their deadline are open and will be CANCELLED at once, though their initiators may have \
                 confirmed them since the backup: o1, o2, o3, o4, o5, …",
                "Decide these by name first, as their participants' books say: tercet tx confirm GID --despite-hold",
            ]
        );
        let none =
            RestoredView { past_deadline: 0, release_cancels: 0, sample: Vec::new(), ..held };
        assert_eq!(consequences(&none, now).len(), 1);
    }
}
