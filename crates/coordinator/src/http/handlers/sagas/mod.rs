//! Definitions of sagas, and what runs them.

pub(in crate::http) mod list;
pub(in crate::http) mod put;
pub(in crate::http) mod retire;
pub(in crate::http) mod run;
pub(in crate::http) mod show;

use crate::access::Caller;
use crate::http::state::Api;
use crate::sagas::{Asked, Found};
use tercet_wire::SagaView;

/// Somebody who changes a definition now.
fn asked(api: &Api, caller: &Caller) -> Asked {
    Asked {
        id: api.clock.new_act(),
        at: api.clock.now().wall,
        who: caller.who.clone(),
        role: caller.role.as_str(),
    }
}

/// A version as it is shown.
fn view(found: &Found) -> SagaView {
    let Found { definition, created_at, retired_at } = found;
    let (saga, request) = (definition.saga.clone(), definition.request.clone());
    SagaView::of(saga.name, saga.version, (*created_at, *retired_at), request)
}
