//! Which transactions a list has, and which part of it.

use tercet_wire::{Invalid, ListQuery, Pattern, Status, UnknownName, Wall};
use utoipa::IntoParams;

use crate::http::extract::params::{FromParams, Params};

/// Items of a page unless `limit` says otherwise.
const DEFAULT_LIMIT: u32 = 50;
/// The most a page can have.
pub(in crate::http) const MAX_LIMIT: u32 = 500;

/// Transactions by their status, finished ones too.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct StatusFilter {
    /// Any of these, with commas between: `trying`, `confirming`, `cancelling`, `confirmed`, `cancelled`.
    #[param(value_type = Option<String>, pattern = "^(trying|confirming|cancelling|confirmed|cancelled)(,(trying|confirming|cancelling|confirmed|cancelled))*$")]
    pub(in crate::http) status: Option<Vec<Status>>,
}

impl FromParams for StatusFilter {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        Ok(Self { status: params.take("status", statuses)? })
    }
}

/// Unfinished transactions by their status.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct UnfinishedFilter {
    /// Any of these, with commas between: `trying`, `confirming`, `cancelling`. Default: all three.
    #[param(value_type = Option<String>, pattern = "^(trying|confirming|cancelling)(,(trying|confirming|cancelling))*$")]
    pub(in crate::http) status: Option<Vec<Status>>,
}

impl FromParams for UnfinishedFilter {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        let status = params.take("status", statuses)?;
        let mut given = status.iter().flatten();
        if let Some(finished) = given.find(|status| status.is_finished()) {
            return Err(Invalid::new("status", format!("nothing is called of what is {finished}")));
        }
        Ok(Self { status })
    }
}

/// Every condition that is given must hold.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Filter {
    /// `true`: only unfinished ones that need people. `false` asks for nothing.
    #[param(value_type = Option<bool>)]
    parked: Option<bool>,
    /// Only unfinished ones with a branch of this `host:port`.
    #[param(max_length = 259, pattern = "^.+:[0-9]{1,5}$")]
    participant: Option<String>,
    /// Of this shape: `tcc` or `saga`.
    #[param(value_type = Option<String>, pattern = "^(tcc|saga)$")]
    pattern: Option<Pattern>,
    /// Begun at this RFC 3339 time or later.
    #[param(value_type = Option<String>)]
    created_after: Option<Wall>,
    /// Begun before this RFC 3339 time.
    #[param(value_type = Option<String>)]
    created_before: Option<Wall>,
}

impl FromParams for Filter {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        Ok(Self {
            parked: params.take_word("parked", &[("true", true), ("false", false)])?,
            participant: params.take("participant", participant)?,
            pattern: params.take("pattern", str::parse)?,
            created_after: params.take("created_after", str::parse)?,
            created_before: params.take("created_before", str::parse)?,
        })
    }
}

impl Filter {
    /// The first page of those with one of these statuses, or with any, as long as can be.
    pub(in crate::http) fn query(self, statuses: Vec<Status>) -> ListQuery {
        ListQuery {
            statuses,
            parked: self.parked.unwrap_or(false),
            participant: self.participant,
            pattern: self.pattern,
            created_after: self.created_after,
            created_before: self.created_before,
            limit: MAX_LIMIT,
            cursor: None,
        }
    }
}

/// Which page of a list of transactions.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Paging {
    /// Items of a page.
    #[param(minimum = 1, maximum = 500, default = json!(DEFAULT_LIMIT))]
    limit: Option<u32>,
    /// `next_cursor` of the page before; empty or absent for the first page.
    cursor: Option<String>,
}

impl FromParams for Paging {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        let limit = params.take_number("limit", 1..=MAX_LIMIT)?;
        let cursor = params.take("cursor", |text| Ok::<_, String>(text.to_owned()))?;
        // An empty one is how some clients write that there is none.
        Ok(Self { limit, cursor: cursor.filter(|cursor| !cursor.is_empty()) })
    }
}

impl Paging {
    pub(in crate::http) fn limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// The cursor, which each list reads in its own way.
    ///
    /// # Errors
    /// It is none of this list's.
    pub(in crate::http) fn cursor<T, E: std::fmt::Display>(
        &self,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Invalid> {
        let cursor = self.cursor.as_deref().map(read).transpose();
        cursor.map_err(|error| Invalid::new("cursor", error))
    }
}

fn statuses(text: &str) -> Result<Vec<Status>, UnknownName> {
    let mut statuses = text.split(',').map(str::parse).collect::<Result<Vec<Status>, _>>()?;
    statuses.sort_unstable();
    statuses.dedup();
    Ok(statuses)
}

fn participant(text: &str) -> Result<String, &'static str> {
    let is_host_port = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    // As long as a name in the DNS, and a port.
    if is_host_port && text.len() <= 253 + 6 {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("must be host:port")
    }
}
