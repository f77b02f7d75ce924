//! The examples, built and run as their READMEs say.

mod demo;
mod process;

use std::path::{Path, PathBuf};
use std::process::Command;

use process::Process;
use serde_json::{Value, json};
use tercet_testing::{Client, daemon, soon};

/// The profile of the workspace, so that what it has compiled is not compiled again.
const SAME_PROFILE: [&str; 3] = [
    r#"profile.dev.debug="line-tables-only""#,
    r#"profile.dev.package."*".debug=false"#,
    "profile.dev.build-override.opt-level=0",
];

/// Builds an example into the workspace's own target directory; gives where its programs are.
fn build(example: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // target/debug/tercet
    let programs = daemon().parent().expect("a directory").to_owned();
    let manifest = root.join("examples").join(example).join("Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--manifest-path"]).arg(&manifest);
    cargo.arg("--target-dir").arg(programs.parent().expect("target"));
    for setting in SAME_PROFILE {
        cargo.args(["--config", setting]);
    }
    let built = cargo.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(
        built.status.success(),
        "if only its lock file is old: cargo update --workspace --manifest-path {}\n{said}",
        manifest.display()
    );
    programs
}

/// What people copy from there is what is built and run here.
#[test]
fn the_quickstart_shows_the_coupon_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).expect(file);
    let quickstart = read("docs/quickstart-rust.md");
    for file in ["src/main.rs", "src/bin/buy.rs"] {
        let code = format!("```rust\n{}```", read(&format!("examples/coupon/{file}")));
        assert!(quickstart.contains(&code), "{file} is another one there");
    }
    let manifest = read("examples/coupon/Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]").expect("dependencies");
    assert!(quickstart.contains(&format!("```toml\n[dependencies]{dependencies}```")));
    let readme = read("examples/coupon/README.md");
    let (_, check) = readme.split_once("cargo run -p tercet-participant").expect("a check");
    let check = check.split("```").next().expect("its end");
    assert!(quickstart.contains(check), "it is checked otherwise there");
}

#[tokio::test]
async fn the_coupon_example_works_as_its_readme_says() {
    let programs = tokio::task::spawn_blocking(|| build("coupon")).await.expect("it builds");
    let directory = tempfile::TempDir::new().expect("a directory");
    let start = |program: &str, arguments: &[&str]| {
        Process::start(&programs.join(program), arguments, directory.path())
    };
    let mut dev = start("tercet", &["dev", "--listen", "127.0.0.1:0"]);
    let tercet = soon("tercet dev says where it runs", dev.url()).await;
    let mut coupon = start("coupon", &["127.0.0.1:0"]);
    let coupons = soon("coupon says where it runs", coupon.url()).await;
    let endpoint = format!("{coupons}/coupon");

    let bought = start("buy", &["SPRING", &tercet, &endpoint]);
    let (success, said) = soon("buy ends", bought.ended()).await;
    assert!(success && said.contains("is confirmed"), "{said}");
    assert_eq!(read(&coupons).await, json!({"free": 999, "held": 0, "used": 1}));

    let refused = start("buy", &["WINTER", &tercet, &endpoint]);
    let (success, said) = soon("buy ends", refused.ended()).await;
    assert!(!success && said.contains("no such coupon is left"), "{said}");
    assert_eq!(read(&coupons).await, json!({"free": 999, "held": 0, "used": 1}));
}

async fn read(coupons: &str) -> Value {
    let address = coupons.strip_prefix("http://").and_then(|address| address.parse().ok());
    let client = Client::new(address.expect("an address"));
    let answer = client.http().get(format!("{coupons}/coupons")).send().await.expect("an answer");
    serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
}
