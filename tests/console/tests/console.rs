//! Each screen with live data, each action with its effect, and what must be so of every page.

use reqwest::Method;
use serde_json::{Value, json};
use tercet_console_tests::{Browser, Look, Participant, Role, Stage, eventually};

/// What a participant says that would run if any page took it for markup.
const HOSTILE: &str =
    r#"<script>document.title='taken'</script><img src=x onerror="document.title='taken'">"#;

/// A coordinator with something of everything: a transaction that has ended, one whose participant refuses
/// Confirm, one that is open, a saga's run, and a definition.
struct Scene {
    stage: Stage,
    well: Participant,
    refusing: Participant,
}

impl Scene {
    async fn set() -> Self {
        let stage = Stage::start_with(&[("RETRY__MAX_BACKOFF_MS", "1000")]).await;
        let (well, refusing) = (Participant::start(), Participant::start());
        refusing.answer(|op, _| match op {
            "confirm" => (422, format!("{{\"error\":\"frozen\",\"said\":{}}}", json!(HOSTILE))),
            _ => (200, "{}".to_owned()),
        });
        stage.begin("order-1", &[("stock", &well)], json!({})).await;
        let hostile = json!({"metadata": {"channel": HOSTILE}});
        stage.begin("order-2", &[("stock", &well), ("payment", &refusing)], hostile).await;
        stage.begin("order-3", &[("payment", &refusing)], json!({})).await;
        stage.begin("open-1", &[], json!({"open": true, "timeout_ms": 600_000})).await;
        let steps = ["flight", "hotel"]
            .map(|id| json!({"id": id, "endpoint": well.url(&format!("/{id}"))}));
        let saga = json!({"steps": steps});
        let (status, put) = stage.ask(Method::PUT, "/v1/sagas/trip", Some(saga)).await;
        assert_eq!(status, 201, "{put}");
        let (status, run) =
            stage.ask(Method::POST, "/v1/sagas/trip/runs", Some(json!({"gid": "trip-1"}))).await;
        assert_eq!(status, 201, "{run}");
        stage.until("order-1", "it has ended", |view| view["status"] == "confirmed").await;
        for gid in ["order-2", "order-3"] {
            stage.until(gid, "it is parked", |view| view["parked"] == true).await;
        }
        Self { stage, well, refusing }
    }

    /// Every page there is, and what it must say.
    fn pages(&self) -> Vec<(String, &'static str)> {
        let participant = format!("/console/participants/{}", self.refusing.host_port());
        [
            ("/console", "422"),
            ("/console/transactions", "order-2"),
            ("/console/transactions?status=all&order=newest&columns=channel&reason=", "order-1"),
            ("/console/transactions?status=nonsense", "status"),
            ("/console/transactions/order-1", "confirmed"),
            ("/console/transactions/order-2", "Resolve by hand"),
            ("/console/transactions/open-1", "Cancel"),
            ("/console/transactions/trip-1", "flight"),
            ("/console/transactions/nobody", "transaction-not-found"),
            ("/console/participants", "127.0.0.1"),
            (participant.as_str(), "Limits that hold"),
            ("/console/operations", "node-a"),
            ("/console/operations/audit", "saga-put"),
            ("/console/operations/settings", "tokens"),
            ("/console/operations/sagas", "trip"),
        ]
        .map(|(path, says)| (path.to_owned(), says))
        .to_vec()
    }
}

async fn looked_at(look: Look) {
    let scene = Scene::set().await;
    let browser = Browser::start(&scene.stage, look).await;
    browser.open("/console").await;
    let mut barriers = Vec::from_iter(browser.barriers("the form to sign in").await);
    browser.sign_in(Role::Operator).await;
    for (path, says) in scene.pages() {
        browser.open(&path).await;
        let text = browser.text("main").await;
        assert!(text.contains(says), "{path} does not say {says}: {text}");
        browser
            .run("document.querySelectorAll('details').forEach(it => { it.open = true; })")
            .await;
        browser.check(&path).await;
        barriers.extend(browser.barriers(&path).await);
        let title = browser.run("return document.title").await;
        assert!(
            title.as_str().is_some_and(|title| title.ends_with(" · Tercet")),
            "{path}: {title}"
        );
    }
    assert!(barriers.is_empty(), "{}", barriers.join("\n"));
    browser.quit().await;
}

#[tokio::test]
async fn every_page_is_right_on_a_wide_screen() {
    looked_at(Look::default()).await;
}

#[tokio::test]
async fn every_page_is_right_on_a_phone() {
    looked_at(Look { width: 390, height: 844, ..Look::default() }).await;
}

#[tokio::test]
async fn every_page_is_right_in_the_dark() {
    looked_at(Look { is_dark: true, ..Look::default() }).await;
}

#[tokio::test]
async fn every_page_is_read_and_every_form_sent_without_a_script() {
    let scene = Scene::set().await;
    let browser =
        Browser::start(&scene.stage, Look { has_scripts: false, ..Look::default() }).await;
    browser.sign_in(Role::Operator).await;
    for (path, says) in scene.pages() {
        browser.open(&path).await;
        let text = browser.text("main").await;
        assert!(text.contains(says), "{path} does not say {says}: {text}");
    }
    browser.open("/console/transactions/order-2").await;
    browser.press("form[action$='/retry'] button").await;
    browser.until("#said", "being called now").await;
    assert!(scene.stage.history("order-2").await.contains(&"retried".to_owned()));
    browser.open("/console/transactions").await;
    browser.type_into("input[name=gid_prefix]", "order-3").await;
    browser.press(".filters button.main").await;
    browser.until("#list", "order-3").await;
    assert!(!browser.text("#list").await.contains("order-2"));
    assert_eq!(browser.count("#live:not([hidden])").await, 0, "what needs a script is not offered");
    browser.quit().await;
}

#[tokio::test]
async fn what_others_have_written_runs_in_no_page() {
    let scene = Scene::set().await;
    let browser = Browser::start(&scene.stage, Look::default()).await;
    browser.sign_in(Role::Operator).await;
    for (path, _) in scene.pages() {
        browser.open(&path).await;
        assert_ne!(browser.run("return document.title").await, "taken", "{path}");
        assert_eq!(browser.count("main img, main script").await, 0, "{path}");
    }
    browser.open("/console/transactions/order-2").await;
    assert!(browser.text("main").await.contains("onerror="), "it is shown as it was said");
    browser.quit().await;
}

#[tokio::test]
async fn a_role_is_offered_what_it_may_do() {
    let scene = Scene::set().await;
    for (role, can_act, can_decide) in
        [(Role::Viewer, false, false), (Role::Client, false, true), (Role::Operator, true, true)]
    {
        let browser = Browser::start(&scene.stage, Look::default()).await;
        // A page that was sent by a colleague is where it goes on.
        browser.open("/console/transactions/order-2").await;
        browser.type_into("#token", "nobodys-token").await;
        browser.press("main button.main").await;
        browser.until("[role=alert]", "Nobody here has this token").await;
        browser.type_into("#token", &tercet_console_tests::token(role)).await;
        browser.press("main button.main").await;
        browser.until(".who", role.who()).await;
        assert_eq!(browser.path().await, "/console/transactions/order-2");
        let has = async |css: &str| browser.count(css).await > 0;
        assert_eq!(has("form[action$='/retry']").await, can_act, "{role:?}");
        assert_eq!(has("form[action$='/resolve']").await, can_act, "{role:?}");
        assert_eq!(has("[id^=payload-]").await, can_act, "{role:?}");
        browser.open("/console/transactions/open-1").await;
        assert_eq!(has("form[action$='/cancel']").await, can_decide, "{role:?}");
        browser.open("/console/operations").await;
        assert_eq!(has("a[href$='/audit']").await, can_act, "{role:?}");
        browser.press("form[action='/console/sign-out'] button").await;
        browser.find("#token").await;
        browser.open("/console/operations").await;
        browser.find("#token").await;
        browser.quit().await;
    }
}

#[tokio::test]
async fn each_action_does_what_it_says() {
    let scene = Scene::set().await;
    let Scene { stage, .. } = &scene;
    let browser = Browser::start(stage, Look::default()).await;
    browser.sign_in(Role::Operator).await;

    // One, called now.
    browser.open("/console/transactions/order-2").await;
    browser.press("form[action$='/retry'] button").await;
    browser.until("#said", "being called now").await;
    browser.until("#history", "retried").await;
    // All that wait for a participant.
    browser.open("/console").await;
    browser.press("#rows form[action='/console/retry'] button").await;
    browser.until("#said", "2 transactions are being called now").await;
    // An open one: confirmed in place of its initiator, and another cancelled.
    browser.open("/console/transactions/open-1").await;
    browser.press("#act-confirm summary").await;
    browser.press("#act-confirm button").await;
    browser.until("#said", "Confirm is decided").await;
    stage.until("open-1", "it is confirmed", |view| view["status"] == "confirmed").await;
    stage.begin("open-2", &[], json!({"open": true, "timeout_ms": 600_000})).await;
    browser.open("/console/transactions/open-2").await;
    browser.press("#act-cancel summary").await;
    browser.type_into("#act-cancel input[name=note]", "asked by the shop").await;
    browser.press("#act-cancel button").await;
    browser.until("#said", "Cancel is decided").await;
    let view = stage.until("open-2", "it is cancelled", |view| view["status"] == "cancelled").await;
    assert_eq!(view["reason_detail"], "asked by the shop");

    // By hand, as was decided.
    browser.open("/console/transactions/order-2").await;
    browser.press("#resolve-payment summary").await;
    browser
        .type_into("#resolve-payment .way:nth-of-type(1) input[name=note]", "booked, ticket 4711")
        .await;
    browser.press("#resolve-payment .way:nth-of-type(1) button").await;
    browser.until("#said", "Resolved by hand").await;
    let view = stage.until("order-2", "it has ended", |view| view["status"] == "confirmed").await;
    assert_eq!(branch(&view, "payment")["resolved_as"], "confirmed");
    assert_eq!(view["mixed"], Value::Null);

    // Against the decision: not with another gid.
    browser.open("/console/transactions/order-3").await;
    browser.press("#resolve-payment summary").await;
    let way = "#resolve-payment .way:nth-of-type(2)";
    browser.type_into(&format!("{way} input[name=typed]"), "order-4").await;
    browser.type_into(&format!("{way} input[name=note]"), "given back by hand").await;
    browser.press(&format!("{way} button")).await;
    browser.until("main", "must be typed").await;
    let view = stage.get("/v1/transactions/order-3").await;
    assert_eq!(branch(&view, "payment")["resolved_as"], Value::Null);
    browser.open("/console/transactions/order-3").await;
    browser.press("#resolve-payment summary").await;
    browser.type_into(&format!("{way} input[name=typed]"), "order-3").await;
    browser.type_into(&format!("{way} input[name=note]"), "given back by hand").await;
    browser.press(&format!("{way} button")).await;
    browser.until("#said", "Resolved by hand").await;
    let view = stage.until("order-3", "it has ended", |view| view["status"] == "confirmed").await;
    assert_eq!(
        (&view["mixed"], &branch(&view, "payment")["resolved_as"]),
        (&json!(true), &json!("cancelled"))
    );

    // Each stands in the audit, under the name of whoever did it.
    let audit = stage.get("/v1/audit?who=olga&limit=100").await;
    let actions: Vec<_> =
        audit["items"].as_array().expect("items").iter().map(|it| &it["action"]).collect();
    for action in ["retry", "retry-all", "resolve"] {
        assert!(actions.contains(&&json!(action)), "{action}: {actions:?}");
    }
    browser.check("what came of it").await;
    browser.quit().await;
}

#[tokio::test]
async fn those_that_were_chosen_are_done_after_they_were_named() {
    let scene = Scene::set().await;
    let Scene { stage, well, .. } = &scene;
    let browser = Browser::start(stage, Look::default()).await;
    browser.sign_in(Role::Operator).await;
    browser.open("/console/transactions?gid_prefix=order-").await;
    browser.press("input[data-all]").await;
    browser.press("#many button").await;
    browser.until("h1", "2 transactions: retry").await;
    browser.until(".sample", "order-2").await;
    assert!(!stage.history("order-2").await.contains(&"retried".to_owned()), "nothing is done yet");
    browser.press("form[action='/console/chosen'] button").await;
    browser.until("#said", "Done to 2 transactions").await;
    for gid in ["order-2", "order-3"] {
        assert!(stage.history(gid).await.contains(&"retried".to_owned()), "{gid}");
    }
    // Of what cannot be done, the page says why.
    stage.begin("order-9", &[("stock", well)], json!({})).await;
    browser.open("/console/transactions?gid_prefix=order-2").await;
    browser.press("input[name=gid][value='order-2']").await;
    browser.press("#many select[name=deed] option[value=cancel]").await;
    browser.press("#many button").await;
    browser.until("h1", "1 transaction: cancel").await;
    browser.press("form[action='/console/chosen'] button").await;
    browser.until("main", "already-confirmed").await;
    browser.quit().await;
}

#[tokio::test]
async fn a_page_keeps_itself_up_to_date() {
    let scene = Scene::set().await;
    let Scene { stage, refusing, .. } = &scene;
    let browser = Browser::start(stage, Look::default()).await;
    browser.sign_in(Role::Operator).await;
    browser.open("/console/transactions/order-2").await;
    browser.until("#state", "confirming").await;
    browser.run("window.isTheSame = true").await;
    refusing.answer(|_, _| (200, "{}".to_owned()));
    browser.until("#state", "confirmed").await;
    assert_eq!(browser.run("return window.isTheSame").await, true, "it was not loaded again");
    // What somebody reads stays as it is.
    browser.open("/console/transactions").await;
    browser.press("#live").await;
    stage.begin("late-1", &[], json!({"open": true, "timeout_ms": 600_000})).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(!browser.text("#list").await.contains("late-1"), "it was told to stand still");
    browser.press("#live").await;
    browser.until("#list", "late-1").await;
    browser.check("a page that keeps itself up to date").await;
    browser.quit().await;
}

#[tokio::test]
async fn everything_is_reached_by_the_keyboard() {
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    let scene = Scene::set().await;
    let browser = Browser::start(&scene.stage, Look::default()).await;
    browser.sign_in(Role::Operator).await;
    browser.open("/console/transactions/order-2").await;
    browser.keys(TAB).await;
    let focused = "return document.activeElement.className";
    assert_eq!(browser.run(focused).await, "skip", "first the way past what is on every page");
    browser.keys(ENTER).await;
    assert_eq!(browser.run("return document.activeElement.id").await, "main");
    browser.keys(TAB).await;
    eventually("the first button has the focus", || async {
        let text = browser.run("return document.activeElement.textContent").await;
        (text == "Call now what waits").then_some(())
    })
    .await;
    browser.keys(ENTER).await;
    browser.until("#said", "being called now").await;
    browser.quit().await;
}

fn branch<'a>(view: &'a Value, id: &str) -> &'a Value {
    let branches = view["branches"].as_array().expect("branches");
    branches.iter().find(|branch| branch["id"] == id).expect("a branch")
}
