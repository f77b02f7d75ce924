//! Carries scenarios out and compares.

use std::time::Duration;

use tercet_wire::{Instance, Op, Wall};
use tokio::task::JoinSet;

use super::balances::Balances;
use super::caller::{Caller, Ended, Twist};
use super::error::KitError;
use super::kit::TestKit;
use super::model::Model;
use super::progress::Undecided;
use super::report::Report;
use super::rule::Rule;
use super::scenario::{Role, Scenario, Step};
use super::session::{Actor, SETTLED, Session, expected_of};
use crate::clock;
use crate::context::Context;
use crate::legs::Legs;

/// The pause between two looks, and before the first after a caller hung up: what was cut off may
/// still be running.
const LOOK_PAUSE: Duration = Duration::from_millis(40);
/// How far ahead the deadline of a Try is.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the calls of one branch change.
#[derive(Debug, Clone, Default)]
pub(super) struct Effects {
    pub(super) tried: Balances,
    pub(super) confirmed: Balances,
}

/// Where scenarios are carried out.
pub(super) struct Bench<'a> {
    pub(super) kit: &'a TestKit,
    pub(super) caller: Caller,
    pub(super) effects: Effects,
    pub(super) at_first: Balances,
    pub(super) report: &'a mut Report,
    /// Makes the gids of this run its own.
    pub(super) run: String,
    /// How many scenarios have been carried out.
    pub(super) number: u32,
    /// What is to be cancelled should it end here.
    pub(super) undecided: Undecided,
}

impl Bench<'_> {
    /// Carries a scenario out. At the first breach it ends: from there on nobody knows where the
    /// branches stand.
    pub(super) async fn run(&mut self, scenario: &Scenario) -> Result<(), KitError> {
        let mut session = self.session(scenario).await?;
        for step in scenario.steps.iter().chain([&Step::Look]) {
            let breach = match step {
                Step::Call(who, op) => self.call(&mut session, *who, *op, Twist::None).await,
                Step::Odd(who, op, twist) => self.call(&mut session, *who, *op, *twist).await,
                Step::AtOnce(calls) => self.at_once(&mut session, calls).await,
                Step::HangUp(who, op, after_ms) => {
                    let patience = Duration::from_millis(*after_ms);
                    self.hang_up(&mut session, *who, *op, patience).await;
                    None
                }
                Step::Look => self.compare(&mut session).await?,
            };
            if let Some((expected, seen)) = breach {
                session.breach(self.report, session.rule, expected, seen);
                return Ok(());
            }
        }
        Ok(())
    }

    pub(super) async fn session(&mut self, scenario: &Scenario) -> Result<Session, KitError> {
        self.number += 1;
        let before = self.kit.look(self.caller.http()).await?;
        let actors = scenario.cast.iter().map(|role| self.actor(role)).collect();
        Ok(Session { rule: scenario.rule, actors, before, sent: Vec::new(), hung_up: false })
    }

    fn actor(&self, role: &Role) -> Actor {
        // All numbers are of one length: a gid that begins another one is a scenario of its own.
        let gid = format!("kit-{}-{:05}{}", self.run, self.number, role.gid_suffix);
        let name = format!("{gid}/{}", role.branch);
        let context = Context {
            // Letters, digits and . : - within the length of an id: `Role` holds nothing else.
            gid: gid.parse().expect("the kit's gids are gids"),
            branch: role.branch.parse().expect("the kit's branches are branch ids"),
            instance: Instance::new(clock::new_id()),
            op: Op::Try,
            legs: Legs::ALL,
            attempt: 1,
            deadline: Some(self.deadline()),
            traceparent: None,
            empty: false,
            results: Default::default(),
        };
        let body = self.kit.payload(role.kind, &gid, role.branch);
        Actor { context, name, body, model: Model::new(role.kind) }
    }

    fn deadline(&self) -> Wall {
        clock::now().after(DEADLINE)
    }

    pub(super) async fn call(
        &mut self,
        session: &mut Session,
        who: usize,
        op: Op,
        twist: Twist,
    ) -> Option<(String, String)> {
        let actor = &session.actors[who];
        self.undecided.calls(actor, op);
        let ended = self.caller.settle(actor.call(op, twist)).await;
        if ended.done == Some(true) {
            self.undecided.done(actor, op);
        }
        self.report.calls += u64::from(ended.attempts);
        session.sent.push(actor.line(op, twist, &ended));
        let seen = ended.answer.clone();
        if let Some(wrong) = twist.is_wrong() {
            return (ended.done == Some(true)).then(|| (format!("an error, since {wrong}"), seen));
        }
        let actor = &mut session.actors[who];
        let explained = actor.model.clone();
        match actor.take(op, &ended) {
            true => None,
            false => Some((expected_of(&explained, op), seen)),
        }
    }

    async fn at_once(
        &mut self,
        session: &mut Session,
        calls: &[(usize, Op)],
    ) -> Option<(String, String)> {
        let mut under_way = JoinSet::new();
        for (index, (who, op)) in calls.iter().enumerate() {
            let caller = self.caller.clone();
            self.undecided.calls(&session.actors[*who], *op);
            let call = session.actors[*who].call(*op, Twist::None);
            under_way.spawn(async move { (index, caller.settle(call).await) });
        }
        let mut ended: Vec<(usize, Ended)> = under_way.join_all().await;
        ended.sort_by_key(|(index, _)| *index);
        session.sent.push(format!("{} calls at once:", calls.len()));
        let mut answers: Vec<Vec<(Op, bool)>> = vec![Vec::new(); session.actors.len()];
        let mut unsettled = None;
        for (index, ended) in ended {
            let (who, op) = calls[index];
            self.report.calls += u64::from(ended.attempts);
            let actor = &mut session.actors[who];
            session.sent.push(format!("  {}", actor.line(op, Twist::None, &ended)));
            if ended.doubt {
                actor.model.unanswered(op);
            }
            if ended.done == Some(true) {
                self.undecided.done(actor, op);
            }
            match ended.done {
                Some(done) => answers[who].push((op, done)),
                None => unsettled = Some((SETTLED.to_owned(), ended.answer)),
            }
        }
        for (actor, answers) in session.actors.iter_mut().zip(answers) {
            if !actor.model.answered(&answers) {
                let expected = "answers that some order of these calls explains".to_owned();
                return Some((expected, format!("none explains those of {}", actor.name)));
            }
        }
        unsettled
    }

    async fn hang_up(&mut self, session: &mut Session, who: usize, op: Op, patience: Duration) {
        let actor = &mut session.actors[who];
        self.undecided.calls(actor, op);
        let sent = self.caller.hang_up(&actor.call(op, Twist::None), patience).await;
        self.report.calls += 1;
        actor.model.unanswered(op);
        let what = match sent {
            Ok(()) => format!("hung up after {} ms", patience.as_millis()),
            Err(error) => format!("could not be sent: {error}"),
        };
        session.sent.push(format!("{op} {} → {what}", actor.name));
        session.hung_up = true;
    }

    /// Compares the balances with what the answers allow.
    pub(super) async fn compare(
        &mut self,
        session: &mut Session,
    ) -> Result<Option<(String, String)>, KitError> {
        let possible = session.possible(&self.effects);
        let (change, now) = self.settled(session, |change| possible.contains(change)).await?;
        if let Some((expected, seen)) = self.sums(&now) {
            session.breach(self.report, Rule::Sums, expected, seen);
        }
        if possible.contains(&change) {
            // What is wrong later came of what was sent later.
            session.sent.push(format!("(the balances are right: {change})"));
            return Ok(None);
        }
        let possible: Vec<String> = possible.iter().map(Balances::to_string).collect();
        Ok(Some((possible.join(", or "), change.to_string())))
    }

    /// What has changed, once it is as it should be or has had its time.
    pub(super) async fn settled(
        &self,
        session: &mut Session,
        is_right: impl Fn(&Balances) -> bool,
    ) -> Result<(Balances, Balances), KitError> {
        let mut waited = Duration::ZERO;
        loop {
            if std::mem::take(&mut session.hung_up) || !waited.is_zero() {
                tokio::time::sleep(LOOK_PAUSE).await;
            }
            let now = self.kit.look(self.caller.http()).await?;
            let change = now.since(&session.before);
            if is_right(&change) || waited >= self.kit.settling {
                return Ok((change, now));
            }
            waited += LOOK_PAUSE;
        }
    }

    pub(super) fn sums(&self, now: &Balances) -> Option<(String, String)> {
        for (name, parts) in &self.kit.conserved {
            let sum = |of: &Balances| parts.iter().map(|part| of.get(part)).sum::<i64>();
            let (was, is) = (sum(&self.at_first), sum(now));
            if was != is {
                let parts = parts.join(" + ");
                return Some((format!("{name} = {parts} = {was}"), format!("{is}")));
            }
        }
        let below = self.kit.reserved.iter().find(|name| now.get(name) < 0)?;
        Some((format!("{below} at least 0"), now.get(below).to_string()))
    }
}
