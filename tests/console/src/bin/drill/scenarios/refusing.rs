//! A participant that refuses Confirm for good: it has moved, and says where to.

use serde_json::{Value, json};

use crate::coordinator::branch;
use crate::participant::{Entry, Participant};
use crate::scenarios::{LeftOut, Scenario};
use crate::scene::{Hands, Scene};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "refusing",
    title: "a participant refuses Confirm for good: its service has moved",
    alert: "`branches.parked`",
    run: |scene| Box::pin(run(scene)),
};

const ORDERS: [&str; 3] = ["order-1", "order-2", "order-3"];
const NOTE: &str = "moved, ticket 4711";
const WORDS: &str = "no longer confirmed here";

async fn run(mut scene: Scene) -> Result<(), LeftOut> {
    scene.tercet.start().await;
    let stock = scene.participant("stock").await;
    let old = scene.participant("payment").await;
    let new = scene.known(Participant::with_books("payment-2", old.books()).await);
    let moved = new.endpoint();
    old.answer(move |op, _| match op {
        "confirm" => (422, json!({"error": WORDS, "moved_to": moved})),
        _ => (200, Value::Null),
    });
    for gid in ORDERS {
        let branches = [
            branch("stock", &stock.endpoint(), &Value::Null),
            branch("payment", &old.endpoint(), &Value::Null),
        ];
        scene.tercet.begin("?wait=decided", &json!({"gid": gid, "branches": branches})).await;
    }
    scene.tercet.counted("all are parked", |stats| stats["parked"] == 3).await;
    let alert = scene.pager.told("branches.parked", &old.host_port()).await;
    let first = &alert["data"]["items"][0];
    assert_eq!((&first["op"], &first["last_answer"]["status"]), (&json!("confirm"), &json!(422)));
    scene.record.alerted(&format!(
        "branches.parked, {}: {}",
        old.host_port(),
        first["last_answer"]["body"]
    ));

    match scene.hands() {
        Hands::Shell(shell) => {
            let listed = shell.tercet(&["tx", "list", "--parked"]).await;
            listed.tells(&ORDERS);
            let shown = shell.tercet(&["tx", "show", "order-1"]).await;
            shown.tells(&["decided", "ago)", "PARKED", "answered 422", WORDS, &new.endpoint()]);
            let (host, port) = (old.host_port(), new.endpoint());
            shown.tells(&[&host]);
            for gid in ORDERS {
                let to = ["--endpoint", &port, "--note", NOTE];
                shell.tercet(&[&["tx", "readdress", gid, "payment"][..], &to].concat()).await;
            }
        }
        Hands::Console(screen) => {
            screen.sign_in().await;
            screen.reads("#p-1", &[&old.host_port(), "422", WORDS, "Parked\n3"]).await;
            for gid in ORDERS {
                if gid != ORDERS[0] {
                    screen.open("/console").await;
                }
                screen.press("#p-1 header a.button", "Open list").await;
                let link = format!("#list a[href$='/{gid}']");
                screen.follow(&link, gid).await;
                screen.reads("#branches", &[WORDS, &new.endpoint()]).await;
                let form = "#readdress-payment";
                screen.press(&format!("{form} summary"), "Call elsewhere …").await;
                screen
                    .fill(&format!("{form} input[name=endpoint]"), "Endpoint", &new.endpoint())
                    .await;
                screen.fill(&format!("{form} input[name=note]"), "Note", NOTE).await;
                screen.press(&format!("{form} button"), "Call payment there").await;
                screen.reads("#said", &["Calls from now on go to the new address"]).await;
            }
        }
    }
    for gid in ORDERS {
        let view = scene.tercet.until(gid, "confirmed").await;
        assert_eq!(
            (&view["mixed"], &view["branches"][1]["resolved_as"]),
            (&Value::Null, &Value::Null)
        );
    }
    scene.record.repaired();
    for gid in ORDERS {
        assert_eq!(new.entry(gid), Entry { tried: 1, confirmed: 1, cancelled: 0 }, "{gid}");
    }
    let acts = scene.tercet.acts("readdress").await;
    assert_eq!(acts.len(), ORDERS.len());
    assert!(acts.iter().all(|act| act["who"] == "olga" && act["note"] == NOTE), "{acts:?}");
    Ok(())
}
