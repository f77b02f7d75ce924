//! Scripts that check something fail where they cannot: a check that is left out must not look
//! like one that was passed.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::sources::root;

/// What a script needs to get as far as looking for its tools.
const SHELL: [&str; 5] = ["bash", "dirname", "env", "id", "mkdir"];

/// A folder with these programs alone.
fn bare_machine() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for program in SHELL {
        let places = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(program));
        let place = places.iter().find(|place| place.exists()).expect("every system has it");
        symlink(place, folder.path().join(program)).expect("a link");
    }
    folder
}

#[test]
fn a_contract_that_cannot_be_tried_for_want_of_a_tool_fails() {
    let machine = bare_machine();
    let mut run = Command::new("bash");
    let run = run.arg(root().join("tests/openapi/run")).env("PATH", machine.path());
    let ran = run.output().expect("bash");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{said}");
    for package in ["python3-venv", "nodejs", "npm", "golang-go"] {
        assert!(said.contains(package), "{package} is not named in: {said}");
    }
    assert!(said.contains("apt-get install"), "{said}");
}

#[test]
fn deploy_files_that_cannot_be_tried_for_want_of_a_tool_fail() {
    let machine = bare_machine();
    let mut run = Command::new("bash");
    let run = run.arg(root().join("tests/deploy/run")).env("PATH", machine.path());
    let ran = run.output().expect("bash");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("golang-go") && said.contains("apt-get install"), "{said}");
}

#[test]
fn rules_that_cannot_be_tried_for_want_of_promtool_fail() {
    let machine = bare_machine();
    let mut run = Command::new("bash");
    let run = run.arg(root().join("tests/prometheus/run")).env("PATH", machine.path());
    let ran = run.output().expect("bash");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("promtool") && said.contains("apt-get install"), "{said}");
}

#[test]
fn what_is_checked_of_each_change_leaves_nothing_out_unasked() {
    let run = root().join(".ci/run");
    let text = std::fs::read_to_string(&run).expect("a script");
    let excused: Vec<&str> = text.lines().filter(|line| line.contains("|| [[ $?")).collect();
    assert_eq!(excused, [""; 0], "a failure is taken for something else");
    let machine = bare_machine();
    let mut asked = Command::new("bash");
    let asked = asked.arg(run).arg("--without-everything").env("PATH", machine.path());
    let asked = asked.output().expect("bash");
    assert_eq!(asked.status.code(), Some(2), "{}", String::from_utf8_lossy(&asked.stderr));
}
