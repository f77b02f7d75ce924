//! How the daemon stands that runs.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::{Wall, metric};

use super::{Findings, Verdict};
use crate::cli::exit::with_causes;
use crate::cli::tx::{Client, ClientError, Kind, NO_QUERY, Where, client_of, lasting};

/// Two clocks may part by so much.
const APART: Duration = Duration::from_secs(2);
/// And by so much before what has ended for one has not begun for the other.
const FAR_APART: Duration = Duration::from_secs(60);
/// What is past its retention may stay for so long before people are told.
const LAG: Duration = Duration::from_secs(3_600);

const DAEMON: &str = "daemon";

pub(super) struct Daemon {
    /// Whether one answers.
    pub(super) answers: bool,
    pub(super) findings: Findings,
}

pub(super) async fn look(at: &Where) -> Daemon {
    let mut findings = Findings::default();
    let client = match client_of(at) {
        Ok(client) => client,
        Err(why) => {
            findings.fail(DAEMON, why);
            return Daemon { answers: false, findings };
        }
    };
    let answers = readiness(&client, &mut findings).await;
    if answers {
        stats(&client, &mut findings).await;
        retention(&client, &mut findings).await;
    }
    Daemon { answers, findings }
}

/// Whether it answers at all.
async fn readiness(client: &Client, findings: &mut Findings) -> bool {
    let (status, text, date) = match client.get_raw(&["readyz"]).await {
        Ok(answered) => answered,
        Err(error) => {
            let found = format!("{}: only the settings were looked at", with_causes(&error));
            findings.warn(DAEMON, found);
            return false;
        }
    };
    match status {
        200 if text.starts_with("ready;") => findings.warn(DAEMON, text.trim()),
        200 => findings.ok(DAEMON, "it is ready"),
        _ => {
            let problem: Value = serde_json::from_str(&text).unwrap_or_default();
            let why = problem["detail"].as_str().unwrap_or("it is not ready");
            findings.fail(DAEMON, format!("{status}: {why}"));
        }
    }
    if let Some(theirs) = date.as_deref().and_then(moment) {
        clock(theirs, findings);
    }
    true
}

/// A date as HTTP has it. Source: RFC 9110, 5.6.7.
fn moment(date: &str) -> Option<Wall> {
    let since = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Wall(i64::try_from(since.as_millis()).ok()?))
}

/// Its clock beside this machine's; the date in an answer has whole seconds.
fn clock(theirs: Wall, findings: &mut Findings) {
    let ours = SystemClock::start().now().wall;
    let apart = ours.since(theirs).max(theirs.since(ours));
    let verdict = match apart {
        apart if apart > FAR_APART => Verdict::Fail,
        apart if apart > APART => Verdict::Warn,
        _ => Verdict::Ok,
    };
    let found = match verdict {
        Verdict::Ok => "the daemon's and this machine's are in step".to_owned(),
        Verdict::Warn | Verdict::Fail => {
            format!("the daemon's and this machine's are {} apart", lasting(apart))
        }
    };
    findings.add("clock", verdict, found);
}

async fn stats(client: &Client, findings: &mut Findings) {
    let stats = match client.get(&["v1", "stats"], NO_QUERY).await {
        Ok(answered) => answered.body,
        Err(error) => return not_told("transactions", &error, findings),
    };
    let number = |name: &str| stats[name].as_u64().unwrap_or(0);
    match number("quarantined") {
        0 => {}
        count => findings.fail("transactions", format!("{count} are quarantined: see the log")),
    }
    match number("parked") {
        0 => findings.ok("transactions", "none needs people"),
        count => {
            findings.warn("transactions", format!("{count} need people: tercet tx list --parked"))
        }
    }
    let nodes = stats["nodes"].as_array().into_iter().flatten();
    for node in nodes.filter(|node| node["state"] == "fenced") {
        let id = node["id"].as_str().unwrap_or_default();
        findings.warn("nodes", format!("{id} is fenced, and was not started again"));
    }
}

async fn retention(client: &Client, findings: &mut Findings) {
    let (status, text, _) = match client.get_raw(&["metrics"]).await {
        Ok(answered) => answered,
        Err(error) => return not_told("retention", &error, findings),
    };
    let value = text.lines().find_map(|line| line.strip_prefix(metric::RETENTION_LAG));
    let seconds = value.and_then(|value| value.trim().parse::<f64>().ok());
    let lag = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match lag {
        Some(lag) if lag > LAG => {
            let found = format!("what is past its time was to go {} ago", lasting(lag));
            findings.warn("retention", found);
        }
        Some(_) => findings.ok("retention", "what is past its time is gone"),
        None => findings
            .warn("retention", format!("/metrics answers {status}, and not how far behind it is")),
    }
}

fn not_told(check: &'static str, error: &ClientError, findings: &mut Findings) {
    match error.kind() {
        Kind::Auth => findings.warn(check, "not looked at: it takes a token (TERCET_TOKEN)"),
        _ => findings.fail(check, with_causes(error)),
    }
}
