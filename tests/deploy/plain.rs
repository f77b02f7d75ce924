//! deploy/kubernetes: the manifests as they are, and that what could be wrong with them would be seen.

use std::fs;

use serde_json::{Value, json};

use crate::faults::faults;
use crate::manifests::Manifests;
use crate::yaml::{document, documents, text, words};
use crate::{read, root};

const FOLDER: &str = "deploy/kubernetes";

fn manifests() -> Manifests {
    let mut all = Vec::new();
    for file in files() {
        all.extend(documents(&file, &read(&format!("{FOLDER}/{file}"))));
    }
    Manifests { all, secrets: vec!["tercet-database".to_owned(), "tercet-tokens".to_owned()] }
}

/// All manifests of the folder.
fn files() -> Vec<String> {
    let entries = fs::read_dir(root().join(FOLDER)).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let mut names: Vec<String> = names.map(|name| name.expect("a plain name")).collect();
    names.retain(|name| name != "kustomization.yaml");
    names.sort();
    names
}

#[test]
fn the_manifests_fit_together_and_fit_the_daemon() {
    let manifests = manifests();
    let expected = [
        "ConfigMap tercet",
        "Deployment tercet",
        "Job tercet-migrate",
        "NetworkPolicy tercet",
        "PodDisruptionBudget tercet",
        "Service tercet",
        "Service tercet-nodes",
        "ServiceAccount tercet",
        "ServiceMonitor tercet",
    ];
    assert_eq!(manifests.names(), expected);
    assert_eq!(faults(&manifests), [""; 0]);
}

#[test]
fn kustomize_is_given_every_manifest_but_two() {
    let given = read(&format!("{FOLDER}/kustomization.yaml"));
    let mut given = words(&document("kustomization.yaml", &given), "/resources");
    // A Job to be waited for before, and one for whom the cluster may have no word.
    given.extend(["migrate.yaml".to_owned(), "servicemonitor.yaml".to_owned()]);
    given.sort();
    assert_eq!(given, files());
}

/// A bug that somebody may put in: the kind, where, the new value (null takes it out), and what must be
/// said about it.
type Bug = (&'static str, &'static str, Value, &'static str);

fn bugs() -> Vec<Bug> {
    const POD: &str = "/spec/template/spec";
    const BOX: &str = "/spec/template/spec/containers/0";
    let at = |start: &str, rest: &str| -> &'static str { format!("{start}{rest}").leak() };
    let other = || json!({"app.kubernetes.io/name": "other"});
    let all_of_it = || json!({"app.kubernetes.io/name": "tercet"});
    vec![
        ("Deployment", at(BOX, "/readinessProbe/httpGet/path"), json!("/livez"), "asks /livez"),
        ("Deployment", at(BOX, "/livenessProbe/httpGet/path"), json!("/readyz"), "asks /readyz"),
        ("Deployment", at(BOX, "/startupProbe/httpGet/path"), json!("/health"), "asks /health"),
        ("Deployment", at(BOX, "/livenessProbe/httpGet/port"), json!("http"), "asks at Some(7200)"),
        ("Deployment", at(BOX, "/readinessProbe/periodSeconds"), json!(2), "left after 4000 ms"),
        (
            "Deployment",
            at(BOX, "/livenessProbe/failureThreshold"),
            json!(1),
            "killed after 5000 ms",
        ),
        ("Deployment", "/spec/selector/matchLabels", other(), "does not pick its pods"),
        ("Deployment", "/spec/strategy/rollingUpdate/maxUnavailable", json!(1), "takes nodes away"),
        ("Deployment", at(POD, "/terminationGracePeriodSeconds"), json!(13), "needs 13000 ms"),
        ("Deployment", at(POD, "/securityContext/runAsNonRoot"), Value::Null, "run as root"),
        ("Deployment", at(POD, "/securityContext/runAsUser"), json!(1000), "the image's user"),
        ("Deployment", at(POD, "/securityContext/seccompProfile"), Value::Null, "seccomp"),
        ("Deployment", at(POD, "/automountServiceAccountToken"), json!(true), "token"),
        ("Deployment", at(BOX, "/securityContext/capabilities"), json!({}), "has capabilities"),
        ("Deployment", at(BOX, "/securityContext/readOnlyRootFilesystem"), json!(false), "write"),
        ("Deployment", at(BOX, "/resources/limits/memory"), Value::Null, "/limits/memory is not"),
        ("Deployment", at(BOX, "/image"), json!("tercet:latest"), "the image tercet:latest"),
        ("Deployment", at(BOX, "/env/1/name"), json!("IP"), "uses POD_IP, not said before"),
        ("Deployment", at(BOX, "/env/2/value"), json!("tercet"), "all nodes are called tercet"),
        ("Deployment", at(BOX, "/env/3/value"), json!("http://tercet:7200"), "others are told"),
        ("Deployment", at(BOX, "/env/4/name"), json!("TERCET_SERVER__LISTENS"), "sets nothing"),
        ("Deployment", at(BOX, "/env/4/value"), json!("127.0.0.1:7200"), "others do not reach"),
        ("Deployment", at(BOX, "/env/6/valueFrom/secretKeyRef/name"), json!("x"), "no Secret x"),
        ("Deployment", at(BOX, "/env/7/name"), json!("POD"), "everybody is let in"),
        ("Deployment", at(BOX, "/env/7/value"), json!("/etc/tokens.toml"), "no tokens in"),
        ("Deployment", at(POD, "/volumes/1/secret/secretName"), json!("x"), "no Secret x"),
        ("Deployment", at(POD, "/volumes/1/secret/defaultMode"), json!(0o444), "may be read by"),
        ("Deployment", at(BOX, "/command/3"), json!("/etc/tercet.toml"), "has no settings"),
        ("ConfigMap", "/data/tercet.toml", json!("[shutdown]\ngrace_ms = 5000"), "drains for 0 ms"),
        ("ConfigMap", "/data/tercet.toml", json!("[shut]\ndrain_ms = 3000"), "no setting shut"),
        ("ConfigMap", "/metadata/namespace", json!("prod"), "not for a manifest to choose"),
        ("Job", at(BOX, "/command"), json!(["tercet", "migrate"]), "it runs"),
        ("Job", at(POD, "/restartPolicy"), json!("Always"), "start again for ever"),
        ("Service", "/spec/selector", other(), "does not pick the nodes"),
        ("Service", "/spec/selector", all_of_it(), "picks the migration"),
        ("Service", "/spec/ports/0/targetPort", json!("web"), "no port \"web\""),
        ("PodDisruptionBudget", "/spec/selector/matchLabels", other(), "does not pick the nodes"),
        ("PodDisruptionBudget", "/spec/maxUnavailable", json!(3), "3 may be taken away"),
        ("NetworkPolicy", "/spec/podSelector/matchLabels", other(), "does not pick the nodes"),
        ("NetworkPolicy", "/spec/ingress/0/from/0/podSelector", Value::Null, "reach each other"),
        ("NetworkPolicy", "/spec/ingress/0/ports", json!([]), "every port"),
        ("NetworkPolicy", "/spec/egress", Value::Null, "egress is not"),
        ("ServiceMonitor", "/spec/selector/matchLabels", other(), "picks 0 services"),
        ("ServiceMonitor", "/spec/endpoints/0/path", json!("/metric"), "asks /metric"),
        ("ServiceMonitor", "/spec/endpoints/0/port", json!("http"), "no port \"http\""),
    ]
}

#[test]
fn every_bug_that_is_put_into_the_manifests_is_found() {
    let whole = manifests();
    for (kind, pointer, value, said) in bugs() {
        let mut broken = whole.clone();
        let one = broken.all.iter_mut().find(|one| text(one, "/kind") == kind).expect(kind);
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        match one.pointer_mut(parent).unwrap_or_else(|| panic!("{kind} has no {parent}")) {
            Value::Object(object) if value.is_null() => {
                object.remove(name).unwrap_or_else(|| panic!("{kind} has no {pointer}"));
            }
            Value::Object(object) => {
                object.insert(name.to_owned(), value);
            }
            Value::Array(list) => list[name.parse::<usize>().expect("an index")] = value,
            other => panic!("{kind}{pointer}: {other}"),
        }
        let found = faults(&broken);
        let named = found.iter().any(|fault| fault.contains(said));
        assert!(named, "{kind}{pointer}: {said:?} is not in {found:#?}");
    }
}
