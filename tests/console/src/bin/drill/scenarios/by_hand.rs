//! A branch that must be resolved by hand: its reservation is gone, and somebody has set its books right.

use serde_json::{Value, json};

use crate::coordinator::branch;
use crate::participant::Entry;
use crate::scenarios::{LeftOut, Scenario};
use crate::scene::{Hands, Scene};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "by-hand",
    title: "a branch must be resolved by hand: its reservation is gone",
    alert: "`branches.parked`",
    run: |scene| Box::pin(run(scene)),
};

const GID: &str = "order-1001";
const NOTE: &str = "booked by hand, ticket 4711";
const WORDS: &str = "the reservation ran out at 02:00";

async fn run(mut scene: Scene) -> Result<(), LeftOut> {
    scene.tercet.start().await;
    let stock = scene.participant("stock").await;
    let payment = scene.participant("payment").await;
    payment.answer(|op, _| match op {
        "confirm" => (410, json!({"error": WORDS})),
        _ => (200, Value::Null),
    });
    let branches = [
        branch("stock", &stock.endpoint(), &Value::Null),
        branch("payment", &payment.endpoint(), &json!({"account": "alice", "amount": 4200})),
    ];
    scene.tercet.begin("?wait=decided", &json!({"gid": GID, "branches": branches})).await;
    let alert = scene.pager.told("branches.parked", &payment.host_port()).await;
    let item = &alert["data"]["items"][0];
    assert_eq!((&item["gid"], &item["branch"]), (&json!(GID), &json!("payment")), "{alert}");
    scene.record.alerted(&format!("branches.parked, {GID}: {}", item["last_answer"]["body"]));

    match scene.hands() {
        Hands::Shell(shell) => {
            let shown = shell.tercet(&["tx", "show", GID, "--payload"]).await;
            shown.tells(&[
                "PARKED",
                "answered 410",
                WORDS,
                &payment.host_port(),
                "alice",
                "4200",
                "tx resolve",
            ]);
            book(&scene, &payment);
            let how = ["--as", "confirmed", "--note", NOTE, "--yes"];
            shell.tercet(&[&["tx", "resolve", GID, "payment"][..], &how].concat()).await;
        }
        Hands::Console(screen) => {
            screen.sign_in().await;
            screen.reads("#p-1", &[&payment.host_port(), "410", WORDS, "Parked\n1"]).await;
            screen.follow("#p-1 .said-last a.gid", GID).await;
            screen.press("#payload-payment summary", "Payload").await;
            screen.reads("#payload-payment", &["alice", "4200"]).await;
            book(&scene, &payment);
            screen.press("#resolve-payment summary", "Resolve by hand …").await;
            let way = "#resolve-payment .way:nth-of-type(1)";
            screen.reads(way, &["As confirmed"]).await;
            screen.fill(&format!("{way} input[name=note]"), "Note", NOTE).await;
            screen.press(&format!("{way} button"), "Resolve as confirmed").await;
            screen.reads("#said", &["Resolved by hand"]).await;
        }
    }
    let view = scene.tercet.until(GID, "confirmed").await;
    scene.record.repaired();
    assert_eq!(
        (&view["mixed"], &view["branches"][1]["resolved_as"]),
        (&Value::Null, &json!("confirmed"))
    );
    let acts = scene.tercet.acts("resolve").await;
    let act = (&acts[0]["gid"], &acts[0]["branch"], &acts[0]["who"], &acts[0]["note"]);
    assert_eq!(act, (&json!(GID), &json!("payment"), &json!("olga"), &json!(NOTE)));
    assert_eq!(payment.entry(GID), Entry { tried: 1, confirmed: 1, cancelled: 0 });
    assert_eq!(stock.entry(GID), Entry { tried: 1, confirmed: 1, cancelled: 0 });
    Ok(())
}

fn book(scene: &Scene, payment: &crate::participant::Participant) {
    scene.record.step("book it in payment's books, by hand");
    payment.write(GID, |entry| entry.confirmed += 1);
}
