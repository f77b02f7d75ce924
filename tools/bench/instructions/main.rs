//! Counts the instructions of what is deterministic, and compares them with the counts kept in
//! the repository. Time says little on a machine that others use too; instructions are the
//! same every time, so a change that costs a few percent is seen at once, and seen by name.
//!
//! ```text
//!   make instructions            compares, and fails where one costs more
//!   make instructions-update     writes the counts down anew
//! ```
//!
//! It starts itself under valgrind's callgrind, twice for each workload, with N and 2 N
//! transactions: the difference is what N cost, without starting up.

mod counts;
mod work;

use std::process::{Command, ExitCode};

use counts::Counts;
use work::Workload;

/// Transactions in the shorter of the two runs.
const TRANSACTIONS: u64 = 1_024;
/// By how much a count may grow, in percent.
const TOLERANCE: f64 = 2.0;

fn main() -> ExitCode {
    // Cargo says `--bench` to whatever it starts as one.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [] => compare(),
        ["--update"] => update(),
        ["--work", name, transactions] => work(name, transactions),
        other => Err(format!("nobody knows what to do with {other:?}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("instructions: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What the process under callgrind does.
fn work(name: &str, transactions: &str) -> Result<(), String> {
    let workload = Workload::ALL.into_iter().find(|workload| workload.name() == name);
    let workload = workload.ok_or_else(|| format!("no workload {name}"))?;
    let transactions = transactions.parse().map_err(|_| format!("no number: {transactions}"))?;
    workload.run(transactions);
    Ok(())
}

fn compare() -> Result<(), String> {
    let kept = Counts::read()?;
    let mut dearer = Vec::new();
    println!("{:<16}{:>12}{:>12}", "per transaction", "kept", "is");
    for (name, is) in measure_all()? {
        let before = kept.of(name)?;
        let percent = (is / before - 1.0) * 100.0;
        println!("{name:<16}{before:>12.0}{is:>12.0}{percent:>+8.1}%");
        if percent > TOLERANCE {
            dearer.push(name);
        } else if percent < -TOLERANCE {
            println!("{name} has become cheaper: make instructions-update keeps it so");
        }
    }
    if dearer.is_empty() {
        return Ok(());
    }
    let compiler = compiler()?;
    if compiler != kept.compiler {
        let Counts { compiler: before, .. } = kept;
        println!("not compared: counted with {before}, this is {compiler}");
        return Ok(());
    }
    Err(format!(
        "dearer by more than {TOLERANCE} %: {}. If that is meant: \
         make instructions-update, and say in the commit why",
        dearer.join(", ")
    ))
}

fn update() -> Result<(), String> {
    let mut counts = Counts::new(compiler()?);
    for (name, is) in measure_all()? {
        println!("{name:<16}{is:>12.0}");
        counts.set(name, is);
    }
    counts.write()
}

/// What compiles here.
fn compiler() -> Result<String, String> {
    let output = Command::new("rustc").arg("--version").output();
    let output = output.map_err(|error| format!("cannot start rustc: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Every workload's own instructions for each transaction, without those of what is beneath it.
fn measure_all() -> Result<Vec<(&'static str, f64)>, String> {
    let gross = |workload| measure(workload).map(|count| (workload, count));
    let gross = Workload::ALL.into_iter().map(gross).collect::<Result<Vec<_>, _>>()?;
    let of = |wanted| gross.iter().find(|(workload, _)| *workload == wanted).map_or(0.0, |it| it.1);
    let net = |workload: Workload| of(workload) - workload.beneath().map_or(0.0, of);
    Ok(Workload::ALL.map(|workload| (workload.name(), net(workload))).into())
}

/// Instructions for each transaction, all in all.
fn measure(workload: Workload) -> Result<f64, String> {
    let short = counted(workload, TRANSACTIONS)?;
    let long = counted(workload, 2 * TRANSACTIONS)?;
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
    let each = long.saturating_sub(short) as f64 / TRANSACTIONS as f64;
    Ok(each)
}

fn counted(workload: Workload, transactions: u64) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .args(["--work", workload.name(), &transactions.to_string()])
        .output()
        .map_err(|error| format!("cannot start valgrind ({error}): install it, on Debian with apt-get install valgrind"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{} failed under valgrind:\n{said}", workload.name()));
    }
    let line = said.lines().find_map(|line| line.split_once("Collected :"));
    let count = line.and_then(|(_, count)| count.trim().parse().ok());
    count.ok_or_else(|| format!("valgrind did not say how many:\n{said}"))
}
