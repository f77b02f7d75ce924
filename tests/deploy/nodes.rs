//! What holds for the coordinators: settings, probes, names and addresses, stopping, the schema before them.

use serde_json::{Value, json};

use crate::containers::{port, variable};
use crate::faults::Faults;
use crate::manifests::{Manifests, selects};
use crate::read;
use crate::settings::{self, DRAIN_MS};
use crate::yaml::{list, number, text, texts, words};

/// After how many milliseconds without going round the daemon calls itself not live.
const NOT_LIVE_AFTER_MS: u64 = 5_000;

/// Looks at the Deployment and the Job.
pub(crate) fn check(manifests: &Manifests, faults: &mut Faults) {
    let deployment = manifests.one("Deployment");
    let of = faults.of(deployment);
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let labels = manifests.node_labels();
    let picked = selects(&texts(deployment, "/spec/selector/matchLabels"), &labels);
    of.unless(picked, "its selector does not pick its pods");
    of.unless(number(deployment, "/spec/replicas") >= 1, "it has no replicas");

    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    of.unless(rolling["maxUnavailable"] == json!(0), "an update takes nodes away");
    of.unless(rolling["maxSurge"] == json!(1), "an update starts more than one node at a time");
    for spread in list(pod, "/topologySpreadConstraints") {
        let picked = selects(&texts(spread, "/labelSelector/matchLabels"), &labels);
        of.unless(picked, "a spread does not pick its pods");
    }
    identity(container, of);
    access(manifests, pod, of);
    let drain_ms = stopping(manifests, pod, of);
    probes(container, drain_ms, of);

    for job in manifests.of("Job") {
        let of = faults.of(job);
        let command = words(job, "/spec/template/spec/containers/0/command");
        of.unless(command == ["tercet", "migrate", "up"], format!("it runs {command:?}"));
        let policy = text(job, "/spec/template/spec/restartPolicy");
        of.unless(matches!(policy, "Never" | "OnFailure"), "a Job does not start again for ever");
    }
}

/// Each pod's own name and address, and both listeners on all of its addresses.
fn identity(container: &Value, of: &mut Faults) {
    let source = |name: &str| {
        let found = list(container, "/env").iter().find(|one| text(one, "/name") == name);
        found.map(|one| text(one, "/valueFrom/fieldRef/fieldPath")).unwrap_or_default()
    };
    of.unless(source("POD_IP") == "status.podIP", "POD_IP is not the pod's address");
    of.unless(source("POD_NAME") == "metadata.name", "POD_NAME is not the pod's name");
    let id = variable(container, "TERCET_NODE__ID");
    of.unless(id == "$(POD_NAME)", format!("all nodes are called {id}"));
    let listen = variable(container, "TERCET_SERVER__LISTEN");
    let (host, number) = listen.rsplit_once(':').unwrap_or_default();
    let address = match host {
        "0.0.0.0" => format!("http://$(POD_IP):{number}"),
        "[::]" => format!("http://[$(POD_IP)]:{number}"),
        other => format!("… (it listens on {other}, which others do not reach)"),
    };
    let told = variable(container, "TERCET_CLUSTER__ADVERTISE_URL");
    of.unless(told == address, format!("others are told {told}, not {address}"));
    let named = port(container, &json!("http")).map(|port| port.to_string());
    of.unless(named.as_deref() == Some(number), "port http is not where it listens");
}

/// Tokens, from a Secret that nobody but the pod's group may read, or the word that there are none.
fn access(manifests: &Manifests, pod: &Value, of: &mut Faults) {
    let container = &pod["containers"][0];
    let file = variable(container, "TERCET_AUTH__TOKENS_FILE");
    let is_anonymous = variable(container, "TERCET_AUTH__ALLOW_ANONYMOUS") == "true";
    of.unless(!file.is_empty() || is_anonymous, "everybody is let in, or nobody");
    if is_anonymous {
        return;
    }
    let holds = |mount: &&Value| {
        file.strip_prefix(text(mount, "/mountPath")).is_some_and(|rest| rest.starts_with('/'))
    };
    let mount = list(container, "/volumeMounts").iter().find(holds);
    let name = mount.map(|mount| text(mount, "/name")).unwrap_or_default();
    let volume = list(pod, "/volumes").iter().find(|volume| text(volume, "/name") == name);
    let secret = volume.map(|volume| text(volume, "/secret/secretName")).unwrap_or_default();
    of.unless(!secret.is_empty(), format!("there are no tokens in {file}"));
    let there = manifests.secrets.iter().any(|name| name == secret);
    of.unless(secret.is_empty() || there, format!("there is no Secret {secret}"));
    let mode = volume.map(|volume| number(volume, "/secret/defaultMode")).unwrap_or_default();
    of.unless(
        mode != 0 && mode & 0o007 == 0,
        format!("{file} may be read by everybody ({mode:o})"),
    );
}

/// Gives `drain_ms`.
fn stopping(manifests: &Manifests, pod: &Value, of: &mut Faults) -> u64 {
    let container = &pod["containers"][0];
    let command = words(container, "/command");
    let file = match command.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tercet", "serve", "--config", file] => file,
        _ => "",
    };
    let mount = &container["volumeMounts"][0];
    let volume = list(pod, "/volumes").iter().find(|volume| volume["name"] == mount["name"]);
    let map = volume.map(|volume| text(volume, "/configMap/name")).unwrap_or_default();
    let map = manifests.named("ConfigMap", map);
    let key = file.strip_prefix(text(mount, "/mountPath")).unwrap_or_default();
    let key = key.trim_start_matches('/');
    let toml = map.map(|map| text(&map["data"], &format!("/{key}"))).unwrap_or_default();
    of.unless(!toml.is_empty(), format!("{command:?} has no settings in {file}"));

    let given = settings::flat("the ConfigMap", toml);
    of.add(settings::faults(&given));
    let millis = |name: &str| {
        let millis = given.get(name).and_then(toml::Value::as_integer);
        millis.and_then(|millis| u64::try_from(millis).ok())
    };
    let drain_ms = millis("shutdown.drain_ms").unwrap_or_default();
    let grace_ms = millis("shutdown.grace_ms").unwrap_or_else(settings::default_grace_ms);
    of.unless(drain_ms >= DRAIN_MS, format!("it drains for {drain_ms} ms"));
    let stop_s = number(pod, "/terminationGracePeriodSeconds");
    let needed_ms = drain_ms + 2 * grace_ms;
    let enough = stop_s * 1_000 > needed_ms;
    of.unless(enough, format!("it is killed after {stop_s} s, and needs {needed_ms} ms to stop"));
    drain_ms
}

fn probes(container: &Value, drain_ms: u64, of: &mut Faults) {
    let routes = read("crates/coordinator/src/http/handlers/health.rs");
    let admin = variable(container, "TERCET_SERVER__ADMIN_LISTEN").rsplit_once(':');
    let admin = admin.and_then(|(_, port)| port.parse().ok());
    of.unless(admin.is_some(), "probes have no listener of their own");
    for (probe, path) in
        [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
    {
        let asked = text(&container[probe], "/httpGet/path");
        let route = routes.contains(&format!("path = \"{asked}\""));
        of.unless(asked == path && route, format!("{probe} asks {asked}"));
        let at = port(container, &container[probe]["httpGet"]["port"]);
        of.unless(at.is_some() && at == admin, format!("{probe} asks at {at:?}"));
    }
    let after_ms = |probe: &str| {
        let probe = &container[probe];
        1_000 * number(probe, "/periodSeconds") * number(probe, "/failureThreshold")
    };
    let (ready_ms, live_ms) = (after_ms("readinessProbe"), after_ms("livenessProbe"));
    let left = ready_ms > 0 && ready_ms < drain_ms;
    of.unless(left, format!("it is left after {ready_ms} ms, and drains for {drain_ms}"));
    let patient = live_ms > 2 * NOT_LIVE_AFTER_MS;
    of.unless(patient, format!("it is killed after {live_ms} ms"));
}
