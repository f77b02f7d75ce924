//! A copy of the pure crate that can be broken without harm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bugs::Bug;

/// What the copy's tests said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    Passed,
    Failed,
    NotBuilt(String),
}

/// The copy.
pub(crate) struct Copy {
    root: PathBuf,
}

impl Copy {
    pub(crate) fn make() -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = project.join("target/mutants/tree");
        // What an earlier run left is replaced; its compiled dependencies stay beside it.
        let _absent = fs::remove_dir_all(&root);
        copy_tree(&project.join("crates/protocol"), &root.join("crates/protocol"));
        let manifest = read(&project.join("Cargo.toml"));
        let members = manifest.find("members = [").expect("the workspace lists its members");
        let end = members + manifest[members..].find(']').expect("the list ends");
        let alone = "members = [\"crates/protocol\"";
        let manifest = format!("{}{alone}{}", &manifest[..members], &manifest[end..]);
        write(&root.join("Cargo.toml"), &manifest);
        write(&root.join("Cargo.lock"), &read(&project.join("Cargo.lock")));
        Self { root }
    }

    /// Puts a bug in; returns the file as it was.
    pub(crate) fn put_in(&self, bug: &Bug) -> String {
        let path = self.path(bug);
        let untouched = read(&path);
        let places = untouched.matches(bug.instead_of).count();
        assert_eq!(places, 1, "{}: `{}` stands {places} times", bug.name, bug.instead_of);
        write(&path, &untouched.replace(bug.instead_of, bug.put));
        untouched
    }

    pub(crate) fn restore(&self, bug: &Bug, untouched: &str) {
        write(&self.path(bug), untouched);
    }

    pub(crate) fn test(&self) -> Ran {
        let tests = ["--test", "model", "--test", "recovery"];
        let built = self.cargo().args(tests).arg("--no-run").output().expect("cargo runs");
        if !built.status.success() {
            return Ran::NotBuilt(String::from_utf8_lossy(&built.stderr).into_owned());
        }
        let ran = self.cargo().args(tests).output().expect("cargo runs");
        if ran.status.success() { Ran::Passed } else { Ran::Failed }
    }

    fn cargo(&self) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&self.root).args(["test", "--quiet"]);
        cargo.env("CARGO_TARGET_DIR", self.root.join("../target"));
        // A bug may be unused code; that is not what it is to be caught by.
        cargo.env("RUSTFLAGS", "-A warnings");
        cargo
    }

    fn path(&self, bug: &Bug) -> PathBuf {
        self.root.join("crates/protocol/src").join(bug.file)
    }
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
