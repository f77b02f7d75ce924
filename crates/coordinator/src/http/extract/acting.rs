//! Who does something by hand, and which row of the audit says so.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use tercet_wire::{ActId, Audited, Invalid, Operator};

use crate::access::Caller;
use crate::http::extract::params::{FromParams, Params, Query};
use crate::http::middleware::passed::PassedOn;
use crate::http::response::problem::Failure;
use crate::http::state::Api;

/// The parameter by which a node says to another which act a request is a part of. It stands under
/// that node's signature, and nobody else's is taken.
pub(in crate::http) const ACT: &str = "act";

/// An operator with an act of their own.
#[derive(Debug)]
pub(in crate::http) struct Acting(pub(in crate::http) Operator);

/// The same; or, of a request that another node has passed on and that takes no parameters, with
/// the act that it is a part of there.
#[derive(Debug)]
pub(in crate::http) struct ActingInPart(pub(in crate::http) Operator);

impl Caller {
    /// As somebody who does what this row of the audit says.
    pub(in crate::http) fn acts(&self, id: ActId) -> Operator {
        let audited = Audited::Row { id, role: self.role.as_str() };
        Operator { who: Arc::clone(&self.who), audited }
    }

    /// As somebody who does a part of what that row says.
    pub(in crate::http) fn acts_in_part(&self, act: ActId) -> Operator {
        Operator { who: Arc::clone(&self.who), audited: Audited::PartOf(act) }
    }
}

struct PartOf(Option<ActId>);

impl FromParams for PartOf {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        Ok(Self(params.take(ACT, str::parse)?))
    }
}

fn acting(parts: &Parts, api: &Api) -> Operator {
    Caller::of(parts).acts(api.clock.new_act())
}

impl<S: Sync> FromRequestParts<S> for Acting
where
    Arc<Api>: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Ok(Self(acting(parts, &Arc::from_ref(state))))
    }
}

impl<S: Sync> FromRequestParts<S> for ActingInPart
where
    Arc<Api>: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = parts.uri.query().unwrap_or_default();
        let act = match parts.extensions.get::<PassedOn>() {
            Some(PassedOn) => Query::<PartOf>::parse(query)?.0.0,
            None => {
                Query::<()>::parse(query)?;
                None
            }
        };
        Ok(Self(match act {
            Some(act) => Caller::of(parts).acts_in_part(act),
            None => acting(parts, &Arc::from_ref(state)),
        }))
    }
}
