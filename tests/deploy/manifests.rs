//! Manifests of Kubernetes, all that belong to one installation.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::yaml::{documents, text, texts};

/// All of one installation.
#[derive(Debug, Clone)]
pub(crate) struct Manifests {
    pub(crate) all: Vec<Value>,
    /// Secrets that whoever installs it has made before.
    pub(crate) secrets: Vec<String>,
}

impl Manifests {
    /// Those in a text, beside Secrets that are there already.
    pub(crate) fn parse(what: &str, text: &str, secrets: &[&str]) -> Self {
        let secrets = secrets.iter().map(|&name| name.to_owned()).collect();
        Self { all: documents(what, text), secrets }
    }

    /// Kinds and names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |one| format!("{} {}", text(one, "/kind"), text(one, "/metadata/name"));
        let mut names: Vec<String> = self.all.iter().map(name).collect();
        names.sort();
        names
    }

    /// Those of a kind.
    pub(crate) fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.all.iter().filter(move |one| text(one, "/kind") == kind)
    }

    /// The only one of a kind.
    pub(crate) fn one(&self, kind: &str) -> &Value {
        let mut all = self.of(kind);
        let one = all.next().unwrap_or_else(|| panic!("no {kind} in {:?}", self.names()));
        assert!(all.next().is_none(), "one {kind} in {:?}", self.names());
        one
    }

    /// One of a kind by its name.
    pub(crate) fn named(&self, kind: &str, name: &str) -> Option<&Value> {
        self.of(kind).find(|one| text(one, "/metadata/name") == name)
    }

    /// What makes pods.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = &Value> {
        self.all.iter().filter(|one| one.pointer("/spec/template/spec").is_some())
    }

    /// The labels that the coordinators' pods have.
    pub(crate) fn node_labels(&self) -> BTreeMap<String, String> {
        texts(self.one("Deployment"), "/spec/template/metadata/labels")
    }
}

/// Whether a selector picks what has these labels. An empty one would pick everything, which is never meant
/// here.
pub(crate) fn selects(
    selector: &BTreeMap<String, String>,
    labels: &BTreeMap<String, String>,
) -> bool {
    !selector.is_empty() && selector.iter().all(|(name, value)| labels.get(name) == Some(value))
}
