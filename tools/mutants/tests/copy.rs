//! A copy of the rules, the guard and the simulation that can be broken without harm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::bugs::{Bug, CaughtBy};

/// The crates that are copied.
const CRATES: [&str; 4] = ["crates/wire", "crates/engine", "crates/participant-sdk", "tools/sim"];

/// What their tests read beside them.
const PAGES: [&str; 1] = ["docs/guard-sql.md"];

/// What the simulation is made of, as far as the workspace has it optimised.
const QUICKLY_BUILT: [&str; 3] = ["tercet-wire", "tercet-engine", "tercet-sim"];

/// The tests of the engine that a bug is shown to.
const TESTS: [&str; 3] = ["test", "-p", "tercet-engine"];

/// The cases of the model that are about sagas: the bugs in these are shown to scripts, which take less.
const SAGAS: &str = "a_saga";

/// The case of the model that takes as long as all others five times over.
const LONGEST: &str = "one_node::two_branches_a_crash_and_a_loss";

/// The cases of two nodes, which only bugs of several are shown to.
const NODES: &str = "two_nodes::";

/// Seeds that are run for a bug. Most are noticed within the first hundred.
pub(crate) const SEEDS: u32 = 10_000;

/// Seeds that are run without one: a copy in which all goes well takes its time for each, unlike one
/// with a bug, and is tried with far more elsewhere.
pub(crate) const SEEDS_WITHOUT_BUG: u32 = 1_000;

/// What was said about the copy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    Passed,
    /// Which test failed, or which seed broke what.
    Failed(String),
    NotBuilt(String),
}

/// The copy.
pub(crate) struct Copy {
    root: PathBuf,
}

impl Copy {
    /// The one with this number.
    pub(crate) fn make(number: usize) -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = project.join(format!("target/mutants/{number}/tree"));
        // What an earlier run left is replaced; its compiled dependencies stay beside it.
        let _absent = fs::remove_dir_all(&root);
        for name in CRATES {
            copy_tree(&project.join(name), &root.join(name));
        }
        for page in PAGES {
            let beside = root.join(page);
            fs::create_dir_all(beside.parent().expect("a folder")).expect("a folder for the page");
            write(&beside, &read(&project.join(page)));
        }
        let manifest = read(&project.join("Cargo.toml"));
        let members = manifest.find("members = [").expect("the workspace lists its members");
        let end = members + manifest[members..].find(']').expect("the list ends");
        let alone = format!("members = {CRATES:?}");
        let alone = alone.trim_end_matches(']');
        let manifest = format!("{}{alone}{}", &manifest[..members], &manifest[end..]);
        write(&root.join("Cargo.toml"), &manifest);
        write(&root.join("Cargo.lock"), &read(&project.join("Cargo.lock")));
        Self { root }
    }

    /// Puts a bug in; returns the file as it was.
    pub(crate) fn put_in(&self, bug: &Bug) -> String {
        let path = self.root.join(bug.file);
        let untouched = read(&path);
        let places = untouched.matches(bug.instead_of).count();
        assert_eq!(places, 1, "{}: `{}` stands {places} times", bug.name, bug.instead_of);
        write(&path, &untouched.replace(bug.instead_of, bug.put));
        untouched
    }

    pub(crate) fn restore(&self, bug: &Bug, untouched: &str) {
        write(&self.root.join(bug.file), untouched);
    }

    pub(crate) fn run(&self, by: CaughtBy, seeds: u32) -> Ran {
        match by {
            CaughtBy::ModelOrRecovery => self.test(),
            CaughtBy::Simulation => self.simulate(seeds),
            CaughtBy::EngineTest(name) => self.test_of_engine(name, &[]),
            CaughtBy::ModelOfNodes => self.test_of_engine("model", &["--", NODES]),
            CaughtBy::WireTests(module) => self.tests_of_wire(module),
            CaughtBy::SdkTest(suite) => self.test_of_sdk(suite),
        }
    }

    /// The cuts after each record first, then the model: what is quick before what walks millions
    /// of states, so that a bug which many notice costs seconds.
    fn test(&self) -> Ran {
        let built = output(self.cargo().args(TESTS).args(["--test", "recovery", "--no-run"]));
        if !built.status.success() {
            return not_built(&built);
        }
        let quick = [
            "--test", "recovery", "--test", "model", "--", "--skip", LONGEST, "--skip", NODES,
            "--skip", SAGAS,
        ];
        let long = ["--test", "model", "--", "--exact", LONGEST];
        for cases in [quick.as_slice(), long.as_slice()] {
            let ran = output(self.cargo().args(TESTS).args(cases));
            if !ran.status.success() {
                return Ran::Failed(first_failed(&ran, "model or recovery"));
            }
        }
        Ran::Passed
    }

    fn test_of_engine(&self, name: &str, filter: &[&str]) -> Ran {
        let built = output(self.cargo().args(TESTS).args(["--test", name, "--no-run"]));
        if !built.status.success() {
            return not_built(&built);
        }
        let ran = output(self.cargo().args(TESTS).args(["--test", name]).args(filter));
        match ran.status.success() {
            true => Ran::Passed,
            false => Ran::Failed(first_failed(&ran, name)),
        }
    }

    fn tests_of_wire(&self, module: &str) -> Ran {
        const WIRE: [&str; 4] = ["test", "-p", "tercet-wire", "--lib"];
        let built = output(self.cargo().args(WIRE).arg("--no-run"));
        if !built.status.success() {
            return not_built(&built);
        }
        let ran = output(self.cargo().args(WIRE).arg(format!("{module}::")));
        match ran.status.success() {
            true => Ran::Passed,
            false => Ran::Failed(first_failed(&ran, module)),
        }
    }

    /// On SQLite, which is all of it that needs no server.
    fn test_of_sdk(&self, suite: &str) -> Ran {
        let sdk = ["test", "-p", "tercet-participant", "--test", suite];
        let built = output(self.cargo().args(sdk).arg("--no-run"));
        if !built.status.success() {
            return not_built(&built);
        }
        let ran = output(self.cargo().args(sdk).args(["sqlite::"]));
        match ran.status.success() {
            true => Ran::Passed,
            false => Ran::Failed(first_failed(&ran, suite)),
        }
    }

    fn simulate(&self, seeds: u32) -> Ran {
        // A bug is built once and shows itself soon, so it is building that takes the time.
        let quickly = QUICKLY_BUILT.map(|name| format!("profile.dev.package.{name}.opt-level=0"));
        let quickly = quickly.iter().flat_map(|setting| ["--config", setting]);
        let arguments: Vec<&str> = quickly.chain(["-p", "tercet-sim"]).collect();
        let built = output(self.cargo().arg("build").args(&arguments));
        if !built.status.success() {
            return not_built(&built);
        }
        let seeds = seeds.to_string();
        let ran = output(self.cargo().arg("run").args(&arguments).args(["--", "1", &seeds]));
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let seed = said.lines().find(|line| line.starts_with("seed "));
        match (ran.status.success(), seed) {
            (true, _) => Ran::Passed,
            (false, Some(seed)) => Ran::Failed(seed.to_owned()),
            (false, None) => Ran::NotBuilt(said),
        }
    }

    fn cargo(&self) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&self.root).arg("--quiet");
        cargo.env("CARGO_TARGET_DIR", self.root.join("../target"));
        // A bug may be unused code; that is not what it is to be caught by.
        cargo.env("RUSTFLAGS", "-A warnings");
        cargo
    }
}

fn output(command: &mut Command) -> Output {
    command.output().expect("cargo runs")
}

/// The first test that failed, or what was run.
fn first_failed(ran: &Output, or: &str) -> String {
    let said = String::from_utf8_lossy(&ran.stdout);
    let failed = said.lines().find(|line| line.ends_with("FAILED"));
    failed.unwrap_or(or).trim().to_owned()
}

fn not_built(built: &Output) -> Ran {
    Ran::NotBuilt(String::from_utf8_lossy(&built.stderr).into_owned())
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory for the copy");
    for entry in fs::read_dir(from).expect("the crate's directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a copied file");
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
