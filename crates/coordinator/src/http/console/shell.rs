//! What all pages have around what they are about.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use tercet_wire::Wall;

use crate::access::Role;
use crate::http::console::assets::VERSION;
use crate::http::console::hold::ShownHold;
use crate::http::console::state::Offers;
use crate::http::console::visit::Visitor;

/// Which of the screens a page is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    NeedsYou,
    Transactions,
    Participants,
    Operations,
}

/// Around a page.
#[derive(Debug, Clone)]
pub(super) struct Shell {
    pub(super) title: String,
    pub(super) tab: Tab,
    pub(super) who: String,
    pub(super) role: Role,
    pub(super) form_token: String,
    pub(super) has_signed_in: bool,
    /// When it was made.
    pub(super) at: Wall,
    /// Of the console's own files.
    pub(super) version: &'static str,
    /// What was done just before.
    pub(super) said: Option<String>,
    /// What the API of this node can do.
    pub(super) offers: Offers,
    /// What is held since the database was restored.
    pub(super) hold: Option<ShownHold>,
}

impl Shell {
    pub(super) fn new(visitor: &Visitor, tab: Tab, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            tab,
            who: visitor.caller.who.to_string(),
            role: visitor.caller.role,
            form_token: visitor.guest.form_token.clone(),
            has_signed_in: visitor.has_signed_in(),
            at: visitor.now(),
            version: &VERSION,
            said: None,
            offers: visitor.console().offers,
            hold: visitor.hold.as_ref().map(|hold| hold.shown(visitor.now())),
        }
    }

    /// Around a page that nobody is shown.
    #[cfg(test)]
    pub(super) fn nobodys() -> Self {
        Self {
            title: String::new(),
            tab: Tab::Transactions,
            who: String::new(),
            role: Role::Viewer,
            form_token: String::new(),
            has_signed_in: false,
            at: Wall(0),
            version: "",
            said: None,
            offers: Offers::default(),
            hold: None,
        }
    }

    /// With what was done just before, as the address of the page says it.
    pub(super) fn saying(self, said: Option<String>) -> Self {
        Self { said, ..self }
    }

    pub(super) fn is(&self, tab: Tab) -> bool {
        self.tab == tab
    }

    pub(super) fn may_act(&self) -> bool {
        self.role >= Role::Operator
    }

    pub(super) fn may_decide(&self) -> bool {
        self.role >= Role::Client
    }
}

/// A page that is filled in.
pub(super) fn page(filled: &impl Template) -> Response {
    // Writing to a String does not fail, and what is written here does not either.
    Html(filled.render().unwrap_or_default()).into_response()
}
