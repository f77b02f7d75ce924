//! What leads to the coordinators, and what stands between: services, budgets, policies, monitors.

use serde_json::{Value, json};

use crate::containers::port;
use crate::faults::Faults;
use crate::manifests::{Manifests, selects};
use crate::read;
use crate::yaml::{list, number, text, texts};

/// Looks at all of them.
pub(crate) fn check(manifests: &Manifests, faults: &mut Faults) {
    let deployment = manifests.one("Deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let picks_nodes = |one: &Value, pointer: &str, of: &mut Faults| {
        let selector = texts(one, pointer);
        let picked = selects(&selector, &manifests.node_labels());
        of.unless(picked, format!("{pointer} does not pick the nodes"));
        for job in manifests.of("Job") {
            let labels = texts(job, "/spec/template/metadata/labels");
            of.unless(!selects(&selector, &labels), format!("{pointer} picks the migration"));
        }
    };
    for service in manifests.of("Service") {
        let of = faults.of(service);
        picks_nodes(service, "/spec/selector", of);
        for one in list(service, "/spec/ports") {
            let target = &one["targetPort"];
            of.unless(port(container, target).is_some(), format!("there is no port {target}"));
        }
        if service["spec"]["clusterIP"] == json!("None") {
            let all = service["spec"]["publishNotReadyAddresses"] == json!(true);
            of.unless(all, "who is not ready is not seen");
        }
    }
    for budget in manifests.of("PodDisruptionBudget") {
        let of = faults.of(budget);
        picks_nodes(budget, "/spec/selector/matchLabels", of);
        let fewest = number(deployment, "/spec/replicas").saturating_sub(1).max(1);
        let away = number(budget, "/spec/maxUnavailable");
        of.unless((1..=fewest).contains(&away), format!("{away} may be taken away"));
    }
    for policy in manifests.of("NetworkPolicy") {
        let of = faults.of(policy);
        picks_nodes(policy, "/spec/podSelector/matchLabels", of);
        reaches(manifests, policy, container, of);
    }
    for monitor in manifests.of("ServiceMonitor") {
        let of = faults.of(monitor);
        scrapes(manifests, monitor, of);
    }
}

/// Nodes must reach each other, and whoever looks after them the probes' port.
fn reaches(manifests: &Manifests, policy: &Value, container: &Value, of: &mut Faults) {
    let types = list(policy, "/spec/policyTypes");
    of.unless(types.contains(&json!("Ingress")), "it keeps nobody out");
    let going_out = types.contains(&json!("Egress"));
    of.unless(
        going_out != list(policy, "/spec/egress").is_empty(),
        "egress is not as its types say",
    );
    let mut by_nodes = false;
    for rule in list(policy, "/spec/ingress") {
        let ports = list(rule, "/ports");
        of.unless(!ports.is_empty(), "every port may be reached");
        for one in ports {
            let known = port(container, &one["port"]).is_some();
            of.unless(known, format!("there is no port {}", one["port"]));
        }
        let from = list(rule, "/from");
        of.unless(!from.is_empty(), "everybody may come in");
        let nodes = |peer: &Value| {
            peer["podSelector"] == json!({})
                || selects(&texts(peer, "/podSelector/matchLabels"), &manifests.node_labels())
        };
        let http = ports.iter().any(|one| one["port"] == json!("http"));
        by_nodes |= http && from.iter().any(nodes);
    }
    of.unless(by_nodes, "nodes do not reach each other");
}

fn scrapes(manifests: &Manifests, monitor: &Value, of: &mut Faults) {
    let selector = texts(monitor, "/spec/selector/matchLabels");
    let picked: Vec<&Value> = manifests
        .of("Service")
        .filter(|service| selects(&selector, &texts(service, "/metadata/labels")))
        .collect();
    of.unless(picked.len() == 1, format!("it picks {} services", picked.len()));
    let routes = read("crates/coordinator/src/http/handlers/health.rs");
    for endpoint in list(monitor, "/spec/endpoints") {
        let path = text(endpoint, "/path");
        let route = path == "/metrics" && routes.contains(&format!("path = \"{path}\""));
        of.unless(route, format!("it asks {path}"));
        let name = &endpoint["port"];
        let there = picked
            .iter()
            .all(|service| list(service, "/spec/ports").iter().any(|one| one["name"] == *name));
        of.unless(there, format!("the service has no port {name}"));
    }
}
