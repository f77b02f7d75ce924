//! Passes requests on to the node that drives what they are about.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tercet_clock::Clock;
use tercet_engine::{LifeState, StoredTransaction};
use tercet_journal::{Journal, JournalError};
use tercet_wire::{Gid, Incarnation, header};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::own_lease::OwnLease;
use super::pass::{BodyDigest, ClusterKey, Pass, Passed, in_header};
use super::peers::{NoClient, Peers};
use super::sightings::Sightings;
use crate::access::Caller;

/// The largest answer that is passed back, in bytes: more than any transaction's.
const MAX_ANSWER: usize = 64 << 20;

/// How often is looked whether who was asked still drives what it was asked about.
pub const LOOK_AGAIN: Duration = Duration::from_millis(200);

const HOP: HeaderName = HeaderName::from_static(header::HOP);
const OWNER: HeaderName = HeaderName::from_static(header::OWNER);
const NODE: HeaderName = HeaderName::from_static(header::NODE);
const WHO: HeaderName = HeaderName::from_static(header::WHO);
const ROLE: HeaderName = HeaderName::from_static(header::ROLE);

/// Headers that belong to one connection alone (RFC 9110, 7.6.1), are written anew, or were looked at
/// where the request came in: who asks is said under this node's signature, and no token goes further.
const NOT_PASSED_ON: [&str; 20] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "expect",
    "host",
    "authorization",
    "cookie",
    "origin",
    "referer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
];

/// Why a request was not passed on, or nobody knows what became of it: it may be repeated.
#[derive(Debug, Error)]
pub enum NotPassed {
    /// Nobody knows where that life listens.
    #[error("life {} of a node is not known here", .0.0)]
    Unknown(Incarnation),
    /// The database does not say where it listens.
    #[error("the database does not say where the other node listens")]
    Unread(#[from] JournalError),
    /// No answer came.
    #[error("no answer from {url}")]
    NoAnswer {
        /// Where it was asked.
        url: String,
        /// What happened.
        #[source]
        cause: reqwest::Error,
    },
    /// Not in time.
    #[error("no answer in time")]
    TooLate,
    /// It drives nothing any more.
    #[error("the node at {0} drives nothing any more")]
    Over(String),
    /// What came is longer than any answer.
    #[error("the answer of {0} has no end")]
    TooLarge(String),
    /// The request cannot be written.
    #[error("the request cannot be written")]
    Unwritable,
    /// Nobody can be asked at all.
    #[error(transparent)]
    NoClient(#[from] NoClient),
}

/// Asks other nodes.
pub struct Forwarder {
    own: Incarnation,
    journal: Journal,
    key: ClusterKey,
    peers: Arc<Peers>,
    sightings: Sightings,
    look: Arc<Notify>,
    lease: OwnLease,
    clock: Arc<dyn Clock>,
    /// Where lives listen. They never move.
    urls: Mutex<BTreeMap<Incarnation, String>>,
    /// How long a request that waits for nothing may look for who answers it.
    pub(crate) patience: Duration,
}

impl Forwarder {
    /// That of one life.
    #[must_use]
    pub fn new(
        own: Incarnation,
        journal: Journal,
        (key, peers): (ClusterKey, Arc<Peers>),
        sightings: Sightings,
        (look, lease): (Arc<Notify>, OwnLease),
        patience: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let urls = Mutex::default();
        Self { own, journal, key, peers, sightings, look, lease, clock, urls, patience }
    }

    /// The pass with which another node has passed this request on to this one.
    ///
    /// # Errors
    /// It has none that counts.
    pub fn pass_of(&self, headers: &HeaderMap, passed: &Passed<'_>) -> Result<Pass, super::NoPass> {
        let pass = headers.get(NODE).ok_or(super::NoPass::Forged)?;
        self.key.check(pass, passed, self.own, self.clock.now().wall)
    }

    /// Asks the owner. What it answers is the answer, whatever it says.
    ///
    /// # Errors
    /// Nobody knows whether it was done.
    pub async fn ask(
        &self,
        owner: Incarnation,
        (parts, body): (&Parts, &Bytes),
        caller: &Caller,
        within: Duration,
    ) -> Result<Response<Bytes>, NotPassed> {
        let asking = self.ask_owner(owner, (parts, body), caller, within);
        timeout(within, asking).await.unwrap_or(Err(NotPassed::TooLate))
    }

    async fn ask_owner(
        &self,
        owner: Incarnation,
        (parts, body): (&Parts, &Bytes),
        caller: &Caller,
        within: Duration,
    ) -> Result<Response<Bytes>, NotPassed> {
        let url = self.url_of(owner).await?;
        if !self.sightings.is_live(owner) {
            return Err(NotPassed::Over(url));
        }
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let (who, role) = (&in_header(&caller.who), caller.role.as_str());
        let passed = Passed { method: &parts.method, target, who, role };
        let at = self.clock.now().wall;
        let signed = (&passed, BodyDigest::of(body));
        let pass = self.key.sign(signed, (self.own, owner), at).ok_or(NotPassed::Unwritable)?;
        let mut headers = passed_on(&parts.headers);
        headers.insert(HOP, HeaderValue::from_static("1"));
        headers.insert(OWNER, HeaderValue::from(owner.0));
        headers.insert(NODE, pass);
        headers.insert(WHO, HeaderValue::from_str(who).map_err(|_| NotPassed::Unwritable)?);
        headers.insert(ROLE, HeaderValue::from_static(role));
        let asking = self
            .peers
            .http()?
            .request(parts.method.clone(), format!("{}{target}", url.trim_end_matches('/')))
            .headers(headers)
            .body(body.clone())
            .timeout(within)
            .send();
        let answered = async {
            let _place = self.peers.place().await;
            let answer = asking.await.map_err(|cause| no_answer(&url, cause))?;
            received(&url, answer).await
        };
        tokio::select! {
            biased;
            answered = answered => answered,
            () = self.until_over(owner) => Err(NotPassed::Over(url.clone())),
        }
    }

    /// What the database has of a transaction.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn stored(&self, gid: &Gid) -> Result<Option<StoredTransaction>, JournalError> {
        self.journal.look_at(gid).await
    }

    /// Whether nobody else can have taken over yet what this node drives.
    #[must_use]
    pub fn has_lease(&self) -> bool {
        self.lease.holds()
    }

    /// Has the lives of all nodes looked at, without waiting for the next time.
    pub fn look_now(&self) {
        self.look.notify_one();
    }

    /// The moment.
    #[must_use]
    pub fn now(&self) -> tercet_wire::Now {
        self.clock.now()
    }

    /// The other lives that are live, and where they listen, as the database has it now: one that has just
    /// begun was not seen yet. Where it does not answer, those that were seen.
    pub async fn others(&self, within: Duration) -> Vec<(Incarnation, String)> {
        let looking = async {
            let mut others = Vec::new();
            let rows = self.journal.lives().await;
            let live = match rows {
                Ok(rows) => {
                    let live = rows.iter().filter(|row| row.state == LifeState::Live);
                    live.map(|row| row.incarnation).collect()
                }
                Err(_) => self.sightings.live(),
            };
            for other in live {
                if other != self.own
                    && let Ok(url) = self.url_of(other).await
                {
                    others.push((other, url));
                }
            }
            others
        };
        timeout(within, looking).await.unwrap_or_default()
    }

    /// Tells these that this life has left, so that they need not find it out.
    pub async fn tell_that_we_left(&self, others: Vec<(Incarnation, String)>, within: Duration) {
        self.tell(LEFT, others, within).await;
    }

    /// Tells these something that they would find out by themselves, by the path that says what.
    /// Returns when all have heard, or the time is over.
    pub async fn tell(
        &self,
        target: &'static str,
        others: Vec<(Incarnation, String)>,
        within: Duration,
    ) {
        let Ok(http) = self.peers.http() else { return };
        let mut told = tokio::task::JoinSet::new();
        for (other, url) in others {
            let passed = Passed { method: &http::Method::POST, target, who: "", role: "" };
            let signed = (&passed, BodyDigest::of(b""));
            let at = self.clock.now().wall;
            let Some(pass) = self.key.sign(signed, (self.own, other), at) else { continue };
            let url = format!("{}{target}", url.trim_end_matches('/'));
            let asking = http.post(url).header(NODE, pass).timeout(within).send();
            told.spawn(async move { drop(asking.await) });
        }
        let _ = timeout(within, told.join_all()).await;
    }

    async fn url_of(&self, life: Incarnation) -> Result<String, NotPassed> {
        if let Some(url) = self.urls().get(&life) {
            return Ok(url.clone());
        }
        let all = self.journal.node_urls().await?;
        let mut urls = self.urls();
        *urls = all.into_iter().collect();
        urls.get(&life).cloned().ok_or(NotPassed::Unknown(life))
    }

    /// Returns when this life is seen to drive nothing any more.
    async fn until_over(&self, life: Incarnation) {
        loop {
            sleep(LOOK_AGAIN).await;
            if !self.sightings.is_live(life) {
                return;
            }
        }
    }

    fn urls(&self) -> std::sync::MutexGuard<'_, BTreeMap<Incarnation, String>> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a node is told that another has left.
pub const LEFT: &str = "/internal/v1/left";
/// Where it is told that an operator has paused or resumed a participant.
pub const PAUSED: &str = "/internal/v1/paused";

/// Where a node is asked by another whose job has come to a transaction that it drives.
pub const JOB_ACT: &str = "/internal/v1/job-act";

/// What of these goes on to the next connection.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    // Also what the connection's own header names.
    let named: Vec<String> = headers
        .get_all(http::header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut passed_on = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        let is_ours = [HOP, OWNER, NODE, WHO, ROLE].contains(name);
        let is_of_connection = NOT_PASSED_ON.contains(&name.as_str())
            || named.iter().any(|named| named == name.as_str());
        if !is_ours && !is_of_connection {
            passed_on.append(name.clone(), value.clone());
        }
    }
    passed_on
}

async fn received(url: &str, mut answer: reqwest::Response) -> Result<Response<Bytes>, NotPassed> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = passed_on(answer.headers());
    let mut body = BytesMut::new();
    while let Some(more) = answer.chunk().await.map_err(|cause| no_answer(url, cause))? {
        if body.len() + more.len() > MAX_ANSWER {
            return Err(NotPassed::TooLarge(url.to_owned()));
        }
        body.extend_from_slice(&more);
    }
    *response.body_mut() = body.freeze();
    Ok(response)
}

fn no_answer(url: &str, cause: reqwest::Error) -> NotPassed {
    NotPassed::NoAnswer { url: url.to_owned(), cause: cause.without_url() }
}
