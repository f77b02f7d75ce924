//! `tercet restored release`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tercet_wire::ReleasedView;

use crate::cli::exit::Exit;
use crate::cli::tx::arguments::{Output, Where};
use crate::cli::tx::client::{Answered, NO_QUERY};
use crate::cli::tx::{ask, print};

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
}

#[derive(Debug, Subcommand)]
enum What {
    /// Let what was undecided in the backup go on: it is called, decided and expires as any other
    Release {
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
}

pub(in crate::cli) fn restored(flags: RestoredCommand) -> Exit {
    let RestoredCommand { what: What::Release { note }, at, output } = flags;
    let body: Option<Value> = note.map(|note| json!({ "note": note }));
    ask(&at, output, async |client| {
        let path = ["v1", "restored", "release"];
        let Answered { body, .. } = client.post(&path, NO_QUERY, body.clone()).await?;
        print(output, &body, |ReleasedView { released }| {
            vec![format!("{released} transactions were held; nothing is held any more")]
        });
        Ok(Exit::Well)
    })
}
