//! Takes the pictures of docs/console.md, of a coordinator that runs already (`stage.py`): `pictures URL FOLDER`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tercet_console_tests::{Browser, Look, Role, token};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (url, folder) = (arguments.next().expect("a URL"), arguments.next().expect("a folder"));
    let folder = PathBuf::from(folder);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let parked = format!(
        "{url}/v1/transactions?parked=true&participant=payment.localhost:7302&order=oldest"
    );
    let listed =
        http.get(parked).bearer_auth(token(Role::Operator)).send().await.expect("an answer");
    let listed: Value = listed.json().await.expect("a list");
    let gid = listed["items"][0]["gid"].as_str().expect("one is parked").to_owned();
    let transaction = format!("/console/transactions/{gid}");
    let wide = Look { width: 1280, height: 860, ..Look::default() };
    let dark = Look { is_dark: true, ..wide };
    let phone = Look { width: 390, height: 844, scale: 1.5, ..Look::default() };
    let browser = Browser::at(&url, wide).await;
    browser.sign_in(Role::Operator).await;
    let pages = [
        ("needs-you", "/console"),
        ("transactions", "/console/transactions?columns=channel,customer"),
        ("transaction", transaction.as_str()),
        ("participants", "/console/participants/payment.localhost:7302"),
        ("operations", "/console/operations/audit"),
    ];
    for (name, path) in pages {
        take(&browser, (path, wide), &folder.join(format!("console-{name}.png"))).await;
    }
    take(&browser, ("/console", dark), &folder.join("console-needs-you-dark.png")).await;
    take(&browser, (&transaction, dark), &folder.join("console-transaction-dark.png")).await;
    take(&browser, ("/console", phone), &folder.join("console-needs-you-phone.png")).await;
    take(&browser, (&transaction, phone), &folder.join("console-transaction-phone.png")).await;
    browser.quit().await;
}

async fn take(browser: &Browser, (path, look): (&str, Look), to: &Path) {
    browser.look(look).await;
    browser.open(path).await;
    browser.picture(to).await;
    let bytes = std::fs::metadata(to).expect("it was written").len();
    println!("{} {} KB", to.display(), bytes / 1_024);
}
