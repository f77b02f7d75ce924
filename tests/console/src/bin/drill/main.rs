//! The drill: what goes wrong with transactions, found and put right by an operator, once by the command line alone and
//! once by the console in a browser without a window. Every fault is real: processes, connections, disks. What the
//! operator needs to know is looked for in what they are shown; whether it is put right, in the API and in the
//! participants' own books. Steps are counted, and seconds are told; no second decides whether it has gone well.
//!
//! `tests/console/run --drill [--report FILE] [--only NAME,…] [--by cli|console]`; `WAITING` is how many wait where
//! many do (10 000).

mod clock;
mod coordinator;
mod pager;
mod participant;
mod record;
mod report;
mod scenarios;
mod scene;
mod screen;
mod shell;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tempfile::TempDir;
use tercet_console_tests::Browser;

use crate::record::Record;
use crate::report::{Report, title};
use crate::scenarios::{ALL, LeftOut, Scenario};
use crate::scene::{Scene, Way};

/// What is asked for.
struct Asked {
    report: Option<PathBuf>,
    only: Vec<String>,
    by: Vec<Way>,
    waiting: usize,
}

impl Asked {
    fn read() -> Result<Self, String> {
        let waiting = match std::env::var("WAITING") {
            Ok(text) => text.parse().ok().filter(|it| *it >= 20),
            Err(_) => Some(10_000),
        };
        let waiting = waiting.ok_or("WAITING is a number, 20 at least")?;
        let mut asked = Self { report: None, only: Vec::new(), by: Way::ALL.to_vec(), waiting };
        let mut arguments = std::env::args().skip(1);
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or(format!("{flag} takes a value"))?;
            match flag.as_str() {
                "--report" => asked.report = Some(value.into()),
                "--only" => asked.only = value.split(',').map(str::to_owned).collect(),
                "--by" => asked.by.retain(|way| way.as_str() == value),
                _ => {
                    return Err(format!(
                        "there is no {flag}: --report FILE, --only NAME,…, --by cli|console"
                    ));
                }
            }
        }
        let is_known = |name: &String| ALL.iter().any(|scenario| scenario.name == *name);
        if let Some(unknown) = asked.only.iter().find(|name| !is_known(name)) {
            let known: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
            return Err(format!("there is no {unknown}: {}", known.join(", ")));
        }
        if asked.by.is_empty() {
            return Err("--by takes cli or console".to_owned());
        }
        let is_whole = asked.only.is_empty() && asked.by.len() == Way::ALL.len();
        if asked.report.is_some() && !is_whole {
            return Err("a report is of all of it".to_owned());
        }
        Ok(asked)
    }

    fn wants(&self, scenario: &Scenario) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == scenario.name)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let asked = match Asked::read() {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("drill: {why}");
            return ExitCode::from(2);
        }
    };
    // What a panic says is told where the scenario is.
    std::panic::set_hook(Box::new(|panic| {
        if let Some(at) = panic.location() {
            eprintln!("    at {at}");
        }
    }));
    let mut report = Report::new(asked.waiting);
    let mut failed = Vec::new();
    for scenario in ALL.iter().filter(|scenario| asked.wants(scenario)) {
        for way in &asked.by {
            println!("{}, by {}", title(scenario, asked.waiting), way.in_words());
            let record = Record::default();
            let name = format!("{} by {}", scenario.name, way.as_str());
            match run(scenario, *way, asked.waiting, &record).await {
                Ok(()) => report.add(scenario, *way, record.so_far()),
                Err(why) => {
                    let kept = record.so_far();
                    let at = kept.steps.last().map_or("before any step", String::as_str);
                    eprintln!("    FAILED: {name}, at {at}: {why}");
                    failed.push(name);
                }
            }
        }
    }
    println!("\n{}", report.text());
    if !failed.is_empty() {
        eprintln!("drill: not put right: {}", failed.join(", "));
        return ExitCode::FAILURE;
    }
    if let Some(file) = &asked.report
        && let Err(why) = report.write(file)
    {
        eprintln!("drill: {why}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs one to its end, whatever that is.
async fn run(scenario: &Scenario, way: Way, waiting: usize, record: &Record) -> Result<(), String> {
    let home = Arc::new(TempDir::new().map_err(|error| error.to_string())?);
    let scene = {
        let (record, home) = (record.clone(), Arc::clone(&home));
        tokio::spawn(async move { Scene::set(way, waiting, &record, home).await })
    };
    let scene = scene.await.map_err(|_| "the scene was not set".to_owned())?;
    let browser = scene.browser();
    let done = tokio::spawn((scenario.run)(scene)).await;
    // Its own end, so that no browser is left behind by what went wrong.
    if let Some(browser) = browser.and_then(Arc::<Browser>::into_inner) {
        if done.is_err() {
            let page =
                browser.run("return location.pathname + '\\n' + document.body.innerText").await;
            eprintln!("    page: {}", page.as_str().unwrap_or_default());
        }
        browser.quit().await;
    }
    match done {
        Ok(Ok(())) => Ok(()),
        Ok(Err(LeftOut(why))) => {
            Err(format!("LEFT OUT, since this machine does not allow it: {why}"))
        }
        Err(panic) => {
            let log = std::fs::read_to_string(home.path().join("tercet.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            for line in lines.iter().skip(lines.len().saturating_sub(20)) {
                eprintln!("    log: {line}");
            }
            Err(words(panic.into_panic().as_ref()))
        }
    }
}

/// What a panic says.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
