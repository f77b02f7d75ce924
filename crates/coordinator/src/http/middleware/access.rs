//! Who asks, and whether they may: before anything else is done for a request. Every route stands in
//! the table with what it needs; here it is compared with who comes.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use tercet_wire::ProblemCode;

use crate::access::{Access, Caller, Certificate, Denied, Failed, Needs, Role, Shown};
use crate::http::extract::peer::Peer;
use crate::http::response::problem::Failure;
use crate::http::route_table::RouteNeeds;

/// What is worked with.
#[derive(Debug, Clone)]
pub(in crate::http) struct Guard {
    pub(in crate::http) access: Arc<Access>,
    pub(in crate::http) needs: Arc<RouteNeeds>,
}

/// Lets a request go on whose caller may do what it asks for, and says who it is.
pub(in crate::http) async fn guarded(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    match guard.let_in(&request) {
        Ok(caller) => {
            // Nothing that comes after has a use for it: nobody keeps, passes on or logs it.
            request.headers_mut().remove(AUTHORIZATION);
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            next.run(request).await
        }
        Err(denied) => Failure::denied(&denied).into_response(),
    }
}

impl Guard {
    /// Who asks, where anybody wants to know.
    fn let_in(&self, request: &Request) -> Result<Option<Caller>, Denied> {
        let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let peer = request.extensions().get::<Peer>();
        let door = peer.map(|peer| peer.door).unwrap_or_default();
        let needs = self.needs.of(path, request.method());
        let role = match needs {
            Needs::Nothing | Needs::Node | Needs::Session => return Ok(None),
            Needs::Metrics if self.access.has_open_metrics() || door.is_probes_on_loopback() => {
                return Ok(None);
            }
            // Without rules everybody may do everything, which is so on loopback alone: what probes
            // are shown beyond it nobody can have a token for.
            Needs::Metrics if !self.access.has_rules() && door.for_probes => {
                return Err(Failed::Missing.into());
            }
            Needs::Metrics | Needs::Role(_) if !self.access.has_rules() => return Ok(None),
            Needs::Metrics => Role::Viewer,
            Needs::Role(role) => role,
        };
        if let Some(caller) = request.extensions().get::<Caller>() {
            // Another node has asked for the token, and signed what it has found.
            caller.may(role)?;
            return Ok(None);
        }
        let from = peer.map(|peer| peer.address);
        let certificate = request.extensions().get::<Certificate>();
        let shown = Shown { headers: request.headers(), certificate };
        self.access.admit(shown, role, from).map(Some)
    }
}

impl Failure {
    /// What somebody is told who is not let in.
    pub(in crate::http) fn denied(denied: &Denied) -> Self {
        let code = match denied {
            Denied::Unknown(_) => ProblemCode::Unauthorized,
            Denied::NoRole { .. } | Denied::TooSmall { .. } => ProblemCode::Forbidden,
        };
        Self::new(code, denied.to_string())
    }
}
