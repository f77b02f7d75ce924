//! Which transactions a list has, and which part of it.

use std::str::FromStr;

use tercet_wire::{
    GidPrefix, Invalid, ListOrder, ListQuery, MetadataFilter, ParticipantName, Pattern, Reason,
    Status, UnknownName, Wall, without_nul,
};
use utoipa::IntoParams;

use crate::http::extract::params::{FromParams, Params};

/// Items of a page unless `limit` says otherwise.
const DEFAULT_LIMIT: u32 = 50;
/// The most a page can have.
pub(in crate::http) const MAX_LIMIT: u32 = 500;
/// Rows of one status that are looked through for a page, where no index has what is asked for.
const LOOKS_AT: u32 = 10_000;
/// What the parameters begin with that ask for metadata.
const METADATA: &str = "metadata.";

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
        Ok(Self { status: params.take("status", words)? })
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
        let status: Option<Vec<Status>> = params.take("status", words)?;
        let mut given = status.iter().flatten();
        if let Some(finished) = given.find(|status| status.is_finished()) {
            let what = format!(
                "{finished} transactions have ended, and nothing is left to be done in them"
            );
            return Err(Invalid::new("status", what));
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
    /// Whether they were begun open; also after their end.
    #[param(value_type = Option<bool>)]
    open: Option<bool>,
    /// Only unfinished ones with a branch of this `host:port`. Who is asked what became of an open one
    /// (`check`) is no branch: those are found by `status=trying&open=true`, with `parked=true` those of
    /// whom people are told.
    #[param(max_length = 259, pattern = "^.+:[0-9]{1,5}$")]
    participant: Option<String>,
    /// Of this shape: `tcc` or `saga`.
    #[param(value_type = Option<String>, pattern = "^(tcc|saga)$")]
    pattern: Option<Pattern>,
    /// Cancelled for any of these, with commas between: `try-refused`, `try-failed`, `deadline`,
    /// `requested`, `operator`, `check`.
    #[param(value_type = Option<String>, pattern = "^(try-refused|try-failed|deadline|requested|operator|check)(,(try-refused|try-failed|deadline|requested|operator|check))*$")]
    reason: Option<Vec<Reason>>,
    /// How their gids begin, by byte: 1 to 128 of a gid's letters.
    #[param(value_type = Option<String>, min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]+$")]
    gid_prefix: Option<GidPrefix>,
    /// `metadata.KEY=VALUE`, any number of them: whose metadata have this value under the key, a
    /// string, a number or a bool. Only with `status`, `parked` or a time.
    #[param(ignore)]
    metadata: Vec<MetadataFilter>,
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
            open: params.take_word("open", &[("true", true), ("false", false)])?,
            participant: params.take("participant", participant)?,
            pattern: params.take("pattern", str::parse)?,
            reason: params.take("reason", words)?,
            gid_prefix: params.take("gid_prefix", str::parse)?,
            metadata: params.take_all(METADATA)?.into_iter().map(says).collect(),
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
            open: self.open,
            participant: self.participant,
            pattern: self.pattern,
            reasons: self.reason.unwrap_or_default(),
            gid_prefix: self.gid_prefix,
            metadata: self.metadata,
            created_after: self.created_after,
            created_before: self.created_before,
            looks_at: LOOKS_AT,
            ..ListQuery::all(MAX_LIMIT)
        }
    }
}

/// Refuses to look through the metadata of all transactions there are.
///
/// # Errors
/// Nothing else narrows the list.
pub(in crate::http) fn narrowed(query: &ListQuery) -> Result<(), Invalid> {
    let has_time = query.created_after.is_some() || query.created_before.is_some();
    match query.metadata.first() {
        Some(MetadataFilter { key, .. })
            if query.statuses.is_empty() && !query.parked && !has_time =>
        {
            let name: String = format!("{METADATA}{key}").chars().take(64).collect();
            let only = "is taken only with status, parked=true, created_after or created_before";
            Err(Invalid::new(name, only))
        }
        _ => Ok(()),
    }
}

/// Which transactions come first.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Ordering {
    /// `newest` (default): those begun last come first; `oldest`: those begun first.
    #[param(value_type = Option<String>, pattern = "^(newest|oldest)$")]
    order: Option<ListOrder>,
}

impl FromParams for Ordering {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        let words = [("newest", ListOrder::Newest), ("oldest", ListOrder::Oldest)];
        Ok(Self { order: params.take_word("order", &words)? })
    }
}

impl Ordering {
    pub(in crate::http) fn order(&self) -> ListOrder {
        self.order.unwrap_or(ListOrder::Newest)
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

/// Words with commas between, each once.
fn words<W: FromStr<Err = UnknownName> + Ord>(text: &str) -> Result<Vec<W>, UnknownName> {
    let mut words = text.split(',').map(str::parse).collect::<Result<Vec<W>, _>>()?;
    words.sort_unstable();
    words.dedup();
    Ok(words)
}

fn says((key, value): (String, String)) -> MetadataFilter {
    // As metadata are kept.
    let kept = |text: String| without_nul(&text).into_owned();
    MetadataFilter { key: kept(key), value: kept(value) }
}

fn participant(text: &str) -> Result<String, &'static str> {
    // As the URLs of its branches have it, however it is written here.
    let name = text.parse::<ParticipantName>().map_err(|_| "must be host:port")?;
    Ok(name.as_str().to_owned())
}
