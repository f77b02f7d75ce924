//! The machine is lost, and the coordinator goes on from its backup on another one.

use serde_json::{Value, json};

use crate::scenarios::payment::Payment;
use crate::scenarios::{LeftOut, Scenario};
use crate::scene::{Hands, Scene};
use crate::shell::{Shell, text};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "restore",
    title: "the coordinator's machine is lost: restored on another one",
    alert: "[TercetDown](#tercetdown)",
    run: |scene| Box::pin(run(scene)),
};

const AMOUNT: i64 = 100;
const NOTE: &str = "books compared, ticket 4711";

async fn run(mut scene: Scene) -> Result<(), LeftOut> {
    scene.tercet.start().await;
    let payment = Payment::start(scene.tercet.home()).await;
    scene.record.name(&payment.host_port(), "payment:80");
    let (balance, _) = payment.alice().await;
    let pay = payment.branch(&json!(AMOUNT));
    let closed = |gid: &str| json!({"gid": gid, "branches": [pay]});
    let open =
        |gid: &str| json!({"gid": gid, "open": true, "timeout_ms": 3_600_000, "branches": [pay]});
    scene.tercet.begin("?wait=finished", &closed("before-1")).await;
    reserve(&scene, &open("cart-1")).await;
    reserve(&scene, &open("cart-2")).await;
    let backup = scene.tercet.home().join("backup.db");
    scene
        .shell()
        .quietly(&["backup", text(&backup)])
        .await
        .tells(&["3 transactions, 2 of them unfinished"]);
    // What is done from here on is in no backup.
    scene.tercet.post("/v1/transactions/cart-1/confirm?wait=finished", &json!({})).await;
    scene.tercet.begin("?wait=finished", &closed("after-1")).await;
    reserve(&scene, &open("cart-3")).await;
    assert_eq!(payment.alice().await, (balance - 5 * AMOUNT, 2 * AMOUNT));
    scene.tercet.lose().await;
    assert_eq!(scene.tercet.metric("tercet_ready").await, None, "nobody answers");
    scene.record.alerted("TercetDown");

    let elsewhere = scene.tercet.home().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a folder");
    scene.tercet.move_to(&elsewhere, &["--restored"]);
    let endpoint = payment.endpoint();
    let shell = scene.shell();
    scene.record.name(text(&backup), "BACKUP");
    shell
        .tercet(&["restore", text(&backup)])
        .await
        .tells(&["3 transactions, 2 of them unfinished"]);
    scene.record.step("`tercet serve --restored`");
    scene.tercet.start().await;
    let compared = shell.tercet_ending(1, &["reconcile", &endpoint]).await;
    let found = differences(&compared.text);
    assert_eq!(
        found,
        [
            "undecided confirmed trying cart-1 payment",
            "unknown confirmed - after-1 payment",
            "unknown tried - cart-3 payment"
        ],
        "{}",
        compared.text
    );
    let shown: Vec<String> = found.iter().map(|line| format!("`{line}`")).collect();
    scene.record.note(&format!(
        "lost to the coordinator: 2 transactions that were begun after the backup, and 1 decision; to the participants: \
         nothing. `tercet reconcile` shows {}",
        shown.join(", ")
    ));
    give_back(&scene, &payment, &shell).await;
    match scene.hands() {
        Hands::Shell(shell) => {
            shell.tercet(&["tx", "show", "cart-1"]).await.tells(&["trying", "tried"]);
            let decided = shell.tercet(&["tx", "confirm", "cart-1", "--despite-hold"]).await;
            decided.tells(&["cart-1", "confirm"]);
            let released = shell.tercet(&["restored", "release", "--note", NOTE, "--yes"]).await;
            released.tells(&["1 transactions were held"]);
        }
        Hands::Console(screen) => {
            screen.sign_in().await;
            screen.reads("#hold", &["Held since a restore", "2 transactions"]).await;
            screen.press("#hold a[href*='status=trying']", "2 transactions").await;
            screen.follow("#list a[href$='/cart-1']", "cart-1").await;
            screen.reads("#is-held", &["undecided in the backup"]).await;
            screen.press("#act-confirm summary", "Confirm despite the hold …").await;
            screen.press("#act-confirm button", "Confirm this transaction").await;
            screen.reads("#state", &["confirmed"]).await;
            screen.press(".tabs a[href='/console']", "Needs you").await;
            screen.reads("#hold", &["1 transaction that was undecided"]).await;
            screen.press("#release summary", "Release …").await;
            screen.press("#release input[name=sure]", "The books were compared").await;
            screen.fill("#release input[name=note]", "Note", NOTE).await;
            screen.press("#release button", "Release 1").await;
            screen.reads("#said", &["Released: 1 transaction goes on"]).await;
        }
    }
    scene.tercet.until("cart-1", "confirmed").await;
    scene.tercet.counted("nothing is held", |stats| stats["restored"].is_null()).await;
    assert_eq!(payment.alice().await, (balance - 4 * AMOUNT, AMOUNT), "cart-3 is given back");
    scene.record.repaired();
    let acts = scene.tercet.acts("release").await;
    assert_eq!((acts.len(), &acts[0]["who"], &acts[0]["note"]), (1, &json!("olga"), &json!(NOTE)));
    // What was released goes on, and so does what comes.
    scene.tercet.post("/v1/transactions/cart-2/confirm?wait=finished", &json!({})).await;
    scene.tercet.begin("?wait=finished", &closed("later-1")).await;
    assert_eq!(payment.alice().await, (balance - 5 * AMOUNT, 0));
    Ok(())
}

/// Begins an open one, and sees that it has reserved.
async fn reserve(scene: &Scene, body: &Value) {
    scene.tercet.begin("?wait=accepted", body).await;
    let gid = body["gid"].as_str().expect("a gid");
    tercet_console_tests::eventually(&format!("{gid} has reserved"), || async {
        (scene.tercet.transaction(gid).await["branches"][0]["status"] == "tried").then_some(())
    })
    .await;
}

/// What `tercet reconcile` has found, without its head and its last line.
fn differences(said: &str) -> Vec<String> {
    let lines = said.lines().skip(1).filter(|line| !line.contains(" compared: "));
    let mut lines: Vec<String> =
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.sort_unstable();
    lines
}

/// Sends the Cancel that nobody sends any more.
async fn give_back(scene: &Scene, payment: &Payment, shell: &Shell) {
    let listed = shell.tercet_ending(1, &["reconcile", &payment.endpoint(), "-o", "jsonl"]).await;
    let findings = listed.text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let finding =
        findings.into_iter().find(|finding| finding["gid"] == "cart-3").expect("it is there");
    let instance = finding["instance"].as_str().expect("an instance");
    scene.record.step("send payment the Cancel of cart-3, by hand (curl)");
    payment.cancel("cart-3", instance, AMOUNT).await;
}
