//! Checks a participant from a shell, whatever language it is written in.
//!
//! ```text
//! check-participant http://127.0.0.1:7302/payment \
//!     --payload '{"account":"alice","amount":1}' --refused '{"account":"alice","amount":1000000}' \
//!     --probe http://127.0.0.1:7302/accounts --reserved frozen
//! ```

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tercet_participant::test_kit::{Rule, TestKit};

const USAGE: &str = "\
Plays the coordinator on its worst day, and says which rules a participant breaks.
Nobody else may use the participant meanwhile; its balances are used up a little.

check-participant ENDPOINT --payload JSON --probe URL [options]

  ENDPOINT           {ENDPOINT}/try, /confirm and /cancel are called
  --payload JSON     a payload whose Try succeeds; {gid} and {branch} in it are replaced
  --probe URL        JSON with the participant's balances; may be given again
  --refused JSON     a payload whose Try is refused
  --reserved NAME    a balance that Try makes more of and Confirm and Cancel bring back
  --conserved A+B+…  balances whose sum never changes
  --watch NAME       goes by this balance (and others so named) alone
  --count FIELD      counts the texts of this field: status=pending is a balance then
  --seed N           other courses of events (default 1)
  --rounds N         how often races are run (default 10)
  --seconds N        how long it may take (default 120)
  --rules            lists the rules, and ends

It ends with 0 if every rule is kept, 1 if one is broken or was not checked, 2 if it was not
understood, 3 if the participant cannot be checked.";

/// What was asked for.
enum Asked {
    Help,
    Rules,
    Check(Box<TestKit>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let kit = match read(std::env::args().skip(1)) {
        Ok(Asked::Check(kit)) => kit,
        Ok(Asked::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Rules) => {
            for rule in Rule::ALL {
                println!("{:<22} {}", rule.as_str(), rule.promise());
            }
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match kit.run().await {
        Ok(report) => {
            print!("{report}");
            if report.is_green() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(3)
        }
    }
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut endpoint = None;
    let mut payload = None;
    let mut settings: Vec<(String, String)> = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => return Ok(Asked::Help),
            "--rules" => return Ok(Asked::Rules),
            flag if flag.starts_with("--") => {
                let value = words.next().ok_or_else(|| format!("{flag} needs a value"))?;
                match flag {
                    "--payload" => payload = Some(json(flag, &value)?),
                    _ => settings.push((word, value)),
                }
            }
            _ if endpoint.is_none() => endpoint = Some(word),
            _ => return Err(format!("{word}: there is one endpoint")),
        }
    }
    let endpoint = endpoint.ok_or("ENDPOINT is missing")?;
    let payload = payload.ok_or("--payload is missing")?;
    let mut kit = TestKit::new(endpoint, &payload).map_err(|error| error.to_string())?;
    for (flag, value) in settings {
        kit = set(kit, &flag, value)?;
    }
    Ok(Asked::Check(Box::new(kit)))
}

fn set(kit: TestKit, flag: &str, value: String) -> Result<TestKit, String> {
    Ok(match flag {
        "--probe" => kit.probe_url(value),
        "--refused" => {
            kit.refused_payload(&json(flag, &value)?).map_err(|error| error.to_string())?
        }
        "--reserved" => kit.reserved(value),
        "--conserved" => kit.conserved(value.clone(), value.split('+').map(str::trim)),
        "--watch" => kit.watching(value),
        "--count" => kit.counting(value),
        "--seed" => kit.seed(number(flag, &value)?),
        "--rounds" => kit.rounds(number(flag, &value)?),
        "--seconds" => kit.at_most(Duration::from_secs(number(flag, &value)?)),
        unknown => return Err(format!("{unknown} is not known")),
    })
}

fn json(flag: &str, text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{flag}: {error}"))
}

fn number<N: std::str::FromStr<Err: std::fmt::Display>>(
    flag: &str,
    text: &str,
) -> Result<N, String> {
    text.parse().map_err(|error| format!("{flag} {text}: {error}"))
}
