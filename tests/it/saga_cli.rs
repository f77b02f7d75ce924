//! `tercet saga`: what it prints, and the exit codes that scripts go by.

use std::path::Path;

use serde_json::{Value, json};
use tercet_testing::{Participant, Tercet};

use crate::bodies::with;
use crate::ran::{Ran, directory, run};
use crate::saga_definitions::definition;

/// Runs `tercet saga` against this daemon, in a directory.
async fn saga(tercet: &Tercet, at: &Path, arguments: &[&str]) -> Ran {
    let url = format!("http://{}", tercet.address());
    let arguments: Vec<&str> = ["saga"].iter().chain(arguments).copied().collect();
    run(at, &arguments, &[("TERCET_URL", &url)]).await
}

#[tokio::test]
async fn a_definition_is_put_shown_run_and_retired_by_hand() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let directory = directory();
    let at = directory.path();
    let document = with(
        definition(&participant, &["flight", "hotel"]),
        json!({ "input_schema": { "required": ["seats"] } }),
    );
    std::fs::write(at.join("trip.json"), document.to_string()).expect("it can be written");
    std::fs::write(at.join("input.json"), r#"{"seats": 2.0}"#).expect("it can be written");
    let well = async |arguments: &[&str]| {
        let ran = saga(&tercet, at, arguments).await;
        assert_eq!(ran.code, Some(0), "{arguments:?}: {} {}", ran.stdout, ran.stderr);
        let fits = ran.stdout.lines().all(|line| line.chars().count() <= 80);
        assert!(fits || arguments.contains(&"json"), "{}", ran.stdout);
        ran.stdout
    };
    assert_eq!(well(&["list"]).await, "no definitions\n");
    assert_eq!(well(&["put", "trip", "trip.json"]).await, "trip: version 1\n");
    let again = well(&["put", "trip", "trip.json"]).await;
    assert_eq!(again, "trip: version 1 has this content already\n");
    let listed = well(&["list"]).await;
    assert!(listed.contains("trip  1"), "{listed}");
    let shown = well(&["show", "trip"]).await;
    for said in ["trip  version 1, put", "flight", "compensate", "\"seats\""] {
        assert!(shown.contains(said), "{said} in {shown}");
    }
    let json: Value =
        serde_json::from_str(&well(&["show", "trip", "--version", "1", "-o", "json"]).await)
            .expect("JSON");
    assert_eq!(json["steps"], document["steps"]);
    let ran = well(&["run", "trip", "--gid", "t-1", "--input", "input.json"]).await;
    assert!(ran.contains("t-1  confirmed"), "{ran}");
    assert!(participant.calls()[0].body.contains(r#"{"seats": 2.0}"#), "to the byte");
    let ran = well(&["run", "trip", "--input", r#"{"seats":1}"#, "--metadata", r#"{"a":1}"#]).await;
    assert!(ran.contains("confirmed"), "{ran}");
    for (arguments, code, said) in [
        (&["run", "trip", "--input", "{}"][..], 2, "seats"),
        (&["run", "trip", "--input", "{"], 2, "--input"),
        (&["run", "trip", "--input", "none.json"], 2, "none.json"),
        (&["run", "trip", "--metadata", "7"], 2, "--metadata"),
        (&["run", "tour"], 3, "tour"),
        (&["show", "trip", "--version", "2"], 3, "version 2"),
        (&["put", "trip", "none.json"], 2, "none.json"),
        (&["retire", "trip"], 2, "--yes"),
        (&["retire", "tour", "--yes"], 3, "tour"),
    ] {
        let ran = saga(&tercet, at, arguments).await;
        assert_eq!(ran.code, Some(code), "{arguments:?}: {} {}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
    assert_eq!(well(&["retire", "trip", "--yes"]).await, "trip is retired\n");
    assert!(well(&["list"]).await.contains("retired"));
    let ran = saga(&tercet, at, &["run", "trip", "--input", r#"{"seats":1}"#]).await;
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
}
