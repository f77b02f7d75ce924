//! What every scenario has: a coordinator, whoever is woken, and the hands by which they put things right.

use std::sync::Arc;

use tempfile::TempDir;
use tercet_console_tests::{Browser, Look};

use crate::coordinator::Coordinator;
use crate::pager::Pager;
use crate::participant::Participant;
use crate::record::Record;
use crate::screen::Screen;
use crate::shell::Shell;

/// By what things are put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Shell,
    Console,
}

impl Way {
    pub(crate) const ALL: [Self; 2] = [Self::Shell, Self::Console];

    /// As the report calls it.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Shell => "the command line",
            Self::Console => "the console",
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "cli",
            Self::Console => "console",
        }
    }
}

/// An operator.
pub(crate) enum Hands {
    Shell(Shell),
    Console(Screen),
}

pub(crate) struct Scene {
    pub(crate) record: Record,
    pub(crate) tercet: Coordinator,
    pub(crate) pager: Pager,
    /// How many wait where many do.
    pub(crate) waiting: usize,
    browser: Option<Arc<Browser>>,
}

impl Scene {
    /// One whose coordinator is not started yet. The browser is open, and has nothing of it.
    pub(crate) async fn set(way: Way, waiting: usize, record: &Record, home: Arc<TempDir>) -> Self {
        let pager = Pager::start().await;
        let mut tercet = Coordinator::new(home);
        tercet.set("ALERTS__WEBHOOK_URL", pager.url());
        let browser = match way {
            Way::Shell => None,
            Way::Console => Some(Arc::new(Browser::at(tercet.url(), Look::default()).await)),
        };
        record.name(tercet.url(), "http://TERCET");
        Self { record: record.clone(), tercet, pager, waiting, browser }
    }

    /// The browser, to be closed when all is over, however it ended.
    pub(crate) fn browser(&self) -> Option<Arc<Browser>> {
        self.browser.clone()
    }

    /// Those of whoever is at work, as things are now.
    pub(crate) fn hands(&self) -> Hands {
        match &self.browser {
            None => Hands::Shell(self.shell()),
            Some(browser) => Hands::Console(Screen::new(&self.record, Arc::clone(browser))),
        }
    }

    pub(crate) fn shell(&self) -> Shell {
        Shell::new(&self.record, &self.tercet)
    }

    /// A participant, by whose name the report calls it.
    pub(crate) async fn participant(&self, name: &'static str) -> Participant {
        self.known(Participant::start(name).await)
    }

    pub(crate) fn known(&self, participant: Participant) -> Participant {
        self.record.name(&participant.host_port(), &format!("{}:80", participant.name()));
        participant
    }
}
