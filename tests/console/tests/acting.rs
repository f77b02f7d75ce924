//! What operators do here, with a script and without one: each form with its effect, as the API tells it.

use reqwest::Method;
use serde_json::{Value, json};
use tercet_console_tests::{Browser, Look, Participant, Role, Stage, eventually};

const PLAIN: Look =
    Look { width: 1600, height: 1000, is_dark: false, has_scripts: false, scale: 1.0 };

/// A stage, and an operator before it.
async fn begun(settings: &[(&str, &str)], look: Look) -> (Stage, Browser) {
    let stage = Stage::start_with(settings).await;
    let browser = Browser::start(&stage, look).await;
    browser.sign_in(Role::Operator).await;
    (stage, browser)
}

/// Looks at a page anew until a part of it says this.
async fn shows(browser: &Browser, path: &str, css: &str, says: &str) {
    eventually(&format!("{css} of {path} says {says}"), || async {
        browser.open(path).await;
        let text = browser.text(css).await;
        text.contains(says).then_some(())
    })
    .await;
}

async fn open_ones(stage: &Stage, prefix: &str, count: usize) {
    for number in 1..=count {
        let open = json!({"open": true, "timeout_ms": 600_000});
        stage.begin(&format!("{prefix}-{number}"), &[], open).await;
    }
}

async fn is_paused(stage: &Stage, participant: &str) -> Value {
    let all = stage.get("/v1/participants").await;
    let items = all["items"].as_array().cloned().unwrap_or_default();
    let own = items.iter().find(|it| it["participant"] == participant);
    own.map(|it| it["paused"].clone()).unwrap_or_default()
}

async fn paused_and_resumed(look: Look) {
    let (stage, browser) = begun(&[], look).await;
    let stock = Participant::start();
    stage.begin("order-1", &[("stock", &stock)], json!({})).await;
    stage.until("order-1", "it has ended", |view| view["status"] == "confirmed").await;
    browser.open(&format!("/console/participants/{}", stock.host_port())).await;
    browser.press(".main-acts .act summary").await;
    browser.type_into(".main-acts input[name=note]", "their disk is full").await;
    browser.press(".main-acts .act button").await;
    browser.until("#said", "Paused: no calls are made").await;
    let paused = is_paused(&stage, &stock.host_port()).await;
    assert_eq!((&paused["by"], &paused["note"]), (&json!("olga"), &json!("their disk is full")));
    // What is begun meanwhile waits, and the screen says by whose word.
    stage.begin("order-2", &[("stock", &stock)], json!({"timeout_ms": 600_000})).await;
    browser.open("/console").await;
    browser.until("#rows", "Paused by olga").await;
    assert_eq!(stage.get("/v1/transactions/order-2").await["status"], "trying");
    browser.press("#rows form[action$='/resume'] button").await;
    browser.until("#said", "Resumed").await;
    assert_eq!(is_paused(&stage, &stock.host_port()).await, Value::Null);
    stage.until("order-2", "it has ended", |view| view["status"] == "confirmed").await;
    browser.quit().await;
}

#[tokio::test]
async fn a_participant_is_paused_and_resumed() {
    paused_and_resumed(Look::default()).await;
}

#[tokio::test]
async fn a_participant_is_paused_and_resumed_without_a_script() {
    paused_and_resumed(PLAIN).await;
}

/// Has all that match cancelled by a job; its page.
async fn job_of_all(browser: &Browser, prefix: &str, heading: &str) -> String {
    browser.open(&format!("/console/transactions?gid_prefix={prefix}-")).await;
    browser.press("#many select[name=deed] option[value=cancel]").await;
    browser.press("#many select[name=whom] option[value=all]").await;
    browser.press("#many button").await;
    browser.until("h1", heading).await;
    browser.until(".sample", &format!("{prefix}-1")).await;
    browser.type_into("form[action='/console/jobs'] input[name=note]", "asked by the shop").await;
    browser.press("form[action='/console/jobs'] button").await;
    browser.find("#job").await;
    let path = browser.path().await;
    assert!(path.starts_with("/console/operations/jobs/"), "{path}");
    path
}

async fn jobs_end(look: Look) {
    let (stage, browser) = begun(&[("JOBS__PER_SECOND", "4")], look).await;
    open_ones(&stage, "some", 8).await;
    let path = job_of_all(&browser, "some", "8 transactions: cancel").await;
    let api = |path: &str| path.replace("/console/operations/", "/v1/");
    shows(&browser, &path, "#job", "done").await;
    let job = stage.get(&api(&path)).await;
    assert_eq!(
        (&job["state"], &job["matched"], &job["done"]),
        (&json!("done"), &json!(8), &json!(8))
    );
    assert_eq!((&job["note"], &job["who"]), (&json!("asked by the shop"), &json!("olga")));
    let left = stage.get("/v1/transactions?status=trying").await;
    assert_eq!(left["items"], json!([]));
    assert_eq!(browser.count("#stop button").await, 0, "what has ended is not stopped");

    // Another is stopped, and says to how many it did not come.
    open_ones(&stage, "many", 60).await;
    let path = job_of_all(&browser, "many", "60 transactions: cancel").await;
    browser.press("#stop button").await;
    browser.until("#said", "The job stops").await;
    shows(&browser, &path, "#job", "stopped").await;
    let job = stage.get(&api(&path)).await;
    assert_eq!(job["state"], "stopped");
    let not_tried = 60 - job["done"].as_u64().expect("a count");
    assert!(not_tried > 0, "{job}");
    let text = browser.text("#job").await;
    assert!(text.contains(&format!("Not tried\n{not_tried}")), "{text}");
    let left = stage.get("/v1/transactions?status=trying&limit=500").await;
    assert_eq!(left["items"].as_array().map(Vec::len), usize::try_from(not_tried).ok());
    browser.quit().await;
}

#[tokio::test]
async fn a_job_is_reviewed_begun_watched_and_stopped() {
    jobs_end(Look::default()).await;
}

#[tokio::test]
async fn a_job_is_begun_and_stopped_without_a_script() {
    jobs_end(PLAIN).await;
}

/// A participant that refuses every Confirm.
fn refusing() -> Participant {
    let it = Participant::start();
    it.answer(|op, _| match op {
        "confirm" => (422, "{\"error\":\"frozen\"}".to_owned()),
        _ => (200, "{}".to_owned()),
    });
    it
}

async fn put_right(look: Look) {
    let (stage, browser) = begun(&[], look).await;
    let (refusing, moved, well) = (refusing(), Participant::start(), Participant::start());
    for gid in ["order-1", "order-2"] {
        stage.begin(gid, &[("stock", &well), ("payment", &refusing)], json!({})).await;
        stage.until(gid, "it is parked", |view| view["parked"] == true).await;
    }
    // What is decided is not cancelled: all that match, or those chosen.
    for whom in ["all", "chosen"] {
        browser.open("/console/transactions?gid_prefix=order-").await;
        browser.press("input[name=gid][value=order-1]").await;
        browser.press("#many select[name=deed] option[value=cancel]").await;
        browser.press(&format!("#many select[name=whom] option[value={whom}]")).await;
        browser.press("#many button").await;
        let count = if whom == "all" { "2 of them are" } else { "1 of them is" };
        browser.until("#confirming", &format!("{count} decided to be confirmed")).await;
    }
    // Called elsewhere.
    browser.open("/console/transactions/order-1").await;
    browser.press("#readdress-payment summary").await;
    browser.type_into("#readdress-payment input[name=endpoint]", &moved.url("/payment")).await;
    browser.type_into("#readdress-payment input[name=note]", "moved, ticket 4711").await;
    let headers = "Authorization: Bearer new\nno header";
    browser.type_into("#readdress-payment textarea[name=headers]", headers).await;
    browser.press("#readdress-payment button").await;
    browser.until("main", "line 2 is not of the form Name: value").await;
    browser.open("/console/transactions/order-1").await;
    browser.press("#readdress-payment summary").await;
    browser.type_into("#readdress-payment input[name=endpoint]", &moved.url("/payment")).await;
    browser.type_into("#readdress-payment input[name=note]", "moved, ticket 4711").await;
    let headers = "Authorization: Bearer new\nX-Shop: 7";
    browser.type_into("#readdress-payment textarea[name=headers]", headers).await;
    browser.press("#readdress-payment button").await;
    browser.until("#said", "go to the new address").await;
    stage.until("order-1", "it has ended", |view| view["status"] == "confirmed").await;
    assert!(stage.history("order-1").await.contains(&"readdressed".to_owned()));
    let audit = stage.get("/v1/audit?action=readdress").await;
    let after = &audit["items"][0]["detail"]["after"]["headers"];
    assert_eq!(after, &json!(["authorization", "x-shop"]));
    // Against the decision: the page asks for the gid, and keeps what was written.
    browser.open("/console/transactions/order-2").await;
    browser.press("#resolve-payment summary").await;
    let way = "#resolve-payment .way:nth-of-type(2)";
    browser.type_into(&format!("{way} input[name=typed]"), "order-1").await;
    browser.type_into(&format!("{way} input[name=note]"), "given back by hand").await;
    browser.press(&format!("{way} button")).await;
    browser.until("h1", "The gid must be typed").await;
    let view = stage.get("/v1/transactions/order-2").await;
    assert_eq!(payment(&view)["resolved_as"], Value::Null);
    if look.has_scripts {
        assert_eq!(browser.barriers("the page that asks for the gid").await, None);
    }
    browser.type_into("input[name=typed]", "order-2").await;
    browser.press("main button.danger").await;
    browser.until("#said", "Resolved by hand").await;
    let view = stage.until("order-2", "it has ended", |view| view["status"] == "confirmed").await;
    assert_eq!(
        (&view["mixed"], &payment(&view)["resolved_as"]),
        (&json!(true), &json!("cancelled"))
    );
    let audit = stage.get("/v1/audit?action=resolve").await;
    assert_eq!(audit["items"][0]["note"], "given back by hand");
    browser.quit().await;
}

fn payment(view: &Value) -> &Value {
    let branches = view["branches"].as_array().expect("branches");
    branches.iter().find(|branch| branch["id"] == "payment").expect("a branch")
}

#[tokio::test]
async fn a_branch_is_called_elsewhere_or_ended_by_hand() {
    put_right(Look::default()).await;
}

#[tokio::test]
async fn a_branch_is_put_right_without_a_script() {
    put_right(PLAIN).await;
}

async fn held_and_released(look: Look) {
    let mut stage = Stage::start().await;
    open_ones(&stage, "open", 4).await;
    stage.put_back().await;
    stage.begin("since-1", &[], json!({"open": true, "timeout_ms": 600_000})).await;
    let browser = Browser::start(&stage, look).await;
    browser.sign_in(Role::Operator).await;
    for path in [
        "/console",
        "/console/transactions",
        "/console/transactions/open-1",
        "/console/participants",
        "/console/operations",
        "/console/operations/jobs",
    ] {
        browser.open(path).await;
        let text = browser.text(".hold").await;
        assert!(text.contains("4 transactions that were undecided"), "{path}: {text}");
        if look.has_scripts {
            browser
                .run("document.querySelectorAll('details').forEach(it => { it.open = true; })")
                .await;
            assert_eq!(browser.barriers(path).await, None);
        }
    }
    // Which they are.
    browser.open("/console").await;
    browser.press(".hold p a").await;
    browser.until("#list", "open-4").await;
    assert!(!browser.text("#list").await.contains("since-1"));
    assert_eq!(browser.count("#list .tag.paused").await, 4);
    browser.open("/console/transactions/since-1").await;
    assert_eq!(browser.count("#is-held").await, 0);
    assert_eq!(browser.count("form[action$='/retry']").await, 1);
    // One is cancelled and one confirmed by name.
    for (gid, act, status) in
        [("open-1", "cancel", "cancelled"), ("open-2", "confirm", "confirmed")]
    {
        browser.open(&format!("/console/transactions/{gid}")).await;
        browser.until("#is-held", "held").await;
        assert_eq!(browser.count("form[action$='/retry']").await, 0, "it would be refused");
        browser.press(&format!("#act-{act} summary")).await;
        browser.press(&format!("#act-{act} button")).await;
        browser.until("#said", "is decided").await;
        stage.until(gid, status, |view| view["status"] == status).await;
        browser.until(".hold", "transaction").await;
    }
    // The rest goes on by the word of whoever ticks what must be so before.
    browser.open("/console").await;
    browser.until(".hold", "2 transactions that were undecided").await;
    browser.press("#release summary").await;
    browser.press("#release button").await;
    assert_eq!(browser.path().await, "/console", "the box must be ticked");
    assert_eq!(stage.get("/v1/stats").await["restored"]["held"], 2);
    browser.press("#release input[name=sure]").await;
    browser.type_into("#release input[name=note]", "books compared").await;
    browser.press("#release button").await;
    browser.until("#said", "Released: 2 transactions go on").await;
    assert_eq!(stage.get("/v1/stats").await["restored"], Value::Null);
    assert_eq!(browser.count(".hold").await, 0);
    let audit = stage.get("/v1/audit?action=release").await;
    assert_eq!(
        (&audit["items"][0]["who"], &audit["items"][0]["note"]),
        (&json!("olga"), &json!("books compared"))
    );
    let (status, view) = stage.ask(Method::POST, "/v1/transactions/open-3/cancel", None).await;
    assert_eq!((status, &view["status"]), (200, &json!("cancelled")), "{view}");
    browser.quit().await;
}

#[tokio::test]
async fn what_is_held_since_a_restore_is_shown_and_released() {
    held_and_released(Look::default()).await;
}

#[tokio::test]
async fn what_is_held_is_released_without_a_script() {
    held_and_released(PLAIN).await;
}

#[tokio::test]
async fn facets_and_columns_are_of_what_the_filter_finds() {
    let (stage, browser) = begun(&[], Look::default()).await;
    let (well, refusing) = (Participant::start(), refusing());
    for number in 1..=3 {
        stage.begin(&format!("order-{number}"), &[("stock", &well)], json!({})).await;
    }
    stage.begin("order-4", &[("payment", &refusing)], json!({"metadata": {"shop": "north"}})).await;
    stage.until("order-4", "it is parked", |view| view["parked"] == true).await;
    let open = json!({"open": true, "timeout_ms": 600_000, "pattern": "saga"});
    stage.begin("other-1", &[], open).await;
    for number in 1..=3 {
        let gid = format!("order-{number}");
        stage.until(&gid, "it has ended", |view| view["status"] == "confirmed").await;
    }
    stage.ask(Method::POST, "/v1/transactions/other-1/cancel", None).await;
    stage.until("other-1", "it has ended", |view| view["status"] == "cancelled").await;
    for (query, facets) in [
        (
            "",
            &["unfinished 1", "confirmed 3", "cancelled 1", "all 5", "parked 1", "tcc 1", "saga 0"]
                [..],
        ),
        ("gid_prefix=order-", &["unfinished 1", "confirmed 3", "cancelled 0", "all 4", "parked 1"]),
        ("gid_prefix=order-&status=all", &["all 4", "tcc 4", "saga 0"]),
        (
            "gid_prefix=other-&status=cancelled",
            &["cancelled 1", "all 1", "saga 1", "requested 1", "deadline 0"],
        ),
    ] {
        browser.open(&format!("/console/transactions?{query}")).await;
        let text = browser.text("#facets").await.replace('\n', " ");
        for facet in facets {
            assert!(text.contains(facet), "{query}: no {facet} in {text}");
        }
    }
    assert_eq!(browser.barriers("facets").await, None);
    // Several metadata, all of which must fit, and how it was begun.
    browser.open("/console/transactions").await;
    browser.type_into(".filters input[name=metadata]", "shop=north, channel=web").await;
    browser.press(".filters button.main").await;
    browser.until("main", "No transaction is like this").await;
    browser.open("/console/transactions").await;
    browser.type_into(".filters input[name=metadata]", "north").await;
    browser.press(".filters button.main").await;
    browser.until("[role=alert]", "metadata: \"north\" is no pair").await;
    browser.type_into(".filters input[name=metadata]", "shop=north").await;
    browser.press(".filters details summary").await;
    browser.press(".filters select[name=open] option[value=false]").await;
    browser.press(".filters button.main").await;
    browser.until("#list", "order-4").await;
    browser.press(".filters select[name=open] option[value=true]").await;
    browser.press(".filters button.main").await;
    browser.until("main", "No transaction is like this").await;
    browser.open("/console/transactions?status=cancelled").await;
    browser.until("#list", "other-1").await;
    browser.press("#facets nav:nth-of-type(2) a:nth-of-type(2)").await;
    browser.until("#list", "other-1").await;
    assert!(browser.path().await.contains("pattern=saga"));
    // Chosen metadata are seen on every screen.
    for width in [1600, 390] {
        browser.look(Look { width, ..Look::default() }).await;
        browser.open("/console/transactions?columns=channel,shop").await;
        let text = browser.text("#list").await;
        assert!(text.contains("web") || text.contains("north"), "{width}: {text}");
        browser.until("#list thead", "shop").await;
        browser.until("#list tbody", "north").await;
    }
    browser.quit().await;
}
