//! What may be wrong with manifests, all of it gathered, so that one test sees everything.

use serde_json::Value;

use crate::manifests::Manifests;
use crate::yaml::text;
use crate::{containers, nodes, services};

/// Faults, each a line that names the manifest.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    of: String,
    found: Vec<String>,
}

impl Faults {
    /// From here on they are this manifest's.
    pub(crate) fn of(&mut self, manifest: &Value) -> &mut Self {
        self.of = format!("{} {}", text(manifest, "/kind"), text(manifest, "/metadata/name"));
        self
    }

    /// One, unless what must hold does.
    pub(crate) fn unless(&mut self, holds: bool, fault: impl Into<String>) {
        if !holds {
            self.found.push(format!("{}: {}", self.of, fault.into()));
        }
    }

    /// Those that were found elsewhere.
    pub(crate) fn add(&mut self, faults: Vec<String>) {
        self.found.extend(faults.into_iter().map(|fault| format!("{}: {fault}", self.of)));
    }
}

/// All that is wrong with an installation.
pub(crate) fn faults(manifests: &Manifests) -> Vec<String> {
    let mut faults = Faults::default();
    for manifest in &manifests.all {
        let of = faults.of(manifest);
        let namespace = text(manifest, "/metadata/namespace");
        of.unless(namespace.is_empty(), "a namespace is not for a manifest to choose");
    }
    for workload in manifests.workloads() {
        containers::check(manifests, workload, &mut faults);
    }
    nodes::check(manifests, &mut faults);
    services::check(manifests, &mut faults);
    faults.found
}
