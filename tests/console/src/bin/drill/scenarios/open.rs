//! A transaction that hangs open: its initiator is gone, and what it reserved is held.

use serde_json::{Value, json};

use crate::coordinator::branch;
use crate::participant::Entry;
use crate::scenarios::{LeftOut, Scenario};
use crate::scene::{Hands, Scene};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "open",
    title: "a transaction hangs open: its initiator is gone",
    alert: "[TercetOldestTrying](#tercetoldesttrying)",
    run: |scene| Box::pin(run(scene)),
};

const GID: &str = "cart-17";
const WHY: &str = "the checkout is gone, ticket 4711";
/// The rule says an hour, for which nobody waits here.
const SECONDS: f64 = 3.0;

async fn run(mut scene: Scene) -> Result<(), LeftOut> {
    scene.tercet.start().await;
    let stock = scene.participant("stock").await;
    let stocks = branch("stock", &stock.endpoint(), &Value::Null);
    let body = json!({"gid": GID, "open": true, "timeout_ms": 86_400_000, "metadata": {"from": "checkout-3"}});
    scene.tercet.begin("?wait=accepted", &body).await;
    scene.tercet.post(&format!("/v1/transactions/{GID}/branches"), &stocks).await;
    for number in 0..3 {
        let body = json!({"gid": format!("order-{number}"), "branches": [stocks]});
        scene.tercet.begin("?wait=finished", &body).await;
    }
    assert_eq!(stock.entry(GID), Entry { tried: 1, ..Entry::default() });
    let age = r#"tercet_transactions_oldest_age_seconds{status="trying"}"#;
    scene.tercet.measured(age, |seconds| seconds > SECONDS).await;
    scene.record.alerted("TercetOldestTrying");

    match scene.hands() {
        Hands::Shell(shell) => {
            let listed =
                shell.tercet(&["tx", "list", "--status", "trying", "--order", "oldest"]).await;
            listed.tells(&[GID, "trying"]);
            let shown = shell.tercet(&["tx", "show", GID]).await;
            shown.tells(&[
                "trying",
                "begun",
                "deadline",
                "checkout-3",
                &stock.host_port(),
                "tried",
            ]);
            shell.tercet(&["tx", "cancel", GID, "--reason", WHY]).await.tells(&["cancel"]);
        }
        Hands::Console(screen) => {
            screen.sign_in().await;
            screen.follow("#pulse a[href$='status=trying']", "1 trying").await;
            screen.follow(&format!("#list a[href$='/{GID}']"), GID).await;
            screen.reads("#facts", &["open", "Deadline", "checkout-3"]).await;
            screen.reads("#branches", &[&stock.host_port()]).await;
            screen.press("#act-cancel summary", "Cancel …").await;
            screen.fill("#act-cancel input[name=note]", "Why", WHY).await;
            screen.press("#act-cancel button", "Cancel this transaction").await;
            screen.reads("#said", &["Cancel is decided"]).await;
        }
    }
    let view = scene.tercet.until(GID, "cancelled").await;
    scene.record.repaired();
    assert_eq!((&view["reason"], &view["reason_detail"]), (&json!("requested"), &json!(WHY)));
    assert_eq!(stock.entry(GID), Entry { tried: 1, confirmed: 0, cancelled: 1 });
    Ok(())
}
