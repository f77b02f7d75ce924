//! `?include=`: what is shown only to those who ask for it.

use tercet_wire::Invalid;
use utoipa::IntoParams;

use crate::http::extract::params::{FromParams, Params};

/// What else is shown of a transaction.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Include {
    /// `payload`: what each branch is sent, which takes the role operator.
    #[param(value_type = Option<String>, pattern = "^(payload)$")]
    include: Option<Payload>,
}

#[derive(Debug, Clone, Copy)]
struct Payload;

impl FromParams for Include {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        Ok(Self { include: params.take_word("include", &[("payload", Payload)])? })
    }
}

impl Include {
    /// Whether what branches are sent was asked for.
    pub(in crate::http) fn payload(&self) -> bool {
        self.include.is_some()
    }
}
