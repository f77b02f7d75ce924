//! A wrong payload, sent five hundred times: its participant can read it neither to do it nor to undo it.

use serde_json::{Value, json};

use crate::coordinator::branch;
use crate::participant::Entry;
use crate::scenarios::{LeftOut, Scenario};
use crate::scene::{Hands, Scene};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "payload",
    title: "a wrong payload is sent 500 times",
    alert: "`branches.parked`",
    run: |scene| Box::pin(run(scene)),
};

const COUNT: usize = 500;
const WORDS: &str = "amount must be a number of cents";
const NOTE: &str = "nothing was reserved: billing-9 sent texts for amounts, ticket 4711";

async fn run(mut scene: Scene) -> Result<(), LeftOut> {
    scene.tercet.start().await;
    let payment = scene.participant("payment").await;
    payment.answer(|_, payload| match payload["amount"].is_number() {
        true => (200, Value::Null),
        false => (422, json!({"error": WORDS})),
    });
    let host_port = payment.host_port();
    let pay = |amount: Value| {
        branch("payment", &payment.endpoint(), &json!({"account": "alice", "amount": amount}))
    };
    let wrong = pay(json!("1,00 EUR"));
    let body = move |number: usize| json!({"gid": format!("bill-{number}"), "metadata": {"from": "billing-9"}, "branches": [wrong]});
    scene.tercet.begin_many(COUNT, body).await;
    let alert = scene.pager.told("branches.parked", &host_port).await;
    scene.tercet.counted("all are parked", |stats| stats["parked"] == COUNT).await;
    let words = alert["data"]["items"][0]["last_answer"]["body"].as_str().unwrap_or_default();
    assert!(words.contains(WORDS), "{alert}");
    scene.record.alerted(&format!("branches.parked, {host_port}: {words}"));

    match scene.hands() {
        Hands::Shell(shell) => {
            let told = shell.tercet(&["participants"]).await;
            let line = told.text.lines().find(|line| line.contains(&host_port)).unwrap_or_default();
            assert!(line.contains("500"), "{}", told.text);
            let oldest = ["--order", "oldest", "--limit", "3"];
            let listed = shell.tercet(&[&["tx", "list", "--parked"][..], &oldest].concat()).await;
            let first = listed.text.lines().nth(1).and_then(|line| line.split_whitespace().next());
            let first = first.expect("one is listed").to_owned();
            let shown = shell.tercet(&["tx", "show", &first, "--payload"]).await;
            shown.tells(&["PARKED", "billing-9", "answered 422", WORDS, "1,00 EUR"]);
            let which = ["--parked", "--participant", &host_port, "--metadata", "from=billing-9"];
            let as_what = ["tx", "bulk", "resolve", "--as", "cancelled"];
            let dry = shell
                .tercet(&[&as_what[..], &which, &["--note", NOTE, "--dry-run"]].concat())
                .await;
            dry.tells(&["500 unfinished transactions match"]);
            let done =
                shell.tercet(&[&as_what[..], &which, &["--note", NOTE, "--yes"]].concat()).await;
            done.tells(&["500 of 500 done"]);
        }
        Hands::Console(screen) => {
            screen.sign_in().await;
            screen.reads("#p-1", &[&host_port, "422", WORDS, "Parked\n500"]).await;
            screen.press("#p-1 .said-last a.gid", "the gid beside its last words").await;
            screen.press("#payload-payment summary", "Payload").await;
            screen.reads("#payload-payment", &["1,00 EUR"]).await;
            screen.reads("#facts", &["billing-9"]).await;
            screen.open("/console").await;
            screen.press("#p-1 header a.button", "Open list").await;
            screen.fill("input[name=metadata]", "Metadata", "from=billing-9").await;
            screen.press(".filters button.main", "Show").await;
            screen
                .choose(
                    "#many select[name=deed] option[value=resolve-cancelled]",
                    "resolve as cancelled",
                )
                .await;
            screen.choose("#many select[name=whom] option[value=all]", "all that match").await;
            screen.press("#many button", "Review …").await;
            screen.reads("h1", &["500 transactions: resolve as cancelled"]).await;
            screen.fill("form[action='/console/jobs'] input[name=note]", "Note", NOTE).await;
            screen.press("form[action='/console/jobs'] button", "Resolve 500").await;
            screen.reads("#job", &["done", "Done\n500", "Failed\n0"]).await;
        }
    }
    let is_so = |stats: &Value| stats["by_status"]["cancelled"] == COUNT && stats["parked"] == 0;
    scene.tercet.counted("all are cancelled", is_so).await;
    scene.record.repaired();
    let view = scene.tercet.transaction("bill-0").await;
    assert_eq!(
        (&view["mixed"], &view["branches"][0]["resolved_as"]),
        (&Value::Null, &json!("cancelled"))
    );
    let told = payment.books().lock().expect("nobody panics with them").len();
    assert_eq!(told, 0, "nothing was reserved, and nothing is");
    // Mended, the same initiator gets through.
    let right = json!({"gid": "bill-again", "branches": [pay(json!(100))]});
    scene.tercet.begin("?wait=finished", &right).await;
    scene.tercet.until("bill-again", "confirmed").await;
    assert_eq!(payment.entry("bill-again"), Entry { tried: 1, confirmed: 1, cancelled: 0 });
    let acts = scene.tercet.acts("job-begin").await;
    assert_eq!((acts.len(), &acts[0]["who"], &acts[0]["note"]), (1, &json!("olga"), &json!(NOTE)));
    Ok(())
}
