//! What the console works with.

use std::sync::Arc;

use axum::Router;
use tercet_clock::Clock;
use tercet_journal::Journal;
use tercet_wire::StatsView;
use tokio::sync::OnceCell;

use crate::access::{Access, Caller};
use crate::config::ShownSetting;
use crate::http::console::ask::Ask;
use crate::http::console::hold::Hold;
use crate::http::console::session::Keys;
use crate::http::readiness::Readiness;
use crate::http::state::Api;
use crate::metrics::RecentCalls;

/// What belongs to the console alone.
#[derive(Debug, Clone)]
pub struct ConsoleSettings {
    /// The settings that hold, as they may be shown.
    pub settings: Arc<[ShownSetting]>,
    /// What participants were called lately, and answered.
    pub recent: RecentCalls,
}

/// What the API of this node can do, of what not every version can; nothing else is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::http) struct Offers {
    /// A branch can be called elsewhere.
    pub(super) readdressing: bool,
}

impl Offers {
    /// By the routes that there are.
    pub(in crate::http) fn of(paths: &[String]) -> Self {
        let has = |path: &str| paths.iter().any(|known| known == path);
        Self { readdressing: has("/v1/transactions/{gid}/branches/{id}") }
    }
}

/// Everything a page can need.
pub(in crate::http) struct Console {
    /// Every route of this node, without what counts and limits requests from outside.
    api: Router,
    pub(super) access: Arc<Access>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) own: ConsoleSettings,
    pub(super) offers: Offers,
    journal: Journal,
    readiness: Readiness,
    keys: OnceCell<Option<Keys>>,
}

impl Console {
    /// One over this router, if there is to be one.
    pub(in crate::http) fn of(api: &Api, router: Router, offers: Offers) -> Option<Self> {
        let own = api.console.clone()?;
        Some(Self {
            api: router,
            access: Arc::clone(&api.access),
            clock: Arc::clone(&api.clock),
            own,
            offers,
            journal: api.journal.clone(),
            readiness: api.readiness.clone(),
            keys: OnceCell::new(),
        })
    }

    /// Asks the API for somebody.
    pub(super) fn ask_for(&self, caller: Caller) -> Ask {
        Ask { api: self.api.clone(), caller }
    }

    /// What is held since the database was restored; none where nothing is. Nobody is asked for it while
    /// this node knows of no hold.
    pub(super) async fn hold(&self, ask: &Ask) -> Option<Hold> {
        if !self.readiness.is_held() {
            return None;
        }
        match ask.get::<StatsView>("/v1/stats").await {
            Ok(stats) => stats.restored.map(Hold::of),
            // That it is held is known, and not how much.
            Err(_) => Some(Hold::default()),
        }
    }

    /// What sessions are sealed with; none while the database does not say.
    pub(super) async fn keys(&self) -> Option<&Keys> {
        let kept = async || match self.journal.secret().await {
            Ok(Some(secret)) => Ok(Keys::of(&secret)),
            // Rows in memory alone: nobody else has them, and sessions are over when they are.
            Ok(None) => Ok(Keys::of(&self.clock.new_secret())),
            Err(error) => Err(error),
        };
        match self.keys.get_or_try_init(kept).await {
            Ok(keys) => keys.as_ref(),
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(
                    event = "console_without_key",
                    error,
                    "the console opens when the database says what its sessions are sealed with"
                );
                None
            }
        }
    }
}
