//! Commands that deploy/ gives the daemon, tried with the daemon itself.

use std::process::Command;

use crate::compose::{self, services};
use crate::read;
use crate::settings::{AWAITED, of_variable};
use crate::yaml::{documents, text, texts, words};

/// Runs the daemon that was built, with no settings of this machine's.
fn tercet(arguments: &[String], variables: &[(String, String)]) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(tercet_testing::daemon());
    command.args(arguments).current_dir(folder.path()).env_clear().envs(variables.iter().cloned());
    let ran = command.output().expect("the daemon");
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Every command in deploy/, from the program's name on.
fn commands() -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for file in ["deployment", "migrate"] {
        let file = format!("deploy/kubernetes/{file}.yaml");
        for manifest in documents(&file, &read(&file)) {
            commands.push(words(&manifest, "/spec/template/spec/containers/0/command"));
        }
    }
    let compose = services(compose::FILE).into_values();
    commands.extend(compose.map(|service| words(&service, "/command")));
    let dockerfile = read("deploy/Dockerfile");
    let last = dockerfile.lines().find_map(|line| line.strip_prefix("CMD ")).expect("a command");
    commands.push(serde_json::from_str(last).expect("a list of words"));
    let unit = read("deploy/systemd/tercet.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/"));
    commands.push(start.expect("a command").split(' ').map(str::to_owned).collect());
    commands.retain(|command| command.first().is_some_and(|program| program == "tercet"));
    commands
}

#[test]
fn the_daemon_knows_every_command_of_deploy() {
    let commands = commands();
    assert_eq!(commands.len(), 5, "{commands:?}");
    for command in commands {
        // Help is told where everything before it makes sense.
        let arguments = [&command[1..], &["--help".to_owned()]].concat();
        let (well, said) = tercet(&arguments, &[]);
        assert!(well, "{command:?}: {said}");
    }
    let (well, _) = tercet(&["migrate".to_owned(), "upp".to_owned(), "--help".to_owned()], &[]);
    assert!(!well, "anything is taken before --help");
}

/// A token, as the head of the compose file says it is made.
const TOKENS: &str = r#"[{"name":"ops","role":"operator","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]"#;

/// What a node of the compose file is given, with a password and tokens in their places.
fn variables_of_compose() -> Vec<(String, String)> {
    let node = &services(compose::FILE)["coordinator-2"];
    let given = texts(node, "/environment").into_iter();
    given
        .map(|(name, value)| match value.starts_with("${TERCET_TOKENS:?") {
            true => (name, TOKENS.to_owned()),
            false => (name, value),
        })
        .map(|(name, value)| match value.split_once("${").zip(value.split_once('}')) {
            Some(((before, _), (_, after))) => (name, format!("{before}0123abcd{after}")),
            None => (name, value),
        })
        .collect()
}

/// What a pod is given, with what Kubernetes puts in.
fn variables_of_kubernetes() -> Vec<(String, String)> {
    let deployment = read("deploy/kubernetes/deployment.yaml");
    let deployment = documents("deployment.yaml", &deployment).remove(0);
    let variables = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let variables = variables.as_array().expect("variables").iter();
    let put_in = |value: &str| {
        value.replace("$(POD_IP)", "10.0.0.7").replace("$(POD_NAME)", "tercet-5d59d67564-x7f9q")
    };
    let given = variables.map(|one| (text(one, "/name").to_owned(), put_in(text(one, "/value"))));
    let mut given: Vec<_> = given.filter(|(_, value)| !value.is_empty()).collect();
    given.push(("TERCET_DATABASE__URL".to_owned(), "postgres://tercet:pass@db/tercet".to_owned()));
    given
}

#[test]
fn the_daemon_takes_what_its_nodes_are_given() {
    let check = ["config".to_owned(), "check".to_owned()];
    for given in [variables_of_compose(), variables_of_kubernetes()] {
        let mut given = given;
        given.retain(|(name, _)| {
            let awaited = |setting: String| AWAITED.contains(&setting.as_str());
            !of_variable(name).is_some_and(awaited)
        });
        assert!(given.len() > 3, "{given:?}");
        let (well, said) = tercet(&check, &given);
        assert!(well, "{given:?}: {said}");
        let bent = given.iter().map(|(name, value)| (name.replace("__", "__NO_"), value.clone()));
        let (well, _) = tercet(&check, &bent.collect::<Vec<_>>());
        assert!(!well, "anything is taken");
    }
}
