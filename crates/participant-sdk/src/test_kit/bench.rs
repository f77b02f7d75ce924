//! Carries scenarios out and compares.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tercet_protocol::{Instance, Op, Wall};
use tokio::task::JoinSet;

use super::balances::Balances;
use super::belief::{Belief, Stand};
use super::caller::{Call, Caller, Ended, Twist};
use super::kit::{KitError, TestKit};
use super::report::{Breach, Report};
use super::rule::Rule;
use super::scenario::{Role, Scenario, Step};
use crate::clock;
use crate::context::Context;
use crate::legs::Legs;

/// The pause between two looks, and before the first after a caller hung up: what was cut off may
/// still be running.
const LOOK_PAUSE: Duration = Duration::from_millis(40);
/// How far ahead the deadline of a Try is.
const DEADLINE: Duration = Duration::from_secs(60);
/// The lines a breach shows at most.
const LINES: usize = 40;

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
}

/// A scenario under way.
struct Scene {
    rule: Rule,
    actors: Vec<Actor>,
    before: Balances,
    sent: Vec<String>,
    hung_up: bool,
}

/// A branch of a scenario.
struct Actor {
    context: Context,
    name: String,
    body: String,
    belief: Belief,
}

impl Bench<'_> {
    /// Carries a scenario out. At the first breach it ends: from there on nobody knows where the
    /// branches stand.
    pub(super) async fn run(&mut self, scenario: &Scenario) -> Result<(), KitError> {
        let mut scene = self.scene(scenario).await?;
        for step in scenario.steps.iter().chain([&Step::Look]) {
            let breach = match step {
                Step::Call(who, op) => self.call(&mut scene, *who, *op, Twist::None).await,
                Step::Odd(who, op, twist) => self.call(&mut scene, *who, *op, *twist).await,
                Step::AtOnce(calls) => self.at_once(&mut scene, calls).await,
                Step::HangUp(who, op, after_ms) => {
                    let patience = Duration::from_millis(*after_ms);
                    self.hang_up(&mut scene, *who, *op, patience).await;
                    None
                }
                Step::Look => self.compare(&mut scene).await?,
            };
            if let Some((expected, seen)) = breach {
                scene.breach(self.report, scene.rule, expected, seen);
                return Ok(());
            }
        }
        Ok(())
    }

    async fn scene(&mut self, scenario: &Scenario) -> Result<Scene, KitError> {
        self.number += 1;
        let before = self.kit.look(self.caller.http()).await?;
        let actors = scenario.cast.iter().map(|role| self.actor(role)).collect();
        Ok(Scene { rule: scenario.rule, actors, before, sent: Vec::new(), hung_up: false })
    }

    fn actor(&self, role: &Role) -> Actor {
        // All numbers are of one length: a gid that begins another one is a scenario of its own.
        let gid = format!("kit-{}-{:05}{}", self.run, self.number, role.gid_suffix);
        let name = format!("{gid}/{}", role.branch);
        let context = Context {
            // Letters, digits and . : - within the length of an id: `Role` holds nothing else.
            gid: gid.parse().expect("the kit's gids are gids"),
            branch: role.branch.parse().expect("the kit's branches are branch ids"),
            instance: Instance(clock::new_id()),
            op: Op::Try,
            legs: Legs::ALL,
            attempt: 1,
            deadline: Some(self.deadline()),
            traceparent: None,
        };
        let body = self.kit.payload(role.kind, &gid, role.branch);
        Actor { context, name, body, belief: Belief::new(role.kind) }
    }

    fn deadline(&self) -> Wall {
        clock::now().after(DEADLINE)
    }

    async fn call(
        &mut self,
        scene: &mut Scene,
        who: usize,
        op: Op,
        twist: Twist,
    ) -> Option<(String, String)> {
        let actor = &scene.actors[who];
        let ended = self.caller.settle(actor.call(op, twist)).await;
        self.report.calls += u64::from(ended.attempts);
        scene.sent.push(actor.line(op, twist, &ended));
        let seen = ended.answer.clone();
        if let Twist::Without(name) = twist {
            return (ended.done == Some(true))
                .then(|| (format!("an error, since {name} is missing"), seen));
        }
        let actor = &mut scene.actors[who];
        let explained = actor.belief.clone();
        match actor.take(op, &ended) {
            true => None,
            false => Some((expected_of(&explained, op), seen)),
        }
    }

    async fn at_once(
        &mut self,
        scene: &mut Scene,
        calls: &[(usize, Op)],
    ) -> Option<(String, String)> {
        let mut under_way = JoinSet::new();
        for (index, (who, op)) in calls.iter().enumerate() {
            let caller = self.caller.clone();
            let call = scene.actors[*who].call(*op, Twist::None);
            under_way.spawn(async move { (index, caller.settle(call).await) });
        }
        let mut ended: Vec<(usize, Ended)> = under_way.join_all().await;
        ended.sort_by_key(|(index, _)| *index);
        scene.sent.push(format!("{} calls at once:", calls.len()));
        let mut answers: Vec<Vec<(Op, bool)>> = vec![Vec::new(); scene.actors.len()];
        let mut unsettled = None;
        for (index, ended) in ended {
            let (who, op) = calls[index];
            self.report.calls += u64::from(ended.attempts);
            let actor = &mut scene.actors[who];
            scene.sent.push(format!("  {}", actor.line(op, Twist::None, &ended)));
            if ended.doubt {
                actor.belief.unanswered(op);
            }
            match ended.done {
                Some(done) => answers[who].push((op, done)),
                None => unsettled = Some((SETTLED.to_owned(), ended.answer)),
            }
        }
        for (actor, answers) in scene.actors.iter_mut().zip(answers) {
            if !actor.belief.answered(&answers) {
                let expected = "answers that some order of these calls explains".to_owned();
                return Some((expected, format!("none explains those of {}", actor.name)));
            }
        }
        unsettled
    }

    async fn hang_up(&mut self, scene: &mut Scene, who: usize, op: Op, patience: Duration) {
        let actor = &mut scene.actors[who];
        let sent = self.caller.hang_up(&actor.call(op, Twist::None), patience).await;
        self.report.calls += 1;
        actor.belief.unanswered(op);
        let what = match sent {
            Ok(()) => format!("hung up after {} ms", patience.as_millis()),
            Err(error) => format!("could not be sent: {error}"),
        };
        scene.sent.push(format!("{op} {} → {what}", actor.name));
        scene.hung_up = true;
    }

    /// Compares the balances with what the answers allow.
    async fn compare(&mut self, scene: &mut Scene) -> Result<Option<(String, String)>, KitError> {
        let possible = scene.possible(&self.effects);
        let (change, now) = self.settled(scene, |change| possible.contains(change)).await?;
        if let Some((expected, seen)) = self.sums(&now) {
            scene.breach(self.report, Rule::Sums, expected, seen);
        }
        if possible.contains(&change) {
            return Ok(None);
        }
        let possible: Vec<String> = possible.iter().map(Balances::to_string).collect();
        Ok(Some((possible.join(", or "), change.to_string())))
    }

    /// What has changed, once it is as it should be or has had its time.
    async fn settled(
        &self,
        scene: &mut Scene,
        is_right: impl Fn(&Balances) -> bool,
    ) -> Result<(Balances, Balances), KitError> {
        let mut waited = Duration::ZERO;
        loop {
            if std::mem::take(&mut scene.hung_up) || !waited.is_zero() {
                tokio::time::sleep(LOOK_PAUSE).await;
            }
            let now = self.kit.look(self.caller.http()).await?;
            let change = now.since(&scene.before);
            if is_right(&change) || waited >= self.kit.settling {
                return Ok((change, now));
            }
            waited += LOOK_PAUSE;
        }
    }

    fn sums(&self, now: &Balances) -> Option<(String, String)> {
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

    /// Learns what a Try and a Confirm change. False if there is nothing to go by.
    pub(super) async fn learn(&mut self) -> Result<bool, KitError> {
        let mut scene = self.learn_one(Rule::TryReserves).await?;
        if let Some((expected, seen)) = self.call(&mut scene, 0, Op::Try, Twist::None).await {
            let sent = scene.sent.join("; ");
            return Err(KitError::NoTry { sent: format!("{sent} (expected {expected}, {seen})") });
        }
        let (tried, now) = self.settled(&mut scene, |change| !change.is_nothing()).await?;
        if tried.is_nothing() {
            let expected = "a change of the balances".to_owned();
            scene.breach(self.report, Rule::TryReserves, expected, tried.to_string());
            return Ok(false);
        }
        if let Some(name) = self.kit.reserved.iter().find(|name| tried.get(name) <= 0) {
            let expected = format!("more {name} than before");
            scene.breach(self.report, Rule::TryReserves, expected, tried.to_string());
        }
        if let Some((expected, seen)) = self.sums(&now) {
            scene.breach(self.report, Rule::Sums, expected, seen);
        }
        self.effects.tried = tried;
        scene.rule = Rule::CancelReleases;
        let breach = match self.call(&mut scene, 0, Op::Cancel, Twist::None).await {
            None => self.compare(&mut scene).await?,
            breach => breach,
        };
        if let Some((expected, seen)) = breach {
            scene.breach(self.report, scene.rule, expected, seen);
        }

        let mut scene = self.learn_one(Rule::ConfirmTakes).await?;
        for op in [Op::Try, Op::Confirm] {
            if let Some((expected, seen)) = self.call(&mut scene, 0, op, Twist::None).await {
                scene.breach(self.report, scene.rule, expected, seen);
                return Ok(false);
            }
        }
        let tried = self.effects.tried.clone();
        let reserved = &self.kit.reserved;
        let is_taken = |change: &Balances| {
            *change != tried
                && !change.is_nothing()
                && reserved.iter().all(|name| change.get(name) == 0)
        };
        let (confirmed, _) = self.settled(&mut scene, is_taken).await?;
        if !is_taken(&confirmed) {
            let expected =
                format!("neither no change nor that of Try ({tried}), and nothing reserved");
            scene.breach(self.report, scene.rule, expected, confirmed.to_string());
        }
        self.effects.confirmed = confirmed;
        Ok(true)
    }

    async fn learn_one(&mut self, rule: Rule) -> Result<Scene, KitError> {
        let scenario = Scenario { rule, cast: vec![Role::USUAL], steps: Vec::new() };
        self.scene(&scenario).await
    }
}

/// What is expected of every call.
const SETTLED: &str = "an answer that settles the call, at least when it is made again";

fn expected_of(belief: &Belief, op: Op) -> String {
    match (belief.allows(op, true), belief.allows(op, false)) {
        (true, false) => format!("2xx: {op} is done"),
        (false, true) => match op {
            Op::Try => "4xx: the Try is refused".to_owned(),
            Op::Confirm => "4xx: there is nothing to confirm".to_owned(),
            Op::Cancel => "409: it was confirmed".to_owned(),
        },
        (true, true) | (false, false) => SETTLED.to_owned(),
    }
}

impl Scene {
    fn breach(&self, report: &mut Report, rule: Rule, expected: String, seen: String) {
        let mut sent = self.sent.clone();
        let rest = sent.len().saturating_sub(LINES);
        if rest > 0 {
            sent.truncate(LINES);
            sent.push(format!("and {rest} lines more"));
        }
        report.add(Breach { rule, sent, expected, seen });
    }

    /// What can have changed, given where the branches can stand.
    fn possible(&self, effects: &Effects) -> BTreeSet<Balances> {
        let mut sums = BTreeSet::from([Balances::new()]);
        for actor in &self.actors {
            let change = |stand: &Stand| match stand {
                Stand::Nothing | Stand::Cancelled => Balances::new(),
                Stand::Tried => effects.tried.clone(),
                Stand::Confirmed => effects.confirmed.clone(),
            };
            let changes: Vec<Balances> = actor.belief.stands().iter().map(change).collect();
            sums =
                sums.iter().flat_map(|sum| changes.iter().map(|change| sum.plus(change))).collect();
        }
        sums
    }
}

impl Actor {
    fn call(&self, op: Op, twist: Twist) -> Call {
        let mut context = self.context.clone();
        context.op = op;
        if op != Op::Try {
            context.deadline = None;
        }
        Call { context, twist, body: self.body.clone() }
    }

    /// Takes an answer in. False if nothing explains it.
    fn take(&mut self, op: Op, ended: &Ended) -> bool {
        if ended.doubt {
            self.belief.unanswered(op);
        }
        ended.done.is_some_and(|done| self.belief.answered(&[(op, done)]))
    }

    fn line(&self, op: Op, twist: Twist, ended: &Ended) -> String {
        let how = match twist {
            Twist::None => String::new(),
            Twist::UnknownHeaders => " with unknown headers".to_owned(),
            Twist::NoHints => " without attempt and deadline".to_owned(),
            Twist::NinthAttempt => " as attempt 9".to_owned(),
            Twist::Without(name) => format!(" without {name}"),
        };
        let times = match ended.attempts {
            1 => String::new(),
            attempts => format!(" at attempt {attempts}"),
        };
        let instance = self.context.instance.to_string();
        let instance = &instance[instance.len() - 4..];
        format!("{op} {} (instance …{instance}){how} → {}{times}", self.name, ended.answer)
    }
}

/// Puts a call's ids where the payload asks for them.
pub(super) fn fill(payload: &Value, gid: &str, branch: &str) -> String {
    payload.to_string().replace("{gid}", gid).replace("{branch}", branch)
}
