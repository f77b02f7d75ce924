//! An initiator that asks with the same gid until it knows.

use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::initiator_log::{InitiatorLog, Told};
use crate::clock;
use crate::error::ChaosError;

/// How long an answer is waited for; longer than the coordinator lets anybody wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What is asked of the coordinator: to answer at the end, or after this long.
const WAIT_MS: u32 = 10_000;

/// The pause after a refusal or a broken connection. It is part of what an initiator sees of a
/// restart, so it is short.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a coordinator may be unable to say what stands in its rows.
const READ_WITHIN: Duration = Duration::from_secs(20);

/// Talks to the coordinator as an initiator does.
#[derive(Debug, Clone)]
pub(crate) struct Initiator {
    http: Client,
    /// The coordinators it knows, each as good as the others.
    bases: Arc<[String]>,
}

/// How often which answer came that was not the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Detours {
    /// Connections refused or broken, answers not in time.
    pub(crate) unanswered: u64,
    /// 429 and 503.
    pub(crate) refused: u64,
    /// Requests that every coordinator was asked, one after the other, and none answered: what
    /// an initiator behind a balancer sees fail.
    pub(crate) failed: u64,
}

impl Initiator {
    /// One for the coordinator at this URL.
    pub(crate) fn new(base: &str) -> Result<Self, ChaosError> {
        Self::of_several(vec![base.to_owned()])
    }

    /// One for several coordinators, which asks the next when one does not answer.
    pub(crate) fn of_several(bases: Vec<String>) -> Result<Self, ChaosError> {
        static TLS: Once = Once::new();
        // The client insists on a TLS provider although nothing here uses TLS.
        TLS.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let built = Client::builder().no_proxy().tls_certs_only([]).timeout(ANSWER_WITHIN).build();
        let http = built.map_err(|error| ChaosError::Answer(format!("an HTTP client: {error}")))?;
        Ok(Self { http, bases: bases.into() })
    }

    /// Begins the transaction, again and again with the same gid, until its end is told. Each
    /// transaction begins at another coordinator than the one before.
    pub(crate) async fn carry_through(
        &self,
        number: u64,
        ledger: &mut InitiatorLog,
        body: &str,
    ) -> Detours {
        let mut detours = Detours::default();
        let several = self.bases.len();
        let mut asked = usize::try_from(number).unwrap_or_default() % several;
        let mut without_answer = 0;
        loop {
            let base = &self.bases[asked % several];
            let url = format!("{base}/v1/transactions?wait=finished&wait_ms={WAIT_MS}");
            let request = self.http.post(&url).header("content-type", "application/json");
            match request.body(body.to_owned()).send().await {
                Ok(answer) if answer.status().is_success() => {
                    if let Ok(told) = answer.json::<Told>().await {
                        without_answer = 0;
                        ledger.hear(&told);
                        if told.status.is_final() {
                            ledger.finished = Some(clock::now());
                            return detours;
                        }
                        // It goes on: the repeat waits for it as well.
                        continue;
                    }
                    detours.unanswered += 1;
                }
                Ok(answer) if matches!(answer.status().as_u16(), 429 | 503) => detours.refused += 1,
                Ok(answer) => {
                    let status = answer.status();
                    let said = answer.text().await.unwrap_or_default();
                    ledger.contradictions.push(format!("begin was answered {status}: {said}"));
                    return detours;
                }
                Err(_) => detours.unanswered += 1,
            }
            asked += 1;
            without_answer += 1;
            if without_answer % several == 0 {
                detours.failed += 1;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Begins the transaction, again and again with the same gid, until it is known to exist.
    pub(crate) async fn hand_over(&self, body: &str) -> Result<(), ChaosError> {
        let url = format!("{}/v1/transactions?wait=accepted", self.bases[0]);
        loop {
            let request = self.http.post(&url).header("content-type", "application/json");
            match request.body(body.to_owned()).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) if !matches!(answer.status().as_u16(), 429 | 503) => {
                    let said = answer.text().await.unwrap_or_default();
                    return Err(ChaosError::Answer(format!("begin was refused: {said}")));
                }
                Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Cancels the transaction.
    pub(crate) async fn cancel(&self, gid: &str) -> Result<(), ChaosError> {
        let url = format!("{}/v1/transactions/{gid}/cancel?wait=decided", self.bases[0]);
        let sent = self.http.post(&url).send().await;
        let answer = sent.map_err(|error| ChaosError::Answer(format!("POST {url}: {error}")))?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(ChaosError::Answer(format!("{url} was answered {}", answer.status()))),
        }
    }

    /// How a transaction stands; `None` if it is not known.
    pub(crate) async fn look(&self, gid: &str) -> Result<Option<Told>, ChaosError> {
        let answer = self.get(&format!("/v1/transactions/{gid}")).await?;
        match answer.status().as_u16() {
            200 => Ok(Some(read(gid, answer).await?)),
            404 => Ok(None),
            other => Err(ChaosError::Answer(format!("reading {gid} was answered {other}"))),
        }
    }

    /// Whether every transaction is finished; with a participant (host:port), every one of its.
    pub(crate) async fn all_finished(&self, participant: Option<&str>) -> Result<bool, ChaosError> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<serde_json::Value>,
        }
        let mut path = "/v1/transactions?status=trying,confirming,cancelling&limit=1".to_owned();
        if let Some(participant) = participant {
            path.push_str(&format!("&participant={participant}"));
        }
        let list: List = read("the list", self.get(&path).await?).await?;
        Ok(list.items.is_empty())
    }

    /// Reads what is at this URL as JSON.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        what: &str,
        url: &str,
    ) -> Result<T, ChaosError> {
        let sent = self.http.get(url).send().await;
        read(what, sent.map_err(|error| ChaosError::Answer(format!("GET {url}: {error}")))?).await
    }

    /// Reads what is at this URL as text.
    pub(crate) async fn text(&self, url: &str) -> Result<String, ChaosError> {
        let failed = |error: reqwest::Error| ChaosError::Answer(format!("GET {url}: {error}"));
        self.http.get(url).send().await.map_err(failed)?.text().await.map_err(failed)
    }

    /// Of the first coordinator that can say. After a fault none may, for a moment: so they are
    /// asked again.
    async fn get(&self, path: &str) -> Result<reqwest::Response, ChaosError> {
        let begun = clock::now();
        loop {
            let mut why = String::new();
            for base in &*self.bases {
                match self.http.get(format!("{base}{path}")).send().await {
                    Ok(answer) if matches!(answer.status().as_u16(), 429 | 503) => {
                        why = format!("answered {}", answer.status());
                    }
                    Ok(answer) => return Ok(answer),
                    Err(error) => why = error.to_string(),
                }
            }
            if begun.elapsed() > READ_WITHIN {
                return Err(ChaosError::Answer(format!("GET {path}: {why}")));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn read<T: DeserializeOwned>(what: &str, answer: reqwest::Response) -> Result<T, ChaosError> {
    let read = answer.json().await;
    read.map_err(|error| ChaosError::Answer(format!("{what} was answered unreadably: {error}")))
}
