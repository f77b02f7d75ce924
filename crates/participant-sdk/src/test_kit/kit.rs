//! What the user of the kit says, and the order in which things are checked.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tercet_wire::SigningKey;

use super::balances::Balances;
use super::bench::{Bench, Effects};
use super::caller::Caller;
use super::error::KitError;
use super::model::Kind;
use super::probe::Probe;
use super::progress::{Listener, Progress, Undecided};
use super::race::race;
use super::report::Report;
use super::rule::Rule;
use super::scenario;
use crate::clock;

/// A participant that is to be checked. Nobody else may use it meanwhile.
#[derive(Debug, Clone)]
pub struct TestKit {
    endpoint: String,
    payload: Value,
    refused: Option<Value>,
    secret: Option<SigningKey>,
    probes: Vec<Probe>,
    counted: Vec<String>,
    watched: Vec<String>,
    pub(super) conserved: Vec<(String, Vec<String>)>,
    pub(super) reserved: Vec<String>,
    seed: u64,
    rounds: u32,
    at_most: Duration,
    at_most_calls: u64,
    pub(super) settling: Duration,
    listener: Option<Listener>,
}

impl TestKit {
    /// A kit for the participant at `endpoint` (`{endpoint}/try`, `/confirm`, `/cancel`),
    /// with a payload whose Try succeeds. Where the payload says `{gid}` or `{branch}`, each
    /// call's own stand: `{"order":"{gid}/{branch}"}`.
    ///
    /// # Errors
    /// The payload cannot be written as JSON.
    pub fn new(endpoint: impl Into<String>, payload: &impl Serialize) -> Result<Self, KitError> {
        Ok(Self {
            endpoint: endpoint.into(),
            payload: serde_json::to_value(payload).map_err(KitError::Payload)?,
            refused: None,
            secret: None,
            probes: Vec::new(),
            counted: Vec::new(),
            watched: Vec::new(),
            conserved: Vec::new(),
            reserved: Vec::new(),
            seed: 1,
            rounds: 10,
            at_most: Duration::from_secs(120),
            at_most_calls: 20_000,
            settling: Duration::from_millis(400),
            listener: None,
        })
    }

    /// Reads balances from the JSON behind this URL, as [`Balances::from_json`] does. Several
    /// probes are added up.
    #[must_use]
    pub fn probe_url(mut self, url: impl Into<String>) -> Self {
        self.probes.push(Probe::Url(url.into()));
        self
    }

    /// Reads balances by a function; its error is why they cannot be read, in words.
    #[must_use]
    pub fn probe<F, R>(mut self, look: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Balances, String>> + Send + 'static,
    {
        self.probes.push(Probe::function(look));
        self
    }

    /// Counts the texts of this field of a URL's JSON: `status` makes `status=pending` a balance.
    #[must_use]
    pub fn counting(mut self, field: impl Into<String>) -> Self {
        self.counted.push(field.into());
        self
    }

    /// Watches this balance and the others so named, and no more: for a probe that also shows
    /// numbers that are no balances (row ids, versions).
    #[must_use]
    pub fn watching(mut self, name: impl Into<String>) -> Self {
        self.watched.push(name.into());
        self
    }

    /// These balances always add up to the same: `("money", ["balance", "frozen", "spent"])`.
    #[must_use]
    pub fn conserved<N: Into<String>>(
        mut self,
        name: impl Into<String>,
        parts: impl IntoIterator<Item = N>,
    ) -> Self {
        let parts = parts.into_iter().map(Into::into).collect();
        self.conserved.push((name.into(), parts));
        self
    }

    /// What a Try makes more of, and Confirm and Cancel bring back: `frozen`. It is never below
    /// zero.
    #[must_use]
    pub fn reserved(mut self, name: impl Into<String>) -> Self {
        self.reserved.push(name.into());
        self
    }

    /// A payload whose Try is to be refused, which lets [`Rule::RefusedTry`] be checked.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn refused_payload(mut self, payload: &impl Serialize) -> Result<Self, KitError> {
        self.refused = Some(serde_json::to_value(payload).map_err(KitError::Payload)?);
        Ok(self)
    }

    /// Signs calls, which lets [`Rule::OnlySigned`] be checked: the participant has this secret, and lets
    /// through what is signed by it alone.
    #[must_use]
    pub fn secret(mut self, secret: SigningKey) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Another seed makes up other courses of events.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How often races are run, and how many courses of events are made up; by default 10. Each
    /// round confirms at most five times, and reserves at most six times at once; the rest of a
    /// run confirms about fifteen times.
    #[must_use]
    pub fn rounds(mut self, rounds: u32) -> Self {
        self.rounds = rounds;
        self
    }

    /// How long it may take (by default two minutes); what is left then is reported as unchecked.
    #[must_use]
    pub fn at_most(mut self, time: Duration) -> Self {
        self.at_most = time;
        self
    }

    /// How many calls it may make (by default 20 000); likewise.
    #[must_use]
    pub fn at_most_calls(mut self, calls: u64) -> Self {
        self.at_most_calls = calls;
        self
    }

    /// How long the balances may take to show what was answered (by default 400 ms). Right balances
    /// are never waited for; wrong ones are, before they are called wrong.
    #[must_use]
    pub fn settling(mut self, time: Duration) -> Self {
        self.settling = time;
        self
    }

    /// Tells how far it is, before each course of events.
    #[must_use]
    pub fn telling(mut self, listen: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.listener = Some(Listener::new(listen));
        self
    }

    /// Checks the participant.
    ///
    /// # Errors
    /// It cannot be checked; a broken rule is no error but stands in the report.
    pub async fn run(&self) -> Result<Report, KitError> {
        self.run_until(std::future::pending()).await
    }

    /// Checks the participant until it is done or this ends; what is left then is reported as unchecked.
    /// Whatever it tried and did not decide is cancelled, however it ends.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_until(&self, stop: impl Future<Output = ()>) -> Result<Report, KitError> {
        if self.probes.is_empty() {
            return Err(KitError::NoProbe);
        }
        let caller = Caller::new(&self.endpoint, self.secret.clone())
            .map_err(|why| KitError::Endpoint { endpoint: self.endpoint.clone(), why })?;
        let mut report = Report {
            endpoint: caller.endpoint().to_owned(),
            seed: self.seed,
            calls: 0,
            checked: Vec::new(),
            broken: Vec::new(),
            unchecked: Vec::new(),
            left: 0,
        };
        let mut checked = BTreeSet::new();
        let undecided = Undecided::default();
        let checking = self.check(caller.clone(), &mut report, &mut checked, undecided.clone());
        let ended = tokio::select! {
            ended = checking => ended,
            () = tokio::time::sleep(self.at_most) => Ok("the time was up"),
            () = stop => Ok("it was stopped"),
        };
        let (_, left) = undecided.cancel(&caller).await;
        report.left = left;
        let why = ended?;
        for rule in Rule::ALL {
            if checked.contains(rule) || report.breaks(*rule) {
                report.checked.push(*rule);
            } else if self.asks_for(*rule) {
                report.unchecked.push((*rule, why));
            }
        }
        Ok(report)
    }

    /// Checks everything, noting each rule once nothing of it is left; says why it ended.
    async fn check(
        &self,
        caller: Caller,
        report: &mut Report,
        checked: &mut BTreeSet<Rule>,
        undecided: Undecided,
    ) -> Result<&'static str, KitError> {
        let all = self.look_at_all(caller.http()).await?;
        self.is_known(&all)?;
        let at_first = self.watched_of(all);
        let mut progress = Progress {
            rule: Rule::TryReserves,
            done: 0,
            of: 0,
            calls: 0,
            balances: at_first.stand(),
        };
        self.tell(&progress);
        let run = clock::new_id().simple().to_string();
        let effects = Effects::default();
        let mut bench =
            Bench { kit: self, caller, effects, at_first, report, run, number: 0, undecided };
        let learnt = bench.learn().await?;
        checked.insert(Rule::TryReserves);
        if !learnt {
            return Ok("there is nothing to compare with");
        }
        checked.extend([Rule::CancelReleases, Rule::ConfirmTakes]);
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let mut scenarios =
            scenario::all(self.rounds, self.refused.is_some(), self.secret.is_some());
        scenarios.extend((0..self.rounds).map(|_| race(&mut rng)));
        let mut left = scenarios.as_slice();
        progress.of = scenarios.len();
        while let Some((scenario, rest)) = left.split_first() {
            progress.done = progress.of - left.len();
            (progress.rule, progress.calls) = (scenario.rule, bench.report.calls);
            self.tell(&progress);
            if bench.report.calls >= self.at_most_calls {
                return Ok("enough calls were made");
            }
            if !bench.report.breaks(scenario.rule) {
                bench.run(scenario).await?;
            }
            left = rest;
            if rest.iter().all(|later| later.rule != scenario.rule) {
                checked.insert(scenario.rule);
            }
        }
        if self.asks_for(Rule::Sums) {
            checked.insert(Rule::Sums);
        }
        Ok("")
    }

    fn tell(&self, progress: &Progress) {
        if let Some(listener) = &self.listener {
            listener.tell(progress);
        }
    }

    /// Whether every balance that was named is there. A text that is counted may come later, and where nothing is
    /// there yet, so may everything.
    fn is_known(&self, found: &Balances) -> Result<(), KitError> {
        if found.names().next().is_none() {
            return Ok(());
        }
        let conserved = self.conserved.iter().flat_map(|(_, parts)| parts);
        let named = self.reserved.iter().chain(&self.watched).chain(conserved);
        let counted = |name: &str| {
            name.split_once('=').is_some_and(|(field, _)| self.counted.iter().any(|it| it == field))
        };
        match { named }.find(|name| !counted(name) && found.names().all(|known| known != *name)) {
            Some(name) => {
                Err(KitError::UnknownBalance { name: name.clone(), found: found.stand() })
            }
            None => Ok(()),
        }
    }

    /// Whether enough was said for this rule to be checked.
    fn asks_for(&self, rule: Rule) -> bool {
        match rule {
            Rule::RefusedTry => self.refused.is_some(),
            Rule::OnlySigned => self.secret.is_some(),
            Rule::Sums => !self.conserved.is_empty() || !self.reserved.is_empty(),
            _ => true,
        }
    }

    pub(super) async fn look(&self, http: &reqwest::Client) -> Result<Balances, KitError> {
        self.look_at_all(http).await.map(|all| self.watched_of(all))
    }

    fn watched_of(&self, all: Balances) -> Balances {
        if self.watched.is_empty() { all } else { all.only(&self.watched) }
    }

    async fn look_at_all(&self, http: &reqwest::Client) -> Result<Balances, KitError> {
        let mut balances = Balances::new();
        for probe in &self.probes {
            let found = probe.look(http, &self.counted).await.map_err(KitError::Probe)?;
            balances = balances.beside(&found);
        }
        Ok(balances)
    }

    pub(super) fn payload(&self, kind: Kind, gid: &str, branch: &str) -> String {
        let payload = match (kind, &self.refused) {
            (Kind::Refused, Some(refused)) => refused,
            (Kind::Refused | Kind::Usual | Kind::OtherLife, _) => &self.payload,
        };
        fill(payload, gid, branch)
    }
}

/// Puts a call's ids where the payload asks for them.
fn fill(payload: &Value, gid: &str, branch: &str) -> String {
    payload.to_string().replace("{gid}", gid).replace("{branch}", branch)
}
