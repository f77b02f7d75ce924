//! A flood of begins: an initiator begins what nobody ends, until no more is taken from anybody.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tercet_console_tests::{Role, eventually, sha256, token};
use tokio::task::JoinSet;

use crate::coordinator::{BEGIN, branch};
use crate::participant::{Entry, Participant};
use crate::scenarios::dead::grouped;
use crate::scenarios::{LeftOut, Scenario};
use crate::scene::{Hands, Scene};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "flood",
    title: "a flood of begins: {waiting} that nobody ends, and no more are taken",
    alert: "[TercetNotAdmitted](#tercetnotadmitted)",
    run: |scene| Box::pin(run(scene)),
};

const TOKEN: &str = "import-import-import-import";
const NOTE: &str = "a flood of import-7, ticket 4711";
/// How many send at a time.
const SENDERS: usize = 32;
/// Between two begins of one that was refused.
const PAUSE: Duration = Duration::from_millis(100);

async fn run(mut scene: Scene) -> Result<(), LeftOut> {
    let tokens = scene.tercet.home().join("tokens.toml");
    write(
        &tokens,
        &format!(
            "[[auth.tokens]]\nname = \"import\"\nrole = \"client\"\nsha256 = \"{}\"\n",
            sha256(TOKEN)
        ),
    );
    let half = (scene.waiting / 2).to_string();
    scene.tercet.set("AUTH__TOKENS_FILE", tokens.to_str().expect("UTF-8"));
    scene.tercet.set("LIMITS__LIVE_TRANSACTIONS", &scene.waiting.to_string());
    scene.tercet.set("LIMITS__IN_MEMORY_WAITING_TRANSACTIONS", &half);
    scene.tercet.set("LIMITS__PAGED_OUT_TRANSACTIONS", &half);
    scene.tercet.start().await;
    let stock = scene.participant("stock").await;
    let imports = scene.participant("imports").await;
    let stocks = branch("stock", &stock.endpoint(), &Value::Null);
    // The shop's own, begun before: it must get through in the middle of the flood.
    let shop =
        json!({"gid": "shop-1", "open": true, "timeout_ms": 3_600_000, "branches": [stocks]});
    scene.tercet.begin("?wait=accepted", &shop).await;
    let flood = Flood::begin(&scene, &imports);
    scene.tercet.measured("tercet_admissions_refused_total", |count| count > 0.0).await;
    scene.tercet.logged("admissions_refused").await;
    scene.record.alerted("TercetNotAdmitted");

    scene.tercet.post("/v1/transactions/shop-1/confirm", &json!({})).await;
    scene.tercet.until("shop-1", "confirmed").await;
    assert_eq!(stock.entry("shop-1"), Entry { tried: 1, confirmed: 1, cancelled: 0 });
    // What has ended makes room for one; whoever comes first has it.
    let others = AtomicUsize::new(0);
    let refused = eventually("the limit holds for all", || async {
        let gid = format!("other-{}", others.fetch_add(1, Ordering::Relaxed));
        match asked(&scene, &json!({"gid": gid, "branches": [stocks]})).await {
            (429, pause, code) => Some((pause, code)),
            _ => None,
        }
    })
    .await;
    assert_eq!(refused, (true, "too-many-requests".to_owned()));

    match scene.hands() {
        Hands::Shell(shell) => {
            shell.tercet(&["stats"]).await.tells(&["trying"]);
            let oldest = ["--order", "oldest", "--limit", "3"];
            let listed =
                shell.tercet(&[&["tx", "list", "--status", "trying"][..], &oldest].concat()).await;
            listed.tells(&["import-7-"]);
            let gid = listed.text.split_whitespace().find(|word| word.starts_with("import-7-"));
            let gid = gid.expect("one is listed").to_owned();
            shell.tercet(&["tx", "show", &gid]).await.tells(&[
                "trying",
                r#""from":"import-7""#,
                &imports.host_port(),
            ]);
            shut_out(&scene, &tokens, &flood).await;
            let which = ["--status", "trying", "--metadata", "from=import-7"];
            let how = ["--note", NOTE, "--yes"];
            let done = shell.tercet(&[&["tx", "bulk", "cancel"][..], &which, &how].concat()).await;
            done.tells(&["done"]);
        }
        Hands::Console(screen) => {
            screen.sign_in().await;
            screen.open("/console/operations").await;
            screen.reads("#refused", &["paged out transactions"]).await;
            screen.open("/console").await;
            screen.press("#pulse a[href$='status=trying']", "the number that is trying").await;
            screen.press("#list tbody tr:nth-of-type(1) a.gid", "the oldest").await;
            screen.reads("#facts", &["import-7"]).await;
            shut_out(&scene, &tokens, &flood).await;
            screen.press(".tabs a[href='/console/transactions']", "Transactions").await;
            screen.press("#facets a[href$='status=trying']", "trying").await;
            screen.fill("input[name=metadata]", "Metadata", "from=import-7").await;
            screen.press(".filters button.main", "Show").await;
            screen.choose("#many select[name=deed] option[value=cancel]", "cancel").await;
            screen.choose("#many select[name=whom] option[value=all]", "all that match").await;
            screen.press("#many button", "Review …").await;
            screen.reads("h1", &["transactions: cancel"]).await;
            screen.fill("form[action='/console/jobs'] input[name=note]", "Note", NOTE).await;
            screen.press("form[action='/console/jobs'] button", "Cancel them").await;
            screen.reads("#job", &["done", "Failed\n0"]).await;
        }
    }
    let (begun, refused) = flood.end().await;
    let is_so = move |stats: &Value| {
        stats["by_status"]["trying"] == 0 && stats["by_status"]["cancelled"] == begun
    };
    scene.tercet.counted("all of the flood are cancelled", is_so).await;
    let again = json!({"gid": "shop-2", "branches": [stocks]});
    eventually("the shop's begins are taken again", || async {
        matches!(asked(&scene, &again).await, (200..300, _, _)).then_some(())
    })
    .await;
    scene.tercet.until("shop-2", "confirmed").await;
    scene.record.repaired();
    let books = imports.books();
    let books = books.lock().expect("nobody panics with them").clone();
    assert!(
        books.values().all(|entry| entry.confirmed == 0 && entry.cancelled == 1),
        "all is given back"
    );
    assert!(refused > 0, "the flood itself was told to wait");
    let most = grouped(begun);
    scene.record.note(&format!(
        "{most} were taken; what had begun before got through meanwhile; each refusal was a 429 with \
         `Retry-After`"
    ));
    Ok(())
}

/// Takes the flood's token away, and sees that it counts no more.
async fn shut_out(scene: &Scene, tokens: &Path, flood: &Flood) {
    scene.record.step("take import's token out of `auth.tokens_file`");
    write(tokens, "");
    eventually("the flood is shut out", || async {
        (flood.seen.shut_out.load(Ordering::Relaxed) == SENDERS).then_some(())
    })
    .await;
}

fn write(tokens: &Path, text: &str) {
    std::fs::write(tokens, text).expect("it can be written");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(tokens, mode).expect("it is ours");
}

/// The shop's begin: its status, whether it says when to come again, and its problem's code.
async fn asked(scene: &Scene, body: &Value) -> (u16, bool, String) {
    let answer = scene.tercet.ask(&token(Role::Client), Method::POST, BEGIN, Some(body)).await;
    let answer = answer.expect("an answer");
    let (status, pause) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
    let problem: Value = answer.json().await.unwrap_or_default();
    (status, pause, problem["code"].as_str().unwrap_or_default().to_owned())
}

/// Initiators that begin without end.
struct Flood {
    seen: Arc<Seen>,
    senders: JoinSet<()>,
}

/// What they were told.
#[derive(Default)]
struct Seen {
    begun: AtomicUsize,
    refused: AtomicUsize,
    /// How many of them were told that their token does not count.
    shut_out: AtomicUsize,
    is_over: AtomicBool,
}

impl Flood {
    fn begin(scene: &Scene, imports: &Participant) -> Self {
        let seen = Arc::new(Seen::default());
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            let url = format!("{}{BEGIN}", scene.tercet.url());
            let branch = branch("imports", &imports.endpoint(), &Value::Null);
            senders.spawn(send(sender, url, branch, Arc::clone(&seen)));
        }
        Self { seen, senders }
    }

    /// Ends it: how many were taken, and how often it was told to wait.
    async fn end(self) -> (usize, usize) {
        self.seen.is_over.store(true, Ordering::Relaxed);
        self.senders.join_all().await;
        (self.seen.begun.load(Ordering::Relaxed), self.seen.refused.load(Ordering::Relaxed))
    }
}

async fn send(sender: usize, url: String, branch: Value, seen: Arc<Seen>) {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let (mut number, mut is_out) = (0, false);
    while !seen.is_over.load(Ordering::Relaxed) {
        let body = json!({
            "gid": format!("import-7-{sender}-{number}"), "open": true, "timeout_ms": 86_400_000,
            "metadata": {"from": "import-7"}, "branches": [branch],
        });
        let answer = http.post(&url).bearer_auth(TOKEN).json(&body).send().await;
        let answer = answer.expect("an answer");
        match answer.status().as_u16() {
            200..300 => {
                number += 1;
                seen.begun.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            429 => {
                assert!(answer.headers().contains_key("retry-after"), "when to come again");
                seen.refused.fetch_add(1, Ordering::Relaxed);
            }
            401 if is_out => {}
            401 => {
                is_out = true;
                seen.shut_out.fetch_add(1, Ordering::Relaxed);
            }
            status => panic!("a begin of the flood is answered {status}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
