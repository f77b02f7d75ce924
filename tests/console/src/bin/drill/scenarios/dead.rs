//! A participant that is dead while many wait for it.

use serde_json::{Value, json};
use tercet_console_tests::eventually;

use crate::coordinator::branch;
use crate::scenarios::{LeftOut, Scenario};
use crate::scene::{Hands, Scene};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "dead",
    title: "a participant is dead, and {waiting} transactions wait for it",
    alert: "`participant.unreachable`",
    run: |scene| Box::pin(run(scene)),
};

async fn run(mut scene: Scene) -> Result<(), LeftOut> {
    scene.tercet.start().await;
    let stock = scene.participant("stock").await;
    let payment = scene.participant("payment").await;
    let waiting = scene.waiting;
    payment.die().await;
    // With nothing to reserve there they are decided at once, and wait for that one call.
    let (to_stock, to_payment) = (stock.endpoint(), format!("{}/confirm", payment.endpoint()));
    let body = move |number: usize| {
        let told = json!({"id": "payment", "confirm": to_payment});
        json!({"gid": gid(number), "branches": [branch("stock", &to_stock, &Value::Null), told]})
    };
    scene.tercet.begin_many(waiting, body).await;
    let alert = scene.pager.told("participant.unreachable", &payment.host_port()).await;
    let is_so = move |stats: &Value| stats["by_status"]["confirming"] == waiting;
    scene.tercet.counted("all wait", is_so).await;
    let (since, error) = (&alert["data"]["since"], &alert["data"]["last_error"]);
    assert!(
        since.is_string() && error.as_str().is_some_and(|it| it.contains("refused")),
        "{alert}"
    );
    scene.record.alerted(&format!("participant.unreachable, {}: {error}", payment.host_port()));

    let host_port = payment.host_port();
    let (in_words, grouped) = (waiting.to_string(), grouped(waiting));
    match scene.hands() {
        Hands::Shell(shell) => {
            let told = shell.tercet(&["participants"]).await;
            let line = told.text.lines().find(|line| line.contains(&host_port)).unwrap_or_default();
            assert!(line.contains("open") && line.contains(&in_words), "{}", told.text);
            let oldest = ["--order", "oldest", "--limit", "3"];
            let listed = shell
                .tercet(&[&["tx", "list", "--participant", &host_port][..], &oldest].concat())
                .await;
            let first = listed.text.lines().nth(1).and_then(|line| line.split_whitespace().next());
            let first = first.expect("one is listed").to_owned();
            shell.tercet(&["tx", "show", &first]).await.tells(&[
                "connection refused",
                "decided",
                "call-failed",
            ]);
            start(&scene, &payment).await;
        }
        Hands::Console(screen) => {
            screen.sign_in().await;
            screen
                .reads(
                    "#p-1",
                    &[&host_port, "since", "connection refused", &format!("Waiting\n{grouped}")],
                )
                .await;
            start(&scene, &payment).await;
            screen
                .reads("main", &["Every participant that was called lately answers as it should"])
                .await;
        }
    }
    let is_so = move |stats: &Value| stats["by_status"]["confirmed"] == waiting;
    scene.tercet.counted("all are confirmed", is_so).await;
    scene.record.repaired();
    eventually("the books have all of them, each once", || async {
        let books = payment.books();
        let books = books.lock().expect("nobody panics with them");
        let is_once =
            (0..waiting).all(|number| books.get(&gid(number)).is_some_and(|it| it.confirmed == 1));
        is_once.then_some(())
    })
    .await;
    scene.pager.told("participant.reachable", &payment.host_port()).await;
    Ok(())
}

async fn start(scene: &Scene, payment: &crate::participant::Participant) {
    scene.record.step("start payment again, at its machine");
    payment.come_back().await;
}

fn gid(number: usize) -> String {
    format!("order-{number:06}")
}

/// A count as the console writes it.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}
