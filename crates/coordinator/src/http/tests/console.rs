//! The console's sessions, forms and roles, and what of others' words gets into its pages.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use http::Request;
use tercet_engine::{
    Ask, Decided, Decision, Refusal, Reply, ReplyKind, Snapshot, StoredTransaction, Transaction,
};
use tercet_wire::{Reason, Status};

use super::face::{Answer, Face, NOW, Seen, snapshot, transaction};
use crate::access::{NamedToken, Role, TokenDigest};
use crate::config::Settings;
use crate::http::extract::peer::{Door, Peer};

const LOOPBACK: Door = Door { for_probes: false, is_on_loopback: true, has_tls: false };
const ELSEWHERE: Door = Door { for_probes: false, is_on_loopback: false, has_tls: false };
const TLS: Door = Door { for_probes: false, is_on_loopback: false, has_tls: true };

/// One token of each role, named like it.
fn rules() -> Settings {
    let mut settings = Settings::built_in().expect("the defaults fit");
    let named = |role: Role| NamedToken {
        name: role.to_string(),
        sha256: TokenDigest::of(token(role).as_bytes()),
        role,
    };
    settings.auth.tokens = Role::ALL.map(named).to_vec();
    settings
}

fn token(role: Role) -> String {
    format!("token-of-a-{role}")
}

/// A browser: what it keeps, and where it comes from.
struct Browser {
    router: Router,
    door: Door,
    cookie: Option<String>,
}

impl Browser {
    fn at(face: &Face, door: Door) -> Self {
        Self { router: face.router.clone(), door, cookie: None }
    }

    async fn send(&mut self, mut request: Request<Body>) -> Answer {
        if let Some(cookie) = &self.cookie {
            request.headers_mut().insert("cookie", cookie.parse().expect("a header"));
        }
        let address = "127.0.0.1:50000".parse().expect("an address");
        request.extensions_mut().insert(Peer { address, door: self.door });
        let answer = Face::send_to(&self.router, request).await;
        if let Some((pair, _)) = answer.header("set-cookie").split_once(';') {
            self.cookie = Some(pair.to_owned());
        }
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    async fn post(&mut self, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()));
        self.send(request.expect("a request")).await
    }

    async fn sign_in(&mut self, token: &str) -> Answer {
        let form = form_token(&self.get("/console").await);
        self.post("/console/sign-in", &format!("form_token={form}&token={token}")).await
    }

    /// Signed in.
    async fn of(face: &Face, role: Role) -> Self {
        let mut browser = Self::at(face, LOOPBACK);
        assert_eq!(browser.sign_in(&token(role)).await.status, 303);
        browser
    }
}

fn form_token(page: &Answer) -> String {
    let (_, rest) = page.text.split_once("name=\"form_token\" value=\"").expect("a form");
    rest.split_once('"').expect("a value").0.to_owned()
}

fn reached(status: Status) -> Option<Reply> {
    Some(Reply::Transaction { told: ReplyKind::Reached, snapshot: snapshot(status) })
}

#[tokio::test]
async fn a_token_begins_a_session_that_holds_for_the_console_alone() {
    let face = Face::with_rules(&rules()).await;
    let mut browser = Browser::at(&face, LOOPBACK);
    let form = browser.get("/console").await;
    assert_eq!(form.status, 200);
    assert!(form.text.contains("<h1>Sign in</h1>"), "{}", form.text);
    let deep = browser.get("/console/operations/settings?a=b").await;
    assert_eq!(deep.status, 303);
    assert_eq!(deep.header("location"), "/console?to=%2Fconsole%2Foperations%2Fsettings%3Fa%3Db");
    for wrong in ["", "token-of-nobody", "a b"] {
        let answer = browser.sign_in(wrong).await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert!(answer.text.contains("role=\"alert\""), "{}", answer.text);
    }
    let before = browser.cookie.clone();
    let answer = browser.sign_in(&token(Role::Operator)).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/console"));
    assert_ne!(browser.cookie, before, "whoever knew the session before knows none now");
    assert!(answer.header("set-cookie").ends_with("; HttpOnly; SameSite=Strict"), "{answer:?}");
    let page = browser.get("/console/operations/settings").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("Sign out") && page.text.contains("operator"), "{}", page.text);
    assert_eq!(browser.get("/v1/stats").await.problem().0, "unauthorized");
    let out = format!("form_token={}", form_token(&page));
    let answer = browser.post("/console/sign-out", &out).await;
    assert!(answer.header("set-cookie").contains("Max-Age=0"), "{answer:?}");
    assert_eq!(browser.get("/console/operations/settings").await.status, 303);
}

#[tokio::test]
async fn no_token_is_taken_where_others_could_read_it() {
    let face = Face::with_rules(&rules()).await;
    let mut browser = Browser::at(&face, ELSEWHERE);
    let page = browser.get("/console").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("over plain HTTP from another machine"), "{}", page.text);
    assert!(!page.text.contains("<form"), "{}", page.text);
    // With the form of a session that began elsewhere.
    let mut other = Browser::at(&face, LOOPBACK);
    let form = form_token(&other.get("/console").await);
    browser.cookie = other.cookie.clone();
    let sent = format!("form_token={form}&token={}", token(Role::Operator));
    let answer = browser.post("/console/sign-in", &sent).await;
    assert_eq!(answer.status, 401);
    let mut by_tls = Browser::at(&face, TLS);
    let answer = by_tls.sign_in(&token(Role::Operator)).await;
    assert!(answer.header("set-cookie").ends_with("; Secure"), "{answer:?}");
}

#[tokio::test]
async fn a_form_of_no_page_of_ours_does_nothing() {
    let mut face = Face::answering(&rules(), |_| reached(Status::Confirming)).await;
    let mut other = Browser::of(&face, Role::Operator).await;
    let of_another = form_token(&other.get("/console/transactions/order-1").await);
    let mut browser = Browser::of(&face, Role::Operator).await;
    let own = form_token(&browser.get("/console/transactions/order-1").await);
    while face.seen.try_recv().is_ok() {}
    for form in ["", "form_token=", "form_token=00", &format!("form_token={of_another}")] {
        let answer = browser.post("/console/transactions/order-1/retry", form).await;
        assert_eq!(answer.status, 403, "{form}");
    }
    let sent = format!("form_token={own}");
    let answer = browser.post("/console/transactions/order-1/retry", &sent).await;
    let to = "/console/transactions/order-1?said=retried";
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, to));
    let seen = face.seen.try_recv().expect("the engine was asked");
    let Ask::Retry { by } = &seen.ask else { panic!("{seen:?}") };
    assert_eq!(&*by.who, "operator");
    assert!(face.seen.try_recv().is_err(), "and once");
}

#[tokio::test]
async fn what_a_role_may_not_do_is_neither_offered_nor_done() {
    let mut face = Face::answering(&rules(), |_| reached(Status::Confirming)).await;
    for (role, offers) in [
        (Role::Viewer, &[][..]),
        (Role::Client, &[][..]),
        (Role::Operator, &["/retry\"", "/branches/b1/resolve\"", "Payload"][..]),
    ] {
        let mut browser = Browser::of(&face, role).await;
        let page = browser.get("/console/transactions/order-1").await;
        assert_eq!(page.status, 200, "{}", page.text);
        for offered in ["/retry\"", "/branches/b1/resolve\"", "Payload"] {
            let is_offered = page.text.contains(offered);
            assert_eq!(is_offered, offers.contains(&offered), "{offered} to a {role}");
        }
        let form = format!("form_token={}&as=confirmed&note=x", form_token(&page));
        let settings = browser.get("/console/operations/settings").await;
        while face.seen.try_recv().is_ok() {}
        for path in ["retry", "branches/b1/resolve"] {
            let answer =
                browser.post(&format!("/console/transactions/order-1/{path}"), &form).await;
            assert_eq!(answer.status == 303, role == Role::Operator, "{path} by a {role}");
        }
        let is_operator = role == Role::Operator;
        // What a page reads is anybody's to read.
        let asked = std::iter::from_fn(|| face.seen.try_recv().ok());
        let done = asked.filter(|seen| !matches!(seen.ask, Ask::Read)).count();
        assert_eq!(done > 0, is_operator, "{role}");
        assert_eq!(settings.status == 200, is_operator, "{role}");
    }
}

#[tokio::test]
async fn a_branch_is_resolved_against_the_decision_only_by_its_gid() {
    let mut face = Face::answering(&rules(), |_| reached(Status::Confirming)).await;
    let mut browser = Browser::of(&face, Role::Operator).await;
    let form = form_token(&browser.get("/console/transactions/order-1").await);
    while face.seen.try_recv().is_ok() {}
    let path = "/console/transactions/order-1/branches/b1/resolve";
    // Whatever the form says of itself: the transaction says what was decided.
    for more in ["", "&opposite=no"] {
        let sent = format!("form_token={form}&as=cancelled&note=%3Cb%3E+4711{more}");
        for typed in ["", "&typed=", "&typed=order-2"] {
            let answer = browser.post(path, &format!("{sent}{typed}")).await;
            assert_eq!(answer.status, 400, "{typed}");
            assert!(answer.text.contains("name=\"typed\" required"), "{}", answer.text);
            assert!(answer.text.contains("value=\"&#60;b&#62; 4711\""), "{}", answer.text);
        }
    }
    assert_eq!(resolutions(&mut face), 0);
    let sent = format!("form_token={form}&as=cancelled&note=x&typed=order-1");
    assert_eq!(browser.post(path, &sent).await.status, 303);
    assert_eq!(resolutions(&mut face), 1);
    // As was decided, nothing need be typed.
    let sent = format!("form_token={form}&as=confirmed&note=x");
    let answer = browser.post(path, &sent).await;
    assert_eq!(answer.header("location"), "/console/transactions/order-1?said=resolved");
    assert_eq!(resolutions(&mut face), 1);
    let answer = browser.post(path, &format!("form_token={form}&as=both")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(resolutions(&mut face), 0);
}

/// How often the engine was asked to resolve.
fn resolutions(face: &mut Face) -> usize {
    let asked = std::iter::from_fn(|| face.seen.try_recv().ok());
    asked.filter(|seen| matches!(seen.ask, Ask::Resolve(_))).count()
}

#[tokio::test]
async fn what_is_not_decided_is_not_resolved_by_a_decision_to_come() {
    let mut face = Face::answering(&rules(), |_| reached(Status::Trying)).await;
    let mut browser = Browser::of(&face, Role::Operator).await;
    let form = form_token(&browser.get("/console/transactions/order-1").await);
    for as_ in ["confirmed", "cancelled"] {
        let sent = format!("form_token={form}&as={as_}&note=x&typed=order-1");
        let path = "/console/transactions/order-1/branches/b1/resolve";
        let answer = browser.post(path, &sent).await;
        assert_eq!(answer.status, 409, "{}", answer.text);
        assert!(answer.text.contains("not-decided"), "{}", answer.text);
    }
    assert_eq!(resolutions(&mut face), 0);
}

#[tokio::test]
async fn what_is_taken_and_not_so_yet_is_told_as_asked_for() {
    let not_yet = |seen: &Seen| {
        let told = match seen.ask {
            Ask::Resolve(_) | Ask::Cancel { .. } => ReplyKind::NotYet,
            _ => ReplyKind::Reached,
        };
        Some(transaction(told, Status::Cancelling))
    };
    let face = Face::answering(&rules(), not_yet).await;
    let mut browser = Browser::of(&face, Role::Operator).await;
    let form = form_token(&browser.get("/console/transactions/order-1").await);
    let of = "/console/transactions/order-1";
    for (path, more, said) in
        [("branches/b1/resolve", "&as=cancelled", "resolves-soon"), ("cancel", "", "decides-soon")]
    {
        let sent = format!("form_token={form}&note=x{more}");
        let answer = browser.post(&format!("{of}/{path}"), &sent).await;
        assert_eq!(answer.header("location"), format!("{of}?said={said}"), "{}", answer.text);
        let page = browser.get(&format!("{of}?said={said}")).await;
        assert!(page.text.contains("<p>Asked for"), "{}", page.text);
    }
}

#[tokio::test]
async fn what_came_of_many_says_of_each_what_was_done() {
    let answers = |seen: &Seen| {
        let reached = || transaction(ReplyKind::Reached, Status::Confirming);
        Some(match (&seen.ask, seen.gid.as_str()) {
            (Ask::Resolve(_), "order-2") => transaction(ReplyKind::NotYet, Status::Confirming),
            (Ask::Resolve(_), "order-3") => {
                Reply::Refused(Refusal::AlreadyFinished("b1".parse().expect("an id")))
            }
            (Ask::Read, "order-4") => transaction(ReplyKind::Reached, Status::Confirmed),
            (Ask::Read, "order-5") => transaction(ReplyKind::Reached, Status::Cancelling),
            _ => reached(),
        })
    };
    let mut face = Face::answering(&rules(), answers).await;
    let mut browser = Browser::of(&face, Role::Operator).await;
    let form = form_token(&browser.get("/console/transactions/order-1").await);
    // Beyond those that differ, short ones: a body is bounded.
    let gid = |number| if number <= 5 { format!("order-{number}") } else { format!("{number:x}") };
    let sent = |count: i32| {
        let gids: String = (1..=count).map(|number| format!("&gid={}", gid(number))).collect();
        format!("form_token={form}&deed=resolve-confirmed&note=x{gids}")
    };
    let page = browser.post("/console/review", &sent(5)).await;
    assert!(page.text.contains("<h1>4 transactions: resolve as confirmed</h1>"), "{}", page.text);
    assert!(page.text.contains("Also the 1 that was decided the other way"), "{}", page.text);
    let page = browser.post("/console/chosen", &sent(5)).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<h1>Done to 1 of 5</h1>"), "{}", page.text);
    for (part, gid) in [
        ("id=\"failed\"", "order-3"),
        ("id=\"asked-for\"", "order-2"),
        ("id=\"against\"", "order-5"),
        ("id=\"nothing\"", "order-4"),
    ] {
        let (_, rest) = page.text.split_once(part).unwrap_or_else(|| panic!("no {part}"));
        let (own, _) = rest.split_once("</section>").expect("its end");
        assert!(own.contains(gid), "{part}: {own}");
        assert_eq!(own.matches("class=\"gid\"").count(), 1, "{part}: {own}");
    }
    assert!(page.text.contains("already-finished"), "{}", page.text);
    assert!(!page.text.contains("id=\"not-tried\""), "{}", page.text);
    // Those that were decided the other way are done by whoever says that they are meant.
    while face.seen.try_recv().is_ok() {}
    let one = format!("form_token={form}&deed=resolve-confirmed&note=x&gid=order-5");
    browser.post("/console/chosen", &one).await;
    assert_eq!(resolutions(&mut face), 0);
    let answer = browser.post("/console/chosen", &format!("{one}&mixed=yes")).await;
    assert_eq!(answer.header("location"), "/console/transactions?said=chosen&n=1");
    assert_eq!(resolutions(&mut face), 1);
    // Beyond a page of the list nothing is tried, and it is said.
    let page = browser.post("/console/chosen", &sent(502)).await;
    assert!(page.text.contains("<h1>Done to 496 of 502</h1>"), "{}", page.text);
    let (_, not_tried) = page.text.split_once("id=\"not-tried\"").expect("a part");
    assert_eq!(not_tried.matches("class=\"gid\"").count(), 2, "{not_tried}");
}

#[tokio::test]
async fn nothing_more_is_tried_once_the_journal_does_not_answer() {
    let answers = |seen: &Seen| match &seen.ask {
        Ask::Retry { .. } => Some(Reply::Refused(Refusal::JournalUnavailable)),
        _ => reached(Status::Confirming),
    };
    let mut face = Face::answering(&rules(), answers).await;
    let mut browser = Browser::of(&face, Role::Operator).await;
    let form = form_token(&browser.get("/console/transactions/order-1").await);
    while face.seen.try_recv().is_ok() {}
    let gids: String = (1..=40).map(|number| format!("&gid=order-{number}")).collect();
    let sent = format!("form_token={form}&deed=retry{gids}");
    let page = browser.post("/console/chosen", &sent).await;
    assert!(page.text.contains("<h1>Done to 0 of 40</h1>"), "{}", page.text);
    assert!(page.text.contains("journal-unavailable"), "{}", page.text);
    let asked = std::iter::from_fn(|| face.seen.try_recv().ok()).count();
    let (_, not_tried) = page.text.split_once("id=\"not-tried\"").expect("a part");
    assert_eq!(not_tried.matches("class=\"gid\"").count(), 40 - asked);
    assert!(asked < 40, "{asked}");
}

#[tokio::test]
async fn what_is_held_is_said_on_every_page_and_decided_by_its_form() {
    let mut face = Face::answering(&rules(), |_| reached(Status::Trying)).await;
    let mut browser = Browser::of(&face, Role::Operator).await;
    let pages = ["/console/operations/settings", "/console/transactions/order-1"];
    for path in pages {
        let page = browser.get(path).await;
        assert!(!page.text.contains("Held since a restore"), "{path}: {}", page.text);
    }
    face.readiness.set_held(true);
    for path in pages {
        let page = browser.get(path).await;
        assert!(page.text.contains("Held since a restore"), "{path}: {}", page.text);
    }
    let form = form_token(&browser.get("/console/transactions/order-1").await);
    while face.seen.try_recv().is_ok() {}
    for (what, more, is_despite) in [
        ("cancel", "", false),
        ("cancel", "&despite=hold", true),
        ("confirm", "&despite=hold", true),
    ] {
        let path = format!("/console/transactions/order-1/{what}");
        browser.post(&path, &format!("form_token={form}{more}")).await;
        let seen = face.seen.try_recv().expect("the engine was asked");
        assert_eq!(matches!(seen.ask, Ask::DecideHeld(_)), is_despite, "{what}{more}: {seen:?}");
        while face.seen.try_recv().is_ok() {}
    }
    // It is released by whoever says what was done before, and by nobody else.
    let path = "/console/restored/release";
    let answer = browser.post(path, &format!("form_token={form}&note=x")).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    let answer = browser.post(path, &format!("form_token={form}&note=x&sure=yes")).await;
    assert_eq!(answer.header("location"), "/console?said=released&n=0", "{}", answer.text);
    let mut client = Browser::of(&face, Role::Client).await;
    let page = client.get("/console/operations").await;
    assert!(page.text.contains("Held since a restore"), "{}", page.text);
    let form = form_token(&page);
    let answer = client.post(path, &format!("form_token={form}&sure=yes")).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
}

#[tokio::test]
async fn daemons_on_one_host_leave_each_others_sessions_alone() {
    let [one, other] = [Face::with_rules(&rules()).await, Face::with_rules(&rules()).await];
    let mut first = Browser::of(&one, Role::Operator).await;
    let mut second = Browser::of(&other, Role::Operator).await;
    // A browser has one jar for a host, whatever the port: a cookie takes the place of one of its name.
    let kept = |browser: &Browser| {
        let cookie = browser.cookie.clone().expect("a session");
        cookie.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let jar: BTreeMap<_, _> = [&first, &second].into_iter().filter_map(kept).collect();
    let pairs: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    for browser in [&mut first, &mut second] {
        browser.cookie = Some(pairs.join("; "));
        let page = browser.get("/console/operations/settings").await;
        assert_eq!((page.status.as_u16(), page.header("set-cookie")), (200, ""));
    }
}

#[tokio::test]
async fn a_trace_is_named_on_the_page_of_its_transaction() {
    let face = Face::answering(&rules(), |_| reached(Status::Confirming)).await;
    let mut browser = Browser::of(&face, Role::Viewer).await;
    let page = browser.get("/console/transactions/order-1").await;
    let (_, rest) = page.text.split_once("<dt>Trace</dt><dd><code>").expect("a trace");
    let (id, _) = rest.split_once('<').expect("an id");
    let request = Request::get("/v1/transactions/order-1")
        .header("authorization", format!("Bearer {}", token(Role::Viewer)));
    let shown = face.send(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(shown.json()["trace_id"], id);
}

/// Cancelled for a reason that somebody has written to be run.
fn hostile() -> Snapshot {
    let mut stored = StoredTransaction::begun(snapshot(Status::Trying).transaction.spec().clone());
    stored.status = Status::Cancelled;
    let detail = Some("<script>alert(1)</script><img src=x onerror=alert(2)>\"'".into());
    let decision = Decision::Cancel { reason: Reason::Requested, detail };
    stored.decided = Some(Decided { at: NOW.wall, decision });
    stored.finished_at = Some(NOW.wall);
    Snapshot {
        transaction: Transaction::restore(&stored, NOW),
        at: NOW,
        paused: tercet_engine::PausedNames::default(),
    }
}

#[tokio::test]
async fn what_others_have_written_is_text_in_every_page() {
    let answer = |_: &_| Some(Reply::Transaction { told: ReplyKind::Reached, snapshot: hostile() });
    let face = Face::answering(&rules(), answer).await;
    let mut browser = Browser::of(&face, Role::Operator).await;
    let page = browser.get("/console/transactions/order-1").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("&#60;script&#62;alert(1)"), "{}", page.text);
    assert!(!page.text.contains("<script>alert") && !page.text.contains("<img"), "{}", page.text);
    // What stands in an address comes back in fields.
    let list = "/console/operations/audit?who=%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let page = browser.get(list).await;
    assert!(!page.text.contains("<script>alert"), "{}", page.text);
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.text.contains(" style=\"") && !page.text.contains(" onclick"), "{}", page.text);
}

#[tokio::test]
async fn a_link_of_somebody_elses_page_leads_to_ours_and_begins_no_session() {
    let face = Face::with_rules(&rules()).await;
    let mut browser = Browser::at(&face, LOOPBACK);
    let request = Request::get("/console/transactions?gid_prefix=%22a")
        .header("sec-fetch-site", "cross-site");
    let page = browser.send(request.body(Body::empty()).expect("a request")).await;
    assert_eq!((page.status.as_u16(), page.header("set-cookie")), (200, ""));
    let refresh = "content=\"0;url=/console/transactions?gid_prefix=%22a\"";
    assert!(page.text.contains(refresh), "{}", page.text);
}

#[tokio::test]
async fn a_browser_is_led_to_the_console_unless_there_is_none() {
    let html = |path: &str| {
        Request::get(path).header("accept", "text/html,*/*").body(Body::empty()).expect("a request")
    };
    let face = Face::gone().await;
    for path in ["/", "/console/"] {
        let led = face.send(html(path)).await;
        assert_eq!((led.status.as_u16(), led.header("location")), (303, "/console"), "{path}");
        // A program is told what it was told before.
        assert_eq!(face.get(path).await.problem().0, "not-found", "{path}");
    }
    // Without rules nobody is asked who they are.
    let page = Browser::at(&face, LOOPBACK).get("/console/operations/settings").await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("Sign out"), "{}", page.text);
    let mut settings = Settings::built_in().expect("the defaults fit");
    settings.console.enabled = false;
    let face = Face::with_rules(&settings).await;
    for path in
        ["/", "/console", "/console/", "/console/transactions", "/console/assets/console.css"]
    {
        assert_eq!(face.send(html(path)).await.problem().0, "not-found", "{path}");
    }
}
