//! deploy/helm/tercet, by helm itself: what it makes of the values is held to the same rules as the plain
//! manifests, and read by Kubernetes' own types.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::containers::{variable, version};
use crate::faults::faults;
use crate::manifests::Manifests;
use crate::yaml::{document, number, text, texts};
use crate::{read, root, tool};

const CHART: &str = "deploy/helm/tercet";
/// The values that have no default.
const NEEDED: &str =
    "database: {existingSecret: tercet-database}\nauth: {existingSecret: tercet-tokens}";

/// Everything that can be switched on or added, away from its default.
const EVERYTHING: &str = r#"
replicas: 5
ipv6: true
fullnameOverride: coordinators
image: {repository: registry.example/team/tercet, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", pullPolicy: Always}
imagePullSecrets: [{name: registry}]
database: {url: "postgres://tercet:p%40ss@database.example:5432/tercet?sslmode=verify-full"}
auth: {existingSecret: who-is-let-in, key: of-tercet}
settings:
  log: {format: text, filter: "info,tercet_coordinator=debug"}
  limits: {live_transactions: 10000000}
  shutdown: {drain_ms: 10001, grace_ms: 20000}
service: {type: LoadBalancer, port: 80, annotations: {example.com/internal: "true"}}
migration: {existingSecret: migration-database, key: url-of-owner}
podDisruptionBudget: {maxUnavailable: 2}
networkPolicy: {clients: [{namespaceSelector: {matchLabels: {team: orders}}}], monitoring: [], egress: []}
serviceMonitor: {enabled: true, interval: 30s, scrapeTimeout: 10s, labels: {release: prometheus}}
serviceAccount: {create: false, name: coordinators}
extraEnv: [{name: TERCET_RETENTION__BRANCHES_DAYS, value: "30"}]
extraVolumes: [{name: ca, secret: {secretName: database-ca}}]
extraVolumeMounts: [{name: ca, mountPath: /etc/tercet-ca, readOnly: true}]
podAnnotations: {example.com/a: b}
podLabels: {example.com/c: d}
priorityClassName: important
nodeSelector: {kubernetes.io/arch: amd64}
tolerations: [{key: dedicated, operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: disk, operator: Exists}]}]}}}
"#;

fn helm(verb: &[&str], values: &str) -> Output {
    let mut file = tempfile::NamedTempFile::with_suffix(".yaml").expect("a file");
    file.write_all(values.as_bytes()).expect("it takes some bytes");
    let mut helm = Command::new(tool("helm"));
    helm.args(verb).arg(root().join(CHART)).arg("--values").arg(file.path());
    helm.output().expect("helm")
}

fn said(output: &Output) -> String {
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr))
}

fn template(values: &str, secrets: &[&str]) -> Manifests {
    let made = helm(&["template", "shop", "--namespace", "shop"], values);
    assert!(made.status.success(), "{}", said(&made));
    let text = String::from_utf8(made.stdout).expect("UTF-8");
    read_strictly(&text);
    Manifests::parse("helm template", &text, secrets)
}

/// By the types of Kubernetes itself: a field that it does not know would be dropped there without a word.
fn read_strictly(text: &str) {
    let mut strict = Command::new(tool("strict"));
    let strict = strict.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut strict = strict.spawn().expect("the reader");
    let mut input = strict.stdin.take().expect("its input");
    input.write_all(text.as_bytes()).expect("it reads all of it");
    drop(input);
    let ended = strict.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", said(&ended));
}

#[test]
#[ignore = "needs helm: run tests/deploy/run"]
fn helm_finds_nothing_wrong_with_the_chart() {
    for values in [NEEDED, EVERYTHING] {
        let linted = helm(&["lint", "--strict"], values);
        assert!(linted.status.success(), "{}", said(&linted));
    }
}

#[test]
#[ignore = "needs helm: run tests/deploy/run"]
fn the_chart_with_its_defaults_is_what_the_manifests_are() {
    let manifests = template(NEEDED, &["tercet-database", "tercet-tokens"]);
    let expected = [
        "ConfigMap shop-tercet",
        "Deployment shop-tercet",
        "Job shop-tercet-migrate",
        "NetworkPolicy shop-tercet",
        "PodDisruptionBudget shop-tercet",
        "Service shop-tercet",
        "Service shop-tercet-nodes",
        "ServiceAccount shop-tercet",
    ];
    assert_eq!(manifests.names(), expected);
    assert_eq!(faults(&manifests), [""; 0]);
    assert_eq!(number(manifests.one("Deployment"), "/spec/replicas"), 3);
    let plain = document("deployment.yaml", &read("deploy/kubernetes/deployment.yaml"));
    let same = |pointer: &str| {
        let pointer = format!("/spec/template/spec{pointer}");
        let (chart, plain) =
            (manifests.one("Deployment").pointer(&pointer), plain.pointer(&pointer));
        assert!(plain.is_some(), "{pointer}");
        assert_eq!(chart, plain, "{pointer}");
    };
    same("/securityContext");
    same("/terminationGracePeriodSeconds");
    for of in ["command", "env", "image", "ports", "resources", "securityContext"] {
        same(&format!("/containers/0/{of}"));
    }
    for of in ["startupProbe", "livenessProbe", "readinessProbe", "volumeMounts"] {
        same(&format!("/containers/0/{of}"));
    }
}

#[test]
#[ignore = "needs helm: run tests/deploy/run"]
fn the_chart_with_everything_on_is_right_as_well() {
    let manifests = template(EVERYTHING, &["migration-database", "who-is-let-in"]);
    let expected = [
        "ConfigMap coordinators",
        "Deployment coordinators",
        "Job coordinators-migrate",
        "NetworkPolicy coordinators",
        "PodDisruptionBudget coordinators",
        "Secret coordinators-database",
        "Service coordinators",
        "Service coordinators-nodes",
        "ServiceMonitor coordinators",
    ];
    assert_eq!(manifests.names(), expected);
    assert_eq!(faults(&manifests), [""; 0]);
    let pod = &manifests.one("Deployment")["spec"]["template"]["spec"];
    // 10 001 + 2 × 20 000 ms, rounded up, and two seconds.
    assert_eq!(pod["terminationGracePeriodSeconds"], json!(53));
    let container = &pod["containers"][0];
    assert_eq!(variable(container, "TERCET_CLUSTER__ADVERTISE_URL"), "http://[$(POD_IP)]:7200");
    assert_eq!(variable(container, "TERCET_RETENTION__BRANCHES_DAYS"), "30");
    assert_eq!(pod["serviceAccountName"], "coordinators");
    let settings = text(manifests.one("ConfigMap"), "/data/tercet.toml");
    // Helm reads numbers as floats: this one must not be 1e+07.
    assert!(settings.contains("live_transactions = 10000000\n"), "{settings}");
}

#[test]
#[ignore = "needs helm: run tests/deploy/run"]
fn a_migration_finds_its_secret_before_the_release_is_there() {
    let manifests = template(
        "database: {url: 'mysql://tercet@database.example/tercet'}\nauth: {allowAnonymous: true}",
        &[],
    );
    assert_eq!(faults(&manifests), [""; 0]);
    let job = manifests.one("Job");
    let weight = |one: &Value| {
        let annotations = texts(one, "/metadata/annotations");
        assert_eq!(annotations["helm.sh/hook"], "pre-install,pre-upgrade", "{one}");
        annotations["helm.sh/hook-weight"].parse::<i32>().expect("a number")
    };
    let secret = "/spec/template/spec/containers/0/env/0/valueFrom/secretKeyRef/name";
    let secret = manifests.named("Secret", text(job, secret)).expect("one of the chart's");
    assert!(weight(secret) < weight(job), "the Secret is there first");
    // What is no hook is not there yet.
    assert_eq!(job.pointer("/spec/template/spec/serviceAccountName"), None);
    assert_eq!(job.pointer("/spec/template/spec/volumes"), None);
}

#[test]
#[ignore = "needs helm: run tests/deploy/run"]
fn values_that_cannot_be_meant_are_refused() {
    let with = |more: &str| format!("{NEEDED}\n{more}");
    for (values, said_of) in [
        ("auth: {allowAnonymous: true}".to_owned(), "database.existingSecret"),
        ("database: {existingSecret: a}".to_owned(), "auth.existingSecret"),
        (with("settings: {auth: {tokens_file: a}}"), "/settings/auth"),
        ("database: {url: 'sqlite://tercet.db'}".to_owned(), "/database/url"),
        (with("settings: {database: {url: 'postgres://a/b'}}"), "/settings/database"),
        (with("settings: {server: {listen: '0.0.0.0:80'}}"), "/settings/server"),
        (with("settings: {node: {id: one}}"), "/settings/node"),
        (with("settings: {shutdown: {drain_ms: 3s}}"), "/settings/shutdown/drain_ms"),
        (with("settings: {retry: {try_attempts: 1.5}}"), "/settings/retry"),
        (with("replicas: 0"), "/replicas"),
        (with("replica: 3"), "replica"),
        (with("image: {tag: latest}"), "/image/tag"),
        (with("resources: {limits: {memory: null}}"), "/resources/limits"),
    ] {
        let made = helm(&["template", "shop"], &values);
        assert!(!made.status.success(), "taken: {values}");
        let said = said(&made);
        assert!(said.contains(said_of), "{values}: {said}");
    }
}

#[test]
fn the_chart_is_of_the_version_that_is_built() {
    let chart = document("Chart.yaml", &read(&format!("{CHART}/Chart.yaml")));
    assert_eq!(text(&chart, "/appVersion"), version());
}

#[test]
#[ignore = "needs Go: run tests/deploy/run"]
fn kubernetes_knows_every_field_of_the_manifests() {
    for file in [
        "configmap",
        "deployment",
        "migrate",
        "networkpolicy",
        "poddisruptionbudget",
        "service",
        "serviceaccount",
    ] {
        read_strictly(&read(&format!("deploy/kubernetes/{file}.yaml")));
    }
}

#[test]
#[ignore = "needs Go: run tests/deploy/run"]
#[should_panic = "unknown field \"spec.replica\""]
fn kubernetes_is_asked_about_every_field() {
    let deployment = read("deploy/kubernetes/deployment.yaml");
    read_strictly(&deployment.replace("  replicas: 3", "  replica: 3"));
}
