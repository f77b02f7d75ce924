//! Every dependency has a licence that deny.toml allows.

use std::process::Command;

use crate::sources::root;

#[test]
fn every_dependency_has_a_licence_we_accept() {
    let deny = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let deny: toml::Table = deny.parse().expect("TOML");
    let allowed = deny["licenses"]["allow"].as_array().expect("a list");
    let allowed: Vec<&str> = allowed.iter().filter_map(toml::Value::as_str).collect();

    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 100, "only {} packages", packages.len());

    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !is_accepted(&package["license"], &allowed))
        .map(|package| {
            format!("{} {}: {}", package["name"], package["version"], package["license"])
        })
        .collect();
    assert!(refused.is_empty(), "not in deny.toml:\n{}", refused.join("\n"));
}

fn is_accepted(licence: &serde_json::Value, allowed: &[&str]) -> bool {
    let Some(text) = licence.as_str() else { return false };
    // An older form, still common among crates, writes OR as a slash.
    let Ok(expression) = spdx::Expression::parse_mode(text, spdx::ParseMode::LAX) else {
        return false;
    };
    expression.evaluate(|needed| {
        let name = needed.license.to_string();
        needed.addition.is_none() && allowed.contains(&name.as_str())
    })
}
