//! What holds for every pod: rights, resources, the image, where its variables come from.

use serde_json::{Value, json};

use crate::faults::Faults;
use crate::manifests::Manifests;
use crate::settings;
use crate::yaml::{list, number, text};
use crate::{read, root};

/// Looks at one Deployment or Job.
pub(crate) fn check(manifests: &Manifests, workload: &Value, faults: &mut Faults) {
    let of = faults.of(workload);
    let pod = &workload["spec"]["template"]["spec"];
    of.unless(pod["automountServiceAccountToken"] == json!(false), "its token is mounted");
    of.unless(pod["enableServiceLinks"] == json!(false), "services' variables lie beside settings");
    let security = &pod["securityContext"];
    of.unless(security["runAsNonRoot"] == json!(true), "it may run as root");
    of.unless(security["runAsUser"] == json!(image_user()), "it does not run as the image's user");
    of.unless(security["runAsGroup"] == json!(image_user()), "nor as its group");
    let profile = text(security, "/seccompProfile/type");
    of.unless(profile == "RuntimeDefault", "seccomp does not filter it");
    let containers = list(pod, "/containers");
    of.unless(!containers.is_empty(), "it has no container");
    for container in containers {
        confined(container, of);
        image(container, of);
        variables(manifests, container, of);
        for mount in list(container, "/volumeMounts") {
            let name = text(mount, "/name");
            let there = list(pod, "/volumes").iter().any(|volume| text(volume, "/name") == name);
            of.unless(there, format!("there is no volume {name}"));
        }
    }
}

/// The number of the user that the image runs as, which has a group of the same number.
fn image_user() -> u64 {
    let dockerfile = read("deploy/Dockerfile");
    let user = dockerfile.lines().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    let (user, group) = user.split_once(':').expect("user and group");
    assert_eq!(user, group);
    assert!(dockerfile.contains(&format!("useradd --system --uid {user} --gid {group}")));
    user.parse().expect("a number, which runAsNonRoot can judge")
}

fn confined(container: &Value, of: &mut Faults) {
    let security = &container["securityContext"];
    of.unless(security["allowPrivilegeEscalation"] == json!(false), "it may gain privileges");
    of.unless(security["readOnlyRootFilesystem"] == json!(true), "it may write its own files");
    of.unless(security["capabilities"] == json!({"drop": ["ALL"]}), "it has capabilities");
    for amount in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
        let said = !text(&container["resources"], amount).is_empty();
        of.unless(said, format!("resources{amount} is not said"));
    }
}

/// Built here, and of this version: whatever else is running is something else.
fn image(container: &Value, of: &mut Faults) {
    let image = text(container, "/image");
    let pinned = match image.split_once('@') {
        Some((_, digest)) => digest.starts_with("sha256:"),
        None => image.rsplit_once(':').is_some_and(|(_, tag)| tag == version()),
    };
    of.unless(pinned, format!("the image {image} is not the one of version {}", version()));
    let name = image.split(['@', ':']).next().unwrap_or_default();
    of.unless(name.rsplit('/').next() == Some("tercet"), format!("whose image is {image}?"));
}

/// The workspace's version.
pub(crate) fn version() -> String {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let version = manifest["workspace"]["package"]["version"].as_str();
    version.unwrap_or_else(|| panic!("no version in {}", root().display())).to_owned()
}

fn variables(manifests: &Manifests, container: &Value, of: &mut Faults) {
    let variables = list(container, "/env");
    of.add(settings::faults_of_variables(variables.iter().map(|one| text(one, "/name"))));
    let mut before: Vec<&str> = Vec::new();
    for variable in variables {
        let name = text(variable, "/name");
        // Kubernetes puts in only what was said further up; else the daemon would read `$(POD_IP)`.
        for used in text(variable, "/value").split("$(").skip(1) {
            let used = used.split(')').next().unwrap_or_default();
            of.unless(before.contains(&used), format!("{name} uses {used}, not said before it"));
        }
        before.push(name);
        if let Some(reference) = variable.pointer("/valueFrom/secretKeyRef") {
            let (secret, key) = (text(reference, "/name"), text(reference, "/key"));
            let made = manifests.named("Secret", secret);
            let there = made.map_or_else(
                || manifests.secrets.iter().any(|name| name == secret),
                |secret| !text(&secret["stringData"], &format!("/{key}")).is_empty(),
            );
            of.unless(there, format!("there is no Secret {secret} with {key}"));
        }
    }
    let database = variables.iter().find(|one| text(one, "/name") == "TERCET_DATABASE__URL");
    let secret = database.is_some_and(|one| one.pointer("/valueFrom/secretKeyRef").is_some());
    of.unless(secret, "the database's URL is not from a Secret");
}

/// A container's port by its name, or as it is.
pub(crate) fn port(container: &Value, port: &Value) -> Option<u64> {
    if let Some(port) = port.as_u64() {
        return Some(port);
    }
    let named = |one: &&Value| one["name"] == *port;
    let found = list(container, "/ports").iter().find(named)?;
    Some(number(found, "/containerPort"))
}

/// The value of a container's variable; empty where it has none, or one from elsewhere.
pub(crate) fn variable<'a>(container: &'a Value, name: &str) -> &'a str {
    let found = list(container, "/env").iter().find(|one| text(one, "/name") == name);
    found.map(|one| text(one, "/value")).unwrap_or_default()
}
