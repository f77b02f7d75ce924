//! What an operator can ask for.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};
use tercet_wire::Op;
use url::Url;

use crate::cli::tx::bulk::Bulk;

/// `tercet tx`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Tx {
    #[command(subcommand)]
    pub(super) what: What,
    #[command(flatten)]
    pub(super) at: Where,
    /// How the answer looks; json is the coordinator's own, jsonl a line for each thing in it
    #[arg(short, long, value_name = "FORMAT", default_value = "text", global = true)]
    pub(super) output: Output,
    /// Do not ask whether it is meant
    #[arg(long, global = true)]
    pub(super) yes: bool,
}

/// Which coordinator is asked, and by whom.
#[derive(Debug, Args)]
pub(in crate::cli) struct Where {
    /// Where the coordinator listens; without it http://127.0.0.1:7200, and of doctor where its settings have it
    /// listen
    #[arg(long, value_name = "URL", env = "TERCET_URL", global = true)]
    pub(in crate::cli) url: Option<Url>,
    /// A file that has a token and nothing else; without it TERCET_TOKEN is sent
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) token_file: Option<PathBuf>,
    /// A file with certificates (PEM) of authorities that are trusted beside those of the system
    #[arg(long, value_name = "FILE", env = "TERCET_CA", global = true)]
    pub(super) ca: Option<PathBuf>,
    /// A file with the certificate that is shown where one is asked for
    #[arg(long, value_name = "FILE", requires = "key", global = true)]
    pub(super) cert: Option<PathBuf>,
    /// A file with its key, which nobody else may read
    #[arg(long, value_name = "FILE", requires = "cert", global = true)]
    pub(super) key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Output {
    Text,
    Json,
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(super) enum What {
    /// List transactions, newest first unless --order says otherwise
    List(List),
    /// Show one with its branches and its history
    Show {
        /// Which transaction
        gid: String,
        /// Show what each branch is sent, too; takes the role operator
        #[arg(long)]
        payload: bool,
        /// Show it again and again, until it is finished
        #[arg(long, conflicts_with = "payload")]
        watch: bool,
    },
    /// Write all that a filter finds as JSON lines, each with its branches and its history
    ///
    /// Oldest first, so that what comes meanwhile is at the end. Where it ends early it says how to go on.
    Export(Export),
    /// Call now what is waiting: of one transaction, or of all that a filter finds
    Retry(Retry),
    /// Ask for confirm, of an open transaction
    Confirm {
        /// Which transaction
        gid: String,
        /// Although it is held since the database was restored; takes the role operator
        #[arg(long)]
        despite_hold: bool,
    },
    /// Ask for cancel, of a transaction that is not decided
    Cancel {
        /// Which transaction
        gid: String,
        /// Why, for the history
        #[arg(long, value_name = "TEXT", conflicts_with = "despite_hold")]
        reason: Option<String>,
        /// Although it is held since the database was restored; takes the role operator
        #[arg(long)]
        despite_hold: bool,
    },
    /// End by hand a branch that will never acknowledge the decision by itself
    Resolve(Resolve),
    /// Retry, cancel or resolve all that a filter finds, and show how far it is
    Bulk(Bulk),
    /// Have an unfinished branch called elsewhere, or with other headers
    Readdress(Readdress),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    pub(super) filter: Filter,
    /// Which come first: newest or oldest
    #[arg(long, value_name = "ORDER")]
    pub(super) order: Option<String>,
    /// At most this many: 1 to 500
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<u32>,
    /// Go on after an earlier page
    #[arg(long, value_name = "CURSOR")]
    pub(super) cursor: Option<String>,
    /// Show it again and again, until it is interrupted
    #[arg(long)]
    pub(super) watch: bool,
}

impl List {
    /// As the query's parameters.
    pub(super) fn query(&self) -> Vec<(Cow<'static, str>, String)> {
        let mut query = self.filter.parameters();
        query.extend(self.order.clone().map(|order| ("order".into(), order)));
        query.extend(self.limit.map(|limit| ("limit".into(), limit.to_string())));
        query.extend(self.cursor.clone().map(|cursor| ("cursor".into(), cursor)));
        query
    }
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    pub(super) filter: Filter,
    /// Write to this file instead of standard output; it must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(super) to: Option<PathBuf>,
    /// Write to the end of a file that is there
    #[arg(long, requires = "to")]
    pub(super) append: bool,
    /// With what each branch is sent; takes the role operator
    #[arg(long)]
    pub(super) payload: bool,
    /// Go on where an earlier export ended
    #[arg(long, value_name = "CURSOR")]
    pub(super) cursor: Option<String>,
}

#[derive(Debug, Default, Args)]
#[group(id = "filter", multiple = true)]
pub(super) struct Filter {
    /// Any of these, with commas between
    #[arg(long, value_name = "STATUS")]
    pub(super) status: Option<String>,
    /// Only those that need people
    #[arg(long)]
    pub(super) parked: bool,
    /// Only those with a branch of this host:port
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) participant: Option<String>,
    /// Only those of this shape: tcc or saga
    #[arg(long, value_name = "PATTERN")]
    pub(super) pattern: Option<String>,
    /// Only those that were begun open (true), or not (false)
    #[arg(long, value_name = "BOOL")]
    pub(super) open: Option<String>,
    /// Only those that were cancelled for any of these, with commas between
    #[arg(long, value_name = "REASON")]
    pub(super) reason: Option<String>,
    /// Only those whose gid begins so
    #[arg(long, value_name = "TEXT")]
    pub(super) gid_prefix: Option<String>,
    /// Only those whose metadata have this value; with --status, --parked or a time
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(super) metadata: Vec<(String, String)>,
    /// Begun at this RFC 3339 time or later
    #[arg(long, value_name = "TIME")]
    pub(super) created_after: Option<String>,
    /// Begun before this RFC 3339 time
    #[arg(long, value_name = "TIME")]
    pub(super) created_before: Option<String>,
}

impl Filter {
    /// Whether nothing is left out by it.
    pub(super) fn is_everything(&self) -> bool {
        self.metadata.is_empty()
            && self.parameters().iter().all(|(_, value)| value.trim().is_empty())
    }

    /// As the query's parameters.
    pub(super) fn parameters(&self) -> Vec<(Cow<'static, str>, String)> {
        let given = [
            ("status", self.status.clone()),
            ("parked", self.parked.then(|| "true".to_owned())),
            ("participant", self.participant.clone()),
            ("pattern", self.pattern.clone()),
            ("open", self.open.clone()),
            ("reason", self.reason.clone()),
            ("gid_prefix", self.gid_prefix.clone()),
            ("created_after", self.created_after.clone()),
            ("created_before", self.created_before.clone()),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name.into(), value?)));
        let says = |(key, value): &(String, String)| {
            (Cow::Owned(format!("metadata.{key}")), value.clone())
        };
        given.chain(self.metadata.iter().map(says)).collect()
    }
}

fn key_and_value(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE"),
    }
}

#[derive(Debug, Args)]
pub(super) struct Retry {
    /// Which transaction
    #[arg(required_unless_present = "all", conflicts_with_all = ["all", "filter"])]
    pub(super) gid: Option<String>,
    /// All unfinished ones that the filter finds; it asks, or takes --yes
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) filter: Filter,
}

#[derive(Debug, Args)]
pub(super) struct Resolve {
    /// Which transaction
    pub(super) gid: String,
    /// Which branch
    pub(super) branch: String,
    /// What it is to count as
    #[arg(long = "as", value_name = "confirmed|cancelled")]
    pub(super) as_: As,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Readdress {
    /// Which transaction
    pub(super) gid: String,
    /// Which branch
    pub(super) branch: String,
    /// Short for URL/try, URL/confirm and URL/cancel, of those legs that it has
    #[arg(long, value_name = "URL", conflicts_with_all = ["try_", "confirm", "cancel"])]
    pub(super) endpoint: Option<String>,
    /// URL of Try
    #[arg(long = "try", value_name = "URL")]
    pub(super) try_: Option<String>,
    /// URL of Confirm
    #[arg(long, value_name = "URL")]
    pub(super) confirm: Option<String>,
    /// URL of Cancel
    #[arg(long, value_name = "URL")]
    pub(super) cancel: Option<String>,
    /// A header of every call; those that are given replace all that it has
    #[arg(long, value_name = "NAME=VALUE", value_parser = key_and_value)]
    pub(super) header: Vec<(String, String)>,
    /// Take all its headers away
    #[arg(long, conflicts_with = "header")]
    pub(super) no_headers: bool,
    /// Why, for history and audit
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,
}

impl Readdress {
    /// As the body of the request.
    pub(super) fn body(&self) -> Value {
        let given = [
            ("endpoint", &self.endpoint),
            ("try", &self.try_),
            ("confirm", &self.confirm),
            ("cancel", &self.cancel),
            ("note", &self.note),
        ];
        let given = given.into_iter().filter_map(|(name, it)| Some((name, json!(it.as_ref()?))));
        let mut body: Map<String, Value> = given.map(|(name, it)| (name.to_owned(), it)).collect();
        if self.no_headers || !self.header.is_empty() {
            let headers = self.header.iter().map(|(name, value)| (name.clone(), json!(value)));
            body.insert("headers".to_owned(), Value::Object(headers.collect()));
        }
        Value::Object(body)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum As {
    Confirmed,
    Cancelled,
}

impl As {
    /// As the coordinator reads it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The decision that it is in line with.
    pub(super) fn op(self) -> Op {
        match self {
            Self::Confirmed => Op::Confirm,
            Self::Cancelled => Op::Cancel,
        }
    }
}
