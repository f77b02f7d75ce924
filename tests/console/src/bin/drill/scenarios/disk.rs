//! A coordinator whose disk is full.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};
use tercet_console_tests::{Role, eventually, token};

use crate::coordinator::{BEGIN, branch};
use crate::participant::Entry;
use crate::scenarios::{LeftOut, Scenario};
use crate::scene::{Hands, Scene};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "disk",
    title: "the coordinator's disk is full",
    alert: "[TercetNotReady](#tercetnotready), [TercetNothingCommits](#tercetnothingcommits)",
    run: |scene| Box::pin(run(scene)),
};

/// Megabytes of the disk: with room enough that nobody is alarmed once what fills it is gone.
const SIZE: usize = 192;
const NOT_READY: &str = "This node takes no work";

async fn run(mut scene: Scene) -> Result<(), LeftOut> {
    let disk = Disk::mount(&scene.tercet.home().join("disk"))?;
    scene.tercet.move_to(&disk.0, &[]);
    scene.tercet.start().await;
    let stock = scene.participant("stock").await;
    let stocks = branch("stock", &stock.endpoint(), &Value::Null);
    let body = |gid: &str, payload: &str| {
        let mut stocks = stocks.clone();
        stocks["payload"] = json!(payload);
        json!({"gid": gid, "branches": [stocks]})
    };
    let mut told = Vec::new();
    for number in 0..5 {
        let gid = format!("before-{number}");
        scene.tercet.begin("?wait=finished", &body(&gid, "")).await;
        told.push(gid);
    }
    disk.fill();
    // What is left within the files is used up first.
    let large = "x".repeat(200_000);
    let mut doubtful = Vec::new();
    while doubtful.is_empty() {
        let gid = format!("order-{}", told.len());
        match begin(&scene, &body(&gid, &large)).await {
            200..300 => told.push(gid),
            503 => doubtful.push(gid),
            status => panic!("{gid} is answered {status}"),
        }
        assert!(told.len() < 500, "it is never full");
    }
    scene.tercet.measured("tercet_ready", |is| is == 0.0).await;
    scene.tercet.measured("tercet_journal_queue_records", |count| count > 0.0).await;
    scene.tercet.logged("journal_unavailable").await;
    assert_eq!(
        begin(&scene, &body("refused", "")).await,
        503,
        "nothing is taken that cannot be kept"
    );
    scene.record.alerted("TercetNotReady, TercetNothingCommits");

    match scene.hands() {
        Hands::Shell(shell) => {
            let said = shell.tercet_ending(1, &["doctor"]).await;
            said.tells(&["disk", "0 MiB of 192 MiB are free", "503: the journal cannot write"]);
        }
        Hands::Console(screen) => {
            screen.sign_in().await;
            screen.reads("#need", &[NOT_READY, "the journal cannot write"]).await;
            screen.press(".tabs a[href='/console/operations']", "Operations").await;
            screen.reads("#journal", &["Free on its disk\n0 MiB of 192 MiB"]).await;
        }
    }
    scene.record.step("make room on the coordinator's disk");
    disk.free();
    eventually("it takes work again", || async {
        (scene.tercet.metric("tercet_ready").await == Some(1.0)).then_some(())
    })
    .await;
    for gid in told.iter().chain(&doubtful) {
        scene.tercet.until(gid, "confirmed").await;
    }
    scene.record.repaired();
    scene.tercet.begin("?wait=finished", &body("refused", "")).await;
    told.push("refused".to_owned());
    for gid in told.iter().chain(&doubtful) {
        assert_eq!(stock.entry(gid), Entry { tried: 1, confirmed: 1, cancelled: 0 }, "{gid}");
    }
    match scene.hands() {
        Hands::Shell(shell) => shell.quietly(&["doctor"]).await.tells(&["is ready"]),
        Hands::Console(screen) => {
            let is_calm = async || (!screen.text("main").await.contains(NOT_READY)).then_some(());
            eventually("the console says nothing of it any more", is_calm).await;
        }
    }
    scene.record.note(&format!(
        "{} that were begun before were kept, {} was in doubt and is confirmed",
        told.len() - 1,
        doubtful.len()
    ));
    Ok(())
}

async fn begin(scene: &Scene, body: &Value) -> u16 {
    let asked = scene.tercet.ask(&token(Role::Client), Method::POST, BEGIN, Some(body)).await;
    asked.expect("an answer").status().as_u16()
}

/// A small file system of its own.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Result<Self, LeftOut> {
        std::fs::create_dir(at).expect("a folder");
        let size = format!("size={SIZE}m");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        let mount = mount.map_err(|error| LeftOut(format!("mount: {error}")))?;
        match mount.status.success() {
            true => Ok(Self(at.to_owned())),
            false => Err(LeftOut(String::from_utf8_lossy(&mount.stderr).trim().to_owned())),
        }
    }

    /// Writes until there is no room for a page more, and then for a byte.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("a file");
        for piece in [vec![0; 1 << 20], vec![0; 4096], vec![0]] {
            while filler.write_all(&piece).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the coordinator may be on its way out.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
