//! Where rounds are run: the sink, and one daemon for each journal, side by side. Only one of
//! them has work at a time; the others cost nothing that can be measured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::case::Case;
use super::figures::{Figures, JournalCounts, Used};
use crate::load::{Counted, Edge, Load, Pace, Script, Until};
use crate::rig::{Daemon, Journal, RigError, Scrape, SinkProcess};

/// How long a round is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Nothing is measured for this time.
    pub(crate) warm_up: Duration,
    /// Then it is, until this.
    pub(crate) until: Until,
}

/// A daemon and the sink.
#[derive(Debug)]
pub(crate) struct Testbed {
    program: PathBuf,
    below: PathBuf,
    sink: SinkProcess,
    /// Answers that were not right, over all rounds, and the first of each round.
    wrong: Vec<String>,
}

impl Testbed {
    /// Starts the sink; daemons are `program`, and keep their files below `below`.
    ///
    /// # Errors
    /// The sink does not start.
    pub(crate) fn new(program: &Path, below: &Path) -> Result<Self, RigError> {
        // The daemon is started in a directory of its own, so its path must lead there too.
        let absolute = std::path::absolute(program)?;
        let sink = SinkProcess::start()?;
        Ok(Self { program: absolute, below: below.to_owned(), sink, wrong: Vec::new() })
    }

    /// Starts a daemon.
    ///
    /// # Errors
    /// It does not become ready.
    pub(crate) fn daemon(
        &self,
        journal: Journal,
        settings: &[(&str, &str)],
    ) -> Result<Daemon, RigError> {
        Daemon::start(&self.program, journal, &self.below, settings)
    }

    /// Starts one that speaks TLS and asks for a token, on a file.
    ///
    /// # Errors
    /// It does not become ready.
    pub(crate) fn daemon_by_tls(&self) -> Result<Daemon, RigError> {
        Daemon::start_by_tls(&self.program, &self.below)
    }

    /// One round of a case.
    ///
    /// # Errors
    /// A program ended or does not answer.
    pub(crate) fn round(
        &mut self,
        daemon: &Daemon,
        case: &Case,
        pace: Pace,
        timing: Timing,
    ) -> Result<Figures, RigError> {
        self.round_on(daemon, &[], case, pace, timing)
    }

    /// One round of a case on several nodes of one database: each request of a transaction at the
    /// node after the one before.
    ///
    /// # Errors
    /// A program ended or does not answer.
    pub(crate) fn round_on(
        &mut self,
        daemon: &Daemon,
        others: &[Daemon],
        case: &Case,
        pace: Pace,
        timing: Timing,
    ) -> Result<Figures, RigError> {
        let script = Script::new(case.shape, daemon.address, self.sink.address);
        let script = match &daemon.token {
            Some(token) => script.with_token(token),
            None => script,
        };
        let nodes = || std::iter::once(daemon).chain(others);
        let addresses: Vec<_> = nodes().map(|node| node.address).collect();
        let load = Load {
            addresses: &addresses,
            tls: daemon.tls.clone(),
            script: &script,
            connections: case.connections,
            pace,
            warm_up: timing.warm_up,
            until: timing.until,
        };
        let scrape = || nodes().map(Daemon::scrape).collect::<Result<Vec<_>, _>>();
        let before = scrape()?;
        let mut used = Vec::with_capacity(2);
        let counted = load.run(&mut |edge| {
            let (Edge::Begin | Edge::End) = edge;
            used.push(self.used(daemon, others));
        })?;
        let journal = journal_counts(&before, &scrape()?);
        let used: Vec<Used> = used.into_iter().collect::<Result<_, _>>()?;
        let used = match used.as_slice() {
            [begin, end] => Used {
                daemon: end.daemon.saturating_sub(begin.daemon),
                sink: end.sink.saturating_sub(begin.sink),
                database: end.database.saturating_sub(begin.database),
            },
            _ => Used::default(),
        };
        self.complain(case, &counted);
        Ok(Figures::new(&counted, used, journal))
    }

    /// The answers that were not right.
    pub(crate) fn wrong(&self) -> &[String] {
        &self.wrong
    }

    fn used(&self, daemon: &Daemon, others: &[Daemon]) -> Result<Used, RigError> {
        let mut nodes = daemon.process.cpu()?;
        for other in others {
            nodes += other.process.cpu()?;
        }
        Ok(Used { daemon: nodes, sink: self.sink.process.cpu()?, database: daemon.server.cpu()? })
    }

    fn complain(&mut self, case: &Case, counted: &Counted) {
        if let Some(first) = &counted.first_wrong {
            let line = format!("{}: {} wrong answers; first: {first}", case.name, counted.wrong);
            eprintln!("{line}");
            self.wrong.push(line);
        }
    }
}

fn journal_counts(before: &[Scrape], after: &[Scrape]) -> JournalCounts {
    let grown =
        |name| after.iter().zip(before).map(|(after, before)| after.since(before, name)).sum();
    JournalCounts {
        statements: grown("tercet_journal_statements_total"),
        commits: grown("tercet_journal_commits_total"),
        batches: grown("tercet_journal_batch_records_count"),
        records: grown("tercet_journal_batch_records_sum"),
    }
}
