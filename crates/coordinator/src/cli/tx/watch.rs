//! `--watch`: the same view again and again. On a terminal it is drawn in its own place; elsewhere a line
//! tells each thing that changes.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::{BranchView, Page, SummaryView, TransactionView, Wall};

use crate::cli::exit::{Exit, say_json, show, with_causes};
use crate::cli::line::{Line, Tone};
use crate::cli::terminal::{has_colours, is_watched, size};
use crate::cli::tx::arguments::{List, Output};
use crate::cli::tx::client::{ClientError, Kind, NO_QUERY};
use crate::cli::tx::{Desk, text};

/// How often the coordinator is asked, and seconds count down.
const EVERY: Duration = Duration::from_secs(1);

/// Shows a transaction until it is finished.
pub(super) async fn one(desk: &Desk, gid: &str) -> Result<Exit, ClientError> {
    let clock = SystemClock::start();
    let path = ["v1", "transactions", gid];
    let (mut screen, mut told) = (Screen::default(), Told::default());
    let mut known: Option<TransactionView> = None;
    loop {
        let asked = desk.client.get(&path, NO_QUERY).await.and_then(|answered| {
            let unknown = |_| desk.client.strange(answered.status);
            serde_json::from_value(answered.body).map_err(unknown)
        });
        let doubt = kept(asked, &mut known)?;
        if let Some(view) = &known {
            let now = clock.now().wall;
            match is_drawn(desk) {
                true => screen.draw(|width| transaction(view, now, width), doubt.as_deref()),
                false => told.tell(desk, changes_of(view), view),
            }
            if doubt.is_none() && view.summary.status.is_finished() {
                return Ok(Exit::Well);
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Shows a list until it is interrupted.
pub(super) async fn list(desk: &Desk, list: List) -> Result<Exit, ClientError> {
    let clock = SystemClock::start();
    let query = list.query();
    let (mut screen, mut told) = (Screen::default(), Told::default());
    let mut known: Option<Page<SummaryView>> = None;
    loop {
        let asked = desk.client.get(&["v1", "transactions"], &query).await;
        let asked = asked.and_then(|answered| {
            let unknown = |_| desk.client.strange(answered.status);
            serde_json::from_value(answered.body).map_err(unknown)
        });
        let doubt = kept(asked, &mut known)?;
        if let Some(page) = &known {
            let now = clock.now().wall;
            match is_drawn(desk) {
                true => {
                    let next = page.next_cursor.as_deref();
                    let lines = |width| text::list(&page.items, next, now, width);
                    screen.draw(lines, doubt.as_deref());
                }
                false => {
                    let of_each = page.items.iter().map(Change::of_summary);
                    told.tell(desk, of_each.collect(), page);
                }
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What was answered is known from here on. Where nobody answers it is shown what was known before, and that it
/// is old; what will never be answered otherwise is an error.
fn kept<T: DeserializeOwned>(
    asked: Result<T, ClientError>,
    known: &mut Option<T>,
) -> Result<Option<String>, ClientError> {
    match asked {
        Ok(view) => {
            *known = Some(view);
            Ok(None)
        }
        Err(error) if known.is_some() && error.kind() == Kind::Unreachable => {
            Ok(Some(with_causes(&error)))
        }
        Err(error) => Err(error),
    }
}

fn is_drawn(desk: &Desk) -> bool {
    desk.output == Output::Text && is_watched()
}

/// A line for the transaction, and one for each branch.
fn transaction(view: &TransactionView, now: Wall, width: usize) -> Vec<Line> {
    let mut lines = text::in_brief(view, now, width);
    lines.truncate(size().1.saturating_sub(2).max(3));
    lines
}

/// What was drawn, so that it is drawn over.
#[derive(Debug, Default)]
struct Screen {
    lines: usize,
}

impl Screen {
    /// Draws what fits. The last column stays free: a line that fills it is two on some terminals.
    fn draw(&mut self, lines: impl FnOnce(usize) -> Vec<Line>, doubt: Option<&str>) {
        let (columns, rows) = size();
        let width = columns - 1;
        let mut lines = lines(width);
        lines.truncate(rows.saturating_sub(2));
        lines.extend(doubt.map(|doubt| Line::toned(Tone::Warn, doubt)));
        let frame = self.frame(lines, width);
        let mut out = io::stdout();
        let _ = out.write_all(frame.as_bytes()).and_then(|()| out.flush());
    }

    /// ECMA-48: the cursor goes up as many lines as there are, and each is erased as it is written anew.
    fn frame(&mut self, lines: Vec<Line>, width: usize) -> String {
        let mut frame = match self.lines {
            0 => String::new(),
            drawn => format!("\u{1b}[{drawn}A"),
        };
        self.lines = lines.len();
        for line in lines {
            // One that wraps would be two.
            frame += &format!("\r\u{1b}[2K{}\n", line.cut(width).shown(has_colours()));
        }
        // What is left of a longer one.
        frame += "\u{1b}[J";
        frame
    }
}

/// How something stands, by what it is called.
struct Change {
    what: String,
    stands: String,
}

impl Change {
    fn of_summary(item: &SummaryView) -> Self {
        let parked = if item.parked { ", parked" } else { "" };
        let mixed = if item.mixed { ", mixed" } else { "" };
        let held = if item.held { ", held" } else { "" };
        let stands = format!("{}{parked}{mixed}{held}", item.status);
        Self { what: item.gid.to_string(), stands }
    }

    fn of_branch(view: &TransactionView, branch: &BranchView) -> Self {
        let note = match (branch.resolved_as, branch.parked) {
            (Some(_), _) => ", by hand",
            (None, true) => ", parked",
            (None, false) => "",
        };
        let calls = text::calls(branch);
        let calls = if calls.is_empty() { calls } else { format!(" ({calls})") };
        let error = branch.last_error.as_deref().filter(|_| branch.finished_at.is_none());
        let error = error.map(|error| format!(": {error}")).unwrap_or_default();
        Self {
            what: format!("{} {}", view.summary.gid, branch.id),
            stands: format!("{}{note}{calls}{error}", branch.status),
        }
    }
}

fn changes_of(view: &TransactionView) -> Vec<Change> {
    let branches = view.branches.iter().map(|branch| Change::of_branch(view, branch));
    [Change::of_summary(&view.summary)].into_iter().chain(branches).collect()
}

/// What was told, so that only what is new is told.
#[derive(Debug, Default)]
struct Told {
    stood: BTreeMap<String, String>,
    whole: Option<Value>,
}

impl Told {
    fn tell<T: serde::Serialize>(&mut self, desk: &Desk, changes: Vec<Change>, whole: &T) {
        if desk.output != Output::Text {
            let Ok(whole) = serde_json::to_value(whole) else { return };
            if self.whole.as_ref() != Some(&whole) {
                say_json(&whole);
                self.whole = Some(whole);
            }
            return;
        }
        let now = SystemClock::start().now().wall;
        let mut stood = BTreeMap::new();
        for Change { what, stands } in changes {
            if self.stood.get(&what) != Some(&stands) {
                show(&format!("{now}  {what}  {stands}").into());
            }
            stood.insert(what, stands);
        }
        for gone in self.stood.keys().filter(|what| !stood.contains_key(*what)) {
            show(&format!("{now}  {gone}  no longer in the list").into());
        }
        self.stood = stood;
        // Whoever reads a pipe wants each at once.
        let _ = io::stdout().flush();
    }
}
