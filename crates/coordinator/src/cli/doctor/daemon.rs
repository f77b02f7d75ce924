//! How the daemon stands that runs.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::{Wall, metric};

use super::{Findings, Verdict};
use crate::cli::exit::with_causes;
use crate::cli::tx::{Client, ClientError, NO_QUERY, lasting};

/// Two clocks may part by so much.
const APART: Duration = Duration::from_secs(2);
/// And by so much before what has ended for one has not begun for the other.
const FAR_APART: Duration = Duration::from_secs(60);
/// What is past its retention may stay for so long before people are told.
const LAG: Duration = Duration::from_secs(3_600);

const DAEMON: &str = "daemon";

/// `is_asked_for`: somebody has said where it is, and does not only look whether it could start.
pub(super) async fn look(client: &Client, is_asked_for: bool, findings: &mut Findings) {
    if readiness(client, is_asked_for, findings).await {
        stats(client, findings).await;
        retention(client, findings).await;
    }
}

/// Who answers at an address.
pub(super) enum Who {
    /// A daemon: the status of its readiness, its words, and the date that it says.
    Daemon { status: u16, words: String, date: Option<String> },
    /// Something else.
    Stranger { status: u16 },
    /// Nobody, or nobody who could be understood.
    Nobody(ClientError),
}

/// Whoever has the port, a daemon says whether it is ready in words of its own.
pub(super) async fn who(client: &Client) -> Who {
    let (status, text, date) = match client.without_token().get_raw(&["readyz"]).await {
        Ok(answered) => answered,
        Err(error) => return Who::Nobody(error),
    };
    let words = match status {
        200 => text.starts_with("ready").then(|| text.trim().to_owned()),
        _ => detail_of_a_problem(&text),
    };
    match words {
        Some(words) => Who::Daemon { status, words, date },
        None => Who::Stranger { status },
    }
}

/// What a daemon says is wrong, also a newer one whose codes are not known here.
fn detail_of_a_problem(text: &str) -> Option<String> {
    let problem: Value = serde_json::from_str(text).ok()?;
    let is_ours = problem["type"].as_str()?.starts_with("/problems/");
    is_ours.then(|| problem["detail"].as_str().map(str::to_owned)).flatten()
}

/// Whether a daemon answers at all.
async fn readiness(client: &Client, is_asked_for: bool, findings: &mut Findings) -> bool {
    let (status, words, date) = match who(client).await {
        Who::Daemon { status, words, date } => (status, words, date),
        Who::Stranger { status } => {
            let at = client.shown();
            let found = format!("{at} answers {status}, and not as a daemon of Tercet does");
            findings.fail(DAEMON, found);
            return false;
        }
        Who::Nobody(error) => {
            let found = format!("{}: only the settings were looked at", unheard(&error));
            let verdict = if is_asked_for { Verdict::Fail } else { Verdict::Warn };
            findings.add(DAEMON, verdict, found);
            return false;
        }
    };
    match status {
        200 if words == "ready" => findings.ok(DAEMON, format!("{} is ready", client.shown())),
        200 => findings.warn(DAEMON, format!("{} is {words}", client.shown())),
        _ => findings.fail(DAEMON, format!("{} answers {status}: {words}", client.shown())),
    }
    if let Some(theirs) = date.as_deref().and_then(moment) {
        clock(theirs, findings);
    }
    true
}

/// Whether the two did not agree on certificates: whoever that is may well be a daemon.
pub(super) fn is_about_certificates(error: &ClientError) -> bool {
    with_causes(error).contains("certificate")
}

/// Why nobody was understood, and what helps.
pub(super) fn unheard(error: &ClientError) -> String {
    let why = with_causes(error);
    match is_about_certificates(error) {
        true => {
            format!(
                "{why} (--ca, --cert and --key name certificates, --url the name that is asked)"
            )
        }
        false => why,
    }
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
        Err(error) => return not_told("transactions", client, &error, findings),
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
    const CHECK: &str = "retention";
    let (status, text, _) = match client.get_raw(&["metrics"]).await {
        Ok(answered) => answered,
        Err(error) => return not_told(CHECK, client, &error, findings),
    };
    if matches!(status, 401 | 403) {
        return not_let_in(CHECK, client, status, findings);
    }
    let value = text.lines().find_map(|line| line.strip_prefix(metric::RETENTION_LAG));
    let seconds = value.and_then(|value| value.trim().parse::<f64>().ok());
    let lag = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match lag {
        Some(lag) if lag > LAG => {
            let found = format!("what is past its time was to go {} ago", lasting(lag));
            findings.warn(CHECK, found);
        }
        Some(_) => findings.ok(CHECK, "what is past its time is gone"),
        None => {
            findings.warn(CHECK, format!("/metrics answers {status}, and not how far behind it is"))
        }
    }
}

fn not_told(check: &'static str, client: &Client, error: &ClientError, findings: &mut Findings) {
    match error {
        ClientError::Refused(problem) if matches!(problem.status, 401 | 403) => {
            not_let_in(check, client, problem.status, findings);
        }
        _ => findings.fail(check, with_causes(error)),
    }
}

fn not_let_in(check: &'static str, client: &Client, status: u16, findings: &mut Findings) {
    let why = match (status, client.has_token()) {
        (401, false) => "it takes a token, and none was given (--token-file, or TERCET_TOKEN)",
        (401, true) => "the token that was given is none that the daemon knows",
        _ => "the role of the token that was given is too small",
    };
    findings.warn(check, format!("not looked at: {why}"));
}
