//! `tercet saga`: definitions of sagas, and runs of them.

use std::fmt::Display;
use std::io::{self, Read as _};
use std::{fs, path::Path};

use clap::{Args, Subcommand};
use serde_json::Value;
use serde_json::value::RawValue;
use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::{ListedSagaView, Page, RunRequest, SagaView, Wall};

use crate::cli::exit::Exit;
use crate::cli::terminal::width;
use crate::cli::tx::arguments::{Output, Where};
use crate::cli::tx::asking::{Asks, is_meant};
use crate::cli::tx::client::{Answered, Client, ClientError};
use crate::cli::tx::{Desk, on_runtime, refused, saga_text, text};

/// `tercet saga`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Saga {
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
    /// Put a definition: a new version, unless the newest has the same content
    Put {
        /// What it is called
        name: String,
        /// A file with the definition as JSON; - reads standard input
        file: String,
    },
    /// List the definitions, by name
    List {
        /// At most this many: 1 to 500
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Go on after an earlier page
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<String>,
    },
    /// Show a definition, its newest version or another one
    Show {
        /// Which definition
        name: String,
        /// Which version
        #[arg(long, value_name = "N")]
        version: Option<u32>,
    },
    /// Run one, and wait for what becomes of it
    Run(Run),
    /// Let no further runs of a definition begin; what has begun goes on
    Retire {
        /// Which definition
        name: String,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// Which definition
    name: String,
    /// What the run is about: a file, - for standard input, or the JSON itself
    #[arg(long, value_name = "FILE|-|JSON")]
    input: Option<String>,
    /// Makes it safe to repeat
    #[arg(long, value_name = "GID")]
    gid: Option<String>,
    /// Data of your own, a JSON object
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// Which version; the newest unless one is named
    #[arg(long, value_name = "N")]
    version: Option<u64>,
}

/// Why nobody was asked.
type Unasked = String;

pub(in crate::cli) fn saga(flags: Saga) -> Exit {
    let Saga { what, at, output, yes } = flags;
    let request = match Request::of(what, yes) {
        Ok(Some(request)) => request,
        Ok(None) => return Exit::Usage,
        Err(why) => return Exit::usage(why),
    };
    let now = SystemClock::start().now().wall;
    let done = on_runtime(&at, async |client| {
        let desk = Desk { client, output, now, yes };
        request.made(&desk).await
    });
    match done {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => refused(&error, output),
        Err(exit) => exit,
    }
}

/// What is asked for, with all that it takes read.
enum Request {
    Put { name: String, definition: Box<RawValue> },
    List { query: Vec<(&'static str, String)> },
    Show { name: String, version: Option<u32> },
    Run { name: String, run: Box<RunRequest> },
    Retire { name: String },
}

impl Request {
    /// None where it is not meant; that was said.
    fn of(what: What, yes: bool) -> Result<Option<Self>, Unasked> {
        Ok(Some(match what {
            What::Put { name, file } => {
                let text = text_of(&file)?;
                let definition = raw(&text).map_err(|error| format!("{file}: {error}"))?;
                Self::Put { name, definition }
            }
            What::List { limit, cursor } => {
                let limit = limit.map(|limit| ("limit", limit.to_string()));
                let cursor = cursor.map(|cursor| ("cursor", cursor));
                Self::List { query: limit.into_iter().chain(cursor).collect() }
            }
            What::Show { name, version } => Self::Show { name, version },
            What::Run(run) => Self::run(run)?,
            What::Retire { name } => {
                let what = format!("no further runs of {name} will begin");
                if !yes && !is_meant(Asks::Retire, &what, "Retire it?") {
                    return Ok(None);
                }
                Self::Retire { name }
            }
        }))
    }

    fn run(run: Run) -> Result<Self, Unasked> {
        let Run { name, input, gid, metadata, version } = run;
        let input = input.map(|given| input_of(&given)).transpose()?;
        let metadata = metadata.map(|given| serde_json::from_str(&given)).transpose();
        let metadata =
            metadata.map_err(|error| format!("--metadata: must be a JSON object: {error}"))?;
        let run = Box::new(RunRequest { gid, input, metadata, version });
        Ok(Self::Run { name, run })
    }

    async fn made(&self, desk: &Desk) -> Result<Exit, ClientError> {
        let client: &Client = &desk.client;
        match self {
            Self::Put { name, definition } => {
                let text = definition.get().to_owned();
                let Answered { status, body } = client.put(&["v1", "sagas", name], text).await?;
                desk.print(&body, |view: &SagaView| saga_text::put(view, status == 201));
            }
            Self::List { query } => {
                let Answered { body, .. } = client.get(&["v1", "sagas"], query).await?;
                desk.print(&body, |page: &Page<ListedSagaView>| {
                    saga_text::list(&page.items, page.next_cursor.as_deref())
                });
            }
            Self::Show { name, version } => {
                let query = version.map(|version| ("version", version.to_string()));
                let query: Vec<_> = query.into_iter().collect();
                let Answered { body, .. } = client.get(&["v1", "sagas", name], &query).await?;
                desk.print(&body, saga_text::show);
            }
            Self::Run { name, run } => return ran(desk, name, run).await,
            Self::Retire { name } => {
                let Answered { body, .. } = client.delete(&["v1", "sagas", name]).await?;
                match desk.output {
                    Output::Text => crate::cli::exit::say(format_args!("{name} is retired")),
                    Output::Json | Output::Jsonl => crate::cli::exit::say_json(&body),
                }
            }
        }
        Ok(Exit::Well)
    }
}

async fn ran(desk: &Desk, name: &str, run: &RunRequest) -> Result<Exit, ClientError> {
    // Texts and JSON: there is nothing in it that JSON could not say; the input goes to the byte.
    let text = serde_json::to_string(run).unwrap_or_default();
    let path = ["v1", "sagas", name, "runs"];
    let Answered { status, body } = desk.client.post_text(&path, text).await?;
    let now: Wall = desk.now;
    desk.print(&body, |view| text::transaction(view, now, width()));
    if status == 202 {
        desk.remark("not finished yet: it goes on by itself");
    }
    Ok(Exit::Well)
}

/// The JSON that is given, or that of a file.
fn input_of(given: &str) -> Result<Box<RawValue>, Unasked> {
    if let Ok(input) = raw(given) {
        return Ok(input);
    }
    // What was meant as JSON and is none is no name of a file either.
    if given.trim_start().starts_with(['{', '[', '"']) {
        let error = serde_json::from_str::<Value>(given).err();
        let why = error.map(|error| error.to_string()).unwrap_or_default();
        return Err(format!("--input: is no JSON: {why}"));
    }
    raw(&text_of(given)?).map_err(|error| format!("--input: {given}: {error}"))
}

fn raw(text: &str) -> Result<Box<RawValue>, serde_json::Error> {
    serde_json::from_str(text.trim_start_matches('\u{feff}'))
}

fn text_of(file: &str) -> Result<String, Unasked> {
    let cannot = |error: &dyn Display| format!("cannot read {file}: {error}");
    if file == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(|error| cannot(&error))?;
        return Ok(text);
    }
    fs::read_to_string(Path::new(file)).map_err(|error| cannot(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_json_or_a_file_that_has_some() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "\u{feff} {\"seats\": 2.50}\n").expect("it can be written");
        let path = file.path().to_str().expect("UTF-8");
        for (given, expected) in [
            (r#"{"a": 1.0}"#, Ok(r#"{"a": 1.0}"#)),
            ("7", Ok("7")),
            (path, Ok(r#"{"seats": 2.50}"#)),
            ("{a}", Err("--input: is no JSON")),
            ("/no/such/file", Err("cannot read /no/such/file")),
        ] {
            match (input_of(given), expected) {
                (Ok(input), Ok(expected)) => assert_eq!(input.get(), expected),
                (Err(why), Err(expected)) => assert!(why.starts_with(expected), "{why}"),
                (found, _) => panic!("{given}: {found:?}"),
            }
        }
    }
}
