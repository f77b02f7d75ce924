//! What can be asked for, and the words that explain it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use tercet_journal::StoreKind;

use crate::access::Role;
use crate::cli::backup::{Backup, Restore};
use crate::cli::doctor::Doctor;
use crate::cli::terminal::COLUMNS;
use crate::cli::tx::{Audit, Jobs, Participants, Reconcile, RestoredCommand, Saga, Stats, Tx};
use crate::config::{ConfigError, Flags, Layers};

/// Tercet coordinates Try-Confirm-Cancel transactions across services.
///
/// It calls every participant's Try, takes one decision, and calls Confirm or Cancel until
/// everyone has acknowledged: through crashes, restarts, timeouts and lost messages.
#[derive(Debug, Parser)]
#[command(name = "tercet", version, after_help = "Begin with: tercet dev", max_term_width = COLUMNS)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Do not ask whether it is meant
    #[arg(long, global = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the coordinator; brings its database up to date first
    Serve(ServeFlags),
    /// Run it on a database that goes away when it stops, and print three curl lines to try
    Dev(DevFlags),
    /// Look at the settings and at the daemon that runs, and say what is wrong
    ///
    /// A line each: ok; warn, where it works and should be otherwise; fail, for what would lose data or keep it from starting
    /// or answering. Exit code 1 if anything fails. It takes no lock, and asks the daemon where these settings have it
    /// listen, or at --url, with the token of tercet tx.
    Doctor(Doctor),
    /// Copy the SQLite database into a file, also while a daemon uses it
    ///
    /// The copy is of one moment, read through, and on the disk when this ends. A database on a server is
    /// copied by its own tool, which is named.
    Backup(Backup),
    /// Put a backup in the place of the SQLite database, while no daemon uses it
    ///
    /// The database of before stays beside it under another name. Start with serve --restored then.
    Restore(Restore),
    /// Let what is held since the database was restored go on
    ///
    /// Token and exit codes are as of tercet tx.
    Restored(RestoredCommand),
    /// Print a script that completes this program's commands in a shell
    ///
    /// Such as tercet completions bash > /etc/bash_completion.d/tercet
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: Shell,
    },
    /// Bring the database's schema up to date, or say how far it is
    Migrate {
        #[command(subcommand)]
        what: Migrate,
        #[command(flatten)]
        flags: DatabaseFlags,
    },
    /// Show or check the settings that hold
    Config {
        #[command(subcommand)]
        what: Config,
        #[command(flatten)]
        flags: DatabaseFlags,
    },
    /// Make tokens by which callers are known
    Token {
        #[command(subcommand)]
        what: Token,
    },
    /// Look after transactions of a coordinator that runs
    ///
    /// TERCET_TOKEN is sent as bearer token, or the one of --token-file. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not
    /// found, 4 conflict, 5 not allowed, 6 nobody answers.
    Tx(Tx),
    /// Show what there is, counted
    ///
    /// Token and exit codes are as of tercet tx.
    Stats(Stats),
    /// Look after definitions of sagas, and run them
    ///
    /// Token and exit codes are as of tercet tx.
    Saga(Saga),
    /// Show the participants, or have one called no more, or again
    ///
    /// Token and exit codes are as of tercet tx.
    Participants(Participants),
    /// Look after jobs: what is done to many transactions, one after the other
    ///
    /// They are begun with tercet tx bulk. Token and exit codes are as of tercet tx.
    Jobs(Jobs),
    /// List what operators did, newest first
    ///
    /// All of it as JSON lines: tercet audit -o jsonl > audit.jsonl. Token and exit codes are as of tercet tx.
    Audit(Audit),
    /// Compare a participant's books with the coordinator's, and print what differs
    ///
    /// Reads {ENDPOINT}/branches, as the SDK's router serves it, and each of its transactions. Found are: reserved (here,
    /// and finished there), unknown (there), opposite, undecided (there, and ended here); and what only waits, which is no
    /// difference. Exit code 1 if anything differs, else as of tercet tx. TERCET_SIGNING_SECRET signs what is asked of the
    /// participant.
    Reconcile(Reconcile),
}

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Migrate {
    /// Apply the steps that are missing; safe to repeat
    Up,
    /// List the steps and which are applied
    Status,
    /// Copy everything into an empty database, while nobody uses either, and compare the two
    ///
    /// Such as --from sqlite://tercet.db --to postgres://tercet:PASSWORD@db:5432/tercet. Both are read again
    /// afterwards and compared by count and checksum; the first is left as it is.
    Copy {
        /// The database to copy
        #[arg(long, value_name = "URL")]
        from: String,
        /// An empty database
        #[arg(long, value_name = "URL")]
        to: String,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum Config {
    /// Print every setting and where it came from; passwords are masked
    Show,
    /// Say whether the settings can be used
    Check,
}

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Print a fresh token once, and what is to stand in the settings for it
    ///
    /// The token goes to whoever is to have it; the table, which says nothing of it, into the settings
    /// or the file of auth.tokens_file.
    New {
        /// What histories are to call whoever has it
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What they may do: viewer, client or operator
        #[arg(long, value_name = "ROLE")]
        role: Role,
    },
}

/// Settings come from built-in defaults, then the file, then environment variables such as
/// `TERCET_SERVER__LISTEN`, then flags.
#[derive(Debug, Default, Args)]
pub(super) struct ServeFlags {
    /// A settings file (TOML); needs only what differs from the defaults
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Address and port to listen on, such as 127.0.0.1:7200; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<String>,
    /// Where the journal is, such as sqlite://tercet.db
    #[arg(long, value_name = "URL")]
    pub(super) database_url: Option<String>,
    /// How log lines look: text or json
    #[arg(long, value_name = "FORMAT")]
    pub(super) log_format: Option<String>,
    /// The database was restored from a backup: go on with what is decided in it, and hold what is not until tercet restored release
    #[arg(long, conflicts_with = "memory_journal_for_benchmarks")]
    pub(super) restored: bool,
    /// NOT DURABLE: keep transactions in memory alone, to measure what the journal costs; all
    /// of them are lost when the process ends
    #[arg(long)]
    pub(super) memory_journal_for_benchmarks: bool,
}

#[derive(Debug, Args)]
pub(super) struct DevFlags {
    /// A settings file (TOML); needs only what differs from the defaults
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Loopback address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<String>,
    /// How log lines look: text or json
    #[arg(long, value_name = "FORMAT")]
    pub(super) log_format: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct DatabaseFlags {
    /// A settings file (TOML); needs only what differs from the defaults
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Where the journal is, such as sqlite://tercet.db
    #[arg(long, value_name = "URL", global = true)]
    pub(super) database_url: Option<String>,
}

impl ServeFlags {
    /// Where the journal is to keep its rows.
    pub(super) fn store(&self) -> StoreKind {
        if self.memory_journal_for_benchmarks {
            StoreKind::InMemoryForBenchmarks
        } else {
            StoreKind::InDatabase
        }
    }

    /// The settings that hold. `extra` goes over everything else.
    pub(super) fn gather(&self, extra: Flags) -> Result<Layers, ConfigError> {
        let given = [
            ("--listen", "server.listen", &self.listen),
            ("--database-url", "database.url", &self.database_url),
            ("--log-format", "log.format", &self.log_format),
        ];
        let given = given.into_iter();
        let given = given.filter_map(|(flag, key, value)| Some((flag, key, value.clone()?)));
        let flags: Flags = given.chain(extra).collect();
        // What is not UTF-8 cannot be a setting of ours; its name may still be, and is told.
        let environment = std::env::vars_os().map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        });
        Layers::gather(self.config.as_deref(), environment, &flags)
    }
}

impl From<&DevFlags> for ServeFlags {
    fn from(flags: &DevFlags) -> Self {
        let DevFlags { config, listen, log_format } = flags;
        Self {
            config: config.clone(),
            listen: listen.clone(),
            log_format: log_format.clone(),
            ..Self::default()
        }
    }
}

impl From<&DatabaseFlags> for ServeFlags {
    fn from(flags: &DatabaseFlags) -> Self {
        let DatabaseFlags { config, database_url } = flags;
        Self { config: config.clone(), database_url: database_url.clone(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::tx::Asks;

    #[test]
    fn the_command_line_is_put_together_right() {
        Arguments::command().debug_assert();
    }

    /// Every command, with the words that lead to it.
    fn walk(
        command: &mut clap::Command,
        path: &str,
        see: &mut impl FnMut(&str, &mut clap::Command),
    ) {
        see(path, command);
        for sub in command.get_subcommands_mut() {
            let path = format!("{path} {}", sub.get_name());
            walk(sub, path.trim_start(), see);
        }
    }

    #[test]
    fn help_of_every_command_fits_eighty_columns() {
        let mut commands = Arguments::command();
        commands.build();
        walk(&mut commands, "", &mut |path, command| {
            for help in [command.render_help(), command.render_long_help()] {
                let help = help.to_string();
                let long = help.lines().filter(|line| line.chars().count() > COLUMNS);
                assert_eq!(long.collect::<Vec<_>>(), Vec::<&str>::new(), "tercet {path} --help");
            }
        });
    }

    /// The code in the sentence of docs/operating.md that ends so.
    fn listed(end: &str) -> BTreeSet<String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
        let text = std::fs::read_to_string(path).expect("a document");
        let (before, _) = text.split_once(end).expect(end);
        let start = before.rfind(". ").max(before.rfind("\n\n")).unwrap_or(0);
        before[start..].split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_commands_that_take_a_url_are_those_of_the_document() {
        let mut commands = Arguments::command();
        commands.build();
        let mut taking = BTreeSet::new();
        walk(&mut commands, "", &mut |path, command| {
            let takes = command.get_arguments().any(|argument| argument.get_id() == "url");
            if takes && !path.contains(' ') {
                taking.insert(path.to_owned());
            }
        });
        assert_eq!(listed(" ask the coordinator at `--url`"), taking);
    }

    #[test]
    fn the_commands_that_ask_are_those_of_the_document() {
        let mut commands = Arguments::command();
        commands.build();
        let mut known = BTreeSet::new();
        walk(&mut commands, "", &mut |path, _| {
            known.insert(path.to_owned());
        });
        let asking: BTreeSet<String> =
            Asks::ALL.iter().map(|asks| asks.command().to_owned()).collect();
        assert_eq!(listed(" ask whether it is meant"), asking);
        for command in asking {
            assert!(known.contains(command.trim_end_matches(" --all")), "{command}");
        }
    }

    #[test]
    fn flags_may_stand_before_and_behind_what_is_done_with_the_database() {
        for line in ["tercet migrate --database-url u up", "tercet migrate up --database-url u"] {
            let arguments = Arguments::try_parse_from(line.split(' ')).expect(line);
            let Command::Migrate { what: Migrate::Up, flags } = arguments.command else {
                panic!("{line}");
            };
            assert_eq!(flags.database_url.as_deref(), Some("u"), "{line}");
        }
    }

    #[test]
    fn a_filter_is_never_passed_over_in_silence() {
        for (line, is_right) in [
            ("tercet tx retry order-1", true),
            ("tercet tx retry --all", true),
            ("tercet tx retry --all --parked --participant pay:80", true),
            ("tercet tx list --status trying --created-after 2026-11-20T12:00:00Z", true),
            ("tercet tx retry", false),
            ("tercet tx retry --parked", false),
            ("tercet tx retry order-1 --all", false),
            ("tercet tx retry order-1 --parked", false),
            ("tercet tx retry order-1 --participant pay:80", false),
            ("tercet tx retry order-1 --status trying", false),
            ("tercet tx retry order-1 --created-after 2026-11-20T12:00:00Z", false),
            ("tercet tx retry order-1 --created-before 2026-11-20T12:00:00Z", false),
        ] {
            let parsed = Arguments::try_parse_from(line.split(' '));
            assert_eq!(parsed.is_ok(), is_right, "{line}");
        }
    }
}
