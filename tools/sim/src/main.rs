//! `tercet-sim [--trace] SEED RUNS`: runs so many seeds on all cores. Ends with 1 when a promise
//! was broken, with 2 when it was not understood.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut trace = false;
    let mut numbers = Vec::new();
    for argument in std::env::args().skip(1) {
        match (argument.as_str(), argument.parse::<u64>()) {
            ("--trace", _) => trace = true,
            (_, Ok(number)) => numbers.push(number),
            (other, Err(_)) => {
                eprintln!("{other:?} is no number. Use: tercet-sim [--trace] SEED RUNS");
                return ExitCode::from(2);
            }
        }
    }
    let seed = numbers.first().copied().unwrap_or(1);
    let runs = numbers.get(1).copied().unwrap_or(1);
    // A panic in the rules is caught and told as what it breaks; where is seen in a trace.
    if !trace {
        std::panic::set_hook(Box::new(|_| ()));
    }
    if trace {
        tercet_sim::trace(seed);
        return ExitCode::SUCCESS;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let outcome = tercet_sim::run(seed, runs, threads);
    if let Some(failure) = outcome.failure {
        println!("{failure}");
        return ExitCode::FAILURE;
    }
    for (point, count) in &outcome.reached {
        println!("{count:>10} {point}");
    }
    println!("{} seeds from {seed} on: every promise held", outcome.seeds);
    if !outcome.missing.is_empty() {
        println!("not reached: {}", outcome.missing.join(", "));
    }
    ExitCode::SUCCESS
}
