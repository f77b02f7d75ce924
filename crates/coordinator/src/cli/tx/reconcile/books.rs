//! Reads a participant's books.

use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::{BookEntry, BranchId, Gid, Page, SigningKey, call_id, header, webhook_timestamp};
use url::Url;

use crate::cli::tx::client::{Client, ClientError};

/// The secret that calls to this participant are signed with, where it lets no others through.
const SECRET: &str = "TERCET_SIGNING_SECRET";
/// Rows of a page: as many as there may be.
const ROWS: u16 = 500;
/// As many branches as a transaction may have: all rows of one gid are on one such page.
const ROWS_OF_ONE: u16 = 500;

/// A participant's books.
pub(super) struct Books {
    participant: Client,
    key: Option<SigningKey>,
}

impl Books {
    /// Those of this endpoint. The coordinator's token is not shown to it.
    pub(super) fn at(coordinator: &Client, endpoint: Url) -> Result<Self, ClientError> {
        let key = match std::env::var(SECRET) {
            Ok(secret) if !secret.is_empty() => {
                Some(secret.parse().map_err(|_| ClientError::Secret(SECRET))?)
            }
            _ => None,
        };
        Ok(Self { participant: coordinator.elsewhere(endpoint)?, key })
    }

    /// The page behind this cursor.
    pub(super) async fn page(&self, after: Option<&str>) -> Result<Page<BookEntry>, ClientError> {
        self.read(after.map(str::to_owned), ROWS).await
    }

    /// The row of one branch, if it is still there.
    pub(super) async fn row(
        &self,
        gid: &Gid,
        branch: &BranchId,
    ) -> Result<Option<BookEntry>, ClientError> {
        // Behind the gid and an empty branch, which comes before all of them.
        let page = self.read(Some(format!("{gid}/")), ROWS_OF_ONE).await?;
        Ok(page.items.into_iter().find(|row| row.gid == *gid && row.branch == *branch))
    }

    /// It answered what is no page of books.
    pub(super) fn strange(&self, what: &str) -> ClientError {
        self.participant.no_books(what.to_owned())
    }

    async fn read(
        &self,
        after: Option<String>,
        limit: u16,
    ) -> Result<Page<BookEntry>, ClientError> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(after.map(|after| ("after", after)));
        let (status, text) =
            self.participant.get_text(&["branches"], &query, self.signature()).await?;
        if status != 200 {
            return Err(self.strange(&format!("{status}")));
        }
        serde_json::from_str(&text).map_err(|_| self.strange("something else"))
    }

    /// As a call is signed, of a request that is about no branch and has no body.
    fn signature(&self) -> Vec<(&'static str, String)> {
        let Some(key) = &self.key else { return Vec::new() };
        let id = call_id(|_| None);
        let at = webhook_timestamp(SystemClock::start().now().wall);
        vec![
            (header::WEBHOOK_SIGNATURE, key.sign(&id, at, b"")),
            (header::WEBHOOK_TIMESTAMP, at.to_string()),
            (header::WEBHOOK_ID, id),
        ]
    }
}
