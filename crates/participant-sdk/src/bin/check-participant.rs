//! Checks a participant from a shell, whatever language it is written in.
//!
//! ```text
//! check-participant http://127.0.0.1:7302/payment \
//!     --payload '{"account":"alice","amount":1}' --refused '{"account":"alice","amount":1000000}' \
//!     --probe http://127.0.0.1:7302/accounts --reserved frozen
//! ```

use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use tercet_participant::test_kit::{KitError, Progress, Rule, TestKit};

/// Plays the coordinator on its worst day, and says which rules a participant breaks.
///
/// Nobody else may use the participant meanwhile; its balances are used up a little.
#[derive(Debug, Parser)]
#[command(
    name = "check-participant",
    after_help = "A probe answers GET with JSON in which every number is a balance, in whole units. A number's name is\n\
                  its field's, after the fields it lies in, with dots between; what lists hold under one name is\n\
                  added up: {\"alice\":{\"balance\":9,\"frozen\":1}} has alice.balance and alice.frozen, and\n\
                  [{\"balance\":9},{\"balance\":3}] has balance 12. Names that no probe shows are refused (2).\n\n\
                  What it tried and did not decide it cancels before it ends, also on Ctrl-C. It ends with 0 if every rule is kept, 1 if one is broken or was not checked, 2 if it was not\n\
                  understood, 3 if the participant cannot be checked."
)]
struct Arguments {
    /// {ENDPOINT}/try, /confirm and /cancel are called
    #[arg(required_unless_present = "rules")]
    endpoint: Option<String>,
    /// A payload whose Try succeeds; {gid} and {branch} in it are replaced
    #[arg(long, value_name = "JSON", value_parser = json, required_unless_present = "rules")]
    payload: Option<Value>,
    /// JSON with the participant's balances (see below); may be given again
    #[arg(long, value_name = "URL")]
    probe: Vec<String>,
    /// A payload whose Try is refused
    #[arg(long, value_name = "JSON", value_parser = json)]
    refused: Option<Value>,
    /// The secret that it shares with the coordinator (whsec_…): calls are signed by it, and others tried
    #[arg(long, value_name = "SECRET", env = "TERCET_SIGNING_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// A balance that Try makes more of and Confirm and Cancel bring back; may be given again
    #[arg(long, value_name = "NAME")]
    reserved: Vec<String>,
    /// Balances whose sum never changes; may be given again
    #[arg(long, value_name = "A+B+…")]
    conserved: Vec<String>,
    /// Goes by this balance (and others so named) alone
    #[arg(long, value_name = "NAME")]
    watch: Vec<String>,
    /// Counts the texts of this field: status=pending is a balance then
    #[arg(long, value_name = "FIELD")]
    count: Vec<String>,
    /// Other courses of events (default 1)
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How often races are run (default 10)
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// How long it may take (default 120)
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Lists the rules, and ends
    #[arg(long)]
    rules: bool,
}

fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.rules {
        for rule in Rule::ALL {
            println!("{:<22} {}", rule.as_str(), rule.promise());
        }
        return ExitCode::SUCCESS;
    }
    let checked = match kit(arguments) {
        Ok(kit) => telling(kit).run_until(interrupted()).await,
        Err(error) => Err(error),
    };
    clear_line();
    match checked {
        Ok(report) => {
            print!("{report}");
            if report.is_green() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(if matches!(error, KitError::UnknownBalance { .. }) { 2 } else { 3 })
        }
    }
}

/// Says what was found, and at a terminal how far it is.
fn telling(kit: TestKit) -> TestKit {
    kit.telling(|progress| {
        let Progress { rule, done, of, calls, balances, .. } = progress;
        // Whoever does not listen loses nothing.
        let _ = match of {
            0 => writeln!(stderr(), "balances found: {balances}"),
            _ if stderr().is_terminal() => {
                write!(stderr(), "\r\x1b[K{done}/{of} {rule} ({calls} calls)")
            }
            _ => Ok(()),
        };
    })
}

fn clear_line() {
    if stderr().is_terminal() {
        // Likewise.
        let _ = write!(stderr(), "\r\x1b[K");
    }
}

async fn interrupted() {
    // Where interrupts cannot be heard of, they end the program as ever.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

fn kit(arguments: Arguments) -> Result<TestKit, KitError> {
    // clap has seen to it that both are there.
    let endpoint = arguments.endpoint.unwrap_or_default();
    let mut kit = TestKit::new(endpoint, &arguments.payload.unwrap_or_default())?;
    kit = arguments.probe.into_iter().fold(kit, TestKit::probe_url);
    kit = arguments.reserved.into_iter().fold(kit, TestKit::reserved);
    kit = arguments.watch.into_iter().fold(kit, TestKit::watching);
    kit = arguments.count.into_iter().fold(kit, TestKit::counting);
    for sum in arguments.conserved {
        kit = kit.conserved(sum.clone(), sum.split('+').map(str::trim));
    }
    if let Some(payload) = arguments.refused {
        kit = kit.refused_payload(&payload)?;
    }
    if let Some(secret) = arguments.secret {
        kit = kit.secret(secret.parse().map_err(|_| KitError::Secret)?);
    }
    if let Some(seed) = arguments.seed {
        kit = kit.seed(seed);
    }
    if let Some(rounds) = arguments.rounds {
        kit = kit.rounds(rounds);
    }
    if let Some(seconds) = arguments.seconds {
        kit = kit.at_most(Duration::from_secs(seconds));
    }
    Ok(kit)
}
