//! Records for tests, and what they must lead to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{
    Act, Acted, BranchRecord, Change, Decided, Decision, HistoryEvent, LastAnswer,
    PendingResolution, Record, StoredTransaction, Tried, TryAnswer,
};
use tercet_wire::{
    Action, BranchId, BranchOptions, BranchResult, BranchSpec, BranchStatus, CallOp, EventKind,
    Fingerprint, Gid, Instance, Op, Pattern, PerOp, Reason, ResolvedAs, RowsUnder, SagaVersion,
    Seq, Spec, Status, TransactionOptions, TryBy, Wall, spread,
};
use url::Url;

pub(crate) fn record(seq: u64, spec: &Spec, change: Change) -> Record {
    Record { seq: Seq(seq), gid: spec.gid.clone(), instance: spec.instance, change }
}

/// Of every three lives one whose rows stand under its instance, and two whose stand under their gids, as all did once.
fn instance(number: u64) -> Instance {
    let life: Instance = format!("00000000-0000-7000-8000-{number:012x}").parse().unwrap();
    life.with_rows(if number.is_multiple_of(3) { RowsUnder::Instance } else { RowsUnder::Gid })
}

/// A branch with every field used.
fn branch(position: u32, host: &str) -> Arc<BranchSpec> {
    let url =
        |leg: &str| Some(Arc::new(Url::parse(&format!("http://{host}/pay/{leg}?a=%20b")).unwrap()));
    let has_try = !position.is_multiple_of(3);
    Arc::new(BranchSpec {
        id: format!("b{position}").parse().unwrap(),
        position,
        urls: PerOp {
            try_: has_try.then(|| url("try")).flatten(),
            confirm: url("confirm"),
            cancel: (position != 1).then(|| url("cancel")).flatten(),
        },
        headers: [("x-tenant".to_owned(), "\"eu\" – ß\\".to_owned())].into(),
        payload: Arc::from("{\"amount\": 4200.00 ,\"name\":\"O'Brien, \u{1F600}\"}"),
        timeout: Duration::from_millis(3_000 + u64::from(position)),
        try_by: if has_try { TryBy::Coordinator } else { TryBy::Initiator },
        options: (position % 2 == 1).then(|| {
            let after = Some(["b0".parse().unwrap()].into());
            let confirm_after_ms = Some(u64::from(position) * 1_000);
            let try_attempts = Some(position);
            let before = BranchOptions::default();
            Arc::new(BranchOptions { after, try_attempts, confirm_after_ms, ..before })
        }),
        fingerprint: Fingerprint::from_text(&format!("1:{position}")),
    })
}

/// A transaction of two branches.
pub(crate) fn trying(name: &str, life: u64, created_at: i64) -> Arc<Spec> {
    Arc::new(Spec {
        gid: name.parse().unwrap(),
        instance: instance(life),
        pattern: Pattern::Tcc,
        open: false,
        created_at: Wall(created_at),
        deadline_at: Wall(created_at + 30_000),
        fingerprint: Fingerprint::from_text(&format!("1:{name}")),
        metadata: Some(Arc::from("{\"channel\":\"web\"}")),
        traceparent: Arc::from("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        options: None,
        branches: vec![branch(0, "127.0.0.1:7301"), branch(1, "[::1]:7302")],
    })
}

/// An open transaction without branches.
pub(crate) fn open_transaction(name: &str, life: u64, created_at: i64) -> Arc<Spec> {
    let spec = Arc::unwrap_or_clone(trying(name, life, created_at));
    Arc::new(Spec { open: true, metadata: None, branches: Vec::new(), ..spec })
}

/// An open saga that asks for all that a transaction can ask for.
pub(crate) fn with_options(spec: &Spec) -> Arc<Spec> {
    let name = "trip".parse().unwrap();
    let options = TransactionOptions {
        check: Some(Arc::new(Url::parse("http://[::1]:7310/check?a=%20'b'").unwrap())),
        saga: Some(SagaVersion { name, version: 7 }),
    };
    let options = Some(Arc::new(options));
    Arc::new(Spec { pattern: Pattern::Saga, open: true, options, ..spec.clone() })
}

/// The changes that take a transaction to its end.
pub(crate) fn finished(spec: &Arc<Spec>, decided: i64, finished: i64) -> Vec<Change> {
    vec![
        Change::Begun(Arc::clone(spec)),
        Change::Decided(Decided { at: Wall(decided), decision: Decision::Confirm }),
        Change::Finished { status: Status::Confirmed, at: Wall(finished) },
    ]
}

/// The Try of a branch is done, and was answered with something; one that has options.
pub(crate) fn tried(branch: &str) -> Change {
    let record = BranchRecord {
        branch: branch.parse().unwrap(),
        status: BranchStatus::Tried,
        attempts: PerOp { try_: 1, confirm: 0, cancel: 0 },
        parked: false,
        last_error: None,
        answer: None,
        last_answer: None,
        resolved_as: None,
        pending_resolution: None,
        contradicted: false,
        acknowledged_at: None,
    };
    let result = BranchResult::of_body("{ \"seat\" :\"12A\", \"é\":1.50}".as_bytes());
    Change::Tried(Box::new(Tried { record, result }))
}

/// Something that somebody did.
pub(crate) fn act(number: u64, at: Wall, gid: Option<&Gid>) -> Act {
    Act {
        id: format!("01980000-0000-7000-9000-{number:012x}").parse().unwrap(),
        at,
        who: format!("who-{number}").into(),
        role: "operator".into(),
        action: if gid.is_some() { Action::Retry } else { Action::RetryAll },
        gid: gid.cloned(),
        branch: None,
        note: None,
        detail: "{}".into(),
    }
}

/// What was done by hand among these.
pub(crate) fn acts(records: &[Record]) -> Vec<&Act> {
    let mut acts = Vec::new();
    for record in records {
        if let Change::Acted(acted) = &record.change {
            acts.push(&acted.act);
        }
    }
    acts
}

/// Records of several transactions, interleaved, that fit each other; the same for the same luck.
pub(crate) struct Script {
    pub(crate) records: Vec<Record>,
    entropy: u64,
    used: u64,
    oracle: BTreeMap<Gid, StoredTransaction>,
}

impl Script {
    pub(crate) fn of(entropy: u64, transactions: u64, records: usize) -> Self {
        let mut script = Self { records: Vec::new(), entropy, used: 0, oracle: BTreeMap::new() };
        for number in 0..transactions {
            let name = format!("tx-{:03}", spread(entropy, 1_000 + number) % 1_000);
            let spec = match script.pick(3) {
                0 => open_transaction(&name, number, 1_000 + i64::try_from(number).unwrap()),
                1 => with_options(&trying(&name, number, 1_000)),
                _ => trying(&name, number, 1_000),
            };
            if !script.oracle.contains_key(&spec.gid) {
                script.oracle.insert(spec.gid.clone(), StoredTransaction::begun(Arc::clone(&spec)));
                script.push(&spec, Change::Begun(Arc::clone(&spec)));
            }
        }
        while script.records.len() < records {
            let place = script.pick(u64::try_from(script.oracle.len()).unwrap());
            let stored = script.oracle.values().nth(usize::try_from(place).unwrap());
            let spec = Arc::clone(&stored.unwrap().spec);
            let change = script.change(&spec.gid);
            let stored = script.oracle.get_mut(&spec.gid).unwrap();
            if stored.apply(&change).is_ok() {
                script.push(&spec, change);
            }
        }
        script
    }

    /// What the rows must be after the first of the records.
    pub(crate) fn after(&self, records: usize) -> BTreeMap<Gid, StoredTransaction> {
        let mut all: BTreeMap<Gid, StoredTransaction> = BTreeMap::new();
        for record in &self.records[..records] {
            match &record.change {
                Change::Begun(spec) => {
                    all.insert(record.gid.clone(), StoredTransaction::begun(Arc::clone(spec)));
                }
                change => all.get_mut(&record.gid).unwrap().apply(change).unwrap(),
            }
        }
        all
    }

    /// A number below `bound`.
    pub(crate) fn pick(&mut self, bound: u64) -> u64 {
        self.used += 1;
        spread(self.entropy, self.used) % bound
    }

    fn push(&mut self, spec: &Spec, change: Change) {
        let seq = u64::try_from(self.records.len()).unwrap() + 1;
        self.records.push(record(seq, spec, change));
    }

    /// Some change, which may not fit.
    fn change(&mut self, gid: &Gid) -> Change {
        let stored = self.oracle[gid].clone();
        let at = Wall(2_000 + i64::try_from(self.used).unwrap());
        let position = u32::try_from(stored.branches.len()).unwrap();
        match self.pick(16) {
            0 => Change::Registered(branch(position, "example.org")),
            1 => Change::RegisteredAtOnce(
                (position..position + 3).map(|at| branch(at, "example.org")).collect(),
            ),
            2 => Change::Decided(Decided { at, decision: Decision::Confirm }),
            3 => {
                let detail = (self.pick(2) == 0).then(|| Arc::from("changed my mind – \"so\""));
                let reason = Reason::ALL[usize::try_from(self.pick(5)).unwrap()];
                Change::Decided(Decided { at, decision: Decision::Cancel { reason, detail } })
            }
            4 => Change::Finished { status: Status::Confirmed, at },
            5 => Change::Finished { status: Status::Cancelled, at },
            6 => Change::Parked(self.pick(2) == 0),
            7..=9 => {
                let of = self.pick(3);
                let mut outcome = self.outcome(&format!("b{of}"), at);
                // Nobody acknowledges what is not decided, and what was resolved has ended:
                // reading says so.
                outcome.acknowledged_at.take_if(|_| !stored.status.is_decided());
                outcome.resolved_as.take_if(|_| outcome.acknowledged_at.is_none());
                outcome.pending_resolution.take_if(|_| outcome.acknowledged_at.is_some());
                outcome.contradicted &= outcome.resolved_as.is_some();
                Change::BranchRecord(outcome)
            }
            10 | 11 => Change::History(self.happening(stored.history_len + 1, at)),
            // Of a branch that is not there nothing is known.
            14 if position > 1 => tried("b1"),
            15 if position > 0 => {
                let of = usize::try_from(self.pick(u64::from(position))).unwrap();
                Change::Readdressed(Arc::new(called_elsewhere(&stored.branches[of], self.used)))
            }
            _ => {
                let act = Act { note: Some("why".into()), ..act(self.used, at, Some(gid)) };
                let line = Change::History(self.happening(stored.history_len + 1, at));
                let parked = Change::Parked(self.pick(2) == 0);
                Change::Acted(Box::new(Acted { act, changes: vec![line, parked] }))
            }
        }
    }

    fn outcome(&mut self, branch: &str, at: Wall) -> BranchRecord {
        let status = BranchStatus::ALL[usize::try_from(self.pick(5)).unwrap()];
        let answered = self.pick(3);
        BranchRecord {
            branch: branch.parse().unwrap(),
            status,
            attempts: PerOp { try_: 1, confirm: 2, cancel: u32::MAX },
            parked: self.pick(2) == 0,
            last_error: (self.pick(2) == 0).then(|| Arc::from("answered 500")),
            answer: (answered > 0).then(|| TryAnswer {
                status: (answered > 1).then_some(409),
                body: Arc::from("out of stock"),
            }),
            last_answer: (self.pick(2) == 0).then(|| {
                let body = Arc::from("{\"code\":\"ledger-closed\"} – \u{fffd}");
                Arc::new(LastAnswer { op: Op::Confirm, status: 409, body, at })
            }),
            resolved_as: (self.pick(2) == 0).then_some(ResolvedAs::Confirmed),
            pending_resolution: (self.pick(2) == 0).then(|| {
                let note = Some(Arc::from("ticket \"1\""));
                let (as_, by) = (ResolvedAs::Cancelled, Arc::from("alice"));
                Arc::new(PendingResolution { as_, by, note, at })
            }),
            contradicted: self.pick(2) == 0,
            acknowledged_at: (self.pick(2) == 0).then_some(at),
        }
    }

    fn happening(&mut self, number: u32, at: Wall) -> HistoryEvent {
        let of_a_call = self.pick(2) == 0;
        HistoryEvent {
            number,
            at,
            kind: EventKind::ALL[usize::try_from(self.pick(4)).unwrap()],
            branch: of_a_call.then(|| BranchId::by_position(0)),
            op: of_a_call.then(|| CallOp::ALL[usize::try_from(number % 4).unwrap()]),
            attempt: of_a_call.then_some(7),
            detail: (self.pick(2) == 0).then(|| Arc::from("timeout after 3 s")),
        }
    }
}

/// A branch as it is called after it was moved.
fn called_elsewhere(branch: &BranchSpec, number: u64) -> BranchSpec {
    let mut moved = branch.clone();
    for op in Op::ALL {
        if let Some(url) = moved.urls.get_mut(op) {
            *url = Arc::new(format!("https://moved.example:8443/{number}/{op}").parse().unwrap());
        }
    }
    moved.headers = [("x-moved".to_owned(), format!("\"{number}\""))].into();
    moved
}
