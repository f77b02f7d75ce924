//! An operator with a browser.

use std::sync::Arc;

use tercet_console_tests::{Browser, Role, eventually_within, token};

use crate::coordinator::OF_MANY;
use crate::record::Record;

/// Their browser. Each page that is opened, each press and each field is a step.
pub(crate) struct Screen {
    record: Record,
    browser: Arc<Browser>,
}

impl Screen {
    pub(crate) fn new(record: &Record, browser: Arc<Browser>) -> Self {
        Self { record: record.clone(), browser }
    }

    /// Opens the console and signs in: a page, a field, a press.
    pub(crate) async fn sign_in(&self) {
        self.open("/console").await;
        self.fill("#token", "Token", &token(Role::Operator)).await;
        self.press("main button.main", "Sign in").await;
        self.browser.find(".who").await;
    }

    pub(crate) async fn open(&self, path: &str) {
        self.record.step(&format!("open {path}"));
        self.browser.visit(path).await;
    }

    pub(crate) async fn press(&self, css: &str, name: &str) {
        self.record.step(&format!("press *{name}*"));
        self.browser.press(css).await;
    }

    /// Follows the link that says this.
    pub(crate) async fn follow(&self, css: &str, says: &str) {
        self.record.step(&format!("press *{says}*"));
        self.browser.until(css, says).await;
        self.browser.press(css).await;
    }

    pub(crate) async fn fill(&self, css: &str, name: &str, text: &str) {
        self.record.step(&format!("fill in *{name}*"));
        self.browser.type_into(css, text).await;
    }

    /// Chooses from a list.
    pub(crate) async fn choose(&self, css: &str, name: &str) {
        self.record.step(&format!("choose *{name}*"));
        self.browser.press(css).await;
    }

    /// Waits until a part of the page has said all of this, at one time.
    pub(crate) async fn reads(&self, css: &str, words: &[&str]) {
        let what = format!("{css} of {} tells {words:?}", self.browser.path().await);
        eventually_within(OF_MANY, &what, || async {
            let text = self.browser.text(css).await;
            words.iter().all(|word| text.contains(word)).then_some(())
        })
        .await;
    }

    /// What a part of the page says.
    pub(crate) async fn text(&self, css: &str) -> String {
        self.browser.text(css).await
    }
}
