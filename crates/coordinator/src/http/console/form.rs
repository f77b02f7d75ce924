//! What a form has sent, if a page of ours made it.

use axum::extract::{FromRequest, Request};
use axum::response::Response;
use std::sync::Arc;
use tercet_wire::ProblemCode;
use url::form_urlencoded;

use crate::http::console::error_page;
use crate::http::console::visit::Guest;
use crate::http::extract::body::whole;
use crate::http::state::Api;

/// The field that says whose form it is.
pub(super) const TOKEN: &str = "form_token";

/// The fields of one.
#[derive(Debug, Clone)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// What was written into a field; none if nothing was.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(field, _)| field == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// Everything of a field that can be there more than once.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let of_it = self.0.iter().filter(|(field, _)| field == name);
        of_it.map(|(_, value)| value.clone()).collect()
    }
}

impl FromRequest<Arc<Api>> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let refused = |what| error_page::bare(ProblemCode::Forbidden, what);
        let Some(guest) = parts.extensions.get::<Guest>() else {
            return Err(refused("nobody has sent this"));
        };
        let received = whole(&parts.headers, body, &api.requests).await;
        let (bytes, _place) =
            received.map_err(|failure| error_page::bare(failure.code(), failure.detail()))?;
        let fields = Self(form_urlencoded::parse(&bytes).into_owned().collect());
        let Some(keys) = guest.console.keys().await else {
            return Err(refused("the database does not answer; nothing was done"));
        };
        let token = fields.get(TOKEN).unwrap_or_default();
        match guest.session.has_sent(token, keys) {
            true => Ok(fields),
            false => Err(refused(
                "this form is of a session that has ended, or of no page of this console: nothing was \
                 done. Open the page again, and send it from there.",
            )),
        }
    }
}
