//! A browser, and what must be so of every page that it is shown.

use std::path::Path;

use serde_json::{Value, json};
use thirtyfour::{
    By, ChromiumLikeCapabilities as _, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver,
    WebElement,
};
use tokio::process::{Child, Command};

use crate::stage::free_port;
use crate::{Role, Stage, eventually, token};

/// How pages are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The window's width, in pixels.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// Whether darkness is preferred.
    pub is_dark: bool,
    /// Whether pages may run scripts.
    pub has_scripts: bool,
    /// Pixels of the picture for one of the page.
    pub scale: f64,
}

impl Default for Look {
    fn default() -> Self {
        Self { width: 1600, height: 1000, is_dark: false, has_scripts: true, scale: 1.0 }
    }
}

/// One, without a window.
pub struct Browser {
    driver: WebDriver,
    base: String,
    _chromedriver: Child,
}

impl Browser {
    /// One that has nothing of this daemon yet.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(stage: &Stage, look: Look) -> Self {
        Self::at(&stage.url, look).await
    }

    /// The same, of a daemon at this URL.
    ///
    /// # Panics
    /// It does not start.
    pub async fn at(base: &str, look: Look) -> Self {
        let port = free_port();
        let chromedriver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver starts: tests/console/run installs it");
        let mut wanted = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ] {
            wanted.add_arg(argument).expect("an argument");
        }
        if !look.has_scripts {
            let blocked = json!({"profile.managed_default_content_settings.javascript": 2});
            wanted.add_experimental_option("prefs", blocked).expect("an option");
        }
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).expect("a level");
        let at = format!("http://127.0.0.1:{port}");
        let driver = eventually("the browser starts", || async {
            WebDriver::new(&at, wanted.clone()).await.ok()
        })
        .await;
        let it = Self { driver, base: base.to_owned(), _chromedriver: chromedriver };
        it.look(look).await;
        it
    }

    /// Looks at pages like this from here on.
    ///
    /// # Panics
    /// The browser does not take it.
    pub async fn look(&self, look: Look) {
        let size = json!({
            "width": look.width, "height": look.height, "deviceScaleFactor": look.scale,
            "mobile": look.width < 600,
        });
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if look.is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.cdp("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    async fn cdp(&self, what: &str, with: Value) -> Value {
        self.driver.cdp().send_raw(what, with).await.expect(what)
    }

    /// Goes to a page, which must be as every page is.
    ///
    /// # Panics
    /// It is not.
    pub async fn open(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.base)).await.expect("the page opens");
        self.check(path).await;
    }

    /// Goes to a page that may be what it likes: the coordinator may be in need.
    ///
    /// # Panics
    /// It does not open.
    pub async fn visit(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.base)).await.expect("the page opens");
    }

    /// Signs in by the form, from whatever page leads there.
    ///
    /// # Panics
    /// There is no form.
    pub async fn sign_in(&self, role: Role) {
        self.driver.goto(format!("{}/console", self.base)).await.expect("the page opens");
        self.type_into("#token", &token(role)).await;
        self.press("main button.main").await;
        self.find(".who").await;
    }

    /// That the page is no wider than the window, and that the browser has had nothing to complain of:
    /// no error, and nothing that its policy forbids.
    ///
    /// # Panics
    /// It is not so.
    pub async fn check(&self, page: &str) {
        let widths =
            self.run("return [document.documentElement.scrollWidth, window.innerWidth]").await;
        assert!(
            widths[0].as_f64() <= widths[1].as_f64(),
            "{page} is wider than the window: {widths}"
        );
        let log = self.driver.browser_log().await.expect("the browser's log");
        let log = log.iter().filter(|entry| is_complaint(&entry.level));
        let log: Vec<_> = log.filter(|entry| !is_a_refusal(&entry.message)).collect();
        assert!(log.is_empty(), "{page}: {log:?}");
    }

    /// What keeps somebody from the page, as far as axe finds it; none if nothing does.
    ///
    /// # Panics
    /// It cannot look.
    pub async fn barriers(&self, page: &str) -> Option<String> {
        let axe = include_str!("../node_modules/axe-core/axe.min.js");
        let found = self
            .cdp(
                "Runtime.evaluate",
                json!({
                    "expression": format!(
                        "{axe};\naxe.run(document, {{resultTypes: ['violations']}}).then(found => JSON.stringify(\
                         found.violations.map(it => [it.id, it.help, it.nodes.map(node => node.html.slice(0, 300) + \
                         ' :: ' + (node.any[0]?.message ?? node.failureSummary))])))"
                    ),
                    "awaitPromise": true, "returnByValue": true,
                }),
            )
            .await;
        let found = found["result"]["value"].as_str().unwrap_or_else(|| panic!("{page}: {found}"));
        (found != "[]").then(|| format!("{page}: {found}"))
    }

    /// What a script says.
    ///
    /// # Panics
    /// It cannot be run.
    pub async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.expect(script).json().clone()
    }

    /// The first element like this, once it is there.
    ///
    /// # Panics
    /// It never is.
    pub async fn find(&self, css: &str) -> WebElement {
        eventually(css, || async { self.driver.find(By::Css(css)).await.ok() }).await
    }

    /// How many there are.
    ///
    /// # Panics
    /// The browser does not say.
    pub async fn count(&self, css: &str) -> usize {
        self.driver.find_all(By::Css(css)).await.expect(css).len()
    }

    /// What an element says.
    ///
    /// # Panics
    /// There is none.
    pub async fn text(&self, css: &str) -> String {
        let found = eventually(css, || async {
            let element = self.driver.find(By::Css(css)).await.ok()?;
            element.text().await.ok()
        });
        found.await
    }

    /// Waits until an element says this.
    ///
    /// # Panics
    /// It never does.
    pub async fn until(&self, css: &str, says: &str) {
        eventually(&format!("{css} says {says}"), || async {
            let element = self.driver.find(By::Css(css)).await.ok()?;
            element.text().await.ok().filter(|text| text.contains(says))
        })
        .await;
    }

    /// Presses it.
    ///
    /// # Panics
    /// It cannot be pressed.
    pub async fn press(&self, css: &str) {
        // What is put anew while somebody presses it is pressed again.
        eventually(&format!("{css} is pressed"), || async {
            let element = self.driver.find(By::Css(css)).await.ok()?;
            element.scroll_into_view().await.ok()?;
            element.click().await.ok()
        })
        .await;
    }

    /// Types something.
    ///
    /// # Panics
    /// It cannot be typed into.
    pub async fn type_into(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        element.clear().await.expect(css);
        element.send_keys(text).await.expect(css);
    }

    /// Presses keys, wherever the focus is.
    ///
    /// # Panics
    /// The browser does not take them.
    pub async fn keys(&self, keys: &str) {
        let chain = self.driver.action_chain().send_keys(keys);
        chain.perform().await.expect("keys");
    }

    /// Where it is.
    ///
    /// # Panics
    /// It does not say.
    pub async fn path(&self) -> String {
        let url = self.driver.current_url().await.expect("an address");
        url.as_str().trim_start_matches(self.base.as_str()).to_owned()
    }

    /// All of the page, as it is written.
    ///
    /// # Panics
    /// The browser does not say.
    pub async fn source(&self) -> String {
        self.driver.source().await.expect("a page")
    }

    /// Takes a picture.
    ///
    /// # Panics
    /// It cannot be written.
    pub async fn picture(&self, path: &Path) {
        self.driver.screenshot(path).await.expect("a picture");
    }

    /// Ends it.
    ///
    /// # Panics
    /// It does not end.
    pub async fn quit(self) {
        self.driver.quit().await.expect("it ends");
    }
}

/// A page that says no has a status that says so, too; files and scripts are refused nothing.
fn is_a_refusal(message: &str) -> bool {
    message.contains("the server responded with a status of 4") && !message.contains("/assets/")
}

fn is_complaint(level: &str) -> bool {
    matches!(level, "SEVERE" | "WARNING")
}
