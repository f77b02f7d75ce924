//! `tercet doctor`: looks at the settings it is given and at the daemon that runs, and says what is wrong.
//! It changes nothing, takes no lock, and keeps nobody from starting meanwhile.

mod daemon;
mod machine;
mod ports;
mod settings;

use clap::Args;
use serde_json::json;

use crate::cli::arguments::{DatabaseFlags, ServeFlags};
use crate::cli::exit::{Exit, say_json, show};
use crate::cli::line::{Line, Tone, wrapped};
use crate::cli::terminal::width;
use crate::cli::tx::{Output, Where, client_of};
use crate::config::Flags;
use crate::escape::for_people;

/// `tercet doctor`.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    flags: DatabaseFlags,
    #[command(flatten)]
    at: Where,
    /// How the answer looks
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Ok,
    /// It works, and should be otherwise.
    Warn,
    /// It would lose data, or keep the daemon from starting or answering; or the daemon that was named
    /// does not answer.
    Fail,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Warn => Tone::Warn,
            Self::Fail => Tone::Bad,
        }
    }
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
}

/// All that was found.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: &'static str, verdict: Verdict, found: impl Into<String>) {
        self.0.push(Finding { check, verdict, found: found.into() });
    }

    fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, Verdict::Ok, found);
    }

    fn warn(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, Verdict::Warn, found);
    }

    fn fail(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, Verdict::Fail, found);
    }

    fn worst(&self) -> Verdict {
        self.0.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok)
    }

    fn told(&self, output: Output) {
        let as_json = |finding: &Finding| {
            let Finding { check, verdict, found } = finding;
            json!({ "check": check, "verdict": verdict.as_str(), "found": found })
        };
        match output {
            Output::Json => say_json(&json!({
                "verdict": self.worst().as_str(),
                "items": self.0.iter().map(as_json).collect::<Vec<_>>(),
            })),
            Output::Jsonl => self.0.iter().for_each(|finding| say_json(&as_json(finding))),
            Output::Text => lines(&self.0, width()).iter().for_each(show),
        }
    }
}

pub(super) fn doctor(flags: &Doctor) -> Exit {
    let mut findings = Findings::default();
    let layers = ServeFlags::from(&flags.flags).gather(Flags::new());
    let settings = match layers.and_then(|layers| Ok((layers.settings()?, layers))) {
        Ok((settings, layers)) => {
            findings.ok(
                "settings",
                format!("they can be used; {} are not as built in", layers.changed()),
            );
            for (variable, meant) in layers.unheard() {
                let found = format!("environment {variable} sets nothing; {meant} does");
                findings.warn("settings", found);
            }
            Some(settings)
        }
        Err(error) => {
            findings.fail("settings", error.to_string());
            None
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failed(&error),
    };
    let of_settings = settings.as_ref().and_then(ports::url);
    let is_nowhere = settings.is_some() && of_settings.is_none();
    let at = &flags.at;
    let client = match client_of(at, at.url.clone().or(of_settings)) {
        Ok(client) => client,
        Err(why) => return Exit::usage(why),
    };
    runtime.block_on(async {
        if let Some(settings) = &settings {
            settings::look(settings, &mut findings);
            ports::look(settings, at, &mut findings).await;
            machine::look(settings, &mut findings).await;
        }
        match at.url.is_none() && is_nowhere {
            true => findings.warn(
                "daemon",
                "not looked at: server.listen leaves the port to the system, so say which: --url",
            ),
            false => daemon::look(&client, at.url.is_some(), &mut findings).await,
        }
    });
    findings.told(flags.output);
    match findings.worst() {
        Verdict::Ok | Verdict::Warn => Exit::Well,
        Verdict::Fail => Exit::Failed,
    }
}

/// A line for each; what is longer goes on below.
fn lines(findings: &[Finding], width: usize) -> Vec<Line> {
    let names = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for Finding { check, verdict, found } in findings {
        let parts = wrapped(&for_people(found), width.saturating_sub(names + 8));
        for (place, part) in parts.iter().enumerate() {
            let is_first = place == 0;
            let word = if is_first { verdict.as_str() } else { "" };
            let mut line = Line::toned(verdict.tone(), &format!("{word:<4}"));
            let check = if is_first { check } else { "" };
            line.push(Tone::Plain, &format!("  {check:names$}  {part}"));
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_have_a_line_each_and_the_worst_counts() {
        let mut findings = Findings::default();
        findings.ok("clock", "in step");
        findings.warn("disk", "little is left of it ".repeat(4).trim());
        assert_eq!(findings.worst(), Verdict::Warn);
        let shown: Vec<String> =
            lines(&findings.0, 50).iter().map(|line| line.shown(false)).collect();
        assert_eq!(
            shown,
            [
                "ok    clock  in step",
                "warn  disk   little is left of it little is left",
                "             of it little is left of it little is",
                "             left of it",
            ]
        );
        findings.fail("schema", "newer");
        assert_eq!(findings.worst(), Verdict::Fail);
    }
}
