//! Where rounds are run: the sink, and one daemon for each journal, side by side. Only one of
//! them has work at a time; the others cost nothing that can be measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::case::Case;
use super::figures::{Figures, JournalCounts, ToTheEnd, Used};
use crate::clock;
use crate::load::{Counted, Edge, Load, Pace, Script, Until};
use crate::rig::{Daemon, Journal, RigError, Scrape, SinkProcess};

/// How long what was accepted may take to end, and how often it is looked for: seldom enough to
/// cost nothing beside it.
const LOOKS: u32 = 1_500;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

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
        let at_rest = self.used(daemon, others)?;
        let mut used = Vec::with_capacity(2);
        let counted = load.run(&mut |edge| {
            let (Edge::Begin | Edge::End) = edge;
            used.push(self.used(daemon, others));
        })?;
        let answered = clock::now();
        if case.shape.ends_later() {
            self.wait_for_ends(case, &counted, &before, &scrape)?;
        }
        let to_the_end = ToTheEnd {
            used: self.used(daemon, others)?.since(at_rest),
            later: clock::now().saturating_duration_since(answered),
        };
        let journal = journal_counts(&before, &scrape()?);
        let used: Vec<Used> = used.into_iter().collect::<Result<_, _>>()?;
        let used = match used.as_slice() {
            [begin, end] => end.since(*begin),
            _ => Used::default(),
        };
        self.complain(case, &counted);
        let figures = Figures::new(&counted, used, journal);
        Ok(if case.shape.ends_later() { figures.until_the_end(to_the_end) } else { figures })
    }

    /// Waits until all that was begun has ended, so that it is counted whole and nothing of it
    /// disturbs the next round. What does not end is wrong as an answer is.
    fn wait_for_ends(
        &mut self,
        case: &Case,
        counted: &Counted,
        before: &[Scrape],
        scrape: &dyn Fn() -> Result<Vec<Scrape>, RigError>,
    ) -> Result<(), RigError> {
        #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
        let begun = counted.ended.saturating_sub(counted.wrong) as f64;
        let mut ended = 0.0;
        for _ in 0..LOOKS {
            ended = grown(before, &scrape()?, "tercet_transactions_total");
            if ended >= begun {
                return Ok(());
            }
            sleep(BETWEEN_LOOKS);
        }
        self.wrong_line(format!("{}: {ended} of {begun} have ended", case.name));
        Ok(())
    }

    /// Where the sink answers.
    pub(crate) fn sink_address(&self) -> SocketAddr {
        self.sink.address
    }

    /// The answers that were not right.
    pub(crate) fn wrong(&self) -> &[String] {
        &self.wrong
    }

    fn used(&self, daemon: &Daemon, others: &[Daemon]) -> Result<Used, RigError> {
        let (mut nodes, mut written) = (daemon.process.cpu()?, daemon.process.written()?);
        for other in others {
            nodes += other.process.cpu()?;
            written += other.process.written()?;
        }
        let (sink, database) = (self.sink.process.cpu()?, daemon.server.cpu()?);
        Ok(Used { daemon: nodes, sink, database, written })
    }

    fn complain(&mut self, case: &Case, counted: &Counted) {
        if let Some(first) = &counted.first_wrong {
            self.wrong_line(format!(
                "{}: {} wrong answers; first: {first}",
                case.name, counted.wrong
            ));
        }
    }

    fn wrong_line(&mut self, line: String) {
        eprintln!("{line}");
        self.wrong.push(line);
    }
}

/// By how much a metric of all nodes together has grown.
fn grown(before: &[Scrape], after: &[Scrape], name: &str) -> f64 {
    after.iter().zip(before).map(|(after, before)| after.since(before, name)).sum()
}

fn journal_counts(before: &[Scrape], after: &[Scrape]) -> JournalCounts {
    let grown = |name| grown(before, after, name);
    JournalCounts {
        statements: grown("tercet_journal_statements_total"),
        commits: grown("tercet_journal_commits_total"),
        batches: grown("tercet_journal_batch_records_count"),
        records: grown("tercet_journal_batch_records_sum"),
    }
}
